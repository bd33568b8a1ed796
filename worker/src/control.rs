//! The socket to the supervisor, and the short ones between the worker's own three processes.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::os::fd::{AsRawFd, OwnedFd};

use belljar_protocol::{Job, Layer, Order, Refusal, Report, wire};
use nix::cmsg_space;
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
    FoundLot,
}

/// The descriptors that travel with a job.
pub(crate) struct Luggage {
    /// The bytes of the job's files, one after the other.
    pub(crate) contents: File,
    /// The payload's standard input.
    pub(crate) stdin: OwnedFd,
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

    /// Waits for the first order.
    pub(crate) fn receive_errand(&self) -> Result<Errand, Refusal> {
        let lost = |failure: Failure| failure.of(Layer::Descriptors);
        let (order, fds) = self.receive().map_err(lost)?;
        match order {
            Order::Job(job) => {
                let mut fds = fds.into_iter();
                let (Some(contents), Some(stdin)) = (fds.next(), fds.next()) else {
                    return Err(lost(Failure::because("receive a job", "descriptors missing")));
                };
                let luggage = Luggage { contents: contents.into(), stdin, ground: fds.next() };
                Ok(Errand::Job(job, luggage))
            }
            Order::FoundLot => Ok(Errand::FoundLot),
            Order::Proceed | Order::End => {
                Err(lost(Failure::because("receive a job", "another order came first")))
            }
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

    /// Whether the supervisor wants the jar emptied. To be asked when the socket is readable.
    pub(crate) fn wants_end(&self) -> bool {
        !matches!(self.receive(), Ok((Order::Proceed | Order::Job(_) | Order::FoundLot, _)))
    }

    pub(crate) fn send(&self, report: &Report) -> Result<(), Refusal> {
        let failed = |failure: Failure| failure.of(Layer::Descriptors);
        let message = wire::encode_report(report)
            .map_err(|error| failed(Failure::because("encode a report", error.to_string())))?;
        send_with(&self.0, &message, &[]).map_err(doing("send a report")).map_err(failed)
    }

    fn receive(&self) -> Result<(Order, Vec<OwnedFd>), Failure> {
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

/// One datagram, with descriptors.
pub(crate) fn send_with(socket: &OwnedFd, bytes: &[u8], fds: &[&OwnedFd]) -> io::Result<()> {
    let raw: Vec<_> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let rights = if raw.is_empty() { &[][..] } else { &rights[..] };
    let flags = MsgFlags::MSG_NOSIGNAL;
    sendmsg::<UnixAddr>(socket.as_raw_fd(), &[IoSlice::new(bytes)], rights, flags, None)?;
    Ok(())
}

/// One datagram of at most the buffer's size, with at most three descriptors.
pub(crate) fn receive_with(
    socket: &OwnedFd,
    buffer: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut rights = cmsg_space!([i32; 3]);
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
