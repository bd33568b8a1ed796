//! Keepers and templates: when one is founded, what with, and when it has had its time.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use belljar_protocol::{Mount, Prime, Waiting};

use super::{Inner, Shared};
use crate::Error;
use crate::keeper::{Keeper, Keeping, State};
use crate::plan;
use crate::reach::Reach;
use crate::runtime::{Launch, LaunchFile};

/// How long what is installed may be taken for what it was.
const STAMP: Duration = Duration::from_millis(50);

/// How files looked: device, inode, and when that changed.
type Stamp = Vec<Option<(u64, u64, i64, i64)>>;

/// What jars were made from. Each that waits has its own, and serves nobody who wants another.
#[derive(Debug)]
pub(super) struct Origin {
    /// Which generation it is.
    number: u64,
    /// Whose jars they are, for a runtime whose jars depend on the program.
    program: Option<Launch>,
    /// What they show of the host, and how that looked before the first of them was raised.
    shown: Vec<Mount>,
    stamp: Stamp,
}

/// A keeper, with its template if it has one.
pub(super) struct Generation {
    pub(super) origin: Arc<Origin>,
    pub(super) keeper: Arc<Keeper>,
    /// What waits in its jars.
    pub(super) waiting: Waiting,
    pub(super) since: Instant,
    pub(super) taken: u64,
    pub(super) is_forking: bool,
}

impl Origin {
    /// Whether a jar of this origin is one for `launch`.
    pub(super) fn serves(&self, launch: &Launch) -> bool {
        self.program.as_ref().is_none_or(|program| share_a_jar(program, launch))
    }

    /// Whether the jars of both are the same to whoever runs in them.
    fn is_like(&self, other: &Self) -> bool {
        self.program == other.program && self.shown == other.shown && self.stamp == other.stamp
    }
}

impl Shared {
    /// Forgets everything that was started from what is not installed any more.
    pub(super) fn check_stamp(&self) {
        // Whoever has built a program runs it in the next moment.
        let lasts = if self.settings.interpreter.takes_programs() { Duration::ZERO } else { STAMP };
        let origin = {
            let mut inner = self.lock();
            let now = Instant::now();
            if inner.stamped.is_some_and(|last| now.duration_since(last) < lasts) {
                return;
            }
            inner.stamped = Some(now);
            origin_of(&inner)
        };
        let Some(origin) = origin else { return };
        // A file system may take its time to answer.
        if origin.stamp == self.stamp(&origin.shown) {
            return;
        }
        let inner = self.lock();
        if origin_of(&inner).is_some_and(|current| Arc::ptr_eq(&current, &origin)) {
            tracing::info!("what is installed was changed: what waits is started anew");
            self.forget(inner);
        }
    }

    /// How what jars show of the host looks now.
    fn stamp(&self, shown: &[Mount]) -> Stamp {
        let mut stamp = self.settings.interpreter.stamp(shown);
        // What is in a directory that the caller shows may change, and is seen; which one it is
        // would not be.
        let identity = |path: &String| {
            let status = fs::metadata(path).ok()?;
            Some((status.dev(), status.ino(), 0, 0))
        };
        stamp.extend(self.settings.read_only.iter().map(identity));
        stamp
    }

