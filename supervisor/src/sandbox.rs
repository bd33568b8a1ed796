//! What a caller holds: a runtime with limits, ready to run sources.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};
use tokio::task::spawn_blocking;

use crate::host::Host;
use crate::keeper::Ready;
use crate::live::{self, Way};
use crate::plan::{self, Errand, Plan, Site, Wiring};
use crate::pool::Pool;
use crate::reach::Reach;
use crate::runtime::{Interpreter, Launch};
use crate::warm::{Warm, Warmth};
use crate::{
    Egress, Error, Floor, Limits, Outcome, Rules, Run, Runtime, Runtimes, Session, SessionOptions,
    Source, StartChoice, spawn,
};

/// A runtime and the limits of what it runs. Cheap to clone.
///
/// ```no_run
/// # async fn example() -> Result<(), belljar::Error> {
/// let sandbox = belljar::Sandbox::builder("python").build()?;
/// let outcome = sandbox.run("print(6 * 7)").await?;
/// assert_eq!(outcome.stdout.bytes, b"42\n");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Sandbox {
    settings: Arc<Settings>,
    /// Jars that wait, if any are to.
    pool: Option<Pool>,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) runtime: String,
    pub(crate) interpreter: Interpreter,
    pub(crate) worker: PathBuf,
    pub(crate) limits: Limits,
    pub(crate) ceiling: Limits,
    pub(crate) floor: Floor,
    pub(crate) read_only: Vec<String>,
    pub(crate) host: &'static Host,
    pub(crate) warm: Option<Warm>,
    pub(crate) egress: Egress,
    pub(crate) rules: Rules,
}

/// What a [`Sandbox`] is made from.
#[derive(Clone, Debug)]
#[must_use]
pub struct SandboxBuilder {
    runtime: Choice,
    program: Option<PathBuf>,
    worker: Option<PathBuf>,
    limits: Limits,
    ceiling: Limits,
    floor: Floor,
    read_only: Vec<PathBuf>,
    warm: Option<Warm>,
    egress: Egress,
    rules: Rules,
}

/// A runtime, or the name of a built-in one.
#[derive(Clone, Debug)]
pub enum Choice {
    /// One of [`Runtimes::builtin`].
    Named(String),
    /// This one.
    Runtime(Runtime),
}

impl Sandbox {
    /// Begins a sandbox for a runtime, by name or as a value.
    pub fn builder(runtime: impl Into<Choice>) -> SandboxBuilder {
        SandboxBuilder {
            runtime: runtime.into(),
            program: None,
            worker: None,
            limits: Limits::strict(),
            ceiling: Limits::ceiling(),
            floor: Floor::STRICT,
            read_only: Vec::new(),
            warm: None,
            egress: Egress::default(),
            rules: Rules::default(),
        }
    }

    /// Runs a source to its end. Dropping this future kills the payload.
    ///
    /// # Errors
    /// A request that makes no sense, a layer that cannot be enforced, or our own failure. What the
    /// payload does is never an error.
    pub async fn run(&self, source: impl Into<Source>) -> Result<Outcome, Error> {
        let mut source = source.into();
        source.stdin_open = false;
        let (mut source, launch) = self.launch(source).await?;
        if let Some((ready, plan, errand)) = Box::pin(self.take(&mut source, &launch)).await? {
            // In this very task: every hop to another thread would cost as much as the hand-over.
            let (_cancel, cancelled) = oneshot::channel();
            let (confined, _nobody) = oneshot::channel();
            let run = live::live(plan, errand, Way::Warm(ready), cancelled, confined);
            return Box::pin(run).await;
        }
        Box::pin(self.start_cold(source, launch)).await?.wait().await
    }

    /// Starts a source, and returns once it runs behind walls that were looked at. Dropping this
    /// future, or the [`Run`], kills the payload.
    ///
    /// # Errors
    /// As for [`Sandbox::run`].
    pub async fn start(&self, source: impl Into<Source>) -> Result<Run, Error> {
        let (mut source, launch) = self.launch(source.into()).await?;
        // What it takes to start is large, and a caller's own future is to stay small.
        let taken = Box::pin(self.take(&mut source, &launch)).await?;
        if let Some((ready, plan, errand)) = taken {
            return Run::start(plan, errand, Way::Warm(ready)).await;
        }
        Box::pin(self.start_cold(source, launch)).await
    }

