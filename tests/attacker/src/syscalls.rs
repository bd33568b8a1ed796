//! Calls into the kernel that no interpreter needs (A01 to A19).

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc::{self, c_long};
use nix::unistd::{getpid, getppid};

use crate::exec;
use crate::scratch::Scratch;
use crate::sys::{self, call};
use crate::tries::{Finding, Tries, errno};

pub(crate) fn io_uring() -> Finding {
    let mut tries = Tries::new();
    tries.attempt("io_uring_setup", || call!(libc::SYS_io_uring_setup, 8, &mut [0u8; 120]));
    tries.finding()
}

pub(crate) fn userfaultfd() -> Finding {
    const USER_MODE_ONLY: i32 = 1;
    let mut tries = Tries::of_files();
    tries.attempt("userfaultfd", || call!(libc::SYS_userfaultfd, USER_MODE_ONLY));
    tries.attempt("/dev/userfaultfd", || File::open("/dev/userfaultfd").map_err(errno));
    tries.finding()
}

pub(crate) fn bpf() -> Finding {
    const MAP_CREATE: i32 = 0;
    const PROG_LOAD: i32 = 5;
    // An array of one 4-byte element: type, key size, value size, entries.
    let array: [u32; 18] = [2, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut tries = Tries::new();
    tries.attempt("bpf(MAP_CREATE)", || call!(libc::SYS_bpf, MAP_CREATE, &array, 72));
    tries.attempt("bpf(PROG_LOAD)", || call!(libc::SYS_bpf, PROG_LOAD, &[0u32; 18], 72));
    tries.finding()
}

pub(crate) fn perf() -> Finding {
    // PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK; user space only, as a user may ask for.
    const EXCLUDE_KERNEL_AND_HYPERVISOR: u64 = 0b110_0000;
    let attributes: [u64; 8] = [1 | (64 << 32), 1, 0, 0, 0, EXCLUDE_KERNEL_AND_HYPERVISOR, 0, 0];
    let mut tries = Tries::new();
    tries
        .attempt("perf_event_open", || call!(libc::SYS_perf_event_open, &attributes, 0, -1, -1, 0));
    tries.finding()
}

pub(crate) fn keyrings() -> Finding {
    const SESSION: i32 = -3;
    const PROCESS: i32 = -2;
    let (kind, name) = (c"user", c"belljar");
    let mut tries = Tries::of_files();
    tries.attempt("keyctl(GET_KEYRING_ID)", || call!(libc::SYS_keyctl, 0, SESSION, 0));
    tries.attempt("add_key", || call!(libc::SYS_add_key, kind, name, b"x", 1, PROCESS));
    tries.attempt("request_key", || call!(libc::SYS_request_key, kind, name, 0, 0));
    tries.attempt("/proc/keys", || File::open("/proc/keys").map_err(errno));
    tries.finding()
}

const NAMESPACES: [(&str, i32); 7] = [
    ("NEWUSER", libc::CLONE_NEWUSER),
    ("NEWNS", libc::CLONE_NEWNS),
    ("NEWPID", libc::CLONE_NEWPID),
    ("NEWNET", libc::CLONE_NEWNET),
    ("NEWIPC", libc::CLONE_NEWIPC),
    ("NEWUTS", libc::CLONE_NEWUTS),
    ("NEWCGROUP", libc::CLONE_NEWCGROUP),
];

pub(crate) fn namespaces() -> Finding {
    let mut tries = Tries::new();
    for (name, flag) in NAMESPACES {
        tries.attempt(&format!("unshare({name})"), || call!(libc::SYS_unshare, flag));
        // Without a stack of its own the grandchild goes on like this child, and ends with it.
        tries.attempt(&format!("clone({name})"), || {
            call!(libc::SYS_clone, flag | libc::SIGCHLD, 0, 0, 0, 0)
        });
        let mut request = [0i64; 8];
        let [flags, _, _, _, exit_signal, ..] = &mut request;
        (*flags, *exit_signal) = (flag.into(), libc::SIGCHLD.into());
        tries.attempt(&format!("clone3({name})"), || call!(libc::SYS_clone3, &request, 64));
    }
    tries.finding()
}

pub(crate) fn setns() -> Finding {
    let mut tries = Tries::new();
    for name in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        let path = format!("/proc/self/ns/{name}");
        let Ok(namespace) = File::open(&path) else {
            tries.absent(&format!("{path} cannot be opened"));
            continue;
        };
        tries.attempt(&format!("setns({name})"), || {
            call!(libc::SYS_setns, namespace.as_raw_fd(), 0)
        });
    }
    tries.attempt("setns(pidfd)", || {
        let own = call!(libc::SYS_pidfd_open, getpid().as_raw(), 0)?;
        call!(libc::SYS_setns, own, libc::CLONE_NEWUTS)
    });
    tries.finding()
}

