//! Process 1 of the jar: reaps, reports how the payload ended, and takes everything with it.

use std::fs::File;
use std::os::fd::AsFd;
use std::process;

use belljar_protocol::{Authority, Ending, Report, Spent};
use nix::errno::Errno;
use nix::libc::{self, c_int};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use crate::FAILED;
use crate::control::{self, Control};
use crate::stopwatch::best_effort;
use crate::{descendants, sys};

/// What it counts as in the jar.
pub(crate) const PID: i32 = 1;

/// Waits for the payload to end, if it is a child of its own, or for the supervisor to want it to, then kills what is left,
/// reaps it, so that its processor time is counted, and reports.
#[expect(clippy::exit, reason = "process 1 ends here, and the kernel ends its namespace with it")]
pub(crate) fn reap_until_ended(
    payload: Option<Pid>,
    executed: Option<&File>,
    control: &Control,
    authority: Authority,
) -> ! {
    let ending = watch(payload, executed, control);
    if authority == Authority::Nothing {
        descendants::kill();
    } else {
        // Everything of the jar, or of the lent id, but init itself; a stopped process dies of it
        // like any other.
        best_effort(kill(Pid::from_raw(-1), Signal::SIGKILL));
    }
    let ending = reap_all(payload, ending);
    let (cpu_micros, largest_resident_bytes) = sys::children_usage();
    if let Some(ending) = ending {
        let report = Report::Ended(ending, Spent { cpu_micros, largest_resident_bytes });
        best_effort(control.send(&report));
    }
    process::exit(FAILED.into())
}

/// How the payload ended, or nothing when the supervisor asked first.
fn watch(payload: Option<Pid>, executed: Option<&File>, control: &Control) -> Option<Ending> {
    close_to_the_payload();
    let mut child_ended = SigSet::empty();
    child_ended.add(Signal::SIGCHLD);
    best_effort(child_ended.thread_block());
    let signals = SignalFd::with_flags(&child_ended, SfdFlags::SFD_CLOEXEC).ok()?;
    sys::close_streams();
    // Until the payload executes, the next order on the socket is meant for it.
    if let Some(executed) = executed {
        control::await_close(executed);
    }
    loop {
        if let Some(ending) = reap_ready(payload) {
            return Some(ending);
        }
        let mut events = [
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(control.as_fd().as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut events, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
        let [child, order] = events.map(|event| event.any().unwrap_or(true));
        if child {
            best_effort(signals.read_signal());
        } else if order && control.wants_end() {
            return None;
        }
    }
}

/// Not dumpable: its memory and descriptors are out of the payload's reach, whose id it shares.
fn close_to_the_payload() {
    #[cfg(feature = "walls-down")]
    if crate::walls::is_left_out(belljar_protocol::Layer::Descriptors) {
        return;
    }
    best_effort(prctl::set_dumpable(false));
}

/// Reaps what has ended, orphans included; the payload's ending if it is among them.
fn reap_ready(payload: Option<Pid>) -> Option<Ending> {
    loop {
        match sys::wait_any(libc::WNOHANG) {
            Ok(None) | Err(_) => return None,
            Ok(Some((pid, status))) if Some(pid) == payload => return Some(ending_of(status)),
            Ok(Some(_)) => {}
        }
    }
}

fn reap_all(payload: Option<Pid>, mut ending: Option<Ending>) -> Option<Ending> {
    loop {
        match sys::wait_any(0) {
            Err(Errno::EINTR) => {}
            Ok(None) | Err(_) => return ending,
            Ok(Some((pid, status))) if Some(pid) == payload => ending = Some(ending_of(status)),
            Ok(Some(_)) => {}
        }
    }
}

pub(crate) fn ending_of(status: c_int) -> Ending {
    if libc::WIFEXITED(status) {
        Ending::Exited(libc::WEXITSTATUS(status))
    } else {
        Ending::Signalled(libc::WTERMSIG(status))
    }
}
