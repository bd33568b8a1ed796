//! A run in the service of another host is a run, and nothing but a run.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use belljar_tests::{Test, read_by_all, tests};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::served::{PATIENCE, Served, belljar, lives, mark, soon};
use crate::sshd::Far;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_run_on_another_host_is_a_run(Bash, Sshd),
        long_output_comes_whole(Bash, Sshd),
        no_secret_is_on_a_command_line(Bash, Sshd),
        an_interrupt_ends_what_runs_over_there(Bash, Sshd),
        a_client_that_dies_takes_its_run_with_it(Bash, Sshd),
        what_stands_in_the_way_is_told(Sshd),
        a_service_is_asked_from_another_host(Bash, Sshd),
        an_address_is_no_word_of_a_shell(Sshd),
        a_relay_passes_on_both_ends(),
    ]
}

/// From a signal to the end of a payload, with another login in between.
const SOON: Duration = Duration::from_secs(8);

fn here(served: &Served) -> &str {
    served.socket.to_str().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn run(far: &Far, address: &str, args: &[&str]) -> Output {
    far.belljar(&[&["run", "--host", address], args].concat()).output().unwrap()
}

async fn a_run_on_another_host_is_a_run() {
    let (served, far) = (Served::start(&[]), Far::start(true));
    let address = far.address(here(&served));
    let code = "cat; echo \"$A\" >&2; cat in; exit 42";
    let args = ["-r", "bash", "--env", "A=b c", "--stdin", "-", "-c", code];
    fs::write(far.path("in"), b"\xff\x00").unwrap();
    let file = format!("{}:in", far.path("in").display());
    let mut command =
        far.belljar(&[&["run", "--host", &address, "--file", &file], &args[..]].concat());
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"typed\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(42), "{output:?}");
    assert_eq!((output.stdout, output.stderr), (b"typed\n\xff\x00".to_vec(), b"b c\n".to_vec()));
    let (status, rows) = served.ask("GET", "/v1/runs", "");
    assert!(status == 200 && rows.contains("nonzero_exit"), "it ran somewhere else: {rows}");
    let output = far
        .belljar(&["run", "-r", "js", "-c", "console.log('by the environment')"])
        .env("BELLJAR_HOST", &address)
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"by the environment\n", "{output:?}");
    let (_, rows) = served.ask("GET", "/v1/runs", "");
    assert!(rows.contains("\"js\""), "{rows}");
}

async fn long_output_comes_whole() {
    let (served, far) = (Served::start(&[]), Far::start(true));
    let args = ["-r", "bash", "--stdout-limit", "16M", "-c", "seq 1 2000000"];
    let output = run(&far, &far.address(here(&served)), &args);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().zip(1u32..).all(|(line, number)| line == number.to_string()));
    assert_eq!(text.lines().count(), 2_000_000);
}

