//! The warden of many jars: raises them, answers what seccomp refused in them, reaps what was
//! forked into them, and takes all of them with it.
//!
//! It is process 1 of a pid namespace above those of its jars: however it ends, the kernel ends
//! everything in them. What they share is the root that it built, read-only, and an empty network.

use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};
use std::process;
use std::time::Instant;

use belljar_protocol::{Authority, Keep, Layer, Note, Order, Prime, Raise, Refusal, Report};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::control::{Control, Luggage};
use crate::kept::{self, Belongings};
use crate::layers::{namespaces, rootfs};
use crate::stopwatch::{Failure, Step, best_effort, doing};
use crate::sys::{self, Fork, Reaped};
use crate::{FAILED, payload};

mod flock;
mod nursery;

use flock::{Flock, Member};
use nursery::{News, Nursery};

/// The first Landlock ABI that keeps jars in one network apart: by abstract socket names.
const LANDLOCK_WITH_SCOPES: i32 = 6;

/// Becomes the keeper.
pub(crate) fn keep(keep: Keep, luggage: Luggage, control: &Control) -> Result<Infallible, Refusal> {
    let authority = keep.jar.authority;
    if !authority.makes_namespaces() {
        return Err(of_namespaces(Failure::because("keep jars", "no namespace can be made")));
    }
    let note = namespaces::claim_authority(authority, luggage.ground.as_ref());
    let note = note.map_err(of_namespaces)?;
    let sources = rootfs::open_sources(&keep.jar).map_err(of_namespaces)?;
    if let (Authority::Host, Some(lot)) = (authority, &luggage.ground) {
        // Its host id stays that of root until it settles.
        namespaces::enter_lot(lot).map_err(of_namespaces)?;
    }
    let forked = sys::fork_into(libc::CLONE_NEWPID).map_err(doing("make a pid namespace"));
    if let Fork::Parent(keeper) = forked.map_err(of_namespaces)? {
        drop((sources, luggage, keep));
        outlive(keeper); // -> !
    }

    let memfd = settle(authority).map_err(of_namespaces)?;
    let proc = rootfs::build_shared(&keep.jar, &luggage, sources);
    let proc = proc.map_err(|failure| failure.of(Layer::Rootfs))?;
    drop(luggage);
    silence()?;
    let template = match &keep.prime {
        Prime::Template(launch) => Some(Nursery::found(&keep, launch, &proc)?),
        Prime::Nothing | Prime::Program(_) => None,
    };
    let notes = note.into_iter().chain(memfd).collect();
    control.send(&Report::Keeping(notes))?;
    let namespaces = of_a_jar(keep.own_networks);
    let mut keeper = Keeper { flock: Flock::default(), namespaces, keep, proc, template };
    keeper.serve(control).map_err(of_namespaces)
}

/// The process that the supervisor knows: it stays until the keeper is gone.
#[expect(clippy::exit, reason = "it has no other purpose")]
fn outlive(keeper: Pid) -> ! {
    sys::close_streams();
    best_effort(sys::close_from(3, 0));
    while waitpid(keeper, None) == Err(Errno::EINTR) {}
    process::exit(FAILED.into())
}

/// Takes the keeper's place in namespaces of its own.
fn settle(authority: Authority) -> Step<Option<Note>> {
    // Only host root may, and only for its own new pid namespace.
    let executable_memfd_stays =
        !(authority == Authority::Host && namespaces::forbid_executable_memfd());
    let flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWNET;
    unshare(flags).map_err(doing("make namespaces"))?;
    namespaces::take_ids(belljar_protocol::Identity { uid: 0, gid: 0 })?;
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(doing("die with the supervisor's child"))?;
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map_err(doing("set no_new_privs"))?;
    namespaces::part_with_the_host()?;
    Ok(executable_memfd_stays.then_some(Note::MemfdBySeccompOnly))
}

/// Nobody listens to what it or a template prints; and its streams stay taken, so that no
/// descriptor that arrives lands on their numbers.
fn silence() -> Result<(), Refusal> {
    let nothing = std::fs::File::options().write(true).open("/dev/null");
    let nothing = nothing.map_err(doing("open /dev/null")).map_err(of_namespaces)?.into();
    payload::place_nothing()?;
    payload::place(&nothing, libc::STDOUT_FILENO, "standard output")?;
    payload::place(&nothing, libc::STDERR_FILENO, "standard error")
}

/// What a jar has of its own beside what it unshares itself. The empty network is shared: there
/// is nothing in it but names of abstract sockets, which Landlock scopes.
fn of_a_jar(own_network: bool) -> i32 {
    let own = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    let is_shared = !own_network && sys::landlock_abi() >= LANDLOCK_WITH_SCOPES;
    if is_shared { own } else { own | libc::CLONE_NEWNET }
}

struct Keeper {
    keep: Keep,
    /// The host's /proc, held open without being visible.
    proc: OwnedFd,
    namespaces: i32,
    template: Option<Nursery>,
    flock: Flock,
}

