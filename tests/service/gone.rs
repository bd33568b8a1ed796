//! Whoever does not want a run any more ends it.

use std::io::{Read, Write};
use std::process::{Child, Output};
use std::time::Duration;

use belljar_tests::{Test, tests};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::served::{PATIENCE, Served, lives, mark, request, soon};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_client_that_goes_away_takes_its_run_with_it(Bash),
        an_interrupted_client_tells_what_came_of_it(Bash),
        a_run_is_ended_by_its_name(Bash),
        a_client_hears_that_the_service_died(Bash),
    ]
}

/// From the end of a client to the end of its payload, which ends by itself much later.
const AT_ONCE: Duration = Duration::from_secs(10);

/// From the start of a payload until its client knows of it; on a busy machine, and on one that
/// hardly goes on.
const HEARD: [Duration; 3] =
    [Duration::from_millis(300), Duration::from_secs(2), Duration::from_secs(10)];

fn sleeper(served: &Served, more: &[&str]) -> (Child, String) {
    let mark = mark();
    let code = format!("echo up; sleep {mark}");
    let child = served.command(&[&["-r", "bash", "-c", &code], more].concat()).spawn().unwrap();
    assert!(soon(PATIENCE, || lives(&mark)), "it does not begin");
    (child, mark)
}

/// One whose client has heard of it, and has said what it wrote.
fn heard(served: &Served) -> (Child, String) {
    let (mut child, mark) = sleeper(served, &[]);
    let mut said = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(&said, b"up\n");
    (child, mark)
}

/// What is told as JSON by one that a signal ends. Before that it says nothing, not even that it has
/// heard of its run; and nothing as JSON, if it has not.
fn interrupted(served: &Served, signal: Signal) -> Output {
    let mut tries = HEARD.into_iter().map(|pause| {
        let (child, _) = sleeper(served, &["--json"]);
        std::thread::sleep(pause);
        send(&child, signal);
        child.wait_with_output().unwrap()
    });
    tries.find(|output| !output.stdout.is_empty()).unwrap()
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
}

async fn a_client_that_goes_away_takes_its_run_with_it() {
    for options in [&[][..], &["--warm", "bash"]] {
        let served = Served::start(options);
        let (mut child, mark) = heard(&served);
        send(&child, Signal::SIGKILL);
        assert!(soon(AT_ONCE, || !lives(&mark)), "it outlives a killed client {options:?}");
        child.wait().unwrap();
        for accept in ["application/json", "application/x-ndjson"] {
            let mark = crate::served::mark();
            let body = format!(r#"{{"runtime":"bash","code":"sleep {mark}"}}"#);
            let asked = request("POST", "/v1/runs", &body);
            let asked = asked.replace("host: x", &format!("host: x\r\naccept: {accept}"));
            let mut stream = served.connect();
            stream.write_all(asked.as_bytes()).unwrap();
            assert!(soon(PATIENCE, || lives(&mark)), "it does not begin");
            drop(stream);
            assert!(soon(AT_ONCE, || !lives(&mark)), "it outlives {accept} {options:?}");
        }
        assert!(served.is_well());
    }
}

async fn an_interrupted_client_tells_what_came_of_it() {
    let served = Served::start(&["--warm", "bash"]);
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let (child, mark) = heard(&served);
        send(&child, signal);
        assert!(soon(AT_ONCE, || !lives(&mark)), "{signal}");
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        assert_eq!(output.stderr, b"belljar: was cancelled (cancelled)\n");
        let output = interrupted(&served, signal);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let outcome: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&outcome["status"], &outcome["stdout"]), (&"cancelled".into(), &"up\n".into()));
    }
}

async fn a_run_is_ended_by_its_name() {
    let served = Served::start(&[]);
    let mark = mark();
    let body = format!(r#"{{"runtime":"bash","code":"sleep {mark}"}}"#);
    let asked = request("POST", "/v1/runs", &body);
    let asked = asked.replace("host: x", "host: x\r\naccept: application/x-ndjson");
    let mut stream = served.connect();
    stream.write_all(asked.as_bytes()).unwrap();
    assert!(soon(PATIENCE, || lives(&mark)), "it does not begin");
    let mut begun = vec![0; 4096];
    let length = stream.read(&mut begun).unwrap();
    let begun = String::from_utf8_lossy(&begun[..length]).into_owned();
    let id = begun.split(r#""id":""#).nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let (status, problem) = served.ask("DELETE", "/v1/runs/01NOSUCHRUN", "");
    assert!(status == 404 && problem.contains("not_found"), "{status} {problem}");
    assert_eq!(served.ask("DELETE", &format!("/v1/runs/{id}"), "").0, 204);
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains(r#""status":"cancelled""#), "{rest}");
    assert!(!lives(&mark));
    assert_eq!(served.ask("DELETE", &format!("/v1/runs/{id}"), "").0, 404);
}

async fn a_client_hears_that_the_service_died() {
    let mut served = Served::start(&[]);
    let (child, mark) = heard(&served);
    served.send(Signal::SIGKILL);
    assert!(!served.end().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said, "belljar: the service went away before the run had ended\n");
    assert!(soon(AT_ONCE, || !lives(&mark)), "it outlives the service");
}
