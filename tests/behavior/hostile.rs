//! A worker is believed in nothing: one that lies, babbles or stays silent ends its run with an
//! error, costs no memory, and leaves nothing.

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use belljar::{Error, Fault, Limits, Outcome, Sandbox, Source};
use belljar_tests::{Before, Test, built, expect, limits, scratch, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_worker_that_sends_garbage_ends_its_run(Alone),
        a_worker_that_sends_too_much_ends_its_run(Alone),
        a_worker_of_another_version_ends_its_run(Alone),
        a_worker_that_speaks_out_of_turn_ends_its_run(Alone),
        a_worker_that_reports_an_end_before_a_start_ends_its_run(Alone),
        a_worker_that_dies_at_once_ends_its_run(Alone),
        a_worker_that_claims_walls_it_has_not_is_caught(Alone),
        a_worker_that_never_answers_is_given_up(Alone),
        a_silent_worker_can_be_abandoned(Alone),
        a_worker_that_leaves_children_leaves_none(Cgroup, Alone),
        garbage_while_the_payload_runs_ends_the_run(Alone),
        a_flood_of_reports_delays_no_deadline_and_costs_no_memory(Alone),
    ]
}

/// Runs a worker that behaves as its name says.
async fn run_as(manner: &str, limits: Limits) -> Result<Outcome, Error> {
    let scratch = scratch();
    let worker = scratch.path().join(manner);
    symlink(built("belljar-test-hostile-worker"), &worker).unwrap();
    let sandbox = Sandbox::builder("native").limits(limits).worker(&worker).build().unwrap();
    sandbox.run(Source::program("/bin/sleep").arg("30")).await
}

async fn fails(manner: &str) -> Error {
    let before = Before::look();
    let began = Instant::now();
    let error = run_as(manner, limits()).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(8), "{manner} took {:?}", began.elapsed());
    assert!(!error.to_string().contains('\n'), "{error}");
    before.unchanged().await;
    error
}

fn is_protocol(error: &Error) {
    assert!(matches!(error, Error::Protocol(_)), "{error:?}");
    assert_eq!((error.code(), error.fault()), ("internal", Fault::Belljar));
}

async fn a_worker_that_sends_garbage_ends_its_run() {
    is_protocol(&fails("garbage").await);
}

async fn a_worker_that_sends_too_much_ends_its_run() {
    is_protocol(&fails("oversized").await);
}

async fn a_worker_of_another_version_ends_its_run() {
    let error = fails("version").await;
    is_protocol(&error);
    assert!(error.to_string().contains("version"), "{error}");
}

async fn a_worker_that_speaks_out_of_turn_ends_its_run() {
    is_protocol(&fails("early").await);
}

async fn a_worker_that_reports_an_end_before_a_start_ends_its_run() {
    // What an honest worker says whose init was killed for want of memory.
    let error = fails("ended").await;
    assert_eq!((error.code(), error.fault()), ("internal", Fault::Host), "{error}");
}

async fn a_worker_that_dies_at_once_ends_its_run() {
    let error = fails("dies").await;
    assert_eq!((error.code(), error.fault()), ("internal", Fault::Host), "{error}");
}

async fn a_worker_that_claims_walls_it_has_not_is_caught() {
    let error = fails("liar").await;
    assert_eq!(error.code(), "unenforceable", "{error}");
    assert!(error.to_string().contains("namespace"), "{error}");
}

async fn a_worker_that_never_answers_is_given_up() {
    let before = Before::look();
    let began = Instant::now();
    let error = run_as("silent", limits()).await.unwrap_err();
    assert_eq!((error.code(), error.fault()), ("internal", Fault::Host), "{error}");
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    before.unchanged().await;
}

async fn a_silent_worker_can_be_abandoned() {
    let before = Before::look();
    let run = run_as("silent", limits());
    assert!(tokio::time::timeout(Duration::from_millis(300), run).await.is_err());
    before.unchanged().await;
}

async fn a_worker_that_leaves_children_leaves_none() {
    fails("parent").await;
}

async fn garbage_while_the_payload_runs_ends_the_run() {
    is_protocol(&fails("late-garbage").await);
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn a_flood_of_reports_delays_no_deadline_and_costs_no_memory() {
    let resident = resident_kib();
    let before = Before::look();
    let limits = Limits { wall: Duration::from_secs(1), ..limits() };
    let outcome = run_as("flood", limits).await.unwrap();
    expect(&outcome, "wall_time");
    assert!(outcome.usage.wall < Duration::from_secs(5), "{:?}", outcome.usage);
    assert!((1..=101).contains(&outcome.denials.len()), "{}", outcome.denials.len());
    let grown = resident_kib().saturating_sub(resident);
    assert!(grown < 8 * 1024, "grew by {grown} KiB");
    before.unchanged().await;
}
