//! One run of the service: what is known of it, and what happened so far.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use belljar::{Chunk, Input};
use hyper::body::Bytes;
use serde_json::json;
use tokio::sync::{Notify, watch};

use crate::json::{self, Outcome, Problem};

/// A run, from its acceptance to its end.
pub(crate) struct Ticket {
    pub(crate) id: String,
    /// Whose it is. To others it does not exist.
    pub(crate) tenant: Arc<str>,
    pub(crate) runtime: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) created_ms: i64,
    /// Everything that happened, in order. Never more than what the outcome has as well.
    log: Mutex<Vec<Arc<Told>>>,
    /// How much that is, for those who follow.
    length: watch::Sender<usize>,
    stage: watch::Sender<Stage>,
    pub(super) end: Notify,
    /// Who asked for it comes again for what came of it.
    is_detached: bool,
    /// Standard input, while it is open.
    input: Mutex<Option<Input>>,
    /// Held by whoever writes to it.
    pub(crate) feeding: tokio::sync::Mutex<()>,
}

/// How far a run has come.
#[derive(Clone)]
enum Stage {
    Queued,
    Running,
    Ended(Ended),
}

/// Something that happened to a run.
pub(crate) enum Told {
    /// It waits for its turn.
    Queued,
    /// The payload runs behind walls that were looked at.
    Started,
    Output(Chunk),
    /// The last that is told.
    Ended(Ended),
}

/// How a run came to its end: what the payload did, or why belljar failed.
pub(crate) type Ended = Result<Arc<Answer>, Arc<Problem>>;

/// An outcome, and its JSON, which is made once.
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    /// With the end of the line.
    pub(crate) line: Bytes,
}

/// Goes through what happens to a run.
pub(crate) struct Follower {
    ticket: Arc<Ticket>,
    length: watch::Receiver<usize>,
    next: usize,
}

/// A run in the hands of its caller. Dropping this cancels it, unless it is to go on without.
pub(crate) struct Held {
    pub(crate) ticket: Arc<Ticket>,
}

impl Ticket {
    pub(super) fn new(
        id: String,
        tenant: Arc<str>,
        runtime: String,
        labels: BTreeMap<String, String>,
        is_detached: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            tenant,
            runtime,
            labels,
            created_ms: json::now_ms(),
            log: Mutex::new(vec![Arc::new(Told::Queued)]),
            length: watch::Sender::new(1),
            stage: watch::Sender::new(Stage::Queued),
            end: Notify::new(),
            is_detached,
            input: Mutex::default(),
            feeding: tokio::sync::Mutex::default(),
        })
    }

    /// The word for how far it has come.
    pub(crate) fn status(&self) -> String {
        match &*self.stage.borrow() {
            Stage::Queued => "queued".to_owned(),
            Stage::Running => "running".to_owned(),
            Stage::Ended(Ok(answer)) => answer.outcome.status.to_string(),
            Stage::Ended(Err(problem)) => problem.code.to_string(),
        }
    }

    /// Returns when it runs, or never will.
    pub(crate) async fn begun(&self) -> Result<(), Arc<Problem>> {
        let mut stage = self.stage.subscribe();
        // The sender is ours: it cannot go away meanwhile.
        let stage = stage.wait_for(|stage| !matches!(stage, Stage::Queued)).await;
        match stage.as_deref() {
            Ok(Stage::Ended(Err(problem))) => Err(Arc::clone(problem)),
            _ => Ok(()),
        }
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) -> Ended {
        let mut stage = self.stage.subscribe();
        let stage = stage.wait_for(|stage| matches!(stage, Stage::Ended(_))).await;
        match stage.as_deref() {
            Ok(Stage::Ended(ended)) => ended.clone(),
            _ => Err(Arc::new(Problem::torn())),
        }
    }

    pub(super) fn is_detached(&self) -> bool {
        self.is_detached
    }

    /// What it takes up in memory, roughly.
    pub(super) fn bytes(&self) -> usize {
        const EACH: usize = 256;
        let bytes = |told: &Arc<Told>| match &**told {
            Told::Output(Chunk::Stdout(bytes) | Chunk::Stderr(bytes)) => EACH + bytes.len(),
            // Once as JSON, once as it is.
            Told::Ended(Ok(answer)) => EACH + 2 * answer.line.len(),
            _ => EACH,
        };
        self.log().iter().map(bytes).sum()
    }

    /// Everything that happens, from the first on.
    pub(crate) fn follow(self: &Arc<Self>) -> Follower {
        Follower { ticket: Arc::clone(self), length: self.length.subscribe(), next: 0 }
    }

    /// Ends it, and everything that it started.
    pub(crate) fn cancel(&self) {
        self.end.notify_one();
    }

    /// Standard input, if it was left open and the payload has begun.
    pub(crate) fn input(&self) -> Option<Input> {
        self.input.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nothing more is written to standard input.
    pub(crate) fn close_input(&self) {
        if let Some(input) = self.give_input(None) {
            input.close();
        }
    }

    pub(super) fn give_input(&self, input: Option<Input>) -> Option<Input> {
        let mut held = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut held, input)
    }

    pub(super) fn tell(&self, told: Told) {
        let stage = match &told {
            Told::Started => Some(Stage::Running),
            Told::Ended(ended) => Some(Stage::Ended(ended.clone())),
            Told::Queued | Told::Output(_) => None,
        };
        let length = {
            let mut log = self.log();
            log.push(Arc::new(told));
            log.len()
        };
        self.length.send_replace(length);
        if let Some(stage) = stage {
            self.stage.send_replace(stage);
        }
    }

    fn log(&self) -> MutexGuard<'_, Vec<Arc<Told>>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    pub(super) fn new(outcome: Outcome) -> Arc<Self> {
        let line = Bytes::from(format!("{}\n", json::line(&outcome)));
        Arc::new(Self { outcome, line })
    }

    /// Its JSON, without the end of the line.
    pub(crate) fn json(&self) -> Bytes {
        self.line.slice(..self.line.len().saturating_sub(1))
    }

    /// The same as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.json()).into_owned()
    }

    /// Its JSON without what the payload wrote.
    pub(super) fn silent(&self) -> String {
        let mut row = serde_json::from_slice::<serde_json::Value>(&self.line).unwrap_or_default();
        for (name, empty) in
            [("stdout", "".into()), ("stderr", "".into()), ("artifacts", json!([]))]
        {
            if let Some(value) = row.get_mut(name) {
                *value = empty;
            }
        }
        json::line(&row)
    }
}

impl Follower {
    /// What happened next and its number, counted from one; nothing after the end. Cancellation
    /// safe.
    pub(crate) async fn next(&mut self) -> Option<(usize, Arc<Told>)> {
        loop {
            // Before the look: what comes after it is a change.
            self.length.borrow_and_update();
            let (told, is_over) = {
                let log = self.ticket.log();
                let is_over = matches!(log.last().map(|told| &**told), Some(Told::Ended(_)));
                (log.get(self.next).cloned(), is_over)
            };
            if let Some(told) = told {
                self.next += 1;
                return Some((self.next, told));
            }
            if is_over {
                return None;
            }
            // Its sender is the ticket's, which is ours.
            drop(self.length.changed().await);
        }
    }

    /// Leaves out what has a number up to `seen`.
    pub(crate) fn skip(mut self, seen: usize) -> Self {
        self.next = seen;
        self
    }

    /// The name of the run.
    pub(crate) fn id(&self) -> &str {
        &self.ticket.id
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.ticket.is_detached {
            self.ticket.cancel();
        }
    }
}
