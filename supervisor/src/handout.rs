//! The sockets that come out of a jar, opened there by its worker before anything hostile ran.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use belljar_protocol::Network;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};

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

    /// Takes them, in the order in which they were asked for. Never waits: a worker that says that
    /// it is confined has sent them all.
    ///
    /// # Errors
    /// [`Error::Protocol`] when they are more or fewer than were asked for.
    pub(crate) fn take(self) -> Result<Vec<OwnedFd>, Error> {
        let mut sockets = Vec::with_capacity(self.doors);
        while sockets.len() < self.doors {
            let before = sockets.len();
            let (said, flags) = receive(&self.ours, &mut sockets).map_err(|error| {
                Error::Worker("the sockets of a jar could not be taken".to_owned(), error)
            })?;
            let came = sockets.len() - before;
            let is_whole = !flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
            if !is_whole || came == 0 || came != said || sockets.len() > self.doors {
                let what = format!("a worker handed out {came} sockets and said {said}");
                return Err(Error::Protocol(what));
            }
        }
        Ok(sockets)
    }
}

/// One datagram: how many it says there are, and what became of it on the way.
fn receive(socket: &OwnedFd, sockets: &mut Vec<OwnedFd>) -> io::Result<(usize, ReturnFlags)> {
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
        let gateway = Gateway { addresses: Vec::new(), doors: vec![door; doors] };
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

    #[test]
    fn all_that_were_asked_for_come_in_as_few_datagrams_as_they_fit_in() {
        let (handout, worker) = of(640);
        (0..10).for_each(|_| hand(&worker, &[64], 64));
        assert_eq!(handout.take().unwrap().len(), 640);
        let (handout, worker) = of(65);
        hand(&worker, &[64], 64);
        hand(&worker, &[1], 1);
        assert_eq!(handout.take().unwrap().len(), 65);
    }

    #[test]
    fn whoever_hands_out_something_else_is_no_worker_of_ours() {
        for (said, many) in
            [(&[2][..], 1), (&[1], 2), (&[0], 0), (&[3], 3), (&[2, 2], 2), (&[65], 65)]
        {
            let (handout, worker) = of(2);
            hand(&worker, said, many);
            let refused = handout.take();
            assert!(matches!(refused, Err(Error::Protocol(_))), "{said:?} {many}: {refused:?}");
        }
    }

    #[test]
    fn nobody_is_waited_for() {
        let (handout, worker) = of(2);
        hand(&worker, &[1], 1);
        assert!(matches!(handout.take(), Err(Error::Worker(..))));
        let (handout, worker) = of(1);
        drop(worker);
        assert!(handout.take().is_err());
    }
}
