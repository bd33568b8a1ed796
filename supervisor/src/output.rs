//! Bounded capture of what a payload writes to one stream.

use std::future::pending;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::unistd::read;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::Output;
use crate::redact::Redactor;

/// Read per wake-up: what a pipe holds unless someone enlarged it.
const READ_BYTES: usize = 64 * 1024;
/// The largest pipe an unprivileged writer can make (`fs.pipe-max-size`).
const PIPE_MAX_BYTES: usize = 1024 * 1024;
/// A shorter read is a drip.
const DRIP_BYTES: usize = 4096;
/// Between two looks at a drip.
const LONGEST_REST: Duration = Duration::from_millis(16);
/// Drips in a row that are answered at once.
const DRIPS_AT_ONCE: u32 = 16;

/// One stream: at most `limit` redacted bytes are kept, the rest is read, counted and dropped.
///
/// The writer is hostile and may outlive everything: never wait for its end of file, call
/// [`Capture::finish`] when the jar is empty.
pub(crate) struct Capture {
    source: Source,
    redactor: Redactor,
    limit: usize,
    kept: watch::Sender<Vec<u8>>,
    /// Bytes beyond the limit, redacted up to the first of them, as written from then on.
    dropped_bytes: u64,
    buffer: Box<[u8]>,
    pipe_bytes: usize,
    redacted: Vec<u8>,
    drips: u32,
}

enum Source {
    /// The runtime tells when there is something to read.
    Watched(pipe::Receiver),
    /// Unknown to the runtime until then: else each write to the pipe would wake it.
    Resting(OwnedFd, Instant),
    Closed,
}

/// What a capture has to say; each at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CaptureEvent {
    /// More was written than is kept.
    LimitReached,
    /// Nobody can write any more.
    Closed,
}

/// Follows a capture as it goes: all that is kept and nothing else, in order.
///
/// It reads where the capture keeps, so a slow follower neither stalls the payload, nor misses a
/// byte, nor costs memory.
#[derive(Debug)]
pub(crate) struct Live {
    kept: watch::Receiver<Vec<u8>>,
    seen: usize,
}

impl Capture {
    /// Of a payload that is not known yet: nothing is kept before [`Capture::begin`].
    ///
    /// # Errors
    /// When `pipe` is not the read end of a pipe, or outside of a runtime with input and time.
    pub(crate) fn new(pipe: impl Into<OwnedFd>) -> io::Result<Self> {
        let pipe = pipe::Receiver::from_owned_fd(pipe.into())?;
        // Smaller than usual for a user with very many pipes (pipe(7)).
        let pipe_bytes = fcntl(&pipe, FcntlArg::F_GETPIPE_SZ)?;
        Ok(Self {
            source: Source::Watched(pipe),
            pipe_bytes: usize::try_from(pipe_bytes).unwrap_or(READ_BYTES),
            redactor: Redactor::none(),
            limit: 0,
            kept: watch::Sender::new(Vec::new()),
            dropped_bytes: 0,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            redacted: Vec::new(),
            drips: 0,
        })
    }

    /// Keeps at most `limit` bytes from here on.
    pub(crate) fn begin(&mut self, limit: u64, redactor: Redactor) {
        self.limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.redactor = redactor;
    }

    /// Keeps at most `limit` bytes of what there is, from now on.
    pub(crate) fn set_limit(&mut self, limit: u64) {
        self.limit = usize::try_from(limit).unwrap_or(usize::MAX);
    }

    pub(crate) fn live(&self) -> Live {
        Live { kept: self.kept.subscribe(), seen: 0 }
    }

    /// Captures until something happened; pends for ever after [`CaptureEvent::Closed`].
    ///
    /// Cancel-safe, so that it can be one branch of a `select!`: what was read is kept before
    /// anything is awaited. It yields after each read, or a flood would starve the other branches.
    pub(crate) async fn next(&mut self) -> CaptureEvent {
        loop {
            let outcome = match &self.source {
                Source::Watched(pipe) => match pipe.readable().await {
                    Ok(()) => pipe.try_read(&mut self.buffer),
                    Err(reason) => Err(reason),
                },
                Source::Resting(pipe, until) => {
                    sleep_until(*until).await;
                    read_now(pipe, &mut self.buffer)
                }
                Source::Closed => pending().await,
            };
            match outcome {
                Ok(bytes) if bytes > 0 => {
                    self.pace(bytes);
                    if self.take(bytes) {
                        return CaptureEvent::LimitReached;
                    }
                    tokio::task::yield_now().await;
                }
                Err(reason) if reason.kind() == io::ErrorKind::WouldBlock => self.watch(),
                Ok(_) | Err(_) => {
                    self.source = Source::Closed;
                    return CaptureEvent::Closed;
                }
            }
        }
    }

