//! What has to hold where cgroup v2 is all there is. Run inside a machine, as each caller.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use belljar::{Chunk, Floor, Limits, Outcome, Run, Sandbox, Start, State, Warm};
use belljar_tests::{Before, expect, limits, run, run_with, sandbox, stderr, stdout};

use crate::guest::Caller;

const MIB: u64 = 1024 * 1024;
/// The first Landlock ABI with scopes came with Linux 6.12.
const LINUX_WITH_SCOPES: (u32, u32) = (6, 12);
/// Dying takes its time where a processor is emulated.
const SOON: Duration = Duration::from_secs(10);

/// One sentence that has to be true.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) body: fn(Caller) -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

macro_rules! checks {
    ($($name:ident),* $(,)?) => {
        &[$(Check { name: stringify!($name), body: |caller| Box::pin($name(caller)) }),*]
    };
}

/// With a group of one's own.
pub(crate) const DELEGATED: &[Check] = checks![
    a_run_needs_nothing_but_belljar,
    the_receipt_says_what_this_kernel_gives,
    the_supervisor_sits_beside_its_jars,
    the_kernel_holds_the_limits_that_were_asked_for,
    memory_is_limited,
    running_out_of_memory_ends_the_whole_tree,
    processor_time_is_limited_for_the_whole_tree,
    processes_are_limited,
    time_is_limited,
    reaped_children_and_freed_memory_are_counted,
    a_refused_call_is_recorded,
    a_killed_run_leaves_nothing,
    what_waits_is_in_a_group_of_its_own,
    warm_runs_leave_nothing,
    many_runs_at_once_leave_nothing,
    what_a_killed_supervisor_left_is_swept_by_the_next,
];

/// Without.
pub(crate) const UNDELEGATED: &[Check] = checks![
    a_run_needs_nothing_but_belljar,
    a_missing_group_is_named_with_what_to_do,
    memory_is_limited,
    processor_time_is_limited_for_the_whole_tree,
    a_killed_run_leaves_nothing,
    warm_runs_leave_nothing,
];

async fn a_run_needs_nothing_but_belljar(_: Caller) {
    let outcome = run("js", "console.log(6 * 7)").await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "42\n");
}

async fn the_receipt_says_what_this_kernel_gives(caller: Caller) {
    let receipt = run("js", "").await.receipt;
    for row in &receipt.limits {
        let is_of_network = row.limit == "connections" || row.limit.starts_with("network_");
        let state = if is_of_network { State::NotApplicable } else { State::Enforced };
        assert_eq!(row.state, state, "{row:?}");
        if ["memory_bytes", "cpu_ms", "processes"].contains(&row.limit) {
            assert!(row.how.starts_with("cgroup v2"), "{row:?}");
        }
    }
    let lacks_scopes = release() < LINUX_WITH_SCOPES;
    for row in &receipt.layers {
        let is_weak = match row.layer.name() {
            "landlock" => lacks_scopes,
            "namespaces" => caller == Caller::Alone,
            _ => false,
        };
        let state = if is_weak { State::Degraded } else { State::Enforced };
        assert_eq!(row.state, state, "{row:?}");
    }
    assert_eq!(receipt.layers.len(), 7);
    let level = match caller {
        Caller::Root => Floor::L5,
        Caller::Lot => Floor::L4,
        Caller::Alone | Caller::Poor => Floor::L3,
    };
    assert_eq!(receipt.level, level);
}

async fn the_supervisor_sits_beside_its_jars(_: Caller) {
    expect(&run("js", "").await, "ok");
    let own = fs::read_to_string("/proc/self/cgroup").expect("our group");
    assert!(own.trim().ends_with(".service/belljar-supervisor"), "{own}");
}

async fn the_kernel_holds_the_limits_that_were_asked_for(_: Caller) {
    let asked = Limits { memory_bytes: 48 * MIB, processes: 9, ..limits() };
    let run = ready(asked, "echo ready; sleep 60").await;
    let jars = jars();
    let [jar] = jars.as_slice() else { panic!("{jars:?}") };
    let read = |file| fs::read_to_string(jar.join(file)).map(|text| text.trim().to_owned());
    assert_eq!(read("memory.max").ok(), Some((48 * MIB).to_string()));
    assert_eq!(read("memory.oom.group").ok().as_deref(), Some("1"));
    assert_eq!(read("pids.max").ok().as_deref(), Some("11"), "warden and init are two");
    assert!(read("memory.swap.max").is_ok_and(|bytes| bytes == "0"));
    eventually("warden, init, bash and sleep", || members(jar) == 4).await;
    expect(&run.kill().await.expect("an outcome"), "cancelled");
}

