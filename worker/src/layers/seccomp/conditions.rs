//! The calls whose arguments decide. Data only, as in `table`.
//!
//! An argument is compared as the 32 bits the kernel itself reads: a comparison of all 64 lets
//! `ioctl(fd, TIOCSTI | 1 << 32)` through (CVE-2019-7303).

use nix::libc::*;

use super::table::Verdict::{self, Allow, Denial, Quiet};

/// The verdict of the first case that lists `argument & mask`, or `otherwise`.
#[derive(Clone, Copy)]
pub(crate) struct Condition {
    pub(crate) calls: &'static [c_long],
    pub(crate) argument: u8,
    pub(crate) mask: i32,
    pub(crate) cases: &'static [(&'static [i32], Verdict)],
    pub(crate) otherwise: Verdict,
    pub(crate) reason: &'static str,
}

/// What a profile refuses although the table may permit it.
#[derive(Clone, Copy)]
pub(crate) struct Exception {
    pub(crate) call: c_long,
    pub(crate) argument: u8,
    pub(crate) mask: i32,
    pub(crate) values: &'static [i32],
    pub(crate) verdict: Verdict,
    pub(crate) reason: &'static str,
}

/// Where the sockets of the host are in sight: D-Bus, Docker, syslog. A pair of datagram sockets
/// sends to any of them; streams and packet sequences, 1 and 5, are connected for good, and no
/// other type ends in the bits 01.
pub(crate) const HOST_SOCKETS: &[Exception] = &[NO_SOCKET, NO_DATAGRAM_PAIR];

/// Where no cgroup charges memory that nobody maps any more.
pub(crate) const LOOSE_MEMORY: &[Exception] = &[NO_SHARED_MAPPING];

/// Where both is so.
pub(crate) const HOST_SOCKETS_AND_LOOSE_MEMORY: &[Exception] =
    &[NO_SOCKET, NO_DATAGRAM_PAIR, NO_SHARED_MAPPING];

const NO_SOCKET: Exception = Exception {
    call: SYS_socket,
    argument: 0,
    mask: WHOLE,
    values: &[AF_UNIX],
    verdict: Quiet(EAFNOSUPPORT),
    reason: "reaches servers of the host; the C library asks nscd for every user name",
};

const NO_DATAGRAM_PAIR: Exception = Exception {
    call: SYS_socketpair,
    argument: 1,
    mask: 0b11,
    values: &[0b00, 0b10, 0b11],
    verdict: Denial(EAFNOSUPPORT),
    reason: "sendto(2) on one of the pair reaches servers of the host",
};

const NO_SHARED_MAPPING: Exception = Exception {
    call: SYS_mmap,
    argument: 3,
    mask: MAP_SHARED | MAP_ANONYMOUS,
    values: &[MAP_SHARED | MAP_ANONYMOUS],
    verdict: Quiet(EPERM),
    reason: "its pages outlive their mapping (MADV_DONTNEED), seen by no limit; a file in /dev/shm is",
};

pub(crate) const MESSAGES_REASON: &str = "out-of-band bytes of unix sockets freed memory in use (CVE-2025-38236); MSG_FASTOPEN connects \
     behind Landlock's back";

/// The mask of an argument that is compared as it is.
pub(crate) const WHOLE: i32 = -1;

