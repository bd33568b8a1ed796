//! What defaults depend on.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::thread;

use nix::unistd::geteuid;

const RUNS_PER_CORE: usize = 4;
const MOST_RUNS: usize = 64;
/// One run with the usual limits fits, however small the host is.
const LEAST_BYTES: u64 = 256 << 20;
/// For hosts that do not tell.
const UNKNOWN_BYTES: u64 = 2 << 30;

pub(super) fn runs_at_once() -> u32 {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    u32::try_from((cores * RUNS_PER_CORE).min(MOST_RUNS)).unwrap_or(1)
}

/// Half of the memory, in whole MiB.
pub(super) fn memory_budget_bytes() -> u64 {
    let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_bytes(&text));
    let half = memory.unwrap_or(UNKNOWN_BYTES) / 2;
    (half >> 20 << 20).max(LEAST_BYTES)
}

/// Where what outlives a service is.
pub(super) fn state_directory(variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let own = variable("XDG_STATE_HOME").and_then(absolute);
    let home = || {
        let home = variable("HOME").and_then(absolute).filter(|_| !geteuid().is_root());
        home.map(|home| home.join(".local/state"))
    };
    own.or_else(home).unwrap_or_else(|| PathBuf::from("/var/lib")).join("belljar")
}

/// Where a file is looked for unless somebody says which, the first one that is there.
pub(super) fn usual_files(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let own = variable("XDG_CONFIG_HOME").and_then(absolute);
    let home = || variable("HOME").and_then(absolute).map(|home| home.join(".config"));
    let own = own.or_else(home).map(|directory| directory.join("belljar/config.toml"));
    own.into_iter().chain([PathBuf::from("/etc/belljar/config.toml")]).collect()
}

fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_the_kernel_says() {
        let text = "MemTotal:        8048572 kB\nMemFree:          123 kB\n";
        assert_eq!(total_bytes(text), Some(8_048_572 * 1024));
        assert_eq!(total_bytes("MemFree: 1 kB\n"), None);
        assert!(memory_budget_bytes() >= LEAST_BYTES);
        assert!((4..=64).contains(&runs_at_once()));
    }

    #[test]
    fn relative_directories_are_no_directories() {
        let variable = |name: &str| match name {
            "XDG_CONFIG_HOME" => Some(OsString::from("here")),
            "HOME" => Some(OsString::from("/home/me")),
            "XDG_STATE_HOME" => Some(OsString::from("/state")),
            _ => None,
        };
        let files = usual_files(variable);
        assert_eq!(files[0], PathBuf::from("/home/me/.config/belljar/config.toml"));
        assert_eq!(usual_files(|_| None), [PathBuf::from("/etc/belljar/config.toml")]);
        assert_eq!(state_directory(variable), PathBuf::from("/state/belljar"));
        assert_eq!(state_directory(|_| None), PathBuf::from("/var/lib/belljar"));
    }
}
