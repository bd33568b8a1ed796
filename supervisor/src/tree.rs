//! What a tree of processes uses and how it ends where no cgroup counts it: proc(5), sampled.

mod processes;

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use self::processes::{Stat, Walk};
pub(crate) use self::processes::{born, is_below_a_namespace, parent};
use crate::cgroup::Counters;

const KILL_WITHIN: Duration = Duration::from_millis(500);
/// How long a child may seem to use its parent's memory before it counts as its own: until it
/// executes a program, if it was made by vfork(2).
const SPAWNING: Duration = Duration::from_millis(250);

/// The tree below the init of a jar.
///
/// What lives and dies between two samples is seen only as far as its parent waited for it, and
/// memory that no process maps is not seen at all.
#[derive(Debug)]
pub(crate) struct Tree {
    init: i32,
    /// The payload, if it was forked into the jar from elsewhere.
    adopted: Option<i32>,
    /// Tells init from a later process of the same number.
    born: Option<u64>,
    memory_limit_bytes: u64,
    page_bytes: u64,
    walk: Walk,
    ledger: Ledger,
    counters: Counters,
    /// Resident bytes at which the share was last measured for the sake of the peak.
    measured_at_bytes: u64,
    is_share_hidden: bool,
    /// The child without which it was within its limit, and since when.
    spawning: Option<((i32, u64), Instant)>,
    /// Its sockets are counted apart from those of the host.
    has_own_namespaces: bool,
    /// So are its connections, where it can have any.
    has_network: bool,
}

/// Processor time of a changing set of processes, never falling.
#[derive(Debug, Default)]
struct Ledger {
    /// Own time of the living, by process id and time of birth.
    living: HashMap<(i32, u64), u64>,
    gone_nanos: u64,
    nanos: u64,
}

impl Tree {
    /// `init` is the host's id of pid 1 of the jar.
    pub(crate) fn new(init: i32, memory_limit_bytes: u64) -> Self {
        Self {
            init,
            adopted: None,
            born: born(init),
            memory_limit_bytes,
            page_bytes: processes::page_bytes(),
            walk: Walk::find(),
            ledger: Ledger::default(),
            counters: Counters::default(),
            measured_at_bytes: 0,
            is_share_hidden: false,
            spawning: None,
            has_own_namespaces: processes::is_first_of_namespace(init),
            has_network: false,
        }
    }

    /// Counts what connections hold as well.
    pub(crate) fn count_connections(&mut self) {
        self.has_network = self.has_own_namespaces;
    }

    /// Counts a payload that is no descendant of init, and its own.
    pub(crate) fn adopt(&mut self, payload: i32) {
        self.adopted = Some(payload);
    }

    /// What the tree used so far. Processes exclude init; nothing is counted of a dead tree but
    /// what earlier samples saw.
    pub(crate) fn sample(&mut self) -> Counters {
        let members = self.members();
        let nanos = self.ledger.enter(&members);
        self.counters.cpu = Duration::from_nanos(nanos);
        let threads: u64 = members.iter().map(|stat| stat.threads).sum();
        self.counters.processes = threads.saturating_sub(1);
        self.counters.processes_peak = self.counters.processes_peak.max(self.counters.processes);
        self.weigh(&members);
        self.counters
    }

