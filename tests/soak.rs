//! Many runs, eight at a time, a third of them hostile: nothing may grow.
//!
//! `BELLJAR_SOAK_RUNS` sets how many there are.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and says so")]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use belljar::{Limits, OnOutputLimit, Sandbox, Source, Warm};
use belljar_tests::{Before, Suite, limits, sandbox, tests};
use tokio::task::JoinSet;

const RUNS: usize = 1000;
const AT_ONCE: usize = 8;
/// What the allocator may keep of its busiest moment.
const GROWTH_KIB: u64 = 6 * 1024;

fn main() -> ExitCode {
    Suite::new("soak")
        .with(tests![
            a_thousand_runs_leave_nothing(Bash, Alone),
            a_thousand_warm_runs_leave_nothing(Bash, Python, Alone),
        ])
        .run()
}

/// One way to run, and how it may end.
struct Kind {
    sandbox: Sandbox,
    source: Source,
    statuses: &'static [&'static str],
}

fn kinds() -> Vec<Kind> {
    let kind = |runtime: &str, limits: Limits, source: Source, statuses| {
        let sandbox = sandbox(runtime).limits(limits).build().unwrap();
        Kind { sandbox, source, statuses }
    };
    let harmless = || kind("native", limits(), Source::program("/bin/true"), &["ok"][..]);
    let brief = || Limits { wall: Duration::from_millis(100), processes: 16, ..limits() };
    let bomb = "while :; do (while :; do :; done) & done 2>/dev/null";
    let hoard = "head -c 1G /dev/zero | tail";
    let small = Limits { memory_bytes: 24 << 20, ..limits() };
    let cut = Limits { on_output_limit: OnOutputLimit::Kill, stdout_bytes: 100_000, ..limits() };
    let hostile = [
        kind("bash", brief(), Source::code(bomb), &["wall_time"]),
        // Without a cgroup, a process may hear of it before the sampling does.
        kind("bash", small, Source::code(hoard), &["memory", "nonzero_exit"]),
        kind("bash", brief(), Source::code("while :; do :; done"), &["wall_time"]),
        kind("native", cut, Source::program("/usr/bin/yes"), &["output"]),
    ];
    hostile.into_iter().flat_map(|hostile| [harmless(), harmless(), hostile]).collect()
}

/// The same from what waits: forked, primed, and in empty jars.
fn warm_kinds() -> Vec<Kind> {
    let kind = |runtime: &str, limits: Limits, code: &str, statuses| {
        let sandbox = sandbox(runtime).limits(limits).warm(Warm::default()).build().unwrap();
        Kind { sandbox, source: Source::code(code), statuses }
    };
    let ok = &["ok"][..];
    let brief = || Limits { wall: Duration::from_millis(200), processes: 16, ..limits() };
    let small = Limits { memory_bytes: 48 << 20, ..limits() };
    let cut = Limits { on_output_limit: OnOutputLimit::Kill, stdout_bytes: 100_000, ..limits() };
    let python = || kind("python", limits(), "print(1)", ok);
    let bomb = "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass";
    let early = "import os\nif os.fork() == 0:\n  os.setsid()\n  while True: pass";
    let hostile = [
        kind("python", brief(), bomb, &["wall_time", "ok"]),
        kind("python", small, "a = bytearray(1 << 30)", &["memory", "nonzero_exit"]),
        kind("python", limits(), early, ok),
        kind("bash", brief(), "while :; do :; done", &["wall_time"]),
        kind("python", cut, "while True: print('y' * 4096)", &["output"]),
    ];
    let others = [
        kind("bash", limits(), ":", ok),
        kind("js", limits(), "console.log(1)", ok),
        python(),
        python(),
        python(),
    ];
    let harmless = hostile.into_iter().zip(others);
    harmless.flat_map(|(hostile, other)| [python(), other, hostile]).collect()
}

async fn runs(kinds: &Arc<Vec<Kind>>, count: usize) {
    let mut tasks = JoinSet::new();
    for number in 0..count {
        if tasks.len() >= AT_ONCE {
            tasks.join_next().await.unwrap().unwrap();
        }
        let kinds = Arc::clone(kinds);
        tasks.spawn(async move {
            let kind = kinds.iter().cycle().nth(number % kinds.len()).unwrap();
            let outcome = kind.sandbox.run(kind.source.clone()).await.unwrap();
            let status = outcome.verdict.status();
            assert!(kind.statuses.contains(&status), "{status} of {:?}: {outcome:?}", kind.source);
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn a_thousand_runs_leave_nothing() {
    let kinds = Arc::new(kinds());
    // Threads and buffers that all later runs share are there after these.
    runs(&kinds, 10 * AT_ONCE).await;
    let before = Before::look();
    grow_nothing(&kinds).await;
    before.unchanged().await;
}

async fn a_thousand_warm_runs_leave_nothing() {
    let before = Before::look();
    let kinds = Arc::new(warm_kinds());
    for kind in kinds.iter() {
        let warmth = kind.sandbox.warm_up().await.unwrap();
        assert_eq!(warmth.refused, None, "{:?}", kind.source);
    }
    runs(&kinds, 10 * AT_ONCE).await;
    grow_nothing(&kinds).await;
    for kind in kinds.iter() {
        kind.sandbox.close().await;
    }
    before.unchanged().await;
}

/// What settles after a while is the allocator's; what goes on rising is a leak.
async fn grow_nothing(kinds: &Arc<Vec<Kind>>) {
    let count = std::env::var("BELLJAR_SOAK_RUNS").map_or(RUNS, |count| count.parse().unwrap());
    let first = resident_kib();
    runs(kinds, count / 2).await;
    let half = resident_kib();
    runs(kinds, count / 2).await;
    let grown = [half.saturating_sub(first), resident_kib().saturating_sub(half)];
    let [settling, going_on] = grown;
    assert!(settling < 2 * GROWTH_KIB, "{grown:?} KiB in the halves of {count} runs");
    assert!(going_on < GROWTH_KIB, "{grown:?} KiB in the halves of {count} runs");
}
