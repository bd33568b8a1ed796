//! What stands between the doors of the service (HTTP, MCP) and the library: every run is a ticket
//! here, from the moment it is accepted until nothing of it is left.

mod attend;
mod submission;
mod ticket;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::sandboxes::Sandboxes;

pub(crate) use submission::{Submission, Submitted};
pub(crate) use ticket::{Ended, Follower, Held, Ticket, Told};

/// Runs at one time.
const MOST_RUNS: u32 = 64;
/// How long the kernel and whoever reads the answers have at the end.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(5);

/// What all doors share.
pub(crate) struct Broker {
    pub(crate) sandboxes: Sandboxes,
    /// One permit for each run until nothing of it is left.
    turns: Arc<Semaphore>,
    phase: watch::Sender<Phase>,
    /// Those that have not ended, by their names.
    tickets: Mutex<HashMap<String, Arc<Ticket>>>,
}

/// How much longer there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Serving,
    /// No run begins any more.
    Draining,
    /// Those that go on are killed.
    Ending,
}

impl Broker {
    pub(crate) fn new(sandboxes: Sandboxes) -> Arc<Self> {
        Arc::new(Self {
            sandboxes,
            turns: Arc::new(Semaphore::new(MOST_RUNS as usize)),
            phase: watch::Sender::new(Phase::Serving),
            tickets: Mutex::default(),
        })
    }

    /// Whether it has come as far as `phase`.
    pub(crate) fn is(&self, phase: Phase) -> bool {
        *self.phase.borrow() >= phase
    }

    /// Returns once it has.
    pub(crate) async fn reaches(&self, phase: Phase) {
        // Its sender lives as long as we do.
        drop(self.phase.subscribe().wait_for(|now| *now >= phase).await);
    }

    /// Lets runs end by themselves for as long as `grace`, or until `hurry` returns; then kills
    /// them. Nothing is left when it returns.
    pub(crate) async fn drain(&self, grace: Duration, hurry: impl Future<Output = ()>) {
        self.phase.send_replace(Phase::Draining);
        tokio::select! {
            _ = self.turns.acquire_many(MOST_RUNS) => {}
            () = sleep(grace) => {}
            () = hurry => {}
        }
        self.phase.send_replace(Phase::Ending);
        drop(timeout(LAST_WORDS, self.turns.acquire_many(MOST_RUNS)).await);
        self.sandboxes.close().await;
    }

    /// A run of `tenant` that has not ended.
    pub(crate) fn ticket(&self, tenant: &str, id: &str) -> Option<Arc<Ticket>> {
        self.tickets().get(id).filter(|ticket| &*ticket.tenant == tenant).cloned()
    }

    fn tickets(&self) -> MutexGuard<'_, HashMap<String, Arc<Ticket>>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
