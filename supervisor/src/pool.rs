//! Jars in which something waits: how many there are, and what becomes of them. Whoever takes one
//! uses it up; a task of its own makes more, off the way of any run.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use belljar_protocol::{Prime, Waiting};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::keeper::{Keeper, Keeping, Ready, Standing, State};
use crate::plan;
use crate::reach::Reach;
use crate::runtime::Launch;
use crate::sandbox::Settings;
use crate::warm::{Warm, Warmth};
use crate::{Error, Source, StartChoice};

mod demand;

use demand::Demand;

/// How long what was taken may go without a successor: most runs are over by then, and a jar that is
/// raised meanwhile slows them down.
const LULL: Duration = Duration::from_millis(2);
/// Between two looks at what can change by itself: age, memory, what is installed.
const LOOK: Duration = Duration::from_millis(500);
/// How long what is installed may be taken for what it was.
const STAMP: Duration = Duration::from_millis(50);
/// As many as are raised at once, off the way of any run.
const HANDS: usize = 2;
/// Jars that stand empty beside those in which something waits: a burst that is deeper than the pool
/// finds at least the walls raised.
const STANDING: usize = 2;
/// Before a template is tried again that ended by itself soon after the last one.
const PAUSE: Duration = Duration::from_secs(5);
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
    ready: VecDeque<(u64, Ready)>,
    /// For children that somebody waits for.
    standing: VecDeque<(u64, Standing)>,
    raising: usize,
    demand: Demand,
    generations: u64,
    refused: Option<String>,
    /// No template is tried before.
    pause_until: Option<Instant>,
    stamped: Option<Instant>,
    each_bytes: u64,
    is_closed: bool,
}

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

