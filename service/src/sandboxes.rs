//! The sandboxes of a service: warm ones for what is asked for again and again, and one from
//! nothing for whatever else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use belljar::{Egress, Error, Floor, Limits, Rules, Runtime, Runtimes, Sandbox, StartChoice, Warm};
use tokio::task::JoinSet;

/// Warm sandboxes beside those with the usual limits: each has jars of its own, as a jar is raised
/// with its limits.
const MOST_OTHERS: usize = 8;
/// Limits that are remembered. Keeping jars for those that come once would cost more than it gives.
const MOST_REMEMBERED: usize = 32;

/// What a service runs in.
pub(crate) struct Sandboxes {
    pub(crate) runtimes: Runtimes,
    /// Those that what waits was raised with.
    limits: Limits,
    ceiling: Limits,
    kept: Arc<Mutex<Kept>>,
}

/// What a run or a session is to take place in.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) runtime: &'a str,
    pub(crate) limits: &'a Limits,
    pub(crate) floor: Floor,
    pub(crate) start: StartChoice,
    pub(crate) egress: &'a Egress,
    pub(crate) rules: &'a Rules,
}

#[derive(Default)]
struct Kept {
    /// With the usual limits.
    usual: Vec<Sandbox>,
    /// With others, the one that was used last at the end.
    others: Vec<(Key, Sandbox)>,
    /// Limits that came once.
    seen: Vec<Key>,
    /// Sandboxes that come to their end.
    closing: JoinSet<()>,
    is_warm: bool,
    is_closed: bool,
}

struct Key {
    runtime: String,
    limits: Limits,
}

impl Sandboxes {
    /// With warm sandboxes for `names`. Blocks: every interpreter is asked about itself.
    ///
    /// # Errors
    /// [`Error::UnknownRuntime`] and what else keeps a sandbox from being built.
    pub(crate) fn new(
        runtimes: Runtimes,
        (limits, ceiling): (Limits, Limits),
        names: &[String],
        warm: &Warm,
    ) -> Result<Self, Error> {
        let build = |name: &String| {
            let sandbox = Sandbox::builder(runtimes.get(name)?.clone()).limits(limits.clone());
            sandbox.ceiling(ceiling.clone()).warm(warm.clone()).build()
        };
        let usual = names.iter().map(build).collect::<Result<_, _>>()?;
        let kept = Arc::new(Mutex::new(Kept { usual, ..Kept::default() }));
        Ok(Self { runtimes, limits, ceiling, kept })
    }

    /// Waits until those with the usual limits are warm, or cannot be. One line for each.
    pub(crate) async fn warm_up(&self) -> Vec<String> {
        let usual = self.lock().usual.clone();
        let mut lines = Vec::with_capacity(usual.len());
        for sandbox in usual {
            let name = sandbox.runtime().to_owned();
            lines.push(match sandbox.warm_up().await {
                Err(error) => format!("{name}: {error}"),
                Ok(warmth) => match warmth.refused {
                    Some(why) => format!("{name}: {} ready, but {why}", warmth.ready),
                    None => format!("{name}: {} ready", warmth.ready),
                },
            });
        }
        self.lock().is_warm = true;
        lines
    }

    /// Whether whatever is to be warm has become so, or cannot.
    pub(crate) fn is_warm(&self) -> bool {
        let kept = self.lock();
        kept.is_warm || kept.usual.is_empty()
    }

    /// How many jars wait for each runtime.
    pub(crate) fn ready(&self) -> Vec<(String, u64)> {
        let kept = self.lock();
        let warmth = |sandbox: &Sandbox| sandbox.warmth().map_or(0, |warmth| warmth.ready as u64);
        kept.usual
            .iter()
            .map(|usual| {
                let others = kept.others.iter().filter(|(key, _)| key.runtime == usual.runtime());
                let others = others.map(|(_, sandbox)| warmth(sandbox)).sum::<u64>();
                (usual.runtime().to_owned(), warmth(usual) + others)
            })
            .collect()
    }

