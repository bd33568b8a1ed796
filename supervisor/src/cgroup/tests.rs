//! What the kernel really does. Where no hierarchy is ours to use, these say so and why.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use nix::unistd::Uid;

use super::files::LARGEST_PAGE_BYTES;
use super::*;
use crate::tree;

const MIB: u64 = 1024 * 1024;

/// The hierarchy of this host, unless it gives us none and says why and what to do.
fn hierarchy() -> Option<Hierarchy> {
    let found = Hierarchy::find();
    if let Hierarchy::None { why, errno, hint } = &found {
        assert!(*errno != 0 && !why.is_empty() && !hint.is_empty(), "{found:?}");
        assert!(!Uid::effective().is_root(), "root has no cgroup here: {why} ({hint})");
        let refused =
            Jar::create(&found, "run", &Limits::strict(), Staff::InitAndWarden).unwrap_err();
        assert_eq!(refused.to_string(), *why);
        assert!(found.limit_receipts().is_empty());
        return None;
    }
    assert_eq!(found.limit_receipts().len(), 3);
    Some(found)
}

fn start(jar: &Jar, script: &str) -> Child {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).stdin(Stdio::null()).stderr(Stdio::null());
    jar.spawn(|| shell.spawn(), |child| Some(child.id().cast_signed())).unwrap()
}

fn eventually(mut is_true: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_true() {
        assert!(started.elapsed() < Duration::from_secs(10), "it never happened");
        thread::sleep(Duration::from_millis(2));
    }
}

fn cgroup_of(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap()
}

fn directories(jar: &Jar) -> Vec<PathBuf> {
    jar.groups.made.clone()
}

#[test]
fn a_child_is_born_in_its_jar_and_counted() {
    let Some(hierarchy) = hierarchy() else { return };
    let jar = Jar::create(&hierarchy, "count", &Limits::strict(), Staff::InitAndWarden).unwrap();
    let made = directories(&jar);
    let mut child = start(&jar, "sleep 60 & sleep 60 & while :; do :; done");
    assert!(jar.holds(&cgroup_of(child.id())));
    assert!(!jar.holds(&cgroup_of(process::id())));
    eventually(|| {
        let counters = jar.counters().unwrap();
        counters.cpu >= Duration::from_millis(30) && counters.processes == 1
    });
    let counters = jar.counters().unwrap();
    assert!(counters.memory_bytes > 0 && counters.memory_peak_bytes >= counters.memory_bytes);
    assert!(counters.memory_peak_bytes < 16 * MIB, "{counters:?}");
    assert_eq!((counters.oom_kills, counters.process_limit_hits), (0, 0));
    jar.kill().unwrap();
    assert!(jar.is_empty());
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert!(jar.counters().unwrap().cpu >= counters.cpu);
    jar.remove().unwrap();
    assert!(made.iter().all(|directory| !directory.exists()));
}