impl Keeper {
    /// Serves until the supervisor is gone.
    fn serve(&mut self, control: &Control) -> Step<Infallible> {
        let mut child_ended = SigSet::empty();
        child_ended.add(Signal::SIGCHLD);
        child_ended.thread_block().map_err(doing("hear of children"))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let children = SignalFd::with_flags(&child_ended, flags);
        let children = children.map_err(doing("hear of children"))?;
        loop {
            let (child, order, news, refused) = self.wait(&children, control)?;
            // Before its end, which does not say why.
            if news {
                self.hear_template(control);
            }
            if child {
                best_effort(children.read_signal());
                self.reap(control);
            }
            for serial in refused {
                self.flock.answer(serial, self.template.as_ref());
            }
            self.flock.end_overdue(Instant::now());
            if order {
                self.obey(control)?;
            }
        }
    }

    /// What happened: a child ended, an order came, the template spoke, jars had denials.
    fn wait(&self, children: &SignalFd, control: &Control) -> Step<(bool, bool, bool, Vec<u64>)> {
        let readable = PollFlags::POLLIN;
        let template = self.template.as_ref().map_or(children.as_fd(), |nursery| nursery.as_fd());
        let mut events = vec![
            PollFd::new(children.as_fd(), readable),
            PollFd::new(control.as_fd().as_fd(), readable),
            PollFd::new(template, readable),
        ];
        let heard: Vec<(u64, PollFd<'_>)> = self.flock.news().collect();
        events.extend(heard.iter().map(|(_, event)| event.clone()));
        match poll(&mut events, self.flock.time_left()) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(doing("wait")(errno)),
        }
        let mut happened = events.iter().map(|event| event.any() == Some(true));
        let mut next = || happened.next().unwrap_or(false);
        let (child, order, news) = (next(), next(), next());
        let refused = heard.iter().filter(|_| next()).map(|(serial, _)| *serial).collect();
        Ok((child, order, news && self.template.is_some(), refused))
    }

    fn obey(&mut self, control: &Control) -> Step {
        let (order, fds) = control.receive()?;
        match order {
            Order::Raise(raise) => {
                if let Err(failure) = self.raise(raise, fds) {
                    // Without its jar the channel closes, and that says enough.
                    best_effort(control.send(&Report::Refused(of_namespaces(failure))));
                }
            }
            Order::Fork(fork) => self.flock.fork(fork, self.template.as_ref()),
            Order::Began { serial, deadline_ms } => self.flock.began(serial, deadline_ms),
            Order::Finish { serial } => self.flock.end(serial),
            _ => return Err(Failure::because("obey", "no keeper takes this order")),
        }
        Ok(())
    }

    fn raise(&mut self, raise: Raise, fds: Vec<OwnedFd>) -> Step {
        let (tether, inner) = crate::control::tether().map_err(Failure::from_refusal)?;
        let belongings = Belongings::unpack(fds, Some(inner))?;
        match sys::fork_into(self.namespaces).map_err(doing("make namespaces"))? {
            Fork::Parent(init) => {
                self.flock.add(raise, Member::new(init, tether, belongings, raise.waiting)?);
                Ok(())
            }
            Fork::Child => self.be_jar(raise, belongings),
        }
    }

    /// Nothing of the keeper may run or be dropped in its children.
    fn be_jar(&self, raise: Raise, belongings: Belongings) -> ! {
        best_effort(SigSet::empty().thread_set_mask());
        if let (Ok(voice), Ok(proc)) = (belongings.channel.try_clone(), self.proc.try_clone())
            && let Err(refusal) = kept::become_jar(raise, &self.keep, proc, &voice, belongings)
        {
            best_effort(voice.send(&Report::Refused(refusal)));
        }
        process::exit(FAILED.into())
    }

    fn reap(&mut self, control: &Control) {
        while let Ok(Some(Reaped { pid, status, usage })) = sys::wait_any_with_usage() {
            if self.template.as_ref().is_some_and(|nursery| nursery.is(pid)) {
                self.lose_template(control, &format!("it ended with status {status:#x}"));
            } else {
                self.flock.ended(pid, status, usage);
            }
        }
    }

    fn hear_template(&mut self, control: &Control) {
        let Some(template) = &self.template else { return };
        match template.hear() {
            News::Ready => best_effort(control.send(&Report::TemplateReady)),
            News::Refused(why) => self.lose_template(control, &why),
            News::Forked { serial, payload } => self.flock.forked(serial, payload),
            News::Gone => self.lose_template(control, "it hung up"),
        }
    }

    /// Whoever still waits to be forked will not be.
    fn lose_template(&mut self, control: &Control, why: &str) {
        if let Some(template) = self.template.take() {
            template.end();
            best_effort(control.send(&Report::TemplateLost(why.to_owned())));
            self.flock.end_unforked();
        }
    }
}

fn of_namespaces(failure: Failure) -> Refusal {
    failure.of(Layer::Namespaces)
}
