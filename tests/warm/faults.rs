//! What goes wrong with a template, a keeper or an interpreter costs time, and no run.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use belljar::{Error, Outcome, Sandbox, Start, Template, Warm, Warmth};
use belljar_tests::{Before, Test, expect, limits, sandbox, stdout, tests};
use tokio::task::JoinHandle;

use crate::kinds::{FORKED, JAR, PRIMED, described, few, python_with, warm};
use crate::processes::{self, Process};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        closing_leaves_nothing(Python, Node, Bash, Alone),
        closing_waits_for_a_jar_of_an_earlier_template(Python),
        dropping_a_sandbox_leaves_nothing(Python, Bash, Alone),
        a_sandbox_that_is_dropped_at_any_moment_leaves_nothing(Bash, Alone),
        a_dropped_run_leaves_nothing(Python, Alone),
        a_preload_that_is_not_there_is_refused(Python),
        a_preload_that_raises_is_refused(Python),
        a_preload_that_exits_is_refused(Python),
        a_preload_that_eats_memory_is_refused(Python),
        a_preload_that_hangs_delays_nobody(Python),
        a_preload_that_prints_is_not_heard(Python),
        a_killed_template_fails_no_run(Python),
        a_killed_keeper_fails_no_run(Python),
        a_killed_process_above_the_keeper_fails_no_run(Python),
        a_killed_jar_that_waits_fails_no_run(Node),
        a_closed_sandbox_still_runs(Bash),
    ]
}

/// Overwrites a program as a package manager does.
pub(crate) fn install(path: &Path, bytes: &[u8]) {
    let (written, aside) = (path.with_extension("bytes"), path.with_extension("new"));
    fs::write(&written, bytes).unwrap();
    // Copied by a process that is gone before anybody starts the copy: a file that is open for
    // writing somewhere cannot be executed.
    assert!(Command::new("cp").args([&written, &aside]).status().unwrap().success());
    fs::set_permissions(&aside, Permissions::from_mode(0o755)).unwrap();
    fs::rename(aside, path).unwrap();
}

/// The bytes with every `from` replaced by `to`, which is as long; nothing if there is none.
pub(crate) fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
    let mut changed = bytes.to_vec();
    let places: Vec<_> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, part)| *part == from)
        .map(|(at, _)| at)
        .collect();
    for at in &places {
        changed[*at..at + to.len()].copy_from_slice(to);
    }
    (!places.is_empty()).then_some(changed)
}

