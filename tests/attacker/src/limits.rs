//! Going past ceilings that are counted, not measured (A73 to A75, A77, A78).

use std::env;
use std::fs;
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise, sigprocmask};
use nix::sys::wait::WaitStatus;
use nix::unistd::{getpid, getppid, gettid, pipe};

use crate::scratch::Scratch;
use crate::sys::{self, call};
use crate::tries::{Finding, Tries, either_way, in_child};

/// Beyond what any jar grants, and within what the open does.
const AIM: usize = 600;

/// Makes `AIM` of something, and keeps them.
fn hoard<T>(what: &str, tries: &mut Tries, make: impl Fn() -> nix::Result<T>) {
    let mut kept = Vec::new();
    let refused = loop {
        match make() {
            Ok(_) if kept.len() == AIM => break None,
            Ok(one) => kept.push(one),
            Err(errno) => break Some(errno),
        }
    };
    let count = kept.len();
    match refused {
        Some(errno) => tries.note(false, format!("{what}: {errno:?} after {count}")),
        None => tries.note(true, format!("{count} {what}s")),
    }
}

pub(crate) fn pipes() -> Finding {
    let mut tries = Tries::new();
    tries.attempt("F_SETPIPE_SZ", || {
        let (_read, write) = pipe()?;
        call!(libc::SYS_fcntl, write.as_raw_fd(), libc::F_SETPIPE_SZ, 1 << 20)
    });
    hoard("pipe", &mut tries, || {
        let (read, write) = pipe()?;
        either_way(nix::unistd::write(&write, &[0x55; 4096]));
        Ok((read, write))
    });
    tries.finding()
}

pub(crate) fn timers_and_signals() -> Finding {
    const QUEUED: i32 = -1; // SI_QUEUE
    let (own, thread) = (getpid().as_raw(), gettid().as_raw());
    let signal = libc::SIGRTMIN();
    let mut tries = Tries::new();
    either_way(sigprocmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), None));
    hoard("timer", &mut tries, || {
        call!(libc::SYS_timer_create, libc::CLOCK_MONOTONIC, 0, &mut 0i32)
    });
    let mut information = [0i32; 32];
    let [number, _, code, ..] = &mut information;
    (*number, *code) = (signal, QUEUED);
    hoard("queued signal", &mut tries, || {
        call!(libc::SYS_rt_tgsigqueueinfo, own, thread, signal, &information)
    });
    tries.finding()
}

pub(crate) fn descriptors() -> Finding {
    let mut tries = Tries::new();
    for (what, number) in [
        ("eventfd", libc::SYS_eventfd2),
        ("epoll", libc::SYS_epoll_create1),
        ("inotify", libc::SYS_inotify_init1),
    ] {
        hoard(what, &mut tries, || call!(number, 0, 0));
        // The next kind starts afresh.
        either_way(call!(libc::SYS_close_range, 3, u32::MAX, 0));
    }
    tries.finding()
}

pub(crate) fn raised_limits() -> Finding {
    let mut tries = Tries::new();
    for resource in [
        Resource::RLIMIT_NOFILE,
        Resource::RLIMIT_NPROC,
        Resource::RLIMIT_CPU,
        Resource::RLIMIT_FSIZE,
        Resource::RLIMIT_CORE,
        Resource::RLIMIT_STACK,
        Resource::RLIMIT_AS,
        Resource::RLIMIT_DATA,
        Resource::RLIMIT_MEMLOCK,
        Resource::RLIMIT_MSGQUEUE,
        Resource::RLIMIT_NICE,
        Resource::RLIMIT_RTPRIO,
        Resource::RLIMIT_SIGPENDING,
    ] {
        match getrlimit(resource) {
            Ok((soft, hard)) if hard != RLIM_INFINITY => {
                tries.attempt(&format!("{resource:?}"), || setrlimit(resource, soft, hard + 1));
            }
            _ => tries.absent(&format!("{resource:?} has no limit")),
        }
    }
    for (who, pid) in [("pid 1", 1), ("the parent", getppid().as_raw())] {
        tries.attempt(&format!("prlimit64({who})"), || {
            call!(libc::SYS_prlimit64, pid, libc::RLIMIT_NOFILE, 0, &mut [0u64; 2])
        });
    }
    tries.finding()
}

/// Dies of a memory fault; children that do so first tell whether a core was dumped.
pub(crate) fn core_dump() -> Finding {
    let mut tries = Tries::new();
    if let Ok(scratch) = Scratch::open() {
        either_way(env::set_current_dir(&*scratch));
        for signal in [Signal::SIGABRT, Signal::SIGQUIT, Signal::SIGSEGV] {
            let ending = in_child(|| {
                either_way(die_of(signal));
                0
            });
            match ending {
                Ok(WaitStatus::Signaled(_, _, dumped)) => {
                    tries.note(dumped, format!("{signal}: core dumped is {dumped}"));
                }
                other => tries.absent(&format!("{signal}: {other:?}")),
            }
        }
        if scratch.is_temporary() {
            either_way(env::set_current_dir("/"));
        } else if !tries.held_so_far() {
            remove_cores(&scratch);
        }
    }
    if tries.held_so_far() {
        either_way(die_of(Signal::SIGSEGV));
    }
    tries.finding()
}

fn die_of(signal: Signal) -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE)?;
    setrlimit(Resource::RLIMIT_CORE, hard, hard)?;
    // The runtime library handles memory faults, to name an overflown stack.
    sys::disposition(signal as i32, false);
    raise(signal)
}

/// What this attack dumped where others will look.
fn remove_cores(scratch: &Scratch) {
    for entry in fs::read_dir(&**scratch).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b"core") {
            either_way(fs::remove_file(entry.path()));
        }
    }
}
