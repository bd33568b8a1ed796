//! Names of jars, and the removal of those whose supervisor was killed.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;

use super::{Groups, Hierarchy, REMOVE_WITHIN};
use crate::tree;

const PREFIX: &str = "belljar-";

/// Kills and removes jars whose supervisor is dead; how many of them stay.
///
/// Dead is one whose process id is free or was given to a later process, and that does not hold
/// the locks of the jar: an owner in another pid namespace has another id there.
pub(crate) fn sweep(hierarchy: &Hierarchy) -> usize {
    let (Hierarchy::V1(delegated) | Hierarchy::V2(delegated)) = hierarchy else { return 0 };
    let directories = delegated.places.distinct();
    let names: BTreeSet<String> = directories
        .iter()
        .filter_map(|place| fs::read_dir(&place.directory).ok())
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_stale(name))
        .collect();
    let mut stays = 0;
    for name in names {
        if let Err(error) = clear(hierarchy, &name) {
            tracing::warn!(jar = name, %error, "a stale jar stays");
            stays += 1;
        }
    }
    stays
}

/// The name of what a run of this process has on the host: cgroups, a directory.
pub(crate) fn run_name(run_id: &str) -> io::Result<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if run_id.is_empty() || !run_id.bytes().all(is_plain) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a run id is letters and digits"));
    }
    let own = std::process::id().cast_signed();
    let born = tree::born(own).ok_or_else(|| io::Error::other("/proc does not show us"))?;
    Ok(format!("{PREFIX}{own}-{born}-{run_id}"))
}

/// Whether the name is one of a run whose supervisor is dead.
pub(crate) fn is_stale(name: &str) -> bool {
    owner(name).is_some_and(|(pid, born)| !lives(pid, born))
}

fn clear(hierarchy: &Hierarchy, name: &str) -> io::Result<()> {
    let mut groups = Groups::named(hierarchy, name)?;
    let directories = groups.places.distinct();
    groups.made = directories.into_iter().map(|place| place.directory.clone()).collect();
    let locks: Vec<File> =
        groups.made.iter().filter_map(|directory| File::open(directory).ok()).collect();
    if locks.iter().any(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock))) {
        return Ok(());
    }
    groups.kill()?;
    groups.remove(REMOVE_WITHIN)
}

/// Process id and time of birth of the supervisor that made the jar of this name.
fn owner(name: &str) -> Option<(i32, u64)> {
    let mut parts = name.strip_prefix(PREFIX)?.splitn(3, '-');
    let owner = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().map(|_| owner)
}

fn lives(pid: i32, born: u64) -> bool {
    tree::born(pid) == Some(born)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_living_owner() {
        let name = run_name("01JABC").unwrap();
        let (pid, born) = owner(&name).unwrap();
        assert_eq!(pid, std::process::id().cast_signed());
        assert!(lives(pid, born));
        assert!(!lives(pid, born + 1));
        for foreign in ["belljar-supervisor", "belljar-12", "belljar-12-a-b", "session-1-2-3", ""] {
            assert_eq!(owner(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_run_id_cannot_leave_the_parent() {
        for bad in ["", "..", "a/b", "../x", "a b", "a\n"] {
            assert!(run_name(bad).is_err(), "{bad:?}");
        }
    }
}
