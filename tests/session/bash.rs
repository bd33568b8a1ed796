//! Sessions of bash.

use std::time::{Duration, Instant};

use belljar::{Call, SessionOptions, Start, Warm};
use belljar_tests::{Test, expect, sandbox, tests};

use crate::calls::{call, cut_short, expect_answer, open, out, said};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        state_survives(Bash),
        an_interrupt_keeps_the_state(Bash),
        a_call_has_a_wall_limit(Bash),
        input_and_files_are_those_of_a_call(Bash),
        large_code_arrives_whole(Bash),
        a_background_job_is_the_users_own(Bash),
        an_exit_ends_the_session(Bash),
        a_jar_that_waits_is_used(Bash),
        secrets_and_files_are_there_in_every_session(Bash, Node, Python),
    ]
}

async fn state_survives() {
    let session = open("bash").await;
    said(
        &session,
        "x=20; declare -a list=(1 2); f() { echo $((x + 1)) ${list[1]}; }; mkdir d; cd d",
    )
    .await;
    assert_eq!(said(&session, "x=41; f; pwd").await, "42 2\n/work/d\n");
    let answer = call(&session, "echo out; echo err >&2; return 3").await;
    expect_answer(&answer, "error");
    assert_eq!((out(&answer).as_str(), &*answer.stderr.bytes), ("out\n", &b"err\n"[..]));
    let error = answer.error.expect("an error");
    assert_eq!((error.kind.as_str(), error.message.as_str()), ("exit status", "3"));
    expect_answer(&call(&session, "if then").await, "error");
    expect_answer(&call(&session, "no_such_command").await, "error");
    assert_eq!(said(&session, "set -u; IFS=x; PATH=/none; head() { :; }; echo $x").await, "41\n");
    assert_eq!(said(&session, "printf é; echo $x").await, "é41\n");
    expect(&session.close().await.expect("an outcome"), "ok");
}

async fn an_interrupt_keeps_the_state() {
    let session = open("bash").await;
    said(&session, "n=0; f() { g; echo not here; }; g() { while :; do n=$((n + 1)); done; }").await;
    for code in [
        "echo 1; while :; do n=$((n + 1)); done; echo not here",
        "echo 1; f; echo not here",
        "echo 1; sleep 100; echo not here",
        "echo 1; sleep 100 | cat; echo not here",
        "echo 1; (while :; do :; done); echo not here",
        "echo 1; for i in 1 2 3; do sleep 100; done; echo not here",
    ] {
        let mut calling = session.begin(code).await.expect("a call");
        assert!(calling.output().await.is_some());
        tokio::time::sleep(Duration::from_millis(100)).await;
        let began = Instant::now();
        session.interrupt();
        let answer = calling.answer().await.expect("an answer");
        expect_answer(&answer, "interrupted");
        assert_eq!(out(&answer), "1\n", "{code}");
        assert!(began.elapsed() < Duration::from_secs(10), "{code}: {:?}", began.elapsed());
    }
    assert_eq!(
        said(&session, "echo $((n > 0)); for i in 1 2; do echo $i; done").await,
        "1\n1\n2\n"
    );
}

async fn a_call_has_a_wall_limit() {
    let session = open("bash").await;
    let answer = call(&session, Call::code("sleep 100").wall(Duration::from_millis(300))).await;
    expect_answer(&answer, "wall_time");
    let (answer, _) = cut_short(&session, "trap '' INT; echo begun; sleep 100").await;
    expect_answer(&answer, "ended");
    expect(&session.ended().await.expect("an outcome"), "wall_time");
}

async fn input_and_files_are_those_of_a_call() {
    let session = open("bash").await;
    let binary: Vec<u8> = (0..=255).collect();
    let code = Call::code("cat; cat 'in/a b' >out").stdin(binary.clone());
    let answer = call(&session, code.file("in/a b", binary.clone()).collect("out")).await;
    expect_answer(&answer, "ok");
    assert_eq!(answer.stdout.bytes, binary);
    assert_eq!(answer.artifacts[0].bytes, binary);
    assert_eq!(said(&session, "cat; read x || echo end").await, "end\n");
}

async fn large_code_arrives_whole() {
    let session = open("bash").await;
    let code = format!("x='{}'\necho ${{#x}}", "é".repeat(300_000));
    assert_eq!(said(&session, &code).await, "300000\n");
}

async fn a_background_job_is_the_users_own() {
    let session = open("bash").await;
    said(&session, "sleep 100 & p=$!").await;
    assert_eq!(
        said(&session, "[ $! = $p ] && jobs -p | wc -l; kill $p; wait; echo done").await,
        "1\ndone\n"
    );
}

async fn an_exit_ends_the_session() {
    let session = open("bash").await;
    let answer = call(&session, "echo last; exit 7").await;
    expect_answer(&answer, "ended");
    assert_eq!(out(&answer), "last\n");
    let outcome = session.ended().await.expect("an outcome");
    assert_eq!(outcome.verdict.exit_code(), Some(7));
}

async fn a_jar_that_waits_is_used() {
    let warm = sandbox("bash").warm(Warm::default().min(1)).build().expect("a sandbox");
    let warmth = warm.warm_up().await.expect("a warm sandbox");
    let session = warm.open(SessionOptions::new()).await.expect("a session");
    said(&session, "x=1").await;
    assert_eq!(said(&session, "echo $x").await, "1\n");
    let outcome = session.close().await.expect("an outcome");
    assert!(warmth.ready == 0 || outcome.start == Start::Jar, "{:?}", outcome.start);
    warm.close().await;
}

async fn secrets_and_files_are_there_in_every_session() {
    let bash = "printf '%s %s %s' \"$(cat /run/secrets/KEY | rev)\" \"$MODE\" \"$(cat in/data)\"";
    let node = "process.stdout.write([...belljar.secrets.KEY].reverse().join('') + ' ' + process.env.MODE \
        + ' ' + require('fs').readFileSync('in/data'))";
    let python = "import belljar, os\n\
        print(belljar.secrets['KEY'][::-1], os.environ['MODE'], open('in/data').read(), end='')";
    for (runtime, code) in [("bash", bash), ("node", node), ("python", python)] {
        let cold = sandbox(runtime).build().expect("a sandbox");
        let warm = sandbox(runtime).warm(Warm::default().min(1)).build().expect("a sandbox");
        warm.warm_up().await.expect("a warm sandbox");
        for sandbox in [&cold, &warm] {
            let options = SessionOptions::new().env("MODE", "test").file("in/data", "placed");
            let options = options.secret("KEY", "hunter2").expect("a name");
            let session = sandbox.open(options).await.expect("a session");
            for _ in 0..2 {
                assert_eq!(said(&session, code).await, "2retnuh test placed", "{runtime}");
            }
        }
        warm.close().await;
    }
}
