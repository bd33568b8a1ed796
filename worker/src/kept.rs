//! A jar of a keeper, from the inside: its process 1, and what waits in it for a task.

use std::convert::Infallible;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use belljar_protocol::{Keep, Layer, Prime, Raise, Refusal, Report, Waiting};
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::setsid;

use crate::control::{Control, send_with};
use crate::layers::{descriptors, namespaces, privileges, rootfs};
use crate::stopwatch::{Failure, Step, Stopwatch, doing};
use crate::sys::Fork;
use crate::{confine, init, payload, verify};

/// What says on a tether that a jar stands and can be entered.
pub(crate) const STANDS: &[u8] = b"stands";

/// The namespaces of a jar that whoever enters it enters, that of pids first: it is entered by
/// children alone.
pub(crate) const NAMESPACES: [(&str, CloneFlags); 6] = [
    ("pid", CloneFlags::CLONE_NEWPID),
    ("mnt", CloneFlags::CLONE_NEWNS),
    ("ipc", CloneFlags::CLONE_NEWIPC),
    ("uts", CloneFlags::CLONE_NEWUTS),
    ("cgroup", CloneFlags::CLONE_NEWCGROUP),
    // The keeper's, or one of its own.
    ("net", CloneFlags::CLONE_NEWNET),
];

/// What a template's answer to each request begins with: the name of the jar and the number of the
/// child, or zero, follow.
pub(crate) const FORKED: u8 = b'+';

/// Where a template finds the socket to its keeper.
pub(crate) const SOCKET_FD: i32 = 3;
/// Where it finds the host's /proc.
pub(crate) const PROC_FD: i32 = 4;

/// The descriptors that travel with the order to raise a jar.
pub(crate) struct Belongings {
    /// To the supervisor.
    pub(crate) channel: Control,
    /// From the supervisor, to what waits.
    pub(crate) line: Control,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
    /// To the keeper.
    pub(crate) tether: OwnedFd,
    /// Whoever writes `0` to each is in the cgroups of the jar.
    pub(crate) groups: Vec<File>,
}

impl Belongings {
    /// From what came with an order.
    pub(crate) fn unpack(fds: Vec<OwnedFd>, tether: Option<OwnedFd>) -> Step<Self> {
        let missing = || Failure::because("raise a jar", "descriptors are missing");
        let mut fds = fds.into_iter();
        let mut next = || fds.next().ok_or_else(missing);
        let (channel, line) = (Control::new(next()?), Control::new(next()?));
        let (stdout, stderr) = (next()?, next()?);
        let tether = tether.map_or_else(next, Ok)?;
        let groups = fds.map(File::from).collect();
        Ok(Self { channel, line, stdout, stderr, tether, groups })
    }

    /// Enters the cgroups: before anything is done that they are to count.
    pub(crate) fn join_groups(&mut self) -> Step {
        for group in &mut self.groups {
            group.write_all(b"0").map_err(doing("enter a cgroup"))?;
        }
        self.groups.clear();
        Ok(())
    }

    /// Puts the streams in place. The output belongs to the payload, so that it can be opened
    /// again by name.
    pub(crate) fn place_streams(&self) -> Result<(), Refusal> {
        payload::place(&self.stdout, libc::STDOUT_FILENO, "standard output")?;
        payload::place(&self.stderr, libc::STDERR_FILENO, "standard error")
    }

    /// In the order in which [`Belongings::unpack`] takes them.
    pub(crate) fn all(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let Self { channel, line, stdout, stderr, tether, .. } = self;
        let fixed = [channel.as_fd(), line.as_fd(), stdout, stderr, tether];
        fixed.into_iter().map(AsFd::as_fd).chain(self.groups.iter().map(AsFd::as_fd))
    }

    /// Closes whatever else is open.
    pub(crate) fn keep_only(&self, more: &[&OwnedFd]) -> Step {
        let more = more.iter().map(AsFd::as_fd);
        descriptors::keep_only(&self.all().chain(more).collect::<Vec<_>>())
    }
}

/// Becomes process 1 of a new jar, which keeps `voice` to say why it could not, in the namespaces that the keeper forked it into; and in a
/// child, what waits there.
pub(crate) fn become_jar(
    raise: Raise,
    keep: &Keep,
    proc: OwnedFd,
    voice: &Control,
    mut belongings: Belongings,
) -> Result<Infallible, Refusal> {
    let (jar, identity) = (&keep.jar, raise.identity);
    let mut clock = Stopwatch::default();
    clock.raise(Layer::Descriptors, || belongings.keep_only(&[&proc, voice.as_fd()]))?;
    clock.prepare(Layer::Namespaces, || {
        belongings.join_groups()?;
        // From here on its cgroup is the root of what it sees.
        unshare(CloneFlags::CLONE_NEWCGROUP).map_err(doing("make a cgroup namespace"))
    })?;
    belongings.place_streams()?;
    clock.raise(Layer::Namespaces, || {
        namespaces::hand_over_output(identity)?;
        setsid().map_err(doing("make a session")).map(drop)
    })?;
    let ground = clock.raise(Layer::Rootfs, || rootfs::build_own(jar, identity, proc))?;
    let namespaces = match raise.waiting {
        Waiting::Forked => open_namespaces(&ground).map_err(of_namespaces)?,
        Waiting::Empty | Waiting::Primed => Vec::new(),
    };
    clock.raise(Layer::Privileges, || privileges::renounce_in_lot(identity, &ground))?;
    belongings.channel.send(&Report::InitReady)?;

    let Belongings { channel, line, stdout, stderr, tether, .. } = belongings;
    drop((stdout, stderr));
    if raise.waiting == Waiting::Forked {
        let fds: Vec<_> = namespaces.iter().map(AsFd::as_fd).collect();
        let stands = send_with(&tether, STANDS, &fds);
        stands.map_err(doing("say that the jar stands")).map_err(of_namespaces)?;
        drop((ground, line, tether, namespaces));
        init::reap_until_ended(None, None, &channel, jar.authority); // -> !
    }
    if let Fork::Parent(payload) = confine::split_off_payload()? {
        drop((ground, line, tether));
        init::reap_until_ended(Some(payload), None, &channel, jar.authority); // -> !
    }

    let hatch = confine::payload(jar, ground, &tether, &mut clock)?;
    drop(tether);
    verify::hold(jar, identity, init::PID)?;
    channel.send(&Report::Confined(clock.confinement()))?;
    if let (Waiting::Primed, Prime::Program(launch)) = (raise.waiting, &keep.prime) {
        return payload::become_primed(launch, line.as_fd());
    }
    let Some((task, luggage)) = line.await_task()? else {
        return Err(of_namespaces(Failure::because("await a task", "none will come")));
    };
    payload::furnish(&task, &luggage, hatch.as_ref())?;
    payload::become_payload(&task, jar.delivery, &luggage)
}

/// The namespaces of this process, for somebody to enter who may not look into it.
fn open_namespaces(ground: &rootfs::Ground) -> Step<Vec<OwnedFd>> {
    let open = |(name, _): &(&str, _)| {
        ground.open_proc(&format!("self/ns/{name}")).map_err(doing("open a namespace"))
    };
    NAMESPACES.iter().map(open).collect()
}

fn of_namespaces(failure: Failure) -> Refusal {
    failure.of(Layer::Namespaces)
}