/// Runs code until there was a generation of this number.
pub(crate) async fn await_generation(sandbox: &Sandbox, number: u64, code: &str) {
    let until = Instant::now() + Duration::from_secs(20);
    while sandbox.warmth().unwrap().generation < number {
        assert!(Instant::now() < until, "{:?}", sandbox.warmth());
        expect(&sandbox.run(code).await.unwrap(), "ok");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

type Begun = (Instant, Result<Outcome, Error>);

fn preloading(text: &str) -> Sandbox {
    let template = Template::default().preload(["premade"]);
    let warm = Warm::default().min(2).max(4).template(template);
    Sandbox::builder(python_with("premade", text)).limits(limits()).warm(warm).build().unwrap()
}

/// A module with this text makes a template refused, for this reason, and fails no run.
pub(crate) async fn refused(text: &str, why: &str) {
    let sandbox = preloading(text);
    // Nobody waits for it.
    let outcome = sandbox.run("print(1)").await.unwrap();
    expect(&outcome, "ok");
    let warmth = sandbox.warm_up().await.unwrap();
    assert!(warmth.refused.as_ref().is_some_and(|refused| refused.contains(why)), "{warmth:?}");
    for _ in 0..3 {
        let outcome = sandbox.run("print(1)").await.unwrap();
        expect(&outcome, "ok");
        assert_eq!(stdout(&outcome), "1\n");
        assert!([Start::Jar, Start::Cold].contains(&outcome.start), "{:?}", outcome.start);
        sandbox.warm_up().await.unwrap();
    }
    sandbox.close().await;
}

async fn a_preload_that_is_not_there_is_refused() {
    refused("import no_such_module", "cannot import premade: No module named 'no_such_module'")
        .await;
}

async fn a_preload_that_raises_is_refused() {
    refused("raise ValueError('of its own')", "of its own").await;
}

async fn a_preload_that_exits_is_refused() {
    refused("import os; os._exit(0)", "template").await;
}

async fn a_preload_that_eats_memory_is_refused() {
    refused(
        "held = []\nwhile len(held) < 3000: held.append(bytearray(b'x') * (1 << 20))",
        "template",
    )
    .await;
}

async fn a_preload_that_hangs_delays_nobody() {
    let sandbox = preloading("import time; time.sleep(600)");
    let started = Instant::now();
    expect(&sandbox.run("print(1)").await.unwrap(), "ok");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let warmth = sandbox.warm_up().await.unwrap();
    assert!(warmth.refused.is_some_and(|why| why.contains("not ready within")));
    let outcome = sandbox.run("print(1)").await.unwrap();
    assert_eq!(stdout(&outcome), "1\n");
    assert!([Start::Jar, Start::Cold].contains(&outcome.start), "{:?}", outcome.start);
    sandbox.close().await;
}

async fn a_preload_that_prints_is_not_heard() {
    let sandbox = preloading(
        "import os, sys; print('noise'); sys.stdout.flush(); os.write(2, b'noise'); print('buffered', end='')",
    );
    for _ in 0..3 {
        let outcome = FORKED.run(&sandbox, "print(1)").await;
        assert_eq!((stdout(&outcome).as_str(), outcome.stderr.bytes.len()), ("1\n", 0));
    }
    sandbox.close().await;
}

/// Starts a run every now and then; when each was, and what came of it.
fn one_after_the_other(sandbox: &Sandbox, runs: u64) -> Vec<JoinHandle<Begun>> {
    let start = |number| {
        let sandbox = sandbox.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(number * 25)).await;
            let started = Instant::now();
            let code = "import time; time.sleep(0.1); print(6 * 7)";
            (started, sandbox.run(code).await)
        })
    };
    (0..runs).map(start).collect()
}

