//! A run by its name: accepted, inspected, followed, fed, cancelled.

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use belljar_tests::{Test, tests};
use serde_json::Value;

use crate::served::{PATIENCE, Served, lives, mark, request, soon};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_run_that_nobody_waits_for_is_found_by_its_name(Bash),
        an_answer_waits_for_an_end_as_long_as_it_is_asked_to(Bash),
        events_come_from_the_first_and_as_they_happen(Bash),
        events_can_be_had_as_server_sent_events(Bash),
        standard_input_is_fed_and_ended(Bash),
        standard_input_that_is_not_open_takes_nothing(Bash),
        a_payload_that_does_not_read_holds_back_nobody_else(Bash),
        labels_come_back(Bash),
        a_cancelled_run_says_so(Bash),
        what_is_refused_is_told_as_it_happens(Python),
        a_request_that_is_repeated_is_the_same_run(Bash),
        a_run_with_a_key_outlives_its_client(Bash),
        runs_are_history_when_they_have_ended(Bash),
        an_artifact_can_be_had_by_its_name(Bash),
        files_can_come_beside_the_request(Bash),
        who_has_seen_more_than_there_is_hears_of_the_end(Bash),
        a_key_stands_for_an_outcome_and_for_no_passing_refusal(Bash),
        a_name_is_not_guessed_and_no_word_is_overlooked(),
    ]
}

