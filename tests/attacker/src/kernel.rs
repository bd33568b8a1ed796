//! Calls that reach beyond one process: objects, clocks, schedules, devices (A23 to A37, A80).

use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsRawFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::unistd::pipe;

use crate::scratch::Scratch;
use crate::sys::{call, map};
use crate::tries::{Finding, Tries, errno};

pub(crate) fn splice() -> Finding {
    let mut tries = Tries::of_features();
    tries.attempt("splice", || {
        let file = File::open("/proc/self/exe").map_err(errno)?;
        let (_read, write) = pipe()?;
        call!(libc::SYS_splice, file.as_raw_fd(), &mut 0i64, write.as_raw_fd(), 0, 1, 0)
    });
    tries.attempt("vmsplice", || {
        let (_read, write) = pipe()?;
        let byte = b"x";
        let part = [byte.as_ptr().expose_provenance(), 1];
        call!(libc::SYS_vmsplice, write.as_raw_fd(), &part, 1, 0)
    });
    tries.attempt("tee", || {
        let ((from, full), (_read, to)) = (pipe()?, pipe()?);
        nix::unistd::write(&full, b"x")?;
        call!(libc::SYS_tee, from.as_raw_fd(), to.as_raw_fd(), 1, 0)
    });
    tries.finding()
}

pub(crate) fn system_v() -> Finding {
    const REMOVE: i32 = 0;
    let mode = libc::IPC_CREAT | 0o600;
    let mut tries = Tries::of_files();
    tries.attempt("shmget", || {
        let id = call!(libc::SYS_shmget, libc::IPC_PRIVATE, 4096, mode)?;
        call!(libc::SYS_shmctl, id, REMOVE, 0)
    });
    tries.attempt("msgget", || {
        let id = call!(libc::SYS_msgget, libc::IPC_PRIVATE, mode)?;
        call!(libc::SYS_msgctl, id, REMOVE, 0)
    });
    tries.attempt("semget", || {
        let id = call!(libc::SYS_semget, libc::IPC_PRIVATE, 1, mode)?;
        call!(libc::SYS_semctl, id, 0, REMOVE, 0)
    });
    tries.attempt("mq_open", || {
        let name = c"belljar-attack";
        call!(libc::SYS_mq_open, name, libc::O_CREAT | libc::O_RDWR, 0o600, 0)?;
        call!(libc::SYS_mq_unlink, name)
    });
    tries.attempt("/proc/sysvipc/shm", || File::open("/proc/sysvipc/shm").map_err(errno));
    tries.finding()
}

pub(crate) fn secret_memory() -> Finding {
    let mut tries = Tries::new();
    tries.attempt("memfd_secret", || call!(libc::SYS_memfd_secret, 0));
    tries.finding()
}

pub(crate) fn clocks() -> Finding {
    // An impossible length of a tick: refused with EINVAL, once the permission was granted.
    let mut change = [0u64; 26];
    change[0] = libc::ADJ_TICK.into();
    let mut tries = Tries::new();
    tries.attempt("settimeofday", || call!(libc::SYS_settimeofday, 0, 0));
    tries.attempt("adjtimex", || call!(libc::SYS_adjtimex, &mut change));
    tries.attempt("clock_adjtime", || {
        call!(libc::SYS_clock_adjtime, libc::CLOCK_REALTIME, &mut change)
    });
    tries.attempt_blind("clock_settime", Errno::EFAULT, || {
        call!(libc::SYS_clock_settime, libc::CLOCK_REALTIME, 0)
    });
    tries.finding()
}

pub(crate) fn schedules() -> Finding {
    const BEST_EFFORT_4: i32 = (2 << 13) | 4;
    const NOT_A_USER: u32 = 4_294_000_000;
    let (priority, all) = ([1i32], [u64::MAX]);
    let own = libc::PRIO_PROCESS;
    let mut tries = Tries::new();
    tries.attempt("sched_setscheduler(FIFO)", || {
        call!(libc::SYS_sched_setscheduler, 0, libc::SCHED_FIFO, &priority)
    });
    tries.attempt("sched_setaffinity", || call!(libc::SYS_sched_setaffinity, 0, 8, &all));
    tries.attempt("ioprio_set", || call!(libc::SYS_ioprio_set, 1, 0, BEST_EFFORT_4));
    tries.attempt("setpriority(USER)", || {
        call!(libc::SYS_setpriority, libc::PRIO_USER, NOT_A_USER, 0)
    });
    tries.attempt("setpriority(-1)", || call!(libc::SYS_setpriority, own, 0, -1));
    tries.finding()
}

pub(crate) fn locked_memory() -> Finding {
    const BYTES: usize = 64 << 20;
    const REFUSALS: &[Errno] = &[Errno::EPERM, Errno::ENOMEM, Errno::ENOSYS];
    let mut tries = Tries::refused_by(REFUSALS);
    tries.attempt("mlockall", || call!(libc::SYS_mlockall, libc::MCL_CURRENT));
    tries.attempt("mlock", || {
        let memory = map(BYTES, libc::MAP_PRIVATE)?;
        call!(libc::SYS_mlock, memory, BYTES)
    });
    tries.finding()
}

