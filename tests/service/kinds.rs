//! Which way a run starts, and where.

use std::process::Output;

use belljar_tests::{Test, tests};
use serde_json::Value;

use crate::served::{PATIENCE, Served, belljar, soon};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_warm_service_forks_primes_and_keeps_jars(Python, Bash),
        a_preload_is_there_before_the_run(Python),
        what_is_not_warm_starts_cold(Bash),
        limits_that_come_again_are_warm(),
        cold_is_here_and_cold_whatever_the_environment_says(),
        the_environment_names_a_service_that_is_used_if_it_answers(),
        a_service_that_is_named_and_does_not_answer_is_no_reason_to_run_here(),
        what_only_this_side_can_do_is_refused_or_done_here(),
    ]
}

fn outcome(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn start(output: &Output) -> String {
    let outcome = outcome(output);
    assert_eq!(outcome["status"], "ok", "{outcome}");
    outcome["start"].as_str().unwrap().to_owned()
}

async fn a_warm_service_forks_primes_and_keeps_jars() {
    let served = Served::start(&["--warm", "python,js,bash"]);
    assert!(served.said.contains("js: 2 ready"), "{}", served.said);
    for (runtime, code, expected) in [
        ("python", "print(1)", "forked"),
        ("js", "console.log(1)", "primed"),
        ("bash", "echo 1", "jar"),
    ] {
        let output = served.run(&["--json", "-r", runtime, "-c", code]);
        assert_eq!(start(&output), expected, "{runtime}");
        assert_eq!(outcome(&output)["stdout"], "1\n");
    }
}

async fn a_preload_is_there_before_the_run() {
    let served = Served::start(&["--warm", "python", "--preload", "colorsys"]);
    let code = "import sys; print('colorsys' in sys.modules, 'cgitb' in sys.modules)";
    let output = served.run(&["--json", "-r", "python", "-c", code]);
    assert_eq!(start(&output), "forked");
    assert_eq!(outcome(&output)["stdout"], "True False\n");
}

async fn what_is_not_warm_starts_cold() {
    let served = Served::start(&["--warm", "js"]);
    assert_eq!(start(&served.run(&["--json", "-r", "bash", "-c", ":"])), "cold");
    let asked = r#"{"runtime":"js","code":"1","start":"cold"}"#;
    let (status, body) = served.ask("POST", "/v1/runs", asked);
    assert!(status == 200 && body.contains(r#""start":"cold""#), "{status} {body}");
    let asked = r#"{"runtime":"js","code":"1","start":"fresh"}"#;
    let (status, body) = served.ask("POST", "/v1/runs", asked);
    assert!(status == 200 && body.contains(r#""start":"jar""#), "{status} {body}");
}

async fn limits_that_come_again_are_warm() {
    let served = Served::start(&["--warm", "js"]);
    let run = || start(&served.run(&["--json", "-r", "js", "--memory", "77M", "-c", "1"]));
    assert_eq!(run(), "cold");
    assert!(soon(PATIENCE, || run() == "primed"), "these limits are never warm");
    // Others that come once push nothing out.
    for memory in 100..140_u64 {
        let memory = memory << 20;
        let asked =
            format!(r#"{{"runtime":"js","code":"1","limits":{{"memory_bytes":{memory}}}}}"#);
        let (status, body) = served.ask("POST", "/v1/runs", &asked);
        assert!(status == 200 && body.contains(r#""start":"cold""#), "{status} {body}");
    }
    assert_eq!(run(), "primed");
    // These are no part of a jar.
    let outside = ["--wall", "7s", "--stdout-limit", "9"];
    let args = [&["--json", "-r", "js", "-c", "1"][..], &outside].concat();
    assert_eq!(start(&served.run(&args)), "primed");
}

async fn cold_is_here_and_cold_whatever_the_environment_says() {
    let served = Served::start(&["--warm", "js"]);
    let run = ["run", "--json", "-r", "js", "-c", "1"];
    let with = |more: &[&str]| {
        belljar(&[&run[..], more].concat()).env("BELLJAR_SOCKET", &served.socket).output().unwrap()
    };
    assert_eq!(start(&with(&[])), "primed");
    assert_eq!(start(&with(&["--cold"])), "cold");
    let output = served.run(&["--cold", "-r", "js", "-c", "1"]);
    is_refused(&output, "--cold");
}

async fn the_environment_names_a_service_that_is_used_if_it_answers() {
    for socket in ["/no/such/socket", "", "/dev/null"] {
        let output = belljar(&["run", "--json", "-r", "js", "-c", "1"])
            .env("BELLJAR_SOCKET", socket)
            .output()
            .unwrap();
        assert_eq!(start(&output), "cold", "{socket}");
    }
}

async fn a_service_that_is_named_and_does_not_answer_is_no_reason_to_run_here() {
    let output = belljar(&["run", "--socket", "/no/such/socket", "-r", "js", "-c", "1"]);
    is_refused(&{ output }.output().unwrap(), "no service answers");
}

async fn what_only_this_side_can_do_is_refused_or_done_here() {
    let served = Served::start(&[]);
    for args in [
        &["/bin/true"][..],
        &["-r", "js", "-c", "1", "--read-only", "/usr/share"],
        &["-r", "js", "-c", "1", "--runtimes", "/usr"],
    ] {
        is_refused(&served.run(args), "leave --socket out");
        let here = belljar(&[&["run"], args].concat());
        let status = { here }.env("BELLJAR_SOCKET", &served.socket).status().unwrap();
        assert_eq!(status.code(), Some(0), "{args:?}");
    }
}

/// Nothing on standard output, one line on standard error, and 125.
pub(crate) fn is_refused(output: &Output, mentions: &str) {
    let line = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.starts_with("belljar: ") && line.contains(mentions), "{mentions:?} in {line:?}");
}
