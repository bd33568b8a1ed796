//! Starting what is compared.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use belljar::{Outcome, Sandbox, Source};
use tokio::runtime::{Builder, Runtime};

use crate::Error;

/// Starts a program with an empty environment and without streams, and waits for it to succeed.
/// The standard library does so with `posix_spawn`: nothing starts a program for less.
///
/// # Errors
/// When it cannot be started, or fails.
pub fn bare<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: &[S]) -> Result<(), Error> {
    let status = Command::new(&program)
        .args(args)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("{}: {error}", program.as_ref().display()))?;
    let failed = || format!("{}: {status}", program.as_ref().display());
    status.success().then_some(()).ok_or_else(|| failed().into())
}

/// Why a contender cannot take part, or nothing when it can.
pub fn unavailable<S: AsRef<OsStr>>(program: &str, args: &[S]) -> Option<String> {
    let output = Command::new(program).args(args).env_clear().stdin(Stdio::null()).output();
    match output {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some("not installed".to_owned()),
        Err(error) => Some(error.to_string()),
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Some(format!("does not work here: {}", said.lines().last().unwrap_or_default()))
        }
    }
}

/// A program that is built with the workspace.
///
/// # Errors
/// When it is not built.
pub fn beside(name: &str) -> Result<PathBuf, Error> {
    let here = std::env::current_exe()?;
    let mut places = here.ancestors().skip(1).take(2).map(|place| place.join(name));
    let built = places.find(|place| place.is_file());
    built.ok_or_else(|| format!("{name} is not built: run cargo build --release first").into())
}

/// The interpreter that a sandbox found, to be started without one.
pub fn interpreter(sandbox: &Sandbox) -> &Path {
    sandbox.interpreter().program()
}

/// Runs jars through the library, on a runtime such as a service has.
#[derive(Debug)]
pub struct Jars(Runtime);

impl Jars {
    /// # Errors
    /// When the runtime has no threads to run on.
    pub fn new() -> io::Result<Self> {
        Builder::new_multi_thread().worker_threads(2).enable_all().build().map(Self)
    }

    /// Waits for something on the runtime.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.block_on(future)
    }

    /// How long the library takes for one run, from the call to the outcome.
    ///
    /// # Errors
    /// As [`Jars::run`].
    pub fn time(&self, sandbox: &Sandbox, source: &Source) -> Result<Duration, Error> {
        let (sandbox, source) = (sandbox.clone(), source.clone());
        let task = self.0.spawn(async move {
            let started = Instant::now();
            sandbox.run(source).await.map(|outcome| (started.elapsed(), outcome))
        });
        let (took, outcome) = self.0.block_on(task)??;
        good(outcome).map(|_| took)
    }

    /// How many of `number` runs there are in a second, so many at a time.
    ///
    /// # Errors
    /// As [`Jars::run`].
    pub fn per_second(
        &self,
        sandbox: &Sandbox,
        source: &Source,
        number: usize,
        at_once: usize,
    ) -> Result<f64, Error> {
        Ok(self.at_once(sandbox, source, number, at_once)?.0)
    }

    /// The same, and the median of the time that each takes.
    ///
    /// # Errors
    /// As [`Jars::run`].
    pub fn at_once(
        &self,
        sandbox: &Sandbox,
        source: &Source,
        number: usize,
        at_once: usize,
    ) -> Result<(f64, Duration), Error> {
        let started = Instant::now();
        let clients: Vec<_> = (0..at_once)
            .map(|client| {
                let (sandbox, source) = (sandbox.clone(), source.clone());
                let share = number / at_once + usize::from(client < number % at_once);
                self.0.spawn(async move {
                    let mut took = Vec::with_capacity(share);
                    for _ in 0..share {
                        let started = Instant::now();
                        let outcome = sandbox.run(source.clone()).await;
                        outcome.map_err(Error::from).and_then(good).map_err(|it| it.to_string())?;
                        took.push(started.elapsed());
                    }
                    Ok::<_, String>(took)
                })
            })
            .collect();
        let mut took = Vec::with_capacity(number);
        for client in clients {
            took.extend(self.0.block_on(client)??);
        }
        let each_second = f64::from(u32::try_from(number)?) / started.elapsed().as_secs_f64();
        took.sort_unstable();
        Ok((each_second, took.get(number / 2).copied().unwrap_or_default()))
    }

    /// Runs a source to its end, which has to be a good one.
    ///
    /// # Errors
    /// When there is no outcome, or another one.
    pub fn run(&self, sandbox: &Sandbox, source: &Source) -> Result<Outcome, Error> {
        // On a thread of the runtime, as everything a service does.
        let (sandbox, source) = (sandbox.clone(), source.clone());
        let task = self.0.spawn(async move { sandbox.run(source).await });
        good(self.0.block_on(task)??)
    }
}

fn good(outcome: Outcome) -> Result<Outcome, Error> {
    if outcome.verdict.status() == "ok" {
        return Ok(outcome);
    }
    let said = String::from_utf8_lossy(&outcome.stderr.bytes);
    Err(format!("{}: {said}", outcome.verdict.status()).into())
}
