//! Jars in which something waits: how many there are, and what becomes of them. Whoever takes one
//! uses it up; a task of its own makes more, off the way of any run.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use belljar_protocol::Waiting;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::keeper::{Keeper, Ready, Standing};
use crate::plan;
use crate::runtime::Launch;
use crate::sandbox::Settings;
use crate::warm::{Warm, Warmth};
use crate::{Source, StartChoice};

mod demand;
mod generation;
mod work;

use demand::Demand;
use generation::{Generation, Origin};

/// Between two looks at what can change by itself: age, memory, what is installed.
const LOOK: Duration = Duration::from_millis(500);
/// Before it is tried again to keep jars, after the first failure; twice as long after each other.
const PAUSE: Duration = Duration::from_millis(250);
/// Doubled no more often than this: a minute is long enough.
const DOUBLINGS: u32 = 8;
/// What waits until it is known better.
const EACH_BYTES: u64 = 4 << 20;

/// The jars of one sandbox.
#[derive(Clone)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Arc<Settings>,
    warm: Warm,
    inner: Mutex<Inner>,
    wake: Arc<Notify>,
    /// Somebody waits for what waits.
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    upkeep: Option<JoinHandle<()>>,
    generation: Option<Generation>,
    /// That of the generation, and those before it that have jars yet.
    keepers: Vec<Weak<Keeper>>,
    ready: VecDeque<(Arc<Origin>, Ready)>,
    /// For children that somebody waits for.
    standing: VecDeque<(Arc<Origin>, Standing)>,
    raising: usize,
    demand: Demand,
    generations: u64,
    refused: Option<String>,
    /// The last program that was run, for a runtime whose jars depend on it.
    program: Option<Launch>,
    /// Nothing is tried before.
    pause_until: Option<Instant>,
    /// In a row.
    failures: u32,
    stamped: Option<Instant>,
    each_bytes: u64,
    is_closed: bool,
}

impl Pool {
    pub(crate) fn new(settings: Arc<Settings>, warm: Warm) -> Self {
        let inner = Mutex::new(Inner { each_bytes: EACH_BYTES, ..Inner::default() });
        let (wake, changed) = (Arc::new(Notify::new()), Notify::new());
        Self { shared: Arc::new(Shared { settings, warm, inner, wake, changed }) }
    }

    /// Something that waits for a source like this: ready, or the next best that can be raised now.
    /// Nothing where a start from nothing is as good.
    pub(crate) async fn take(&self, source: &Source, launch: &Launch) -> Option<Ready> {
        let shared = &self.shared;
        shared.keep_up();
        let interpreter = &shared.settings.interpreter;
        // Its files are written by the payload-to-be, whose limits stand already.
        let file_bytes = shared.settings.limits.file_bytes;
        let is_beyond = launch.files.iter().any(|file| file.bytes.len() as u64 > file_bytes);
        if is_beyond || (interpreter.takes_programs() && !shared.keeps_for(launch)) {
            return None;
        }
        shared.check_stamp();
        let restarts = source.env.iter().any(|(name, _)| interpreter.reads_at_start(name));
        // A process that executes gets descriptors; one that was executed ahead could not take any.
        let is_large =
            launch.files.iter().map(|file| file.bytes.len()).sum::<usize>() > plan::INLINE_BYTES;
        let needs_jar = restarts || source.start == StartChoice::Fresh;
        let suits = |waiting: Waiting| match waiting {
            Waiting::Empty => source.secrets.is_empty() || !launch.has_secret_files,
            Waiting::Primed => {
                !restarts
                    && !is_large
                    && source.stdin.is_empty()
                    && !source.stdin_open
                    && !source.is_session
                    && source.start == StartChoice::Any
            }
            Waiting::Forked => !needs_jar,
        };
        if let Some(ready) = shared.pop(launch, suits) {
            return Some(ready);
        }
        let (keeper, wanted, standing) = shared.raise_now(launch, suits)?;
        let ready = match standing {
            Some(standing) => keeper.fork(standing, true).await,
            None => keeper.raise(wanted).await,
        };
        match ready {
            Ok(ready) => Some(ready),
            Err(error) => {
                tracing::info!(%error, "a jar could not be raised ahead");
                shared.wake.notify_one();
                None
            }
        }
    }

    /// Returns when as much waits as is to wait at least, or cannot.
    pub(crate) async fn warm_up(&self) -> Warmth {
        let shared = &self.shared;
        shared.keep_up();
        let until = Instant::now() + Duration::from_mins(1);
        loop {
            let changed = shared.changed.notified();
            let warmth = self.warmth();
            let is_up = warmth.generation > 0 && warmth.ready >= shared.warm.min;
            let is_closed = shared.lock().is_closed;
            let is_over = is_closed || !shared.may_keep();
            if is_up || is_over || Instant::now() > until {
                return warmth;
            }
            if warmth.generation == 0 && warmth.refused.is_some() {
                return warmth;
            }
            // Anything may change without a word, such as a clock.
            drop(timeout(LOOK, changed).await);
        }
    }

