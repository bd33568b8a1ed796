//! Every system call that has a verdict, with the reason for it. Data only: the build script
//! compiles it, and the tests compare what it compiled with what stands here.
//!
//! What stands nowhere does not exist for a payload: [`DEFAULT`].

use nix::libc::*;

use super::conditions::{Exception, HOST_SOCKETS, HOST_SOCKETS_AND_LOOSE_MEMORY, LOOSE_MEMORY};
use super::network::{Combination, NETWORK, UNCOUNTED_NETWORK};

/// What the kernel does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It happens.
    Allow,
    /// It fails with this errno, and nobody hears of it.
    Quiet(i32),
    /// It fails with this errno, which the warden gives after it has recorded the denial.
    Denial(i32),
    /// The warden records the denial and ends the run.
    Fatal,
    /// The whole process dies of SIGSYS.
    Kill,
}

/// Some calls, and why they have the verdict of their group.
pub(crate) type Row = (&'static [c_long], &'static str);

/// A set of system calls: what it changes about the table.
pub(crate) struct Profile {
    /// The name of its program.
    pub(crate) name: &'static str,
    /// Verdicts that replace those of the table.
    pub(crate) instead: &'static [&'static [(Verdict, Row)]],
    /// What is refused before the table is asked.
    pub(crate) first: &'static [Exception],
    /// Calls that are judged in another way than in the table.
    pub(crate) judged: &'static [Combination],
}

const PLAIN: Profile = Profile { name: "", instead: &[], first: &[], judged: &[] };

/// Those with a network stand behind those without, in the same order, for as long as there are any.
pub(crate) const PROFILES: &[Profile] = &[
    Profile { name: "STANDARD", ..PLAIN },
    Profile {
        name: "WITHOUT_MEMFD",
        instead: &[UNCOUNTED, UNCOUNTED_SOCKETS],
        first: LOOSE_MEMORY,
        ..PLAIN
    },
    Profile { name: "WITHOUT_SOCKETS", first: HOST_SOCKETS, ..PLAIN },
    Profile {
        name: "EXPOSED",
        instead: &[UNCOUNTED, UNCOUNTED_SOCKETS, IN_SIGHT],
        first: HOST_SOCKETS_AND_LOOSE_MEMORY,
        ..PLAIN
    },
    Profile {
        name: "SHARED",
        instead: &[UNCOUNTED, UNCOUNTED_SOCKETS, IN_SIGHT, SAME_USER],
        first: HOST_SOCKETS_AND_LOOSE_MEMORY,
        ..PLAIN
    },
    Profile {
        name: "SHARED_WITHOUT_SIGNALS",
        instead: &[UNCOUNTED, UNCOUNTED_SOCKETS, IN_SIGHT, SAME_USER, SIGNALS],
        first: HOST_SOCKETS_AND_LOOSE_MEMORY,
        ..PLAIN
    },
    Profile { name: "STANDARD_WITH_NETWORK", judged: NETWORK, ..PLAIN },
    Profile {
        name: "WITHOUT_MEMFD_WITH_NETWORK",
        instead: &[UNCOUNTED],
        first: LOOSE_MEMORY,
        judged: UNCOUNTED_NETWORK,
    },
    Profile { name: "WITHOUT_SOCKETS_WITH_NETWORK", first: HOST_SOCKETS, judged: NETWORK, ..PLAIN },
    Profile {
        name: "EXPOSED_WITH_NETWORK",
        instead: &[UNCOUNTED, IN_SIGHT],
        first: HOST_SOCKETS_AND_LOOSE_MEMORY,
        judged: UNCOUNTED_NETWORK,
    },
];

/// Where no cgroup charges what the kernel holds on behalf of a process.
const UNCOUNTED: &[(Verdict, Row)] =
    &[(Verdict::Denial(ENOSYS), (&[SYS_memfd_create], "memory that no limit sees"))];

/// Where, besides, all sockets are those of the run's own files.
const UNCOUNTED_SOCKETS: &[(Verdict, Row)] =
    &[(Verdict::Quiet(ENOPROTOOPT), (&[SYS_setsockopt], "larger buffers than are reckoned with"))];

