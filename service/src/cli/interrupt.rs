//! The signals by which someone asks belljar to stop.

use std::future::{Future, pending};
use std::io;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use belljar::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};

use super::SIGNALLED;

/// For a reader who does read: signals tend to come in pairs, and must not cut a line short.
const GRACE: Duration = Duration::from_millis(200);
/// For what was made before the first of them came: it is not lost because its reader is slow.
const PATIENCE: Duration = Duration::from_secs(2);

/// While this exists none of them ends belljar by itself; nor do they afterwards, as nothing takes
/// the handlers down again.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Needs the event loop.
    pub(super) fn new() -> Result<Self, Error> {
        let listen = |kind| {
            signal(kind).map_err(|error| Error::Internal("cannot listen to signals".into(), error))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// The number of the next one. Cancellation safe.
    pub(super) async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
            _ = self.hang_up.recv() => 1,
        }
    }

    /// What `work` came to, and the signal that came meanwhile. The work is let come to its end,
    /// which is near, so that what it made is unmade in order.
    pub(super) async fn settle<T>(&mut self, work: impl Future<Output = T>) -> (T, Option<u8>) {
        let mut work = pin!(work);
        let mut heard = None;
        loop {
            tokio::select! {
                biased;
                signal = self.next(), if heard.is_none() => heard = Some(signal),
                done = &mut work => return (done, heard),
            }
        }
    }

    /// The same for what blocks.
    pub(super) async fn settle_blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(T, Option<u8>), Error> {
        let (done, heard) = self.settle(tokio::task::spawn_blocking(work)).await;
        Ok((done.map_err(torn_down)?, heard))
    }

    /// Lets `words` be said, unless who should read them does not, and a signal comes, or has come:
    /// it is `heard`.
    pub(super) async fn last_words(
        &mut self,
        words: impl FnOnce() -> ExitCode + Send + 'static,
        heard: Option<u8>,
    ) -> Result<ExitCode, Error> {
        let mut words = tokio::task::spawn_blocking(words);
        let signal = tokio::select! {
            biased;
            said = &mut words => return said.map_err(torn_down),
            signal = self.next_after(heard) => signal,
        };
        match timeout(GRACE, words).await {
            Ok(said) => said.map_err(torn_down),
            Err(_) => Ok(ExitCode::from(SIGNALLED + signal)),
        }
    }

    /// The number of the next one, or of one `heard` before once that has been long ago.
    /// Cancellation safe.
    pub(super) async fn next_after(&mut self, heard: Option<u8>) -> u8 {
        let past = async {
            match heard {
                Some(signal) => {
                    sleep(PATIENCE).await;
                    signal
                }
                None => pending().await,
            }
        };
        tokio::select! {
            signal = self.next() => signal,
            signal = past => signal,
        }
    }
}

fn torn_down(error: tokio::task::JoinError) -> Error {
    Error::Internal("a thread was torn down".to_owned(), io::Error::other(error))
}