/// A keeper, with its template if it has one.
struct Generation {
    number: u64,
    keeper: Arc<Keeper>,
    /// What waits in its jars.
    waiting: Waiting,
    since: Instant,
    taken: u64,
    stamp: Vec<Option<(u64, u64, i64, i64)>>,
    is_forking: bool,
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
        let large = source
            .files
            .iter()
            .any(|file| file.bytes.len() as u64 > shared.settings.limits.file_bytes);
        if interpreter.takes_programs() || large {
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
                    && source.start == StartChoice::Any
            }
            Waiting::Forked => !needs_jar,
        };
        if let Some(ready) = shared.pop(suits) {
            return Some(ready);
        }
        let (keeper, wanted, standing) = shared.raise_now(suits)?;
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
            if is_up || shared.lock().is_closed || Instant::now() > until {
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
        Warmth {
            ready: inner.ready.len(),
            raising: inner.raising,
            target: self.shared.target(&inner),
            generation: inner.generations,
            refused: inner.refused.clone(),
        }
    }

    /// Ends what waits, and the keeper.
    pub(crate) async fn close(&self) {
        let (upkeep, ready, standing, generation) = {
            let mut inner = self.shared.lock();
            inner.is_closed = true;
            let ready = std::mem::take(&mut inner.ready);
            let standing = std::mem::take(&mut inner.standing);
            (inner.upkeep.take(), ready, standing, inner.generation.take())
        };
        if let Some(upkeep) = upkeep {
            upkeep.abort();
            drop(upkeep.await);
        }
        for (_, ready) in ready {
            ready.raised.tear_down().await;
        }
        for (_, standing) in standing {
            standing.raised.tear_down().await;
        }
        if let Some(Generation { keeper, .. }) = generation {
            keeper.outlive_jars().await;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the task that makes more, if it does not run.
    fn keep_up(self: &Arc<Self>) {
        let mut inner = self.lock();
        if inner.upkeep.is_none() && !inner.is_closed {
            inner.upkeep = Some(tokio::spawn(upkeep(Arc::downgrade(self), Arc::clone(&self.wake))));
        }
    }

    /// As many as are to wait now.
    fn target(&self, inner: &Inner) -> usize {
        let affordable = self.warm.memory_bytes / inner.each_bytes.max(1);
        let affordable = usize::try_from(affordable).unwrap_or(usize::MAX);
        inner.demand.seen().clamp(self.warm.min, self.warm.max).min(affordable)
    }

    /// The oldest that suits and still lives.
    fn pop(&self, suits: impl Fn(Waiting) -> bool) -> Option<Ready> {
        let mut inner = self.lock();
        inner.demand.arrived(Instant::now());
        let current = inner.generation.as_ref().map(|generation| generation.number);
        let found = loop {
            let at = inner.ready.iter().position(|(_, ready)| suits(ready.waiting))?;
            let (number, mut ready) = inner.ready.remove(at)?;
            // Whatever it has to say, it ends.
            if matches!(ready.raised.channel.take_waiting(), Ok(None)) {
                if Some(number) == current
                    && let Some(generation) = &mut inner.generation
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
        suits: impl Fn(Waiting) -> bool,
    ) -> Option<(Arc<Keeper>, Waiting, Option<Standing>)> {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let generation = inner.generation.as_mut()?;
        let wanted = [Waiting::Forked, Waiting::Empty].into_iter().find(|waiting| {
            suits(*waiting)
                && (*waiting != Waiting::Forked || generation.waiting == Waiting::Forked)
        })?;
        generation.taken += 1;
        let mut standing = None;
        while wanted == Waiting::Forked
            && standing.is_none()
            && let Some((number, jar)) = inner.standing.pop_front()
        {
            if number == generation.number {
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

    /// Forgets everything that was started from what is not installed any more.
    fn check_stamp(&self) {
        let mut inner = self.lock();
        let now = Instant::now();
        if inner.stamped.is_some_and(|last| now.duration_since(last) < STAMP) {
            return;
        }
        inner.stamped = Some(now);
        let Some(generation) = &inner.generation else { return };
        if generation.stamp == self.settings.interpreter.stamp() {
            return;
        }
        tracing::info!("the interpreter was changed: what waits is started anew");
        let stale = std::mem::take(&mut inner.ready);
        let standing = std::mem::take(&mut inner.standing);
        let old = inner.generation.take();
        inner.refused = None;
        drop(inner);
        for (_, ready) in stale {
            ready.raised.tear_down_behind(Some(ready.seen));
        }
        for (_, standing) in standing {
            standing.raised.tear_down_behind(None);
        }
        drop(old);
        self.wake.notify_one();
    }

    /// Whether the generation has to be replaced, though it still serves.
    fn is_spent(&self, generation: &Generation, now: Instant) -> bool {
        let template = &self.warm.template;
        let is_old = generation.waiting == Waiting::Forked
            && (generation.taken >= template.runs
                || now.duration_since(generation.since) >= template.age);
        let is_broken = match generation.keeper.state() {
            State::Gone => true,
            State::WithoutTemplate(_) => generation.is_forking,
            State::Keeping | State::Warming | State::Forking => false,
        };
        is_old || is_broken
    }

    /// Starts a keeper, and waits until it can be used.
    async fn found(&self, with_template: bool) -> Result<(Arc<Keeper>, Waiting), Error> {
        let settings = &self.settings;
        let reach = Reach::find(settings).await?;
        if !reach.authority.makes_namespaces() {
            return Err(Error::Invalid("jars are kept only where namespaces are".to_owned()));
        }
        let preload = self.warm.template.preload.as_deref();
        let (launch, prime) = settings.interpreter.ahead(preload, &settings.limits)?;
        let (jar, contents) = plan::jar(settings, &reach, &launch)?;
        let (prime, waiting) = match prime {
            Prime::Template(_) if !with_template => (Prime::Nothing, Waiting::Empty),
            Prime::Template(launch) => (Prime::Template(launch), Waiting::Forked),
            Prime::Program(launch) => (Prime::Program(launch), Waiting::Primed),
            Prime::Nothing => (Prime::Nothing, Waiting::Empty),
        };
        let (host, worker, limits) = (settings.host, &settings.worker, &settings.limits);
        let generation = self.lock().generations + 1;
        let keeping = Keeping { host, worker, limits, jar, contents, prime, generation };
        let keeper = Keeper::start(keeping).await?;
        match keeper.settled().await {
            State::WithoutTemplate(why) => Err(Error::Worker(
                format!("the template is refused: {why}"),
                std::io::ErrorKind::InvalidInput.into(),
            )),
            State::Gone => Err(Error::Protocol("a keeper ended at once".to_owned())),
            State::Keeping | State::Warming | State::Forking => Ok((keeper, waiting)),
        }
    }

    /// Puts a new generation in the place of the old, whose jars go on to serve until there are
    /// new ones.
    async fn renew(&self) {
        let stamp = self.settings.interpreter.stamp();
        let is_refused = self.lock().refused.is_some();
        let founded = match self.found(!is_refused).await {
            Err(error) if !is_refused => {
                tracing::warn!(%error, "nothing can be forked");
                self.lock().refused = Some(error.to_string());
                self.found(false).await
            }
            founded => founded,
        };
        let now = Instant::now();
        let mut inner = self.lock();
        match founded {
            Ok((keeper, waiting)) => {
                inner.generations += 1;
                let is_forking = waiting == Waiting::Forked;
                let (number, taken) = (inner.generations, 0);
                let generation =
                    Generation { number, keeper, waiting, since: now, taken, stamp, is_forking };
                inner.generation = Some(generation);
            }
            Err(error) => {
                tracing::warn!(%error, "nothing can be kept ready");
                inner.refused.get_or_insert_with(|| error.to_string());
                inner.pause_until = Some(now + PAUSE);
            }
        }
        drop(inner);
        self.changed.notify_waiters();
    }

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
    fn next_task(&self) -> Option<(Arc<Keeper>, u64, Chore)> {
        let mut inner = self.lock();
        let target = self.target(&inner);
        let generation = inner.generation.as_ref()?;
        let (number, waiting) = (generation.number, generation.waiting);
        let keeper = Arc::clone(&generation.keeper);
        if inner.raising >= HANDS || inner.is_closed {
            return None;
        }
        let fresh = inner.ready.iter().filter(|(of, _)| *of == number).count();
        let standing = inner.standing.iter().filter(|(of, _)| *of == number).count();
        let chore = if fresh + inner.raising < target {
            Chore::Raise(waiting)
        } else if waiting == Waiting::Forked && standing + inner.raising < STANDING {
            Chore::Stand
        } else {
            return None;
        };
        inner.raising += 1;
        Some((keeper, number, chore))
    }

    /// Raises jars for whoever comes next, until there are enough.
    async fn work(&self) {
        while let Some((keeper, number, chore)) = self.next_task() {
            let done = match chore {
                Chore::Raise(waiting) => keeper.raise(waiting).await.map(Yield::Ready),
                Chore::Stand => keeper.stand().await.map(Yield::Standing),
            };
            let mut inner = self.lock();
            inner.raising -= 1;
            let is_closed = inner.is_closed;
            match done {
                Ok(Yield::Ready(ready)) if is_closed => {
                    ready.raised.tear_down_behind(Some(ready.seen));
                }
                Ok(Yield::Standing(standing)) if is_closed => {
                    standing.raised.tear_down_behind(None);
                }
                Ok(Yield::Ready(mut ready)) => {
                    let bytes = ready.raised.counters().memory_bytes;
                    inner.each_bytes = bytes.max(EACH_BYTES / 4);
                    inner.ready.push_back((number, ready));
                }
                Ok(Yield::Standing(standing)) => inner.standing.push_back((number, standing)),
                Err(error) => {
                    tracing::warn!(%error, "a jar could not be raised ahead");
                    // Whatever made it so, another template may be without it.
                    if inner.generation.as_ref().is_some_and(|current| current.number == number) {
                        inner.generation = None;
                        inner.pause_until = Some(Instant::now() + PAUSE / 10);
                    }
                }
            }
            drop(inner);
            self.changed.notify_waiters();
        }
    }
}

/// Keeps a pool as full as it is to be, until nobody has it any more.
async fn upkeep(shared: Weak<Shared>, wake: Arc<Notify>) {
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
            if is_due && may_try {
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

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("warm", &self.shared.warm).finish_non_exhaustive()
    }
}