/// Neither its own, nor that of ssh here, nor of anything there.
async fn no_secret_is_on_a_command_line() {
    let (served, far) = (Served::start(&[]), Far::start(true));
    let (mark, secret) = (mark(), format!("hunter{}", mark()));
    let code = format!("cmp - /run/secrets/KEY < given && echo same; sleep {mark}");
    fs::write(far.path("given"), &secret).unwrap();
    let file = format!("{}:given", far.path("given").display());
    let address = far.address(here(&served));
    let args =
        ["run", "--host", &address, "--secret", "KEY", "--file", &file, "-r", "bash", "-c", &code];
    let mut child = far.belljar(&args).env("KEY", &secret).spawn().unwrap();
    let mut said = [0; 5];
    child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(&said, b"same\n");
    assert!(soon(PATIENCE, || lives(&mark)), "it does not begin");
    let lines: Vec<_> = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .collect();
    send(&child, Signal::SIGINT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(lines.iter().any(|line| line.contains("dial-stdio")), "{lines:?}");
    let told: Vec<_> = lines.iter().filter(|line| line.contains(&*secret)).collect();
    assert!(told.is_empty(), "{told:?}");
}

async fn an_interrupt_ends_what_runs_over_there() {
    let (served, far) = (Served::start(&[]), Far::start(true));
    for is_typed in [false, true] {
        let (child, mark) = sleeper(&served, &far);
        let pid = child.id().cast_signed();
        // What is typed at a terminal goes to all of the group, and so to ssh.
        kill(Pid::from_raw(if is_typed { -pid } else { pid }), Signal::SIGINT).unwrap();
        assert!(soon(SOON, || !lives(&mark)), "{is_typed}");
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        assert_eq!(said(&output), "belljar: was cancelled (cancelled)\n");
    }
    // Nobody is let in any more to tell it: the end of the connection does.
    let (child, mark) = sleeper(&served, &far);
    far.forget();
    send(&child, Signal::SIGTERM);
    assert!(soon(SOON, || !lives(&mark)));
    let output = child.wait_with_output().unwrap();
    assert!(said(&output).contains("the run ended with its connection"), "{output:?}");
    assert!(served.is_well());
}

async fn a_client_that_dies_takes_its_run_with_it() {
    let (served, far) = (Served::start(&[]), Far::start(true));
    let (mut child, mark) = sleeper(&served, &far);
    send(&child, Signal::SIGKILL);
    assert!(soon(SOON, || !lives(&mark)), "it outlives a killed client");
    child.wait().unwrap();
    assert!(served.is_well());
}

fn sleeper(served: &Served, far: &Far) -> (Child, String) {
    let mark = mark();
    let code = format!("echo up; sleep {mark}");
    let address = far.address(here(served));
    let mut command = far.belljar(&["run", "--host", &address, "-r", "bash", "-c", &code]);
    let mut child = command.process_group(0).spawn().unwrap();
    // Not before this side has heard of it as well.
    let mut said = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(&said, b"up\n");
    assert!(soon(PATIENCE, || lives(&mark)), "it does not begin");
    (child, mark)
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
}

async fn what_stands_in_the_way_is_told() {
    let js = ["-r", "js", "-c", "1"];
    let far = Far::start(true);
    // The last line is belljar's, and says which host it is about.
    let told = |far: &Far, path: &str, mentions: &str| {
        let address = far.address(path);
        let output = run(far, &address, &js);
        let text = said(&output);
        let last = text.lines().last().unwrap_or_default();
        assert_eq!(output.status.code(), Some(125), "{text}");
        assert!(output.stdout.is_empty(), "{output:?}");
        assert!(last.starts_with(&format!("belljar: {address}: ")), "{text}");
        assert!(last.contains(mentions), "{mentions}: {text}");
        text
    };
    told(&far, "/no/such/socket", "no service answers there");
    let text = told(&Far::start(false), "/no/such/socket", "no belljar is found there");
    assert!(text.contains("not found"), "what the shell said there is lost: {text}");
    far.forget();
    let text = told(&far, "/no/such/socket", "cannot connect or log in");
    assert!(text.contains("Host key verification failed"), "{text}");
    let nobody = run(&far, "ssh://127.0.0.1:1", &js);
    assert!(said(&nobody).contains("Connection refused"), "{nobody:?}");
    let without = belljar(&["run", "--host", "ssh://127.0.0.1:1", "-r", "js", "-c", "1"])
        .env("BELLJAR_SSH", "no-such-ssh")
        .output()
        .unwrap();
    assert_eq!(without.status.code(), Some(125));
    assert!(said(&without).contains("no-such-ssh is not installed here"), "{without:?}");
    let json = far
        .belljar(&[&["run", "--json", "--host", "ssh://127.0.0.1:1"], &js[..]].concat())
        .output()
        .unwrap();
    let problem: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&problem["fault"], &problem["may_retry"]), (&"host".into(), &true.into()));
}

