//! The socket to the supervisor, and the short ones between the worker's own three processes.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use belljar_protocol::{
    Contents, Job, Keep, Layer, Network, Order, Refusal, Report, Stdin, Task, wire,
};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    recv, recvmsg, sendmsg, socketpair,
};
use zeroize::Zeroizing;

use crate::stopwatch::{Failure, doing};

/// The worker's end of the control socket. Close-on-exec: the payload never has it.
pub(crate) struct Control(OwnedFd);

/// What a worker was started for.
pub(crate) enum Errand {
    Job(Box<Job>, Luggage),
    Keep(Box<Keep>, Luggage),
    FoundLot,
}

/// The descriptors that travel with an order: those that it speaks of.
#[derive(Default)]
pub(crate) struct Luggage {
    /// The bytes of the jar's files.
    pub(crate) jar_contents: Option<File>,
    /// Where the sockets of its network are handed out.
    pub(crate) gate: Option<OwnedFd>,
    /// The bytes of the task's.
    pub(crate) task_contents: Option<File>,
    /// The payload's standard input.
    pub(crate) stdin: Option<OwnedFd>,
    /// The user namespace that lends its ids, with `Authority::Lent`; the directory that takes the
    /// place of a root, where no namespace can be made.
    pub(crate) ground: Option<OwnedFd>,
}

impl Control {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }

    pub(crate) fn as_fd(&self) -> &OwnedFd {
        &self.0
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Waits for the first order.
    pub(crate) fn receive_errand(&self) -> Result<Errand, Refusal> {
        let lost = |failure: Failure| failure.of(Layer::Descriptors);
        let (order, fds) = self.receive().map_err(lost)?;
        match order {
            Order::Job(job) => {
                let mut luggage = Luggage::default();
                let mut fds = fds.into_iter();
                luggage.jar_contents = file_for(&job.jar.files.contents, &mut fds).map_err(lost)?;
                if let Network::Gate(_) = job.jar.network {
                    luggage.gate = Some(fds.next().ok_or_else(missing).map_err(lost)?);
                }
                luggage.take_for(&job.task, &mut fds).map_err(lost)?;
                luggage.ground = fds.next();
                Ok(Errand::Job(job, luggage))
            }
            Order::Keep(keep) if keep.jar.network != Network::None => {
                Err(lost(Failure::because("keep jars", "nobody would take what they hand out")))
            }
            Order::Keep(keep) => {
                let mut luggage = Luggage::default();
                let mut fds = fds.into_iter();
                luggage.jar_contents =
                    file_for(&keep.jar.files.contents, &mut fds).map_err(lost)?;
                luggage.ground = fds.next();
                Ok(Errand::Keep(keep, luggage))
            }
            Order::FoundLot => Ok(Errand::FoundLot),
            _ => Err(lost(Failure::because("receive a job", "another order came first"))),
        }
    }

    /// Waits until the supervisor has seen the walls.
    pub(crate) fn await_proceed(&self) -> Result<(), Refusal> {
        match self.receive() {
            Ok((Order::Proceed, _)) => Ok(()),
            Ok(_) => {
                Err(Failure::because("start", "the supervisor said otherwise").of(Layer::Seccomp))
            }
            Err(failure) => Err(failure.of(Layer::Seccomp)),
        }
    }

    /// Waits for the task of what is at the end of a line; nothing when there will be none.
    pub(crate) fn await_task(&self) -> Result<Option<(Box<Task>, Luggage)>, Refusal> {
        let lost = |failure: Failure| failure.of(Layer::Seccomp);
        if next_length(&self.0).map_err(doing("await a task")).map_err(lost)? == 0 {
            return Ok(None);
        }
        let (Order::Run(task), fds) = self.receive().map_err(lost)? else {
            return Err(lost(Failure::because("await a task", "another order came")));
        };
        let mut luggage = Luggage::default();
        luggage.take_for(&task, &mut fds.into_iter()).map_err(lost)?;
        Ok(Some((task, luggage)))
    }

    /// Whether the supervisor wants the jar emptied. To be asked when the socket is readable.
    pub(crate) fn wants_end(&self) -> bool {
        matches!(self.receive(), Ok((Order::End, _)) | Err(_))
    }

    pub(crate) fn send(&self, report: &Report) -> Result<(), Refusal> {
        let failed = |failure: Failure| failure.of(Layer::Descriptors);
        let message = wire::encode_report(report)
            .map_err(|error| failed(Failure::because("encode a report", error.to_string())))?;
        send_with(&self.0, &message, &[]).map_err(doing("send a report")).map_err(failed)
    }

    pub(crate) fn receive(&self) -> Result<(Order, Vec<OwnedFd>), Failure> {
        let bytes = next_length(&self.0).map_err(doing("receive an order"))?;
        // Wiped as it drops: the order may hold secrets. And no larger than it has to be, as
        // touching memory is most of what a short-lived process costs.
        let mut buffer = Zeroizing::new(vec![0; bytes.min(wire::MAX_BYTES)]);
        let (_, fds) = receive_with(&self.0, &mut buffer).map_err(doing("receive an order"))?;
        if bytes == 0 {
            return Err(Failure::because("receive an order", "the supervisor is gone"));
        }
        let order = wire::decode_order(&buffer)
            .map_err(|error| Failure::because("understand an order", error.to_string()))?;
        Ok((order, fds))
    }
}

