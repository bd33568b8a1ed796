//! Clients that do not mean well, or do not know how.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use belljar_tests::{Test, tests};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::served::{Served, request};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        what_is_no_request_is_refused_and_harms_nobody(),
        a_request_that_makes_no_sense_is_a_problem_with_a_code(),
        a_body_is_bounded_before_it_is_read(),
        a_body_that_is_cut_off_starts_nothing(),
        idle_connections_cost_nobody_a_run(),
        who_does_not_read_stops_nobody(Bash),
    ]
}

async fn what_is_no_request_is_refused_and_harms_nobody() {
    let served = Served::start(&[]);
    let long = format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    let many = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(2000));
    let place = format!("GET /{} HTTP/1.1\r\n\r\n", "p".repeat(1 << 20));
    for shape in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /v1/runs HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/runs HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /v1/runs HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nx",
        b"POST /v1/runs HTTP/1.1\r\ntransfer-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
        long.as_bytes(),
        many.as_bytes(),
        place.as_bytes(),
    ] {
        let answer = served.say(shape);
        let is_refusal = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        let head = String::from_utf8_lossy(&shape[..shape.len().min(80)]).into_owned();
        assert!(is_refusal, "{head:?}: {answer:?}");
        assert!(served.is_well(), "{head:?}");
    }
}

async fn a_request_that_makes_no_sense_is_a_problem_with_a_code() {
    let served = Served::start(&[]);
    let deep = "[".repeat(100_000);
    for (method, place, body, status, code) in [
        ("POST", "/v1/runs", "", 400, "invalid_request"),
        ("POST", "/v1/runs", "null", 400, "invalid_request"),
        ("POST", "/v1/runs", deep.as_str(), 400, "invalid_request"),
        ("POST", "/v1/runs", r#"{"runtime":"js","code":"1","x":1}"#, 400, "invalid_request"),
        ("POST", "/v1/runs", r#"{"runtime":"js","code":"1","mode":"off"}"#, 403, "policy_refused"),
        (
            "POST",
            "/v1/runs",
            r#"{"runtime":"js","code":"1","network":["a:1"]}"#,
            403,
            "policy_refused",
        ),
        ("POST", "/v1/runs", r#"{"runtime":"native","code":"1"}"#, 400, "invalid_request"),
        ("POST", "/v1/runs", r#"{"runtime":"cobol","code":"1"}"#, 422, "unknown_runtime"),
        ("PATCH", "/v1/runs", "", 405, "invalid_request"),
        ("DELETE", "/v1/runs/x", "", 404, "not_found"),
        ("GET", "/v1/runs/../../etc/passwd", "", 404, "not_found"),
        ("GET", "/", "", 404, "not_found"),
    ] {
        let (found, problem) = served.ask(method, place, body);
        assert_eq!(found, status, "{method} {place} {problem}");
        let problem: serde_json::Value = serde_json::from_str(&problem).unwrap();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["detail"], problem["message"], "{problem}");
    }
    let (status, rows) = served.ask("GET", "/v1/runtimes", "");
    assert!(status == 200 && rows.contains(r#""name":"js","available":true"#), "{rows}");
}

async fn a_body_is_bounded_before_it_is_read() {
    let served = Served::start(&[]);
    let head = "POST /v1/runs HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n";
    let answer = served.say(head.as_bytes());
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.contains("larger than 25165824 bytes"),
        "{answer}"
    );
    let mut stream = served.connect();
    stream.write_all(b"POST /v1/runs HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(0x10_0000));
    let sent = (0..64).take_while(|_| stream.write_all(chunk.as_bytes()).is_ok()).count();
    assert!(sent < 40, "it takes {sent} MiB");
    assert!(served.is_well());
}

async fn a_body_that_is_cut_off_starts_nothing() {
    let served = Served::start(&[]);
    let whole = request("POST", "/v1/runs", r#"{"runtime":"js","code":"1"}"#);
    for length in [10, 60, whole.len() - 5] {
        let mut stream = served.connect();
        stream.write_all(&whole.as_bytes()[..length]).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        drop(stream.read_to_string(&mut answer));
        assert!(!answer.contains("200 OK"), "{length}: {answer}");
    }
    assert!(served.is_well());
}

async fn idle_connections_cost_nobody_a_run() {
    const MANY: u64 = 1000;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let many = MANY.min(hard / 4);
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(many * 2).min(hard), hard).unwrap();
    let served = Served::start(&["--warm", "js"]);
    let begun =
        ["", "G", "GET / HTTP/1.1\r\n", "POST /v1/runs HTTP/1.1\r\ncontent-length: 9\r\n\r\n{"];
    let streams: Vec<_> = (0..many)
        .map(|at| {
            let mut stream = UnixStream::connect(&served.socket).unwrap();
            let said = begun[usize::try_from(at).unwrap() % begun.len()];
            stream.write_all(said.as_bytes()).unwrap();
            stream
        })
        .collect();
    let asked = Instant::now();
    let output = served.run(&["-r", "js", "-c", "console.log(1)"]);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"1\n"[..]), "{output:?}");
    assert!(served.is_well());
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    drop(streams);
    assert!(served.is_well());
}

async fn who_does_not_read_stops_nobody() {
    let served = Served::start(&[]);
    let body = r#"{"runtime":"bash","code":"head -c 900000 /dev/zero"}"#;
    let asked = request("POST", "/v1/runs", body);
    let asked = asked.replace("host: x", "host: x\r\naccept: application/x-ndjson");
    // More than may run at one time: the turn of a run is over when it is, read or not.
    let mut streams = Vec::new();
    for _ in 0..10 {
        for _ in 0..8 {
            let mut stream = served.connect();
            stream.write_all(asked.as_bytes()).unwrap();
            streams.push(stream);
        }
        let output = served.run(&["-r", "js", "-c", "console.log(1)"]);
        assert_eq!(output.stdout, b"1\n", "{output:?}");
    }
}