    /// Whether the jars of this pool are for the program of `launch`; from now on they are.
    pub(super) fn keeps_for(&self, launch: &Launch) -> bool {
        // A jar with what is there for the sake of secrets is none for other runs.
        if launch.has_secret_files {
            return false;
        }
        let mut inner = self.lock();
        if inner.program.as_ref().is_some_and(|known| share_a_jar(known, launch)) {
            return true;
        }
        inner.program = Some(for_any_task(launch));
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
    async fn found(
        &self,
        program: Option<Launch>,
        with_template: bool,
    ) -> Result<Generation, Error> {
        let settings = &self.settings;
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
        let stamp = self.stamp(&shown);
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
                let origin = Arc::new(Origin { number: generation, program, shown, stamp });
                let (taken, since) = (0, Instant::now());
                Ok(Generation { origin, keeper, waiting, since, taken, is_forking })
            }
        }
    }

    /// Puts a new generation in the place of the old, whose jars go on to serve until there are
    /// new ones. What was wanted when it was begun may be wanted no more when it is ready: then it
    /// is dropped.
    pub(super) async fn renew(&self) {
        let (program, is_refused) = {
            let inner = self.lock();
            (inner.program.clone(), inner.refused.is_some())
        };
        let founded = match self.found(program.clone(), !is_refused).await {
            Err(error) if !is_refused => {
                tracing::warn!(%error, "nothing can be forked");
                self.refuse(program.as_ref(), &error);
                self.found(program.clone(), false).await
            }
            founded => founded,
        };
        let mut inner = self.lock();
        let is_wanted = !inner.is_closed && inner.program == program;
        match founded {
            _ if !is_wanted => self.wake.notify_one(),
            Ok(generation) => install(&mut inner, generation),
            Err(error) => {
                tracing::warn!(%error, "nothing can be kept ready");
                inner.refused.get_or_insert_with(|| error.to_string());
                inner.fail();
            }
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Remembers why there is no template, unless it is another program's by now.
    fn refuse(&self, program: Option<&Launch>, error: &Error) {
        let mut inner = self.lock();
        if inner.program.as_ref() == program {
            inner.refused = Some(error.to_string());
        }
    }
}

/// What waits may outlive its generation, and is all alike.
fn origin_of(inner: &Inner) -> Option<Arc<Origin>> {
    let current = inner.generation.as_ref().map(|generation| &generation.origin);
    current.or(inner.ready.front().map(|(origin, _)| origin)).cloned()
}

/// What waits stays, if it is like what will be raised, and nothing has to be forked for it.
fn install(inner: &mut Inner, generation: Generation) {
    let waiting = std::mem::take(&mut inner.ready);
    for (origin, ready) in waiting {
        if origin.is_like(&generation.origin) {
            inner.ready.push_back((origin, ready));
        } else {
            ready.raised.tear_down_behind(Some(ready.seen));
        }
    }
    for (_, standing) in std::mem::take(&mut inner.standing) {
        standing.raised.tear_down_behind(None);
    }
    inner.generations = generation.origin.number;
    inner.keepers.retain(|keeper| keeper.strong_count() > 0);
    inner.keepers.push(Arc::downgrade(&generation.keeper));
    inner.generation = Some(generation);
}

/// Whether a jar that is raised for the one is as good for the other.
fn share_a_jar(one: &Launch, other: &Launch) -> bool {
    one.mounts == other.mounts
        && one.links == other.links
        && one.exec_scratch == other.exec_scratch
        && one.delivery == other.delivery
        && own_files(one).eq(own_files(other))
}

/// Those of the jar, and of no task.
fn own_files(launch: &Launch) -> impl Iterator<Item = &LaunchFile> {
    launch.files.iter().filter(|file| !file.path.starts_with("/work/"))
}

/// What of `launch` is of the jar, and of no task.
fn for_any_task(launch: &Launch) -> Launch {
    Launch {
        program: launch.program.clone(),
        argv: Vec::new(),
        env: Vec::new(),
        mounts: launch.mounts.clone(),
        links: launch.links.clone(),
        files: own_files(launch).cloned().collect(),
        exec_scratch: launch.exec_scratch,
        delivery: launch.delivery,
        script: Vec::new(),
        script_env: Vec::new(),
        has_secret_files: false,
    }
}

#[cfg(test)]
mod tests {
    use belljar_protocol::{Delivery, Link};

    use super::*;

    fn launch(program: &str) -> Launch {
        let mount = Mount { source: program.to_owned(), target: "/program".to_owned() };
        let task = |text: &str| vec![text.to_owned()];
        Launch {
            program: "/program".to_owned(),
            argv: task(program),
            env: vec![("TOKEN".to_owned(), program.to_owned())],
            mounts: vec![mount],
            links: Vec::new(),
            files: ["/work/given", "/run/belljar/own"]
                .map(|path| LaunchFile { path: path.to_owned(), mode: 0o444, bytes: Vec::new() })
                .into(),
            exec_scratch: false,
            delivery: Delivery::Files,
            script: task(program),
            script_env: Vec::new(),
            has_secret_files: false,
        }
    }

    fn origin(program: Option<&Launch>) -> Origin {
        let program = program.map(for_any_task);
        Origin { number: 1, program, shown: Vec::new(), stamp: Vec::new() }
    }

    #[test]
    fn a_jar_serves_the_program_that_it_was_made_for() {
        let (one, other) = (launch("/bin/one"), launch("/bin/other"));
        let of_one = origin(Some(&one));
        assert!(of_one.serves(&Launch { argv: Vec::new(), env: Vec::new(), ..one.clone() }));
        let link = Link { path: "/lib".to_owned(), target: "usr/lib".to_owned() };
        let linked = Launch { links: vec![link], ..one.clone() };
        let writable = Launch { exec_scratch: true, ..one.clone() };
        for launch in [&other, &linked, &writable] {
            assert!(!of_one.serves(launch), "{launch:?}");
        }
        assert!(origin(None).serves(&one) && origin(None).serves(&other));
    }

    #[test]
    fn nothing_of_a_task_is_kept_for_the_next() {
        let kept = for_any_task(&launch("/bin/one"));
        let paths: Vec<_> = kept.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["/run/belljar/own"]);
        assert!(kept.argv.is_empty() && kept.env.is_empty() && kept.script.is_empty());
    }
}