/// Status and body of an answer to a request with one more header.
fn ask_with(served: &Served, method: &str, place: &str, header: &str, body: &str) -> (u16, String) {
    let request = request(method, place, body).replace("host: x", &format!("host: x\r\n{header}"));
    let answer = served.say(request.as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Starts a run that nobody waits for, and tells its name.
fn accepted(served: &Served, body: &str) -> String {
    let (status, body) = ask_with(served, "POST", "/v1/runs", "prefer: respond-async", body);
    assert_eq!(status, 202, "{body}");
    let row: Value = serde_json::from_str(&body).unwrap();
    assert!(["queued", "running"].contains(&row["status"].as_str().unwrap()), "{row}");
    row["id"].as_str().unwrap().to_owned()
}

fn bash(code: &str, more: &str) -> String {
    let code = serde_json::to_string(code).unwrap();
    format!(r#"{{"runtime":"bash","code":{code}{more}}}"#)
}

fn waited(served: &Served, id: &str) -> Value {
    let (status, body) = served.ask("GET", &format!("/v1/runs/{id}?wait_ms=20000"), "");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// What `GET …/events` says, to its end.
fn events(served: &Served, id: &str, query: &str, accept: &str) -> Vec<String> {
    follow(served, id, query, accept).collect()
}

/// The same as it comes, line by line.
fn follow(
    served: &Served,
    id: &str,
    query: &str,
    accept: &str,
) -> impl Iterator<Item = String> + use<> {
    let mut stream = served.connect();
    let place = format!("/v1/runs/{id}/events{query}");
    let head = format!("GET {place} HTTP/1.0\r\nhost: x\r\naccept: {accept}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    lines.skip_while(|line| !line.is_empty()).skip(1)
}

async fn a_run_that_nobody_waits_for_is_found_by_its_name() {
    let served = Served::start(&["--warm", "bash"]);
    let id = accepted(&served, &bash("echo first; sleep 0.3; exit 3", ""));
    let (status, body) = served.ask("GET", &format!("/v1/runs/{id}"), "");
    let row: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, row["id"].as_str(), row["runtime"].as_str()),
        (200, Some(&*id), Some("bash"))
    );
    let outcome = waited(&served, &id);
    assert_eq!(outcome["id"], *id);
    assert_eq!((&outcome["status"], &outcome["exit_code"]), (&"nonzero_exit".into(), &3.into()));
    assert_eq!(outcome["stdout"], "first\n");
}

async fn an_answer_waits_for_an_end_as_long_as_it_is_asked_to() {
    let served = Served::start(&[]);
    let id = accepted(&served, &bash("sleep 60", ""));
    let (status, body) = served.ask("GET", &format!("/v1/runs/{id}?wait_ms=50"), "");
    let row: Value = serde_json::from_str(&body).unwrap();
    assert!(["queued", "running"].contains(&row["status"].as_str().unwrap()), "{status} {row}");
    assert_eq!(served.ask("DELETE", &format!("/v1/runs/{id}"), "").0, 204);
}

async fn events_come_from_the_first_and_as_they_happen() {
    let served = Served::start(&[]);
    let code = "echo one; read; echo two >&2; read; echo 3";
    let id = accepted(&served, &bash(code, r#","stdin_open":true"#));
    let mut rows = Vec::new();
    for line in follow(&served, &id, "", "application/x-ndjson") {
        let row: Value = serde_json::from_str(&line).unwrap();
        // Nothing is written before what was written last has been told.
        if [3, 4].contains(&row["seq"].as_u64().unwrap()) {
            assert_eq!(served.ask("POST", &format!("/v1/runs/{id}/stdin"), "\n").0, 204, "{row}");
        }
        rows.push(row);
    }
    let names = rows.iter().map(|row| row["event"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(names, ["queued", "started", "stdout", "stderr", "stdout", "outcome"]);
    let numbers = rows.iter().map(|row| row["seq"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    assert_eq!(rows[5]["outcome"]["stdout"], "one\n3\n");
}

async fn events_can_be_had_as_server_sent_events() {
    let served = Served::start(&[]);
    let id = accepted(&served, &bash("sleep 0.5; echo one", ""));
    let lines = events(&served, &id, "?since=2", "text/event-stream");
    assert_eq!((&*lines[0], &*lines[1]), ("id: 3", "event: stdout"), "{lines:?}");
    assert!(lines[2].starts_with(r#"data: {"event":"stdout","seq":3,"#), "{lines:?}");
    assert_eq!((&*lines[3], &*lines[5]), ("", "event: outcome"), "{lines:?}");
}

async fn standard_input_is_fed_and_ended() {
    let served = Served::start(&["--warm", "bash"]);
    let body = bash(
        "while read -r line; do echo \"<$line>\"; done; echo end",
        r#","stdin":"a\n","stdin_open":true"#,
    );
    let id = accepted(&served, &body);
    let place = format!("/v1/runs/{id}/stdin");
    assert_eq!(served.ask("POST", &place, "b\n").0, 204);
    assert_eq!(served.ask("POST", &format!("{place}?eof=true"), "c\n").0, 204);
    assert_eq!(waited(&served, &id)["stdout"], "<a>\n<b>\n<c>\nend\n");
}

async fn standard_input_that_is_not_open_takes_nothing() {
    let served = Served::start(&[]);
    let id = accepted(&served, &bash("sleep 60", ""));
    let (status, body) = served.ask("POST", &format!("/v1/runs/{id}/stdin"), "x");
    assert_eq!(status, 409, "{body}");
    assert!(body.contains(r#""code":"invalid_request""#), "{body}");
    assert_eq!(served.ask("DELETE", &format!("/v1/runs/{id}"), "").0, 204);
}

async fn a_payload_that_does_not_read_holds_back_nobody_else() {
    let served = Served::start(&[]);
    let id = accepted(&served, &bash("sleep 60", r#","stdin_open":true"#));
    let mut writer = served.connect();
    let body = "x".repeat(1 << 20);
    let head = request("POST", &format!("/v1/runs/{id}/stdin"), &body);
    writer.write_all(head.as_bytes()).unwrap();
    assert!(served.is_well());
    assert_eq!(served.ask("DELETE", &format!("/v1/runs/{id}"), "").0, 204);
    let mut answer = String::new();
    BufReader::new(writer).read_line(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 409"), "{answer}");
}

async fn labels_come_back() {
    let served = Served::start(&[]);
    let (status, body) =
        served.ask("POST", "/v1/runs", &bash("exit", r#","labels":{"job":"7","who":"ä"}"#));
    let outcome: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &outcome["labels"]["job"], &outcome["labels"]["who"]),
        (200, &"7".into(), &"ä".into())
    );
    let many = (0..17).map(|at| format!(r#""k{at}":"""#)).collect::<Vec<_>>().join(",");
    let (status, body) =
        served.ask("POST", "/v1/runs", &bash("exit", &format!(r#","labels":{{{many}}}"#)));
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("labels"), "{body}");
}

async fn a_cancelled_run_says_so() {
    let served = Served::start(&["--warm", "bash"]);
    let mark = mark();
    let id = accepted(&served, &bash(&format!("sleep {mark}"), ""));
    assert!(soon(PATIENCE, || lives(&mark)), "it does not begin");
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| waited(&served, &id));
        assert_eq!(served.ask("DELETE", &format!("/v1/runs/{id}"), "").0, 204);
        waiting.join().unwrap()
    });
    assert_eq!(waiting["status"], "cancelled");
    assert!(soon(Duration::from_secs(10), || !lives(&mark)), "it is said to have ended");
}

async fn what_is_refused_is_told_as_it_happens() {
    let served = Served::start(&[]);
    let code = "import ctypes, time; ctypes.CDLL(None).ptrace(0, 0, 0, 0); time.sleep(0.5)";
    let id = accepted(&served, &format!(r#"{{"runtime":"python","code":"{code}"}}"#));
    let lines = events(&served, &id, "", "application/x-ndjson");
    let denial = lines.iter().find(|line| line.starts_with(r#"{"event":"denial""#)).unwrap();
    let row: Value = serde_json::from_str(denial).unwrap();
    assert!(row["what"].as_str().unwrap().contains("ptrace"), "{row}");
    assert!(row["hint"].is_string(), "{row}");
}

async fn a_name_is_not_guessed_and_no_word_is_overlooked() {
    let served = Served::start(&[]);
    for place in ["/v1/runs/x", "/v1/runs/x/events", "/v1/runs/../etc", "/v1/nothing"] {
        let (status, body) = served.ask("GET", place, "");
        assert_eq!(status, 404, "{place}: {body}");
        assert!(body.contains(r#""code":"not_found""#), "{body}");
    }
    for (method, place) in [("POST", "/v1/runs?wait=1"), ("GET", "/v1/runs/x?wiat_ms=1")] {
        let (status, body) = served.ask(method, place, "{}");
        assert_eq!(status, 400, "{place}: {body}");
        assert!(body.contains("query"), "{body}");
    }
    assert_eq!(served.ask("PUT", "/v1/runs", "").0, 405);
}

async fn a_request_that_is_repeated_is_the_same_run() {
    let served = Served::start(&[]);
    let key = "idempotency-key: one";
    let body = bash("echo $RANDOM$RANDOM; sleep 0.2", "");
    let runs = std::thread::scope(|scope| {
        let asked =
            [(); 4].map(|()| scope.spawn(|| ask_with(&served, "POST", "/v1/runs", key, &body)));
        asked.map(|asked| asked.join().unwrap())
    });
    assert_eq!(runs[0].0, 200, "{}", runs[0].1);
    assert!(runs.iter().all(|run| *run == runs[0]), "{runs:?}");
    let again = ask_with(&served, "POST", "/v1/runs", key, &body);
    assert_eq!(again, runs[0]);
    let (status, body) = ask_with(&served, "POST", "/v1/runs", key, &bash("echo other", ""));
    assert_eq!(status, 422, "{body}");
    assert!(body.contains("Idempotency-Key"), "{body}");
}

async fn a_run_with_a_key_outlives_its_client() {
    let served = Served::start(&[]);
    let body = bash("sleep 0.4; echo done", "");
    let asked = request("POST", "/v1/runs", &body);
    let asked = asked.replace("host: x", "host: x\r\nidempotency-key: two");
    let mut stream = served.connect();
    stream.write_all(asked.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    drop(stream);
    let (status, body) = ask_with(&served, "POST", "/v1/runs", "idempotency-key: two", &body);
    let outcome: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &outcome["stdout"]), (200, &"done\n".into()));
}

async fn runs_are_history_when_they_have_ended() {
    let served = Served::start(&[]);
    let (_, body) = served.ask("POST", "/v1/runs", &bash("exit 4", r#","labels":{"job":"a"}"#));
    let first: Value = serde_json::from_str(&body).unwrap();
    served.ask("POST", "/v1/runs", &bash("exit", ""));
    let (status, body) = served.ask("GET", "/v1/runs?label=job%3Da&status=nonzero_exit", "");
    let page: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, page["runs"].as_array().unwrap().len()), (200, 1), "{body}");
    assert_eq!(page["runs"][0]["id"], first["id"]);
    let (_, body) = served.ask("GET", "/v1/runs?limit=1", "");
    let newest: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(newest["runs"][0]["status"], "ok", "{body}");
    let next = newest["next"].as_str().unwrap();
    let (_, body) = served.ask("GET", &format!("/v1/runs?limit=1&before={next}"), "");
    let page: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(page["runs"][0]["id"], first["id"], "{body}");
    let id = first["id"].as_str().unwrap();
    assert_eq!(waited(&served, id), first);
    let lines = events(&served, id, "", "application/x-ndjson");
    let last: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((lines.len(), &last["event"], &last["outcome"]), (1, &"outcome".into(), &first));
}

async fn an_artifact_can_be_had_by_its_name() {
    let served = Served::start(&[]);
    let code = r"mkdir 'a b'; printf '\377\001' > 'a b/c.bin'";
    let (_, body) = served.ask("POST", "/v1/runs", &bash(code, r#","collect":["**/*.bin"]"#));
    let outcome: Value = serde_json::from_str(&body).unwrap();
    let place = format!("/v1/runs/{}/artifacts/a%20b/c.bin", outcome["id"].as_str().unwrap());
    let mut stream = served.connect();
    stream.write_all(request("GET", &place, "").as_bytes()).unwrap();
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut answer).unwrap();
    assert!(answer.ends_with(b"\r\n\r\n\xff\x01"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(served.ask("GET", &place.replace("c.bin", "d.bin"), "").0, 404);
}

async fn files_can_come_beside_the_request() {
    let served = Served::start(&[]);
    let parts = |request: &str| {
        let file = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"in/a.bin\"\r\n\r\n\u{1}ä\r\n";
        format!(
            "--b\r\ncontent-disposition: form-data; name=\"request\"\r\n\r\n{request}\r\n{file}--b--\r\n"
        )
    };
    let kind = "content-type: multipart/form-data; boundary=b";
    let body = parts(&bash("od -An -tx1 in/a.bin", ""));
    let (status, body) = ask_with(&served, "POST", "/v1/runs", kind, &body);
    let outcome: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &outcome["stdout"]), (200, &" 01 c3 a4\n".into()), "{body}");
    let main = r#"{"runtime":"bash","entry":"in/a.bin"}"#;
    assert_eq!(ask_with(&served, "POST", "/v1/runs", kind, &parts(main)).0, 200);
    for body in ["", "--b\r\n", "--b--\r\n", &parts("{}"), &parts("").replace("file", "fole")] {
        let (status, problem) = ask_with(&served, "POST", "/v1/runs", kind, body);
        assert!(status == 400 && problem.contains("invalid_request"), "{body:?}: {problem}");
    }
}

async fn who_has_seen_more_than_there_is_hears_of_the_end() {
    let served = Served::start(&[]);
    let id = accepted(&served, &bash("sleep 0.3", ""));
    assert_eq!(events(&served, &id, "?since=99", "application/x-ndjson"), Vec::<String>::new());
    assert_eq!(waited(&served, &id)["status"], "ok");
}

async fn a_key_stands_for_an_outcome_and_for_no_passing_refusal() {
    let place = tempfile::tempdir().unwrap();
    let history = format!("history.path={}", place.path().join("h.sqlite").display());
    let options = ["--set", "queue.running=1", "--grace", "1ms", "--set", &history];
    let mut served = Served::start(&options);
    accepted(&served, &bash("sleep 60", ""));
    let headers = "prefer: respond-async\r\nidempotency-key: one";
    let (status, body) = ask_with(&served, "POST", "/v1/runs", headers, &bash("echo ran", ""));
    assert_eq!(status, 202, "{body}");
    served.send(nix::sys::signal::Signal::SIGTERM);
    assert!(served.end().success());
    let served = Served::start(&options);
    let key = "idempotency-key: one";
    let (status, body) = ask_with(&served, "POST", "/v1/runs", key, &bash("echo ran", ""));
    let outcome: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &outcome["stdout"]), (200, &"ran\n".into()), "{body}");
}