impl Luggage {
    fn take_for(
        &mut self,
        task: &Task,
        fds: &mut impl Iterator<Item = OwnedFd>,
    ) -> Result<(), Failure> {
        self.task_contents = file_for(&task.files.contents, fds)?;
        self.stdin = match task.stdin {
            Stdin::Empty => None,
            Stdin::Sent => Some(fds.next().ok_or_else(missing)?),
        };
        Ok(())
    }
}

fn file_for(
    contents: &Contents,
    fds: &mut impl Iterator<Item = OwnedFd>,
) -> Result<Option<File>, Failure> {
    match contents {
        Contents::Inline(_) => Ok(None),
        Contents::Sent => Ok(Some(fds.next().ok_or_else(missing)?.into())),
    }
}

fn missing() -> Failure {
    Failure::because("receive an order", "descriptors are missing")
}

/// A socket pair between the warden and init. Its end tells either that the other is gone.
pub(crate) fn tether() -> Result<(OwnedFd, OwnedFd), Refusal> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .map_err(doing("make a socket pair"))
        .map_err(|failure: Failure| failure.of(Layer::Namespaces))
}

/// A pipe that closes when the payload executes: until then the control socket is its to read.
pub(crate) fn exec_pipe() -> Result<(File, OwnedFd), Refusal> {
    nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)
        .map(|(read, write)| (read.into(), write))
        .map_err(doing("make a pipe"))
        .map_err(|failure: Failure| failure.of(Layer::Privileges))
}

/// Blocks until the other end of an [`exec_pipe`] is closed everywhere.
pub(crate) fn await_close(pipe: &File) {
    let mut nothing = [0];
    while let Err(error) = { pipe }.read(&mut nothing) {
        if error.kind() != io::ErrorKind::Interrupted {
            break;
        }
    }
}

/// The length of the datagram that comes next, waiting for it; 0 when none will.
fn next_length(socket: &OwnedFd) -> io::Result<usize> {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC;
    loop {
        match recv(socket.as_raw_fd(), &mut [], flags) {
            Err(nix::Error::EINTR) => {}
            other => return Ok(other?),
        }
    }
}

/// How long descriptors of others may be on their way.
const IN_FLIGHT: Duration = Duration::from_secs(5);

/// One datagram, with descriptors. All of a user's that are on their way count against the limit of
/// whoever sends next (`ETOOMANYREFS`, unix(7)), and runs may share a user: who takes theirs is waited
/// for.
pub(crate) fn send_with(socket: &OwnedFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let raw: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let rights = if raw.is_empty() { &[][..] } else { &rights[..] };
    let flags = MsgFlags::MSG_NOSIGNAL;
    let until = Instant::now() + IN_FLIGHT;
    loop {
        let slices = [IoSlice::new(bytes)];
        match sendmsg::<UnixAddr>(socket.as_raw_fd(), &slices, rights, flags, None) {
            Err(Errno::ETOOMANYREFS) if Instant::now() < until => {
                thread::sleep(Duration::from_millis(1));
            }
            sent => return Ok(sent.map(drop)?),
        }
    }
}

/// One datagram of at most the buffer's size, with at most twenty-four descriptors.
pub(crate) fn receive_with(
    socket: &OwnedFd,
    buffer: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut rights = cmsg_space!([i32; 24]);
    let mut slices = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = loop {
        match recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut slices, Some(&mut rights), flags) {
            Err(nix::Error::EINTR) => {}
            other => break other?,
        }
    };
    let mut fds = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = part {
            fds.extend(raw.into_iter().map(crate::sys::adopt));
        }
    }
    if message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok((message.bytes, fds))
}
