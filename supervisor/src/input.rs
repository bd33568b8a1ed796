//! Standard input that stays open while a payload runs.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::sys::stat::{Mode, fchmod};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot, watch};

use crate::Error;

/// Copied at a time: however much a caller writes, no more of it lies in between than this and what
/// a pipe holds.
const PIECE_BYTES: usize = 64 * 1024;

/// The standard input of a running payload. Cheap to clone; it ends when the last clone and the
/// [`Run`](crate::Run) itself are dropped, or with [`Input::close`].
#[derive(Clone, Debug)]
pub struct Input {
    pieces: mpsc::Sender<Piece>,
    is_closed: Arc<watch::Sender<bool>>,
}

#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    taken: oneshot::Sender<()>,
}

/// The writing end of a pipe, and what is written to it before anything else.
pub(crate) struct Feed {
    pipe: pipe::Sender,
    first: Vec<u8>,
}

impl Input {
    /// Writes to the payload's standard input, and returns when its pipe has taken all of it: a
    /// payload that does not read makes this wait, and nothing else. Of a write whose future is
    /// dropped, a part may arrive.
    ///
    /// # Errors
    /// [`Error::Invalid`] when standard input is closed: by [`Input::close`], by the payload, or
    /// because the payload has ended.
    pub async fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        if *self.is_closed.borrow() || self.pieces.is_closed() {
            return Err(closed());
        }
        for piece in bytes.chunks(PIECE_BYTES) {
            let (taken, is_taken) = oneshot::channel();
            let room = self.pieces.reserve().await.map_err(|_| closed())?;
            room.send(Piece { bytes: piece.to_vec(), taken });
            is_taken.await.map_err(|_| closed())?;
        }
        Ok(())
    }

    /// Ends standard input after what was written so far. Never waits.
    pub fn close(&self) {
        self.is_closed.send_replace(true);
    }
}

impl Feed {
    /// A pipe, and its end for the payload.
    pub(crate) fn pipe(first: Vec<u8>) -> Result<(Self, File), Error> {
        let pipe = || -> io::Result<_> {
            let (read, write) = io::pipe()?;
            // To be opened again by name, as /dev/stdin, by a user who does not own it.
            fchmod(&read, Mode::from_bits_truncate(0o444))?;
            let pipe = pipe::Sender::from_owned_fd(OwnedFd::from(write))?;
            Ok((Self { pipe, first }, File::from(OwnedFd::from(read))))
        };
        pipe().map_err(|error| Error::Internal("cannot make a pipe".to_owned(), error))
    }

    /// Writes, in a task of its own, what comes from the input that is returned. The task ends when
    /// nobody can read any more: at the latest with the jar.
    pub(crate) fn begin(self) -> Input {
        let (pieces, received) = mpsc::channel(1);
        let (is_closed, closing) = watch::channel(false);
        tokio::spawn(self.write(received, closing));
        Input { pieces, is_closed: Arc::new(is_closed) }
    }

    async fn write(
        mut self,
        mut pieces: mpsc::Receiver<Piece>,
        mut closing: watch::Receiver<bool>,
    ) {
        let first = std::mem::take(&mut self.first);
        if self.pipe.write_all(&first).await.is_err() {
            return;
        }
        drop(first);
        loop {
            let piece = tokio::select! {
                piece = pieces.recv() => piece,
                _ = closing.wait_for(|is_closed| *is_closed) => {
                    // What was sent before is still received.
                    pieces.close();
                    continue;
                }
            };
            let Some(Piece { bytes, taken }) = piece else { return };
            if self.pipe.write_all(&bytes).await.is_err() {
                return;
            }
            if taken.send(()).is_err() {
                tracing::trace!("whoever wrote to a standard input did not wait");
            }
        }
    }
}

fn closed() -> Error {
    Error::Invalid("standard input is closed, or nobody is left to read it".to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_was_there_first_comes_first_and_a_close_is_the_end() {
        let (feed, mut read) = Feed::pipe(b"one ".to_vec()).unwrap();
        let input = feed.begin();
        input.write(b"two").await.unwrap();
        input.close();
        let text = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            read.read_to_string(&mut text).map(|_| text)
        });
        assert_eq!(text.await.unwrap().unwrap(), "one two");
        assert!(input.write(b"three").await.is_err());
    }

    #[tokio::test]
    async fn a_write_waits_for_a_reader_and_fails_without_one() {
        let (feed, read) = Feed::pipe(Vec::new()).unwrap();
        let input = feed.begin();
        let much = vec![0; 1 << 20];
        assert!(timeout(Duration::from_millis(50), input.write(&much)).await.is_err());
        input.close();
        drop(read);
        assert!(matches!(input.write(&much).await, Err(Error::Invalid(_))));
    }
}
