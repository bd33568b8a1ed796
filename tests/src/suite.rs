use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::Runtime;

use crate::guard::GRACE;
use crate::{Before, Need, help};

/// Tests that run in one process.
#[derive(Debug)]
pub struct Suite {
    name: &'static str,
    patience: Duration,
    tests: Vec<Test>,
}

/// One sentence, and how it is shown to be true.
pub struct Test {
    name: String,
    needs: &'static [Need],
    body: Body,
}

type Body = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = Result<Completion, Failed>>>> + Send>;

/// What a test may end with: nothing, or a result whose error is a failure. One that learns while
/// it runs that this host has nothing to test says so by its completion.
pub trait Passes {
    /// # Errors
    /// When the test failed.
    fn passed(self) -> Result<Completion, Failed>;
}

/// A test that takes longer hangs, and a hanging test is a leaking jar.
const PATIENCE: Duration = Duration::from_mins(3);
/// Half of them wait for a clock at any time.
const THREADS: usize = 3;

impl Suite {
    /// An empty suite.
    pub fn new(name: &'static str) -> Self {
        Self { name, patience: PATIENCE, tests: Vec::new() }
    }

    /// How long a test may take, where that is longer than usual.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Adds a test.
    #[must_use]
    pub fn test<F, R>(
        mut self,
        name: &str,
        needs: &'static [Need],
        body: impl FnOnce() -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = R> + 'static,
        R: Passes,
    {
        self.tests.push(Test::new(name, needs, body));
        self
    }

    /// Adds the tests of a module.
    #[must_use]
    pub fn with(mut self, tests: Vec<Test>) -> Self {
        self.tests.extend(tests);
        self
    }

    /// Runs what the command line asks for. Whatever the tests say, it is a failure when one of
    /// their runs left something behind.
    pub fn run(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        arguments.test_threads = arguments.test_threads.or(Some(THREADS));
        let patience = asked_patience().unwrap_or(self.patience);
        let trials = self.tests.into_iter().map(|test| test.into_trial(patience)).collect();
        if arguments.list {
            return libtest_mimic::run(&arguments, trials).exit_code();
        }
        // The first run opens what later ones share: a lot, a runtime's descriptors.
        runtime().block_on(help::warm_up());
        let before = Before::look();
        let conclusion = libtest_mimic::run(&arguments, trials);
        let left = runtime().block_on(before.left(GRACE));
        if left.is_empty() {
            return conclusion.exit_code();
        }
        eprintln!("{}: left behind by the tests:\n  {}", self.name, left.join("\n  "));
        ExitCode::FAILURE
    }
}

impl Test {
    /// A test by the path of its function; the name of the suite is not repeated.
    pub fn new<F, R>(
        name: &str,
        needs: &'static [Need],
        body: impl FnOnce() -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = R> + 'static,
        R: Passes,
    {
        let name = name.split_once("::").map_or(name, |(_, rest)| rest).to_owned();
        Self { name, needs, body: Box::new(|| Box::pin(async { body().await.passed() })) }
    }

    fn into_trial(self, patience: Duration) -> Trial {
        for need in self.needs {
            let Some(what) = need.missing() else { continue };
            if need.is_required() {
                let why = format!("BELLJAR_TEST_REQUIRE is set, and this needs {what}");
                return Trial::test(self.name, move || Err(Failed::from(why)));
            }
            let name = format!("{} (not run: needs {what})", self.name);
            return Trial::ignorable_test(name, || Ok(Completion::ignored()));
        }
        let alone = self.needs.contains(&Need::Alone);
        Trial::ignorable_test(self.name, move || {
            static ROOM: RwLock<()> = RwLock::new(());
            let _together = (!alone).then(|| ROOM.read().unwrap_or_else(PoisonError::into_inner));
            let _alone = alone.then(|| ROOM.write().unwrap_or_else(PoisonError::into_inner));
            runtime().block_on(async {
                tokio::time::timeout(patience, (self.body)())
                    .await
                    .unwrap_or_else(|_| Err(Failed::from(format!("hangs for {patience:?}"))))
            })
        })
    }
}

/// One for all tests of a process: the library keeps a lot whose socket belongs to a runtime.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a tokio runtime")
    })
}

impl Passes for () {
    fn passed(self) -> Result<Completion, Failed> {
        Ok(Completion::Completed)
    }
}

impl<P: Passes, E: std::fmt::Display> Passes for Result<P, E> {
    fn passed(self) -> Result<Completion, Failed> {
        self.map_or_else(|error| Err(Failed::from(error.to_string())), Passes::passed)
    }
}

impl Passes for Completion {
    fn passed(self) -> Result<Completion, Failed> {
        Ok(self)
    }
}

impl std::fmt::Debug for Test {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Test")
            .field("name", &self.name)
            .field("needs", &self.needs)
            .finish_non_exhaustive()
    }
}

/// `BELLJAR_TEST_PATIENCE` names other seconds, for a soak that was asked to be long.
fn asked_patience() -> Option<Duration> {
    let asked = std::env::var("BELLJAR_TEST_PATIENCE").ok()?;
    asked.parse().ok().map(Duration::from_secs)
}
