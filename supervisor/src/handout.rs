//! The sockets that come out of a jar, opened there by its worker before anything hostile ran.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;

use belljar_protocol::Network;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};

use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::Error;

/// Where they come out.
#[derive(Debug)]
pub(crate) struct Handout {
    ours: OwnedFd,
    doors: usize,
}

/// The most that travel in one datagram.
const HANDFUL: usize = 64;

impl Handout {
    /// For a network that has doors, with the end that travels to the worker.
    pub(crate) fn of(network: &Network) -> io::Result<Option<(Self, OwnedFd)>> {
        let Network::Gate(gateway) = network else { return Ok(None) };
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok(Some((Self { ours, doors: gateway.doors.len() }, theirs)))
    }

    /// Takes them, in the order in which they were asked for, and says so to the worker, which
    /// waits for it. Over when the worker is gone.
    ///
    /// # Errors
    /// [`Error::Protocol`] when they are more or fewer than were asked for.
    pub(crate) async fn take(self) -> Result<Vec<OwnedFd>, Error> {
        let untaken =
            |error| Error::Worker("the sockets of a jar could not be taken".to_owned(), error);
        let socket = waiting(self.ours).map_err(untaken)?;
        let mut sockets = Vec::with_capacity(self.doors);
        while sockets.len() < self.doors {
            let before = sockets.len();
            let next = || receive(&socket, &mut sockets);
            let (said, flags) = socket.async_io(Interest::READABLE, next).await.map_err(untaken)?;
            let came = sockets.len() - before;
            let is_whole = !flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
            if !is_whole || came == 0 || came != said || sockets.len() > self.doors {
                let what = format!("a worker handed out {came} sockets and said {said}");
                return Err(Error::Protocol(what));
            }
        }
        socket.try_write(&[1]).map_err(untaken)?;
        Ok(sockets)
    }
}

/// The socket as tokio waits for it.
fn waiting(socket: OwnedFd) -> io::Result<UnixStream> {
    let stream = StdStream::from(socket);
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

/// One datagram: how many it says there are, and what became of it on the way.
fn receive(socket: &UnixStream, sockets: &mut Vec<OwnedFd>) -> io::Result<(usize, ReturnFlags)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(HANDFUL))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let mut count = [0];
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(&mut count)], &mut rights, flags) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    for part in rights.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = part {
            sockets.extend(fds);
        }
    }
    Ok((count.map(usize::from)[0], message.flags))
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::os::fd::AsRawFd;

    use belljar_protocol::{Door, Gateway, Transport};
    use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};

    use super::*;

    fn of(doors: usize) -> (Handout, OwnedFd) {
        let door = Door { address: [0; 4], port: 1, transport: Transport::Tcp };
        let gateway = Gateway { addresses: Vec::new(), doors: vec![door; doors], piece_bytes: 0 };
        Handout::of(&Network::Gate(gateway)).unwrap().unwrap()
    }

    fn hand(socket: &OwnedFd, said: &[u8], many: usize) {
        let fds = vec![socket.as_raw_fd(); many];
        let rights = [ControlMessage::ScmRights(&fds)];
        let rights = if many == 0 { &[][..] } else { &rights[..] };
        let slices = [IoSlice::new(said)];
        sendmsg::<UnixAddr>(socket.as_raw_fd(), &slices, rights, MsgFlags::empty(), None).unwrap();
    }

    #[test]
    fn a_run_without_doors_has_nothing_to_hand_out() {
        assert!(Handout::of(&Network::None).unwrap().is_none());
        assert!(Handout::of(&Network::Loopback).unwrap().is_none());
    }

    #[tokio::test]
    async fn all_that_were_asked_for_come_in_as_few_datagrams_as_they_fit_in() {
        let (handout, worker) = of(640);
        (0..10).for_each(|_| hand(&worker, &[64], 64));
        assert_eq!(handout.take().await.unwrap().len(), 640);
        let (handout, worker) = of(65);
        hand(&worker, &[64], 64);
        hand(&worker, &[1], 1);
        assert_eq!(handout.take().await.unwrap().len(), 65);
    }

    #[tokio::test]
    async fn whoever_hands_out_something_else_is_no_worker_of_ours() {
        for (said, many) in
            [(&[2][..], 1), (&[1], 2), (&[0], 0), (&[3], 3), (&[2, 2], 2), (&[65], 65)]
        {
            let (handout, worker) = of(2);
            hand(&worker, said, many);
            let refused = handout.take().await;
            assert!(matches!(refused, Err(Error::Protocol(_))), "{said:?} {many}: {refused:?}");
        }
    }

    #[tokio::test]
    async fn a_worker_that_is_gone_is_not_waited_for() {
        let (handout, worker) = of(1);
        drop(worker);
        assert!(handout.take().await.is_err());
    }
}
