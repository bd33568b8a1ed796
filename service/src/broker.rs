//! What stands between the doors of the service (HTTP, MCP) and the library: every run is a ticket
//! here, from the moment it is accepted until nothing of it is left.

mod attend;
mod check;
mod policy;
mod recent;
mod sessions;
mod submission;
mod ticket;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use belljar::Error;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::config::Config;
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::sandboxes::Sandboxes;
use crate::store::Store;
use recent::Recent;

pub(crate) use policy::{Caller, NotATenant, Policy};
pub(crate) use sessions::{Called, Calls, Sessions};
pub(crate) use submission::{Key, Submission, Submitted};
pub(crate) use ticket::{Answer, Ended, Follower, Held, Ticket, Told};

/// How long the kernel and whoever reads the answers have at the end.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(5);

/// What all doors share.
pub(crate) struct Broker {
    pub(crate) sandboxes: Sandboxes,
    pub(crate) queue: Queue,
    pub(crate) store: Store,
    pub(crate) metrics: Metrics,
    pub(crate) logs: Logs,
    pub(crate) sessions: Sessions,
    checks: check::Checks,
    /// Runs that have not ended.
    alive: watch::Sender<u64>,
    phase: watch::Sender<Phase>,
    policy: RwLock<Arc<Policy>>,
    /// Those that have not ended, by their names.
    tickets: Mutex<HashMap<String, Arc<Ticket>>>,
    /// Those that ended last, with all that happened to them.
    recent: Mutex<Recent>,
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
    /// # Errors
    /// [`Error::Invalid`] when what the operator says makes no sense here.
    pub(crate) fn new(
        config: &Config,
        sandboxes: Sandboxes,
        store: Store,
        logs: Logs,
    ) -> Result<Arc<Self>, Error> {
        let (caps, quota, named) = config.quotas();
        let queue = Queue::new(caps, quota);
        queue.reconfigure(caps, quota, named);
        let metrics = Metrics::new(sandboxes.runtimes.names().map(ToOwned::to_owned));
        metrics.memory_budget_bytes.set(caps.memory_bytes);
        Ok(Arc::new(Self {
            sandboxes,
            queue,
            store,
            metrics,
            logs,
            sessions: Sessions::default(),
            checks: check::Checks::default(),
            alive: watch::Sender::new(0),
            phase: watch::Sender::new(Phase::Serving),
            policy: RwLock::new(Arc::new(Policy::new(config)?)),
            tickets: Mutex::default(),
            recent: Mutex::default(),
        }))
    }

    /// What holds now.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whatever may change while it serves is as `config` says from now on. Whoever waits or runs
    /// goes on doing so.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it makes no sense here, and then nothing has changed.
    pub(crate) fn reconfigure(&self, config: &Config) -> Result<(), Error> {
        let policy = Arc::new(Policy::new(config)?);
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
        let (caps, quota, named) = config.quotas();
        self.queue.reconfigure(caps, quota, named);
        self.metrics.memory_budget_bytes.set(caps.memory_bytes);
        self.store.retain(config.retention());
        Ok(())
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
            () = self.rest() => {}
            () = sleep(grace) => {}
            () = hurry => {}
        }
        self.phase.send_replace(Phase::Ending);
        drop(timeout(LAST_WORDS, self.rest()).await);
        self.sessions.close().await;
        self.sandboxes.close().await;
        self.store.close().await;
    }

    /// Returns when no run goes on.
    async fn rest(&self) {
        drop(self.alive.subscribe().wait_for(|alive| *alive == 0).await);
    }

    /// All that is counted, as Prometheus reads it.
    pub(crate) fn measured(&self) -> String {
        let (metrics, shape) = (&self.metrics, self.queue.shape());
        metrics.running.set(shape.running.into());
        metrics.queued.set(shape.queued.into());
        metrics.memory_used_bytes.set(shape.memory_bytes);
        metrics.sessions.set(self.sessions.len() as u64);
        for (runtime, ready) in self.sandboxes.ready() {
            metrics.set_warm_ready(&runtime, ready);
        }
        metrics.render()
    }

    /// A run of `tenant` that has not ended, or did so a moment ago.
    pub(crate) fn ticket(&self, tenant: &str, id: &str) -> Option<Arc<Ticket>> {
        let open = self.tickets().get(id).cloned();
        let found = open.or_else(|| self.recent().find(id));
        found.filter(|ticket| &*ticket.tenant == tenant)
    }

    /// It has ended: nothing will happen to it any more.
    fn retire(&self, ticket: &Arc<Ticket>) {
        // Who waits for its answer has it already; who does not comes again.
        if ticket.is_detached() {
            self.recent().keep(Arc::clone(ticket));
        }
        self.tickets().remove(&ticket.id);
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tickets(&self) -> MutexGuard<'_, HashMap<String, Arc<Ticket>>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
