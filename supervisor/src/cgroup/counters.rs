//! What the kernel counted.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Jar, at};

/// Larger than any of them: the longest is cpu.stat of version 2.
const GAUGE_BYTES: usize = 4096;

/// What a tree used so far. Warden and init are not among the processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Processor time, of the dead too.
    pub(crate) cpu: Duration,
    pub(crate) memory_bytes: u64,
    pub(crate) memory_peak_bytes: u64,
    /// Processes killed because the memory limit was reached.
    pub(crate) oom_kills: u64,
    /// Processes and threads.
    pub(crate) processes: u64,
    pub(crate) processes_peak: u64,
    /// How often a process could not be made because of the limit.
    pub(crate) process_limit_hits: u64,
}

/// The files of a jar that are read again and again, open: opening one costs more than reading it.
#[derive(Debug, Default)]
pub(super) struct Gauges(Mutex<HashMap<&'static str, Option<File>>>);

impl Gauges {
    fn read(&self, directory: &Path, file: &'static str) -> io::Result<String> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let path = || directory.join(file);
        let gauge = open.entry(file).or_insert_with(|| File::open(path()).ok());
        let missing = || at(&path(), "read", &io::ErrorKind::NotFound.into());
        let gauge = gauge.as_ref().ok_or_else(missing)?;
        let mut text = [0; GAUGE_BYTES];
        let bytes = gauge.read_at(&mut text, 0).map_err(|error| at(&path(), "read", &error))?;
        Ok(String::from_utf8_lossy(text.get(..bytes).unwrap_or_default()).into_owned())
    }

    fn number(&self, directory: &Path, file: &'static str) -> io::Result<u64> {
        self.read(directory, file)?.trim().parse().map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{file} is not a number"))
        })
    }
}

impl Jar {
    pub(crate) fn counters(&self) -> io::Result<Counters> {
        let places = &self.groups.places;
        let (memory, pids) = (places.memory.directory.as_path(), places.pids.directory.as_path());
        let cpu = places.cpu.directory.as_path();
        let read = |directory, file| self.gauges.read(directory, file);
        let number = |directory, file| self.gauges.number(directory, file);
        let (cpu, current, peak, oom_kills) = if self.groups.v2 {
            let events = read(memory, "memory.events")?;
            let kills = |key| keyed(&events, key).unwrap_or(0);
            (
                Duration::from_micros(keyed(&read(cpu, "cpu.stat")?, "usage_usec")?),
                number(memory, "memory.current")?,
                number(memory, "memory.peak").ok(),
                kills("oom_kill").max(kills("oom_group_kill")),
            )
        } else {
            (
                Duration::from_nanos(number(cpu, "cpuacct.usage")?),
                number(memory, "memory.usage_in_bytes")?,
                Some(number(memory, "memory.max_usage_in_bytes")?),
                // memory.failcnt stays 0 through every kill.
                keyed(&read(memory, "memory.oom_control")?, "oom_kill")?,
            )
        };
        let all = number(pids, "pids.current")?;
        let most = highest(&self.processes_read, all).max(number(pids, "pids.peak").unwrap_or(0));
        Ok(Counters {
            cpu,
            memory_bytes: current,
            memory_peak_bytes: peak
                .unwrap_or_else(|| highest(&self.memory_read_bytes, current))
                .max(current),
            oom_kills,
            processes: all.saturating_sub(self.staff.count()),
            processes_peak: most.saturating_sub(self.staff.count()).max(1),
            process_limit_hits: match self.limit_hits.get() {
                Some(hits) => *hits,
                None => self.process_limit_hits()?,
            },
        })
    }

    pub(super) fn process_limit_hits(&self) -> io::Result<u64> {
        keyed(&self.gauges.read(&self.groups.places.pids.directory, "pids.events")?, "max")
    }
}

fn highest(so_far: &AtomicU64, value: u64) -> u64 {
    so_far.fetch_max(value, Ordering::Relaxed).max(value)
}

/// The value of `key` in lines of `key value`.
fn keyed(text: &str, key: &str) -> io::Result<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    value.and_then(|value| value.trim().parse().ok()).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("the kernel does not count {key}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_whole_name() {
        let events = "low 0\nhigh 0\nmax 14\noom 3\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(keyed(events, "oom").unwrap(), 3);
        assert_eq!(keyed(events, "oom_kill").unwrap(), 2);
        assert_eq!(keyed(events, "oom_group_kill").unwrap(), 1);
        assert_eq!(keyed("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n", "oom_kill").unwrap(), 7);
        assert!(keyed(events, "oom_kil").is_err());
        assert!(keyed("oom_kill many\n", "oom_kill").is_err());
        assert!(keyed("", "max").is_err());
    }
}
