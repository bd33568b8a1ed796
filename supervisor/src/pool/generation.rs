//! Keepers and templates: when one is founded, what with, and when it has had its time.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use belljar_protocol::{Mount, Prime, Waiting};

use super::{Inner, Shared};
use crate::Error;
use crate::keeper::{Keeper, Keeping, State};
use crate::plan;
use crate::reach::Reach;
use crate::runtime::Launch;

/// How long what is installed may be taken for what it was.
const STAMP: Duration = Duration::from_millis(50);

/// A keeper, with its template if it has one.
pub(super) struct Generation {
    pub(super) number: u64,
    pub(super) keeper: Arc<Keeper>,
    /// What waits in its jars.
    pub(super) waiting: Waiting,
    pub(super) since: Instant,
    pub(super) taken: u64,
    /// What its jars show of the host, and how that looked.
    pub(super) shown: Vec<Mount>,
    pub(super) stamp: Vec<Option<(u64, u64, i64, i64)>>,
    pub(super) is_forking: bool,
}

impl Shared {
    /// Forgets everything that was started from what is not installed any more.
    pub(super) fn check_stamp(&self) {
        let mut inner = self.lock();
        let now = Instant::now();
        if inner.stamped.is_some_and(|last| now.duration_since(last) < STAMP) {
            return;
        }
        inner.stamped = Some(now);
        let Some(generation) = &inner.generation else { return };
        if generation.stamp == self.settings.interpreter.stamp(&generation.shown) {
            return;
        }
        tracing::info!("the interpreter was changed: what waits is started anew");
        self.forget(inner);
    }

    /// Whether the jars of this pool are for the program of `launch`; from now on they are.
    pub(super) fn keeps_for(&self, launch: &Launch) -> bool {
        let mut inner = self.lock();
        if inner.program.as_ref().is_some_and(|known| known.mounts == launch.mounts) {
            return true;
        }
        inner.program = Some(Launch { files: Vec::new(), ..launch.clone() });
        inner.pause_until = None;
        self.forget(inner);
        false
    }

    /// Whether it is known what jars are to be like.
    pub(super) fn may_keep(&self) -> bool {
        !self.settings.interpreter.takes_programs() || self.lock().program.is_some()
    }

    /// Drops everything that waits, and whoever made it.
    pub(super) fn forget(&self, mut inner: MutexGuard<'_, Inner>) {
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
    pub(super) fn is_spent(&self, generation: &Generation, now: Instant) -> bool {
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
    pub(super) async fn found(&self, with_template: bool) -> Result<Generation, Error> {
        let settings = &self.settings;
        let program = self.lock().program.clone();
        let reach = Reach::find(settings).await?;
        if !reach.authority.makes_namespaces() {
            return Err(Error::Invalid("jars are kept only where namespaces are".to_owned()));
        }
        let preload = self.warm.template.preload.as_deref();
        let (launch, prime) = match &program {
            Some(program) => (program.clone(), Prime::Nothing),
            None => settings.interpreter.ahead(preload, &settings.limits)?,
        };
        let shown = launch.mounts.clone();
        let stamp = settings.interpreter.stamp(&shown);
        let (jar, contents) = plan::jar(settings, &reach, &launch)?;
        let (prime, waiting) = match prime {
            Prime::Template(_) if !with_template => (Prime::Nothing, Waiting::Empty),
            Prime::Template(launch) => (Prime::Template(launch), Waiting::Forked),
            Prime::Program(launch) => (Prime::Program(launch), Waiting::Primed),
            Prime::Nothing => (Prime::Nothing, Waiting::Empty),
        };
        let (host, worker, limits) = (settings.host, &settings.worker, &settings.limits);
        let generation = self.lock().generations + 1;
        let template_bytes = self.warm.template.memory_bytes;
        let keeping =
            Keeping { host, worker, limits, jar, contents, prime, template_bytes, generation };
        let keeper = Keeper::start(keeping).await?;
        match keeper.settled().await {
            State::WithoutTemplate(why) => Err(Error::Worker(
                format!("the template is refused: {why}"),
                std::io::ErrorKind::InvalidInput.into(),
            )),
            State::Gone => Err(Error::Protocol("a keeper ended at once".to_owned())),
            State::Keeping | State::Warming | State::Forking => {
                let is_forking = waiting == Waiting::Forked;
                let (number, taken, since) = (generation, 0, Instant::now());
                Ok(Generation { number, keeper, waiting, since, taken, shown, stamp, is_forking })
            }
        }
    }

    /// Puts a new generation in the place of the old, whose jars go on to serve until there are
    /// new ones.
    pub(super) async fn renew(&self) {
        let is_refused = self.lock().refused.is_some();
        let founded = match self.found(!is_refused).await {
            Err(error) if !is_refused => {
                tracing::warn!(%error, "nothing can be forked");
                self.lock().refused = Some(error.to_string());
                self.found(false).await
            }
            founded => founded,
        };
        let mut inner = self.lock();
        match founded {
            Ok(generation) => {
                inner.generations = generation.number;
                inner.keepers.retain(|keeper| keeper.strong_count() > 0);
                inner.keepers.push(Arc::downgrade(&generation.keeper));
                inner.generation = Some(generation);
            }
            Err(error) => {
                tracing::warn!(%error, "nothing can be kept ready");
                inner.refused.get_or_insert_with(|| error.to_string());
                inner.fail();
            }
        }
        drop(inner);
        self.changed.notify_waiters();
    }
}
