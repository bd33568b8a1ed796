//! A supervisor can be killed like any process. Its runs die with it, and its successor sweeps up.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use belljar_tests::{Before, Test, built, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_killed_supervisor_takes_its_run_along(Bash, Alone),
        a_stopped_payload_dies_with_a_killed_supervisor(Bash, Alone),
        a_fork_bomb_dies_with_a_killed_supervisor(Bash, Alone),
        a_supervisor_that_is_killed_while_it_starts_a_run_leaves_nothing_alive(Bash, Alone),
        the_next_supervisor_sweeps_what_a_killed_one_left(Bash, Cgroup, Alone),
    ]
}

/// A supervisor of its own process: it says `ready` when its payload has.
fn supervisor(code: &str) -> Child {
    let mut child = Command::new(built("belljar-test-supervisor"))
        .arg(code)
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
    let deadline = Instant::now() + Duration::from_millis(500);
    while !groups_of(pid).is_empty() {
        assert!(Instant::now() < deadline, "{:?}", groups_of(pid));
    }
}