async fn a_service_is_asked_from_another_host() {
    let (served, far) = (Served::start(&[]), Far::start(true));
    let address = far.address(here(&served));
    assert_eq!(run(&far, &address, &["-r", "bash", "-c", "exit 3"]).status.code(), Some(3));
    for command in ["runs", "logs"] {
        let output = far.belljar(&[command, "--host", &address]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("bash"), "{output:?}");
    }
    let mut following = far.belljar(&["logs", "--follow", "--host", &address]).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("runtime=bash")));
    assert_eq!(run(&far, &address, &["-r", "js", "-c", "1"]).status.code(), Some(0));
    assert!(lines.any(|line| line.contains("runtime=js")));
    following.kill().unwrap();
    following.wait().unwrap();
}

async fn an_address_is_no_word_of_a_shell() {
    let far = Far::start(true);
    let (witness, ssh) = (far.path("witness"), far.path("ssh"));
    fs::write(&ssh, format!("#!/bin/sh\ntouch '{}'\n", witness.display())).unwrap();
    read_by_all(&ssh);
    let act = format!("touch${{IFS}}{}", witness.display());
    for address in [
        format!("ssh://-oProxyCommand={act}"),
        format!("ssh://-oProxyCommand={act}@127.0.0.1"),
        format!("ssh://$({act})@127.0.0.1"),
        format!("ssh://127.0.0.1;{act}"),
        format!("ssh://`{act}`"),
        format!("ssh://127.0.0.1:22;{act}"),
        "ssh://127.0.0.1:-oPermitLocalCommand=yes".to_owned(),
        far.address("/a%0atouch"),
    ] {
        let output = belljar(&["run", "--host", &address, "-r", "js", "-c", "1"])
            .env("BELLJAR_SSH", &ssh)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(125), "{address}: {output:?}");
        assert!(said(&output).contains("--host"), "{address}: {output:?}");
        let mut by_environment = belljar(&["runs"]);
        by_environment.env("BELLJAR_HOST", &address).env("BELLJAR_SSH", &ssh);
        let output = by_environment.output().unwrap();
        assert!(said(&output).contains("BELLJAR_HOST"), "{address}: {output:?}");
    }
    assert!(!witness.exists(), "ssh was asked");
    let mut innocent = belljar(&["runs", "--host", "ssh://127.0.0.1"]);
    innocent.env("BELLJAR_SSH", &ssh).output().unwrap();
    assert!(witness.exists(), "and would not have told");
    fs::remove_file(&witness).unwrap();
    // A path may be anything, and is one word over there.
    let act = format!("touch {}", witness.display());
    for path in
        [format!("/$({act})"), format!("/`{act}`"), format!("/';{act};'"), format!("/a;{act}")]
    {
        let output = run(&far, &far.address(&path), &["-r", "js", "-c", "1"]);
        let text = said(&output);
        assert!(text.contains(&format!("belljar: {path}: no service answers")), "{text}");
    }
    assert!(!witness.exists());
}

async fn a_relay_passes_on_both_ends() {
    let served = Served::start(&[]);
    let mut command = belljar(&["dial-stdio", "--socket", here(&served)]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    stdin.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"{\"status\":\"ok\"}\n") {
        let mut byte = [0];
        stdout.read_exact(&mut byte).unwrap();
        seen.extend(byte);
    }
    // The end of one side is the end of the other.
    drop(stdin);
    stdout.read_to_end(&mut seen).unwrap();
    assert!(child.wait().unwrap().success());
    // And the service's is that of both, whoever still holds standard input.
    let mut child =
        belljar(&["dial-stdio", "--socket", here(&served)]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut seen = String::new();
    child.stdout.take().unwrap().read_to_string(&mut seen).unwrap();
    assert!(seen.ends_with("{\"status\":\"ok\"}\n"), "{seen}");
    assert!(child.wait().unwrap().success());
    let nobody = belljar(&["dial-stdio", "--socket", "/no/such/socket"]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(125));
    assert!(said(&nobody).contains("/no/such/socket: no service answers"), "{nobody:?}");
}
