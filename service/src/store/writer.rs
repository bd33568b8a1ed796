//! What has the connection: whoever finds it free writes without another thread, as waking one
//! takes longer than most changes do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use belljar::Error;
use rusqlite::{Connection, TransactionBehavior};

use super::Retention;
use super::apply::{self, Done};
use super::file::{Opened as File, failed};
use super::retention::Keeping;
use super::work::{Asked, Work};

/// After so many changes, or so many bytes of answers, the log is put into the file: by the thread,
/// as it waits for the disk.
const MOST_CHANGES: u32 = 256;
const MOST_BYTES: u64 = 4 << 20;

/// A connection that a thread and all who ask share; nothing when it is closed.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Mutex<Option<Writer>>>);

/// A connection, and what it keeps.
#[derive(Debug)]
pub(super) struct Writer {
    file: File,
    keeping: Keeping,
    /// Since the log was put into the file.
    changes: u32,
    bytes: u64,
    /// The thread knows that there is something to do.
    is_told: bool,
}

/// What became of a change that somebody wanted at once.
pub(super) enum AtOnce {
    /// It is done, and there may be something for the thread to do.
    Done { tells: bool },
    /// Another one has the connection.
    Later(Work),
}

impl Shared {
    pub(super) fn new(file: File, retention: Retention) -> Self {
        let keeping = Keeping::new(&file.connection, retention);
        let mut writer = Writer { file, keeping, changes: 0, bytes: 0, is_told: false };
        // If there is more, the thread goes on with it.
        writer.tend();
        Self(Arc::new(Mutex::new(Some(writer))))
    }

    /// A change by itself, where nobody else has the connection. Never waits for one, nor for the
    /// disk.
    pub(super) fn at_once(&self, work: Work) -> AtOnce {
        let Ok(mut shared) = self.0.try_lock() else { return AtOnce::Later(work) };
        let Some(writer) = shared.as_mut() else { return AtOnce::Later(work) };
        writer.change(vec![Asked { work, _place: None }]);
        let tells = !writer.is_told && writer.has_more_to_do();
        writer.is_told |= tells;
        AtOnce::Done { tells }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Writer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&self) -> Option<Writer> {
        self.lock().take()
    }
}

impl Writer {
    pub(super) fn connection(&self) -> &Connection {
        &self.file.connection
    }

    pub(super) fn retain(&mut self, retention: Retention) {
        self.keeping.retention = retention;
    }

    /// Does some of what nobody waits for; whether there is more.
    pub(super) fn tend(&mut self) -> bool {
        self.is_told = false;
        if !self.file.may_write {
            return false;
        }
        if self.is_log_long() {
            (self.changes, self.bytes) = (0, 0);
            self.checkpoint("PASSIVE");
        }
        self.keeping.trim(&mut self.file.connection)
    }

    /// Puts the log into the file, empties it, and lets go of both.
    pub(super) fn close(self) {
        if self.file.may_write {
            self.checkpoint("TRUNCATE");
        }
    }

    fn has_more_to_do(&self) -> bool {
        self.is_log_long() || self.keeping.is_due()
    }

    fn is_log_long(&self) -> bool {
        self.changes >= MOST_CHANGES || self.bytes >= MOST_BYTES
    }

    fn checkpoint(&self, how: &str) {
        let checkpoint = format!("PRAGMA wal_checkpoint({how})");
        if let Err(error) = self.file.connection.query_row(&checkpoint, (), |_| Ok(())) {
            tracing::warn!(%error, "the log of the history stays");
        }
    }

    /// All together; or, where that fails, each by itself, so that none fails for another's sake.
    pub(super) fn change(&mut self, changes: Vec<Asked>) {
        if changes.is_empty() {
            return;
        }
        let (connection, keeping) = (&mut self.file.connection, &mut self.keeping);
        let together = in_one(connection, keeping, &changes);
        let together = together.map(|done| done.into_iter().map(Ok).collect::<Vec<_>>());
        let done = together.unwrap_or_else(|error| match changes.as_slice() {
            [one] => vec![second_try(connection, one, error)],
            many => many.iter().map(|one| alone(connection, keeping, one)).collect(),
        });
        for (asked, done) in changes.into_iter().zip(done) {
            if let Ok(done) = &done {
                keeping.count(done);
                self.changes += 1;
                self.bytes += if let Done::Ended(bytes) = done { *bytes } else { 0 };
            }
            reply(asked.work, done);
        }
    }
}

fn in_one(
    connection: &mut Connection,
    keeping: &Keeping,
    changes: &[Asked],
) -> rusqlite::Result<Vec<Done>> {
    // Whatever is left of it when it is dropped is rolled back.
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let most_bytes = keeping.retention.bytes;
    let done = changes.iter().map(|asked| apply::apply(&change, &asked.work, most_bytes));
    let done = done.collect::<Result<_, _>>()?;
    change.commit()?;
    Ok(done)
}

fn alone(connection: &mut Connection, keeping: &Keeping, asked: &Asked) -> rusqlite::Result<Done> {
    let done = in_one(connection, keeping, std::slice::from_ref(asked));
    match done {
        Ok(done) => Ok(done.into_iter().next().unwrap_or(Done::Nothing)),
        Err(error) => second_try(connection, asked, error),
    }
}

/// Where there is no room for an answer, there may be for the end.
fn second_try(
    connection: &mut Connection,
    asked: &Asked,
    error: rusqlite::Error,
) -> rusqlite::Result<Done> {
    let Work::End(ending, _) = &asked.work else { return Err(error) };
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = apply::end(&change, ending, 0)?;
    change.commit()?;
    tracing::warn!(id = ending.id, %error, "the answer of a run was not kept, only its status");
    Ok(done)
}

fn reply(work: Work, done: rusqlite::Result<Done>) {
    // Whoever asked may be gone.
    match (work, done) {
        (Work::Begin(_, reply), Ok(Done::Begun(opened))) => drop(reply.send(Ok(opened))),
        (Work::Begin(_, reply), Err(error)) => {
            let what = "the run was refused, as it could not be entered in the history";
            drop(reply.send(Err(failed(what, &error))));
        }
        (Work::End(_, reply), Ok(Done::Missing)) => {
            let reason = std::io::ErrorKind::NotFound.into();
            let what = "the history has no such open run".to_owned();
            drop(reply.send(Err(Error::Internal(what, reason))));
        }
        (Work::End(_, reply) | Work::Withdraw(_, reply), Ok(_)) => drop(reply.send(Ok(()))),
        (Work::Withdraw(_, reply), Err(error)) => {
            drop(reply.send(Err(failed("a run that did not come to be was kept", &error))));
        }
        (Work::End(_, reply), Err(error)) => {
            drop(reply.send(Err(failed("the end of a run was not kept", &error))));
        }
        (Work::Started(id, _), Err(error)) => {
            tracing::warn!(id, %error, "that a run has started was not kept");
        }
        _ => {}
    }
}
