//! The thread of a connection: what waits together is written together, and what is beyond
//! retention goes behind the answers.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use belljar::Error;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::file::failed;
use super::writer::{Shared, Writer};
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
    /// What is done behind the answers is to be done.
    Tend,
    Close(Reply<()>),
}

impl Work {
    fn is_change(&self) -> bool {
        matches!(self, Self::Begin(..) | Self::Withdraw(..) | Self::Started(..) | Self::End(..))
    }
}

/// Does what is asked for until nobody can ask any more, or somebody asks for the end.
pub(super) fn attend(shared: &Shared, asked: &Receiver<Asked>) {
    let closer = serve(shared, asked);
    // Another one may open it as soon as it is said to be closed.
    if let Some(writer) = shared.take() {
        writer.close();
    }
    if let Some(reply) = closer {
        drop(reply.send(Ok(())));
    }
}

/// Who asked for the end, if anybody did.
fn serve(shared: &Shared, asked: &Receiver<Asked>) -> Option<Reply<()>> {
    let mut patience = Duration::ZERO;
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
        let mut writer = shared.lock();
        let writer = writer.as_mut()?;
        writer.change(changes);
        let mut closer = None;
        for asked in others {
            match asked.work {
                Work::Retain(retention) => writer.retain(retention),
                Work::Close(reply) => closer = Some(reply),
                question => answer(writer, question),
            }
        }
        if closer.is_some() {
            return closer;
        }
        // Behind the answers: nobody waits for it.
        patience = if writer.tend() { Duration::ZERO } else { QUIET };
    }
}

fn answer(writer: &Writer, question: Work) {
    let connection: &Connection = writer.connection();
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
