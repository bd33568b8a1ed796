//! Standard input that stays open: what is written arrives, and who does not read harms nobody.

use std::time::{Duration, Instant};

use belljar::{Chunk, Error, Limits, Run, Sandbox, Source, Start, Warm};
use belljar_tests::{Test, expect, limits, ready, sandbox, stdout, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        what_is_written_is_echoed_as_it_is_written(Bash),
        what_the_source_holds_comes_first(Bash),
        standard_input_stays_open_for_every_way_to_start(Python, Bash, Node),
        waiting_for_the_end_closes_it(Bash),
        it_can_be_opened_again_by_name(Bash),
        a_payload_that_never_reads_holds_nobody_back(Bash),
        a_payload_that_is_gone_is_told(Bash),
        a_payload_that_closed_it_is_told(Bash),
        a_source_without_it_takes_nothing(Bash),
        a_plain_run_has_it_closed(Bash),
        denials_are_told_as_they_happen(Python),
    ]
}

async fn next_line(run: &mut Run) -> String {
    let mut said = Vec::new();
    while !said.ends_with(b"\n") {
        match run.output().await {
            Some(Chunk::Stdout(bytes)) => said.extend(bytes),
            other => panic!("{other:?} after {said:?}"),
        }
    }
    String::from_utf8(said).expect("text")
}

async fn what_is_written_is_echoed_as_it_is_written() {
    let sandbox = sandbox("bash").build().expect("a sandbox");
    let source = Source::code("while read -r line; do echo \"got $line\"; done; echo end");
    let mut run = sandbox.start(source.stdin_open()).await.expect("a run");
    for word in ["one", "two", "three"] {
        run.write_stdin(format!("{word}\n").as_bytes()).await.expect("a reader");
        assert_eq!(next_line(&mut run).await, format!("got {word}\n"));
    }
    run.close_stdin();
    assert_eq!(next_line(&mut run).await, "end\n");
    assert!(matches!(run.write_stdin(b"x").await, Err(Error::Invalid(_))));
    expect(&run.wait().await.expect("an outcome"), "ok");
}

async fn what_the_source_holds_comes_first() {
    let sandbox = sandbox("bash").build().expect("a sandbox");
    // More than a pipe holds.
    let first = vec![b'a'; 1 << 20];
    let source = Source::code("sha256sum").stdin(first.clone()).stdin_open();
    let mut run = sandbox.start(source).await.expect("a run");
    let rest = vec![b'b'; 3 << 20];
    run.write_stdin(&rest).await.expect("a reader");
    run.close_stdin();
    let outcome = run.wait().await.expect("an outcome");
    let whole = sandbox.run(Source::code("sha256sum").stdin([first, rest].concat()));
    assert_eq!(stdout(&outcome), stdout(&whole.await.expect("an outcome")));
}

async fn echo_of(sandbox: &Sandbox, code: &str) -> Start {
    let mut run = sandbox.start(Source::code(code).stdin("a\n").stdin_open()).await.expect("a run");
    assert_eq!(next_line(&mut run).await, "a\n");
    run.write_stdin(b"b\n").await.expect("a reader");
    assert_eq!(next_line(&mut run).await, "b\n");
    run.close_stdin();
    let outcome = run.wait().await.expect("an outcome");
    expect(&outcome, "ok");
    outcome.start
}

async fn standard_input_stays_open_for_every_way_to_start() {
    let python = "import sys\nfor line in sys.stdin: print(line, end='')";
    let node = "process.stdin.on('data', (data) => process.stdout.write(data))";
    for (runtime, code) in [("python", python), ("bash", "cat"), ("node", node)] {
        let cold = sandbox(runtime).build().expect("a sandbox");
        assert_eq!(echo_of(&cold, code).await, Start::Cold);
        let warm = sandbox(runtime).warm(Warm::default().min(1)).build().expect("a sandbox");
        warm.warm_up().await.expect("a warm sandbox");
        let start = echo_of(&warm, code).await;
        // An interpreter that was executed ahead cannot be given a descriptor any more.
        let can_wait = if runtime == "python" { Start::Forked } else { Start::Jar };
        assert!(start == can_wait || start == Start::Cold, "{runtime}: {start:?}");
        warm.close().await;
    }
}