    /// The sandbox for what is wanted.
    ///
    /// # Errors
    /// As for [`belljar::SandboxBuilder::build`].
    pub(crate) async fn find(&self, wanted: Wanted<'_>) -> Result<Sandbox, Error> {
        let runtime = self.runtimes.get(wanted.runtime)?.clone();
        let may_wait = wanted.start != StartChoice::Cold && wanted.floor == Floor::STRICT;
        if may_wait && let Some(sandbox) = self.find_warm(wanted)? {
            return Ok(sandbox.with_policy(wanted.egress.clone(), wanted.rules.clone()));
        }
        // Anew each time: what is installed may have changed since.
        build(runtime, wanted, self.ceiling.clone()).await
    }

    /// Ends what is kept, and returns when it is gone.
    pub(crate) async fn close(&self) {
        let (usual, others, mut closing) = {
            let mut kept = self.lock();
            kept.is_closed = true;
            let others = std::mem::take(&mut kept.others).into_iter().map(|(_, sandbox)| sandbox);
            (std::mem::take(&mut kept.usual), others, std::mem::take(&mut kept.closing))
        };
        for sandbox in usual.into_iter().chain(others) {
            closing.spawn(async move { sandbox.close().await });
        }
        while closing.join_next().await.is_some() {}
    }

    fn find_warm(&self, wanted: Wanted<'_>) -> Result<Option<Sandbox>, Error> {
        let mut kept = self.lock();
        let usual = kept.usual.iter().find(|sandbox| sandbox.runtime() == wanted.runtime).cloned();
        let Some(usual) = usual else { return Ok(None) };
        if self.limits.share_a_jar(wanted.limits) {
            return usual.with_limits(wanted.limits.clone()).map(Some);
        }
        kept.other(&usual, wanted.limits)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// A warm sandbox with other limits, if they came before.
    fn other(&mut self, usual: &Sandbox, limits: &Limits) -> Result<Option<Sandbox>, Error> {
        let key = Key { runtime: usual.runtime().to_owned(), limits: limits.clone() };
        let is_alike =
            |known: &Key| known.runtime == key.runtime && known.limits.share_a_jar(limits);
        if let Some(at) = self.others.iter().position(|(known, _)| is_alike(known)) {
            let found = self.others.remove(at);
            let sandbox = found.1.with_limits(limits.clone())?;
            self.others.push(found);
            return Ok(Some(sandbox));
        }
        let Some(at) = self.seen.iter().position(is_alike) else {
            if self.seen.len() >= MOST_REMEMBERED {
                self.seen.remove(0);
            }
            self.seen.push(key);
            return Ok(None);
        };
        if self.is_closed {
            return Ok(None);
        }
        let sandbox = usual.with_limits(limits.clone())?;
        self.seen.remove(at);
        if self.others.len() >= MOST_OTHERS {
            let (_, oldest) = self.others.remove(0);
            self.closing.spawn(async move { oldest.close().await });
        }
        self.others.push((key, sandbox.clone()));
        // What has come to its end meanwhile.
        while self.closing.try_join_next().is_some() {}
        Ok(Some(sandbox))
    }
}

async fn build(runtime: Runtime, wanted: Wanted<'_>, ceiling: Limits) -> Result<Sandbox, Error> {
    let (limits, floor) = (wanted.limits.clone(), wanted.floor);
    let (egress, rules) = (wanted.egress.clone(), wanted.rules.clone());
    let build = move || {
        let sandbox = Sandbox::builder(runtime).limits(limits).ceiling(ceiling).floor(floor);
        sandbox.egress(egress).rules(rules).build()
    };
    let torn =
        |error| Error::Internal("a thread was torn down".to_owned(), std::io::Error::other(error));
    tokio::task::spawn_blocking(build).await.map_err(torn)?
}