    /// Opens a session, and returns once its guest waits for calls, behind walls that were looked at.
    /// It lives no longer than the limit on wall time says, and all its calls together use what a run
    /// may use.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a runtime that has no sessions; otherwise as for [`Sandbox::run`].
    pub async fn open(&self, options: SessionOptions) -> Result<Session, Error> {
        let (mut source, launch) = self.launch(options.into_source()).await?;
        let taken = Box::pin(self.take(&mut source, &launch)).await?;
        let (plan, errand, way) = match taken {
            Some((ready, plan, errand)) => (plan, errand, Way::Warm(ready)),
            None => Box::pin(self.prepare_cold(source, launch)).await?,
        };
        Box::pin(Session::start(plan, errand, way)).await
    }

    /// What is read by its grammar may be long: nobody else waits for that.
    async fn launch(&self, source: Source) -> Result<(Source, Launch), Error> {
        static READERS: Semaphore = Semaphore::const_new(2);
        let settings = &self.settings;
        if !plan::is_read(settings, &source) {
            let launch = plan::launch(settings, &source)?;
            return Ok((source, launch));
        }
        let _reader = READERS.acquire().await;
        let settings = Arc::clone(settings);
        let read = move || plan::launch(&settings, &source).map(|launch| (source, launch));
        let torn = |error| Error::Internal("a check was torn down".to_owned(), error);
        spawn_blocking(read).await.map_err(io::Error::other).map_err(torn)?
    }

    async fn start_cold(&self, source: Source, launch: Launch) -> Result<Run, Error> {
        let (plan, errand, way) = self.prepare_cold(source, launch).await?;
        Run::start(plan, errand, way).await
    }

    async fn prepare_cold(
        &self,
        mut source: Source,
        mut launch: Launch,
    ) -> Result<(Plan, Errand, Way), Error> {
        let settings = &self.settings;
        let reach = Reach::find(settings).await?;
        let mut plan = Plan::new(settings, &source, &launch)?;
        let authority = reach.authority;
        let wiring =
            Wiring::new(authority, settings, &mut source, &mut launch, &mut plan.redactor)?;
        let (site, mut launch) =
            Site::new(settings, &reach, &plan.id, launch, &source.secrets, wiring)?;
        let errand = Errand::new(settings, &mut source, &mut launch)?;
        Ok((plan, errand, Way::Cold(Box::new(site))))
    }

    /// A jar that waits for something like this, and what is to be done in it.
    async fn take(
        &self,
        source: &mut Source,
        launch: &Launch,
    ) -> Result<Option<(Box<Ready>, Plan, Errand)>, Error> {
        let Some(pool) = &self.pool else { return Ok(None) };
        // What waits has no network, and is given none any more.
        if source.start == StartChoice::Cold || !source.network.is_none() {
            return Ok(None);
        }
        let plan = Plan::new(&self.settings, source, launch)?;
        let Some(ready) = pool.take(source, launch).await else { return Ok(None) };
        let errand = Errand::for_waiting(&self.settings, source, launch, ready.waiting)?;
        Ok(Some((Box::new(ready), plan, errand)))
    }

    /// Starts what keeps this sandbox warm, and returns when as much waits as is to wait at least,
    /// or cannot. Without it the first run does, and nobody waits for it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the sandbox was not built with [`SandboxBuilder::warm`].
    pub async fn warm_up(&self) -> Result<Warmth, Error> {
        match &self.pool {
            Some(pool) => Ok(pool.warm_up().await),
            None => Err(Error::Invalid("this sandbox keeps nothing warm".to_owned())),
        }
    }

    /// What waits, and why there is not more.
    pub fn warmth(&self) -> Option<Warmth> {
        self.pool.as_ref().map(Pool::warmth)
    }

    /// Ends what waits, and returns when it and everything that runs left behind is gone. Runs
    /// that go on are not touched.
    pub async fn close(&self) {
        if let Some(pool) = &self.pool {
            pool.close().await;
        }
    }

    /// The same sandbox with other limits. What waits is the same too, if the limits
    /// [share a jar](Limits::share_a_jar): closing one then closes both.
    ///
    /// # Errors
    /// [`Error::Invalid`] when one of them is zero or above the ceiling.
    pub fn with_limits(&self, limits: Limits) -> Result<Self, Error> {
        limits.check(&self.settings.ceiling)?;
        let is_shared = self.settings.limits.share_a_jar(&limits);
        let settings = Settings { limits, ..Settings::clone(&self.settings) };
        if is_shared {
            return Ok(Self { settings: Arc::new(settings), pool: self.pool.clone() });
        }
        Ok(Self::new(settings))
    }

    /// The same sandbox with another egress and other rules. What waits is the same too, as both are
    /// of a run and not of a jar: closing one closes both.
    #[must_use]
    pub fn with_policy(&self, egress: Egress, rules: Rules) -> Self {
        if self.settings.egress == egress && self.settings.rules == rules {
            return self.clone();
        }
        let settings = Settings { egress, rules, ..Settings::clone(&self.settings) };
        Self { settings: Arc::new(settings), pool: self.pool.clone() }
    }

