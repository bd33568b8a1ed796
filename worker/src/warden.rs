//! The process outside the jar: outlives it, answers what seccomp refused, and ends it when the
//! supervisor is gone.

use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};
use std::process;
use std::time::{Duration, Instant};

use belljar_protocol::{Layer, Refusal, Report};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::control::Control;
use crate::denials::{Denials, receive_listener};
use crate::stopwatch::{Failure, best_effort, doing};
use crate::{FAILED, descendants, sys};

/// How long after its deadline a run may be the supervisor's to end: longer than it waits for walls
/// to stand, as that time is not the payload's.
pub(crate) const GRACE: Duration = Duration::from_secs(15);

/// Stays until init is dead, and with it everything in the jar.
#[expect(clippy::exit, reason = "the warden never becomes a payload")]
pub(crate) fn outlive(init: Pid, tether: &OwnedFd, control: &Control, deadline_ms: u64) -> ! {
    // A process 1 that is not reaped yet keeps its pid: none of these kills can hit another.
    if let Some(denials) = watch(init, tether, control, deadline_ms) {
        best_effort(kill(init, Signal::SIGKILL).and_then(|()| waitpid(init, None)));
        // Whoever outlives an init that is not process 1 of a namespace is given to the warden.
        descendants::end();
        best_effort(control.send(&Report::Tally(denials.tally)));
    }
    process::exit(FAILED.into())
}

/// Holds an empty user namespace until the supervisor closes the socket.
pub(crate) fn hold_lot(control: &Control) -> Result<Infallible, Refusal> {
    let failed = |failure: Failure| failure.of(Layer::Namespaces);
    unshare(CloneFlags::CLONE_NEWUSER).map_err(doing("make a user namespace")).map_err(failed)?;
    control.send(&Report::LotFounded)?;
    while !control.wants_end() {}
    Err(failed(Failure::because("hold a user namespace", "the supervisor is gone")))
}

fn watch(init: Pid, tether: &OwnedFd, control: &Control, deadline_ms: u64) -> Option<Denials> {
    sys::close_streams();
    let deadline = Instant::now() + Duration::from_millis(deadline_ms) + GRACE;
    let jar = sys::pidfd_open(init).ok()?;
    let mut denials = Denials::default();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // One descriptor at most brings news of denials: the tether until the listener came
        // through it, then the listener until nobody is left to be refused anything.
        let news = denials.listener.as_ref().unwrap_or(tether);
        let mut events = [
            PollFd::new(jar.as_fd(), PollFlags::POLLIN),
            PollFd::new(control.as_fd().as_fd(), hang_up()),
            PollFd::new(news.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut events, timeout(left)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Some(denials),
        }
        let readable = |event: &PollFd<'_>| {
            event.revents().is_some_and(|events| events.contains(PollFlags::POLLIN))
        };
        let [jar_ended, supervisor, refused] = &events;
        if happened(jar_ended) || happened(supervisor) || left.is_zero() {
            return Some(denials);
        }
        if readable(refused) {
            if denials.listener.is_none() {
                denials.listener = receive_listener(tether);
            } else if denials.answer(control) {
                return Some(denials);
            }
        } else if happened(refused) {
            wait_for_end(&jar, control, deadline);
            return Some(denials);
        }
    }
}

/// Everyone whom the filter binds is gone, or never came: the rest is init's to finish.
fn wait_for_end(jar: &OwnedFd, control: &Control, deadline: Instant) {
    let mut events = [
        PollFd::new(jar.as_fd(), PollFlags::POLLIN),
        PollFd::new(control.as_fd().as_fd(), hang_up()),
    ];
    let left = deadline.saturating_duration_since(Instant::now());
    while poll(&mut events, timeout(left)) == Err(Errno::EINTR) {}
}

/// The supervisor closed the socket, or its writing half. nix does not name this event.
pub(crate) fn hang_up() -> PollFlags {
    PollFlags::from_bits_retain(libc::POLLRDHUP)
}

/// Events that nix cannot name are events, too.
pub(crate) fn happened(event: &PollFd<'_>) -> bool {
    event.any() != Some(false)
}

pub(crate) fn timeout(left: Duration) -> PollTimeout {
    i32::try_from(left.as_millis()).map_or(PollTimeout::MAX, |millis| {
        PollTimeout::try_from(millis.saturating_add(1)).unwrap_or(PollTimeout::MAX)
    })
}
