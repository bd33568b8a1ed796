//! `/mcp`, byte for byte.

use std::io::{Read, Write};
use std::time::Duration;

use belljar_tests::{Test, tests};
use serde_json::{Value, json};

use crate::client::{CURRENT, LAST_WITH_HANDSHAKE, hello, meta};
use crate::served::{PATIENCE, Served, lives, mark, soon};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        one_request_is_a_whole_conversation(),
        older_clients_are_welcomed_with_a_name(),
        a_page_that_lured_a_browser_is_refused(),
        who_leaves_takes_the_run_along(Bash),
        an_older_client_cancels_by_number(Bash),
        only_messages_are_taken(),
    ]
}

const AT_ONCE: Duration = Duration::from_secs(10);

fn head(lines: &[&str], body: &str) -> String {
    let lines = lines.iter().flat_map(|line| [*line, "\r\n"]).collect::<String>();
    format!(
        "POST /mcp HTTP/1.1\r\nconnection: close\r\ncontent-type: application/json\r\naccept: \
         application/json, text/event-stream\r\ncontent-length: {}\r\n{lines}\r\n{body}",
        body.len(),
    )
}

/// What an answer says, and how it begins.
fn ask(served: &Served, lines: &[&str], message: &Value) -> (String, Vec<Value>) {
    let answer = served.say(head(lines, &message.to_string()).as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let events = body.lines().filter_map(|line| {
        let data = line.strip_prefix("data: ").unwrap_or(line);
        serde_json::from_str::<Value>(data).ok().filter(Value::is_object)
    });
    (head.to_lowercase(), events.collect())
}

fn run(code: &str, meta: &Value) -> Value {
    let arguments = json!({ "runtime": "bash", "code": code });
    message("tools/call", &json!({ "name": "run_code", "arguments": arguments, "_meta": meta }))
}

fn message(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

fn current<'a>(method: &'a str, name: &'a str) -> Vec<String> {
    vec![
        "host: localhost".to_owned(),
        format!("mcp-protocol-version: {CURRENT}"),
        format!("mcp-method: {method}"),
        format!("mcp-name: {name}"),
    ]
}

fn lines(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}

async fn one_request_is_a_whole_conversation() {
    let served = Served::start(&[]);
    let arguments = json!({ "runtime": "js", "code": "console.log(1)" });
    let params = json!({ "name": "run_code", "arguments": arguments, "_meta": meta() });
    let said = current("tools/call", "run_code");
    let (head, told) = ask(&served, &lines(&said), &message("tools/call", &params));
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("belljar-api: 1"), "{head}");
    assert!(!head.contains("mcp-session-id"), "{head}");
    assert_eq!(told.last().unwrap()["result"]["structuredContent"]["stdout"], "1\n", "{told:?}");
}

async fn older_clients_are_welcomed_with_a_name() {
    let served = Served::start(&[]);
    let (head, told) = ask(&served, &["host: localhost"], &message("initialize", &hello()));
    assert!(head.contains("mcp-session-id: "), "{head}");
    assert_eq!(told[0]["result"]["serverInfo"]["name"], "belljar", "{told:?}");
    let version = format!("mcp-protocol-version: {LAST_WITH_HANDSHAKE}");
    let said = ["host: localhost", &version, "mcp-session-id: x"];
    let (_, told) = ask(&served, &said, &message("tools/list", &json!({})));
    assert_eq!(told[0]["result"]["tools"][0]["name"], "run_code", "{told:?}");
}

async fn a_page_that_lured_a_browser_is_refused() {
    let served = Served::start(&[]);
    for said in [
        &["host: localhost", "origin: https://evil.example"][..],
        &["host: localhost", "origin: null"],
        &["host: evil.example"],
    ] {
        let (head, _) = ask(&served, said, &message("initialize", &hello()));
        assert!(head.starts_with("http/1.1 403"), "{said:?}: {head}");
    }
    assert!(served.is_well());
}

async fn who_leaves_takes_the_run_along() {
    let served = Served::start(&[]);
    let said = current("tools/call", "run_code");
    let old = ["host: localhost".to_owned()];
    for (said, meta) in [(&said[..], meta()), (&old, json!({ "progressToken": 1 }))] {
        let mark = mark();
        let mut stream = served.connect();
        let asked = run(&format!("sleep {mark}"), &meta).to_string();
        stream.write_all(head(&lines(said), &asked).as_bytes()).unwrap();
        assert!(soon(PATIENCE, || lives(&mark)), "it does not begin");
        drop(stream);
        assert!(soon(AT_ONCE, || !lives(&mark)), "it outlives who asked: {said:?}");
    }
    assert!(served.is_well());
}

async fn an_older_client_cancels_by_number() {
    let served = Served::start(&[]);
    let mark = mark();
    let mut stream = served.connect();
    let said = ["host: localhost", "mcp-session-id: mine"];
    let asked = run(&format!("sleep {mark}"), &json!({})).to_string();
    stream.write_all(head(&said, &asked).as_bytes()).unwrap();
    assert!(soon(PATIENCE, || lives(&mark)), "it does not begin");
    let cancel = |session: &str, id: u64| {
        let method = "notifications/cancelled";
        let params = json!({ "requestId": id });
        let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        let session = format!("mcp-session-id: {session}");
        let (head, _) = ask(&served, &["host: localhost", &session], &message);
        assert!(head.starts_with("http/1.1 202"), "{head}");
    };
    cancel("other", 1);
    cancel("mine", 2);
    std::thread::sleep(Duration::from_millis(200));
    assert!(lives(&mark), "it was meant by nobody");
    cancel("mine", 1);
    assert!(soon(AT_ONCE, || !lives(&mark)), "it outlives its cancellation");
    let mut rest = Vec::new();
    drop(stream.read_to_end(&mut rest));
}

async fn only_messages_are_taken() {
    let served = Served::start(&[]);
    let get = "GET /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept: \
               text/event-stream\r\n\r\n";
    assert!(served.say(get.as_bytes()).starts_with("HTTP/1.1 405"));
    for body in ["garbage", "{}", "[]", "null"] {
        let answer = served.say(head(&["host: localhost"], body).as_bytes());
        assert!(answer.starts_with("HTTP/1.1 4"), "{body}: {answer}");
    }
    let (answer, _) = ask(&served, &["host: localhost", "accept: text/html"], &json!({}));
    assert!(answer.starts_with("http/1.1 4"), "{answer}");
    assert!(served.is_well());
}
