//! What stands between the doors of the service (HTTP, MCP) and the library: every run is a ticket
//! here, from the moment it is accepted until nothing of it is left.

mod attend;
mod check;
mod idle;
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

    /// It has ended, as the history says: nothing will happen to it any more.
    fn finish(&self, ticket: &Arc<Ticket>, ended: Ended) {
        if ticket.is_detached() {
            // Who asked for it comes again: it is found with all that happened, at any time.
            ticket.tell(Told::Ended(ended));
            self.recent().keep(Arc::clone(ticket));
            self.tickets().remove(&ticket.id);
        } else {
            // Whoever hears of the end finds nothing that goes on.
            self.tickets().remove(&ticket.id);
            ticket.tell(Told::Ended(ended));
        }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tickets(&self) -> MutexGuard<'_, HashMap<String, Arc<Ticket>>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Wake, Waker};

    use belljar::{Runtimes, Warm};
    use futures_util::future::poll_immediate;

    use super::*;
    use crate::json::Problem;

    const TENANT: &str = "ann";

    /// Looks for a run in the very moment in which something is told of it.
    struct Probe {
        broker: Arc<Broker>,
        id: String,
        found: Mutex<Vec<bool>>,
    }

    impl Wake for Probe {
        fn wake(self: Arc<Self>) {
            let is_there = self.broker.ticket(TENANT, &self.id).is_some();
            self.found.lock().unwrap().push(is_there);
        }
    }

    fn broker() -> Arc<Broker> {
        let config = Config::default();
        let limits = (config.limits(), config.ceiling());
        let sandboxes = Sandboxes::new(Runtimes::builtin(), limits, &[], &Warm::default()).unwrap();
        let (store, _) = Store::open(None, config.retention()).unwrap();
        Broker::new(&config, sandboxes, store, Logs::new(1, 1)).unwrap()
    }

    #[tokio::test]
    async fn who_hears_of_an_end_finds_what_comes_again_and_nothing_else() {
        let broker = broker();
        for is_detached in [false, true] {
            let id = format!("run-{is_detached}");
            let (labels, runtime) = (std::collections::BTreeMap::new(), "bash".to_owned());
            let ticket = Ticket::new(id.clone(), TENANT.into(), runtime, labels, is_detached);
            broker.tickets().insert(id.clone(), Arc::clone(&ticket));
            let mut follower = ticket.follow();
            assert!(poll_immediate(follower.next()).await.is_some(), "it was accepted");
            let found = Mutex::default();
            let probe = Arc::new(Probe { broker: Arc::clone(&broker), id: id.clone(), found });
            let waker = Waker::from(Arc::clone(&probe));
            let mut next = pin!(follower.next());
            assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            broker.finish(&ticket, Err(Arc::new(Problem::torn())));
            assert_eq!(*probe.found.lock().unwrap(), [is_detached]);
            assert_eq!(broker.ticket(TENANT, &id).is_some(), is_detached);
        }
    }
}