pub(crate) fn device_nodes() -> Finding {
    let mut tries = Tries::new();
    let Ok(scratch) = Scratch::open() else {
        return Finding::Inconclusive("nothing can be written".to_owned());
    };
    for (what, kind, device) in
        [("/dev/mem", libc::S_IFCHR, 0x101), ("the first disk", libc::S_IFBLK, 0x800)]
    {
        let path = scratch.join("device");
        tries.attempt(what, || {
            nix::sys::stat::mknod(
                &path,
                nix::sys::stat::SFlag::from_bits_truncate(kind),
                nix::sys::stat::Mode::S_IRUSR,
                device,
            )?;
            fs::remove_file(&path).map_err(errno)
        });
    }
    tries.finding()
}

pub(crate) fn kernel_log() -> Finding {
    const READ_ALL: i32 = 3;
    let mut tries = Tries::of_files();
    tries.attempt("syslog", || call!(libc::SYS_syslog, READ_ALL, &mut [0u8; 64], 64));
    tries.attempt("/dev/kmsg", || File::open("/dev/kmsg").map_err(errno));
    tries.finding()
}

pub(crate) fn accounting() -> Finding {
    const SYNC_USER_QUOTA: i64 = 0x8000_0100;
    let mut tries = Tries::new();
    tries.attempt("quotactl", || call!(libc::SYS_quotactl, SYNC_USER_QUOTA, 0, 0, 0));
    tries.attempt("acct", || call!(libc::SYS_acct, c"/nonexistent/belljar"));
    tries.finding()
}

pub(crate) fn fanotify() -> Finding {
    const REPORT_FID: i32 = 0x200;
    let mut tries = Tries::new();
    tries.attempt("fanotify_init", || call!(libc::SYS_fanotify_init, 0, libc::O_RDONLY));
    tries.attempt("fanotify_init(FID)", || call!(libc::SYS_fanotify_init, REPORT_FID, 0));
    tries.finding()
}

pub(crate) fn file_notification() -> Finding {
    const DN_CREATE: i32 = 4;
    const F_SETSIG: i32 = 10;
    let mut tries = Tries::new();
    let opened = Scratch::open().and_then(|scratch| {
        let directory = File::open(&*scratch)?;
        let file = File::create(scratch.join("leased"))?;
        Ok((scratch, directory, file))
    });
    let (Ok((_scratch, directory, file)), Ok((read, _write))) = (opened, pipe()) else {
        return Finding::Inconclusive("nothing can be opened".to_owned());
    };
    let mut attempt = |what: &str, descriptor: RawFd, command: i32, argument: i32| {
        tries.attempt(what, || call!(libc::SYS_fcntl, descriptor, command, argument));
    };
    attempt("F_SETLEASE", file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK);
    attempt("F_NOTIFY", directory.as_raw_fd(), libc::F_NOTIFY, DN_CREATE);
    attempt("F_SETPIPE_SZ", read.as_raw_fd(), libc::F_SETPIPE_SZ, 1 << 20);
    attempt("F_SETOWN", read.as_raw_fd(), libc::F_SETOWN, 1);
    attempt("F_SETSIG", read.as_raw_fd(), F_SETSIG, libc::SIGIO);
    tries.finding()
}

pub(crate) fn terminal_controls() -> Finding {
    let mut tries = Tries::of_features();
    let Ok((read, _write)) = pipe() else {
        return Finding::Inconclusive("no pipe".to_owned());
    };
    // On a pipe none of them does anything; ENOTTY tells that the kernel looked.
    for (name, request) in [
        ("TIOCSTI", 0x5412i64),
        ("TIOCSTI with bit 32", 0x1_0000_5412),
        ("TIOCLINUX", 0x541c),
        ("TIOCCONS", 0x541d),
        ("TIOCSETD", 0x5423),
        ("FICLONE", 0x4004_9409),
        ("FS_IOC_SETFLAGS", 0x4008_6602),
    ] {
        tries.attempt(name, || call!(libc::SYS_ioctl, read.as_raw_fd(), request, b"x"));
    }
    tries.finding()
}

pub(crate) fn time_namespace() -> Finding {
    let mut tries = Tries::of_files();
    tries.attempt("unshare(NEWTIME)", || call!(libc::SYS_unshare, libc::CLONE_NEWTIME));
    tries.attempt("timens_offsets", || {
        OpenOptions::new().write(true).open("/proc/self/timens_offsets").map_err(errno)
    });
    tries.finding()
}

pub(crate) fn speculation() -> Finding {
    const ENABLE: i32 = 2;
    const CREATE_COOKIE: i32 = 1;
    const SET_SPECULATION_CTRL: i32 = 53;
    let mut tries = Tries::new();
    for (name, which) in [("store bypass", 0), ("indirect branches", 1), ("L1D flush", 2)] {
        tries.attempt(&format!("speculation: {name}"), || {
            call!(libc::SYS_prctl, SET_SPECULATION_CTRL, which, ENABLE, 0, 0)
        });
    }
    tries.attempt("core scheduling", || {
        call!(libc::SYS_prctl, libc::PR_SCHED_CORE, CREATE_COOKIE, 0, 0, 0)
    });
    tries.finding()
}