pub(crate) const CONDITIONS: &[Condition] = &[
    Condition {
        calls: &[SYS_clone],
        argument: 0,
        mask: NEW_NAMESPACES,
        cases: &[(&[0], Allow)],
        otherwise: Denial(EPERM),
        reason: "processes and threads, but no namespace",
    },
    Condition {
        calls: &[SYS_socket, SYS_socketpair],
        argument: 0,
        mask: WHOLE,
        cases: &[(&[AF_UNIX], Allow)],
        otherwise: Denial(EAFNOSUPPORT),
        reason: "no network; AF_VSOCK ignores network namespaces, AF_ALG and AF_NETLINK are ways \
                 into the kernel",
    },
    Condition {
        calls: &[SYS_sendto, SYS_recvfrom],
        argument: 3,
        mask: MSG_OOB | MSG_FASTOPEN,
        cases: &[(&[0], Allow)],
        otherwise: Denial(EPERM),
        reason: MESSAGES_REASON,
    },
    Condition {
        calls: &[SYS_sendmsg, SYS_recvmsg],
        argument: 2,
        mask: MSG_OOB | MSG_FASTOPEN,
        cases: &[(&[0], Allow)],
        otherwise: Denial(EPERM),
        reason: MESSAGES_REASON,
    },
    Condition {
        calls: &[SYS_setsockopt],
        argument: 2,
        mask: WHOLE,
        cases: &[(SOCKET_OPTIONS, Allow)],
        otherwise: Denial(EPERM),
        reason: "SO_ATTACH_FILTER and its kin load programs into the kernel",
    },
    Condition {
        calls: &[SYS_ioctl],
        argument: 1,
        mask: WHOLE,
        cases: &[
            (IOCTLS, Allow),
            (CLONES_OF_FILES, Quiet(EOPNOTSUPP)),
            (TERMINAL_SETTINGS, Quiet(ENOTTY)),
        ],
        otherwise: Denial(EPERM),
        reason: "every driver and file system has its own; TIOCSTI and TIOCLINUX type as the user",
    },
    Condition {
        calls: &[SYS_fcntl],
        argument: 1,
        mask: WHOLE,
        cases: &[(FCNTLS, Allow)],
        otherwise: Denial(EPERM),
        reason: "leases, directory notices, signals to others and large pipes reach beyond the jar",
    },
    Condition {
        calls: &[SYS_prctl],
        argument: 0,
        mask: WHOLE,
        cases: &[(PRCTLS, Allow)],
        otherwise: Denial(EPERM),
        reason: "PR_SET_DUMPABLE, PR_SET_PDEATHSIG, PR_SET_MM and others undo what init set",
    },
    Condition {
        calls: &[SYS_memfd_create],
        argument: 1,
        mask: MFD_NOEXEC_SEAL.cast_signed(),
        cases: &[(&[MFD_NOEXEC_SEAL.cast_signed()], Allow)],
        otherwise: Denial(ENOSYS),
        reason: "neither noexec mounts nor Landlock stop a memory file from being run",
    },
    #[cfg(target_arch = "x86_64")]
    Condition {
        calls: &[SYS_mknod],
        argument: 1,
        mask: S_IFMT.cast_signed(),
        cases: &[(FILE_TYPES, Allow)],
        otherwise: Denial(EPERM),
        reason: "mkfifo(3), but no device",
    },
    Condition {
        calls: &[SYS_mknodat],
        argument: 2,
        mask: S_IFMT.cast_signed(),
        cases: &[(FILE_TYPES, Allow)],
        otherwise: Denial(EPERM),
        reason: "mkfifo(3), but no device",
    },
    Condition {
        calls: &[SYS_prlimit64],
        argument: 0,
        mask: WHOLE,
        cases: &[(&[0], Allow)],
        otherwise: Denial(EPERM),
        reason: "its own ceilings, but not those of init",
    },
    Condition {
        calls: &[SYS_personality],
        argument: 0,
        mask: WHOLE,
        cases: &[(&[0, -1], Allow)],
        otherwise: Denial(EPERM),
        reason: "asks which it has; no ADDR_NO_RANDOMIZE, no READ_IMPLIES_EXEC",
    },
    Condition {
        calls: &[SYS_setpriority],
        argument: 0,
        mask: WHOLE,
        cases: &[(&[0], Allow)], // PRIO_PROCESS
        otherwise: Quiet(EPERM),
        reason: "nice(1), but not for all processes of a user",
    },
];

/// Arguments, beside the one in the condition, that tell one denial of a call from another.
pub(crate) const TELLING: &[(&[c_long], &[u8])] = &[
    (&[SYS_socket, SYS_socketpair], &[1, 2]), // the type, the protocol
    (&[SYS_unshare, SYS_ptrace, SYS_bpf], &[0]), // flags, request, command
    (&[SYS_keyctl, SYS_seccomp, SYS_setuid], &[0]), // operation, operation, user
    (&[SYS_setns, SYS_umount2], &[1]),        // kind of namespace, flags
    (&[SYS_mount], &[3]),                     // flags
];