async fn waiting_for_the_end_closes_it() {
    let sandbox = sandbox("bash").build().expect("a sandbox");
    let run = sandbox.start(Source::code("cat").stdin_open()).await.expect("a run");
    run.write_stdin(b"all").await.expect("a reader");
    let outcome = run.wait().await.expect("an outcome");
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "all");
}

async fn it_can_be_opened_again_by_name() {
    let sandbox = sandbox("bash").build().expect("a sandbox");
    let run = sandbox.start(Source::code("cat /dev/stdin").stdin_open()).await.expect("a run");
    run.write_stdin(b"named").await.expect("a reader");
    let outcome = run.wait().await.expect("an outcome");
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "named");
}

async fn a_payload_that_never_reads_holds_nobody_back() {
    let limits = Limits { wall: Duration::from_secs(1), ..limits() };
    let sandbox = sandbox("bash").limits(limits).build().expect("a sandbox");
    let source = Source::code("echo ready; while :; do :; done").stdin_open();
    let run = ready(&sandbox, source).await;
    let input = run.input().expect("an open standard input");
    let began = Instant::now();
    let write = tokio::spawn(async move { input.write(&vec![0; 64 << 20]).await });
    let outcome = run.wait().await.expect("an outcome");
    expect(&outcome, "wall_time");
    assert!(matches!(write.await.expect("a task"), Err(Error::Invalid(_))));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

async fn a_payload_that_is_gone_is_told() {
    let sandbox = sandbox("bash").build().expect("a sandbox");
    let mut run = sandbox.start(Source::code("exit 3").stdin_open()).await.expect("a run");
    while run.output().await.is_some() {}
    let much = vec![0; 1 << 20];
    assert!(matches!(run.write_stdin(&much).await, Err(Error::Invalid(_))));
    assert_eq!(run.wait().await.expect("an outcome").verdict.exit_code(), Some(3));
}

async fn a_payload_that_closed_it_is_told() {
    let sandbox = sandbox("bash").build().expect("a sandbox");
    let source = Source::code("exec 0<&-; echo ready; sleep 100").stdin_open();
    let run = ready(&sandbox, source).await;
    assert!(matches!(run.write_stdin(&vec![0; 1 << 20]).await, Err(Error::Invalid(_))));
    expect(&run.kill().await.expect("an outcome"), "cancelled");
}

async fn a_source_without_it_takes_nothing() {
    let sandbox = sandbox("bash").build().expect("a sandbox");
    let run = sandbox.start("cat").await.expect("a run");
    assert!(matches!(run.write_stdin(b"x").await, Err(Error::Invalid(_))));
    expect(&run.wait().await.expect("an outcome"), "ok");
}

async fn a_plain_run_has_it_closed() {
    let sandbox = sandbox("bash").build().expect("a sandbox");
    let source = Source::code("cat").stdin("all of it").stdin_open();
    let outcome = sandbox.run(source).await.expect("an outcome");
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "all of it");
}

async fn denials_are_told_as_they_happen() {
    let code = "import socket, time\ntry: socket.socket()\nexcept OSError: pass\ntime.sleep(100)";
    let sandbox = sandbox("python").build().expect("a sandbox");
    let mut run = sandbox.start(code).await.expect("a run");
    match run.output().await {
        Some(Chunk::Denial(denied)) => assert!(denied.what.starts_with("socket"), "{denied:?}"),
        other => panic!("{other:?}"),
    }
    let outcome = run.kill().await.expect("an outcome");
    assert_eq!(outcome.denials.len(), 1);
}