/// Where the files of the host are in sight, and permissions and Landlock the only boundary.
const IN_SIGHT: &[(Verdict, Row)] =
    &[(Verdict::Quiet(EPERM), (&[SYS_truncate], "Landlock sees it from ABI 3 on; use ftruncate"))];

/// Where the payload has the user id of others: what Landlock does not see and an owner may do.
const SAME_USER: &[(Verdict, Row)] = &[
    (Verdict::Quiet(EPERM), (&[SYS_fchmod, SYS_fchmodat], "modes of files that are not its own")),
    (Verdict::Quiet(EPERM), (&[SYS_utimensat], "times of files that are not its own")),
    #[cfg(target_arch = "x86_64")]
    (
        Verdict::Quiet(EPERM),
        (&[SYS_chmod, SYS_utime, SYS_utimes, SYS_futimesat], "the same as old binaries say it"),
    ),
    (Verdict::Quiet(EPERM), (&[SYS_setpriority], "slows down the supervisor")),
];

/// Where Landlock has no signal scope.
const SIGNALS: &[(Verdict, Row)] = &[(
    Verdict::Quiet(EPERM),
    (&[SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_tgsigqueueinfo], "others"),
)];

/// Libraries fall back on older calls when a newer one is missing, so nothing breaks, and a call
/// that a later kernel brings is closed before anybody has looked at it. The same goes for x32,
/// whose numbers have bit 30 set.
pub(crate) const DEFAULT: Verdict = Verdict::Quiet(ENOSYS);

pub(crate) const GROUPS: &[(Verdict, &[Row])] = &[
    (Verdict::Allow, FILES),
    (Verdict::Allow, NAMES),
    (Verdict::Allow, WAITING),
    (Verdict::Allow, MEMORY),
    (Verdict::Allow, PROCESSES),
    (Verdict::Allow, TIME),
    (Verdict::Allow, LOCAL_SOCKETS),
    (Verdict::Quiet(EPERM), TRIED_BY_ORDINARY_PROGRAMS),
    (Verdict::Quiet(EOPNOTSUPP), ATTRIBUTES),
    (Verdict::Quiet(EINVAL), SPLICES),
    (Verdict::Quiet(ENOSYS), PROBED_BY_RUNTIMES),
    (Verdict::Denial(EPERM), PRIVILEGED),
    (Verdict::Denial(ENOSYS), ATTACK_SURFACE),
    (Verdict::Fatal, NEVER_CALLED),
];

/// Bytes of what is open. Opening is bounded by the root file system and by Landlock.
const FILES: &[Row] = &[
    (&[SYS_read, SYS_readv, SYS_pread64, SYS_preadv, SYS_preadv2], "reads"),
    (&[SYS_write, SYS_writev, SYS_pwrite64, SYS_pwritev, SYS_pwritev2], "writes"),
    (&[SYS_lseek], "moves within a file"),
    (&[SYS_openat, SYS_openat2, SYS_close, SYS_close_range], "opens and closes"),
    #[cfg(target_arch = "x86_64")]
    (&[SYS_open, SYS_creat], "openat as old binaries say it"),
    (&[SYS_fstat, SYS_newfstatat, SYS_statx], "what a file is"),
    #[cfg(target_arch = "x86_64")]
    (&[SYS_stat, SYS_lstat], "newfstatat as old binaries say it"),
    (&[SYS_statfs, SYS_fstatfs], "how full the scratch is; glibc looks for selinuxfs"),
    (&[SYS_getxattr, SYS_lgetxattr, SYS_fgetxattr], "`ls -l` asks for labels"),
    (&[SYS_listxattr, SYS_llistxattr, SYS_flistxattr], "`cp -a` looks for attributes to keep"),
    (&[SYS_sendfile, SYS_copy_file_range], "shutil, cp and libuv copy with them"),
    (&[SYS_truncate, SYS_ftruncate, SYS_fallocate, SYS_fadvise64], "sizes files within the quota"),
    (&[SYS_fsync, SYS_fdatasync], "data bases flush; the scratch is memory"),
    (&[SYS_flock], "locks; the files are this run's own"),
    (&[SYS_dup, SYS_dup3, SYS_pipe2], "shells connect programs"),
    #[cfg(target_arch = "x86_64")]
    (&[SYS_dup2, SYS_pipe], "dup3 and pipe2 as old binaries say it"),
];

