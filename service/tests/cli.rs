//! The command line as a caller meets it. Needs no interpreter: the runtime is `js`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

#[path = "cli/asked.rs"]
mod asked;
#[path = "cli/config.rs"]
mod config;
#[path = "cli/manual.rs"]
mod manual;
#[path = "cli/surroundings.rs"]
mod surroundings;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const REFUSED: i32 = 125;

fn belljar(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_belljar"));
    command
        .args(args)
        .stdin(Stdio::null())
        .env_remove("BELLJAR_CONFIG")
        .env_remove("BELLJAR_HOST")
        .env_remove("BELLJAR_LOG")
        .env_remove("BELLJAR_RUNTIMES")
        .env_remove("BELLJAR_SOCKET");
    command
}

fn run(args: &[&str]) -> Output {
    belljar(args).output().unwrap()
}

fn js(code: &str) -> Output {
    run(&["run", "-r", "js", "-c", code])
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Nothing on standard output, one line on standard error, and 125.
fn is_refused(output: &Output, mentions: &str) {
    let line = text(&output.stderr);
    assert_eq!(output.status.code(), Some(REFUSED), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.starts_with("belljar: ") && line.contains(mentions), "{mentions:?} in {line:?}");
}

#[test]
fn bad_options_are_refused_in_one_line() {
    for (args, mentions) in [
        (&["run", "--no-such", "-c", "1"][..], "--no-such"),
        (&["run"], "-c CODE"),
        (&["fly"], "fly"),
        (&[], "run, serve or doctor"),
        (&["run", "-r", "cobol", "-c", "1"], "cobol"),
        (&["run", "-r", "js", "-c", "1", "--memory", "lots"], "--memory"),
        (&["run", "-r", "js", "-c", "1", "--memory", "900T"], "memory_bytes"),
        (&["run", "-r", "js", "-c", "1", "--wall", "soon"], "--wall"),
        (&["run", "-r", "js", "-c", "1", "--wall", "0"], "wall_ms"),
        (&["run", "-r", "js", "-c", "1", "--processes", "-1"], "processes"),
        (&["run", "-r", "js", "-c", "1", "--processes", "5000"], "processes"),
        (&["run", "-r", "js", "-c", "1", "--on-output-limit", "weep"], "truncate or kill"),
        (&["run", "-r", "js", "-c", "1", "--floor", "L9"], "strict"),
        (&["run", "-r", "js", "-c", "1", "--mode", "strict"], "off, restricted, standard or full"),
        (&["run", "-r", "js", "-c", "1", "--allow-net", "a.example"], "it has no port"),
        (&["run", "-r", "js", "-c", "1", "--open-range", "169.254.0.0/16"], "cannot be opened"),
        (&["run", "-r", "js", "-c", "1", "--bind-secret", "T"], "NAME=HOST:PORT"),
        (&["run", "-r", "js", "-c", "1", "--bind-secret", "T=a.test:1"], "not among the secrets"),
        (&["check", "-r", "lua", "-c", "1"], "there are no rules for runtime lua"),
        (&["check", "-r", "js", "-c", "1", "--mode", "off"], "no code runs"),
        (&["run", "-r", "js", "-c", "1", "--env", "NAME"], "NAME=VALUE"),
        (&["run", "-r", "js", "-c", "1", "--env", "BELLJAR_X=1"], "BELLJAR_X"),
        (&["run", "-r", "js", "-c", "1", "--collect", "*"], "--out"),
        (&["run", "-r", "js", "-c", "1", "--out", "/no/such/place"], "/no/such/place"),
        (&["run", "-r", "js", "-c", "1", "--out", ".", "--collect", "/etc/*"], "relative"),
        (&["run", "-r", "js", "-c", "1", "--read-only", "/no/such/place"], "/no/such/place"),
        (&["run", "-r", "js", "-c", "1", "file.js"], "-c"),
        (&["run", "-r", "native", "-c", "1"], "executable"),
        (&["run", "-c", "1", "--runtimes", "/no/such/place"], "/no/such/place"),
    ] {
        is_refused(&run(args), mentions);
    }
}

#[test]
fn what_the_mode_does_not_let_run_has_a_status_of_its_own() {
    let refused = run(&["run", "-r", "js", "-c", "1", "--mode", "off"]);
    assert_eq!(refused.status.code(), Some(126), "{refused:?}");
    assert_eq!(text(&refused.stderr).lines().count(), 1, "{refused:?}");
    let told = run(&["run", "--json", "-r", "js", "-c", "1", "--mode", "off"]);
    assert_eq!(told.status.code(), Some(126), "{told:?}");
    let problem: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!((&problem["code"], &problem["fault"]), (&"policy_refused".into(), &"caller".into()));
}

#[test]
fn code_is_checked_without_being_run() {
    let code = "import os\nprint(os.getcwd())";
    let clean = run(&["check", "--mode", "full", "-c", code]);
    assert!(clean.status.success() && clean.stdout.is_empty(), "{clean:?}");
    let found = run(&["check", "--mode", "restricted", "-c", code]);
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    let first = text(&found.stdout).lines().next().unwrap();
    assert!(first.starts_with("code:1:") && first.contains(" [python/"), "{first}");
    let told = run(&["check", "--json", "--mode", "restricted", "-c", code]);
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!((&told["mode"], &told["findings"][0]["line"]), (&"restricted".into(), &1.into()));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("main.py");
    fs::write(&file, code).unwrap();
    let sarif = run(&["check", "--sarif", file.to_str().unwrap()]);
    assert_eq!(sarif.status.code(), Some(1), "{sarif:?}");
    let log: serde_json::Value = serde_json::from_slice(&sarif.stdout).unwrap();
    let result = &log["runs"][0]["results"][0];
    let place = &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(place, &format!("file://{}", file.display()), "{log}");
}

#[test]
fn secrets_are_refused_by_their_names() {
    for (secret, mentions) in [
        ("lower=hunter2", "capital letters"),
        ("2FAST=hunter2", "capital letters"),
        ("=hunter2", "NAME=VALUE"),
        ("BELLJAR_TEST_IS_UNSET", "BELLJAR_TEST_IS_UNSET"),
        ("KEY@/no/such/place", "--secret KEY"),
    ] {
        is_refused(&run(&["run", "-r", "js", "-c", "1", "--secret", secret]), mentions);
    }
}

#[test]
fn bad_files_are_refused_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(directory.path().join(name), bytes).unwrap();
    write("nul.js", b"1\0");
    write("latin1.js", b"// \xe4");
    write("long.js", &vec![b' '; (1 << 20) + 1]);
    write("good.js", b"1");
    write("half.so", b"\x7fELF");
    write("two\nlines.js", b"\xff");
    fs::create_dir(directory.path().join("inner")).unwrap();
    for (args, mentions) in [
        (&["run", "nul.js"][..], "NUL"),
        (&["run", "latin1.js"], "UTF-8"),
        (&["run", "long.js"], "limit"),
        (&["run", "two\nlines.js"], "UTF-8"),
        (&["run", "absent.js"], "absent.js"),
        (&["run", "half.so"], "half.so"),
        (&["run", "inner"], "directory"),
        (&["run", ".."], "directory"),
        (&["run", "good.js", "--file", "inner"], "directory"),
        (&["run", "good.js", "--file", "good.js"], "twice"),
        (&["run", "good.js", "--file", "nul.js:../up"], "../up"),
        (&["run", "good.js", "--stdin", "inner"], "directory"),
        (&["run", "good.js", "--out", "nul.js"], "not a directory"),
        (&["run", "/dev/zero", "-r", "js"], "regular file"),
    ] {
        let output = belljar(args).current_dir(directory.path()).output().unwrap();
        is_refused(&output, mentions);
    }
}

