//! Jars that answer more than once, over the socket.

use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use belljar_tests::{Test, tests};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::served::{PATIENCE, Served, lives, mark, request, soon};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_session_remembers_and_answers_richly(Python),
        every_language_with_sessions_has_them_here(Python, Node, Bash),
        two_sessions_know_nothing_of_each_other(Python),
        a_call_can_be_followed(Python),
        one_call_at_a_time(Bash),
        an_interrupted_call_keeps_the_state(Python),
        who_leaves_interrupts_the_call(Python),
        a_call_that_takes_too_long_says_so(Python),
        a_session_that_ends_says_how(Python),
        a_session_that_idles_ends(Bash),
        a_session_does_not_idle_while_its_call_waits(Bash),
        a_session_that_is_closed_is_gone(Bash),
        no_session_outlives_the_service(Bash),
        what_makes_no_sense_is_refused(Bash),
        there_are_only_so_many(Bash),
    ]
}

fn post(served: &Served, place: &str, body: &Value) -> (u16, Value) {
    let (status, body) = served.ask("POST", place, &body.to_string());
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

fn open(served: &Served, body: &Value) -> String {
    let (status, row) = post(served, "/v1/sessions", body);
    assert_eq!((status, &row["status"]), (201, &"ready".into()), "{row}");
    format!("/v1/sessions/{}", row["id"].as_str().unwrap())
}

fn row(served: &Served, session: &str) -> Value {
    let (status, row) = served.ask("GET", session, "");
    assert_eq!(status, 200, "{row}");
    serde_json::from_str(&row).unwrap()
}

fn of(runtime: &str) -> Value {
    serde_json::json!({ "runtime": runtime })
}

fn call(served: &Served, session: &str, code: &str) -> Value {
    let (status, answer) =
        post(served, &format!("{session}/calls"), &serde_json::json!({ "code": code }));
    assert_eq!(status, 200, "{answer}");
    answer
}

/// What is told of a call while it runs, line by line.
fn follow(served: &Served, session: &str, body: &str) -> Lines<BufReader<UnixStream>> {
    let asked = request("POST", &format!("{session}/calls"), body);
    let asked = asked.replace("host: x", "host: x\r\naccept: application/x-ndjson");
    let mut stream = served.connect();
    stream.write_all(asked.as_bytes()).unwrap();
    BufReader::new(stream).lines()
}

async fn a_session_remembers_and_answers_richly() {
    for options in [&[][..], &["--warm", "python"]] {
        let served = Served::start(options);
        let session = open(&served, &of("python"));
        let answer = call(&served, &session, "import math\nx = [1, 2]\nprint('said')");
        assert_eq!((&answer["status"], &answer["stdout"]), (&"ok".into(), &"said\n".into()));
        assert_eq!(answer["result"], Value::Null);
        let answer = call(&served, &session, "x.append(math.floor(3.5))\nx");
        assert_eq!(answer["result"]["json"], serde_json::json!([1, 2, 3]), "{answer}");
        assert_eq!(answer["call"], 2);
        let answer = call(&served, &session, "def f():\n    return 1 / 0\nf()");
        assert_eq!(
            (&answer["status"], &answer["error"]["type"]),
            (&"error".into(), &"ZeroDivisionError".into())
        );
        let lines = answer["error"]["traceback"].as_array().unwrap();
        let lines = lines.iter().map(|frame| frame["line"].as_u64().unwrap()).collect::<Vec<_>>();
        assert_eq!(lines, [3, 2], "{answer}");
        assert_eq!(call(&served, &session, "len(x)")["result"]["text"], "3");
    }
}

async fn every_language_with_sessions_has_them_here() {
    let served = Served::start(&[]);
    for (runtime, first, second, said) in [
        ("python", "x = 20", "print(x + 1)", "21\n"),
        ("node", "let x = 20", "console.log(x + 1)", "21\n"),
        ("bash", "x=20; cd /tmp", "echo $((x + 1)) $PWD", "21 /tmp\n"),
    ] {
        let session = open(&served, &of(runtime));
        assert_eq!(call(&served, &session, first)["status"], "ok");
        let answer = call(&served, &session, second);
        assert_eq!(answer["stdout"], said, "{runtime}: {answer}");
    }
}

async fn two_sessions_know_nothing_of_each_other() {
    let served = Served::start(&["--warm", "python"]);
    let (one, other) = (open(&served, &of("python")), open(&served, &of("python")));
    call(&served, &one, "x = 1; open('/work/left', 'w').write('x')");
    let code = "import os; print('x' in globals(), os.path.exists('/work/left'))";
    assert_eq!(call(&served, &other, code)["stdout"], "False False\n");
}

async fn a_call_can_be_followed() {
    let served = Served::start(&[]);
    let session = open(&served, &of("python"));
    let code = "import time\nprint(1, flush=True)\ntime.sleep(0.3)\nprint(2)\n7";
    let body = serde_json::json!({ "code": code }).to_string();
    let lines = follow(&served, &session, &body).map(Result::unwrap);
    let rows =
        lines.filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(&line).unwrap());
    let rows = rows.collect::<Vec<Value>>();
    let names = rows.iter().map(|row| row["event"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!((names.first(), names.last()), (Some(&"started"), Some(&"outcome")));
    let said = rows.iter().filter_map(|row| row["content"].as_str()).collect::<String>();
    assert_eq!(said, "1\n2\n");
    assert_eq!(rows.last().unwrap()["outcome"]["result"]["text"], "7");
}

async fn one_call_at_a_time() {
    let served = Served::start(&[]);
    let session = open(&served, &of("bash"));
    let mark = mark();
    std::thread::scope(|scope| {
        let long = scope.spawn(|| call(&served, &session, &format!("sleep {mark}")));
        assert!(soon(PATIENCE, || lives(&mark)), "it does not begin");
        let second = serde_json::json!({ "code": "echo" });
        let (status, problem) = post(&served, &format!("{session}/calls"), &second);
        assert_eq!((status, &problem["code"]), (409, &"session_busy".into()), "{problem}");
        assert_eq!(problem["may_retry"], true);
        assert_eq!(served.ask("POST", &format!("{session}/interrupt"), "").0, 204);
        assert_eq!(long.join().unwrap()["status"], "interrupted");
    });
    assert_eq!(call(&served, &session, "echo back")["stdout"], "back\n");
}

async fn an_interrupted_call_keeps_the_state() {
    let served = Served::start(&["--warm", "python"]);
    let session = open(&served, &of("python"));
    call(&served, &session, "x = 5");
    for (number, code) in [(2, "while True: pass"), (3, "import time; time.sleep(60)")] {
        std::thread::scope(|scope| {
            let long = scope.spawn(|| call(&served, &session, code));
            // Before it is counted it is nothing that could be interrupted.
            let has_begun = || row(&served, &session)["calls"] == number;
            assert!(soon(PATIENCE, has_begun), "it does not begin");
            std::thread::sleep(Duration::from_millis(200));
            assert_eq!(served.ask("POST", &format!("{session}/interrupt"), "").0, 204);
            assert_eq!(long.join().unwrap()["status"], "interrupted", "{code}");
        });
    }
    assert_eq!(call(&served, &session, "x")["result"]["text"], "5");
}

async fn who_leaves_interrupts_the_call() {
    let served = Served::start(&[]);
    let session = open(&served, &of("python"));
    let body = r#"{"code":"x = 1\nprint('begun', flush=True)\nwhile True: pass"}"#;
    let lines = follow(&served, &session, body);
    let begun = lines.map_while(Result::ok).find(|line| line.contains(r#""event":"stdout""#));
    assert!(begun.is_some(), "it does not begin");
    let again = serde_json::json!({ "code": "x" });
    let is_back = || post(&served, &format!("{session}/calls"), &again).1["result"]["text"] == "1";
    assert!(soon(PATIENCE, is_back), "the call goes on");
}

async fn a_call_that_takes_too_long_says_so() {
    let served = Served::start(&[]);
    let asked = serde_json::json!({ "runtime": "python", "call_limits": { "wall_ms": 3000 } });
    let session = open(&served, &asked);
    let answer = call(&served, &session, "x = 2\nwhile True: pass");
    assert_eq!(answer["status"], "wall_time", "{answer}");
    assert_eq!(call(&served, &session, "x")["result"]["text"], "2");
}

async fn a_session_that_ends_says_how() {
    let served = Served::start(&[]);
    let session = open(&served, &of("python"));
    let answer = call(&served, &session, "import os; os._exit(9)");
    assert_eq!((&answer["status"], &answer["outcome"]["exit_code"]), (&"ended".into(), &9.into()));
    assert!(soon(PATIENCE, || served.ask("GET", &session, "").0 == 404), "it is still listed");
    let asked = serde_json::json!({ "runtime": "python", "limits": { "memory_bytes": 96 << 20 } });
    let session = open(&served, &asked);
    let answer =
        call(&served, &session, "held = []\nwhile True: held.append(bytearray(b'x') * (1 << 20))");
    let memory = [("ended", "memory"), ("error", "")];
    let said = (
        answer["status"].as_str().unwrap(),
        answer["outcome"]["status"].as_str().unwrap_or_default(),
    );
    assert!(memory.contains(&said), "{answer}");
}

async fn a_session_that_idles_ends() {
    let served = Served::start(&[]);
    // Whoever is kept waiting between two calls finds that it idled: then with more time.
    let is_kept = [400, 2000, 10_000].into_iter().any(|idle_ms| {
        let asked = serde_json::json!({ "runtime": "bash", "idle_ms": idle_ms });
        let session = open(&served, &asked);
        let is_kept = (0..4).all(|_| {
            std::thread::sleep(Duration::from_millis(idle_ms / 2));
            let code = serde_json::json!({ "code": "echo" });
            let (status, answer) = post(&served, &format!("{session}/calls"), &code);
            status == 200 && answer["status"] == "ok"
        });
        assert!(soon(PATIENCE, || served.ask("GET", &session, "").0 == 404), "it idles for ever");
        is_kept
    });
    assert!(is_kept, "it ends between calls");
}

async fn a_session_does_not_idle_while_its_call_waits() {
    let served = Served::start(&["--set", "queue.running=1"]);
    let mark = mark();
    let mut first = served.command(&["-r", "bash", "-c", &format!("sleep {mark}")]);
    let mut first = first.spawn().unwrap();
    assert!(soon(PATIENCE, || lives(&mark)), "it does not begin");
    let session = open(&served, &serde_json::json!({ "runtime": "bash", "idle_ms": 2000 }));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| call(&served, &session, "echo in time"));
        assert!(soon(PATIENCE, || served.counted("belljar_queued ") == 1), "it does not wait");
        std::thread::sleep(Duration::from_millis(2200));
        let (_, row) = served.ask("GET", &session, "");
        assert!(row.contains(r#""status":"busy""#), "{row}");
        first.kill().unwrap();
        assert_eq!(waiting.join().unwrap()["stdout"], "in time\n");
    });
    first.wait().unwrap();
}

async fn a_session_that_is_closed_is_gone() {
    let served = Served::start(&[]);
    let session = open(&served, &of("bash"));
    let mark = mark();
    call(&served, &session, &format!("sleep {mark} & disown"));
    assert!(soon(PATIENCE, || lives(&mark)), "it does not begin");
    assert_eq!(served.ask("DELETE", &session, "").0, 204);
    assert!(!lives(&mark), "a child of the session lives");
    assert!(soon(PATIENCE, || served.ask("GET", &session, "").0 == 404), "it is still listed");
    assert_eq!(served.ask("GET", "/v1/sessions", "").1, "{\"sessions\":[]}\n");
}

async fn no_session_outlives_the_service() {
    for is_killed in [false, true] {
        let mut served = Served::start(&["--grace", "1ms"]);
        let session = open(&served, &of("bash"));
        let mark = mark();
        call(&served, &session, &format!("sleep {mark} & disown"));
        assert!(soon(PATIENCE, || lives(&mark)), "it does not begin");
        let signal = if is_killed { Signal::SIGKILL } else { Signal::SIGTERM };
        served.send(signal);
        assert_eq!(served.end().success(), !is_killed);
        assert!(soon(PATIENCE, || !lives(&mark)), "it outlives the service");
    }
}

async fn what_makes_no_sense_is_refused() {
    let served = Served::start(&[]);
    for (body, mentions) in [
        (r#"{"runtime":"bash","idle_ms":0}"#, "idle_ms"),
        (r#"{"runtime":"bash","lifetime_ms":99999999999}"#, "lifetime_ms"),
        (r#"{"runtime":"bash","limits":{"wall_ms":1}}"#, "lifetime_ms"),
        (r#"{"runtime":"bash","cdoe":"1"}"#, "cdoe"),
        (r#"{"runtime":"js"}"#, "session"),
        ("{}", "runtime"),
    ] {
        let (status, problem) = served.ask("POST", "/v1/sessions", body);
        assert!(status == 400 && problem.contains(mentions), "{body}: {status} {problem}");
    }
    let (status, _) = served.ask("POST", "/v1/sessions/none/calls", r#"{"code":""}"#);
    assert_eq!(status, 404);
}

async fn there_are_only_so_many() {
    let served = Served::start(&["--warm", "bash", "--warm-max", "40"]);
    let mut opened = 0;
    let problem = loop {
        let (status, row) = post(&served, "/v1/sessions", &of("bash"));
        if status != 201 {
            break (status, row);
        }
        opened += 1;
        assert!(opened < 100, "there is no end");
    };
    assert_eq!((problem.0, &problem.1["code"]), (429, &"overloaded".into()), "{problem:?}");
    assert_eq!(opened, 16, "half of those that there may be");
    assert!(problem.1["retry_after_ms"].is_u64());
    let (_, list) = served.ask("GET", "/v1/sessions", "");
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["sessions"].as_array().unwrap().len(), opened);
}
