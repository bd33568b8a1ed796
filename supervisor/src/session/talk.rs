//! The socket between a session and the guest that serves it. What comes back is hostile: each
//! message has a bound, and whatever is none ends the session.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;

use tokio::net::UnixStream;

use crate::rich::TOLD_BYTES;
use crate::{Call, Error};

/// `answer`, two numbers, and nothing else.
const HEADER_BYTES: usize = 64;
const READ_BYTES: usize = 16 * 1024;
/// Ends what goes on, wherever in a call it is read.
const INTERRUPT: &[u8] = b"!";

/// The supervisor's end.
#[derive(Debug)]
pub(crate) struct Talk {
    socket: UnixStream,
    unsent: Vec<u8>,
    sent: usize,
    heard: Vec<u8>,
}

/// What a guest said of one call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) call: u64,
    pub(super) body: Vec<u8>,
}

impl Talk {
    /// A talk, and its end for the payload.
    pub(crate) fn pair() -> Result<(Self, OwnedFd), Error> {
        let pair = || -> io::Result<_> {
            let (ours, theirs) = StdStream::pair()?;
            ours.set_nonblocking(true)?;
            let socket = UnixStream::from_std(ours)?;
            let (unsent, heard) = (Vec::new(), Vec::new());
            Ok((Self { socket, unsent, sent: 0, heard }, OwnedFd::from(theirs)))
        };
        pair().map_err(|error| Error::Internal("cannot make a socket pair".to_owned(), error))
    }

    /// Takes up a call, to be sent by [`Talk::exchange`].
    pub(super) fn take_up(&mut self, number: u64, call: &Call) -> io::Result<()> {
        let Self { unsent, sent, .. } = self;
        (*sent, *unsent) = (0, Vec::new());
        let (code, stdin, files) = (call.code.len(), call.stdin.len(), call.files.len());
        writeln!(unsent, "call {number} {code} {stdin} {files}")?;
        unsent.write_all(call.code.as_bytes())?;
        unsent.write_all(&call.stdin)?;
        for file in &call.files {
            writeln!(unsent, "{} {}", file.bytes.len(), file.path)?;
            unsent.write_all(&file.bytes)?;
        }
        Ok(())
    }

    /// Sends what is to be sent, and waits for the next message. Cancellation safe.
    pub(super) async fn exchange(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = self.parse()? {
                return Ok(message);
            }
            let Self { socket, unsent, sent, heard } = self;
            let rest = unsent.get(*sent..).unwrap_or_default();
            tokio::select! {
                ready = socket.readable() => {
                    ready?;
                    // Descriptors that come along are closed by the kernel: there is no room for them.
                    heard.reserve(READ_BYTES);
                    match socket.try_read_buf(heard) {
                        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                        Ok(_) => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error),
                    }
                }
                ready = socket.writable(), if !rest.is_empty() => {
                    ready?;
                    match socket.try_write(rest) {
                        Ok(bytes) => *sent += bytes,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error),
                    }
                    if *sent >= unsent.len() {
                        (*sent, *unsent) = (0, Vec::new());
                    }
                }
            }
        }
    }

    /// Has the guest asked to interrupt the call, after all of it, by [`Talk::exchange`].
    pub(super) fn interrupt(&mut self) {
        self.unsent.extend(INTERRUPT);
    }

    /// Tells the guest that nothing more will come.
    pub(super) async fn finish(&mut self) {
        use tokio::io::AsyncWriteExt as _;
        if let Err(error) = self.socket.shutdown().await {
            tracing::debug!(%error, "a guest could not be told that the session is over");
        }
    }

    fn parse(&mut self) -> io::Result<Option<Message>> {
        let nonsense = || io::Error::from(io::ErrorKind::InvalidData);
        let start = self.heard.get(..self.heard.len().min(HEADER_BYTES)).unwrap_or_default();
        let Some(end) = start.iter().position(|byte| *byte == b'\n') else {
            return if start.len() < HEADER_BYTES { Ok(None) } else { Err(nonsense()) };
        };
        let line = start.get(..end).and_then(|line| std::str::from_utf8(line).ok());
        let mut words = line.ok_or_else(nonsense)?.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let (call, bytes) = match number() {
            None => (number(), number()),
            Some(_) => return Err(nonsense()),
        };
        let (Some(call), Some(bytes @ ..=TOLD_BYTES)) = (call, bytes) else {
            return Err(nonsense());
        };
        let whole = usize::try_from(bytes).map_err(|_| nonsense())? + end + 1;
        if self.heard.len() < whole {
            return Ok(None);
        }
        let mut body: Vec<_> = self.heard.drain(..whole).collect();
        drop(body.drain(..=end));
        Ok(Some(Message { call, body }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[tokio::test]
    async fn a_call_goes_out_whole_and_its_answer_comes_back() {
        let (mut talk, theirs) = Talk::pair().unwrap();
        let mut theirs = StdStream::from(theirs);
        let call = Call::code("1+1").stdin("in").file("a b", "data");
        talk.take_up(7, &call).unwrap();
        let guest = std::thread::spawn(move || {
            let mut text = vec![0; "call 7 3 2 1\n1+1in4 a b\ndata".len()];
            theirs.read_exact(&mut text).unwrap();
            for part in ["answer 7", " 2\n{", "}"] {
                theirs.write_all(part.as_bytes()).unwrap();
            }
            (text, theirs)
        });
        let message = talk.exchange().await.unwrap();
        assert_eq!(message, Message { call: 7, body: b"{}".to_vec() });
        assert_eq!(guest.join().unwrap().0, b"call 7 3 2 1\n1+1in4 a b\ndata");
    }

    #[tokio::test]
    async fn what_is_no_message_is_an_error_and_costs_nothing() {
        let long = "9".repeat(200);
        for said in [
            "\n",
            "x\n",
            "answer\n",
            "answer 1\n",
            "answer 1 -1\n",
            "answer 1 8388609\n",
            "1 2 3\n",
            &long,
        ] {
            let (mut talk, theirs) = Talk::pair().unwrap();
            StdStream::from(theirs).write_all(said.as_bytes()).unwrap();
            let error = talk.exchange().await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{said:?}");
            assert!(talk.heard.len() <= READ_BYTES);
        }
    }

    #[tokio::test]
    async fn a_guest_that_is_gone_is_noticed() {
        let (mut talk, theirs) = Talk::pair().unwrap();
        drop(theirs);
        talk.take_up(1, &Call::code("1")).unwrap();
        assert!(talk.exchange().await.is_err());
    }
}