#[test]
fn a_thread_comes_home_from_its_visit_and_survives_a_jar_too_small_for_anything() {
    let Some(hierarchy) = hierarchy() else { return };
    let own_cgroup = || fs::read_to_string("/proc/thread-self/cgroup").unwrap();
    let home = own_cgroup();
    let tiny = Limits { memory_bytes: 4096, ..Limits::strict() };
    let jar = Jar::create(&hierarchy, "tiny", &tiny, Staff::InitAndWarden).unwrap();
    let mut sleep = Command::new("sleep");
    if let Ok(mut child) =
        jar.spawn(|| sleep.arg("60").spawn(), |child| i32::try_from(child.id()).ok())
    {
        jar.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(own_cgroup(), home);
    let refused = jar.spawn(|| Err::<(), _>(io::ErrorKind::NotFound.into()), |()| None);
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(own_cgroup(), home);
    jar.remove().unwrap();
}

#[test]
fn a_child_can_be_added_later() {
    let Some(hierarchy) = hierarchy() else { return };
    let jar = Jar::create(&hierarchy, "add", &Limits::strict(), Staff::InitAndWarden).unwrap();
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    assert!(!jar.holds(&cgroup_of(child.id())));
    jar.add(child.id().cast_signed()).unwrap();
    assert!(jar.holds(&cgroup_of(child.id())));
    assert!(jar.add(0).is_err() && jar.add(-1).is_err());
    jar.kill().unwrap();
    child.wait().unwrap();
    jar.remove().unwrap();
}

#[test]
fn too_much_memory_is_an_oom_kill() {
    let Some(hierarchy) = hierarchy() else { return };
    let limits = Limits { memory_bytes: 16 * MIB, ..Limits::strict() };
    let jar = Jar::create(&hierarchy, "memory", &limits, Staff::InitAndWarden).unwrap();
    // Should the limit not hold, the one on address space ends it with an exit status.
    let mut child = start(&jar, "ulimit -v 400000; exec tail /dev/zero");
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    let counters = jar.counters().unwrap();
    assert!(counters.oom_kills >= 1, "{counters:?}");
    assert!(counters.memory_peak_bytes <= 16 * MIB, "{counters:?}");
    assert!(counters.memory_peak_bytes > 15 * MIB, "{counters:?}");
    jar.remove().unwrap();
}

#[test]
fn a_fork_bomb_is_counted_and_dies_at_once() {
    let Some(hierarchy) = hierarchy() else { return };
    let limits = Limits { processes: 30, ..Limits::strict() };
    let jar = Jar::create(&hierarchy, "bomb", &limits, Staff::InitAndWarden).unwrap();
    let mut child = start(&jar, "bomb() { bomb & bomb & sleep 0.01; bomb; }; bomb");
    eventually(|| jar.counters().unwrap().process_limit_hits > 20);
    let counters = jar.counters().unwrap();
    assert!((20..=30).contains(&counters.processes_peak), "{counters:?}");
    jar.kill().unwrap();
    assert!(jar.is_empty());
    let hits = jar.counters().unwrap().process_limit_hits;
    jar.kill().unwrap();
    assert_eq!(jar.counters().unwrap().process_limit_hits, hits);
    child.wait().unwrap();
    jar.remove().unwrap();
}

#[test]
fn a_v2_tree_without_the_controllers_is_refused_by_name() {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    // Where version 1 has the controllers, version 2 cannot have them as well.
    let (Some(_), Some(v2)) = (place::v1(&own, &mounts), place::v2(&own, &mounts)) else { return };
    let error = unified::prepare(v2).unwrap_err();
    assert!(error.to_string().contains("memory controller is not delegated"), "{error}");
    assert_eq!(errno(&error), nix::libc::ENOENT);
}

#[test]
fn a_limit_that_the_kernel_does_not_take_is_named() {
    let Some(hierarchy) = hierarchy() else { return };
    let jar = Jar::create(&hierarchy, "confirm", &Limits::strict(), Staff::InitAndWarden).unwrap();
    let pids = &jar.groups.places.pids.directory;
    assert!(confirm(pids, "pids.max", 66).is_ok());
    let error = confirm(pids, "pids.max", 67 + LARGEST_PAGE_BYTES).unwrap_err().to_string();
    assert!(error.contains("pids.max reads 66 after 65603 was written"), "{error}");
    assert!(confirm(pids, "pids.max", 65).is_err());
    assert!(Jar::create(&hierarchy, "confirm", &Limits::strict(), Staff::InitAndWarden).is_err());
    assert!(pids.exists(), "a second jar of the same name took the first one down");
    jar.remove().unwrap();
}

#[test]
fn a_dropped_jar_takes_its_processes_along() {
    let Some(hierarchy) = hierarchy() else { return };
    let jar = Jar::create(&hierarchy, "drop", &Limits::strict(), Staff::InitAndWarden).unwrap();
    let made = directories(&jar);
    let mut child = start(&jar, "sleep 60 & exec sleep 60");
    drop(jar);
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    eventually(|| made.iter().all(|directory| !directory.exists()));
}

#[test]
fn a_sweep_ends_what_a_dead_supervisor_left_and_nothing_else() {
    let Some(hierarchy) = hierarchy() else { return };
    let mut supervisor = Command::new("sleep").arg("60").spawn().unwrap();
    let owner = supervisor.id().cast_signed();
    let born = tree::born(owner).unwrap();
    let make = |name: &str| {
        let name = format!("belljar-{owner}-{born}-{name}");
        Jar::make(&hierarchy, &name, Staff::InitAndWarden).unwrap()
    };
    let (mut stale, elsewhere, mut half) = (make("stale"), make("elsewhere"), make("half"));
    half.locks.clear();
    half.groups.made.drain(1..).for_each(|directory| fs::remove_dir(directory).unwrap());
    let ours = Jar::create(&hierarchy, "living", &Limits::strict(), Staff::InitAndWarden).unwrap();
    let mut left = start(&stale, "sleep 60 & exec sleep 60");

    stale.locks.clear();
    sweep(&hierarchy);
    assert!(stale.groups.made.iter().all(|directory| directory.exists()), "its owner lives");
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    let gone = [stale.groups.made.clone(), half.groups.made.clone()].concat();
    let sweeping = thread::spawn(move || {
        // A process that another test starts in this moment holds the locks, too, until it executes.
        eventually(|| {
            sweep(&hierarchy);
            gone.iter().all(|directory| !directory.exists())
        });
    });
    assert_eq!(left.wait().unwrap().signal(), Some(9));
    sweeping.join().unwrap();
    // An owner in another pid namespace is not found by its id, but holds the locks.
    assert!(elsewhere.groups.made.iter().all(|directory| directory.exists()));
    assert!(ours.groups.made.iter().all(|directory| directory.exists()));
    elsewhere.remove().unwrap();
    ours.remove().unwrap();
}
