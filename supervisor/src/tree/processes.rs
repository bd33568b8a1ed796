//! Single processes, read from /proc. Every one may vanish between two reads.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::sync::LazyLock;
use std::time::Duration;

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// `USER_HZ`: 100 on every architecture that Rust and belljar share (time(7)).
const NANOS_PER_TICK: u64 = 1_000_000_000 / 100;
/// Larger than any line of `/proc/<pid>/stat`.
const STAT_BYTES: usize = 1024;

/// One line of `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) state: u8,
    pub(super) threads: u64,
    /// Clock ticks since the host started; with the id, one process and no other.
    pub(super) born: u64,
    pub(super) own_nanos: u64,
    /// Of children that were waited for, and theirs.
    pub(super) reaped_nanos: u64,
    /// Addresses in use, whether or not there is memory behind them.
    pub(super) mapped_bytes: u64,
    pub(super) resident_pages: u64,
}

/// How the children of a process are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    /// The kernel lists them per thread (`CONFIG_PROC_CHILDREN`).
    Listed,
    /// Every process of the host is asked for its parent.
    Scanned,
}

/// When a process was born, unless it is dead or a zombie.
pub(crate) fn born(pid: i32) -> Option<u64> {
    Stat::read(pid).filter(Stat::is_alive).map(|stat| stat.born)
}

/// Whose child a process is.
pub(crate) fn parent(pid: i32) -> Option<i32> {
    Stat::read(pid).map(|stat| stat.parent)
}

/// Whether the process is pid 1 of a pid namespace below ours.
pub(super) fn is_first_of_namespace(pid: i32) -> bool {
    numbers_below(pid).last().is_some_and(|number| number == "1")
}

/// Whether the process is in a pid namespace below ours.
pub(crate) fn is_below_a_namespace(pid: i32) -> bool {
    !numbers_below(pid).is_empty()
}

/// Its numbers in the pid namespaces below ours.
fn numbers_below(pid: i32) -> Vec<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    ids.split_ascii_whitespace().skip(1).map(ToOwned::to_owned).collect()
}

/// What the sockets of a network namespace of its own may hold beyond the few that any program
/// has: unix sockets keep what was sent and not received, and no process maps it.
pub(super) fn socket_bytes(pid: i32) -> u64 {
    const FREE: u64 = 64;
    static EACH: LazyLock<u64> = LazyLock::new(|| {
        let text = fs::read_to_string("/proc/sys/net/core/wmem_default").unwrap_or_default();
        text.trim().parse().unwrap_or(212_992)
    });
    let text = fs::read_to_string(format!("/proc/{pid}/net/sockstat")).unwrap_or_default();
    let used = text.lines().find_map(|line| line.strip_prefix("sockets: used "));
    let used: u64 = used.and_then(|used| used.trim().parse().ok()).unwrap_or_default();
    used.saturating_sub(FREE) * *EACH
}

/// What the connections of a network namespace of its own have queued, which no process maps
/// either. Said twice: the kernel keeps each byte in more than a byte.
pub(super) fn queued_bytes(pid: i32) -> u64 {
    let mut bytes = 0;
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        // proc(5): the fifth field of a line is what waits to be sent, and to be read.
        let both = text.lines().skip(1).filter_map(|line| line.split_ascii_whitespace().nth(4));
        let hex = |queue: &str| u64::from_str_radix(queue, 16).unwrap_or_default();
        let each = both.filter_map(|both| both.split_once(':'));
        bytes += each.map(|(sent, unread)| hex(sent) + hex(unread)).sum::<u64>();
    }
    bytes * 2
}

/// The memory of a process, shared pages divided among those who share them; otherwise whether
/// the reason is that it may not be known.
pub(super) fn share_bytes(pid: i32) -> Result<u64, bool> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .map_err(|error| error.kind() == io::ErrorKind::PermissionDenied)?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or(false)
}

/// Processor time of all threads of a process, the ended too, as exact as the kernel has it
/// (`clock_getcpuclockid(3)`).
fn own_nanos(pid: i32) -> Option<u64> {
    let time = clock_gettime(clock_getcpuclockid(Pid::from_raw(pid)).ok()?).ok()?;
    u64::try_from(Duration::from(time).as_nanos()).ok()
}

/// From the auxiliary vector (getauxval(3)), pairs of machine words.
pub(super) fn page_bytes() -> u64 {
    const AT_PAGESZ: u64 = 6;
    let vector = fs::read("/proc/self/auxv").unwrap_or_default();
    let (words, _) = vector.as_chunks::<8>();
    let words: Vec<u64> = words.iter().map(|word| u64::from_ne_bytes(*word)).collect();
    let (pairs, _) = words.as_chunks::<2>();
    pairs.iter().find_map(|[kind, value]| (*kind == AT_PAGESZ).then_some(*value)).unwrap_or(4096)
}

