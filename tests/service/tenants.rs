//! Whose a run is: to everybody else it does not exist.

use std::io::{ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use belljar_tests::{Test, built, read_by_all, tests};
use serde_json::Value;

use crate::line::{Answered, Line};
use crate::served::{PATIENCE, Served, lives, mark, request, soon};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        runs_of_another_tenant_do_not_exist(Bash),
        sessions_of_another_tenant_do_not_exist(Bash),
        a_key_is_its_tenants_own(Bash),
        a_tenant_is_named_only_where_the_operator_allows_it(),
        another_user_has_runs_and_no_view_of_the_rest(Root, Bash),
        a_stranger_learns_nothing_at_all(Root),
    ]
}

const NAMED: [&str; 4] = ["--warm", "bash", "--set", "tenants.header=true"];
/// A user that is known to the service, and one that is not.
pub(crate) const GUEST: u32 = 65_534;
const STRANGER: u32 = 65_533;

fn ask(served: &Served, tenant: &str, method: &str, place: &str, body: &str) -> Answered {
    ask_with(served, &[("x-belljar-tenant", tenant)], method, place, body)
}

fn ask_with(
    served: &Served,
    headers: &[(&str, &str)],
    method: &str,
    place: &str,
    body: &str,
) -> Answered {
    Line::to(&served.socket).unwrap().ask(method, place, headers, body).unwrap()
}

/// Another tenant is told what one is told who asks for what never was.
fn does_not_exist(served: &Served, method: &str, place: &str, id: &str, body: &str) {
    let theirs = ask(served, "other", method, place, body);
    let nobodys = ask(served, "other", method, &place.replace(id, "01NEVER"), body);
    assert_eq!(theirs.status, 404, "{method} {place}: {theirs:?}");
    assert_eq!(theirs.body, nobodys.body, "{method} {place}");
}

