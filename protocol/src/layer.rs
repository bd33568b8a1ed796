use std::fmt;

use serde::{Deserialize, Serialize};

/// One wall of the jar.
///
/// Complete on purpose: a new wall has to be thought about wherever walls are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Layer {
    /// Nothing but the control socket and the output pipes is inherited.
    Descriptors,
    /// User, mount, pid, IPC, UTS, network and cgroup namespaces of its own.
    Namespaces,
    /// A root file system built for this run; nothing else exists.
    Rootfs,
    /// No capability, no way to gain one.
    Privileges,
    /// Per-process ceilings, soft and hard.
    Rlimits,
    /// File system, TCP, signal and abstract-socket rules of its own.
    Landlock,
    /// An allow-list of system calls.
    Seccomp,
}

impl Layer {
    /// Every layer, in the order in which a worker raises them.
    pub const ALL: [Self; 7] = [
        Self::Descriptors,
        Self::Namespaces,
        Self::Rootfs,
        Self::Privileges,
        Self::Rlimits,
        Self::Landlock,
        Self::Seccomp,
    ];

    /// The name used in JSON, on the command line and in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Descriptors => "descriptors",
            Self::Namespaces => "namespaces",
            Self::Rootfs => "rootfs",
            Self::Privileges => "privileges",
            Self::Rlimits => "rlimits",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