    pub(crate) fn warmth(&self) -> Warmth {
        let inner = self.shared.lock();
        let refused = inner.refused.clone().or_else(|| self.shared.want(&inner));
        Warmth {
            ready: inner.ready.len(),
            raising: inner.raising,
            target: self.shared.target(&inner),
            generation: inner.generations,
            refused,
        }
    }

    /// Ends what waits, and the keeper.
    pub(crate) async fn close(&self) {
        let upkeep = {
            let mut inner = self.shared.lock();
            inner.is_closed = true;
            inner.upkeep.take()
        };
        if let Some(upkeep) = upkeep {
            upkeep.abort();
            drop(upkeep.await);
        }
        // From here on nobody founds anything.
        let (ready, standing, keepers) = {
            let mut inner = self.shared.lock();
            inner.generation = None;
            let ready = std::mem::take(&mut inner.ready);
            let standing = std::mem::take(&mut inner.standing);
            (ready, standing, std::mem::take(&mut inner.keepers))
        };
        for (_, ready) in ready {
            ready.raised.tear_down().await;
        }
        for (_, standing) in standing {
            standing.raised.tear_down().await;
        }
        let keepers = keepers.iter().filter_map(Weak::upgrade);
        let mut leaving = keepers.map(Keeper::outlive_jars).collect::<JoinSet<_>>();
        while leaving.join_next().await.is_some() {}
    }
}

impl Inner {
    /// Leaves off for a while, the longer the more often it failed.
    fn fail(&mut self) {
        let pause = PAUSE * 2_u32.pow(self.failures.min(DOUBLINGS));
        self.failures = self.failures.saturating_add(1);
        self.pause_until = Some(Instant::now() + pause);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the task that makes more, if it does not run.
    fn keep_up(self: &Arc<Self>) {
        let mut inner = self.lock();
        // One that was started on a runtime that is no more has ended with it.
        let is_kept = inner.upkeep.as_ref().is_some_and(|upkeep| !upkeep.is_finished());
        if !is_kept && !inner.is_closed {
            inner.upkeep =
                Some(tokio::spawn(work::upkeep(Arc::downgrade(self), Arc::clone(&self.wake))));
        }
    }

    /// As many as are to wait now.
    fn target(&self, inner: &Inner) -> usize {
        let affordable = self.warm.memory_bytes / inner.each_bytes.max(1);
        let affordable = usize::try_from(affordable).unwrap_or(usize::MAX);
        inner.demand.seen().clamp(self.warm.min, self.warm.max).min(affordable)
    }

    /// Why fewer wait than are to wait at least.
    fn want(&self, inner: &Inner) -> Option<String> {
        let each = inner.each_bytes;
        let needed = each.saturating_mul(self.warm.min as u64);
        (needed > self.warm.memory_bytes).then(|| {
            let mib = |bytes: u64| bytes >> 20;
            let all = mib(self.warm.memory_bytes);
            format!("each jar that waits takes {} MiB, and all may take {all}", mib(each))
        })
    }

    /// The oldest that suits and still lives. Other runs come and go between any two looks at the
    /// pool: what a jar was made for is compared in the moment in which it is taken.
    fn pop(&self, launch: &Launch, suits: impl Fn(Waiting) -> bool) -> Option<Ready> {
        let mut inner = self.lock();
        inner.demand.arrived(Instant::now());
        let found = loop {
            let is_one = |(origin, ready): &(Arc<Origin>, Ready)| {
                origin.serves(launch) && suits(ready.waiting)
            };
            let at = inner.ready.iter().position(is_one)?;
            let (origin, mut ready) = inner.ready.remove(at)?;
            // Whatever it has to say, it ends.
            if matches!(ready.raised.channel.take_waiting(), Ok(None)) {
                if let Some(generation) = &mut inner.generation
                    && Arc::ptr_eq(&origin, &generation.origin)
                {
                    generation.taken += 1;
                }
                break ready;
            }
            ready.raised.tear_down_behind(Some(ready.seen));
        };
        drop(inner);
        self.wake.notify_one();
        Some(found)
    }

    /// What can be raised in this moment for somebody who waits.
    fn raise_now(
        &self,
        launch: &Launch,
        suits: impl Fn(Waiting) -> bool,
    ) -> Option<(Arc<Keeper>, Waiting, Option<Standing>)> {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let generation = inner.generation.as_mut()?;
        if !generation.origin.serves(launch) {
            return None;
        }
        let wanted = [Waiting::Forked, Waiting::Empty].into_iter().find(|waiting| {
            suits(*waiting)
                && (*waiting != Waiting::Forked || generation.waiting == Waiting::Forked)
        })?;
        generation.taken += 1;
        let mut standing = None;
        while wanted == Waiting::Forked
            && standing.is_none()
            && let Some((origin, jar)) = inner.standing.pop_front()
        {
            if Arc::ptr_eq(&origin, &generation.origin) {
                standing = Some(jar);
            } else {
                jar.raised.tear_down_behind(None);
            }
        }
        let keeper = Arc::clone(&generation.keeper);
        drop(guard);
        self.wake.notify_one();
        Some((keeper, wanted, standing))
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("warm", &self.shared.warm).finish_non_exhaustive()
    }
}
