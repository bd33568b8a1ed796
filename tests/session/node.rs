//! Sessions and rich runs of Node.

use std::time::{Duration, Instant};

use belljar::{Call, SessionOptions, Source, Start, Warm};
use belljar_tests::{Test, expect, run, sandbox, stdout, tests};

use crate::calls::{call, expect_answer, open, out, said};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        state_survives(Node),
        an_interrupt_keeps_the_state(Node),
        a_call_has_a_wall_limit(Node),
        input_and_files_are_those_of_a_call(Node),
        an_exit_ends_the_session(Node),
        a_rich_run_has_a_value(Node),
        a_rich_run_ends_like_a_plain_one(Node),
        what_waits_is_used(Node),
    ]
}

async fn state_survives() {
    let session = open("node").await;
    let answer =
        call(&session, "const x = 20; let y = 1; function f() { return x + y }\nf()").await;
    expect_answer(&answer, "ok");
    let value = answer.value.expect("a value");
    assert_eq!((value.text.as_str(), value.json.as_deref()), ("21", Some("21")));
    let answer = call(&session, "y = 22\nthrow new TypeError('no')").await;
    expect_answer(&answer, "error");
    let said_of_it = String::from_utf8_lossy(&answer.stderr.bytes).into_owned();
    assert!(
        said_of_it.contains("TypeError: no") && !said_of_it.contains("guest.cjs"),
        "{said_of_it}"
    );
    let error = answer.error.expect("an error");
    assert_eq!((error.kind.as_str(), error.message.as_str()), ("TypeError", "no"));
    let frame = error.traceback.last().expect("a frame");
    assert_eq!((frame.line, frame.code.as_str()), (2, "throw new TypeError('no')"));
    expect_answer(&call(&session, "syntax error").await, "error");
    assert_eq!(said(&session, "console.log(f(), require('path').sep)").await, "42 /\n");
    let answer = call(&session, "(async () => { await null; return { a: [1] } })()").await;
    assert_eq!(answer.value.expect("a value").json.as_deref(), Some(r#"{"a":[1]}"#));
    expect(&session.close().await.expect("an outcome"), "ok");
}

async fn an_interrupt_keeps_the_state() {
    let session = open("node").await;
    said(&session, "var n = 0").await;
    for code in [
        "console.log(1); for (;;) n++",
        "console.log(1); new Promise((resolve) => setTimeout(resolve, 100000))",
    ] {
        let mut calling = session.begin(code).await.expect("a call");
        assert!(calling.output().await.is_some());
        tokio::time::sleep(Duration::from_millis(100)).await;
        let began = Instant::now();
        session.interrupt();
        expect_answer(&calling.answer().await.expect("an answer"), "interrupted");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
    assert_eq!(said(&session, "console.log(n > 0)").await, "true\n");
}

async fn a_call_has_a_wall_limit() {
    let session = open("node").await;
    let answer = call(&session, Call::code("for (;;);").wall(Duration::from_millis(300))).await;
    expect_answer(&answer, "wall_time");
    assert_eq!(said(&session, "console.log(1)").await, "1\n");
}

async fn input_and_files_are_those_of_a_call() {
    let session = open("node").await;
    let code = "const all = async () => { let text = ''; for await (const part of process.stdin) text += part;\n\
        console.log(text + require('fs').readFileSync('in/a')) }\nall()";
    let answer = call(&session, Call::code(code).stdin("typed ").file("in/a", "placed")).await;
    expect_answer(&answer, "ok");
    assert_eq!(out(&answer), "typed placed\n");
    let answer = call(&session, Call::code("all()")).await;
    assert_eq!(out(&answer), "placed\n");
}

async fn an_exit_ends_the_session() {
    let session = open("node").await;
    let answer = call(&session, "console.log('last'); process.exit(7)").await;
    expect_answer(&answer, "ended");
    assert_eq!(out(&answer), "last\n");
    let outcome = session.ended().await.expect("an outcome");
    assert_eq!(outcome.verdict.exit_code(), Some(7));
}

async fn a_rich_run_has_a_value() {
    for (code, text, json) in [
        ("const a = { b: [1, 'x'] };\na", "{ b: [ 1, 'x' ] }", Some(r#"{"b":[1,"x"]}"#)),
        ("new Map([[1, 2]])", "Map(1) { 1 => 2 }", None),
        ("null", "null", Some("null")),
    ] {
        let outcome = run("node", Source::code(code).rich()).await;
        expect(&outcome, "ok");
        let value = outcome.value.expect("a value");
        assert_eq!((value.text.as_str(), value.json.as_deref()), (text, json), "{code}");
    }
    for code in ["let x = 1", "import 'node:fs';\n1"] {
        let outcome = run("node", Source::code(code).rich()).await;
        expect(&outcome, "ok");
        assert_eq!(outcome.value, None);
    }
}

async fn a_rich_run_ends_like_a_plain_one() {
    let code = "console.log(process.argv.slice(1), __filename, require.main === module, \
        require('fs').readFileSync(0, 'utf8'));\nprocess.exitCode = 3";
    let source = Source::code(code).arg("one").stdin("typed");
    let plain = run("node", source.clone()).await;
    let outcome = run("node", source.rich()).await;
    assert_eq!(outcome.verdict.exit_code(), Some(3));
    assert_eq!(stdout(&outcome), stdout(&plain));
    let outcome = run("node", Source::code("function f() {\n null.x }\nf()").rich()).await;
    assert_eq!(outcome.verdict.exit_code(), Some(1));
    let error = outcome.error.expect("an error");
    assert_eq!(error.kind, "TypeError");
    assert_eq!(error.traceback.last().expect("a frame").function, "f");
}

async fn what_waits_is_used() {
    let warm = sandbox("node").warm(Warm::default().min(1)).build().expect("a sandbox");
    let warmth = warm.warm_up().await.expect("a warm sandbox");
    let outcome = warm.run(Source::code("6 * 7").rich()).await.expect("an outcome");
    assert_eq!(outcome.value.expect("a value").text, "42");
    assert!(warmth.ready == 0 || outcome.start == Start::Primed, "{:?}", outcome.start);
    let session = warm.open(SessionOptions::new()).await.expect("a session");
    assert_eq!(said(&session, "console.log(1)").await, "1\n");
    drop(session);
    warm.close().await;
}
