//! What this host can enforce, found out by doing it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use belljar_protocol::Layer;
use nix::unistd::{Group, getgroups};

use crate::cgroup::Hierarchy;
use crate::host::{Host, Ids};
use crate::{Error, Floor, Limits, Outcome, Sandbox, Source, State, Verdict, receipt, spawn};

/// What a host can enforce. Nothing in it is assumed: a jar was raised, and looked at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The level that runs reach; nothing when a layer cannot be raised.
    pub level: Option<Floor>,
    /// Every layer, in the order in which they are raised.
    pub layers: Vec<Finding>,
    /// Every limit.
    pub limits: Vec<Finding>,
    /// The next level and what is in its way; nothing at the highest.
    pub next: Option<OutOfReach>,
    /// What is weaker here than it could be elsewhere.
    pub notes: Vec<String>,
    /// What an operator should know about the account that runs belljar.
    pub warnings: Vec<String>,
    /// What the host is, by name.
    pub facts: Vec<(&'static str, String)>,
}

/// One layer or limit of an [`Inspection`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Its name in JSON.
    pub name: &'static str,
    /// Whether it stood.
    pub state: State,
    /// How it was enforced, what is lost, or how it failed.
    pub how: String,
    /// What it cost to raise.
    pub cost: Duration,
    /// The system error number, or 0.
    pub errno: i32,
    /// What an operator can do about it; empty where nothing is wrong, or nothing is known.
    pub fix: String,
}

/// A level above the one that was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutOfReach {
    /// The level.
    pub level: Floor,
    /// What is in its way.
    pub why: String,
    /// What an operator can do about it.
    pub fix: String,
}

/// What the probe is answered when everything works: a worker without orders ends like this.
const PROBE_ENDS_WITH: i32 = 70;
/// Groups whose members are root in all but name.
const MIGHTY_GROUPS: [&str; 5] = ["docker", "lxd", "sudo", "wheel", "disk"];

/// Raises a jar around a program that does nothing, and tells what stood.
///
/// # Errors
/// [`Error::Worker`] when the worker binary is not found or does not start, and our own failures.
/// What the host cannot enforce is a finding.
pub async fn inspect() -> Result<Inspection, Error> {
    let worker = shipped("belljar-worker")?;
    let host = Host::get();
    let sandbox = Sandbox::builder("native").limits(Limits::strict()).floor(Floor::L1).build()?;
    let inspection = match sandbox.run(Source::program(worker)).await {
        Ok(outcome) => stood(host, &outcome),
        Err(Error::Unenforceable { what, reason, errno, hint }) => {
            refused(host, &what, &reason, errno, hint)
        }
        Err(error) => return Err(error),
    };
    Ok(inspection)
}

/// The path of a program that ships with belljar, such as `belljar-worker`.
///
/// # Errors
/// [`Error::Worker`] naming the places looked at.
pub fn shipped(name: &str) -> Result<PathBuf, Error> {
    spawn::shipped(name)
}

impl Inspection {
    /// Whether a run with the default floor is accepted here.
    pub fn is_strict(&self) -> bool {
        self.level >= Some(Floor::STRICT)
    }
}

/// A jar was raised.
fn stood(host: &Host, outcome: &Outcome) -> Inspection {
    let found = &outcome.receipt.layers;
    let layers = Layer::ALL.map(|layer| {
        let Some(row) = found.iter().find(|row| row.layer == layer) else {
            return missing(layer, "a worker said nothing about it".to_owned());
        };
        let fix = match row.state {
            State::Degraded => layer_fix(layer, host),
            State::Missing => host.obstacle().map_or("", |obstacle| obstacle.hint),
            State::Enforced | State::NotApplicable => "",
        };
        Finding {
            name: layer.name(),
            state: row.state,
            how: row.how.clone(),
            cost: row.cost,
            errno: 0,
            fix: fix.to_owned(),
        }
    });
    let weak = outcome.receipt.level < Floor::STRICT;
    let complete = weak || layers.iter().all(|row| row.state != State::Missing);
    let mut notes = outcome.receipt.notes.clone();
    let as_expected = outcome.verdict == (Verdict::Exited { code: PROBE_ENDS_WITH });
    if !as_expected {
        let message = outcome.verdict.message(&outcome.limits);
        notes.push(format!("the probe {message}, not with code {PROBE_ENDS_WITH}"));
    }
    let level = (complete && as_expected).then_some(outcome.receipt.level);
    inspection(host, level, layers.to_vec(), notes)
}

/// A layer could not be raised; those before it stood, and those behind it were not tried.
fn refused(host: &Host, what: &str, reason: &str, errno: i32, hint: &str) -> Inspection {
    let failed = Layer::ALL.iter().position(|layer| layer.name() == what);
    let rows = Layer::ALL.iter().enumerate().map(|(place, layer)| match failed {
        Some(failed) if place < failed => Finding {
            state: State::Enforced,
            ..missing(*layer, format!("stood when {what} was tried"))
        },
        Some(failed) if place == failed => {
            Finding { errno, fix: hint.to_owned(), ..missing(*layer, reason.to_owned()) }
        }
        _ => missing(*layer, format!("not reached: {what} comes first")),
    });
    let notes = if failed.is_some() { Vec::new() } else { vec![format!("{what}: {reason}")] };
    inspection(host, None, rows.collect(), notes)
}