pub(crate) fn mounts() -> Finding {
    const ATTRIBUTES: [u64; 4] = [1, 0, 0, 0]; // MOUNT_ATTR_RDONLY
    const PICK: i32 = 1; // FSPICK_CLOEXEC
    let Ok(scratch) = Scratch::open() else {
        return Finding::Inconclusive("no directory to mount on".to_owned());
    };
    let Ok(target) = std::ffi::CString::new(scratch.as_os_str().as_encoded_bytes()) else {
        return Finding::Inconclusive("the directory has a NUL in its name".to_owned());
    };
    let (target, root, tmpfs) = (target.as_c_str(), c"/", c"tmpfs");
    let here = libc::AT_FDCWD;
    let mut tries = Tries::new();
    let mut attempt = |what: &str, attack: &dyn Fn() -> nix::Result<i64>| {
        tries.attempt(what, || {
            contained()?;
            attack()
        });
    };
    attempt("mount", &|| call!(libc::SYS_mount, tmpfs, target, tmpfs, 0, 0));
    attempt("bind mount", &|| call!(libc::SYS_mount, root, target, 0, libc::MS_BIND, 0));
    attempt("fsopen", &|| call!(libc::SYS_fsopen, tmpfs, 0));
    attempt("fspick", &|| call!(libc::SYS_fspick, here, root, PICK));
    attempt("open_tree", &|| call!(libc::SYS_open_tree, here, root, 1 | libc::AT_RECURSIVE));
    attempt("move_mount", &|| call!(libc::SYS_move_mount, -1, c"", here, target, 4));
    attempt("mount_setattr", &|| call!(libc::SYS_mount_setattr, here, root, 0, &ATTRIBUTES, 32));
    attempt("umount2", &|| call!(libc::SYS_umount2, c"/proc", libc::MNT_DETACH));
    attempt("pivot_root", &|| call!(libc::SYS_pivot_root, target, target));
    attempt("chroot", &|| call!(libc::SYS_chroot, target));
    tries.finding()
}

/// Keeps a mount that succeeds away from the host: in a mount namespace of its own, from which
/// nothing propagates back. Where that is refused without a filter, the attack must not go on.
fn contained() -> nix::Result<()> {
    let entered = call!(libc::SYS_unshare, libc::CLONE_NEWNS)
        .or_else(|_| call!(libc::SYS_unshare, libc::CLONE_NEWUSER | libc::CLONE_NEWNS));
    if entered.is_ok() {
        call!(libc::SYS_mount, 0, c"/", 0, libc::MS_REC | libc::MS_PRIVATE, 0)?;
    } else if nix::unistd::geteuid().is_root() {
        return Err(Errno::EPERM);
    }
    Ok(())
}

pub(crate) fn ptrace() -> Finding {
    const SEIZE: i32 = 0x4206;
    let mut tries = Tries::new();
    tries.attempt("ptrace(TRACEME)", || call!(libc::SYS_ptrace, 0, 0, 0, 0));
    // SEIZE stops nobody, and the tracee is let go when this child ends.
    for (who, pid) in neighbours() {
        tries.attempt(&format!("ptrace(SEIZE, {who})"), || {
            call!(libc::SYS_ptrace, SEIZE, pid, 0, 0)
        });
    }
    tries.finding()
}

