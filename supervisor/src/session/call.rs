//! What a session is asked, and what comes back.

use std::time::Duration;

use crate::{
    Artifact, Error, Exception, Grant, Network, Outcome, Output, SourceFile, StartChoice, Value,
};
use belljar_protocol::{InvalidSecret, SecretMap};

/// What a session is opened with. Its limits are those of the sandbox: the wall time is how long it
/// may live, and everything else is shared by all of its calls.
///
/// ```
/// use belljar::SessionOptions;
/// let options = SessionOptions::new().env("MODE", "test").file("data.csv", "a,b\n");
/// assert_eq!(options.files.len(), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionOptions {
    /// Environment beyond what the runtime sets.
    pub env: Vec<(String, String)>,
    /// What its calls may read and nobody else.
    pub secrets: SecretMap,
    /// Input files under `/work`.
    pub files: Vec<SourceFile>,
    /// How it may be started.
    pub start: StartChoice,
    /// What of a network it has.
    pub network: Network,
    /// Secrets that stay outside, each for one place: see [`Source::bound_secrets`].
    ///
    /// [`Source::bound_secrets`]: crate::Source::bound_secrets
    pub bound_secrets: Vec<(String, Grant)>,
}

/// Code to run in a session.
///
/// ```
/// use belljar::Call;
/// let call = Call::code("x + 1").collect("*.csv");
/// assert_eq!(call.code, "x + 1");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// The code.
    pub code: String,
    /// All of its standard input.
    pub stdin: Vec<u8>,
    /// How long it may take; otherwise as long as the session lives.
    pub wall: Option<Duration>,
    /// Files placed under `/work` before it begins.
    pub files: Vec<SourceFile>,
    /// Globs, relative to `/work`, of the files to collect after it.
    pub collect: Vec<String>,
    /// Captured bytes of its standard output; as the sandbox has it otherwise.
    pub stdout_bytes: Option<u64>,
    /// Captured bytes of its standard error; as the sandbox has it otherwise.
    pub stderr_bytes: Option<u64>,
}

/// What came of a call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// Which call of its session this was, from one.
    pub call: u64,
    /// How it ended.
    pub status: AnswerStatus,
    /// Captured standard output, up to the moment at which the payload said that it was done.
    pub stdout: Output,
    /// Captured standard error, likewise.
    pub stderr: Output,
    /// The value of its last expression: a claim of the payload.
    pub value: Option<Value>,
    /// What it raised: a claim of the payload.
    pub error: Option<Exception>,
    /// Files it left that were asked for, and its figures.
    pub artifacts: Vec<Artifact>,
    /// Why others were not collected.
    pub artifact_errors: Vec<String>,
    /// Elapsed time.
    pub wall: Duration,
    /// Processor time of the whole session meanwhile.
    pub cpu: Duration,
    /// The largest charged memory of the session so far.
    pub memory_peak_bytes: u64,
}

/// How a call ended. What is not [`AnswerStatus::Ended`] leaves the session as the call left it, and
/// is what the payload says of itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnswerStatus {
    /// It came to its end.
    Ok,
    /// It raised something, or a command of it failed.
    Error,
    /// It was interrupted.
    Interrupted,
    /// It took longer than it may, and was interrupted for it.
    WallTime,
    /// The session ended during the call, and this is how.
    Ended(Box<Outcome>),
}

impl SessionOptions {
    /// Nothing beyond what the runtime sets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Adds an input file at `path` under `/work`.
    #[must_use]
    pub fn file(mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push(SourceFile { path: path.into(), bytes: bytes.into() });
        self
    }

    /// Chooses how it may be started; [`StartChoice::Any`] otherwise.
    #[must_use]
    pub fn start(mut self, start: StartChoice) -> Self {
        self.start = start;
        self
    }

    /// Chooses what of a network it has; [`Network::None`] otherwise.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Keeps the secret `name` outside, for the headers of requests to `place` alone.
    #[must_use]
    pub fn bind_secret(mut self, name: impl Into<String>, place: Grant) -> Self {
        self.bound_secrets.push((name.into(), place));
        self
    }

    /// Adds a secret.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `name` does not match `^[A-Z][A-Z0-9_]*$`.
    pub fn secret(mut self, name: &str, value: impl Into<Vec<u8>>) -> Result<Self, Error> {
        self.secrets
            .insert(name, value.into())
            .map_err(|invalid: InvalidSecret| Error::Invalid(invalid.to_string()))?;
        Ok(self)
    }
}

impl Call {
    /// Some code.
    pub fn code(code: impl Into<String>) -> Self {
        Self { code: code.into(), ..Self::default() }
    }

    /// Sets standard input; empty otherwise.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Sets how long it may take.
    #[must_use]
    pub fn wall(mut self, wall: Duration) -> Self {
        self.wall = Some(wall);
        self
    }

    /// Adds a file at `path` under `/work`.
    #[must_use]
    pub fn file(mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push(SourceFile { path: path.into(), bytes: bytes.into() });
        self
    }

    /// Adds a glob of files to collect.
    #[must_use]
    pub fn collect(mut self, glob: impl Into<String>) -> Self {
        self.collect.push(glob.into());
        self
    }

    /// Sets how much of standard output and of standard error is captured.
    #[must_use]
    pub fn captured(mut self, stdout_bytes: u64, stderr_bytes: u64) -> Self {
        (self.stdout_bytes, self.stderr_bytes) = (Some(stdout_bytes), Some(stderr_bytes));
        self
    }
}

impl From<&str> for Call {
    fn from(code: &str) -> Self {
        Self::code(code)
    }
}

impl From<String> for Call {
    fn from(code: String) -> Self {
        Self::code(code)
    }
}

impl AnswerStatus {
    /// The word of the JSON contract.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Interrupted => "interrupted",
            Self::WallTime => "wall_time",
            Self::Ended(_) => "ended",
        }
    }
}

impl Answer {
    /// One sentence for a person or a model.
    pub fn message(&self) -> String {
        match (&self.status, &self.error) {
            (AnswerStatus::Ok, _) => "came to its end".to_owned(),
            (AnswerStatus::Error, Some(error)) if error.message.is_empty() => error.kind.clone(),
            (AnswerStatus::Error, Some(error)) => format!("{}: {}", error.kind, error.message),
            (AnswerStatus::Error, None) => "failed".to_owned(),
            (AnswerStatus::Interrupted, _) => {
                "was interrupted; what it did so far is kept".to_owned()
            }
            (AnswerStatus::WallTime, _) => {
                "took longer than it may, and was interrupted; what it did so far is kept"
                    .to_owned()
            }
            (AnswerStatus::Ended(outcome), _) => {
                format!("the session ended: {}", outcome.verdict.message(&outcome.limits))
            }
        }
    }
}
