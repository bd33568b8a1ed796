//! Output: exact up to the limit, counted beyond it, bounded always, and live.

use std::time::{Duration, Instant};

use belljar::{Chunk, Limits, OnOutputLimit};
use belljar_tests::{Test, expect, limits, run, run_with, sandbox, stderr, stdout, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        bytes_come_out_as_they_went_in(Bash),
        the_two_streams_are_apart(Bash),
        letters_of_every_script_come_out_whole(Python),
        what_exceeds_the_limit_is_counted_and_dropped(Bash),
        each_stream_has_a_limit_of_its_own(Bash),
        a_limit_of_nothing_keeps_nothing(Bash),
        an_output_of_exactly_the_limit_is_not_cut(Bash),
        a_flood_can_be_a_reason_to_kill(Bash, Alone),
        a_flood_on_standard_error_can_be_one_too(Bash),
        a_payload_within_its_limit_is_not_killed_for_output(Bash),
        ten_gigabytes_cost_no_memory(Bash, Alone),
        a_flood_does_not_outlive_its_time(Bash, Alone),
        output_held_open_by_a_grandchild_delays_nobody(Bash),
        standard_output_can_be_opened_by_its_name(Bash),
        a_closed_stream_is_the_payloads_own_affair(Bash),
        output_arrives_while_the_payload_runs(Bash),
        live_output_is_what_is_captured(Bash),
        what_a_killed_payload_wrote_is_kept(Bash),
    ]
}

async fn bytes_come_out_as_they_went_in() {
    let every: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let source = belljar::Source::code("cat").stdin(every.clone());
    let outcome = run("bash", source).await;
    expect(&outcome, "ok");
    assert!(outcome.stdout.bytes == every, "{} bytes came out", outcome.stdout.bytes.len());
    assert_eq!(outcome.stdout.dropped_bytes, 0);
}

async fn the_two_streams_are_apart() {
    let outcome = run("bash", "echo out; echo err >&2").await;
    assert_eq!((stdout(&outcome).as_str(), stderr(&outcome).as_str()), ("out\n", "err\n"));
}

async fn letters_of_every_script_come_out_whole() {
    let outcome = run("python", "print('grüße 世界 🫙')").await;
    assert_eq!(stdout(&outcome), "grüße 世界 🫙\n");
}

fn kept(stdout_bytes: u64, stderr_bytes: u64) -> Limits {
    Limits { stdout_bytes, stderr_bytes, ..limits() }
}

async fn what_exceeds_the_limit_is_counted_and_dropped() {
    let outcome = run_with("bash", kept(1000, 1000), "head -c 500000 /dev/zero; echo -n ab").await;
    expect(&outcome, "ok");
    assert_eq!(outcome.stdout.bytes, vec![0; 1000]);
    assert_eq!(outcome.stdout.dropped_bytes, 499_002);
    assert_eq!(outcome.stderr.dropped_bytes, 0);
}

async fn each_stream_has_a_limit_of_its_own() {
    let code = "head -c 300 /dev/zero; head -c 300 /dev/zero >&2";
    let outcome = run_with("bash", kept(100, 200), code).await;
    assert_eq!((outcome.stdout.bytes.len(), outcome.stdout.dropped_bytes), (100, 200));
    assert_eq!((outcome.stderr.bytes.len(), outcome.stderr.dropped_bytes), (200, 100));
}

async fn a_limit_of_nothing_keeps_nothing() {
    let outcome = run_with("bash", kept(0, 0), "echo one; echo two >&2").await;
    expect(&outcome, "ok");
    assert_eq!((outcome.stdout.bytes.len(), outcome.stdout.dropped_bytes), (0, 4));
    assert_eq!((outcome.stderr.bytes.len(), outcome.stderr.dropped_bytes), (0, 4));
}

async fn an_output_of_exactly_the_limit_is_not_cut() {
    let limits = Limits { on_output_limit: OnOutputLimit::Kill, ..kept(6, 100) };
    let outcome = run_with("bash", limits, "echo 12345; sleep 0.1").await;
    expect(&outcome, "ok");
    assert_eq!((stdout(&outcome).as_str(), outcome.stdout.dropped_bytes), ("12345\n", 0));
}

fn killing() -> Limits {
    Limits { on_output_limit: OnOutputLimit::Kill, ..kept(10_000, 10_000) }
}

