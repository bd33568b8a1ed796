//! The template of a keeper: a trusted interpreter that forks itself into jars.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process;

use belljar_protocol::{Identity, Keep, Launch, Layer, Order, Refusal, wire};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{Pid, setsid};

use crate::control::{self, receive_with, send_with};
use crate::kept::{Belongings, FORKED, PROC_FD, SOCKET_FD};
use crate::layers::{descriptors, rlimits, rootfs};
use crate::stopwatch::{Failure, Step, best_effort, doing};
use crate::sys::{self, Fork};
use crate::{FAILED, payload};

const READY: &[u8] = b"ready";
const REFUSED: u8 = b'!';
/// Above everything that has a fixed number.
const OUT_OF_THE_WAY: i32 = 10;
const NEWS_BYTES: usize = 4096;

/// The keeper's end.
pub(super) struct Nursery {
    pid: Pid,
    socket: OwnedFd,
    /// What it prints. Nobody reads it, but streams are what those of its children will be.
    _output: OwnedFd,
}

/// What a template says.
pub(super) enum News {
    Ready,
    Refused(String),
    /// What was forked into a jar, if anything was.
    Forked {
        serial: u64,
        payload: Option<Pid>,
    },
    Gone,
}

impl Nursery {
    /// Starts the template. It is not ready before it says so.
    pub(super) fn found(keep: &Keep, launch: &Launch, proc: &OwnedFd) -> Result<Self, Refusal> {
        let (socket, theirs) = control::tether()?;
        let failed = |failure: Failure| failure.of(Layer::Namespaces);
        // The first thing it hears: what its children are to be like.
        let order = Order::Keep(Box::new(Keep {
            jar: keep.jar.clone(),
            prime: belljar_protocol::Prime::Nothing,
            own_networks: keep.own_networks,
            template_bytes: keep.template_bytes,
        }));
        let order = wire::encode_order(&order)
            .map_err(|error| failed(Failure::because("describe a jar", error.to_string())))?;
        send_with(&socket, &order, &[]).map_err(doing("describe a jar")).map_err(failed)?;
        let (output, printed) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .map_err(doing("make a pipe"))
            .map_err(failed)?;
        match sys::fork().map_err(doing("split off a template")).map_err(failed)? {
            Fork::Parent(pid) => Ok(Self { pid, socket, _output: output }),
            Fork::Child => become_template(keep, launch, &theirs, proc, &printed),
        }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn is(&self, pid: Pid) -> bool {
        self.pid == pid
    }

    /// Asks for a child in the jar of these namespaces.
    pub(super) fn fork_into(
        &self,
        fork: belljar_protocol::Fork,
        namespaces: &[OwnedFd],
        belongings: &Belongings,
    ) -> Step {
        let order = wire::encode_order(&Order::Fork(fork))
            .map_err(|error| Failure::because("ask for a child", error.to_string()))?;
        let fds: Vec<_> = namespaces.iter().map(AsFd::as_fd).chain(belongings.all()).collect();
        send_with(&self.socket, &order, &fds).map_err(doing("ask for a child"))
    }

    pub(super) fn hear(&self) -> News {
        let mut word = [0; NEWS_BYTES];
        let mut hear = || receive_with(&self.socket, &mut word);
        // Told once, and before what is queued: it ended with its first order unread.
        let is_reset = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionReset;
        let heard = hear().or_else(|error| if is_reset(&error) { hear() } else { Err(error) });
        let Ok((bytes, _)) = heard else { return News::Gone };
        match word.get(..bytes).unwrap_or_default() {
            [] => News::Gone,
            READY => News::Ready,
            [REFUSED, why @ ..] => News::Refused(String::from_utf8_lossy(why).into_owned()),
            [FORKED, reply @ ..] => reply_of(reply).unwrap_or(News::Gone),
            _ => News::Gone,
        }
    }

    pub(super) fn end(self) {
        best_effort(kill(self.pid, Signal::SIGKILL));
    }
}

/// The name of the jar, and the number of the child or zero.
fn reply_of(reply: &[u8]) -> Option<News> {
    let (serial, rest) = reply.split_first_chunk::<8>()?;
    let child = i32::from_le_bytes(*rest.first_chunk::<4>()?);
    let payload = (child > 0).then(|| Pid::from_raw(child));
    Some(News::Forked { serial: u64::from_le_bytes(*serial), payload })
}

#[expect(clippy::exit, reason = "nothing of the keeper may run or be dropped in its children")]
fn become_template(
    keep: &Keep,
    launch: &Launch,
    socket: &OwnedFd,
    proc: &OwnedFd,
    output: &OwnedFd,
) -> ! {
    best_effort(SigSet::empty().thread_set_mask());
    let placed = payload::place(output, libc::STDOUT_FILENO, "standard output")
        .and_then(|()| payload::place(output, libc::STDERR_FILENO, "standard error"));
    let refusal = match placed.and_then(|()| execute(keep, launch, socket, proc)) {
        Ok(never) => match never {},
        Err(refusal) => refusal,
    };
    let why = format!("{}{refusal}", char::from(REFUSED));
    best_effort(send_with(socket, why.as_bytes(), &[]));
    process::exit(FAILED.into())
}

/// Its own root is like that of its children, who leave it for theirs.
fn execute(
    keep: &Keep,
    launch: &Launch,
    socket: &OwnedFd,
    proc: &OwnedFd,
) -> Result<std::convert::Infallible, Refusal> {
    let failed = |failure: Failure| failure.of(Layer::Namespaces);
    setsid().map_err(doing("make a session")).map_err(failed)?;
    unshare(CloneFlags::CLONE_NEWNS).map_err(doing("make a mount namespace")).map_err(failed)?;
    let own = Identity { uid: 0, gid: 0 };
    let kept = proc.try_clone().map_err(doing("keep /proc")).map_err(failed)?;
    drop(rootfs::build_own(&keep.jar, own, kept).map_err(failed)?);
    rlimits::bound(keep.template_bytes).map_err(failed)?;
    let aside = |fd: &OwnedFd| {
        fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(OUT_OF_THE_WAY))
            .map(sys::adopt)
            .map_err(doing("keep a descriptor"))
            .map_err(failed)
    };
    let (socket, proc) = (aside(socket)?, aside(proc)?);
    descriptors::keep_only(&[socket.as_fd(), proc.as_fd()]).map_err(failed)?;
    payload::place(&socket, SOCKET_FD, "the socket of a template")?;
    payload::place(&proc, PROC_FD, "the host's /proc")?;
    payload::execute(&launch.program, &launch.argv, &launch.env)
}