/// Whom a payload would like to look into: init, its parent, and itself seen from a child.
fn neighbours() -> [(&'static str, i32); 3] {
    [("pid 1", 1), ("the parent", getppid().as_raw()), ("a sibling", getpid().as_raw())]
}

pub(crate) fn process_memory() -> Finding {
    let mut tries = Tries::new();
    let mut buffer = [0u8; 8];
    let size = buffer.len();
    for (who, pid) in neighbours() {
        // The address is the same in a sibling, and nowhere else: elsewhere EFAULT is a success.
        let address = buffer.as_ptr().expose_provenance();
        let (local, remote) = ([address, size], [address, size]);
        for (name, number) in [
            ("process_vm_readv", libc::SYS_process_vm_readv),
            ("process_vm_writev", libc::SYS_process_vm_writev),
        ] {
            // Writing into a stranger could change it: there, the only remote address is null.
            let remote = if pid == getpid().as_raw() { remote } else { [0, size] };
            tries.attempt(&format!("{name}({who})"), || {
                call!(number, pid, &local, 1, &remote, 1, 0)
            });
        }
    }
    buffer.fill(0);
    tries.finding()
}

pub(crate) fn pidfds() -> Finding {
    let mut tries = Tries::new();
    for (who, pid) in neighbours() {
        tries.attempt(&format!("pidfd_open({who})"), || call!(libc::SYS_pidfd_open, pid, 0));
        tries.attempt(&format!("pidfd_getfd({who})"), || {
            let process = call!(libc::SYS_pidfd_open, pid, 0)?;
            call!(libc::SYS_pidfd_getfd, process, 0, 0)
        });
    }
    tries.finding()
}

pub(crate) fn process_relatives() -> Finding {
    let own = getpid().as_raw();
    let mut tries = Tries::new();
    tries.attempt("kcmp", || call!(libc::SYS_kcmp, own, own, 0, 0, 0));
    tries.attempt("process_madvise", || call!(libc::SYS_process_madvise, -1, 0, 0, 0, 0));
    tries.attempt("process_mrelease", || call!(libc::SYS_process_mrelease, -1, 0));
    tries.finding()
}

pub(crate) fn file_handles() -> Finding {
    let mut handle = [128u32; 34];
    let mut mount = 0i32;
    let mut tries = Tries::new();
    tries.attempt("name_to_handle_at", || {
        let here = libc::AT_FDCWD;
        call!(libc::SYS_name_to_handle_at, here, c"/", &mut handle, &mut mount, 0)
    });
    die_by(tries, "open_by_handle_at", || {
        call!(libc::SYS_open_by_handle_at, libc::AT_FDCWD, &handle, 0)
    })
}

/// The last try of an attack that must not survive: made by this process itself.
fn die_by(mut tries: Tries, what: &str, attack: impl Fn() -> nix::Result<i64>) -> Finding {
    if tries.fatal(what, &attack) && tries.held_so_far() {
        let survived = attack();
        tries.note(true, format!("{what}: survived, {survived:?}"));
    }
    tries.finding()
}

/// Calls that only an administrator makes, each with arguments that are refused once the
/// permission was granted.
const ADMINISTRATION: &[(&str, c_long, [i32; 2])] = &[
    ("kexec_load", libc::SYS_kexec_load, [0, 17]),
    ("kexec_file_load", libc::SYS_kexec_file_load, [-1, -1]),
    ("init_module", libc::SYS_init_module, [0, 0]),
    ("finit_module", libc::SYS_finit_module, [-1, 0]),
    ("reboot", libc::SYS_reboot, [0, 0]),
    #[cfg(target_arch = "x86_64")]
    ("iopl", libc::SYS_iopl, [3, 0]),
    #[cfg(target_arch = "x86_64")]
    ("ioperm", libc::SYS_ioperm, [0x80, 1]),
    #[cfg(target_arch = "x86_64")]
    ("modify_ldt", libc::SYS_modify_ldt, [2, 0]),
];

pub(crate) fn administration() -> Finding {
    let mut tries = Tries::new();
    for &(name, number, [first, second]) in ADMINISTRATION {
        tries.fatal(name, || call!(number, first, second));
    }
    tries.fatal("delete_module", || {
        call!(libc::SYS_delete_module, c"belljar_none", libc::O_NONBLOCK)
    });
    tries.fatal("swapon", || call!(libc::SYS_swapon, c"/nonexistent", 0));
    die_by(tries, "swapoff", || call!(libc::SYS_swapoff, c"/nonexistent"))
}

pub(crate) fn foreign_architecture() -> Finding {
    const GETPID_I386: u32 = 20;
    let mut tries = Tries::of_files();
    tries.attempt("exec of an i386 program", || {
        let scratch = Scratch::open().map_err(errno)?;
        exec::ran(&exec::plant(&scratch, "i386", exec::I386_PROGRAM).map_err(errno)?, &[])
    });
    if cfg!(target_arch = "x86_64") {
        die_by(tries, "int 0x80", || sys::int80(GETPID_I386))
    } else {
        tries.finding()
    }
}

pub(crate) fn x32() -> Finding {
    const X32_BIT: c_long = 0x4000_0000;
    let mut tries = Tries::new();
    tries.attempt("getpid with the x32 bit", || call!(libc::SYS_getpid | X32_BIT));
    tries.finding()
}

pub(crate) fn own_filter() -> Finding {
    const ALLOW: u64 = 0x7fff_0000_0000_0006; // BPF_RET | BPF_K, SECCOMP_RET_ALLOW
    let instruction = ALLOW;
    let program = [1u64, std::ptr::from_ref(&instruction).expose_provenance() as u64];
    let new_listener = 8;
    let mut tries = Tries::new();
    tries.attempt("seccomp(NEW_LISTENER)", || {
        call!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)?;
        call!(libc::SYS_seccomp, 1, new_listener, &program)
    });
    tries.attempt("prctl(SET_SECCOMP)", || {
        call!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)?;
        call!(libc::SYS_prctl, libc::PR_SET_SECCOMP, 2, &program)
    });
    tries.finding()
}