async fn what_waits_is_in_a_group_of_its_own(_: Caller) {
    let sandbox = sandbox("js").warm(Warm::default().min(2).max(2)).build().expect("a sandbox");
    let warmth = sandbox.warm_up().await.expect("a warm sandbox");
    assert_eq!((warmth.ready, &warmth.refused), (2, &None));
    let jars = jars();
    assert_eq!(jars.len(), 2, "{jars:?}");
    for jar in &jars {
        assert_eq!(members(jar), 2, "init, and what waits");
        let most = fs::read_to_string(jar.join("pids.max")).expect("a limit");
        assert_eq!(most.trim(), (limits().processes + 1).to_string(), "init is one");
    }
    sandbox.close().await;
}

async fn warm_runs_leave_nothing(_: Caller) {
    let before = Before::look();
    for (runtime, code, start) in
        [("js", "console.log(1)", Start::Primed), ("bash", "echo 1", Start::Jar)]
    {
        let sandbox = sandbox(runtime).warm(Warm::default()).build().expect("a sandbox");
        sandbox.warm_up().await.expect("a warm sandbox");
        for run in 0..5 {
            let outcome = sandbox.run(code).await.expect("an outcome");
            expect(&outcome, "ok");
            assert_eq!(stdout(&outcome), "1\n");
            // An emulated processor takes its time to make more of what is best.
            let is_late = run > 0 && outcome.start == Start::Jar;
            assert!(outcome.start == start || is_late, "{:?}", outcome.start);
        }
        sandbox.close().await;
    }
    let left = before.left(SOON).await;
    assert!(left.is_empty(), "left behind:\n  {}", left.join("\n  "));
}

async fn memory_is_limited(caller: Caller) {
    let small = Limits { memory_bytes: 48 * MIB, ..limits() };
    let outcome = run_with("bash", small, "tail /dev/zero").await;
    if caller == Caller::Poor {
        // Each process has its own limit there, and is told.
        let refused = stderr(&outcome).contains("memory exhausted");
        assert!(refused || outcome.verdict.status() == "memory", "{outcome:?}");
        return;
    }
    expect(&outcome, "memory");
    let peak = outcome.usage.memory_peak_bytes;
    assert!((40 * MIB..=48 * MIB).contains(&peak), "{peak}");
}

async fn running_out_of_memory_ends_the_whole_tree(_: Caller) {
    let small = Limits { memory_bytes: 48 * MIB, ..limits() };
    let outcome = run_with("bash", small, "tail /dev/zero & sleep 15; echo survived").await;
    expect(&outcome, "memory");
    assert_eq!(stdout(&outcome), "");
    assert!(outcome.usage.wall < Duration::from_secs(12), "{:?}", outcome.usage);
}

async fn processor_time_is_limited_for_the_whole_tree(_: Caller) {
    let short = Limits { cpu: Duration::from_secs(1), ..limits() };
    let outcome =
        run_with("bash", short, "for i in 1 2 3; do (while :; do :; done) & done; wait").await;
    expect(&outcome, "cpu_time");
    let cpu = outcome.usage.cpu;
    assert!(cpu >= Duration::from_secs(1) && cpu < Duration::from_secs(6), "{cpu:?}");
}

async fn processes_are_limited(_: Caller) {
    let few = Limits { processes: 12, ..limits() };
    let sandbox = sandbox("bash").limits(few).build().expect("a sandbox");
    let mut run = sandbox.start("for i in {1..40}; do sleep 60 & done; wait").await.expect("a run");
    let mut said = Vec::new();
    // It tries again after a second, and would do so for a long time.
    while !String::from_utf8_lossy(&said).contains("Resource temporarily unavailable") {
        match run.output().await {
            Some(Chunk::Stderr(bytes)) => said.extend(bytes),
            Some(_) => {}
            None => panic!("no refusal, but {}", String::from_utf8_lossy(&said)),
        }
    }
    let outcome = run.kill().await.expect("an outcome");
    expect(&outcome, "cancelled");
    let peak = outcome.usage.processes_peak;
    assert!((11..=12).contains(&peak), "{peak}");
}

async fn time_is_limited(_: Caller) {
    let short = Limits { wall: Duration::from_secs(1), ..limits() };
    let outcome = run_with("bash", short, "sleep 60").await;
    expect(&outcome, "wall_time");
    assert!(outcome.usage.wall < Duration::from_secs(1) + SOON, "{:?}", outcome.usage);
}

