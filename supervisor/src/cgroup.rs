//! The cgroups of a run: what its tree may use, what it used, and the end of all of it.
//!
//! The only file that names cgroups-rs, which writes the limits and moves processes on both
//! versions of the interface. It cannot find a hybrid or delegated hierarchy, enables controllers
//! without looking at the result, and knows no peaks, `memory.events`, `memory.oom.group` or
//! `cgroup.kill`: those are done here, and every limit is read back whoever wrote it.

mod counters;
mod files;
mod hierarchy;
mod place;
mod sockets;
mod sweep;
#[cfg(test)]
mod tests;
mod unified;

use std::error::Error as _;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use std::{fs, io, mem, process, thread};

use cgroups_rs::memory::MemController;
use cgroups_rs::pid::PidController;
use cgroups_rs::{CgroupPid, Controller, MaxValue};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, gettid};

pub(crate) use self::counters::Counters;
use self::counters::Gauges;
use self::files::{Failure, at, confirm, errno, read, write};
pub(crate) use self::hierarchy::Hierarchy;
use self::place::Places;
use self::sockets::SOCKETS_APART;
pub(crate) use self::sweep::{is_stale, run_name, sweep};
use crate::Limits;

/// What of ours is in a jar, too: init, and the warden unless it is a keeper. What a caller limits
/// and reads is without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Staff {
    InitAndWarden,
    Init,
}

const KILL_WITHIN: Duration = Duration::from_millis(500);
const REMOVE_WITHIN: Duration = Duration::from_secs(2);

/// The cgroups of one run. Dropping it kills who is left in it and removes it.
#[derive(Debug)]
pub(crate) struct Jar {
    groups: Groups,
    staff: Staff,
    gauges: Gauges,
    /// Held shared, one per group, for as long as the jar has an owner; see [`sweep`].
    locks: Vec<File>,
    /// Largest values that were read, for kernels that keep no peak.
    memory_read_bytes: AtomicU64,
    processes_read: AtomicU64,
    /// As it was before [`Jar::kill`] forbade new processes.
    limit_hits: OnceLock<u64>,
}

#[derive(Debug, Default)]
struct Groups {
    v2: bool,
    places: Places,
    /// The directories that exist because of us.
    made: Vec<PathBuf>,
}

impl Jar {
    /// Creates the groups, writes the limits, and reads every one of them back.
    pub(crate) fn create(
        hierarchy: &Hierarchy,
        run_id: &str,
        limits: &Limits,
        staff: Staff,
    ) -> io::Result<Self> {
        let jar = Self::make(hierarchy, &run_name(run_id)?, staff)?;
        jar.groups.limit(limits, staff)?;
        Ok(jar)
    }

    /// Files by which a process enters the jar itself: it writes `0` to each.
    pub(crate) fn entrances(&self) -> io::Result<Vec<File>> {
        // The memory group last, as what is charged to it may fail.
        let file = if self.groups.v2 { "cgroup.procs" } else { "tasks" };
        let open = |directory: &PathBuf| {
            let path = directory.join(file);
            File::options().write(true).open(&path).map_err(|error| at(&path, "open", &error))
        };
        self.groups.made.iter().rev().map(open).collect()
    }

    fn make(hierarchy: &Hierarchy, name: &str, staff: Staff) -> io::Result<Self> {
        let mut jar = Self {
            groups: Groups::named(hierarchy, name)?,
            staff,
            gauges: Gauges::default(),
            locks: Vec::new(),
            memory_read_bytes: AtomicU64::new(0),
            processes_read: AtomicU64::new(0),
            limit_hits: OnceLock::new(),
        };
        for place in jar.groups.places.distinct() {
            let directory = &place.directory;
            fs::create_dir(directory).map_err(|error| at(directory, "create", &error))?;
            jar.groups.made.push(directory.clone());
            let lock = File::open(directory)?;
            lock.try_lock_shared()?;
            jar.locks.push(lock);
        }
        Ok(jar)
    }

