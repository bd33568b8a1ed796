//! Too many processes, deathless ones, and signals to others (A62 to A69, A38, A93).

use std::hint::black_box;
use std::io::{self, Write};
use std::sync::atomic::AtomicU32;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::time::TimeValLike;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, getpid, getppid, pipe, setsid};

use crate::sys::{self, call};
use crate::tries::{Finding, Tries, either_way};

/// Children of this process, and why there are not more.
#[derive(Debug)]
pub(crate) struct Crowd {
    members: Vec<Pid>,
    refused: Option<Errno>,
}

/// Forks `aim` children that each run `body`, as far as that is granted.
pub(crate) fn crowd(aim: usize, body: impl Fn() -> i32) -> Crowd {
    let mut crowd = Crowd { members: Vec::new(), refused: None };
    while crowd.members.len() < aim && crowd.refused.is_none() {
        match sys::fork() {
            Ok(ForkResult::Child) => sys::leave(body()),
            Ok(ForkResult::Parent { child }) => crowd.members.push(child),
            Err(errno) => crowd.refused = Some(errno),
        }
    }
    crowd
}

impl Crowd {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Kills and reaps every member.
    pub(crate) fn end(self) {
        for member in &self.members {
            either_way(kill(*member, Signal::SIGKILL));
        }
        for member in self.members {
            either_way(waitpid(member, None));
        }
    }

    fn finding(self, what: &str) -> Finding {
        let (count, refused) = (self.len(), self.refused);
        self.end();
        match refused {
            Some(errno) => Finding::Held(format!("fork: {errno:?} after {count}")),
            None => Finding::Bit(format!("{count} {what}")),
        }
    }
}

pub(crate) fn fork_bomb() -> Finding {
    let live = crowd(300, || {
        thread::sleep(Duration::from_secs(20));
        0
    });
    live.finding("live processes")
}

pub(crate) fn zombies() -> Finding {
    crowd(1000, || 0).finding("zombies")
}

/// Leaves a process behind that is nobody's child and nobody's session.
pub(crate) fn daemon() -> Finding {
    stay_behind(|| {
        either_way(setsid());
        if let Ok(ForkResult::Parent { .. }) = sys::fork() {
            sys::leave(0);
        }
    })
}

/// Leaves a child behind that keeps the output open.
pub(crate) fn held_output() -> Finding {
    stay_behind(|| ())
}

fn stay_behind(hide: impl FnOnce()) -> Finding {
    match sys::fork() {
        Ok(ForkResult::Child) => {
            hide();
            thread::sleep(Duration::from_secs(2));
            say("bit: alive 2 s after the program ended\n");
            thread::sleep(Duration::from_secs(28));
            sys::leave(0)
        }
        Ok(_) => Finding::Held("unless what stays behind says otherwise in 2 s".to_owned()),
        Err(errno) => Finding::Inconclusive(format!("cannot fork: {errno:?}")),
    }
}

/// Writes to standard output at once; where that is closed, there is nobody to tell.
pub(crate) fn say(text: &str) {
    let mut output = io::stdout();
    either_way(output.write_all(text.as_bytes()).and_then(|()| output.flush()));
}

pub(crate) fn signals_to_others() -> Finding {
    let everybody = Pid::from_raw(-1);
    let mut tries = Tries::of_files();
    // Signal 0 asks for the permission alone.
    for (who, pid) in [("pid 1", Pid::from_raw(1)), ("the parent", getppid())] {
        tries.attempt(&format!("kill({who})"), || kill(pid, None));
    }
    let others = kill(everybody, None);
    tries.note(others.is_ok(), format!("kill(everybody): {others:?}"));
    if others == Err(Errno::ESRCH) {
        // Nobody else is there, so the real thing hits nobody, and init ignores it: where it
        // did not, this process would end with its namespace.
        for signal in [Signal::SIGKILL, Signal::SIGSTOP] {
            either_way(kill(Pid::from_raw(1), signal));
            either_way(kill(everybody, signal));
        }
    }
    tries.finding()
}

