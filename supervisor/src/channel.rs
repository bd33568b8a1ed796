//! The supervisor's end of a worker's control socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::time::{Duration, Instant};

use belljar_protocol::{Order, Report, wire};
use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, Shutdown, SockFlag, SockType,
    UnixAddr, UnixCredentials, recv, recvmsg, sendmsg, setsockopt, shutdown, socketpair, sockopt,
};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::time::sleep;

use crate::Error;

/// One datagram is one message. tokio has no such socket: it is wrapped as a stream, whose
/// readiness works alike and whose reading methods are never called.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: UnixStream,
    buffer: Vec<u8>,
}

/// A report, and the host's number of the process that sent it: from the kernel, not from the
/// message (`SCM_CREDENTIALS`, unix(7)).
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) report: Report,
    pub(crate) pid: i32,
}

/// How long descriptors of others may be on their way.
const IN_FLIGHT: Duration = Duration::from_secs(5);
/// Reports are small; a worker that sends more is not one of ours.
const REPORT_BYTES: usize = 16 * 1024;

impl Channel {
    /// A channel, and the end that becomes a worker's standard input.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        setsockopt(&ours, sockopt::PassCred, &true)?;
        // A datagram is sent whole or not at all; the kernel doubles this for its own needs.
        setsockopt(&ours, sockopt::SndBuf, &wire::MAX_BYTES)?;
        let stream = StdStream::from(ours);
        stream.set_nonblocking(true)?;
        let socket = UnixStream::from_std(stream)?;
        Ok((Self { socket, buffer: vec![0; REPORT_BYTES] }, theirs))
    }

    /// Sends one order with its descriptors. Cancellation safe: it is sent whole or not at all.
    /// That nobody is left to read it is no failure: what a worker said before it ended, and that
    /// it ended, is heard by [`Channel::receive`].
    pub(crate) async fn send(&self, order: &Order, fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        let bytes = wire::encode_order(order)
            .map_err(|error| Error::Invalid(format!("the job does not fit: {error}")))?;
        let raw: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let rights = if raw.is_empty() { &[][..] } else { &rights[..] };
        let slices = [IoSlice::new(&bytes)];
        let attempt = || {
            let socket = self.socket.as_raw_fd();
            let flags = MsgFlags::MSG_NOSIGNAL;
            Ok(sendmsg::<UnixAddr>(socket, &slices, rights, flags, None)?)
        };
        let until = Instant::now() + IN_FLIGHT;
        let sent = loop {
            match self.socket.async_io(Interest::WRITABLE, attempt).await {
                Err(error) if is_crowded(&error) && Instant::now() < until => {
                    sleep(Duration::from_millis(1)).await;
                }
                sent => break sent,
            }
        };
        sent.map(drop).or_else(|error| match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Ok(()),
            _ => Err(Error::Worker("a worker could not be told its job".into(), error)),
        })
    }

    /// Sends a small order to somebody who is always listening, without waiting.
    pub(crate) fn send_now(&self, order: &Order) -> Result<(), Error> {
        let bytes = wire::encode_order(order)
            .map_err(|error| Error::Invalid(format!("the order does not fit: {error}")))?;
        let slices = [IoSlice::new(&bytes)];
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        sendmsg::<UnixAddr>(self.socket.as_raw_fd(), &slices, &[], flags, None)
            .map(drop)
            .map_err(|errno| Error::Worker("a keeper could not be told".into(), errno.into()))
    }

    /// A report that is already there, if any: whatever the runtime has heard of it.
    pub(crate) fn take_waiting(&mut self) -> Result<Option<Report>, Error> {
        let Self { socket, buffer } = self;
        let bytes = match receive(socket, buffer) {
            Ok((bytes, _)) => bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(Error::Worker("a worker could not be heard".into(), error)),
        };
        let message = buffer.get(..bytes).filter(|message| !message.is_empty());
        let message = message.ok_or_else(|| hostile("nothing more"))?;
        wire::decode_report(message).map(Some).map_err(|error| hostile(&error.to_string()))
    }

    /// The next report, or nothing when every process of the worker is gone. Cancellation safe.
    pub(crate) async fn receive(&mut self) -> Result<Option<Heard>, Error> {
        let Self { socket, buffer } = self;
        let (bytes, pid) = socket
            .async_io(Interest::READABLE, || receive(socket, buffer))
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::InvalidData => hostile("more than a message of ours holds"),
                _ => Error::Worker("a worker could not be heard".into(), error),
            })?;
        let Some(message) = buffer.get(..bytes).filter(|message| !message.is_empty()) else {
            return Ok(None);
        };
        let report = wire::decode_report(message).map_err(|error| match error {
            wire::WireError::Version { .. } => {
                hostile(&format!("{error}; belljar and belljar-worker are of different builds"))
            }
            _ => hostile(&error.to_string()),
        })?;
        Ok(Some(Heard { report, pid }))
    }

    /// The next message as it came, cut to what the buffer holds; empty when there is none left.
    /// Descriptors that came with it are dropped. Cancellation safe.
    pub(crate) async fn receive_bytes(&mut self) -> Result<&[u8], Error> {
        let Self { socket, buffer } = self;
        let bytes = socket
            .async_io(Interest::READABLE, || receive_piece(socket, buffer))
            .await
            .map_err(|error| Error::Worker("a line cannot be read".into(), error))?;
        Ok(buffer.get(..bytes).unwrap_or_default())
    }

    /// The same of a message that is already there, whatever the runtime has heard of it; empty if
    /// there is none.
    pub(crate) fn take_bytes(&mut self) -> &[u8] {
        let bytes = receive_piece(&self.socket, &mut self.buffer).unwrap_or_default();
        self.buffer.get(..bytes).unwrap_or_default()
    }

    /// The same channel once more, for somebody who only sends.
    pub(crate) fn duplicate(&self) -> io::Result<Self> {
        let copy = self.socket.as_fd().try_clone_to_owned()?;
        let socket = UnixStream::from_std(StdStream::from(copy))?;
        Ok(Self { socket, buffer: Vec::new() })
    }

    /// Tells the warden, for good, that nobody listens any more.
    pub(crate) fn hang_up(&self) {
        if let Err(error) = shutdown(self.socket.as_raw_fd(), Shutdown::Write) {
            tracing::debug!(%error, "the control socket was already closed");
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// There is no room for descriptors: whatever is sent along is dropped by the kernel, which says
/// so. No worker sends any.
fn receive(socket: &UnixStream, buffer: &mut [u8]) -> io::Result<(usize, i32)> {
    let mut credentials = cmsg_space!(UnixCredentials);
    let mut slices = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = loop {
        let socket = socket.as_raw_fd();
        match recvmsg::<UnixAddr>(socket, &mut slices, Some(&mut credentials), flags) {
            // Told once, and before what is queued: the worker ended with an order unread.
            Err(nix::Error::ECONNRESET) => {}
            other => break other?,
        }
    };
    if message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let pid = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::ScmCredentials(credentials) => Some(credentials.pid()),
        _ => None,
    });
    Ok((message.bytes, pid.unwrap_or_default()))
}