    /// Calls `spawn` so that the process it starts is in the jar: from birth in cgroup v1, before
    /// this returns in v2. Blocks; not for a thread that serves others.
    ///
    /// In cgroup v1 the calling thread visits the jar: a thread that moves itself takes no lock,
    /// whereas moving another process waits for a grace period of the whole kernel (at rest 5 ms
    /// and more, against 0.07 ms). In v2 no thread can be apart from its process, so the child is
    /// moved.
    pub(crate) fn spawn<T: Send>(
        &self,
        spawn: impl FnOnce() -> io::Result<T> + Send,
        pid: impl FnOnce(&T) -> Option<i32>,
    ) -> io::Result<T> {
        if self.groups.v2 {
            let child = spawn()?;
            self.add(pid(&child).ok_or(io::ErrorKind::NotFound)?)?;
            return Ok(child);
        }
        if gettid() != Pid::this() {
            return self.groups.visit(spawn);
        }
        // Memory is charged to the group of the main thread, and the kernel looks among main
        // threads for whom to kill when it runs out: that one never enters a jar.
        thread::scope(|scope| {
            thread::Builder::new()
                .name("belljar-spawn".to_owned())
                .spawn_scoped(scope, || self.groups.visit(spawn))?
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the spawning thread panicked")))
        })
    }

    /// Moves a process, with its threads, into the jar.
    pub(crate) fn add(&self, pid: i32) -> io::Result<()> {
        // Zero would be ourselves.
        let pid =
            u64::try_from(pid).ok().filter(|pid| *pid > 0).ok_or(io::ErrorKind::InvalidInput)?;
        for directory in &self.groups.made {
            PidController::new(directory.clone(), self.groups.v2)
                .add_task_by_tgid(&CgroupPid::from(pid))
                .map_err(|error| foreign(&error))?;
        }
        Ok(())
    }

    /// Whether the process that the text of a `/proc/<pid>/cgroup` describes is in every group.
    pub(crate) fn holds(&self, proc_cgroup: &str) -> bool {
        self.groups.places.distinct().iter().all(|place| place.holds(proc_cgroup))
    }

    /// Kills everything in the jar and waits, at most half a second, until nothing of it lives.
    pub(crate) fn kill(&self) -> io::Result<()> {
        self.limit_hits.get_or_init(|| self.process_limit_hits().unwrap_or(0));
        self.groups.kill()
    }

    /// Whether no process is alive in the jar. Zombies are not.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.members().is_ok_and(|members| members.is_empty())
    }

    /// Removes the groups, waiting at most two seconds for the last process to be gone.
    pub(crate) fn remove(mut self) -> io::Result<()> {
        mem::take(&mut self.groups).remove(REMOVE_WITHIN)
    }
}

impl Drop for Jar {
    fn drop(&mut self) {
        let mut groups = mem::take(&mut self.groups);
        if groups.remove(Duration::ZERO).is_ok() {
            return;
        }
        // Somebody is still in there. Waiting for the end of that is not for whoever drops a jar;
        // what this thread cannot do either, the next sweep will.
        let finish = move || drop(groups.kill().and_then(|()| groups.remove(REMOVE_WITHIN)));
        drop(thread::Builder::new().name("belljar-remove".to_owned()).spawn(finish));
    }
}

impl Staff {
    fn count(self) -> u64 {
        match self {
            Self::InitAndWarden => 2,
            Self::Init => 1,
        }
    }
}

impl Groups {
    fn named(hierarchy: &Hierarchy, name: &str) -> io::Result<Self> {
        let (v2, delegated) = match hierarchy {
            Hierarchy::V1(delegated) => (false, delegated),
            Hierarchy::V2(delegated) => (true, delegated),
            Hierarchy::None { why, .. } => return Err(io::Error::other(why.clone())),
        };
        Ok(Self { v2, places: delegated.places.child(name), made: Vec::new() })
    }

    fn limit(&self, limits: &Limits, staff: Staff) -> io::Result<()> {
        let memory = &self.places.memory.directory;
        let pids = &self.places.pids.directory;
        let controller = MemController::new(memory.clone(), self.v2);
        let bytes = i64::try_from(limits.memory_bytes).unwrap_or(i64::MAX);
        controller.set_limit(bytes).map_err(|error| foreign(&error))?;
        if self.v2 {
            if memory.join("memory.swap.max").exists() {
                controller.set_memswap_limit(0).map_err(|error| foreign(&error))?;
                confirm(memory, "memory.swap.max", 0)?;
            }
            write(memory, "memory.oom.group", "1")?;
            confirm(memory, "memory.oom.group", 1)?;
            confirm(memory, "memory.max", limits.memory_bytes)?;
        } else {
            // Memory and swap together may not be limited below memory, hence the order.
            if memory.join("memory.memsw.limit_in_bytes").exists() {
                controller.set_memswap_limit(bytes).map_err(|error| foreign(&error))?;
                confirm(memory, "memory.memsw.limit_in_bytes", limits.memory_bytes)?;
            }
            // Version 1 counts the buffers of TCP sockets apart from everything else.
            if memory.join(SOCKETS_APART).exists() {
                controller.set_tcp_limit(bytes).map_err(|error| foreign(&error))?;
                confirm(memory, SOCKETS_APART, limits.memory_bytes)?;
            }
            confirm(memory, "memory.limit_in_bytes", limits.memory_bytes)?;
        }
        let processes = u64::from(limits.processes) + staff.count();
        PidController::new(pids.clone(), self.v2)
            .set_pid_max(MaxValue::Value(processes.cast_signed()))
            .map_err(|error| foreign(&error))?;
        confirm(pids, "pids.max", processes)
    }