const NEW_NAMESPACES: i32 = CLONE_NEWNS
    | CLONE_NEWCGROUP
    | CLONE_NEWUTS
    | CLONE_NEWIPC
    | CLONE_NEWUSER
    | CLONE_NEWPID
    | CLONE_NEWNET
    | CLONE_NEWTIME;

/// All that is not a device.
const FILE_TYPES: &[i32] =
    &[0, S_IFREG.cast_signed(), S_IFIFO.cast_signed(), S_IFSOCK.cast_signed()];

/// What can be set on a unix socket, the only kind there is.
const SOCKET_OPTIONS: &[i32] = &[
    SO_SNDBUF,    // multiprocessing sets buffers
    SO_RCVBUF,    // the same
    SO_REUSEADDR, // servers set it on whatever they bind
    SO_KEEPALIVE, // the same
    SO_LINGER,    // the same
    SO_PASSCRED,  // asks who sends
    SO_RCVTIMEO,  // socket.settimeout of some languages
    SO_SNDTIMEO,  // the same
];

/// Numbers of asm-generic, the same on every architecture belljar knows.
const IOCTLS: &[i32] = &[
    0x5401,                        // TCGETS: isatty(3)
    0x802c_542a_u32.cast_signed(), // TCGETS2: isatty(3) of newer C libraries
    0x5413,                        // TIOCGWINSZ: how wide to print
    0x540f,                        // TIOCGPGRP: bash asks whether it has a terminal
    0x541b,                        // FIONREAD: how much a pipe holds
    0x5421,                        // FIONBIO: libuv makes pipes non-blocking
    0x5451,                        // FIOCLEX: CPython and libuv set close-on-exec
    0x5450,                        // FIONCLEX: the reverse
];

/// FICLONE and FICLONERANGE: cp tries to share blocks first; a tmpfs answers with this errno.
const CLONES_OF_FILES: &[i32] = &[0x4004_9409, 0x4020_940d];

/// TCSETS, TCSETSW, TCSETSF and TIOCSPGRP: `set -m` makes bash try; a jar has no terminal.
const TERMINAL_SETTINGS: &[i32] = &[0x5402, 0x5403, 0x5404, 0x5410];

/// The most frequent first: they are compared one after the other.
const FCNTLS: &[i32] = &[
    F_GETFL,         // is it writable, is it non-blocking
    F_SETFL,         // O_NONBLOCK
    F_SETFD,         // FD_CLOEXEC
    F_GETFD,         // is it open
    F_DUPFD_CLOEXEC, // os.dup
    F_DUPFD,         // shells move descriptors out of the way
    F_SETLK,         // SQLite locks
    F_SETLKW,        // fcntl.lockf waits
    F_GETLK,         // SQLite asks who locks
    F_OFD_SETLK,     // the same per open file
    F_OFD_SETLKW,    // the same per open file
    F_OFD_GETLK,     // the same per open file
    F_GETPIPE_SZ,    // how much to write at once
    F_GET_SEALS,     // what a memory file forbids
    1027,            // F_DUPFD_QUERY: are two descriptors one file
];

/// Names, and questions.
const PRCTLS: &[i32] = &[
    PR_SET_NAME,            // names a thread
    PR_GET_NAME,            // reads the name back
    PR_SET_VMA,             // names memory: V8, glibc
    PR_CAPBSET_READ,        // counts capabilities
    PR_SET_NO_NEW_PRIVS,    // is set already, and cannot be unset
    PR_GET_NO_NEW_PRIVS,    // asks
    PR_SET_TIMERSLACK,      // how exact its own sleeps are
    PR_GET_TIMERSLACK,      // asks
    PR_SET_THP_DISABLE,     // large pages of its own
    PR_GET_THP_DISABLE,     // asks
    PR_GET_DUMPABLE,        // asks
    PR_GET_PDEATHSIG,       // asks
    PR_GET_KEEPCAPS,        // asks
    PR_GET_SECUREBITS,      // asks
    PR_GET_SECCOMP,         // asks; 2 here
    PR_GET_CHILD_SUBREAPER, // asks
    52,                     // PR_GET_SPECULATION_CTRL: asks
    PR_GET_TSC,             // asks
    PR_MCE_KILL_GET,        // asks
    PR_GET_MDWE,            // asks
];