/// All descriptors of this user that are on their way count against the limit of whoever sends
/// next (unix(7)): who takes them is waited for.
fn is_crowded(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::Error::ETOOMANYREFS as i32)
}

/// A message, cut to what the buffer holds.
fn receive_piece(socket: &UnixStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            // Told once, and before what is queued: it ended with something unread.
            Err(nix::Error::ECONNRESET) => {}
            heard => return Ok(heard?),
        }
    }
}

fn hostile(what: &str) -> Error {
    Error::Protocol(format!("a worker sent {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use belljar_protocol::{Ending, Spent};

    fn say(socket: &OwnedFd, bytes: &[u8]) {
        let slices = [IoSlice::new(bytes)];
        sendmsg::<UnixAddr>(socket.as_raw_fd(), &slices, &[], MsgFlags::empty(), None).unwrap();
    }

    #[tokio::test]
    async fn a_report_arrives_with_the_pid_of_its_sender() {
        let (mut channel, worker) = Channel::pair().unwrap();
        let report = Report::Ended(Ending::Exited(3), Spent::default());
        say(&worker, &wire::encode_report(&report).unwrap());
        let heard = channel.receive().await.unwrap().unwrap();
        assert_eq!(heard.report, report);
        assert_eq!(heard.pid, i32::try_from(std::process::id()).unwrap());
        drop(worker);
        assert!(channel.receive().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn the_last_word_of_a_worker_is_heard_whether_or_not_it_read_its_orders() {
        for is_told in [false, true] {
            let (mut channel, worker) = Channel::pair().unwrap();
            say(&worker, &wire::encode_report(&Report::LotFounded).unwrap());
            if is_told {
                channel.send(&Order::End, &[]).await.unwrap();
            }
            drop(worker);
            channel.send(&Order::End, &[]).await.unwrap();
            let heard = channel.receive().await.unwrap().unwrap();
            assert_eq!(heard.report, Report::LotFounded);
            assert!(channel.receive().await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn the_last_word_of_a_line_is_heard_although_its_order_was_not_read() {
        let (mut channel, payload) = Channel::pair().unwrap();
        say(&payload, b"done");
        channel.send(&Order::End, &[]).await.unwrap();
        drop(payload);
        assert_eq!(channel.receive_bytes().await.unwrap(), b"done");
        assert_eq!(channel.receive_bytes().await.unwrap(), b"");
        assert_eq!(channel.take_bytes(), b"");
    }

    #[tokio::test]
    async fn what_is_there_is_taken_before_anybody_is_told_of_it() {
        let (mut channel, payload) = Channel::pair().unwrap();
        assert_eq!(channel.take_bytes(), b"");
        say(&payload, b"done");
        drop(payload);
        assert_eq!(channel.take_bytes(), b"done");
    }

    #[tokio::test]
    async fn hostile_frames_are_errors_and_cost_nothing() {
        for frame in [
            &b"x"[..],
            &[0xff; 64],
            b"BJ\xff\xff1234",
            b"BJ\x03\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            &vec![0; REPORT_BYTES + 1],
        ] {
            let (mut channel, worker) = Channel::pair().unwrap();
            say(&worker, frame);
            assert!(matches!(channel.receive().await, Err(Error::Protocol(_))), "{frame:?}");
        }
    }

    #[tokio::test]
    async fn descriptors_sent_by_a_worker_are_dropped_and_it_is_none_of_ours() {
        let (mut channel, worker) = Channel::pair().unwrap();
        let (kept, sent) = std::io::pipe().unwrap();
        let report = wire::encode_report(&Report::LotFounded).unwrap();
        let raw = [sent.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&raw)];
        let slices = [IoSlice::new(&report)];
        sendmsg::<UnixAddr>(worker.as_raw_fd(), &slices, &rights, MsgFlags::empty(), None).unwrap();
        assert!(matches!(channel.receive().await, Err(Error::Protocol(_))));
        drop(sent);
        // Had a copy survived on our side, the pipe would not have ended.
        assert_eq!(std::io::Read::read(&mut { kept }, &mut [0]).unwrap(), 0);
    }
}
