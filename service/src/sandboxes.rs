//! The sandboxes of a service: warm ones for what is asked for again and again, and one from
//! nothing for whatever else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use belljar::{Error, Floor, Limits, Runtime, Runtimes, Sandbox, StartChoice, Warm};
use tokio::task::JoinSet;

use crate::json::Wish;

/// Warm sandboxes beside those with the usual limits: each has jars of its own, as a jar is raised
/// with its limits.
const MOST_OTHERS: usize = 8;
/// Limits that are remembered. Keeping jars for those that come once would cost more than it gives.
const MOST_REMEMBERED: usize = 32;

/// What a service runs in.
pub(crate) struct Sandboxes {
    pub(crate) runtimes: Runtimes,
    kept: Arc<Mutex<Kept>>,
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
    is_closed: bool,
}

#[derive(Clone, PartialEq)]
struct Key {
    runtime: String,
    limits: Limits,
}

impl Sandboxes {
    /// With warm sandboxes for `names`. Blocks: every interpreter is asked about itself.
    ///
    /// # Errors
    /// [`Error::UnknownRuntime`] and what else keeps a sandbox from being built.
    pub(crate) fn new(runtimes: Runtimes, names: &[String], warm: &Warm) -> Result<Self, Error> {
        let build = |name: &String| {
            Sandbox::builder(runtimes.get(name)?.clone()).warm(warm.clone()).build()
        };
        let usual = names.iter().map(build).collect::<Result<_, _>>()?;
        let kept = Arc::new(Mutex::new(Kept { usual, ..Kept::default() }));
        Ok(Self { runtimes, kept })
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
        lines
    }

    /// The sandbox for a wish.
    ///
    /// # Errors
    /// As for [`belljar::SandboxBuilder::build`].
    pub(crate) async fn find(&self, wish: &Wish) -> Result<Sandbox, Error> {
        let runtime = self.runtimes.get(&wish.runtime)?.clone();
        let may_wait = wish.source.start != StartChoice::Cold && wish.floor == Floor::STRICT;
        if may_wait && let Some(sandbox) = self.find_warm(wish)? {
            return Ok(sandbox);
        }
        // Anew each time: what is installed may have changed since.
        build(runtime, wish.limits.clone(), wish.floor).await
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

    fn find_warm(&self, wish: &Wish) -> Result<Option<Sandbox>, Error> {
        let mut kept = self.lock();
        let usual = kept.usual.iter().find(|sandbox| sandbox.runtime() == wish.runtime).cloned();
        let Some(usual) = usual else { return Ok(None) };
        if wish.limits == Limits::strict() {
            return Ok(Some(usual));
        }
        kept.other(&usual, &wish.limits)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// A warm sandbox with other limits, if they came before.
    fn other(&mut self, usual: &Sandbox, limits: &Limits) -> Result<Option<Sandbox>, Error> {
        let key = Key { runtime: usual.runtime().to_owned(), limits: limits.clone() };
        if let Some(at) = self.others.iter().position(|(known, _)| *known == key) {
            let found = self.others.remove(at);
            let sandbox = found.1.clone();
            self.others.push(found);
            return Ok(Some(sandbox));
        }
        let Some(at) = self.seen.iter().position(|known| *known == key) else {
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

async fn build(runtime: Runtime, limits: Limits, floor: Floor) -> Result<Sandbox, Error> {
    let build = move || Sandbox::builder(runtime).limits(limits).floor(floor).build();
    let torn =
        |error| Error::Internal("a thread was torn down".to_owned(), std::io::Error::other(error));
    tokio::task::spawn_blocking(build).await.map_err(torn)?
}