/// Names in directories.
const NAMES: &[Row] = &[
    (&[SYS_getdents64, SYS_getcwd, SYS_chdir, SYS_fchdir, SYS_umask], "walks directories"),
    (&[SYS_faccessat, SYS_faccessat2, SYS_readlinkat], "looks before it opens"),
    (&[SYS_mkdirat, SYS_unlinkat, SYS_linkat, SYS_symlinkat], "makes and removes names"),
    (&[SYS_renameat, SYS_renameat2], "replaces files atomically"),
    (&[SYS_fchmod, SYS_fchmodat, SYS_utimensat], "modes and times of its own files"),
    #[cfg(target_arch = "x86_64")]
    (&[SYS_getdents, SYS_access, SYS_readlink], "the same as old binaries say it"),
    #[cfg(target_arch = "x86_64")]
    (&[SYS_mkdir, SYS_rmdir, SYS_unlink, SYS_link, SYS_symlink], "the same as old binaries say it"),
    #[cfg(target_arch = "x86_64")]
    (&[SYS_rename, SYS_chmod], "the same as old binaries say it"),
    #[cfg(target_arch = "x86_64")]
    (&[SYS_utime, SYS_utimes, SYS_futimesat], "the same as old binaries say it"),
];

/// Event loops.
const WAITING: &[Row] = &[
    (&[SYS_ppoll, SYS_pselect6], "waits for descriptors"),
    #[cfg(target_arch = "x86_64")]
    (&[SYS_poll, SYS_select], "ppoll and pselect6 as old binaries say it"),
    (&[SYS_epoll_create1, SYS_epoll_ctl], "asyncio and libuv"),
    (&[SYS_epoll_pwait, SYS_epoll_pwait2], "asyncio and libuv"),
    #[cfg(target_arch = "x86_64")]
    (&[SYS_epoll_create, SYS_epoll_wait], "CPython waits with epoll_wait"),
    (&[SYS_eventfd2, SYS_signalfd4], "wakes an event loop; Node aborts without eventfd2"),
    #[cfg(target_arch = "x86_64")]
    (&[SYS_eventfd], "eventfd2 as old binaries say it"),
    (&[SYS_timerfd_create, SYS_timerfd_settime, SYS_timerfd_gettime], "timers of event loops"),
    (&[SYS_inotify_init1, SYS_inotify_add_watch, SYS_inotify_rm_watch], "fs.watch; memory counts"),
    #[cfg(target_arch = "x86_64")]
    (&[SYS_inotify_init], "inotify_init1 as old binaries say it"),
];

/// Its own address space. Bounded by the memory limit; just-in-time compilers need `PROT_EXEC`.
const MEMORY: &[Row] = &[
    (&[SYS_brk, SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect], "every allocator"),
    (&[SYS_madvise, SYS_mincore, SYS_msync], "gives memory back; Node aborts without madvise"),
    (&[SYS_futex, SYS_membarrier, SYS_rseq], "locks between threads"),
    (&[SYS_set_robust_list, SYS_get_robust_list], "locks between threads"),
];

/// Its own processes, threads and signals. The pid namespace holds nobody else's.
const PROCESSES: &[Row] = &[
    (&[SYS_execve], "the payload itself, and what it starts"),
    (&[SYS_exit, SYS_exit_group, SYS_wait4, SYS_waitid], "ends, and waits for ends"),
    #[cfg(target_arch = "x86_64")]
    (&[SYS_fork, SYS_vfork], "clone without flags to abuse; posix_spawn(3)"),
    (&[SYS_getpid, SYS_getppid, SYS_gettid], "who it is"),
    (&[SYS_getpgid, SYS_setpgid, SYS_getsid, SYS_setsid], "job control and daemons"),
    (&[SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getgroups], "who it is"),
    (&[SYS_getresuid, SYS_getresgid, SYS_capget], "who it is; Node asks for capabilities"),
    (&[SYS_set_tid_address, SYS_getcpu, SYS_uname, SYS_sysinfo], "starts of C libraries"),
    #[cfg(target_arch = "x86_64")]
    (&[SYS_arch_prctl, SYS_getpgrp], "thread-local storage; bash"),
    (&[SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_tgsigqueueinfo], "signals within the jar"),
    (&[SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn], "handles signals"),
    (&[SYS_rt_sigpending, SYS_rt_sigtimedwait, SYS_rt_sigsuspend], "waits for signals"),
    (&[SYS_sigaltstack, SYS_restart_syscall], "guards stacks; the kernel restarts sleeps by it"),
    (&[SYS_getrlimit, SYS_getrusage, SYS_getpriority], "what it may use and has used"),
    (&[SYS_sched_yield, SYS_sched_getaffinity], "sizes thread pools; Java aborts without"),
    (&[SYS_sched_getparam, SYS_sched_getscheduler], "what pthread_getattr_np(3) reads"),
    (&[SYS_sched_get_priority_max, SYS_sched_get_priority_min], "what Java and PHP read"),
    (&[SYS_getrandom], "seeds hashes; Node aborts without"),
];

