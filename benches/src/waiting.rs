//! What waits for a message and answers it, without belljar: the references of warm starts.

use std::io::{IoSlice, Read as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, recv, send, sendmsg,
    socketpair,
};

use crate::Error;

/// A process at the other end of a socket.
#[derive(Debug)]
pub struct Waiting {
    child: Child,
    socket: OwnedFd,
}

const FORK: &str = include_str!("fork.py");

impl Waiting {
    /// Starts a program that answers what it reads from its standard input, a socket.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(program: &Path, args: &[&str]) -> Result<Self, Error> {
        let (family, kind) = (AddressFamily::Unix, SockType::SeqPacket);
        let (socket, theirs) = socketpair(family, kind, None, SockFlag::SOCK_CLOEXEC)?;
        let child = Command::new(program)
            .args(args)
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { child, socket })
    }

    /// Starts an interpreter of Python that forks a child for each request, in no jar.
    ///
    /// # Errors
    /// When it cannot be started, or does not get ready.
    pub fn forking(python: &Path, modules: &[&str]) -> Result<Self, Error> {
        let args: Vec<&str> = ["-c", FORK].into_iter().chain(modules.iter().copied()).collect();
        let waiting = Self::start(python, &args)?;
        let mut word = [0; 16];
        let bytes = recv(waiting.socket.as_raw_fd(), &mut word, MsgFlags::empty())?;
        if word.get(..bytes) == Some(b"ready") {
            return Ok(waiting);
        }
        Err(format!("{} does not fork", python.display()).into())
    }

    /// Sends a message, and waits for the answer.
    ///
    /// # Errors
    /// When there is none.
    pub fn ask(&self, message: &[u8]) -> Result<(), Error> {
        send(self.socket.as_raw_fd(), message, MsgFlags::MSG_NOSIGNAL)?;
        self.hear()
    }

    /// Has a child run this source, and waits until it is done; what it printed.
    ///
    /// # Errors
    /// When it is not.
    pub fn fork(&self, source: &str) -> Result<Vec<u8>, Error> {
        let (mut reader, writer) = std::io::pipe()?;
        let raw = [writer.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&raw)];
        let slices = [IoSlice::new(source.as_bytes())];
        let flags = MsgFlags::MSG_NOSIGNAL;
        sendmsg::<UnixAddr>(self.socket.as_raw_fd(), &slices, &rights, flags, None)?;
        drop(writer);
        self.hear()?;
        let mut printed = vec![0; 4096];
        let bytes = reader.read(&mut printed)?;
        printed.truncate(bytes);
        Ok(printed)
    }

    fn hear(&self) -> Result<(), Error> {
        match recv(self.socket.as_raw_fd(), &mut [0; 16], MsgFlags::empty())? {
            0 => Err("it is gone".into()),
            _ => Ok(()),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It never forks what outlives it by more than a moment.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}
