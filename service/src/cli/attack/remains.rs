//! What runs could have left behind: processes, groups, mounts, descriptors.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process;

const GROUPS: &str = "/sys/fs/cgroup";
/// Of the search for groups.
const MOST_DEPTH: usize = 12;

/// One line for each thing that is there.
#[derive(Debug)]
pub(super) struct Remains {
    things: BTreeSet<String>,
    descriptors: usize,
}

impl Remains {
    pub(super) fn find() -> Self {
        let mut things = BTreeSet::new();
        processes(&mut things);
        groups(Path::new(GROUPS), MOST_DEPTH, &mut things);
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        // The fifth field is where it is mounted (proc(5)).
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
        things.extend(points.map(|point| format!("mount {point}")));
        let descriptors = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Self { things, descriptors }
    }

    /// What is here and was not there before.
    pub(super) fn beyond(&self, before: &Self) -> Vec<String> {
        let mut lines: Vec<_> = self.things.difference(&before.things).cloned().collect();
        if self.descriptors > before.descriptors {
            lines.push(format!("{} descriptors", self.descriptors - before.descriptors));
        }
        lines
    }
}

/// Our children, and whoever else is in a group of ours.
fn processes(things: &mut BTreeSet<String>) {
    let own = process::id().to_string();
    let in_our_group = format!("/belljar-{own}-");
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in entries {
        let pid = entry.file_name().to_string_lossy().into_owned();
        if !pid.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let read = |name: &str| fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        let status = read("status");
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).map(str::trim);
        if parent == Some(own.as_str()) || read("cgroup").contains(&in_our_group) {
            things.insert(format!("process {pid}"));
        }
    }
}

/// Groups of this process, whose names are `belljar-`, its id, and more.
fn groups(directory: &Path, depth: usize, things: &mut BTreeSet<String>) {
    let prefix = format!("belljar-{}-", process::id());
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && depth > 0 {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                things.insert(format!("cgroup {}", entry.path().display()));
            }
            groups(&entry.path(), depth - 1, things);
        }
    }
}