/// Clocks that only measure, and alarms for itself.
const TIME: &[Row] = &[
    (&[SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday, SYS_times], "reads clocks"),
    (&[SYS_nanosleep, SYS_clock_nanosleep], "sleeps"),
    (&[SYS_getitimer, SYS_setitimer], "signal.setitimer"),
    (&[SYS_timer_create, SYS_timer_settime, SYS_timer_gettime], "timeout(1) and Ruby"),
    (&[SYS_timer_getoverrun, SYS_timer_delete], "timeout(1) and Ruby"),
    #[cfg(target_arch = "x86_64")]
    (&[SYS_time, SYS_alarm, SYS_pause], "the same as old binaries say it"),
];

/// What a unix socket can do once it exists. socket(2) and the flags are conditions.
const LOCAL_SOCKETS: &[Row] = &[
    (&[SYS_connect, SYS_bind, SYS_listen, SYS_accept, SYS_accept4], "servers within the jar"),
    (&[SYS_shutdown, SYS_getsockname, SYS_getpeername], "bash asks what its input is"),
    (&[SYS_getsockopt], "multiprocessing asks for buffers"),
];

/// Refused as an unprivileged user is refused, without a word.
const TRIED_BY_ORDINARY_PROGRAMS: &[Row] = &[
    (&[SYS_fchown, SYS_fchownat], "tar, cp and sed carry on; there is one user only"),
    #[cfg(target_arch = "x86_64")]
    (&[SYS_chown, SYS_lchown], "the same as old binaries say it"),
    (
        &[SYS_mlock, SYS_mlock2, SYS_mlockall],
        "memory stays reclaimable; without the right it fails alike",
    ),
    (&[SYS_munlock, SYS_munlockall], "nothing is locked"),
    (&[SYS_sched_setscheduler, SYS_sched_setparam, SYS_sched_setattr], "priority over others"),
    (&[SYS_sched_setaffinity, SYS_ioprio_set], "chooses processors and disk queues for others"),
    (&[SYS_sync, SYS_syncfs], "makes the host write everything back"),
];

/// What a file system without attributes says: with EPERM, `cp -a`, `sed -i` and `install` fail
/// where they copy access lists. Landlock does not see any of these.
const ATTRIBUTES: &[Row] = &[
    (&[SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr], "marks files for others to read"),
    (&[SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr], "the reverse"),
];

/// What descriptors that cannot be spliced say: `grep x >/dev/null` then reads; ENOSYS it reports.
const SPLICES: &[Row] = &[(
    &[SYS_splice, SYS_tee, SYS_vmsplice],
    "writes to cached pages of read-only files: Dirty Pipe",
)];

/// Absent as in an older kernel, without a word. The default says the same; named for the tests.
const PROBED_BY_RUNTIMES: &[Row] = &[
    (&[SYS_clone3], "its flags lie in memory, where no filter sees them; clone is used instead"),
    (
        &[SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register],
        "libuv probes; reads and writes past filters",
    ),
    (&[SYS_pkey_alloc, SYS_pkey_free, SYS_pkey_mprotect], "V8 probes"),
    (&[SYS_get_mempolicy, SYS_set_mempolicy, SYS_mbind], "OpenBLAS binds, and does without"),
    (&[SYS_move_pages, SYS_migrate_pages], "pages of other processes"),
    (&[SYS_pidfd_open, SYS_pidfd_send_signal], "asyncio probes; kill is enough here"),
    (&[SYS_process_madvise], "reaches other processes"),
];

