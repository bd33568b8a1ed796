mod network;

use std::time::Duration;

use belljar_protocol::{Authority, Confinement, Layer, Note};

use crate::cgroup::Hierarchy;
use crate::host::{Host, Ids};

pub(crate) use network::{Buffers, Connected};

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

/// What the supervisor knows about a run that its worker does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) host: &'static Host,
    pub(crate) authority: Authority,
    /// What is imprecise about sampled counters.
    pub(crate) sampling: Option<&'static str>,
    /// Denials beyond those that the outcome lists.
    pub(crate) unrecorded_denials: u64,
    /// The keeper that raised the jar ahead of time, if one did.
    pub(crate) kept: Option<Kept>,
    /// Its network, if it had one.
    pub(crate) connected: Option<Connected>,
}

/// What a jar owes to a keeper.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    /// Which one of its sandbox.
    pub(crate) generation: u64,
    /// Whether its payload was forked from a template.
    pub(crate) is_forked: bool,
    /// Whether it shares an empty network with its siblings.
    pub(crate) shares_network: bool,
}

/// The newest Landlock ABI whose rules are used, and the first with scopes.
pub(crate) const LANDLOCK_WITH_SCOPES: u32 = 6;

impl Receipt {
    /// The receipt of a run whose walls were looked at from outside.
    pub(crate) fn new(floor: Floor, confinement: &Confinement, standing: &Standing) -> Self {
        let layers = confinement.timings.iter().map(|timing| {
            let (state, how) = layer(timing.layer, confinement, standing);
            let cost = Duration::from_micros(timing.micros.into());
            LayerReceipt { layer: timing.layer, state, how, cost }
        });
        let notes = confinement.notes.iter().map(|note| note.explain().to_owned());
        let counted = standing.host.hierarchy.notes().iter().map(|note| (*note).to_owned());
        let sampled = standing.sampling.map(ToOwned::to_owned);
        let kept = standing.kept.iter().flat_map(Kept::notes);
        let more = standing.unrecorded_denials;
        let unrecorded =
            (more > 0).then(|| format!("{more} more denials were counted, not listed"));
        Self {
            floor,
            level: standing.host.level(standing.authority),
            layers: layers.collect(),
            limits: limits(&standing.host.hierarchy, standing.authority, standing.connected),
            notes: notes.chain(counted).chain(sampled).chain(unrecorded).chain(kept).collect(),
        }
    }
}

impl Kept {
    fn notes(&self) -> impl Iterator<Item = String> + use<> {
        let Self { generation, is_forked, shares_network } = *self;
        let shared = shares_network.then(|| {
            "shares an empty network with jars of the same sandbox: seccomp refuses what leads out \
             of it, and Landlock scopes abstract sockets"
                .to_owned()
        });
        let forked = is_forked.then(|| {
            format!(
                "forked from template {generation}: its address layout and hash seed are those of \
                 its siblings"
            )
        });
        shared.into_iter().chain(forked)
    }
}

fn layer(layer: Layer, confinement: &Confinement, standing: &Standing) -> (State, String) {
    let enforced = |how: &str| (State::Enforced, how.to_owned());
    if !standing.authority.makes_namespaces()
        && let Some((state, how)) = without_jar(layer, confinement, standing)
    {
        return (state, how);
    }
    match layer {
        Layer::Descriptors => enforced("three streams, nothing inherited"),
        Layer::Namespaces => {
            let (state, how) = match (standing.authority, &standing.host.ids) {
                (Authority::Host, _) => {
                    enforced("seven of its own, a user id of its own from root")
                }
                (Authority::Lent, _) => {
                    enforced("seven of its own, a subordinate user id of its own")
                }
                (Authority::Own, Ids::Own { why }) => {
                    (State::Degraded, format!("seven of its own, but the caller's user id: {why}"))
                }
                _ => (State::Degraded, "the caller's user id".to_owned()),
            };
            (state, how + network::in_namespaces(standing.connected))
        }
        Layer::Rootfs => enforced("built on a read-only tmpfs; /proc shows processes only"),
        Layer::Privileges => enforced("no capability, no_new_privs, inner user namespace"),
        Layer::Rlimits if confinement.notes.contains(&Note::CoreHelperMayRun) => {
            (State::Degraded, Note::CoreHelperMayRun.explain().to_owned())
        }
        Layer::Rlimits => enforced("soft and hard, read back"),
        Layer::Landlock => {
            let abi = confinement.landlock_abi;
            let (state, how) = if abi < LANDLOCK_WITH_SCOPES {
                (State::Degraded, format!("ABI {abi}: no signal or abstract-socket scope"))
            } else {
                (State::Enforced, format!("every right of ABI {abi}"))
            };
            (state, how + network::in_landlock(standing.connected))
        }
        Layer::Seccomp => {
            let (state, how) = enforced("allow-list, default ENOSYS, refusals recorded");
            (state, how + network::in_seccomp(standing.connected))
        }
    }
}

