//! The thread that has a connection: what waits together is written together.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use belljar::Error;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::apply::{self, Done};
use super::file::{Opened as File, failed};
use super::retention::Keeping;
use super::{Ending, Opened, Opening, Query, Retention, Row, read};

/// In one transaction: more would let the first wait for the last.
const MOST_AT_ONCE: usize = 64;
/// How often age is looked at when nothing happens.
const QUIET: Duration = Duration::from_secs(30);

pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// Something to do, and the place that it takes until it is done.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) work: Work,
    pub(super) _place: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
pub(super) enum Work {
    Begin(Opening, Reply<Opened>),
    Withdraw(String, Reply<()>),
    Started(String, i64),
    End(Ending, Reply<()>),
    Find(Option<String>, String, Reply<Option<Row>>),
    List(Query, Reply<Vec<Row>>),
    Retain(Retention),
    Close(Reply<()>),
}

impl Work {
    fn is_change(&self) -> bool {
        matches!(self, Self::Begin(..) | Self::Withdraw(..) | Self::Started(..) | Self::End(..))
    }
}

/// Does what is asked for until nobody can ask any more, or somebody asks for the end.
pub(super) fn attend(mut file: File, retention: Retention, asked: &Receiver<Asked>) {
    let closer = serve(&mut file, retention, asked);
    if file.may_write
        && let Err(error) = checkpoint(&file.connection)
    {
        tracing::warn!(%error, "the log of the history stays");
    }
    // Another one may open it as soon as it is said to be closed.
    drop(file);
    if let Some(reply) = closer {
        drop(reply.send(Ok(())));
    }
}

/// Who asked for the end, if anybody did.
fn serve(file: &mut File, retention: Retention, asked: &Receiver<Asked>) -> Option<Reply<()>> {
    let may_write = file.may_write;
    let connection = &mut file.connection;
    let mut keeping = Keeping::new(connection, retention);
    let mut patience = QUIET;
    loop {
        let mut changes = Vec::new();
        let mut others = Vec::new();
        match asked.recv_timeout(patience) {
            Ok(first) => {
                for asked in std::iter::once(first).chain(asked.try_iter().take(MOST_AT_ONCE)) {
                    if asked.work.is_change() { &mut changes } else { &mut others }.push(asked);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
        change(connection, &mut keeping, changes);
        let mut closer = None;
        for asked in others {
            match asked.work {
                Work::Retain(retention) => keeping.retention = retention,
                Work::Close(reply) => closer = Some(reply),
                question => answer(connection, question),
            }
        }
        if closer.is_some() {
            return closer;
        }
        // Behind the answers: nobody waits for it.
        let is_more_to_do = may_write && keeping.trim(connection);
        patience = if is_more_to_do { Duration::ZERO } else { QUIET };
    }
}

/// All together; or, where that fails, each by itself, so that none fails for another's sake.
fn change(connection: &mut Connection, keeping: &mut Keeping, changes: Vec<Asked>) {
    if changes.is_empty() {
        return;
    }
    let together = in_one(connection, keeping, &changes);
    let together = together.map(|done| done.into_iter().map(Ok).collect::<Vec<_>>());
    let done = together.unwrap_or_else(|error| match changes.as_slice() {
        [one] => vec![second_try(connection, one, error)],
        many => many.iter().map(|one| alone(connection, keeping, one)).collect(),
    });
    for (asked, done) in changes.into_iter().zip(done) {
        if let Ok(done) = &done {
            keeping.count(done);
        }
        reply(asked.work, done);
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

fn answer(connection: &Connection, question: Work) {
    let unread = |error| failed("the history of runs cannot be read", &error);
    match question {
        Work::Find(tenant, id, reply) => {
            let found = read::find(connection, tenant.as_deref(), &id);
            drop(reply.send(found.map_err(unread)));
        }
        Work::List(query, reply) => {
            drop(reply.send(read::list(connection, &query).map_err(unread)));
        }
        _ => {}
    }
}

/// Puts the log into the file, and empties it.
fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))
}
