use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Exception, Limits, Mode, NetworkUse, Receipt, Value};

/// What happened: the judgement and everything that came out. Never an error.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The run's name, unique and sortable by time.
    pub id: String,
    /// The runtime's name.
    pub runtime: String,
    /// How it ended.
    pub verdict: Verdict,
    /// Captured standard output.
    pub stdout: Output,
    /// Captured standard error.
    pub stderr: Output,
    /// What it used.
    pub usage: Usage,
    /// Where the time went.
    pub timings: Timings,
    /// How the worker was started.
    pub start: Start,
    /// Files it left that were asked for.
    pub artifacts: Vec<Artifact>,
    /// Why others were not collected.
    pub artifact_errors: Vec<String>,
    /// The value of the last expression of a rich run: a claim of the payload, like its output.
    pub value: Option<Value>,
    /// What a rich run raised, uncaught: likewise.
    pub error: Option<Exception>,
    /// What it tried and was refused.
    pub denials: Vec<Denied>,
    /// What it made of its network; nothing for a run without one.
    pub network: Option<NetworkUse>,
    /// The rules of its language that were in force.
    pub mode: Mode,
    /// The limits it ran under.
    pub limits: Limits,
    /// What was in force.
    pub receipt: Receipt,
}

/// The judgement over a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It exited by itself.
    Exited {
        /// With this code.
        code: i32,
    },
    /// A signal that was not ours ended it.
    Signalled {
        /// This one.
        signal: i32,
    },
    /// It used up its time.
    TimedOut(TimeLimit),
    /// Its memory limit was reached.
    OutOfMemory,
    /// It wrote more than it may, and was to be killed for it.
    OutputLimit,
    /// The kernel killed it for a system call that no interpreter makes.
    Denied,
    /// Its caller did not want it any more.
    Cancelled,
}

/// Which clock ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLimit {
    /// Processor time of the tree.
    Cpu,
    /// Elapsed time.
    Wall,
}

/// One captured stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// What was captured, secrets redacted.
    pub bytes: Vec<u8>,
    /// Bytes read beyond the limit and dropped.
    pub dropped_bytes: u64,
}

/// What a run used, the whole tree, reaped children included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Elapsed time of the payload.
    pub wall: Duration,
    /// Processor time.
    pub cpu: Duration,
    /// Largest charged memory.
    pub memory_peak_bytes: u64,
    /// Most processes and threads at one time.
    pub processes_peak: u64,
}

/// Where the time of a run went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Waiting for a turn.
    pub queued: Duration,
    /// Spawning the worker and raising the walls.
    pub jar: Duration,
    /// Checking the walls and letting the payload go.
    pub start: Duration,
    /// The payload itself.
    pub run: Duration,
    /// Emptying the jar and gathering what came out.
    pub collect: Duration,
}

/// How the worker of a run was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// Everything from nothing, for this run.
    Cold,
    /// The jar stood; the program was executed in it.
    Jar,
    /// In the jar waited an interpreter that had been executed for this one run.
    Primed,
    /// The interpreter was forked from a template into a fresh jar.
    Forked,
}

impl Start {
    /// The word of the JSON contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Jar => "jar",
            Self::Primed => "primed",
            Self::Forked => "forked",
        }
    }
}

/// A file the payload left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its path below `/work`.
    pub path: PathBuf,
    /// Its contents.
    pub bytes: Vec<u8>,
    /// Guessed from its extension only.
    pub media_type: &'static str,
}

/// Something the payload tried and was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// What kind of thing: `syscall` or `network`.
    pub kind: &'static str,
    /// What exactly: `socket(AF_INET)`.
    pub what: String,
    /// The rule that refused it.
    pub rule: &'static str,
    /// What a model or a person can do about it.
    pub hint: Cow<'static, str>,
    /// How often.
    pub count: u64,
}

impl Verdict {
    /// The `status` word of the JSON contract.
    pub fn status(self) -> &'static str {
        match self {
            Self::Exited { code: 0 } => "ok",
            Self::Exited { .. } => "nonzero_exit",
            Self::Signalled { .. } => "signalled",
            Self::TimedOut(TimeLimit::Cpu) => "cpu_time",
            Self::TimedOut(TimeLimit::Wall) => "wall_time",
            Self::OutOfMemory => "memory",
            Self::OutputLimit => "output",
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
        }
    }

    /// The exit code, where there is one.
    pub fn exit_code(self) -> Option<i32> {
        match self {
            Self::Exited { code } => Some(code),
            _ => None,
        }
    }

    /// The signal, where one not of ours ended the payload.
    pub fn signal(self) -> Option<i32> {
        match self {
            Self::Signalled { signal } => Some(signal),
            Self::Denied => Some(nix::libc::SIGSYS),
            _ => None,
        }
    }

    /// One sentence for a person or a model.
    pub fn message(self, limits: &Limits) -> String {
        let seconds = |time: Duration| format!("{} s", time.as_secs_f64());
        match self {
            Self::Exited { code } => format!("exited with code {code}"),
            Self::Signalled { signal } => {
                let name = nix::sys::signal::Signal::try_from(signal)
                    .map_or_else(|_| format!("signal {signal}"), |signal| signal.to_string());
                format!("ended by {name}")
            }
            Self::TimedOut(TimeLimit::Cpu) => {
                format!("used up its {} of processor time", seconds(limits.cpu))
            }
            Self::TimedOut(TimeLimit::Wall) => {
                format!("did not finish within {}", seconds(limits.wall))
            }
            Self::OutOfMemory => {
                format!("needed more than its {} MiB of memory", limits.memory_bytes >> 20)
            }
            Self::OutputLimit => "wrote more output than it may".to_owned(),
            Self::Denied => "was killed by the kernel for a forbidden system call".to_owned(),
            Self::Cancelled => "was cancelled".to_owned(),
        }
    }
}