async fn runs_of_another_tenant_do_not_exist() {
    let served = Served::start(&NAMED);
    ask(&served, "other", "POST", "/v1/runs", r#"{"runtime":"bash","code":":"}"#);
    let code = r#"{"runtime":"bash","code":"echo 1 > a.txt","collect":["*"]}"#;
    let ended = ask(&served, "own", "POST", "/v1/runs", code).json();
    let mark = mark();
    let code = format!(r#"{{"runtime":"bash","code":"sleep {mark}","stdin_open":true}}"#);
    let headers = [("x-belljar-tenant", "own"), ("prefer", "respond-async")];
    let open = ask_with(&served, &headers, "POST", "/v1/runs", &code).json();
    assert!(soon(PATIENCE, || lives(&mark)), "it does not begin");
    for run in [&ended, &open] {
        let id = run["id"].as_str().unwrap();
        let place = format!("/v1/runs/{id}");
        does_not_exist(&served, "GET", &place, id, "");
        does_not_exist(&served, "GET", &format!("{place}?wait_ms=10"), id, "");
        does_not_exist(&served, "GET", &format!("{place}/events"), id, "");
        does_not_exist(&served, "GET", &format!("{place}/artifacts/a.txt"), id, "");
        does_not_exist(&served, "POST", &format!("{place}/stdin?eof=true"), id, "x");
        does_not_exist(&served, "DELETE", &place, id, "");
        assert_eq!(ask(&served, "own", "GET", &place, "").status, 200);
    }
    assert!(lives(&mark), "another tenant has ended it");
    let list = |tenant| {
        let page = ask(&served, tenant, "GET", "/v1/runs", "").json();
        page["runs"].as_array().unwrap().len()
    };
    assert_eq!((list("own"), list("other")), (2, 1));
    let ended = ended["id"].as_str().unwrap();
    let artifact = ask(&served, "own", "GET", &format!("/v1/runs/{ended}/artifacts/a.txt"), "");
    assert_eq!((artifact.status, &*artifact.body), (200, "1\n"));
    let before = format!("/v1/runs?before={ended}");
    assert_eq!(ask(&served, "other", "GET", &before, "").json()["runs"], Value::Array(vec![]));
}

async fn sessions_of_another_tenant_do_not_exist() {
    let served = Served::start(&NAMED);
    let session = ask(&served, "own", "POST", "/v1/sessions", r#"{"runtime":"bash"}"#);
    assert_eq!(session.status, 201, "{session:?}");
    let session = session.json()["id"].as_str().unwrap().to_owned();
    let place = format!("/v1/sessions/{session}");
    let call = r#"{"code":"x=1"}"#;
    does_not_exist(&served, "GET", &place, &session, "");
    does_not_exist(&served, "POST", &format!("{place}/calls"), &session, call);
    does_not_exist(&served, "POST", &format!("{place}/interrupt"), &session, "");
    does_not_exist(&served, "DELETE", &place, &session, "");
    assert_eq!(ask(&served, "other", "GET", "/v1/sessions", "").body, "{\"sessions\":[]}\n");
    let call = ask(&served, "own", "POST", &format!("{place}/calls"), r#"{"code":"echo <$x>"}"#);
    assert_eq!(call.json()["call"], 1, "{call:?}");
}

async fn a_key_is_its_tenants_own() {
    let served = Served::start(&NAMED);
    let ask = |tenant, code: &str| {
        let headers = [("x-belljar-tenant", tenant), ("idempotency-key", "same")];
        let body = format!(r#"{{"runtime":"bash","code":"{code}"}}"#);
        ask_with(&served, &headers, "POST", "/v1/runs", &body)
    };
    let own = ask("own", "echo 1");
    assert_eq!(own.status, 200, "{own:?}");
    let other = ask("other", "echo 1");
    assert_ne!(own.json()["id"], other.json()["id"]);
    assert_eq!(ask("third", "echo 2").json()["stdout"], "2\n");
    assert_eq!(ask("own", "echo 2").status, 422);
    assert_eq!(ask("own", "echo 1").body, own.body);
}

async fn a_tenant_is_named_only_where_the_operator_allows_it() {
    let served = Served::start(&[]);
    let refused = ask(&served, "own", "GET", "/v1/runs", "");
    assert_eq!((refused.status, &refused.json()["code"]), (403, &"unauthorized".into()));
    let served = Served::start(&["--set", "tenants.header=true"]);
    assert_eq!(ask(&served, "own", "GET", "/v1/runs", "").status, 200);
    for name in ["a/b", "a b", "ä", &"a".repeat(65)] {
        let refused = ask(&served, name, "GET", "/v1/runs", "");
        assert_eq!((refused.status, &refused.json()["code"]), (400, &"invalid_request".into()));
    }
    let twice = [("x-belljar-tenant", "a"), ("x-belljar-tenant", "b")];
    assert_eq!(ask_with(&served, &twice, "GET", "/v1/runs", "").status, 400);
}

/// A client of another user, and the program that it is.
pub(crate) struct Dial {
    socket: PathBuf,
    program: PathBuf,
    _directory: tempfile::TempDir,
}

impl Dial {
    pub(crate) fn to(served: &Served) -> Self {
        let directory = belljar_tests::scratch();
        let program = directory.path().join("dial");
        std::fs::copy(built("belljar-test-dial"), &program).unwrap();
        for place in served.socket.ancestors().skip(1).take(2) {
            read_by_all(place);
        }
        Self { socket: served.socket.clone(), program, _directory: directory }
    }

    /// Status and body.
    pub(crate) fn ask(
        &self,
        user: u32,
        header: &str,
        (method, place): (&str, &str),
        body: &str,
    ) -> (u16, Value) {
        let asked = request(method, place, body).replace("host: x", &format!("host: x{header}"));
        let mut command = Command::new(&self.program);
        let command = command.arg(&self.socket).uid(user).gid(user).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = loop {
            match command.spawn() {
                // A child that another test forked meanwhile holds what was written for a moment.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                child => break child.unwrap(),
            }
        };
        child.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let answer = String::from_utf8(output.stdout).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status in {answer:?}"));
        (status, serde_json::from_str(body).unwrap_or_default())
    }
}

async fn another_user_has_runs_and_no_view_of_the_rest() {
    let users = format!("tenants.users={GUEST}");
    let open = ["--set", "service.socket_mode=0666", "--set", &users];
    let served = Served::start(&[&NAMED[..], &open].concat());
    let dial = Dial::to(&served);
    let post = ("POST", "/v1/runs");
    let (status, run) = dial.ask(GUEST, "", post, r#"{"runtime":"bash","code":"echo guest"}"#);
    assert_eq!((status, &run["stdout"]), (200, &"guest\n".into()), "{run}");
    let place = format!("/v1/runs/{}", run["id"].as_str().unwrap());
    assert_eq!(dial.ask(GUEST, "", ("GET", &place), "").0, 200);
    assert_eq!(served.ask("GET", &place, "").0, 404, "it is no run of root");
    for place in ["/metrics", "/v1/logs"] {
        let (status, problem) = dial.ask(GUEST, "", ("GET", place), "");
        assert_eq!((status, &problem["code"]), (403, &"unauthorized".into()), "{place}");
        assert_eq!(served.ask("GET", place, "").0, 200);
    }
    let own = ask(&served, "blue", "POST", "/v1/runs", r#"{"runtime":"bash","code":":"}"#).json();
    let place = format!("/v1/runs/{}", own["id"].as_str().unwrap());
    for header in ["", "\r\nx-belljar-tenant: blue", "\r\nx-belljar-tenant: 0"] {
        assert_eq!(dial.ask(GUEST, header, ("GET", &place), "").0, 404, "{header}");
    }
}

async fn a_stranger_learns_nothing_at_all() {
    let users = format!("tenants.users={GUEST}");
    let served = Served::start(&["--set", "service.socket_mode=0666", "--set", &users]);
    let dial = Dial::to(&served);
    for (method, place) in [
        ("GET", "/healthz"),
        ("GET", "/metrics"),
        ("GET", "/v1/runs"),
        ("GET", "/v1/runtimes"),
        ("GET", "/v1/host"),
        ("POST", "/v1/runs"),
        ("POST", "/v1/sessions"),
        ("GET", "/nothing"),
    ] {
        let body = r#"{"runtime":"js","code":"1"}"#;
        let (status, problem) = dial.ask(STRANGER, "", (method, place), body);
        assert_eq!((status, &problem["code"]), (403, &"unauthorized".into()), "{method} {place}");
    }
    assert_eq!(dial.ask(GUEST, "", ("GET", "/healthz"), "").0, 200);
}
