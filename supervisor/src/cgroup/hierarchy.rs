//! Which hierarchy lets us create groups, found by creating one.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io};

use nix::libc;
use nix::unistd::Uid;

use super::place::{self, Places};
use super::{Jar, Staff, errno, unified};
use crate::{LimitReceipt, Limits, State};

/// The hierarchy that this host lets us create groups in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hierarchy {
    /// One tree with all controllers, delegated to us.
    V2(Delegated),
    /// One tree per controller. What a hybrid host has of version 2 is not used: entering it
    /// costs more than its `cgroup.kill` gives.
    V1(Delegated),
    /// None.
    None {
        /// What was tried and how it failed.
        why: String,
        /// The system error number, or 0.
        errno: i32,
        /// What an operator can do about it.
        hint: &'static str,
    },
}

/// The groups below which jars are created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delegated {
    pub(super) places: Places,
    /// What this kernel does not count.
    pub(super) notes: Vec<&'static str>,
}

impl Hierarchy {
    /// Creates a group with limits, reads them back and removes it. In cgroup v2 this process may
    /// move into a leaf of its own, beside which its jars will be. Once per process is enough.
    pub(crate) fn find() -> Self {
        Self::look().unwrap_or_else(|(version, error)| Self::None {
            why: error.to_string(),
            errno: errno(&error),
            hint: hint(version, errno(&error)),
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::V2(_) => "cgroup v2",
            Self::V1(_) => "cgroup v1",
            Self::None { .. } => "none",
        }
    }

    /// What the receipt of a run says about the limits that a jar was created with, which is
    /// after each was read back. Empty without a hierarchy.
    pub(crate) fn limit_receipts(&self) -> Vec<LimitReceipt> {
        let rows = match self {
            Self::V2(_) => ["cgroup v2 memory", "cgroup v2 cpu.stat, watched", "cgroup v2 pids"],
            Self::V1(_) => ["cgroup v1 memory", "cgroup v1 cpuacct, watched", "cgroup v1 pids"],
            Self::None { .. } => return Vec::new(),
        };
        ["memory_bytes", "cpu_ms", "processes"]
            .into_iter()
            .zip(rows)
            .map(|(limit, how)| LimitReceipt { limit, state: State::Enforced, how: how.to_owned() })
            .collect()
    }

    /// What is weaker here than with another kernel.
    pub(crate) fn notes(&self) -> &[&'static str] {
        match self {
            Self::V2(delegated) | Self::V1(delegated) => &delegated.notes,
            Self::None { .. } => &[],
        }
    }

    fn look() -> Result<Self, (Version, io::Error)> {
        let text = |path| fs::read_to_string(path).map_err(|error| (Version::Neither, error));
        let own = text("/proc/self/cgroup")?;
        let mounts = text("/proc/self/mountinfo")?;
        let none = || (Version::Neither, io::Error::from_raw_os_error(libc::ENOENT));
        let delegated = |places| Delegated { places, notes: Vec::new() };
        if let Some(places) = place::v1(&own, &mounts) {
            return Self::V1(delegated(places)).try_out().map_err(|error| (Version::One, error));
        }
        let own = place::v2(&own, &mounts).ok_or_else(none)?;
        unified::prepare(own)
            .and_then(|base| {
                let places = Places { memory: base.clone(), pids: base.clone(), cpu: base };
                Self::V2(delegated(places)).try_out()
            })
            .map_err(|error| (Version::Two, error))
    }

    fn try_out(mut self) -> io::Result<Self> {
        static TRIALS: AtomicU64 = AtomicU64::new(0);
        let trial = format!("trial{}", TRIALS.fetch_add(1, Ordering::Relaxed));
        let jar = Jar::create(&self, &trial, &Limits::strict(), Staff::Init)?;
        let counters = jar.counters().map(drop);
        let entered = match self {
            Self::V1(_) => jar.spawn(|| Ok(()), |()| None),
            _ => Ok(()),
        };
        let memory = jar.groups.places.memory.directory.clone();
        let pids = jar.groups.places.pids.directory.clone();
        let v2 = jar.groups.v2;
        if let Self::V1(delegated) | Self::V2(delegated) = &mut self {
            delegated.notes = uncounted(v2, &memory, &pids);
        }
        jar.remove().and(counters).and(entered)?;
        Ok(self)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
    Neither,
}

fn uncounted(v2: bool, memory: &Path, pids: &Path) -> Vec<&'static str> {
    let has_swap = fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() > 1);
    let swap = if v2 { "memory.swap.max" } else { "memory.memsw.limit_in_bytes" };
    let mut notes = Vec::new();
    if has_swap && !memory.join(swap).exists() {
        notes.push("memory may exceed its limit by what is swapped out: no swap accounting");
    }
    if v2 && !memory.join("memory.peak").exists() {
        notes.push("the memory peak is sampled: the kernel is older than 5.19");
    }
    if !pids.join("pids.peak").exists() {
        notes.push("the peak of processes is sampled: this kernel keeps none");
    }
    notes
}

fn hint(version: Version, errno: i32) -> &'static str {
    let is_root = Uid::effective().is_root();
    match (version, errno) {
        (_, libc::EROFS) => {
            "this container sees its cgroups read-only: give it a writable cgroup namespace of its own"
        }
        (Version::One, _) if !is_root => {
            "cgroup v1 is for root only: boot with systemd.unified_cgroup_hierarchy=1, or run as root"
        }
        (Version::Two, libc::ENOENT) if !is_root => {
            "let systemd delegate: Delegate=memory pids in a drop-in of user@.service"
        }
        (Version::Two, _) if is_root => {
            "run it in a unit or scope of its own: systemd-run --scope -p Delegate=yes"
        }
        (Version::Two, _) => {
            "run it in a unit or scope of its own: systemd-run --user --scope -p Delegate=yes"
        }
        (Version::One, _) => "mount the v1 controllers memory, pids and cpuacct writable",
        (Version::Neither, _) => "mount a cgroup2 file system on /sys/fs/cgroup",
    }
}
