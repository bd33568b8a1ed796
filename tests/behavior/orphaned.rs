//! A supervisor can be killed like any process. Its runs die with it, and its successor sweeps up.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use belljar_tests::{Before, Test, built, expect, ready, sandbox, tests};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_killed_supervisor_takes_its_run_along(Bash, Alone),
        a_stopped_payload_dies_with_a_killed_supervisor(Bash, Alone),
        a_fork_bomb_dies_with_a_killed_supervisor(Bash, Alone),
        a_supervisor_that_is_killed_while_it_starts_a_run_leaves_nothing_alive(Bash, Alone),
        the_next_supervisor_sweeps_what_a_killed_one_left(Bash, Cgroup, Alone),
        a_sweep_ends_what_a_stopped_warden_let_live(Bash, Alone),
        a_sweep_ends_what_a_stopped_keeper_let_live(Bash, Alone),
        a_sweep_leaves_the_runs_of_the_living_alone(Bash, Alone),
    ]
}

/// A supervisor of its own process: it says `ready` when its payload has.
fn supervisor(code: &str) -> Child {
    supervisor_of(&[code])
}

fn supervisor_of(arguments: &[&str]) -> Child {
    let mut child = Command::new(built("belljar-test-supervisor"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "ready\n");
    child
}

/// Everything of a supervisor that was killed, and is neither its own child nor known to anyone.
async fn dies_with_it(code: &str) {
    let before = Before::look();
    let mut child = supervisor(code);
    child.kill().unwrap();
    child.wait().unwrap();
    before.unchanged().await;
}

async fn a_killed_supervisor_takes_its_run_along() {
    dies_with_it("sleep 30 & echo ready; sleep 30").await;
}

async fn a_stopped_payload_dies_with_a_killed_supervisor() {
    dies_with_it("sleep 30 & kill -STOP $!; echo ready; kill -STOP $$").await;
}

async fn a_fork_bomb_dies_with_a_killed_supervisor() {
    dies_with_it("echo ready; bomb() { bomb | bomb & }; while :; do bomb; done 2>/dev/null").await;
}

async fn a_supervisor_that_is_killed_while_it_starts_a_run_leaves_nothing_alive() {
    let before = Before::look();
    for millis in [5, 10, 15, 20, 30, 40] {
        let mut child = Command::new(built("belljar-test-supervisor"))
            .arg("sleep 30")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(millis)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    before.unchanged().await;
}

/// Workers that are stopped hear nothing: what is in their jars goes on without a supervisor.
async fn swept(arguments: &[&str]) {
    let before = Before::look();
    let mut child = supervisor_of(arguments);
    let workers = workers_below(child.id().cast_signed());
    assert!(workers.len() >= 2, "{workers:?}");
    for pid in &workers {
        kill(Pid::from_raw(*pid), Signal::SIGSTOP).unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let mut left = before.left(Duration::from_millis(100)).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    // Until a shell has become one it has the name of a shell.
    while !left.iter().any(|left| left.contains("sleep")) {
        assert!(Instant::now() < deadline, "it ended by itself: {left:?}");
        left = before.left(Duration::from_millis(10)).await;
    }
    belljar::sweep().await.unwrap();
    let left = before.left(Duration::ZERO).await;
    assert!(!left.iter().any(|left| left.starts_with("process")), "{left:?}");
    before.unchanged().await;
}

async fn a_sweep_ends_what_a_stopped_warden_let_live() {
    swept(&["sleep 30 & echo ready; sleep 30"]).await;
}

async fn a_sweep_ends_what_a_stopped_keeper_let_live() {
    swept(&["sleep 30 & echo ready; sleep 30", "warm"]).await;
}

async fn a_sweep_leaves_the_runs_of_the_living_alone() {
    for kind in ["cold", "warm"] {
        let mut child = supervisor_of(&["echo ready; sleep 30", kind]);
        let sandbox = sandbox("bash").build().unwrap();
        let run = ready(&sandbox, "echo ready; sleep 1").await;
        let workers = settled(child.id().cast_signed()).await;
        let started = Instant::now();
        belljar::sweep().await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        let still = workers_below(child.id().cast_signed());
        assert!(workers.iter().all(|pid| still.contains(pid)), "{workers:?} became {still:?}");
        assert_eq!(child.try_wait().unwrap(), None);
        expect(&run.wait().await.unwrap(), "ok");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// The wardens, keepers and inits of a supervisor.
fn workers_below(pid: i32) -> Vec<i32> {
    let names = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name());
    let pids = names.filter_map(|name| name.to_str()?.parse::<i32>().ok());
    let processes: Vec<(i32, i32, bool)> = pids
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let (name, rest) = stat.rsplit_once(") ")?;
            let (state, parent) = rest.split_once(' ')?;
            let parent = parent.split(' ').next()?.parse().ok()?;
            let is_worker = name.contains("(belljar-worker") && state != "Z";
            Some((pid, parent, is_worker))
        })
        .collect();
    let mut found = Vec::new();
    let mut waiting = vec![pid];
    while let Some(above) = waiting.pop() {
        for (pid, _, is_worker) in processes.iter().filter(|(_, parent, _)| *parent == above) {
            waiting.push(*pid);
            found.extend(is_worker.then_some(*pid));
        }
    }
    found.sort_unstable();
    found
}

/// Those that are there to stay: what raises a jar that is to wait comes and goes.
async fn settled(pid: i32) -> Vec<i32> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut workers = workers_below(pid);
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = workers_below(pid);
        if now == workers && now.len() >= 2 {
            return now;
        }
        assert!(Instant::now() < deadline, "{workers:?} became {now:?}");
        workers = now;
    }
}

fn groups_of(pid: u32) -> Vec<String> {
    let name = format!("belljar-{pid}-");
    let found = Command::new("find")
        .args(["/sys/fs/cgroup", "-type", "d", "-name", &format!("{name}*")])
        .stderr(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&found.stdout).lines().map(ToOwned::to_owned).collect()
}

async fn the_next_supervisor_sweeps_what_a_killed_one_left() {
    let mut child = supervisor("echo ready; sleep 30");
    let pid = child.id();
    assert!(!groups_of(pid).is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!groups_of(pid).is_empty(), "nobody is left to remove them");
    let mut next = Command::new(built("belljar-test-supervisor"))
        .arg("echo ready")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    next.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    next.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let is_last = Instant::now() >= deadline;
        let left = groups_of(pid);
        if left.is_empty() {
            break;
        }
        assert!(!is_last, "{left:?}");
    }
}