    fn visit<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let mut visit = Visit { ways_home: Vec::with_capacity(self.made.len()) };
        // Inside, even opening a file is charged, and may fail; so what leads home is open before,
        // and the memory group, the first of all, is entered last and left first.
        for directory in &self.made {
            let home = directory.parent().ok_or(io::ErrorKind::NotFound)?.join("tasks");
            let tasks = File::options().write(true).open(&home);
            visit.ways_home.push(tasks.map_err(|error| at(&home, "open", &error))?);
        }
        for directory in self.made.iter().rev() {
            write(directory, "tasks", "0")?;
        }
        act()
    }

    fn kill(&self) -> io::Result<()> {
        let started = Instant::now();
        let mut pause = Duration::from_micros(50);
        let by_kernel = self.v2 && write(&self.places.pids.directory, "cgroup.kill", "1").is_ok();
        if !by_kernel {
            // Without this a fork bomb outruns whoever kills one process after the other.
            match write(&self.places.pids.directory, "pids.max", "0") {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        loop {
            let is_last = started.elapsed() > KILL_WITHIN;
            let members = self.members()?;
            if members.is_empty() {
                return Ok(());
            }
            if !by_kernel {
                for member in &members {
                    match kill(*member, Signal::SIGKILL) {
                        Ok(()) | Err(Errno::ESRCH) => {}
                        Err(errno) => return Err(errno.into()),
                    }
                }
            }
            if is_last {
                let what = format!("{} processes survive SIGKILL in", members.len());
                let reason = io::Error::from(io::ErrorKind::TimedOut);
                return Err(at(&self.places.pids.directory, &what, &reason));
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(4));
        }
    }

    /// The living processes of all groups. Never ourselves, who are listed while a thread of ours
    /// spawns, and never 0, which stands for a process of another pid namespace and in kill(2)
    /// for our own process group.
    fn members(&self) -> io::Result<Vec<Pid>> {
        let own = process::id().cast_signed();
        let mut members = Vec::new();
        for directory in &self.made {
            let listed = match read(directory, "cgroup.procs") {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                listed => listed?,
            };
            let pids = listed.lines().filter_map(|line| line.parse::<i32>().ok());
            members.extend(pids.filter(|pid| *pid > 0 && *pid != own).map(Pid::from_raw));
        }
        members.sort_unstable();
        members.dedup();
        Ok(members)
    }

    fn remove(&mut self, within: Duration) -> io::Result<()> {
        let started = Instant::now();
        let mut pause = Duration::from_micros(250);
        while let Some(directory) = self.made.last() {
            match fs::remove_dir(directory) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // A zombie counts as an inhabitant until it is reaped.
                Err(error) if error.raw_os_error() == Some(nix::libc::EBUSY) => {
                    if started.elapsed() >= within {
                        return Err(at(directory, "remove", &error));
                    }
                    thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(20));
                    continue;
                }
                Err(error) => return Err(at(directory, "remove", &error)),
            }
            self.made.pop();
        }
        Ok(())
    }
}

/// A thread of ours inside a jar. It goes home however the visit ends.
struct Visit {
    ways_home: Vec<File>,
}

impl Drop for Visit {
    fn drop(&mut self) {
        for tasks in &mut self.ways_home {
            if let Err(error) = tasks.write_all(b"0") {
                tracing::error!(%error, "a thread of the supervisor cannot leave a jar");
            }
        }
    }
}

fn foreign(error: &cgroups_rs::error::Error) -> io::Error {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    let (kind, errno) = cause.map_or((io::ErrorKind::Other, 0), |io| (io.kind(), errno(io)));
    io::Error::new(kind, Failure { what: error.to_string(), errno })
}
