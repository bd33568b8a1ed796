//! How a wall fails, and what it costs.

use std::io;
use std::time::{Duration, Instant};

use belljar_protocol::{Confinement, Layer, Note, Refusal, Timing};

/// Why a wall could not be raised: what was tried, and how it failed.
#[derive(Debug)]
pub(crate) struct Failure {
    attempt: String,
    reason: String,
    errno: i32,
}

/// What raising a wall gives.
pub(crate) type Step<T = ()> = Result<T, Failure>;

/// Turns an error into the failure of an attempt, named by a verb phrase.
pub(crate) fn doing<E: Into<io::Error>>(attempt: impl Into<String>) -> impl FnOnce(E) -> Failure {
    |error| {
        let error = error.into();
        let errno = error.raw_os_error().unwrap_or_default();
        Failure { attempt: attempt.into(), reason: error.to_string(), errno }
    }
}

impl Failure {
    /// A failure that no system call reported.
    pub(crate) fn because(attempt: &str, reason: impl Into<String>) -> Self {
        Self { attempt: attempt.to_owned(), reason: reason.into(), errno: 0 }
    }

    pub(crate) fn from_refusal(refusal: Refusal) -> Self {
        Self { attempt: refusal.attempt, reason: refusal.reason, errno: refusal.errno }
    }

    pub(crate) fn of(self, layer: Layer) -> Refusal {
        Refusal { layer, attempt: self.attempt, reason: self.reason, errno: self.errno }
    }
}

/// For what may fail without anything being left to do about it.
pub(crate) fn best_effort<T, E>(_: Result<T, E>) {}

/// Raises walls, and remembers what each cost and what it lacks.
#[derive(Default)]
pub(crate) struct Stopwatch {
    confinement: Confinement,
    ahead: Duration,
}

impl Stopwatch {
    /// Raises one wall.
    pub(crate) fn raise<T: 'static>(
        &mut self,
        layer: Layer,
        wall: impl FnOnce() -> Step<T>,
    ) -> Result<T, Refusal> {
        let start = Instant::now();
        #[cfg(feature = "walls-down")]
        let wall = crate::walls::unless_down(layer, wall);
        let raised = wall().map_err(|failure| failure.of(layer))?;
        let spent = start.elapsed() + std::mem::take(&mut self.ahead);
        let micros = u32::try_from(spent.as_micros()).unwrap_or(u32::MAX);
        self.confinement.timings.push(Timing { layer, micros });
        Ok(raised)
    }

    /// Does ahead of time, where there is still the right to, a part of the next wall but one.
    pub(crate) fn prepare<T>(
        &mut self,
        layer: Layer,
        part: impl FnOnce() -> Step<T>,
    ) -> Result<T, Refusal> {
        let start = Instant::now();
        let prepared = part().map_err(|failure| failure.of(layer))?;
        self.ahead += start.elapsed();
        Ok(prepared)
    }

    pub(crate) fn note(&mut self, note: Option<Note>) {
        self.confinement.notes.extend(note);
    }

    pub(crate) fn landlock_abi(&mut self, abi: u32) {
        self.confinement.landlock_abi = abi;
    }

    pub(crate) fn confinement(self) -> Confinement {
        self.confinement
    }
}
