//! The end of everything that supervisors which are dead left.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::host::Host;
use crate::tree::{self, Tree};
use crate::{Error, cgroup, scratch};

/// What a kernel takes to end a large tree, many times over.
const WITHIN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(2);
/// As the kernel has it: no more than fifteen bytes.
const WORKER: &str = "belljar-worker";

/// Returns when nothing of any run lives whose supervisor is dead, at once where that is so.
///
/// Runs end with their supervisor, as the warden or keeper of each hears of its end: within
/// milliseconds on a host that is not overloaded, but a warden that was stopped, or is not given
/// the processor, hears nothing. What is left is killed here. Who reports runs of an earlier
/// process as lost calls this first: then there is nothing of them that still acts.
///
/// Runs of other users are left alone, unless this one is root, and so is whatever belongs to
/// supervisors in other pid namespaces.
///
/// # Errors
/// [`Error::Internal`] when something still lives after five seconds: a process that waits for a
/// device or a network file system cannot be killed until that answers.
pub async fn sweep() -> Result<(), Error> {
    let swept = tokio::task::spawn_blocking(|| sweep_within(WITHIN)).await;
    swept.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| {
        let what = "something of an earlier supervisor's runs still lives".to_owned();
        Error::Internal(what, error)
    })
}

fn sweep_within(within: Duration) -> io::Result<()> {
    let started = Instant::now();
    let host = Host::get();
    let mut is_first_look = true;
    // Who was seen once is waited for until it is gone, whatever becomes of its name.
    let mut seen: Vec<Process> = Vec::new();
    let mut nameless: Vec<(i32, Vec<Process>)> = Vec::new();
    loop {
        for orphan in orphans()? {
            let tree = Tree::new(orphan.pid, 0);
            if !orphan.is_nameless {
                seen.extend(tree.living());
                tree.kill();
            } else if is_first_look {
                // It may also be one of a supervisor that lives: later on there may be such ones
                // at any time, and those of the dead have been seen.
                nameless.push((orphan.pid, tree.living()));
            }
        }
        is_first_look = false;
        let stays = cgroup::sweep(&host.hierarchy);
        seen.sort_unstable();
        seen.dedup();
        seen.retain(is_alive);
        let were_all_named = nameless.is_empty();
        nameless.retain_mut(|(pid, tree)| {
            // One that has a name by now was beginning: the next look judges by that name.
            if tree.iter().any(|(other, _)| other == pid)
                && command_name(*pid).is_some_and(|name| !name.is_empty())
            {
                return false;
            }
            tree.retain(is_alive);
            !tree.is_empty()
        });
        if seen.is_empty() && were_all_named && stays == 0 {
            scratch::sweep();
            return Ok(());
        }
        if started.elapsed() > within {
            let all = seen.iter().chain(nameless.iter().flat_map(|(_, tree)| tree));
            let pids: Vec<_> = all.map(|(pid, _)| pid.to_string()).collect();
            let what = format!("processes {}; {stays} cgroups", pids.join(" "));
            return Err(io::Error::new(io::ErrorKind::TimedOut, what));
        }
        thread::sleep(PAUSE);
    }
}

/// A worker, or one of its own processes, whose supervisor is dead.
struct Orphan {
    pid: i32,
    /// Its memory is gone already, and its name with it: it goes when everything below it has. Or
    /// it executes a program at this moment.
    is_nameless: bool,
}

/// Process id and time of birth.
type Process = (i32, u64);

fn is_alive((pid, born): &Process) -> bool {
    tree::born(*pid) == Some(*born)
}

fn orphans() -> io::Result<Vec<Orphan>> {
    let entries = fs::read_dir("/proc")?.flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(pids.filter_map(orphan).collect())
}

fn orphan(pid: i32) -> Option<Orphan> {
    let read = |pid: i32, file: &str| fs::read(format!("/proc/{pid}/{file}")).ok();
    let is_worker = |pid| read(pid, "comm").is_some_and(|name| name.starts_with(WORKER.as_bytes()));
    if !is_worker(pid) || !tree::may_be_killed(pid) {
        return None;
    }
    tree::born(pid)?;
    // What a supervisor in another pid namespace started has a parent there; its owner's number
    // means somebody else here. And whoever is below another worker ends with that one.
    let parent = tree::parent(pid)?;
    if tree::is_below_a_namespace(parent) || is_worker(parent) {
        return None;
    }
    let name = command_name(pid)?;
    let is_nameless = name.is_empty();
    let is_stale = std::str::from_utf8(&name).is_ok_and(cgroup::is_stale);
    (is_nameless || is_stale).then_some(Orphan { pid, is_nameless })
}

/// What a process was called with; nothing where it is gone.
fn command_name(pid: i32) -> Option<Vec<u8>> {
    let mut line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    line.truncate(line.iter().position(|byte| *byte == 0).unwrap_or(line.len()));
    Some(line)
}