#[test]
fn an_interpreter_that_is_none_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let fake = directory.path().join("python3");
    fs::write(&fake, "#!/bin/sh\necho I am not Python\n").unwrap();
    for mode in [0o644, 0o755] {
        fs::set_permissions(&fake, fs::Permissions::from_mode(mode)).unwrap();
        let output = run(&["run", "-c", "1", "--python", fake.to_str().unwrap()]);
        is_refused(&output, "not a Python interpreter");
    }
}

#[test]
fn with_json_a_refusal_is_a_problem_on_standard_output() {
    for args in [
        &["run", "--json", "-r", "cobol", "-c", "1"][..],
        &["run", "--json", "--no-such"],
        &["run", "--json", "-r", "js", "-c", "1", "--wall", "0"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(REFUSED));
        assert!(output.stderr.is_empty(), "{output:?}");
        let problem: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let code = problem["code"].as_str().unwrap();
        assert!(["invalid_request", "unknown_runtime"].contains(&code), "{problem}");
        assert_eq!(problem["may_retry"], false);
    }
}

#[test]
fn output_and_exit_status_are_the_payloads_own() {
    let output = js("console.log('out'); console.error('err')");
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("out\n", "err\n"));
    assert_eq!(output.status.code(), Some(0));
    let output = js("throw new Error('no')");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn a_limit_has_its_own_exit_status_and_says_so() {
    let endless = &["run", "-r", "js", "-c", "for (;;) {}"][..];
    let started = Instant::now();
    let output = run(&[endless, &["--wall", "300ms"]].concat());
    assert_eq!(output.status.code(), Some(124), "{output:?}");
    assert_eq!(text(&output.stderr), "belljar: did not finish within 0.3 s (wall_time)\n");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let flood = "for (let i = 0; i < 4000; i++) console.log('0123456789')";
    let limited = ["run", "-r", "js", "-c", flood, "--stdout-limit", "1K"];
    let output = run(&[&limited[..], &["--on-output-limit", "kill"]].concat());
    assert_eq!(output.status.code(), Some(153), "{output:?}");
    let output = run(&limited);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 1024));
    assert!(text(&output.stderr).contains("42976 bytes of stdout dropped"), "{output:?}");
}

