//! What a session keeps from one call to the next, and what it keeps apart.

use std::time::Duration;

use belljar::{
    Answer, AnswerStatus, Call, Chunk, Error, Limits, Session, SessionOptions, Start, Warm,
};
use belljar_tests::{Test, expect, limits, sandbox, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        state_survives_between_calls(Python),
        state_survives_an_error(Python),
        two_sessions_do_not_see_each_other(Python),
        a_warm_session_is_forked(Python),
        the_output_of_a_call_is_its_own(Python),
        output_is_followed_while_a_call_runs(Python),
        a_call_has_a_limit_of_its_own_on_output(Python),
        a_call_has_a_standard_input_of_its_own(Python),
        files_come_and_go_with_calls(Python),
        secrets_are_there_and_are_redacted(Python),
        a_child_that_holds_the_pipes_delays_nobody(Python),
        a_fork_that_comes_back_answers_nothing(Python),
        one_call_at_a_time(Python),
        what_makes_no_sense_is_refused(Python),
        a_runtime_without_sessions_says_so(),
        a_session_ends_with_an_outcome(Python),
    ]
}

pub(crate) async fn open(runtime: &str) -> Session {
    open_with(runtime, limits()).await
}

pub(crate) async fn open_with(runtime: &str, limits: Limits) -> Session {
    let sandbox = sandbox(runtime).limits(limits).build().expect("a sandbox");
    sandbox.open(SessionOptions::new()).await.expect("a session")
}

/// Fails, with all there is to know, unless the call ended with this status.
pub(crate) fn expect_answer(answer: &Answer, status: &str) {
    let shown = |output: &belljar::Output| String::from_utf8_lossy(&output.bytes).into_owned();
    assert!(
        answer.status.name() == status,
        "expected {status}, got {}: {}\nstdout: {}\nstderr: {}",
        answer.status.name(),
        answer.message(),
        shown(&answer.stdout),
        shown(&answer.stderr),
    );
}

pub(crate) fn out(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.stdout.bytes).into_owned()
}

pub(crate) async fn call(session: &Session, call: impl Into<Call>) -> Answer {
    session.call(call).await.expect("an answer")
}

/// The answer to a call that says when it has begun and then goes on for ever, and its limit: one
/// that it had come to say so within.
pub(crate) async fn cut_short(session: &Session, code: &str) -> (Answer, Duration) {
    for wall in [Duration::from_millis(300), Duration::from_secs(10)] {
        let answer = call(session, Call::code(code).wall(wall)).await;
        if !answer.stdout.bytes.is_empty() {
            return (answer, wall);
        }
        expect_answer(&answer, "wall_time");
    }
    panic!("it does not begin: {code}");
}

/// What a call that must succeed printed.
pub(crate) async fn said(session: &Session, code: &str) -> String {
    let answer = call(session, code).await;
    expect_answer(&answer, "ok");
    out(&answer)
}

async fn state_survives_between_calls() {
    let session = open("python").await;
    said(&session, "import math\nx = 20\ndef f(): return x + 1\nopen('kept', 'w').write('file')")
        .await;
    assert_eq!(
        said(&session, "x *= 2\nprint(f(), math.pi > 3, open('/work/kept').read())").await,
        "41 True file\n"
    );
    assert_eq!(
        said(&session, "print(__name__, len(__import__('threading').enumerate()))").await,
        "__main__ 1\n"
    );
    expect(&session.close().await.expect("an outcome"), "ok");
}

