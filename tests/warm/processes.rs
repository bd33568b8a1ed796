//! What runs on the host below this process.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    /// Its name and its command line.
    pub(crate) title: String,
    /// In how many pid namespaces it has a number.
    levels: usize,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).ok();
        let status = String::from_utf8_lossy(&read("status")?).into_owned();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        if field("State:")?.trim_start().starts_with(['Z', 'X']) {
            return None;
        }
        let words = read("cmdline")?
            .split(|byte| *byte == 0)
            .map(String::from_utf8_lossy)
            .fold(field("Name:")?.trim().to_owned(), |title, word| title + " " + &word);
        let parent = field("PPid:")?.trim().parse().ok()?;
        let levels = field("NSpid:")?.split_whitespace().count();
        Some(Self { pid, parent, title: words, levels })
    }

    /// Kills it, and nothing else.
    pub(crate) fn kill(&self) {
        kill(Pid::from_raw(self.pid), Signal::SIGKILL).unwrap();
    }

    /// Returns when it is dead. With the first process of a jar, or of a keeper, so is all below it.
    pub(crate) async fn gone(&self) {
        let until = Instant::now() + PATIENCE;
        while Self::read(self.pid).is_some() {
            assert!(Instant::now() < until, "it lives on: {self:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Death takes as long as the machine is busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything below this process.
pub(crate) fn descendants() -> Vec<Process> {
    let names = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name());
    let pids = names.filter_map(|name| name.to_str()?.parse().ok());
    let mut others: Vec<Process> = pids.filter_map(Process::read).collect();
    let mut ours = vec![std::process::id().cast_signed()];
    let mut found = Vec::new();
    while let Some(parent) = ours.pop() {
        let (children, rest) = others.into_iter().partition(|process| process.parent == parent);
        others = rest;
        let children: Vec<Process> = children;
        ours.extend(children.iter().map(|child| child.pid));
        found.extend(children);
    }
    found
}

/// The template that has imported `module`: what it forked into a jar has a number there, too.
pub(crate) fn template(module: &str) -> Process {
    let is_it = |process: &Process| {
        process.levels == 2
            && process.title.contains("template.py")
            && process.title.split(' ').any(|word| word == module)
    };
    descendants().into_iter().find(is_it).expect("a template")
}

/// The keeper of a template, or the first process of the jar of what waits.
pub(crate) fn parent_of(child: &Process) -> Process {
    Process::read(child.parent).expect("a parent")
}

/// Fails unless nothing with `mark` in its title is left in a moment.
pub(crate) async fn none_is_called(mark: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut left = descendants();
        left.retain(|process| process.title.contains(mark));
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "left behind: {left:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