    /// Reads what the pipe still holds, without waiting, and ends the stream.
    ///
    /// Whether the limit was ever reached shows in `dropped_bytes`.
    pub(crate) fn finish(&mut self) -> Output {
        let output = self.cut(0);
        self.source = Source::Closed;
        output
    }

    /// Reads what the pipe holds by now, without waiting, and begins anew after it.
    pub(crate) fn cut(&mut self, limit: u64) -> Output {
        // Bounded, as a writer outside of the jar could go on for ever. Asks the kernel rather
        // than the runtime, which may not have heard yet of what was written last.
        let mut left = PIPE_MAX_BYTES;
        while left > 0 {
            let outcome = match &self.source {
                Source::Watched(pipe) => read_now(pipe, &mut self.buffer),
                Source::Resting(pipe, _) => read_now(pipe, &mut self.buffer),
                Source::Closed => break,
            };
            let Ok(bytes @ 1..) = outcome else { break };
            self.take(bytes);
            left = left.saturating_sub(bytes);
        }
        self.redacted.clear();
        self.redactor.finish(&mut self.redacted);
        self.keep();
        self.redactor = self.redactor.fresh();
        // When this is dropped, followers hear of the end.
        let kept = std::mem::take(&mut self.kept);
        let bytes = match kept.receiver_count() {
            0 => kept.send_replace(Vec::new()),
            _ => kept.borrow().clone(),
        };
        self.set_limit(limit);
        Output { bytes, dropped_bytes: std::mem::take(&mut self.dropped_bytes) }
    }

    /// Whether the first `bytes` of the buffer are the first to exceed the limit.
    fn take(&mut self, bytes: usize) -> bool {
        let chunk = self.buffer.get(..bytes).unwrap_or_default();
        if self.dropped_bytes > 0 {
            self.dropped_bytes += chunk.len() as u64;
            return false;
        }
        self.redacted.clear();
        self.redactor.push(chunk, &mut self.redacted);
        self.keep()
    }

    /// Keeps of the redacted bytes what the limit allows: cut before redaction, the beginning of
    /// a secret would stay.
    fn keep(&mut self) -> bool {
        let room = self.limit.saturating_sub(self.kept.borrow().len());
        let (keep, drop) = self.redacted.split_at(room.min(self.redacted.len()));
        if !keep.is_empty() {
            self.kept.send_modify(|kept| kept.extend_from_slice(keep));
        }
        let first = self.dropped_bytes == 0 && !drop.is_empty();
        self.dropped_bytes += drop.len() as u64;
        first
    }

    /// Lets a drip gather: a jar that writes byte by byte would cost a wake-up for each. Ends as
    /// soon as the pipe fills up, so that it never holds a busy writer back for long.
    fn pace(&mut self, bytes: usize) {
        if bytes >= self.pipe_bytes / 2 {
            self.drips = 0;
        } else if bytes < DRIP_BYTES {
            self.drips = self.drips.saturating_add(1);
        }
        let Some(steps) = self.drips.checked_sub(DRIPS_AT_ONCE) else {
            return self.watch();
        };
        let until = Instant::now() + LONGEST_REST.min(Duration::from_millis(1 << steps.min(8)));
        self.source = match std::mem::replace(&mut self.source, Source::Closed) {
            // Fails only for what was not watched.
            Source::Watched(pipe) => pipe
                .into_nonblocking_fd()
                .map_or(Source::Closed, |pipe| Source::Resting(pipe, until)),
            Source::Resting(pipe, _) => Source::Resting(pipe, until),
            Source::Closed => Source::Closed,
        };
    }

    fn watch(&mut self) {
        if let Source::Resting(pipe, until) = &mut self.source {
            // A copy, as the runtime keeps what it fails to watch; then it is asked again later.
            match pipe.try_clone().and_then(pipe::Receiver::from_owned_fd) {
                Ok(watched) => self.source = Source::Watched(watched),
                Err(_) => *until = Instant::now() + LONGEST_REST,
            }
        }
    }
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Live {
    /// What was kept since the last call; `None` when the capture is finished and all was seen.
    pub(crate) async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let ended = self.kept.has_changed().is_err();
            let fresh = {
                let kept = self.kept.borrow_and_update();
                kept.get(self.seen..).unwrap_or_default().to_vec()
            };
            if !fresh.is_empty() {
                self.seen += fresh.len();
                return Some(fresh);
            }
            if ended {
                return None;
            }
            // An error means that the capture finished: the next turn takes what it kept last.
            drop(self.kept.changed().await);
        }
    }
}

/// Reads without waiting.
fn read_now(pipe: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match read(&pipe, buffer) {
            Err(Errno::EINTR) => {}
            outcome => return outcome.map_err(io::Error::from),
        }
    }
}

#[cfg(test)]
mod tests;