/// What only an administrator may do. The payload has no capability for any of it.
const PRIVILEGED: &[Row] = &[
    (&[SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot], "changes the root file system"),
    (&[SYS_open_tree, SYS_move_mount, SYS_mount_setattr], "mount as newer kernels say it"),
    (&[SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick], "mount as newer kernels say it"),
    (&[SYS_unshare, SYS_setns], "namespaces: every file system bug is within reach as their root"),
    (&[SYS_ptrace, SYS_kcmp], "looks into other processes; ptrace rewrites calls after the filter"),
    (&[SYS_process_vm_readv, SYS_process_vm_writev], "memory of other processes"),
    (&[SYS_bpf, SYS_perf_event_open], "code and counters in the kernel"),
    (&[SYS_setuid, SYS_setreuid, SYS_setresuid, SYS_setfsuid], "becomes another user"),
    (&[SYS_setgid, SYS_setregid, SYS_setresgid, SYS_setfsgid], "becomes another group"),
    (&[SYS_setgroups, SYS_capset], "gains rights"),
    (&[SYS_sethostname, SYS_setdomainname], "renames the host"),
    (&[SYS_clock_settime, SYS_clock_adjtime, SYS_settimeofday, SYS_adjtimex], "sets clocks"),
    (&[SYS_quotactl, SYS_quotactl_fd, SYS_acct], "accounts of the host"),
    (&[SYS_syslog], "reads the kernel's log, and addresses in it"),
    (&[SYS_fanotify_init, SYS_fanotify_mark], "watches whole file systems"),
];

/// What exploits are made of and no runtime needs.
const ATTACK_SURFACE: &[Row] = &[
    (&[SYS_userfaultfd], "stops the kernel in the middle of a copy, for races"),
    (&[SYS_add_key, SYS_request_key, SYS_keyctl], "keyrings are shared by user, not by namespace"),
    (&[SYS_name_to_handle_at], "half of open_by_handle_at"),
    (&[SYS_pidfd_getfd], "takes descriptors of other processes"),
    (&[SYS_memfd_secret], "memory that no limit reclaims"),
    (&[SYS_execveat], "runs files without a name, such as memory files"),
    (&[SYS_shmget, SYS_shmat, SYS_shmctl, SYS_shmdt], "System V memory; heap spray"),
    (&[SYS_msgget, SYS_msgsnd, SYS_msgrcv, SYS_msgctl], "System V messages; heap spray"),
    (&[SYS_semget, SYS_semop, SYS_semtimedop, SYS_semctl], "System V semaphores; heap spray"),
    (&[SYS_mq_open, SYS_mq_unlink, SYS_mq_notify], "message queues"),
    (&[SYS_mq_timedsend, SYS_mq_timedreceive, SYS_mq_getsetattr], "message queues"),
    (&[SYS_landlock_create_ruleset, SYS_landlock_add_rule], "parsers of rules in the kernel"),
    (&[SYS_landlock_restrict_self], "there are 16 domains at most"),
    (&[SYS_seccomp], "filters of its own; a listener of its own"),
];

/// libc has no name for it on every target.
const KEXEC_FILE_LOAD: c_long = if cfg!(target_arch = "x86_64") { 320 } else { 294 };

/// No interpreter makes these: whoever does is an attack under way.
const NEVER_CALLED: &[Row] = &[
    (&[SYS_kexec_load, KEXEC_FILE_LOAD, SYS_reboot], "replaces the kernel"),
    (&[SYS_init_module, SYS_finit_module, SYS_delete_module], "changes the kernel"),
    (&[SYS_swapon, SYS_swapoff, SYS_vhangup], "administers the host"),
    (&[SYS_open_by_handle_at], "opens any inode of a file system by number: Shocker"),
    (&[SYS_nfsservctl, SYS_lookup_dcookie], "gone from current kernels"),
    #[cfg(target_arch = "x86_64")]
    (&[SYS_uselib, SYS__sysctl], "gone from current kernels"),
    #[cfg(target_arch = "x86_64")]
    (&[SYS_iopl, SYS_ioperm], "talks to hardware"),
    #[cfg(target_arch = "x86_64")]
    (&[SYS_modify_ldt], "builds segments that returns to user space have tripped over"),
];