fn inspection(
    host: &Host,
    level: Option<Floor>,
    layers: Vec<Finding>,
    notes: Vec<String>,
) -> Inspection {
    // What no run was seen to be held by is not called enforced.
    let seen = |state, how: String| match (level, state) {
        (None, State::Enforced) => (State::Missing, format!("not reached; meant is {how}")),
        _ => (state, how),
    };
    let limits = receipt::limits(&host.hierarchy, host.reached(), None)
        .into_iter()
        .map(|row| (seen(row.state, row.how), row.limit, row.state));
    let limits = limits.map(|((state, how), name, meant)| Finding {
        name,
        state,
        how,
        cost: Duration::ZERO,
        errno: 0,
        fix: match &host.hierarchy {
            Hierarchy::None { hint, .. } if matches!(meant, State::Degraded | State::Missing) => {
                (*hint).to_owned()
            }
            _ => String::new(),
        },
    });
    Inspection {
        level,
        layers,
        limits: limits.collect(),
        next: level.and_then(|level| next(host, level)),
        notes,
        warnings: warnings(host),
        facts: facts(host),
    }
}

fn missing(layer: Layer, how: String) -> Finding {
    let (state, cost) = (State::Missing, Duration::ZERO);
    Finding { name: layer.name(), state, how, cost, errno: 0, fix: String::new() }
}

fn layer_fix(layer: Layer, host: &Host) -> &'static str {
    match (layer, &host.ids) {
        (Layer::Namespaces, Ids::Own { .. }) => {
            "install newuidmap (package uidmap) and give the user subordinate ids: usermod \
             --add-subuids 100000-165535 --add-subgids 100000-165535 USER"
        }
        (Layer::Rlimits, _) => "raise the hard limit on core dumps: ulimit -Hc, or LimitCORE=",
        (Layer::Landlock, _) => "use Linux 6.12 or newer",
        _ => "",
    }
}

fn next(host: &Host, level: Floor) -> Option<OutOfReach> {
    let above = match level {
        Floor::L1 => Floor::L2,
        Floor::L2 => Floor::L3,
        Floor::L3 => Floor::L4,
        Floor::L4 => Floor::L5,
        Floor::L5 => return None,
    };
    match host.below(above) {
        Error::Unenforceable { reason, hint, .. } => {
            Some(OutOfReach { level: above, why: reason, fix: hint.to_owned() })
        }
        other => Some(OutOfReach { level: above, why: other.to_string(), fix: String::new() }),
    }
}

fn warnings(host: &Host) -> Vec<String> {
    let groups = getgroups().unwrap_or_default().into_iter();
    let names = groups.filter_map(|group| Some(Group::from_gid(group).ok()??.name));
    let mighty: Vec<_> = names.filter(|name| MIGHTY_GROUPS.contains(&name.as_str())).collect();
    if mighty.is_empty() {
        return Vec::new();
    }
    let kept = match host.ids {
        Ids::Own { .. } => "payloads keep them, as there are no subordinate ids to drop them with",
        Ids::Range(_) | Ids::Subordinate(_) => "payloads do not keep them",
    };
    vec![format!(
        "the caller is in the groups {}, which are as good as root; {kept}",
        mighty.join(", ")
    )]
}

fn facts(host: &Host) -> Vec<(&'static str, String)> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let ids = match &host.ids {
        Ids::Range(range) => format!("{} to {}, lent by root", range.start, range.end - 1),
        Ids::Subordinate(_) => "subordinate ids of the user".to_owned(),
        Ids::Own { why } => format!("the caller's own: {why}"),
    };
    let core = read("/proc/sys/kernel/core_pattern");
    let core = if core.starts_with('|') {
        "piped to a helper, which is never started for a payload"
    } else {
        "a file, which a payload never leaves"
    };
    let multithreading = match read("/sys/devices/system/cpu/smt/active").as_str() {
        "1" => "on: payloads share processor cores with others",
        "0" => "off",
        _ => "unknown",
    };
    vec![
        ("kernel", read("/proc/sys/kernel/osrelease")),
        ("architecture", std::env::consts::ARCH.to_owned()),
        ("cgroups", host.hierarchy.name().to_owned()),
        ("user_ids", ids),
        ("core_dumps", core.to_owned()),
        ("multithreading", multithreading.to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_behind_a_missing_layer_is_never_called_enforced() {
        let inspection = refused(Host::get(), "rootfs", "no", 1, "do this");
        let states: Vec<_> = inspection.layers.iter().map(|row| row.state).collect();
        let (stood, rest) = states.split_at(2);
        assert!(stood.iter().all(|state| *state == State::Enforced), "{states:?}");
        assert!(rest.iter().all(|state| *state == State::Missing), "{states:?}");
        let rootfs = &inspection.layers[2];
        assert_eq!((rootfs.errno, rootfs.fix.as_str()), (1, "do this"));
        assert!(inspection.limits.iter().all(|row| row.state != State::Enforced));
        assert!(!inspection.is_strict());
        let unknown = refused(Host::get(), "the moon", "no", 0, "");
        assert!(unknown.layers.iter().all(|row| row.state == State::Missing));
    }
}
