//! The hands of a pool: they raise what is missing, off the way of any run.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use belljar_protocol::Waiting;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::generation::Origin;
use super::{EACH_BYTES, LOOK, Shared};
use crate::keeper::{Keeper, Ready, Standing};

/// How long what was taken may go without a successor: most runs are over by then, and a jar that is
/// raised meanwhile slows them down.
const LULL: Duration = Duration::from_millis(2);
/// As many as are raised at once, off the way of any run.
const HANDS: usize = 2;
/// Jars that stand empty beside those in which something waits: a burst that is deeper than the pool
/// finds at least the walls raised.
const STANDING: usize = 2;

/// What hands do.
enum Chore {
    Raise(Waiting),
    Stand,
}

/// What comes of it.
enum Yield {
    Ready(Ready),
    Standing(Standing),
}

impl Shared {
    /// Drops what nobody needs.
    fn tidy(&self) {
        let mut inner = self.lock();
        inner.demand.forget(Instant::now(), self.warm.idle);
        let target = self.target(&inner);
        let surplus = inner.ready.len().saturating_sub(target);
        // The oldest first, and with them those of templates that were replaced.
        let dropped: Vec<_> = inner.ready.drain(..surplus).collect();
        drop(inner);
        for (_, ready) in dropped {
            ready.raised.tear_down_behind(Some(ready.seen));
        }
    }

    /// What is to be done next, if there is too little of anything, and not enough hands at work.
    fn next_task(&self) -> Option<(Arc<Keeper>, Arc<Origin>, Chore)> {
        let mut inner = self.lock();
        let target = self.target(&inner);
        let generation = inner.generation.as_ref()?;
        let (origin, waiting) = (Arc::clone(&generation.origin), generation.waiting);
        let keeper = Arc::clone(&generation.keeper);
        if inner.raising >= HANDS || inner.is_closed {
            return None;
        }
        let fresh = inner.ready.iter().filter(|(of, _)| Arc::ptr_eq(of, &origin)).count();
        let standing = inner.standing.iter().filter(|(of, _)| Arc::ptr_eq(of, &origin)).count();
        let chore = if fresh + inner.raising < target {
            Chore::Raise(waiting)
        } else if waiting == Waiting::Forked && standing + inner.raising < STANDING {
            Chore::Stand
        } else {
            return None;
        };
        inner.raising += 1;
        Some((keeper, origin, chore))
    }

    /// Raises jars for whoever comes next, until there are enough.
    async fn work(&self) {
        while let Some((keeper, origin, chore)) = self.next_task() {
            let done = match chore {
                Chore::Raise(waiting) => keeper.raise(waiting).await.map(Yield::Ready),
                Chore::Stand => keeper.stand().await.map(Yield::Standing),
            };
            let mut inner = self.lock();
            inner.raising -= 1;
            // What was forgotten or closed meanwhile has none.
            let current = inner.generation.as_ref();
            let is_current = current.is_some_and(|current| Arc::ptr_eq(&current.origin, &origin));
            match done {
                Ok(Yield::Ready(ready)) if is_current => {
                    inner.failures = 0;
                    inner.each_bytes = ready.memory_bytes.max(EACH_BYTES / 4);
                    inner.ready.push_back((origin, ready));
                }
                Ok(Yield::Standing(standing)) if is_current => {
                    inner.standing.push_back((origin, standing));
                }
                Ok(Yield::Ready(ready)) => ready.raised.tear_down_behind(Some(ready.seen)),
                Ok(Yield::Standing(standing)) => standing.raised.tear_down_behind(None),
                Err(error) => {
                    tracing::warn!(%error, "a jar could not be raised ahead");
                    // Whatever made it so, another template may be without it.
                    if is_current {
                        inner.generation = None;
                        inner.fail();
                    }
                }
            }
            drop(inner);
            self.changed.notify_waiters();
        }
    }
}

/// Keeps a pool as full as it is to be, until nobody has it any more.
pub(super) async fn upkeep(shared: Weak<Shared>, wake: Arc<Notify>) {
    loop {
        {
            let Some(shared) = shared.upgrade() else { return };
            shared.check_stamp();
            let now = Instant::now();
            let (is_due, may_try) = {
                let inner = shared.lock();
                let is_due = inner
                    .generation
                    .as_ref()
                    .is_none_or(|generation| shared.is_spent(generation, now));
                (is_due, inner.pause_until.is_none_or(|until| until <= now))
            };
            if is_due && may_try && shared.may_keep() {
                shared.renew().await;
            }
            shared.tidy();
            for _ in 0..HANDS {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { shared.work().await });
            }
        }
        if timeout(LOOK, wake.notified()).await.is_ok() {
            sleep(LULL).await;
        }
    }
}
