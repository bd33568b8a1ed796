//! The processes below this one, as proc(5) shows them.

use std::fs;

/// Everything that descends from this process.
pub fn descendants() -> Vec<i32> {
    let mut found = Vec::new();
    let mut parents = vec![std::process::id().cast_signed()];
    while let Some(parent) = parents.pop() {
        let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
            let children: Vec<i32> = children.collect();
            found.extend(&children);
            parents.extend(children);
        }
    }
    found
}

/// What a process alone holds of memory that belongs to no file.
pub fn anonymous_bytes(pid: i32) -> Option<u64> {
    field(pid, "Anonymous:")
}

/// What it wrote to since it was forked.
pub fn private_dirty_bytes(pid: i32) -> Option<u64> {
    field(pid, "Private_Dirty:")
}

fn field(pid: i32, name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}
