use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What this process and its runs held at one time: processes, cgroups, mounts, files of theirs in
/// the directories for temporary files, and descriptors.
///
/// Only for tests that run [`Alone`](crate::Need::Alone): runs of another test are no leak.
#[derive(Debug)]
pub struct Before(BTreeSet<String>);

/// How long the kernel has to forget a dead jar where everybody wants the processors. What a test
/// leaves behind lives longer, and so does a worker that is waited for: those get ten seconds.
pub(crate) const GRACE: Duration = Duration::from_secs(8);
/// No account of a person has an id as high: only runs own files of such a one.
const FIRST_LENT_ID: u32 = 100_000;

impl Before {
    /// Looks.
    pub fn look() -> Self {
        // A process that loses its parent becomes our child instead of vanishing from sight.
        nix::sys::prctl::set_child_subreaper(true).expect("Linux 3.4");
        Self(held())
    }

    /// Fails if there stays more than before.
    pub async fn unchanged(self) {
        let left = self.left(GRACE).await;
        assert!(left.is_empty(), "left behind:\n  {}", left.join("\n  "));
    }

    /// What there is more than before, once `grace` is over.
    pub async fn left(&self, grace: Duration) -> Vec<String> {
        let deadline = Instant::now() + grace;
        loop {
            // A look takes a while; one that began too early says nothing of the end.
            let is_last = Instant::now() >= deadline;
            let left: Vec<String> = held().difference(&self.0).cloned().collect();
            if left.is_empty() || is_last {
                return left;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn held() -> BTreeSet<String> {
    let mut held = BTreeSet::new();
    held.extend(descendants().into_iter().map(|process| format!("process {process}")));
    cgroups(Path::new("/sys/fs/cgroup"), 8, &mut held);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    held.extend(mounts.lines().map(|mount| format!("mount {mount}")));
    for place in [std::env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/dev/shm")] {
        held.extend(temporary_files(&place));
    }
    held.extend(descriptors());
    held
}

/// Everything that descends from this process and is not a zombie.
fn descendants() -> Vec<String> {
    let processes: Vec<(i32, i32, String)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: i32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let (name, rest) = stat.rsplit_once(')')?;
            let mut fields = rest.split_ascii_whitespace();
            let (state, parent) = (fields.next()?, fields.next()?.parse().ok()?);
            (!matches!(state, "Z" | "X")).then(|| (pid, parent, format!("{name})")))
        })
        .collect();
    let mut ours = vec![std::process::id().cast_signed()];
    let mut names = Vec::new();
    while let Some(parent) = ours.pop() {
        for (pid, _, name) in processes.iter().filter(|process| process.1 == parent) {
            ours.push(*pid);
            names.push(name.clone());
        }
    }
    names
}

fn cgroups(directory: &Path, depth: u32, held: &mut BTreeSet<String>) {
    let ours = format!("belljar-{}-", std::process::id());
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name().to_string_lossy().starts_with(&ours) {
            held.insert(format!("cgroup {}", entry.path().display()));
        } else if depth > 0 {
            cgroups(&entry.path(), depth - 1, held);
        }
    }
}

fn temporary_files(place: &Path) -> Vec<String> {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let ours = std::process::id().to_string();
    let of_a_run = |entry: &fs::DirEntry| {
        let owner = entry.metadata().map_or(0, |metadata| metadata.uid());
        let name = entry.file_name().to_string_lossy().into_owned();
        owner >= FIRST_LENT_ID || name.contains("belljar") && name.contains(&ours)
    };
    entries.filter(of_a_run).map(|entry| format!("file {}", entry.path().display())).collect()
}

/// What is open, numbered by kind: descriptor numbers are used again, and names of pipes are not.
fn descriptors() -> Vec<String> {
    let mut kinds: Vec<String> = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .map(|target| {
            let target = target.to_string_lossy().into_owned();
            target.split_once(":[").map_or(target.clone(), |(kind, _)| kind.to_owned())
        })
        // The directories that looking itself holds open.
        .filter(|target| !target.starts_with("/proc/") && !target.starts_with("/sys/fs/cgroup"))
        .collect();
    kinds.sort();
    let mut numbered = Vec::with_capacity(kinds.len());
    for (index, kind) in kinds.iter().enumerate() {
        let nth = kinds.get(..index).unwrap_or_default().iter().filter(|k| *k == kind).count();
        numbered.push(format!("descriptor {kind} {nth}"));
    }
    numbered
}