async fn a_flood_can_be_a_reason_to_kill() {
    let began = Instant::now();
    let outcome = run_with("bash", killing(), "yes; sleep 30").await;
    expect(&outcome, "output");
    assert_eq!(outcome.stdout.bytes.len(), 10_000);
    assert!(outcome.stdout.dropped_bytes > 0);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    // One that ends by itself at once wrote no less.
    expect(&run_with("bash", killing(), "head -c 20000 /dev/zero").await, "output");
}

async fn a_flood_on_standard_error_can_be_one_too() {
    expect(&run_with("bash", killing(), "yes >&2; sleep 30").await, "output");
}

async fn a_payload_within_its_limit_is_not_killed_for_output() {
    expect(&run_with("bash", killing(), "head -c 9000 /dev/zero").await, "ok");
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn ten_gigabytes_cost_no_memory() {
    let before = resident_kib();
    let long = Duration::from_mins(2);
    let patient = Limits { wall: long, cpu: long, ..limits() };
    let outcome = run_with("bash", patient, "head -c 10G /dev/zero").await;
    expect(&outcome, "ok");
    let written = outcome.stdout.bytes.len() as u64 + outcome.stdout.dropped_bytes;
    assert_eq!(written, 10 << 30);
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "grew by {grown} KiB");
}

async fn a_flood_does_not_outlive_its_time() {
    let limits = Limits { wall: Duration::from_secs(1), ..limits() };
    let began = Instant::now();
    let outcome = run_with("bash", limits, "cat /dev/zero & cat /dev/zero >&2 & wait").await;
    expect(&outcome, "wall_time");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(outcome.stdout.bytes.len(), 1 << 20);
}

async fn output_held_open_by_a_grandchild_delays_nobody() {
    let outcome = run("bash", "(setsid bash -c 'setsid sleep 30 &') ; echo done").await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "done\n");
    assert!(outcome.usage.wall < Duration::from_secs(5), "{:?}", outcome.usage);
}

async fn standard_output_can_be_opened_by_its_name() {
    let code = "echo one > /dev/stdout; echo two > /proc/self/fd/1; echo three > /dev/stderr; \
                echo four >> /dev/fd/2";
    let outcome = run("bash", code).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "one\ntwo\n");
    assert_eq!(stderr(&outcome), "three\nfour\n");
}

async fn a_closed_stream_is_the_payloads_own_affair() {
    let outcome = run("bash", "exec >&- 2>&- <&-; sleep 0.1; exit 7").await;
    assert_eq!(outcome.verdict.exit_code(), Some(7));
    assert!(outcome.stdout.bytes.is_empty() && outcome.stderr.bytes.is_empty());
}

async fn output_arrives_while_the_payload_runs() {
    let sandbox = sandbox("bash").build().unwrap();
    let mut run = sandbox.start("echo early; sleep 30").await.unwrap();
    let began = Instant::now();
    assert_eq!(run.output().await, Some(Chunk::Stdout(b"early\n".to_vec())));
    assert!(began.elapsed() < Duration::from_secs(5));
    let outcome = run.kill().await.unwrap();
    expect(&outcome, "cancelled");
    assert_eq!(stdout(&outcome), "early\n");
}

async fn live_output_is_what_is_captured() {
    let sandbox = sandbox("bash").limits(kept(3000, 3000)).build().unwrap();
    let code = "for i in {1..500}; do echo line $i; echo error $i >&2; done";
    let mut run = sandbox.start(code).await.unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some(chunk) = run.output().await {
        match chunk {
            Chunk::Stdout(bytes) => out.extend(bytes),
            Chunk::Stderr(bytes) => err.extend(bytes),
            _ => {}
        }
    }
    let outcome = run.wait().await.unwrap();
    assert_eq!((out.len(), err.len()), (3000, 3000));
    assert_eq!((out, err), (outcome.stdout.bytes, outcome.stderr.bytes));
}

async fn what_a_killed_payload_wrote_is_kept() {
    let limits = Limits { wall: Duration::from_secs(3), ..limits() };
    let outcome = run_with("bash", limits, "echo before; sleep 30").await;
    expect(&outcome, "wall_time");
    assert_eq!(stdout(&outcome), "before\n");
}