    fn new(settings: Settings) -> Self {
        let settings = Arc::new(settings);
        // Nothing is kept where there are no namespaces: it would have to be built anyway.
        let warm = settings.warm.clone();
        let pool = warm.map(|warm| Pool::new(Arc::clone(&settings), warm));
        Self { settings, pool }
    }

    /// The runtime's name.
    pub fn runtime(&self) -> &str {
        &self.settings.runtime
    }

    /// The interpreter that was found.
    pub fn interpreter(&self) -> &Interpreter {
        &self.settings.interpreter
    }
}

impl SandboxBuilder {
    /// Sets the limits; [`Limits::strict`] otherwise.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets what limits may not exceed; [`Limits::ceiling`] otherwise.
    pub fn ceiling(mut self, ceiling: Limits) -> Self {
        self.ceiling = ceiling;
        self
    }

    /// Sets the least protection that a run accepts; [`Floor::STRICT`] otherwise. Whatever it is, a
    /// run gets the most that the host can do, and its receipt says what is missing.
    pub fn floor(mut self, floor: Floor) -> Self {
        self.floor = floor;
        self
    }

    /// Names the interpreter, or the directory of a virtual environment. It is asked about itself
    /// outside of any jar: never let a payload choose it.
    pub fn program(mut self, path: impl Into<PathBuf>) -> Self {
        self.program = Some(path.into());
        self
    }

    /// Names the worker binary; the one beside the running executable otherwise.
    pub fn worker(mut self, path: impl Into<PathBuf>) -> Self {
        self.worker = Some(path.into());
        self
    }

    /// Shows a directory of the host to every run, read-only and under the same path.
    pub fn read_only(mut self, directory: impl Into<PathBuf>) -> Self {
        self.read_only.push(directory.into());
        self
    }

    /// Keeps jars, and what runs in them, ready ahead of time.
    pub fn warm(mut self, warm: Warm) -> Self {
        self.warm = Some(warm);
        self
    }

    /// Sets what runs may be let reach; nothing otherwise.
    pub fn egress(mut self, egress: Egress) -> Self {
        self.egress = egress;
        self
    }

    /// Sets the rules of the language, which a run can only make stricter; none otherwise.
    pub fn rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// Finds the interpreter and looks at the host; blocks the first time, and starts nothing but
    /// the interpreter, to ask it about itself.
    ///
    /// # Errors
    /// [`Error::UnknownRuntime`], [`Error::Invalid`], [`Error::Worker`] when the worker binary is
    /// not found, or [`Error::Unenforceable`] when the floor is above what this host reaches.
    pub fn build(self) -> Result<Sandbox, Error> {
        self.limits.check(&self.ceiling)?;
        spawn::hear_children();
        let runtime = match self.runtime {
            Choice::Named(name) => Runtimes::builtin().get(&name)?.clone(),
            Choice::Runtime(runtime) => runtime,
        };
        let worker = self.worker.map_or_else(|| spawn::shipped("belljar-worker"), Ok)?;
        let host = Host::get();
        if host.level(host.strongest()) < self.floor {
            return Err(host.below(self.floor));
        }
        Ok(Sandbox::new(Settings {
            runtime: runtime.name().to_owned(),
            interpreter: runtime.resolve(self.program.as_deref())?,
            worker,
            limits: self.limits,
            ceiling: self.ceiling,
            floor: self.floor,
            read_only: self.read_only.iter().map(|path| shown(path)).collect::<Result<_, _>>()?,
            host,
            warm: self.warm,
            egress: self.egress,
            rules: self.rules,
        }))
    }
}

/// # Errors
/// [`Error::Invalid`] unless `path` is an absolute directory that a jar has no other use for.
fn shown(path: &Path) -> Result<String, Error> {
    const TAKEN: [&str; 6] = ["/dev", "/proc", "/work", "/tmp", "/run", "/etc"];
    let refused = |why| Error::Invalid(format!("cannot show {}: {why}", path.display()));
    let text = path.to_str().ok_or_else(|| refused("its name is not UTF-8"))?;
    if !path.is_absolute() || text.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(refused("its path is not absolute"));
    }
    if text == "/" || TAKEN.iter().any(|taken| path.starts_with(taken)) {
        return Err(refused("the jar has a directory of its own there"));
    }
    if !path.is_dir() {
        return Err(refused("it is not a directory"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

impl From<&str> for Choice {
    fn from(name: &str) -> Self {
        Self::Named(name.to_owned())
    }
}

impl From<Runtime> for Choice {
    fn from(runtime: Runtime) -> Self {
        Self::Runtime(runtime)
    }
}