async fn state_survives_an_error() {
    let session = open("python").await;
    for (code, kind) in [
        ("y = 1\nraise ValueError('no')", "ValueError"),
        ("y = ", "SyntaxError"),
        ("import sys; sys.exit(3)", "SystemExit"),
        ("def r(): r()\nr()", "RecursionError"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ] {
        let answer = call(&session, code).await;
        expect_answer(&answer, "error");
        assert_eq!(answer.error.expect("what it raised").kind, kind);
    }
    assert_eq!(said(&session, "print(y)").await, "1\n");
}

async fn two_sessions_do_not_see_each_other() {
    let sandbox = sandbox("python").build().expect("a sandbox");
    let one = sandbox.open(SessionOptions::new()).await.expect("a session");
    let other = sandbox.open(SessionOptions::new()).await.expect("a session");
    said(&one, "x = 1; open('/work/file', 'w').close(); open('/tmp/file', 'w').close()").await;
    let code = "import os\nprint('x' in globals(), os.listdir('/work'), os.listdir('/tmp'))";
    assert_eq!(said(&other, code).await, "False [] []\n");
}

async fn a_warm_session_is_forked() {
    let sandbox = sandbox("python").warm(Warm::default().min(1)).build().expect("a sandbox");
    let warmth = sandbox.warm_up().await.expect("a warm sandbox");
    let session = sandbox.open(SessionOptions::new().env("MODE", "warm")).await.expect("a session");
    said(&session, "import os\nx = os.environ['MODE']").await;
    assert_eq!(said(&session, "print(x)").await, "warm\n");
    let answer = call(&session, "1/0").await;
    assert_eq!(answer.error.expect("an exception").traceback.len(), 1);
    let outcome = session.close().await.expect("an outcome");
    expect(&outcome, "ok");
    if warmth.ready > 0 {
        assert_eq!(outcome.start, Start::Forked);
    }
    sandbox.close().await;
}

async fn the_output_of_a_call_is_its_own() {
    let session = open("python").await;
    for round in 0..20 {
        let code = format!("import sys; print({round}); print('e{round}', file=sys.stderr)");
        let answer = call(&session, code.as_str()).await;
        assert_eq!(out(&answer), format!("{round}\n"));
        assert_eq!(answer.stderr.bytes, format!("e{round}\n").into_bytes());
    }
    let much = said(&session, "print('x' * (1 << 20), end='')").await;
    assert!(much.len() == 1 << 20 && much.bytes().all(|byte| byte == b'x'), "{}", much.len());
    assert_eq!(said(&session, "print('after')").await, "after\n");
}

async fn output_is_followed_while_a_call_runs() {
    let session = open("python").await;
    let code = "import os, time\ntry: os.write(1, b'early'); time.sleep(100)\n\
        except KeyboardInterrupt: os.write(1, b'late')";
    let mut calling = session.begin(code).await.expect("a call");
    assert_eq!(calling.output().await, Some(Chunk::Stdout(b"early".to_vec())));
    // It waits for this, and so what it wrote first came before it was over.
    session.interrupt();
    assert_eq!(calling.output().await, Some(Chunk::Stdout(b"late".to_vec())));
    assert_eq!(calling.output().await, None);
    assert_eq!(out(&calling.answer().await.expect("an answer")), "earlylate");
}

async fn a_call_has_a_limit_of_its_own_on_output() {
    let session = open("python").await;
    let answer = call(&session, Call::code("print('x' * 4999)").captured(100, 100)).await;
    expect_answer(&answer, "ok");
    assert_eq!((answer.stdout.bytes.len(), answer.stdout.dropped_bytes), (100, 4900));
    assert_eq!(said(&session, "print('y' * 499)").await.len(), 500);
}

async fn a_call_has_a_standard_input_of_its_own() {
    let session = open("python").await;
    let answer = call(&session, Call::code("print(input(), input())").stdin("a\nb\nrest")).await;
    assert_eq!(out(&answer), "a b\n");
    assert_eq!(said(&session, "import sys; print(repr(sys.stdin.read()))").await, "''\n");
    let cat = "import subprocess, sys\n\
        subprocess.run([sys.executable, '-c', 'print(input(), end=\"\")'], check=True)";
    let answer = call(&session, Call::code(cat).stdin("piped")).await;
    expect_answer(&answer, "ok");
    assert_eq!(out(&answer), "piped");
}

async fn files_come_and_go_with_calls() {
    let session = open("python").await;
    let write = "open('out.txt', 'w').write(open('in/a b.txt').read() * 2)";
    let code = Call::code(write).file("in/a b.txt", "data").collect("**/*.txt").collect("none");
    let answer = call(&session, code).await;
    expect_answer(&answer, "ok");
    let names: Vec<_> = answer.artifacts.iter().map(|it| it.path.display().to_string()).collect();
    // What the caller placed is not collected by a wildcard.
    assert_eq!(names, ["out.txt"]);
    assert_eq!(answer.artifacts[0].bytes, b"datadata");
    assert_eq!(answer.artifact_errors.len(), 1, "{:?}", answer.artifact_errors);
    assert!(call(&session, "1").await.artifacts.is_empty());
}

async fn secrets_are_there_and_are_redacted() {
    let sandbox = sandbox("python").build().expect("a sandbox");
    let options = SessionOptions::new().secret("KEY", "hunter2-hunter2").expect("a name");
    let session = sandbox.open(options).await.expect("a session");
    for _ in 0..2 {
        let code = "import belljar; print(belljar.secrets['KEY'])\nbelljar.secrets['KEY']";
        let answer = call(&session, code).await;
        assert_eq!(out(&answer), "[redacted:KEY]\n");
        assert_eq!(answer.value.expect("a value").text, "'[redacted:KEY]'");
    }
}

async fn a_child_that_holds_the_pipes_delays_nobody() {
    let session = open("python").await;
    let code = "import subprocess, sys\n\
        p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)']); print(1)";
    let answer = call(&session, code).await;
    assert_eq!(out(&answer), "1\n");
    assert!(answer.wall < Duration::from_secs(5), "{:?}", answer.wall);
    assert_eq!(said(&session, "p.kill(); print(p.wait())").await, "-9\n");
}

async fn a_fork_that_comes_back_answers_nothing() {
    let session = open("python").await;
    let code = "import os\npid = os.fork()\nif pid: print(os.waitpid(pid, 0)[1])\nx = 5";
    assert_eq!(said(&session, code).await, "0\n");
    assert_eq!(said(&session, "print(x)").await, "5\n");
}

async fn one_call_at_a_time() {
    let session = open("python").await;
    let calling = session.begin("import time; time.sleep(100)").await.expect("a call");
    assert!(matches!(session.call("1").await, Err(Error::Invalid(_))));
    drop(calling);
    // Dropping it interrupts the call; then there is room for another.
    let answer = loop {
        match session.call("print('kept')").await {
            Ok(answer) => break answer,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    expect_answer(&answer, "ok");
    assert_eq!(out(&answer), "kept\n");
}

async fn what_makes_no_sense_is_refused() {
    let session = open("python").await;
    for call in [
        Call::code("x".repeat(2 << 20)),
        Call::code("a\0b"),
        Call::code("1").file("../x", ""),
        Call::code("1").file("a\nb", ""),
        Call::code("1").file("/x", ""),
        Call::code("1").collect("/etc/*"),
    ] {
        assert!(matches!(session.call(call).await, Err(Error::Invalid(_))));
    }
    assert_eq!(said(&session, "print(1)").await, "1\n");
}

async fn a_runtime_without_sessions_says_so() {
    let sandbox = sandbox("js").build().expect("a sandbox");
    let refused = sandbox.open(SessionOptions::new()).await;
    assert!(matches!(refused, Err(Error::Invalid(why)) if why.contains("no sessions")));
}

async fn a_session_ends_with_an_outcome() {
    let session = open("python").await;
    said(&session, "import atexit; atexit.register(print, 'bye')").await;
    let outcome = session.close().await.expect("an outcome");
    expect(&outcome, "ok");
    assert_eq!(outcome.stdout.bytes, b"bye\n");
    assert!(session.has_ended());
    let late = call(&session, "1").await;
    assert!(matches!(late.status, AnswerStatus::Ended(_)));
}