    /// What is imprecise about the memory of this tree, if anything.
    pub(crate) fn note(&self) -> Option<&'static str> {
        self.is_share_hidden.then_some(
            "memory is the sum of resident sets, shared pages counted repeatedly: smaps is unreadable",
        )
    }

    /// Everything of it that lives: process ids and times of birth.
    pub(crate) fn living(&self) -> Vec<(i32, u64)> {
        let below = self.walk.below(self.init).into_iter();
        below.filter(Stat::is_alive).map(|stat| (stat.pid, stat.born)).collect()
    }

    /// Kills the tree. With init as pid 1 of its namespace the kernel does, atomically; otherwise
    /// everything is stopped until nothing new appears, which also starves a fork bomb of free
    /// process numbers, and then killed.
    pub(crate) fn kill(&self) {
        if self.born.is_none() || born(self.init) != self.born {
            return;
        }
        if !processes::is_first_of_namespace(self.init) {
            self.stop_and_kill_below();
        }
        signal(self.init, Signal::SIGKILL);
    }

    fn stop_and_kill_below(&self) {
        let started = Instant::now();
        let mut stopped = HashMap::new();
        loop {
            let members = self.walk.below(self.init);
            let mut is_news = false;
            for stat in members.iter().filter(|stat| stat.pid != self.init) {
                if stopped.insert(stat.pid, stat.born) != Some(stat.born) {
                    is_news = true;
                    signal(stat.pid, Signal::SIGSTOP);
                }
            }
            if !is_news || started.elapsed() > KILL_WITHIN {
                break;
            }
        }
        loop {
            // Whoever was stopped is killed at least once, however long the stopping took.
            let is_last = started.elapsed() > 2 * KILL_WITHIN;
            let members = self.walk.below(self.init);
            let living = members.iter().filter(|stat| stat.pid != self.init && stat.is_alive());
            if living.map(|stat| signal(stat.pid, Signal::SIGKILL)).count() == 0 || is_last {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn members(&self) -> Vec<Stat> {
        if self.born.is_none() || born(self.init) != self.born {
            return Vec::new();
        }
        let mut members = self.walk.below(self.init);
        if let Some(payload) = self.adopted {
            members.extend(self.walk.below(payload));
        }
        // A child given to a new parent during the walk may be missed by it.
        let seen: HashMap<i32, u64> = members.iter().map(|stat| (stat.pid, stat.born)).collect();
        for (pid, born) in self.ledger.living.keys() {
            if seen.get(pid) != Some(born)
                && let Some(stat) = Stat::read(*pid).filter(|stat| stat.born == *born)
            {
                members.push(stat);
            }
        }
        members
    }

    /// Reads the proportional share, which costs a walk through page tables, only when memory is
    /// near its limit or may be at a new peak: resident sets are never less.
    fn weigh(&mut self, members: &[Stat]) {
        let sockets = if self.has_own_namespaces { processes::socket_bytes(self.init) } else { 0 };
        let queued = if self.has_network { processes::queued_bytes(self.init) } else { 0 };
        let sockets = sockets + queued;
        let resident: u64 = members.iter().map(|stat| stat.resident_pages * self.page_bytes).sum();
        let resident = resident + sockets;
        let has_grown = resident > self.measured_at_bytes + self.measured_at_bytes / 8;
        if !has_grown && resident < self.memory_limit_bytes / 2 {
            self.counters.memory_bytes = resident;
            return;
        }
        let mut shares = HashMap::new();
        for stat in members.iter().filter(|stat| stat.resident_pages > 0) {
            shares.insert(stat.pid, (*stat, self.share_of(stat)));
        }
        let mut share = sockets + shares.values().map(|(_, share)| share).sum::<u64>();
        if share > self.memory_limit_bytes
            && let Some((child, twice)) = counted_twice(&shares)
            && share - twice <= self.memory_limit_bytes
        {
            let (seen, since) = self.spawning.unwrap_or((child, Instant::now()));
            let since = if seen == child { since } else { Instant::now() };
            self.spawning = Some((child, since));
            if since.elapsed() < SPAWNING {
                share -= twice;
            }
        }
        self.measured_at_bytes = self.measured_at_bytes.max(resident);
        self.counters.memory_bytes = share;
        self.counters.memory_peak_bytes = self.counters.memory_peak_bytes.max(share);
    }

    fn share_of(&mut self, stat: &Stat) -> u64 {
        processes::share_bytes(stat.pid).unwrap_or_else(|is_hidden| {
            self.is_share_hidden |= is_hidden;
            // It may be gone since it was counted.
            let now = Stat::read(stat.pid).filter(|now| now.born == stat.born);
            now.map_or(0, |now| now.resident_pages * self.page_bytes)
        })
    }
}

/// The child that most seems to use the memory of its parent, and how much: as many addresses, and
/// about as many pages. What both have only copied from each other looks the same, so it is one
/// child, and no more than its parent has.
fn counted_twice(shares: &HashMap<i32, (Stat, u64)>) -> Option<((i32, u64), u64)> {
    let same = |(stat, share): &(Stat, u64)| {
        let (parent, above) = shares.get(&stat.parent)?;
        let apart = parent.resident_pages.abs_diff(stat.resident_pages);
        (parent.mapped_bytes == stat.mapped_bytes && apart <= parent.resident_pages / 8)
            .then_some(((stat.pid, stat.born), *share.min(above)))
    };
    shares.values().filter_map(same).max_by_key(|(_, share)| *share)
}

impl Ledger {
    /// Two sums, each at most the truth, and the larger of them. What parents waited for misses
    /// the children of a parent that ignores SIGCHLD; own times miss who lived between samples.
    fn enter(&mut self, members: &[Stat]) -> u64 {
        let now: HashMap<(i32, u64), u64> =
            members.iter().map(|stat| ((stat.pid, stat.born), stat.own_nanos)).collect();
        let gone = self.living.iter().filter(|(process, _)| !now.contains_key(process));
        self.gone_nanos += gone.map(|(_, nanos)| nanos).sum::<u64>();
        let own: u64 = now.values().sum();
        let waited_for: u64 = members.iter().map(|stat| stat.reaped_nanos).sum();
        self.living = now;
        self.nanos = self.nanos.max(own + self.gone_nanos).max(own + waited_for);
        self.nanos
    }
}

/// Whether this process has the right to.
pub(crate) fn may_be_killed(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None).is_ok()
}

fn signal(pid: i32, signal: Signal) {
    match kill(Pid::from_raw(pid), signal) {
        // It may be gone by itself, and then there is nothing to do.
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => tracing::warn!(pid, %signal, %errno, "a process of a jar took no signal"),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn shell(script: &str) -> Child {
        Command::new("sh").args(["-c", script]).stdin(Stdio::null()).spawn().unwrap()
    }

    fn eventually(mut is_true: impl FnMut() -> bool) {
        let started = Instant::now();
        while !is_true() {
            assert!(started.elapsed() < Duration::from_secs(10), "it never happened");
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn stat(pid: i32, own_nanos: u64, reaped_nanos: u64) -> Stat {
        Stat { own_nanos, reaped_nanos, ..Stat::born_at(pid, 7) }
    }

    #[test]
    fn processor_time_of_the_dead_is_kept_whether_or_not_it_was_waited_for() {
        let mut ignored = Ledger::default();
        assert_eq!(ignored.enter(&[stat(1, 1, 0), stat(2, 40, 0)]), 41);
        assert_eq!(ignored.enter(&[stat(1, 1, 0), stat(3, 30, 0)]), 71);
        assert_eq!(ignored.enter(&[stat(1, 1, 0)]), 71);

        let mut waited = Ledger::default();
        assert_eq!(waited.enter(&[stat(1, 1, 0), stat(2, 40, 0)]), 41);
        assert_eq!(waited.enter(&[stat(1, 1, 45)]), 46);
        assert_eq!(waited.enter(&[]), 46);
    }

    #[test]
    fn a_reused_process_id_starts_from_nothing() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.enter(&[stat(2, 40, 0)]), 40);
        let later = Stat { own_nanos: 5, ..Stat::born_at(2, 8) };
        assert_eq!(ledger.enter(&[later]), 45);
    }

    #[test]
    fn a_sample_counts_the_whole_tree_and_its_time() {
        let mut root = shell("sleep 60 & sh -c 'while :; do :; done' & wait");
        let mut tree = Tree::new(root.id().cast_signed(), 256 * MIB);
        eventually(|| {
            let sample = tree.sample();
            sample.processes == 2 && sample.cpu >= Duration::from_millis(50)
        });
        let sample = tree.sample();
        assert!(sample.memory_peak_bytes > 100 * 1024, "{sample:?}");
        assert!(sample.memory_peak_bytes < 32 * MIB, "{sample:?}");
        tree.kill();
        root.wait().unwrap();
        let after = tree.sample();
        assert!(after.cpu >= sample.cpu && after.processes == 0, "{after:?}");
        assert_eq!(after.processes_peak, 2);
    }

    #[test]
    fn memory_near_the_limit_is_measured_by_share() {
        // Forked shells share nearly all of their pages, so the sum of resident sets exceeds it.
        let mut root = shell("for i in 1 2 3 4 5 6; do (sleep 60; :) & done; wait");
        let mut tree = Tree::new(root.id().cast_signed(), MIB);
        eventually(|| tree.sample().processes >= 12);
        let share = tree.sample().memory_bytes;
        let members = tree.members();
        let resident: u64 = members.iter().map(|stat| stat.resident_pages * tree.page_bytes).sum();
        assert!(share > 0 && share < resident, "{share} of {resident}");
        tree.kill();
        root.wait().unwrap();
    }

    #[test]
    fn memory_that_a_child_uses_with_its_parent_counts_once_while_it_begins() {
        // posix_spawn(3) makes it by vfork(2), and opens its files before the program: a pipe that
        // nobody writes to keeps it there.
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("program");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let spawn = "import os, sys\nhold = bytearray(64 << 20)\n\
                     os.posix_spawn('/bin/true', ['true'], {}, \
                     file_actions=[(os.POSIX_SPAWN_OPEN, 0, sys.argv[1], os.O_RDONLY, 0)])";
        let mut root = Command::new("python3").args(["-c", spawn]).arg(&fifo).spawn().unwrap();
        let mut tree = Tree::new(root.id().cast_signed(), 100 * MIB);
        eventually(|| tree.walk.below(tree.init).len() == 2);
        let begun = Instant::now();
        let sample = tree.sample();
        if begun.elapsed() < SPAWNING {
            assert!(sample.memory_bytes < 100 * MIB, "{sample:?}");
        }
        // Nobody stays like this who is not up to something.
        eventually(|| tree.sample().memory_bytes > 128 * MIB);
        tree.kill();
        root.wait().unwrap();
    }

    #[test]
    fn a_killed_tree_leaves_nobody() {
        let mut root = shell("(sleep 60 & sleep 60 & wait) & setsid sh -c 'sleep 60; :' & wait");
        let init = root.id().cast_signed();
        let mut tree = Tree::new(init, 256 * MIB);
        eventually(|| tree.sample().processes >= 5);
        let members = tree.members();
        tree.kill();
        root.wait().unwrap();
        eventually(|| {
            let same = |stat: &&Stat| Stat::read(stat.pid).is_some_and(|now| now.born == stat.born);
            members.iter().filter(same).count() == 0
        });
    }

    #[test]
    fn a_tree_that_is_gone_is_not_mistaken_for_another() {
        let mut root = shell(":");
        let tree_before = Tree::new(root.id().cast_signed(), MIB);
        root.wait().unwrap();
        // Births are counted in ticks of 10 ms.
        thread::sleep(Duration::from_millis(30));
        let mut other = shell("sleep 60");
        let mut tree = Tree { init: other.id().cast_signed(), ..tree_before };
        tree.kill();
        assert_eq!(tree.sample(), Counters::default());
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