/// What another floor than strict leaves of a layer.
fn without_jar(
    layer: Layer,
    confinement: &Confinement,
    standing: &Standing,
) -> Option<(State, String)> {
    let apart = standing.authority == Authority::Ids;
    let scoped = confinement.landlock_abi >= LANDLOCK_WITH_SCOPES;
    let (state, how) = match layer {
        Layer::Namespaces => {
            let why = standing
                .host
                .obstacle()
                .map_or("cannot be made", |obstacle| obstacle.reason.as_str());
            let lost = if apart {
                "a user id of its own from root keeps signals and files apart; no network but by \
                 seccomp, other processes are in sight"
            } else {
                "the supervisor's own user id; signals to others stopped by seccomp or Landlock \
                 alone, no network but by seccomp, other processes are in sight, killing its tree \
                 is best effort"
            };
            (State::Missing, format!("{why}; {lost}"))
        }
        Layer::Rootfs => {
            let by = if apart { "permissions and Landlock" } else { "Landlock" };
            let how = format!(
                "the names, sizes and owners of the host's files are visible, their contents \
                 closed by {by} alone; /work and /tmp are a directory of the host"
            );
            (State::Missing, how)
        }
        Layer::Privileges => {
            let bounding = confinement.notes.contains(&Note::BoundingSetKept);
            let how = "no capability, no_new_privs; no user namespace of its own";
            (if bounding { State::Degraded } else { State::Enforced }, how.to_owned())
        }
        Layer::Landlock if scoped => {
            let abi = confinement.landlock_abi;
            (State::Enforced, format!("every right of ABI {abi}; the only root there is"))
        }
        Layer::Seccomp => {
            let signals = if apart || scoped { "" } else { ", no signals" };
            let modes = if apart { "" } else { ", no chmod or utime" };
            let how = format!("allow-list, default ENOSYS, no socket{modes}{signals}");
            (State::Enforced, how)
        }
        Layer::Descriptors | Layer::Rlimits | Layer::Landlock => return None,
    };
    Some((state, how))
}

/// How every limit is enforced, with or without a cgroup, in a jar that was built by an authority.
pub(crate) fn limits(
    hierarchy: &Hierarchy,
    authority: Authority,
    connected: Option<Connected>,
) -> Vec<LimitReceipt> {
    let mut rows = limits_of_jar(hierarchy);
    rows.extend(network::limits(connected));
    network::weigh(connected, &mut rows);
    if authority.makes_namespaces() {
        return rows;
    }
    let counted = !matches!(hierarchy, Hierarchy::None { .. });
    for row in &mut rows {
        let (state, how) = match row.limit {
            "disk_bytes" => {
                (State::Degraded, "RLIMIT_FSIZE for each file; a directory of the host has no size")
            }
            "inodes" => (State::Missing, "a directory of the host has no limit on files"),
            "processes" if !counted && authority == Authority::Ids => {
                (State::Enforced, "RLIMIT_NPROC of a user id of its own")
            }
            "processes" if !counted => (
                State::Degraded,
                "RLIMIT_NPROC, counted from what the user had running when the run began",
            ),
            _ => continue,
        };
        (row.state, row.how) = (state, how.to_owned());
    }
    rows
}

fn limits_of_jar(hierarchy: &Hierarchy) -> Vec<LimitReceipt> {
    let row = |limit, state, how: String| LimitReceipt { limit, state, how };
    let enforced = |limit, how: &str| row(limit, State::Enforced, how.to_owned());
    let mut rows = hierarchy.limit_receipts();
    if let Hierarchy::None { why, .. } = hierarchy {
        let lost = |what: &str| format!("{what}; no cgroup: {why}");
        rows = vec![
            row(
                "memory_bytes",
                State::Degraded,
                lost("tree sampled every 10 ms, RLIMIT_DATA of each process at twice the limit"),
            ),
            row(
                "cpu_ms",
                State::Degraded,
                lost(
                    "tree sampled every 10 ms, RLIMIT_CPU; at least what is told, as children that nobody \
                 waits for count only if they live through a look",
                ),
            ),
            row("processes", State::Enforced, "RLIMIT_NPROC in a user namespace".to_owned()),
        ];
    }
    rows.extend([
        enforced("wall_ms", "supervisor deadline, the warden's behind it"),
        enforced("descriptors", "RLIMIT_NOFILE"),
        enforced("stdout_bytes", "bounded capture"),
        enforced("stderr_bytes", "bounded capture"),
        enforced("disk_bytes", "sized tmpfs"),
        enforced("inodes", "tmpfs nr_inodes"),
        enforced("file_bytes", "RLIMIT_FSIZE"),
        enforced("artifacts", "collector, after death"),
        enforced("artifact_bytes", "collector, after death"),
    ]);
    rows
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
