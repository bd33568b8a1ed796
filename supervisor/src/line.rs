//! The socket on which a task reaches what waits for it in a jar.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use belljar_protocol::Order;

use crate::Error;
use crate::channel::Channel;

/// The supervisor's end of a line.
#[derive(Debug)]
pub(crate) struct Line(Channel);

/// What a primed interpreter says first.
const READY: &[u8] = b"ready";

impl Line {
    /// A line, and its other end.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = Channel::pair()?;
        Ok((Self(ours), theirs))
    }

    /// Waits until an interpreter is up. What it says is still ours: it has run no code but ours.
    pub(crate) async fn ready(&mut self) -> Result<(), Error> {
        if self.0.receive_bytes().await? == READY {
            return Ok(());
        }
        Err(Error::Worker(
            "an interpreter ended before it was ready".to_owned(),
            io::ErrorKind::BrokenPipe.into(),
        ))
    }

    pub(crate) async fn send(&self, order: &Order, fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        self.0.send(order, fds).await
    }

    /// The exit code with which the payload says that it is done; nothing when it will not say so.
    /// Hostile: it may end the run, and vouches for nothing. Cancellation safe.
    pub(crate) async fn done(&mut self) -> Option<u8> {
        self.0.receive_bytes().await.ok()?.first().copied()
    }

    /// The same if it has said so already.
    pub(crate) fn done_already(&mut self) -> Option<u8> {
        self.0.take_bytes().first().copied()
    }
}