#[test]
fn the_outcome_as_json_is_one_line_and_ends_well() {
    let output = run(&["run", "--json", "-r", "js", "-c", "console.log('\\u009b'); throw 1"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let line = text(&output.stdout);
    assert_eq!(line.lines().count(), 1);
    assert!(!line.trim_end().chars().any(char::is_control), "{line}");
    let outcome: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(outcome["status"], "nonzero_exit");
    assert_eq!(outcome["exit_code"], 1);
    assert_eq!(outcome["stdout"], "\u{9b}\n");
    assert_eq!(outcome["encoding"], "utf-8");
    assert_eq!(outcome["receipt"]["layers"].as_array().unwrap().len(), 7);
}

#[test]
fn code_comes_from_a_file_or_from_standard_input() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("hello.js");
    fs::write(&file, "console.log('file')").unwrap();
    let output = run(&["run", file.to_str().unwrap()]);
    assert_eq!(text(&output.stdout), "file\n", "{output:?}");
    let mut child = belljar(&["run", "-r", "js", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"console.log('piped')").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stdout), "piped\n", "{output:?}");
}

#[test]
fn an_interrupted_run_is_gone_at_once() {
    let mut child = belljar(&["run", "-r", "js", "-c", "console.log('up'); for (;;) {}"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 3];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let started = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{output:?}");
    assert_eq!(text(&output.stderr), "belljar: was cancelled (cancelled)\n");
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_run_ends_when_nobody_reads_its_output() {
    let code = "for (;;) console.log('0123456789')";
    let limit = ["--stdout-limit", "64M"];
    let mut child = belljar(&[&["run", "-r", "js", "-c", code][..], &limit].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let started = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn collected_files_follow_no_link_of_the_directory_they_go_to() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let victim = directory.path().join("victim");
    fs::create_dir(&out).unwrap();
    fs::write(&victim, "untouched").unwrap();
    symlink(&victim, out.join("a.txt")).unwrap();
    symlink(directory.path(), out.join("sub")).unwrap();
    fs::write(out.join("b.txt"), "old").unwrap();
    let files = ["a.txt", "b.txt", "sub/victim", "deep/er/c.txt"];
    let mut args = vec!["run", "-r", "js", "-c", "1", "--out", out.to_str().unwrap()];
    let source = directory.path().join("new");
    fs::write(&source, "new").unwrap();
    let named = files.map(|name| format!("{}:{name}", source.display()));
    for (file, name) in named.iter().zip(files) {
        args.extend(["--file", file, "--collect", name]);
    }
    let output = run(&args);
    assert_eq!(output.status.code(), Some(REFUSED), "{output:?}");
    assert_eq!(text(&output.stderr).lines().count(), 2, "{output:?}");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    let read = |name: &str| fs::read_to_string(Path::new(&out).join(name)).unwrap();
    assert_eq!((read("b.txt").as_str(), read("deep/er/c.txt").as_str()), ("new", "new"));
}

#[test]
fn doctor_names_every_layer() {
    let output = run(&["doctor", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["layers"].as_array().unwrap().len(), 7, "{found}");
    assert_eq!(output.status.success(), found["strict"] == true, "{found}");
    assert!(found["limits"].as_array().unwrap().len() >= 12, "{found}");
}

#[test]
fn runtimes_lists_js_as_available() {
    let output = run(&["runtimes", "--json"]);
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let js = rows.as_array().unwrap().iter().find(|row| row["name"] == "js").unwrap();
    assert_eq!(js["available"], true, "{js}");
}