async fn reaped_children_and_freed_memory_are_counted(_: Caller) {
    let code = "bash -c 'while ((SECONDS < 2)); do :; done'\n\
                bash -c 'printf -v big %33554432s; : ${#big}'\necho done";
    let outcome = run("bash", code).await;
    expect(&outcome, "ok");
    let usage = outcome.usage;
    assert!(usage.cpu >= Duration::from_millis(500), "{usage:?}");
    assert!((32 * MIB..160 * MIB).contains(&usage.memory_peak_bytes), "{usage:?}");
    assert!((2..=4).contains(&usage.processes_peak), "{usage:?}");
}

async fn a_refused_call_is_recorded(_: Caller) {
    let outcome = run("bash", "exec 3<>/dev/tcp/127.0.0.1/1; echo $?").await;
    assert!(outcome.denials.iter().any(|denial| denial.what.contains("socket")), "{outcome:?}");
}

async fn a_killed_run_leaves_nothing(_: Caller) {
    drop(run("bash", "").await);
    let before = Before::look();
    let code = "setsid sleep 60 & (trap '' TERM INT; sleep 60) & echo ready; sleep 60";
    let run = ready(limits(), code).await;
    let asked = Instant::now();
    let outcome = run.kill().await.expect("an outcome");
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    expect(&outcome, "cancelled");
    nothing_left(before).await;
}

async fn many_runs_at_once_leave_nothing(_: Caller) {
    let before = Before::look();
    let runs: Vec<_> = (0..6)
        .map(|number| tokio::spawn(async move { run("bash", format!("echo {number}")).await }))
        .collect();
    for (number, run) in runs.into_iter().enumerate() {
        let outcome: Outcome = run.await.expect("a run");
        assert_eq!(stdout(&outcome), format!("{number}\n"));
    }
    nothing_left(before).await;
    assert_eq!(jars(), Vec::<PathBuf>::new());
}

async fn what_a_killed_supervisor_left_is_swept_by_the_next(_: Caller) {
    let mut orphanmaker = itself("orphanmaker").spawn().expect("a supervisor");
    eventually("a run of the other supervisor", || jars().iter().any(|jar| members(jar) == 4))
        .await;
    let stale = jars();
    orphanmaker.kill().expect("to kill it");
    orphanmaker.wait().expect("to reap it");
    eventually("the end of its run", || stale.iter().all(|jar| members(jar) == 0)).await;
    assert!(stale.iter().all(|jar| jar.exists()), "somebody else removed them");
    assert!(itself("successor").status().is_ok_and(|status| status.success()));
    assert_eq!(jars(), Vec::<PathBuf>::new());
}

async fn a_missing_group_is_named_with_what_to_do(_: Caller) {
    let receipt = run("js", "").await.receipt;
    assert_eq!(receipt.level, Floor::L3);
    let memory = receipt.limits.iter().find(|row| row.limit == "memory_bytes").expect("a row");
    assert_eq!(memory.state, State::Degraded);
    assert!(memory.how.contains("no cgroup"), "{memory:?}");
    let refused = Sandbox::builder("js").floor(Floor::L4).build().expect_err("out of reach");
    assert!(refused.to_string().contains("Delegate"), "{refused}");
}

/// A supervisor with a run that goes on until somebody kills it.
pub(crate) async fn make_orphan() {
    let run = ready(Limits::strict(), "echo ready; sleep 60").await;
    drop(run.wait().await);
}

/// The next supervisor: looking at the host is enough.
pub(crate) async fn succeed() {
    expect(&run("js", "").await, "ok");
}

async fn ready(limits: Limits, code: &str) -> Run {
    let sandbox = Sandbox::builder("bash").limits(limits).build().expect("a sandbox");
    let mut run = sandbox.start(code).await.expect("a run");
    match run.output().await {
        Some(Chunk::Stdout(bytes)) if bytes == b"ready\n" => run,
        other => panic!("{other:?} before it was ready"),
    }
}

async fn nothing_left(before: Before) {
    let left = before.left(SOON).await;
    assert!(left.is_empty(), "left behind: {left:?}");
}

async fn eventually(what: &str, is_true: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_true() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what} never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn itself(part: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(part).stdin(Stdio::null());
    command
}

/// The jars below our group, of whatever supervisor.
fn jars() -> Vec<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").expect("our group");
    let path = own.trim().trim_start_matches("0::").trim_end_matches("/belljar-supervisor");
    let entries = fs::read_dir(Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/')));
    let is_jar = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.is_dir() && name.starts_with("belljar-") && name != "belljar-supervisor"
    };
    entries
        .expect("its groups")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_jar)
        .collect()
}

fn members(jar: &Path) -> usize {
    fs::read_to_string(jar.join("cgroup.procs")).map_or(0, |text| text.lines().count())
}

fn release() -> (u32, u32) {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").expect("its version");
    let mut numbers = text.split('.').map_while(|part| part.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