impl Stat {
    pub(super) fn read(pid: i32) -> Option<Self> {
        let mut bytes = [0; STAT_BYTES];
        let length = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut bytes).ok()?;
        let mut stat = Self::parse(&String::from_utf8_lossy(bytes.get(..length)?))?;
        // Ticks are cut off: what lives for less than one would run for nothing.
        stat.own_nanos = own_nanos(pid).unwrap_or(stat.own_nanos);
        Some(stat)
    }

    /// The name of the program stands in parentheses and may contain some, and blanks.
    fn parse(line: &str) -> Option<Self> {
        let (pid, _) = line.split_once(" (")?;
        let (_, rest) = line.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Numbered as in proc_pid_stat(5), where the state is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            pid: pid.parse().ok()?,
            parent: fields.get(1)?.parse().ok()?,
            state: *fields.first()?.as_bytes().first()?,
            own_nanos: (field(14)? + field(15)?) * NANOS_PER_TICK,
            reaped_nanos: (field(16)? + field(17)?) * NANOS_PER_TICK,
            threads: field(20)?,
            born: field(22)?,
            mapped_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }

    /// A thread that began a process may end before others do: it is a zombie among the living.
    pub(super) fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X') || self.threads > 1
    }

    #[cfg(test)]
    pub(super) fn born_at(pid: i32, born: u64) -> Self {
        let (own_nanos, reaped_nanos, mapped_bytes, resident_pages) = (0, 0, 0, 0);
        let (parent, state, threads) = (0, b'R', 1);
        Self {
            pid,
            parent,
            state,
            threads,
            born,
            own_nanos,
            reaped_nanos,
            mapped_bytes,
            resident_pages,
        }
    }
}

impl Walk {
    pub(super) fn find() -> Self {
        if fs::exists("/proc/thread-self/children").unwrap_or(false) {
            Self::Listed
        } else {
            Self::Scanned
        }
    }

    /// `root` and everything below it.
    pub(super) fn below(self, root: i32) -> Vec<Stat> {
        match self {
            Self::Listed => listed(root),
            Self::Scanned => scanned(root),
        }
    }
}

fn listed(root: i32) -> Vec<Stat> {
    let mut found = Vec::new();
    let mut known = HashSet::from([root]);
    let mut waiting = vec![root];
    let mut text = String::new();
    while let Some(pid) = waiting.pop() {
        let Some(stat) = Stat::read(pid) else { continue };
        text.clear();
        if stat.threads <= 1 {
            append_children(pid, &pid.to_string(), &mut text);
        } else {
            let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            for thread in threads {
                append_children(pid, &thread.file_name().to_string_lossy(), &mut text);
            }
        }
        found.push(stat);
        let children = text.split_ascii_whitespace().filter_map(|child| child.parse().ok());
        // A child that gets a new parent during the walk is listed twice.
        waiting.extend(children.filter(|child| known.insert(*child)));
    }
    found
}

fn append_children(pid: i32, thread: &str, text: &mut String) {
    // A thread that is gone has no children.
    let list = File::open(format!("/proc/{pid}/task/{thread}/children"));
    drop(list.and_then(|mut file| file.read_to_string(text)));
}

fn scanned(root: i32) -> Vec<Stat> {
    let mut children: HashMap<i32, Vec<Stat>> = HashMap::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    for stat in pids.filter_map(Stat::read) {
        children.entry(stat.parent).or_default().push(stat);
    }
    let mut found: Vec<Stat> = Stat::read(root).into_iter().collect();
    let mut waiting = vec![root];
    while let Some(pid) = waiting.pop() {
        // Taken out, so that numbers reused during the scan cannot make a circle.
        let below = children.remove(&pid).unwrap_or_default();
        waiting.extend(below.iter().map(|stat| stat.pid));
        found.extend(below);
    }
    found
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use nix::unistd::Uid;

    use super::*;

    #[test]
    fn a_program_cannot_forge_its_line_by_its_name() {
        let line = "42 (x) S 1 (y) 9) R 7 42 42 0 -1 4194304 9 8 0 0 11 12 13 14 20 0 3 0 9000 \
                    4096 55 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.pid, stat.parent, stat.threads, stat.born), (42, 7, 3, 9000));
        assert_eq!(
            (stat.own_nanos, stat.reaped_nanos, stat.resident_pages),
            (23 * NANOS_PER_TICK, 27 * NANOS_PER_TICK, 55)
        );
        for cut in ["", "42 (x", "42 (x) R 7 42", "x (y) R"] {
            assert_eq!(Stat::parse(cut), None, "{cut}");
        }
    }

    #[test]
    fn both_walks_find_the_same_tree() {
        let script = "sleep 60 & (sleep 60 & wait) & wait";
        let mut root = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let pid = root.id().cast_signed();
        let pids = |walk: Walk| {
            let mut pids: Vec<i32> = walk.below(pid).iter().map(|stat| stat.pid).collect();
            pids.sort_unstable();
            pids
        };
        while pids(Walk::Scanned).len() < 4 {
            std::thread::yield_now();
        }
        let scanned = pids(Walk::Scanned);
        if Walk::find() == Walk::Listed {
            assert_eq!(pids(Walk::Listed), scanned);
        }
        for pid in scanned.into_iter().rev() {
            super::super::signal(pid, nix::sys::signal::Signal::SIGKILL);
        }
        root.wait().unwrap();
    }

    #[test]
    fn the_share_of_a_process_is_known_hidden_or_gone() {
        assert!(share_bytes(std::process::id().cast_signed()).unwrap() > 0);
        assert_eq!(share_bytes(i32::MAX), Err(false));
        if !Uid::effective().is_root() {
            assert_eq!(share_bytes(1), Err(true));
        }
        assert!(page_bytes().is_power_of_two() && page_bytes() >= 4096);
    }
}
