//! What the command line asks a service, and what it makes of the answer.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::thread::{JoinHandle, spawn};

use tempfile::TempDir;

use super::{belljar, is_refused, run, text};

/// Answers as often as there are answers: status and body. What it was asked, line by line.
fn serve(answers: Vec<(u16, &'static str)>) -> (TempDir, String, JoinHandle<Vec<String>>) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let asked = spawn(move || {
        let answer = |(status, body): (u16, &str)| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status} X\r\n{HEAD}content-length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).unwrap();
            text(&head).lines().next().unwrap().to_owned()
        };
        answers.into_iter().map(answer).collect()
    });
    (directory, socket.to_str().unwrap().to_owned(), asked)
}

const HEAD: &str = "belljar-api: 1\r\nconnection: close\r\n";
const ROW: &str = r#"{"id":"01B","runtime":"js","status":"lost","created_at":"2026-01-01T00:00:00.000Z","ended_at":null,"wall_ms":null,"labels":{"team":"a"}}"#;

#[test]
fn runs_are_asked_for_page_by_page() {
    let page = |next: &str| -> &'static str {
        format!(r#"{{"runs":[{ROW},{ROW}],"next":{next}}}"#).leak()
    };
    let (_kept, socket, asked) = serve(vec![(200, page(r#""0&1""#)), (200, page("null"))]);
    let output = run(&["runs", "--status", "lost", "--limit", "4", "--socket", &socket]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        asked.join().unwrap(),
        [
            "GET /v1/runs?status=lost&limit=4 HTTP/1.1",
            "GET /v1/runs?status=lost&limit=2&before=0%261 HTTP/1.1"
        ]
    );
    let lines: Vec<_> = text(&output.stdout).lines().collect();
    assert_eq!(lines, ["  01B  2026-01-01T00:00:00.000Z  js  lost  -  team=a"; 4]);
}

#[test]
fn one_run_and_what_is_wrong_with_it_are_told() {
    let problem = r#"{"code":"not_found","message":"there is no such run","fault":"caller","may_retry":false,"hint":null}"#;
    let answers = vec![(200, ROW), (200, ROW), (404, problem), (500, "oops")];
    let (_kept, socket, asked) = serve(answers);
    let output = run(&["runs", "01B", "--json", "--socket", &socket]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["labels"]["team"], "a");
    let output = belljar(&["runs", "01B"]).env("BELLJAR_SOCKET", &socket).output().unwrap();
    assert!(text(&output.stdout).contains("  status      lost\n"), "{output:?}");
    is_refused(&run(&["runs", "a/b", "--socket", &socket]), "there is no such run");
    is_refused(&run(&["runs", "x", "--socket", &socket]), "500");
    assert_eq!(asked.join().unwrap()[2], "GET /v1/runs/a%2Fb HTTP/1.1");
    is_refused(&run(&["runs", "--socket", "/nowhere/s"]), "no service answers");
    is_refused(&run(&["logs", "--level", "loud"]), "loud");
}

#[test]
fn logs_go_on_from_where_they_were() {
    const FIRST: &str = r#"{"entries":[{"id":4,"time":"T1","level":"info","source":"belljar","message":"one","fields":{"n":1}}],"next_id":6}"#;
    const SECOND: &str = r#"{"entries":[{"id":7,"time":"T2","level":"warn","source":"belljar","message":"two"}],"next_id":7}"#;
    const RESTARTED: &str = r#"{"entries":[],"next_id":1}"#;
    let broken =
        (500, r#"{"code":"x","message":"it ends","fault":"host","may_retry":false,"hint":null}"#);
    let answers = vec![(200, FIRST), (200, SECOND), (200, RESTARTED), broken];
    let (_kept, socket, asked) = serve(answers);
    let output = run(&["logs", "--follow", "--level", "info", "--count", "5", "--socket", &socket]);
    is_refused_after(&output, "T1 info  belljar: one n=1\nT2 warn  belljar: two\n", "it ends");
    assert_eq!(
        asked.join().unwrap(),
        [
            "GET /v1/logs?level=info&count=5 HTTP/1.1",
            "GET /v1/logs?since_id=6&level=info HTTP/1.1",
            "GET /v1/logs?since_id=7&level=info HTTP/1.1",
            "GET /v1/logs?since_id=0&level=info HTTP/1.1",
        ]
    );
}

fn is_refused_after(output: &std::process::Output, told: &str, mentions: &str) {
    assert_eq!(text(&output.stdout), told);
    assert!(text(&output.stderr).contains(mentions), "{output:?}");
    assert_eq!(output.status.code(), Some(125));
}
