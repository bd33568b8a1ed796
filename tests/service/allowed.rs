//! Questions whose answers depend on what the operator lets run, and lets what runs reach.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::OnceLock;
use std::thread;

use belljar_tests::{Test, tests};
use serde_json::{Value, json};

use crate::probes::{NOTHING, ask, tenant};
use crate::served::{Served, belljar};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_request_only_lowers_the_mode(Bash),
        code_that_breaks_a_rule_is_told_where(Python),
        what_nobody_allows_is_no_run(Bash),
        a_connection_is_told_of_everywhere(Bash, Root),
        a_word_that_is_no_mode_is_told_of_and_runs_nothing(),
    ]
}

const BREAKS: &str = "x = 1\nimport os\n";

async fn a_request_only_lowers_the_mode() {
    let served = Served::start(&["--set", "rules.mode=off"]);
    for mode in ["off", "full", "strange"] {
        let body = json!({ "runtime": "js", "code": "1", "mode": mode }).to_string();
        let (status, problem) = served.ask("POST", "/v1/runs", &body);
        assert_eq!(status, 403, "{problem}");
        let problem: Value = serde_json::from_str(&problem).unwrap();
        assert_eq!(
            (&problem["code"], &problem["fault"]),
            (&json!("policy_refused"), &json!("caller"))
        );
    }
    let session = served.ask("POST", "/v1/sessions", r#"{"runtime":"bash","mode":"full"}"#);
    assert_eq!(session.0, 403, "{}", session.1);
    assert_eq!(served.counted("belljar_problems_total{code=\"policy_refused\"}"), 4);
}

async fn code_that_breaks_a_rule_is_told_where() {
    let served = Served::start(&[]);
    let body = json!({ "runtime": "python", "code": BREAKS, "mode": "restricted" }).to_string();
    let (status, problem) = served.ask("POST", "/v1/runs", &body);
    let problem: Value = serde_json::from_str(&problem).unwrap();
    assert_eq!((status, &problem["findings"][0]["line"]), (403, &json!(2)), "{problem}");
    let (status, checked) = served.ask("POST", "/v1/check", &body);
    let checked: Value = serde_json::from_str(&checked).unwrap();
    assert_eq!((status, &checked["findings"]), (200, &problem["findings"]), "{checked}");
    assert_eq!(checked["mode"], "restricted");
    let (_, runs) = served.ask("GET", "/v1/runs", "");
    assert!(!runs.contains("\"ok\""), "{runs}");
    assert!(served.counted("belljar_rule_findings_total{rule=\"python/") >= 2);

    let args = ["--mode", "restricted", "-c", BREAKS];
    let here = belljar(&[&["run"], &args[..]].concat()).output().unwrap();
    let there = served.run(&args);
    assert_eq!(here.status.code(), Some(126), "{here:?}");
    assert_eq!((there.status.code(), &there.stderr), (Some(126), &here.stderr), "{there:?}");
    assert!(String::from_utf8_lossy(&here.stderr).starts_with("belljar: code:2:"), "{here:?}");
}

async fn what_nobody_allows_is_no_run() {
    let served = Served::start(&["--set", "network.allow=*.a.test:443"]);
    let asked = |places: Value| {
        let body = json!({ "runtime": "bash", "code": ":", "network": places }).to_string();
        let (status, answer) = served.ask("POST", "/v1/runs", &body);
        (status, serde_json::from_str::<Value>(&answer).unwrap())
    };
    for places in [json!(["a.test:443"]), json!(["b.a.test:80"]), json!(["*.test:443"])] {
        let (status, problem) = asked(places);
        assert_eq!((status, &problem["code"]), (403, &json!("policy_refused")), "{problem}");
        let message = problem["message"].as_str().unwrap();
        assert!(message.ends_with("may be granted: *.a.test:443"), "{message}");
    }
    assert_eq!(asked(json!(["https://a.test"])).0, 400);
    let (_, runs) = served.ask("GET", "/v1/runs", "");
    assert!(runs.contains("\"runs\":[]"), "{runs}");
}

/// In the outcome, the log and the metrics.
async fn a_connection_is_told_of_everywhere() {
    let [resolver, _] = resolvers();
    let mut served = Served::start(&[
        "--set",
        "tenants.header=true",
        "--set",
        "network.allow=a.test:9",
        "--set",
        &format!("network.resolver={resolver}"),
    ]);
    assert_eq!(resolved(&mut served, ""), "refused_address");
    let (_, logs) = served.ask("GET", "/v1/logs", "");
    let logs: Value = serde_json::from_str(&logs).unwrap();
    let entries = logs["entries"].as_array().unwrap();
    // The library says the same of what it ran, in its own words.
    let of_service = |entry: &&Value| {
        entry["source"].as_str().is_some_and(|source| source.starts_with("belljar_service"))
    };
    let mut ended = entries.iter().filter(|entry| entry["message"] == "ended");
    let ended = ended.find(of_service).unwrap();
    assert_eq!(ended["fields"]["connections"].to_string().trim_matches('"'), "1", "{ended}");
    let row = "belljar_network_connections_total{verdict=\"refused_address\"}";
    assert_eq!(served.counted(row), 1);
    assert_eq!(served.counted("belljar_denials_total{kind=\"network\"}"), 1);
}

async fn a_word_that_is_no_mode_is_told_of_and_runs_nothing() {
    let served = Served::start(&["--set", "rules.runtimes.js.mode=strict"]);
    let (_, logs) = served.ask("GET", "/v1/logs?level=warn", "");
    assert!(logs.contains("rules.runtimes.js.mode"), "{logs}");
    assert_eq!(served.ask("POST", "/v1/runs", r#"{"runtime":"js","code":"1"}"#).0, 403);
}

/// Whether anything runs.
pub(crate) fn let_run(served: &mut Served, key: &str) -> String {
    ask(served, &tenant(key), "POST", "/v1/runs", NOTHING).status.to_string()
}

/// Whether a command is let run that no list has.
pub(crate) fn commands(served: &mut Served, key: &str) -> String {
    let body = r#"{"runtime":"bash","code":"false && frobnicate; true"}"#;
    ask(served, &tenant(key), "POST", "/v1/runs", body).status.to_string()
}

/// Whether a private place is granted. Nobody connects to it.
pub(crate) fn granted(served: &mut Served, key: &str) -> String {
    let body = r#"{"runtime":"bash","code":":","network":["10.1.2.3:9"]}"#;
    ask(served, &tenant(key), "POST", "/v1/runs", body).status.to_string()
}

/// What becomes of a connection to a name.
pub(crate) fn resolved(served: &mut Served, key: &str) -> String {
    // Inside, whoever accepts is the gate: what it found out shows when it hangs up.
    let code = "exec 3<>/dev/tcp/a.test/9; read -r -t 20 -u 3 || true";
    let body = json!({ "runtime": "bash", "code": code, "network": ["a.test:9"] });
    let outcome = ask(served, &tenant(key), "POST", "/v1/runs", &body.to_string()).json();
    let verdict = &outcome["network"]["connections"][0]["verdict"];
    verdict.as_str().unwrap_or_else(|| panic!("{outcome}")).to_owned()
}

/// Whether what a model writes runs.
pub(crate) fn models_run(served: &mut Served, _: &str) -> String {
    let arguments: Value = serde_json::from_str(NOTHING).unwrap();
    let params = json!({ "name": "run_code", "arguments": arguments });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let body = message.to_string();
    let length = body.len();
    let answer = served.say(
        format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nmcp-session-id: mine\r\n\
             content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .as_bytes(),
    );
    let told = answer.lines().find_map(|line| {
        let line = line.strip_prefix("data: ").unwrap_or(line);
        serde_json::from_str::<Value>(line).ok().filter(Value::is_object)
    });
    let result = told.unwrap_or_else(|| panic!("{answer}"))["result"].take();
    let refused = result["structuredContent"]["code"] == "policy_refused";
    assert_eq!(result["isError"] == true, refused, "{result}");
    if refused { "refused" } else { "ok" }.to_owned()
}

/// Two that resolve names: to a private address, and not at all.
pub(crate) fn resolvers() -> [SocketAddr; 2] {
    static THERE: OnceLock<[SocketAddr; 2]> = OnceLock::new();
    *THERE.get_or_init(|| [Some([10, 9, 8, 7]), None].map(resolver))
}

fn resolver(address: Option<[u8; 4]>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let local = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            if let Ok(answer) = reply(&query[..length], address) {
                drop(socket.send_to(&answer, from));
            }
        }
    });
    local
}

/// The answer to a question (RFC 1035, section 4).
fn reply(query: &[u8], address: Option<[u8; 4]>) -> io::Result<Vec<u8>> {
    const A: [u8; 2] = [0, 1];
    let mut rest = query.get(12..).unwrap_or_default();
    let mut question = Vec::new();
    loop {
        let mut length = [0];
        rest.read_exact(&mut length)?;
        question.write_all(&length)?;
        if length == [0] {
            break;
        }
        let mut label = vec![0; length[0].into()];
        rest.read_exact(&mut label)?;
        question.write_all(&label)?;
    }
    let mut kind = [0; 4];
    rest.read_exact(&mut kind)?;
    question.write_all(&kind)?;
    let answered = address.filter(|_| kind[..2] == A);
    let no_such_name = u8::from(address.is_none()) * 3;
    let mut answer = query[..2].to_vec();
    answer.extend([0x85, 0x80 | no_such_name, 0, 1, 0, u8::from(answered.is_some()), 0, 0, 0, 0]);
    answer.extend(question);
    if let Some(address) = answered {
        // The name of the question, class IN, for a second.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        answer.extend(address);
    }
    Ok(answer)
}
