use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Layer;

/// What a worker tells its supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// Every wall stands; the payload waits for [`crate::Order::Proceed`].
    Confined(Confinement),
    /// A wall could not be raised; nothing of the payload ran.
    Refused(Refusal),
    /// The payload is gone and so is everything it started.
    Ended(Ending, Spent),
    /// The payload was refused this system call for the first time.
    Denied(Denial),
    /// Sent last by the warden: how often each denial happened, and all of them together.
    Tally(Tally),
    /// The user namespace asked for by [`crate::Order::FoundLot`] exists.
    LotFounded,
    /// A keeper is ready to raise jars, all of which lack this.
    Keeping(Vec<Note>),
    /// The keeper's template waits to be forked.
    TemplateReady,
    /// The keeper's template is no more, and why.
    TemplateLost(String),
    /// Process 1 of a jar stands in it, and nothing else does yet.
    InitReady,
}

/// What standing walls cost and what they lack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// What each wall cost to raise, in the order in which they were raised.
    pub timings: Vec<Timing>,
    /// What is weaker than it could be on another host.
    pub notes: Vec<Note>,
    /// The Landlock ABI that was enforced in full.
    pub landlock_abi: u32,
}

/// The cost of one wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// The wall.
    pub layer: Layer,
    /// Microseconds it took.
    pub micros: u32,
}

/// A known weakness that does not bring a wall down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    /// A user namespace without subordinate ids cannot drop supplementary groups
    /// (`user_namespaces(7)`).
    SupplementaryGroupsKept,
    /// The hard limit on core dumps was already 0, so a piped `core_pattern` may run (core(5)).
    CoreHelperMayRun,
    /// `vm.memfd_noexec` could not be set; seccomp alone stops executable memory files.
    MemfdBySeccompOnly,
    /// The bounding set takes a privilege to lower (capabilities(7)).
    BoundingSetKept,
    /// A limit of the supervisor's own was lower than the run's, and stays.
    LowerLimitsInherited,
}

/// A wall that could not be raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The wall.
    pub layer: Layer,
    /// What was tried, as a verb phrase: "mount a tmpfs".
    pub attempt: String,
    /// Why it failed, as the kernel or a library says it.
    pub reason: String,
    /// The system error number, or 0 where there was none.
    pub errno: i32,
}

/// How a payload ended, from wait(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// It exited with this code.
    Exited(i32),
    /// This signal ended it.
    Signalled(i32),
}

/// What the payload and its reaped descendants used (getrusage(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// User and system time of everything reaped.
    pub cpu_micros: u64,
    /// Largest resident set of a single process.
    pub largest_resident_bytes: u64,
}

/// One refused system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// Its number on this architecture.
    pub call: i32,
    /// Its arguments, as the kernel saw them.
    pub args: [u64; 6],
    /// The errno it was answered with; 0 where there was no answer and the run was ended for it.
    pub errno: i32,
}

/// How often each recorded denial happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// One count per [`Report::Denied`], in the order in which those were sent.
    pub counts: Vec<u64>,
    /// Denials beyond the recorded ones.
    pub unrecorded: u64,
}

impl Tally {
    /// The most distinct denials that are recorded for one run.
    pub const MAX: usize = 100;
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: cannot {}: {}", self.layer, self.attempt, self.reason)
    }
}

impl Note {
    /// One sentence for a person.
    pub fn explain(self) -> &'static str {
        match self {
            Self::SupplementaryGroupsKept => {
                "supplementary groups of the caller could not be dropped: no subordinate ids"
            }
            Self::CoreHelperMayRun => {
                "the hard limit on core dumps is 0, so a piped core_pattern helper may still run"
            }
            Self::MemfdBySeccompOnly => {
                "executable memory files are stopped by seccomp alone: vm.memfd_noexec needs root"
            }
            Self::BoundingSetKept => {
                "the bounding set could not be lowered: no_new_privs alone stops file capabilities"
            }
            Self::LowerLimitsInherited => {
                "a limit that the supervisor was started with is lower than the run's, and stays"
            }
        }
    }
}
