use std::time::Duration;

use belljar_protocol::Layer;

/// What was in force for one run, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The floor that the run insisted on.
    pub floor: Floor,
    /// The level that was reached.
    pub level: Floor,
    /// Every layer, in the order in which they were raised.
    pub layers: Vec<LayerReceipt>,
    /// Every limit.
    pub limits: Vec<LimitReceipt>,
    /// What is weaker here than it could be elsewhere.
    pub notes: Vec<String>,
}

/// One layer of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerReceipt {
    /// The layer.
    pub layer: Layer,
    /// Whether it stood.
    pub state: State,
    /// How it was enforced, or what is lost.
    pub how: String,
    /// What it cost to raise.
    pub cost: Duration,
}

/// One limit of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitReceipt {
    /// Its name in JSON.
    pub limit: &'static str,
    /// Whether it was enforced.
    pub state: State,
    /// By what, or what is lost.
    pub how: String,
}

/// Whether something held. `Enforced` is written only after it was read back from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Read back from the kernel.
    Enforced,
    /// In force, but weaker than on another host; the reason is beside it.
    Degraded,
    /// Not there.
    Missing,
    /// Nothing to enforce.
    NotApplicable,
}

/// The least protection that a run accepts, and the level a host reaches. Later is stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Floor {
    /// Unprivileged, without a user namespace: seccomp, Landlock and rlimits only.
    L1,
    /// Root without the right to make namespaces: as L1, with a user id of the run's own.
    L2,
    /// All seven layers, but the payload shares the caller's user id, or no cgroup counts its tree.
    L3,
    /// All seven layers, a subordinate user id and a delegated cgroup.
    L4,
    /// All seven layers, a user id of the run's own and a cgroup, from root.
    L5,
}

impl Floor {
    /// The default: every layer has to stand.
    pub const STRICT: Self = Self::L3;

    /// The word used on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "strict",
            Self::L4 => "L4",
            Self::L5 => "L5",
        }
    }
}

impl State {
    /// The word used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Degraded => "degraded",
            Self::Missing => "missing",
            Self::NotApplicable => "not_applicable",
        }
    }
}