pub(crate) fn stopped() -> Finding {
    let own = getpid();
    match sys::fork() {
        // In the open somebody has to wake it up.
        Ok(ForkResult::Child) => {
            thread::sleep(Duration::from_secs(5));
            either_way(kill(own, Signal::SIGCONT));
            sys::leave(0)
        }
        Ok(_) => {
            either_way(raise(Signal::SIGSTOP));
            Finding::Bit("stopped for 5 s".to_owned())
        }
        Err(errno) => Finding::Inconclusive(format!("cannot fork: {errno:?}")),
    }
}

const CPU_AIM: Duration = Duration::from_secs(5);

pub(crate) fn deaf_spinning() -> Finding {
    for number in 1..=64 {
        sys::disposition(number, true);
    }
    burn(CPU_AIM);
    Finding::Bit("5 s of processor time".to_owned())
}

/// A chain of processes, each of which starts the next and ends before its own limit strikes.
pub(crate) fn fork_chain() -> Finding {
    const LINKS: u32 = 7;
    let Ok((read, write)) = pipe() else {
        return Finding::Inconclusive("no pipe".to_owned());
    };
    match sys::fork() {
        Ok(ForkResult::Child) => {
            drop(read);
            for _ in 1..LINKS {
                burn(Duration::from_millis(800));
                // Only the newest process goes on.
                match sys::fork() {
                    Ok(ForkResult::Child) => {}
                    _ => sys::leave(0),
                }
            }
            burn(Duration::from_millis(800));
            either_way(nix::unistd::write(&write, b"x"));
            sys::leave(0)
        }
        Ok(_) => {
            drop(write);
            match nix::unistd::read(&read, &mut [0; 1]) {
                Ok(1) => Finding::Bit(format!("{LINKS} processes of 0.8 s each")),
                _ => Finding::Held("the chain was broken".to_owned()),
            }
        }
        Err(errno) => Finding::Inconclusive(format!("cannot fork: {errno:?}")),
    }
}

/// Spins until this process has used `span` of processor time.
fn burn(span: Duration) {
    while spent() < span {
        for number in 0..100_000u32 {
            black_box(number);
        }
    }
}

fn spent() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Duration::MAX };
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}

pub(crate) fn spinning_threads() -> Finding {
    in_threads(32, || {
        for number in 0..100_000u32 {
            black_box(number);
        }
    })
}

/// Contended priority-inheriting and requeued futexes, and barriers on every processor.
pub(crate) fn futex_storm() -> Finding {
    const GLOBAL_EXPEDITED: i32 = 2;
    const TRYLOCK_PI: i32 = 8;
    const UNLOCK_PI: i32 = 7;
    const CMP_REQUEUE: i32 = 4;
    let (lock, queue) = (AtomicU32::new(0), AtomicU32::new(0));
    in_threads(4, || {
        for _ in 0..1000 {
            either_way(call!(libc::SYS_futex, &lock, TRYLOCK_PI, 0, 0, 0, 0));
            either_way(call!(libc::SYS_futex, &queue, CMP_REQUEUE, 1, 1000, &lock, 0));
            either_way(call!(libc::SYS_futex, &lock, UNLOCK_PI, 0, 0, 0, 0));
            either_way(call!(libc::SYS_membarrier, GLOBAL_EXPEDITED, 0, 0));
        }
    })
}

/// Repeats `work` in as many of `count` threads as there may be, until they have used the aim.
fn in_threads(count: usize, work: impl Fn() + Sync) -> Finding {
    let started = Instant::now();
    let running = thread::scope(|scope| {
        let started = (0..count).filter_map(|_| {
            let repeat = || {
                while spent() < CPU_AIM {
                    work();
                }
            };
            thread::Builder::new().stack_size(64 << 10).spawn_scoped(scope, repeat).ok()
        });
        started.count()
    });
    let seconds = started.elapsed().as_secs_f32();
    Finding::Bit(format!("5 s of processor time in {seconds:.1} s by {running} threads"))
}

/// Claims, by exit code and by output, an end that was not.
pub(crate) fn forged_ending() -> Finding {
    const AS_IF_KILLED: i32 = 137;
    say("{\"status\":\"memory\",\"exit_code\":null,\"signal\":9}\n");
    sys::leave(AS_IF_KILLED)
}
