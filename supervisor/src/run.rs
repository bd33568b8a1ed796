//! What a caller holds of a running payload.

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::input::Feed;
use crate::live::{Way, live};
use crate::output::Live;
use crate::plan::{Errand, Plan};
use crate::watch::Following;
use crate::{Denied, Error, Input, Outcome};

/// A running payload. Dropping it kills the payload and everything it started.
#[derive(Debug)]
#[must_use = "dropping a run kills it"]
pub struct Run {
    id: String,
    cancel: Option<oneshot::Sender<()>>,
    stdout: Option<Live>,
    stderr: Option<Live>,
    denials: Option<mpsc::Receiver<Denied>>,
    input: Option<Input>,
    task: JoinHandle<Result<Outcome, Error>>,
}

/// What happens while a payload runs, as it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Chunk {
    /// On standard output.
    Stdout(Vec<u8>),
    /// On standard error.
    Stderr(Vec<u8>),
    /// It tried something and was refused. How often is known only at the end: here always once.
    Denial(Denied),
}

impl Run {
    /// Starts `plan`, and returns once its payload runs behind walls that were looked at.
    pub(crate) async fn start(plan: Plan, mut errand: Errand, way: Way) -> Result<Self, Error> {
        let feed = errand.feed.take();
        let id = plan.id.clone();
        let (cancel, cancelled) = oneshot::channel();
        let (confined, ready) = oneshot::channel();
        let task = tokio::spawn(live(plan, errand, way, cancelled, confined));
        match ready.await {
            Ok(Following { stdout, stderr, denials, .. }) => Ok(Self {
                id,
                cancel: Some(cancel),
                stdout: Some(stdout),
                stderr: Some(stderr),
                denials: Some(denials),
                input: feed.map(Feed::begin),
                task,
            }),
            Err(_) => Err(joined(task.await).err().unwrap_or_else(|| {
                Error::Protocol("a run ended before it was confined".to_owned())
            })),
        }
    }

    /// The run's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The next output, redacted, of what is captured, or the next denial; nothing when the run has
    /// ended. Cancellation safe.
    pub async fn output(&mut self) -> Option<Chunk> {
        loop {
            if self.stdout.is_none() && self.stderr.is_none() && self.denials.is_none() {
                return None;
            }
            let chunk = tokio::select! {
                bytes = next(self.stdout.as_mut()) => {
                    if bytes.is_none() {
                        self.stdout = None;
                    }
                    bytes.map(Chunk::Stdout)
                }
                bytes = next(self.stderr.as_mut()) => {
                    if bytes.is_none() {
                        self.stderr = None;
                    }
                    bytes.map(Chunk::Stderr)
                }
                denied = next_denial(self.denials.as_mut()) => {
                    if denied.is_none() {
                        self.denials = None;
                    }
                    denied.map(Chunk::Denial)
                }
            };
            if chunk.is_some() {
                return chunk;
            }
        }
    }

    /// Writes to standard input, and returns when the payload's pipe has taken all of it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when standard input is closed, or was never open: see
    /// [`Source::stdin_open`](crate::Source::stdin_open) and [`Input::write`].
    pub async fn write_stdin(&self, bytes: &[u8]) -> Result<(), Error> {
        match &self.input {
            Some(input) => input.write(bytes).await,
            None => Err(Error::Invalid("standard input was not left open".to_owned())),
        }
    }

    /// Ends standard input, if it is open.
    pub fn close_stdin(&mut self) {
        if let Some(input) = self.input.take() {
            input.close();
        }
    }

    /// Standard input, if it is open, for somebody else to write while this follows the output.
    pub fn input(&self) -> Option<Input> {
        self.input.clone()
    }

    /// Waits for the end; standard input that nobody else has ends here. Dropping this future kills the payload.
    ///
    /// # Errors
    /// Our own failures; whatever the payload did is an [`Outcome`].
    pub async fn wait(mut self) -> Result<Outcome, Error> {
        (self.stdout, self.stderr, self.denials, self.input) = (None, None, None, None);
        joined((&mut self.task).await)
    }

    /// Ends the payload and everything it started.
    ///
    /// # Errors
    /// Our own failures.
    pub async fn kill(mut self) -> Result<Outcome, Error> {
        self.cancel = None;
        self.wait().await
    }
}

pub(crate) async fn next(live: Option<&mut Live>) -> Option<Vec<u8>> {
    match live {
        Some(live) => live.next().await,
        None => std::future::pending().await,
    }
}

async fn next_denial(denials: Option<&mut mpsc::Receiver<Denied>>) -> Option<Denied> {
    match denials {
        Some(denials) => denials.recv().await,
        None => std::future::pending().await,
    }
}

pub(crate) fn joined<T>(
    result: Result<Result<T, Error>, tokio::task::JoinError>,
) -> Result<T, Error> {
    result.unwrap_or_else(|error| {
        Err(Error::Internal("a run was torn down".to_owned(), std::io::Error::other(error)))
    })
}
