//! The history of runs: what was asked for, and what came of it, for as long as it is retained.
//!
//! `SQLite` in WAL mode with `synchronous=NORMAL`. A commit has been written to the log, with
//! write(2), when [`Store::begin`] returns: from then on it is in the kernel's page cache, which no
//! death of this process takes away, SIGKILL included. Only fsync(2) is left out, so that the loss
//! of power may take the last commits, whole ones, and never more than those.
//!
//! Whoever opens a history calls [`belljar::sweep`] first: runs that an earlier service left open
//! are closed as `lost`, which says that nothing of them lives.

mod apply;
mod file;
mod lost;
mod read;
mod retention;
mod schema;
#[cfg(test)]
mod tests;
mod work;
mod writer;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use belljar::Error;
use tokio::sync::{Semaphore, oneshot};

use work::{Asked, Work};
use writer::{AtOnce, Shared};

/// Changes and questions that wait, each for its own thread.
const MOST_WAITING: usize = 256;

/// One that takes longer to write than another thread to wake.
const LONG_ANSWER_BYTES: usize = 128 << 10;

/// A history of runs. Cheap to clone; the threads end with the last one.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    writer: Shared,
    changes: Line,
    /// In memory there is one connection, and this is the same line.
    questions: Line,
}

/// How much is kept: whatever is beyond any of these goes, the oldest first. Open runs stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    pub(crate) runs: u64,
    pub(crate) age: Duration,
    /// Of answers. Beyond it a run keeps its row without its answer.
    pub(crate) bytes: u64,
}

/// A run that is about to be.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) id: String,
    pub(crate) tenant: String,
    pub(crate) runtime: String,
    pub(crate) created_ms: i64,
    pub(crate) labels: BTreeMap<String, String>,
    /// The key, and the digest of the request that came with it.
    pub(crate) idempotency: Option<(String, [u8; 32])>,
}

/// What became of an [`Opening`].
#[derive(Debug)]
pub(crate) enum Opened {
    New,
    /// The same request of this tenant had this key.
    Known(Box<Row>),
    /// Another request of this tenant had this key.
    Different,
}

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) tenant: String,
    pub(crate) runtime: String,
    /// `queued` or `running` while it is open.
    pub(crate) status: String,
    pub(crate) created_ms: i64,
    pub(crate) started_ms: Option<i64>,
    pub(crate) ended_ms: Option<i64>,
    pub(crate) wall_ms: Option<f64>,
    pub(crate) labels: BTreeMap<String, String>,
    /// The JSON of its outcome, or of its problem; none while it is open, beyond retention, and in
    /// lists.
    pub(crate) answer: Option<String>,
    pub(crate) is_problem: bool,
}

/// Which runs, the newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub(crate) tenant: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) runtime: Option<String>,
    pub(crate) label: Option<(String, String)>,
    /// Only those that began before this run.
    pub(crate) before: Option<String>,
    pub(crate) limit: u32,
}

/// How a run ended.
#[derive(Debug)]
struct Ending {
    id: String,
    status: String,
    is_problem: bool,
    wall_ms: Option<f64>,
    ended_ms: i64,
    answer: String,
}

/// The way to a thread with a connection.
#[derive(Clone, Debug)]
struct Line {
    places: Arc<Semaphore>,
    sender: mpsc::Sender<Asked>,
}

impl Store {
    /// Opens the history at `path`, or one that ends with this process. Also says which runs an
    /// earlier service had left open; these are closed as `lost`. Blocks.
    ///
    /// # Errors
    /// [`Error::Invalid`] when another service has it, or it is not a history, or not private;
    /// [`Error::Internal`] when it cannot be read or written.
    pub(crate) fn open(
        path: Option<&Path>,
        retention: Retention,
    ) -> Result<(Self, Vec<Row>), Error> {
        let mut file = path.map_or_else(file::in_memory, file::open)?;
        let lost = lost::close_open(&mut file.connection)
            .map_err(|error| file::failed("cannot close the runs of an earlier service", &error))?;
        let reader = path.map(file::reader).transpose()?;
        let writer = Shared::new(file, retention);
        let changes = Line::new("belljar-history", writer.clone())?;
        let questions = match reader {
            None => changes.clone(),
            Some(reader) => Line::new("belljar-questions", Shared::new(reader, retention))?,
        };
        Ok((Self { writer, changes, questions }, lost))
    }

