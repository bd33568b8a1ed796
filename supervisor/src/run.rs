//! What a caller holds of a running payload.

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::live::{Way, live};
use crate::output::Live;
use crate::plan::{Errand, Plan};
use crate::{Error, Outcome};

/// A running payload. Dropping it kills the payload and everything it started.
#[derive(Debug)]
#[must_use = "dropping a run kills it"]
pub struct Run {
    id: String,
    cancel: Option<oneshot::Sender<()>>,
    stdout: Option<Live>,
    stderr: Option<Live>,
    task: JoinHandle<Result<Outcome, Error>>,
}

/// Some output of a running payload, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// On standard output.
    Stdout(Vec<u8>),
    /// On standard error.
    Stderr(Vec<u8>),
}

impl Run {
    /// Starts `plan`, and returns once its payload runs behind walls that were looked at.
    pub(crate) async fn start(plan: Plan, errand: Errand, way: Way) -> Result<Self, Error> {
        let id = plan.id.clone();
        let (cancel, cancelled) = oneshot::channel();
        let (confined, ready) = oneshot::channel();
        let task = tokio::spawn(live(plan, errand, way, cancelled, confined));
        match ready.await {
            Ok((stdout, stderr)) => Ok(Self {
                id,
                cancel: Some(cancel),
                stdout: Some(stdout),
                stderr: Some(stderr),
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

    /// The next output, redacted, of what is captured; nothing when the run has ended.
    /// Cancellation safe.
    pub async fn output(&mut self) -> Option<Chunk> {
        loop {
            let (stdout, stderr) = (&mut self.stdout, &mut self.stderr);
            let chunk = match (stdout.as_mut(), stderr.as_mut()) {
                (None, None) => return None,
                (out, err) => tokio::select! {
                    bytes = next(out) => bytes.map(Chunk::Stdout).ok_or(true),
                    bytes = next(err) => bytes.map(Chunk::Stderr).ok_or(false),
                },
            };
            match chunk {
                Ok(chunk) => return Some(chunk),
                Err(true) => self.stdout = None,
                Err(false) => self.stderr = None,
            }
        }
    }

    /// Waits for the end. Dropping this future kills the payload.
    ///
    /// # Errors
    /// Our own failures; whatever the payload did is an [`Outcome`].
    pub async fn wait(mut self) -> Result<Outcome, Error> {
        (self.stdout, self.stderr) = (None, None);
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

async fn next(live: Option<&mut Live>) -> Option<Vec<u8>> {
    match live {
        Some(live) => live.next().await,
        None => std::future::pending().await,
    }
}

fn joined<T>(result: Result<Result<T, Error>, tokio::task::JoinError>) -> Result<T, Error> {
    result.unwrap_or_else(|error| {
        Err(Error::Internal("a run was torn down".to_owned(), std::io::Error::other(error)))
    })
}
