use std::path::PathBuf;

use belljar_protocol::{InvalidSecret, SecretMap};

use crate::{Error, Grant, Mode, Network};

/// What to run, and what to run it with.
///
/// ```
/// use belljar::Source;
/// let source = Source::code("import sys; print(sys.argv[1:])").arg("one").stdin("two");
/// assert_eq!(source.args, ["one"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Source {
    /// What the run is called: 1 to 64 of `A-Z a-z 0-9 -`, never that of another run that goes
    /// on. Given one otherwise that is unique, and sorts by time.
    pub id: Option<String>,
    /// The code itself.
    pub code: Code,
    /// Arguments after the program's own name.
    pub args: Vec<String>,
    /// Its standard input: all of it, or what comes first where it stays open.
    pub stdin: Vec<u8>,
    /// Whether standard input stays open, for [`Run::write_stdin`](crate::Run::write_stdin).
    pub stdin_open: bool,
    /// Environment beyond what the runtime sets.
    pub env: Vec<(String, String)>,
    /// What it may read and nobody else.
    pub secrets: SecretMap,
    /// Input files under `/work`.
    pub files: Vec<SourceFile>,
    /// Globs, relative to `/work`, of the files to collect afterwards.
    pub collect: Vec<String>,
    /// How it may be started.
    pub start: StartChoice,
    /// Whether it tells more of itself than its output: see [`Source::rich`].
    pub rich: bool,
    /// What of a network it has.
    pub network: Network,
    /// Secrets that stay outside: inside is a placeholder, which the gate replaces in the headers
    /// of requests to this one place. Each names a secret, and a place that is granted.
    pub bound_secrets: Vec<(String, Grant)>,
    /// How much of the language it may use; never more than its sandbox allows.
    pub mode: Mode,
    /// Whether there is no code yet, but a guest that will be sent some.
    pub(crate) is_session: bool,
}

/// How a run may be started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartChoice {
    /// The fastest way there is.
    #[default]
    Any,
    /// By an interpreter of its own, with an address layout and a hash seed that no other run
    /// has: never forked from a template.
    Fresh,
    /// Everything from nothing, for this run.
    Cold,
}

/// The code of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// A snippet; the runtime gives it a file name.
    Snippet(String),
    /// One or more files, and the one to start with.
    Files {
        /// All of them.
        files: Vec<SourceFile>,
        /// The path of the first to run, relative to `/work`.
        entry: String,
    },
    /// An executable of the host (runtime `native`).
    Program(PathBuf),
}

/// A file placed under `/work` before the payload starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Relative path without `..`.
    pub path: String,
    /// Contents.
    pub bytes: Vec<u8>,
}

impl Code {
    /// Where the files are that it names itself, below `/work`.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        let files = match self {
            Self::Files { files, .. } => files.as_slice(),
            Self::Snippet(_) | Self::Program(_) => &[],
        };
        files.iter().map(|file| file.path.as_str())
    }
}

impl Source {
    /// A snippet of code.
    pub fn code(code: impl Into<String>) -> Self {
        Self::new(Code::Snippet(code.into()))
    }

    /// Several files, started at `entry`.
    pub fn files(files: Vec<SourceFile>, entry: impl Into<String>) -> Self {
        Self::new(Code::Files { files, entry: entry.into() })
    }

    /// An executable of the host, for the runtime `native`.
    pub fn program(path: impl Into<PathBuf>) -> Self {
        Self::new(Code::Program(path.into()))
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets standard input; empty otherwise.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Leaves standard input open after what was set, until [`Run::close_stdin`]. A source that is
    /// run with [`Sandbox::run`], where nobody could write any more, has it closed.
    ///
    /// [`Run::close_stdin`]: crate::Run::close_stdin
    /// [`Sandbox::run`]: crate::Sandbox::run
    #[must_use]
    pub fn stdin_open(mut self) -> Self {
        self.stdin_open = true;
        self
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

    /// Adds a glob of files to collect.
    #[must_use]
    pub fn collect(mut self, glob: impl Into<String>) -> Self {
        self.collect.push(glob.into());
        self
    }

    /// Chooses how it may be started; [`StartChoice::Any`] otherwise.
    #[must_use]
    pub fn start(mut self, start: StartChoice) -> Self {
        self.start = start;
        self
    }

    /// Names the run, for a caller that has to know it before it has begun.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Has it tell the value of its last expression, what it raised, and its figures: see
    /// [`Outcome::value`](crate::Outcome::value). Not every runtime can.
    #[must_use]
    pub fn rich(mut self) -> Self {
        self.rich = true;
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

    /// Lowers how much of the language it may use; [`Mode::Full`] otherwise.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
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

    fn new(code: Code) -> Self {
        Self {
            id: None,
            code,
            args: Vec::new(),
            stdin: Vec::new(),
            stdin_open: false,
            env: Vec::new(),
            secrets: SecretMap::new(),
            files: Vec::new(),
            collect: Vec::new(),
            start: StartChoice::Any,
            rich: false,
            network: Network::None,
            bound_secrets: Vec::new(),
            mode: Mode::Full,
            is_session: false,
        }
    }
}

impl From<&str> for Source {
    fn from(code: &str) -> Self {
        Self::code(code)
    }
}

impl From<String> for Source {
    fn from(code: String) -> Self {
        Self::code(code)
    }
}