pub(crate) fn personality() -> Finding {
    const PER_LINUX32: i32 = 8;
    let mut tries = Tries::new();
    for (name, flag) in [
        ("ADDR_NO_RANDOMIZE", libc::ADDR_NO_RANDOMIZE),
        ("READ_IMPLIES_EXEC", libc::READ_IMPLIES_EXEC),
        ("MMAP_PAGE_ZERO", libc::MMAP_PAGE_ZERO),
        ("PER_LINUX32", PER_LINUX32),
    ] {
        tries.attempt(name, || call!(libc::SYS_personality, flag));
    }
    tries.finding()
}

pub(crate) fn prctl() -> Finding {
    let mut tries = Tries::new();
    for (name, option, argument) in [
        ("SET_DUMPABLE", libc::PR_SET_DUMPABLE, 1),
        ("SET_PDEATHSIG", libc::PR_SET_PDEATHSIG, 0),
        ("SET_PTRACER", libc::PR_SET_PTRACER, -1),
        ("SET_MM", libc::PR_SET_MM, libc::PR_SET_MM_BRK),
        ("SET_TSC", libc::PR_SET_TSC, libc::PR_TSC_ENABLE),
        ("SET_CHILD_SUBREAPER", libc::PR_SET_CHILD_SUBREAPER, 1),
        ("SET_KEEPCAPS", libc::PR_SET_KEEPCAPS, 0),
        ("SET_SECUREBITS", libc::PR_SET_SECUREBITS, 0),
        ("CAP_AMBIENT", libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL),
    ] {
        tries.attempt(name, || call!(libc::SYS_prctl, option, argument, 0, 0, 0));
    }
    tries.finding()
}
