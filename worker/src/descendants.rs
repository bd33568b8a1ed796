//! Ends a tree of processes that has no namespace to die with.
//!
//! Whoever loses its parent is given to the next subreaper above it, which is init and, should
//! init be gone, the warden: nobody leaves the tree.

use std::collections::HashMap;
use std::fs;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{self, Signal};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getpid};

use crate::stopwatch::best_effort;

const PAUSE: Duration = Duration::from_millis(1);

/// Kills until no descendant is alive. Everybody is stopped before anybody dies: a fork bomb
/// outruns whoever kills one process after the other, and the stopped use up what it may fork.
pub(crate) fn kill() {
    let mut stopped: Vec<Pid> = Vec::new();
    loop {
        let living = living();
        let (known, new): (Vec<Pid>, Vec<Pid>) =
            living.iter().partition(|pid| stopped.contains(pid));
        if living.is_empty() {
            return;
        }
        let (whom, how) =
            if new.is_empty() { (known, Signal::SIGKILL) } else { (new, Signal::SIGSTOP) };
        for pid in &whom {
            best_effort(signal::kill(*pid, how));
        }
        match how {
            Signal::SIGSTOP => stopped.extend(whom),
            _ => thread::sleep(PAUSE),
        }
    }
}

/// Kills and reaps until there is no child left.
pub(crate) fn end() {
    while waitpid(None, Some(WaitPidFlag::WNOHANG)) != Err(Errno::ECHILD) {
        kill();
    }
}

/// Every descendant that is not a zombie.
fn living() -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<(i32, bool)>> = HashMap::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in processes {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let stat = pid.and_then(|pid: i32| fs::read(format!("/proc/{pid}/stat")).ok());
        if let (Some(pid), Some((parent, is_alive))) = (pid, stat.and_then(|stat| parse(&stat))) {
            children.entry(parent).or_default().push((pid, is_alive));
        }
    }
    let mut living = Vec::new();
    let mut waiting = vec![getpid().as_raw()];
    while let Some(parent) = waiting.pop() {
        // Taken out, so that numbers reused during the scan cannot make a circle.
        for (pid, is_alive) in children.remove(&parent).unwrap_or_default() {
            waiting.push(pid);
            living.extend(is_alive.then(|| Pid::from_raw(pid)));
        }
    }
    living
}

/// Parent, and whether the process is alive: what follows the last parenthesis, as the name of a
/// program may contain some. A thread that began a process may end before others do, and is a
/// zombie among the living.
fn parse(stat: &[u8]) -> Option<(i32, bool)> {
    let text = String::from_utf8_lossy(stat);
    let (_, rest) = text.rsplit_once(") ")?;
    let mut fields = rest.split_ascii_whitespace();
    let (state, parent) = (fields.next()?, fields.next()?.parse().ok()?);
    // The 20th as proc_pid_stat(5) counts, where the state is the third.
    let threads: u32 = fields.nth(15)?.parse().ok()?;
    Some((parent, !matches!(state, "Z" | "X") || threads > 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_cannot_forge_its_parent_by_its_name() {
        let line = |begin: &str, threads: u32| {
            format!("{begin} 42 42 0 -1 4194304 9 8 0 0 1 2 3 4 20 0 {threads} 0 9000")
        };
        assert_eq!(parse(line("42 (x) S 1 (y) 9) R 7", 1).as_bytes()), Some((7, true)));
        assert_eq!(parse(line("42 (x) Z 7", 1).as_bytes()), Some((7, false)));
        assert_eq!(parse(line("42 (x) Z 7", 2).as_bytes()), Some((7, true)));
        assert_eq!(parse(b"42 (x"), None);
    }
}
