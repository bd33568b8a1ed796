//! Making our own cgroup v2 group one below which jars can be limited.

use std::path::Path;
use std::{fs, io};

use super::place::Place;
use super::{at, read, write};

/// Our own leaf: since controllers may only be given to the children of a group without
/// processes (cgroups(7), "no internal processes"), the supervisor has to sit beside its jars.
const LEAF: &str = "belljar-supervisor";
const WANTED: [&str; 2] = ["memory", "pids"];

/// The group whose children are jars, with the controllers handed down to them.
pub(super) fn prepare(own: Place) -> io::Result<Place> {
    let is_leaf = own.directory.file_name().is_some_and(|name| name == LEAF);
    let base = if is_leaf { own.parent().unwrap_or(own) } else { own };
    let directory = base.directory.as_path();
    let offered = read(directory, "cgroup.controllers")?;
    if let Some(missing) = WANTED.iter().find(|name| !lists(&offered, name)) {
        let what = format!("the {missing} controller is not delegated to this process");
        return Err(at(directory, &what, &io::Error::from_raw_os_error(nix::libc::ENOENT)));
    }
    if !hands_down(directory)? {
        hand_down(directory)?;
    }
    Ok(base)
}

fn hand_down(directory: &Path) -> io::Result<()> {
    let enable = || write(directory, "cgroup.subtree_control", "+memory +pids");
    match enable() {
        Err(error) if super::errno(&error) == nix::libc::EBUSY => {
            let leaf = directory.join(LEAF);
            if let Err(error) = fs::create_dir(&leaf)
                && error.kind() != io::ErrorKind::AlreadyExists
            {
                return Err(at(&leaf, "create", &error));
            }
            write(&leaf, "cgroup.procs", "0")?;
            if let Err(error) = enable() {
                // Somebody else is in our group: it is not ours to divide, so leave no trace.
                write(directory, "cgroup.procs", "0")?;
                // Another supervisor may still sit in the leaf.
                drop(fs::remove_dir(&leaf));
                return Err(error);
            }
        }
        other => other?,
    }
    // A controller that another one excludes is dropped without an error.
    if hands_down(directory)? {
        Ok(())
    } else {
        Err(at(
            directory,
            "cgroup.subtree_control does not keep memory and pids",
            &io::Error::from_raw_os_error(nix::libc::EOPNOTSUPP),
        ))
    }
}

fn hands_down(directory: &Path) -> io::Result<bool> {
    let enabled = read(directory, "cgroup.subtree_control")?;
    Ok(WANTED.iter().all(|name| lists(&enabled, name)))
}

fn lists(controllers: &str, name: &str) -> bool {
    controllers.split_ascii_whitespace().any(|controller| controller == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_is_listed_by_its_whole_name() {
        assert!(lists("cpuset cpu io memory pids\n", "memory"));
        assert!(!lists("cpuset hugetlb_memory\n", "memory"));
        assert!(!lists("\n", "pids"));
    }
}