    /// Remembers a run before it is. It is in the log when this returns.
    ///
    /// # Errors
    /// When it cannot be written, and then the run must not be: no record, no run.
    pub(crate) async fn begin(&self, opening: Opening) -> Result<Opened, Error> {
        self.change(|reply| Work::Begin(opening, reply)).await
    }

    /// Forgets a run that did not come to be, and its key with it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) async fn withdraw(&self, id: &str) -> Result<(), Error> {
        let id = id.to_owned();
        self.change(|reply| Work::Withdraw(id, reply)).await
    }

    /// Remembers that a run has started, soon. Never waits: where too much waits already, nothing
    /// is remembered but what its end says.
    pub(crate) fn started(&self, id: &str, started_ms: i64) {
        if let Some(work) = self.at_once(Work::Started(id.to_owned(), started_ms)) {
            self.changes.tell(work);
        }
    }

    /// Remembers how a run ended.
    ///
    /// # Errors
    /// When it cannot be written, or no such run is open.
    pub(crate) async fn end(
        &self,
        id: &str,
        status: &str,
        is_problem: bool,
        wall_ms: Option<f64>,
        ended_ms: i64,
        answer: String,
    ) -> Result<(), Error> {
        let (id, status) = (id.to_owned(), status.to_owned());
        let is_long = answer.len() > LONG_ANSWER_BYTES;
        let ending = Ending { id, status, is_problem, wall_ms, ended_ms, answer };
        if is_long {
            return self.changes.ask(|reply| Work::End(ending, reply)).await;
        }
        self.change(|reply| Work::End(ending, reply)).await
    }

    /// A run, of this tenant if one is named.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub(crate) async fn find(&self, tenant: Option<&str>, id: &str) -> Result<Option<Row>, Error> {
        let (tenant, id) = (tenant.map(ToOwned::to_owned), id.to_owned());
        self.questions.ask(|reply| Work::Find(tenant, id, reply)).await
    }

    /// Runs, the newest first, without their answers.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub(crate) async fn list(&self, query: Query) -> Result<Vec<Row>, Error> {
        self.questions.ask(|reply| Work::List(query, reply)).await
    }

    /// Keeps more or less from now on.
    pub(crate) fn retain(&self, retention: Retention) {
        // Nobody waits for it, and none is left out.
        drop(self.changes.sender.send(Asked { work: Work::Retain(retention), _place: None }));
    }

    /// At once where nobody else has the connection, and behind all who wait for it otherwise.
    async fn change<T>(
        &self,
        work: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Work,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        if let Some(work) = self.at_once(work(reply)) {
            self.changes.send(work).await;
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// The work, if it has to wait.
    fn at_once(&self, work: Work) -> Option<Work> {
        if self.changes.is_busy() {
            return Some(work);
        }
        match self.writer.at_once(work) {
            AtOnce::Done { tells } => {
                if tells {
                    drop(self.changes.sender.send(Asked { work: Work::Tend, _place: None }));
                }
                None
            }
            AtOnce::Later(work) => Some(work),
        }
    }

    /// Writes what waits, puts the log into the file, and lets go of it. All that is asked for
    /// later fails.
    pub(crate) async fn close(&self) {
        for line in [&self.questions, &self.changes] {
            // It fails when it was closed before.
            drop(line.ask(Work::Close).await);
        }
    }
}

impl Line {
    fn new(name: &str, shared: Shared) -> Result<Self, Error> {
        let (sender, asked) = mpsc::channel();
        let attend = move || work::attend(&shared, &asked);
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(attend);
        spawned.map_err(|error| Error::Internal("cannot start a thread".to_owned(), error))?;
        Ok(Self { places: Arc::new(Semaphore::new(MOST_WAITING)), sender })
    }

    /// The channel has no bound of its own: a place in it does.
    async fn ask<T>(
        &self,
        work: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Work,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(work(reply)).await;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Whether somebody waits.
    fn is_busy(&self) -> bool {
        self.places.available_permits() < MOST_WAITING
    }

    async fn send(&self, work: Work) {
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        drop(self.sender.send(Asked { work, _place: place }));
    }

    fn tell(&self, work: Work) {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            drop(self.sender.send(Asked { work, _place: Some(place) }));
        }
    }
}

fn closed() -> Error {
    Error::Internal("the history of runs is closed".to_owned(), io::ErrorKind::BrokenPipe.into())
}
