//! Who runs next. Tenants take turns, whoever of them has more to do; within a tenant, who came
//! first goes first. What a tenant may use in a minute is refused beforehand, and never waited for.

mod state;
mod tenant;
mod window;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use state::{Entered, State};

/// Bounds of the whole service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caps {
    /// Turns at one time; at least one.
    pub(crate) running: u32,
    /// Those that wait; with 0 nobody does.
    pub(crate) queued: u32,
    /// Of all turns together; 0 is no bound.
    pub(crate) memory_bytes: u64,
}

/// Bounds of one tenant. 0 is no bound but that of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) running: u32,
    pub(crate) queued: u32,
    pub(crate) cpu_ms_per_minute: u64,
    pub(crate) runs_per_minute: u32,
    /// How many turns it has for one of a tenant with weight 1 when both wait; at least one.
    pub(crate) weight: u32,
}

/// The queue of a service. A clone is the same queue.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    state: Arc<Mutex<State>>,
}

/// The right to run. Dropping it gives everything back.
#[derive(Debug)]
pub(crate) struct Turn {
    queue: Queue,
    tenant: Arc<str>,
    memory_bytes: u64,
    began: Instant,
}

/// Why somebody may not even wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Busy {
    pub(crate) why: String,
    /// When it is worth another try.
    pub(crate) retry_after_ms: u32,
    /// Whether it ever is.
    pub(crate) may_retry: bool,
    /// Whether it is the tenant's own bound, and nobody else's doing.
    pub(crate) is_own: bool,
}

/// What goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) running: u32,
    pub(crate) queued: u32,
    pub(crate) memory_bytes: u64,
    /// Those that run or wait, by name.
    pub(crate) tenants: BTreeMap<String, Share>,
}

/// What a tenant has of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) running: u32,
    pub(crate) queued: u32,
    pub(crate) memory_bytes: u64,
}

/// A place in the queue, or a turn that nobody has taken yet.
struct Place {
    queue: Queue,
    tenant: Arc<str>,
    number: u64,
    memory_bytes: u64,
    is_taken: bool,
}

impl Queue {
    /// `quota` is for tenants that have none of their own.
    pub(crate) fn new(caps: Caps, quota: Quota) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(caps, quota))) }
    }

    /// Other bounds from now on. Whoever waits or runs goes on doing so.
    pub(crate) fn reconfigure(&self, caps: Caps, quota: Quota, named: BTreeMap<String, Quota>) {
        self.lock().reconfigure(caps, quota, named);
    }

    /// Waits for a turn; not at all when there is room and nobody else waits for it. Dropping the
    /// future leaves the queue.
    ///
    /// # Errors
    /// [`Busy`] at once, when a quota is used up or as many wait as may.
    pub(crate) async fn admit(&self, tenant: &str, memory_bytes: u64) -> Result<Turn, Busy> {
        let entered = self.lock().enter(tenant, memory_bytes, Instant::now())?;
        match entered {
            Entered::Running(tenant) => Ok(self.turn(tenant, memory_bytes)),
            Entered::Waiting { tenant, number, told } => {
                let queue = self.clone();
                let place = Place { queue, tenant, number, memory_bytes, is_taken: false };
                Ok(place.turn(told).await)
            }
        }
    }

    pub(crate) fn shape(&self) -> Shape {
        self.lock().shape()
    }

    fn turn(&self, tenant: Arc<str>, memory_bytes: u64) -> Turn {
        Turn { queue: self.clone(), tenant, memory_bytes, began: Instant::now() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Charges the tenant for processor time.
    pub(crate) fn used(&self, cpu: Duration) {
        self.queue.lock().charge(&self.tenant, cpu, Instant::now());
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let now = Instant::now();
        let length = now.duration_since(self.began);
        self.queue.lock().release(&self.tenant, self.memory_bytes, Some(length));
    }
}

impl Busy {
    fn later(why: String, wait: Duration) -> Self {
        let millis = wait.as_nanos().div_ceil(1_000_000);
        let retry_after_ms = u32::try_from(millis).unwrap_or(u32::MAX);
        Self { why, retry_after_ms, may_retry: true, is_own: false }
    }

    fn own(why: String, wait: Duration) -> Self {
        Self { is_own: true, ..Self::later(why, wait) }
    }

    /// Not before there are other bounds.
    fn never(why: impl Into<String>) -> Self {
        Self { why: why.into(), retry_after_ms: 60_000, may_retry: false, is_own: true }
    }
}

impl Place {
    async fn turn(mut self, told: oneshot::Receiver<()>) -> Turn {
        // The other end goes only after it has told: a place that is in the queue keeps it there.
        drop(told.await);
        self.is_taken = true;
        self.queue.turn(Arc::clone(&self.tenant), self.memory_bytes)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_taken {
            return;
        }
        let mut state = self.queue.lock();
        if !state.leave(&self.tenant, self.number) {
            state.release(&self.tenant, self.memory_bytes, None);
        }
    }
}