/// Runs go on while `victim` is killed. None of them fails that is not in a jar which goes with
/// it; later ones are forked again.
async fn outlived(module: &'static str, takes_jars: bool, victim: fn(Process) -> Process) {
    let template = Template::default().preload([module]);
    let builder = sandbox("python").warm(few().template(template));
    let sandbox = builder.build().unwrap();
    sandbox.warm_up().await.unwrap();
    let mut runs = one_after_the_other(&sandbox, 16);
    tokio::time::sleep(Duration::from_millis(210)).await;
    let template = processes::template(module);
    let keeper = processes::parent_of(&template);
    victim(template).kill();
    if takes_jars {
        keeper.gone().await;
    }
    let gone = Instant::now();
    runs.extend(one_after_the_other(&sandbox, 8));
    let mut failed = Vec::new();
    for run in runs {
        match run.await.unwrap() {
            (_, Ok(outcome)) if stdout(&outcome) == "42\n" => {}
            (started, Ok(outcome)) if takes_jars && started < gone => {
                expect(&outcome, "signalled");
            }
            other => failed.push(format!("{other:?}").chars().take(300).collect::<String>()),
        }
    }
    let again = async {
        while sandbox.run("print(1)").await.unwrap().start != Start::Forked {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let again = tokio::time::timeout(Duration::from_mins(1), again).await;
    let warmth = sandbox.warmth();
    sandbox.close().await;
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
    assert!(again.is_ok(), "never forked again: {warmth:?}");
}

async fn a_killed_template_fails_no_run() {
    outlived("colorsys", false, |template| template).await;
}

async fn a_killed_keeper_fails_no_run() {
    outlived("filecmp", true, |template| processes::parent_of(&template)).await;
}

async fn a_killed_process_above_the_keeper_fails_no_run() {
    outlived("netrc", true, |template| processes::parent_of(&processes::parent_of(&template)))
        .await;
}

async fn a_killed_jar_that_waits_fails_no_run() {
    for deaths in [1, 2] {
        // Nodes of other tests, and of runs that are over, are none of this one's.
        let mark = format!("bj-waits-{deaths}");
        let marked = [("/run/belljar/node/prime.cjs\",\n", format!("\"{mark}\","))];
        let node = Sandbox::builder(described("node", &marked)).limits(limits());
        let sandbox = node.warm(Warm::default().min(2).max(2)).build().unwrap();
        sandbox.warm_up().await.unwrap();
        let mut waiting = processes::descendants();
        waiting.retain(|process| process.title.contains(&mark));
        assert_eq!(waiting.len(), 2, "{waiting:?}");
        for process in &waiting[..deaths] {
            let jar = processes::parent_of(process);
            process.kill();
            jar.gone().await;
        }
        let outcome = sandbox.run("console.log(1)").await.unwrap();
        expect(&outcome, "ok");
        sandbox.close().await;
    }
}

async fn a_closed_sandbox_still_runs() {
    let sandbox = warm("bash");
    JAR.run(&sandbox, "echo 1").await;
    sandbox.close().await;
    let outcome = sandbox.run("echo 1").await.unwrap();
    assert_eq!((stdout(&outcome).as_str(), outcome.start), ("1\n", Start::Cold));
    assert_eq!(sandbox.warmth().map(|warmth: Warmth| warmth.ready), Some(0));
}

async fn closing_leaves_nothing() {
    for (kind, code) in
        [(JAR, "sleep 60 & echo 1"), (FORKED, "print(1)"), (PRIMED, "console.log(1)")]
    {
        // Finding an interpreter opens what stays open.
        let sandbox = warm(kind.runtime);
        let before = Before::look();
        kind.run(&sandbox, code).await;
        let late = sandbox.run(code);
        let (late, ()) = tokio::join!(late, sandbox.close());
        expect(&late.unwrap(), "ok");
        before.unchanged().await;
    }
}

async fn closing_waits_for_a_jar_of_an_earlier_template() {
    const LENGTH: Duration = Duration::from_secs(3);
    let template = Template::default().runs(1);
    let sandbox = sandbox("python").warm(few().template(template)).build().unwrap();
    sandbox.warm_up().await.unwrap();
    let began = Instant::now();
    let code = format!("import time; time.sleep({})", LENGTH.as_secs());
    let run = sandbox.start(code).await.unwrap();
    await_generation(&sandbox, 2, "1").await;
    sandbox.close().await;
    assert!(began.elapsed() >= LENGTH, "it is left behind after {:?}", began.elapsed());
    let outcome = run.wait().await.unwrap();
    assert_eq!(outcome.start, Start::Forked);
    expect(&outcome, "ok");
}

async fn dropping_a_sandbox_leaves_nothing() {
    for (kind, code) in [(JAR, "echo 1"), (FORKED, "print(1)")] {
        let sandbox = warm(kind.runtime);
        let before = Before::look();
        kind.run(&sandbox, code).await;
        drop(sandbox);
        before.unchanged().await;
    }
}

async fn a_sandbox_that_is_dropped_at_any_moment_leaves_nothing() {
    // Finding an interpreter opens what stays open.
    drop(warm("bash"));
    let before = Before::look();
    for micros in (0..60_000).step_by(1500) {
        let sandbox = warm("bash");
        let up = tokio::time::timeout(Duration::from_micros(micros), sandbox.warm_up()).await;
        if up.is_ok() {
            // Another is raised for the one that this takes.
            expect(&sandbox.run("echo 1").await.unwrap(), "ok");
        }
        drop(sandbox);
    }
    before.unchanged().await;
}

async fn a_dropped_run_leaves_nothing() {
    let sandbox = warm("python");
    let code = "import ctypes, os, time\nctypes.CDLL(None).prctl(15, b'bj-dropped', 0, 0, 0)\nos.fork()\ntime.sleep(60)";
    for micros in [0, 100, 500, 1000, 2000, 4000, 8000, 16_000, 50_000, 200_000] {
        sandbox.warm_up().await.unwrap();
        let run = tokio::time::timeout(Duration::from_micros(micros), sandbox.run(code)).await;
        assert!(run.is_err(), "{run:?}");
    }
    processes::none_is_called("bj-dropped").await;
    expect(&FORKED.run(&sandbox, "print(1)").await, "ok");
    assert_eq!(sandbox.warmth().unwrap().generation, 1);
    sandbox.close().await;
}
