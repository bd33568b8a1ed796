//! Callers and surroundings that do not mean well: streams nobody reads, signals at any moment,
//! names that are not files.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use super::{REFUSED, belljar, is_refused, run, text};

const SIGNALS: [(Signal, i32); 3] =
    [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)];
/// An id that no payload and no account has anything from.
const NOBODY: u32 = 65_534;

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
}

/// How `child` ends, if it does so soon; it is killed otherwise.
fn end(mut child: Child) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if started.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            assert!(child.wait().unwrap().success(), "it did not end by itself");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// How `child` ends when it is told to until it does: whoever started these tests may ignore the
/// signal, and so does a child until it listens.
fn end_by(mut child: Child, signal: Signal) -> ExitStatus {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(5) {
        send(&child, signal);
        thread::sleep(Duration::from_millis(50));
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
    }
    end(child)
}

/// Cgroups on this host that the process `pid` made.
fn groups_of(pid: u32) -> Vec<PathBuf> {
    let prefix = format!("belljar-{pid}-");
    let mut left = vec![PathBuf::from("/sys/fs/cgroup")];
    let mut found = Vec::new();
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with(&prefix) {
                    found.push(entry.path());
                }
                left.push(entry.path());
            }
        }
    }
    found
}

/// Writes what can be executed at once. Another program does it: a descriptor of ours that is open
/// for writing would be inherited by whatever another test starts at the time, and as long as one
/// is open nobody can execute the file.
fn executable(path: &Path, script: &str) {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "printf %s \"$1\" > \"$2\" && chmod 755 \"$2\"", "sh", script]);
    assert!(shell.arg(path).status().unwrap().success());
}

#[test]
fn a_reader_who_does_not_read_does_not_keep_a_signal_from_ending_it() {
    let ends = "console.log('x'.repeat(900000))";
    let goes_on = "console.log('x'.repeat(900000)); for (;;) {}";
    for (signal, status) in SIGNALS {
        for args in [
            &["run", "-r", "js", "-c", ends][..],
            &["run", "-r", "js", "-c", goes_on],
            &["run", "--json", "-r", "js", "-c", ends],
        ] {
            let mut child = belljar(args).stdout(Stdio::piped()).spawn().unwrap();
            // The pipe is full soon after it is no longer empty.
            let mut stdout = child.stdout.take().unwrap();
            stdout.read_exact(&mut [0]).unwrap();
            thread::sleep(Duration::from_millis(100));
            send(&child, signal);
            assert_eq!(end(child).code(), Some(status), "{args:?}");
            drop(stdout);
        }
    }
}

#[test]
fn what_cannot_be_written_is_not_lost_in_silence() {
    for args in [
        &["run", "--json", "-r", "js", "-c", "1"][..],
        &["run", "-r", "js", "-c", "console.log(1)"],
        &["run", "--json", "-r", "cobol", "-c", "1"],
        &["runtimes", "--json"],
        &["--version"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = belljar(args).stdout(full).stderr(Stdio::piped()).output().unwrap();
        is_refused(&output, "");
    }
}

#[test]
fn logs_that_cannot_be_written_change_nothing() {
    let quiet = ["run", "-r", "js", "--wall", "100ms", "-c", "for (;;) {}"];
    let full = File::options().write(true).open("/dev/full").unwrap();
    let status = belljar(&quiet).env("BELLJAR_LOG", "trace").stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(124));
    // More than a pipe holds: it cannot be over before the reader has left.
    let long = "console.error('x'.repeat(900000)); throw 1";
    let args = ["run", "-r", "js", "-c", long];
    let mut child = belljar(&args)
        .env("BELLJAR_LOG", "trace")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    // The reader leaves in the middle; what the payload itself says is then lost as well.
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("belljar"), "{line}");
    assert_eq!(end(child).code(), Some(141));
    let mut child =
        belljar(&quiet).env("BELLJAR_LOG", "trace").stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(end(child).code(), Some(124));
}

#[test]
fn its_memory_is_nobody_elses() {
    // Whose files of /proc belong to root although it does not run as root cannot be dumped.
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = directory.path().join("belljar");
    // As with a script: no descriptor of ours may be open for writing.
    let mut copy = std::process::Command::new("cp");
    copy.arg(env!("CARGO_BIN_EXE_belljar")).arg(&program);
    assert!(copy.status().unwrap().success());
    let mut command = std::process::Command::new(&program);
    command.args(["run", "-r", "js", "-"]).stdin(Stdio::piped()).current_dir("/");
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if is_root {
        command.uid(NOBODY);
    }
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let place = PathBuf::from(format!("/proc/{}", child.id()));
    let is_private = || {
        // Between changing its user and its program it belongs to root as well.
        let name = fs::read_to_string(place.join("comm")).unwrap();
        name == "belljar\n" && fs::metadata(place.join("environ")).unwrap().uid() == 0
    };
    let started = Instant::now();
    while !is_private() {
        assert!(started.elapsed() < Duration::from_secs(20), "it can be dumped");
        thread::sleep(Duration::from_millis(5));
    }
    drop(child.stdin.take());
    end(child);
}

#[test]
fn a_caller_who_ignores_the_end_of_children_learns_how_the_payload_ended() {
    let directory = tempfile::tempdir().unwrap();
    let fake = directory.path().join("python3");
    executable(&fake, "#!/bin/sh\necho I am not Python\n");
    let ignoring = |args: &[&str]| -> Output {
        let mut shell = std::process::Command::new("bash");
        shell.args(["-c", "trap '' CHLD; exec \"$@\"", "bash"]);
        shell.arg(env!("CARGO_BIN_EXE_belljar")).args(args);
        shell.stdin(Stdio::null()).env_remove("BELLJAR_LOG").output().unwrap()
    };
    let seen = std::process::Command::new("bash")
        .args(["-c", "trap '' CHLD; exec grep SigIgn /proc/self/status"])
        .output()
        .unwrap();
    let mask = u64::from_str_radix(text(&seen.stdout).split_whitespace().last().unwrap(), 16);
    assert_ne!(mask.unwrap() & (1 << (Signal::SIGCHLD as u64 - 1)), 0, "it is not ignored");
    let output = ignoring(&["run", "-r", "js", "-c", "throw 1"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    // Nobody has asked this one before; its answer is read, and its end waited for.
    let output = ignoring(&["run", "-c", "1", "--python", fake.to_str().unwrap()]);
    is_refused(&output, "it answers \"I am not Python\"");
}

#[test]
fn a_signal_while_the_interpreter_is_asked_starts_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let [slow, asked, goes_on] = ["python3", "asked", "on"].map(|name| directory.path().join(name));
    let wait = format!("until [ -e '{}' ]; do sleep 0.05; done", goes_on.display());
    executable(&slow, &format!("#!/bin/sh\n: > '{}'\n{wait}\n", asked.display()));
    for (signal, status) in SIGNALS {
        let child = belljar(&["run", "--json", "-c", "1", "--python", slow.to_str().unwrap()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while !asked.exists() {
            assert!(started.elapsed() < Duration::from_secs(20), "nobody was asked");
            thread::sleep(Duration::from_millis(2));
        }
        send(&child, signal);
        // To be heard before there is an answer.
        thread::sleep(Duration::from_millis(500));
        fs::write(&goes_on, "").unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        assert_eq!(text(&output.stderr), "belljar: was cancelled before it had started\n");
        assert!(output.stdout.is_empty(), "{output:?}");
        fs::remove_file(&asked).unwrap();
        fs::remove_file(&goes_on).unwrap();
    }
}

#[test]
fn a_signal_at_any_moment_leaves_no_cgroup() {
    for round in 0..30 {
        let (signal, code) = SIGNALS[round % SIGNALS.len()];
        let endless = &["run", "-r", "js", "-c", "for (;;) {}"][..];
        let args = if round % 5 == 4 { &["doctor"] } else { endless };
        let child = belljar(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        thread::sleep(Duration::from_millis(round as u64 * 2));
        let status = end_by(child, signal);
        // Before the first handler the signal itself ends it; and the doctor may have been faster.
        let expected = status.code() == Some(code) || status.signal() == Some(signal as i32);
        assert!(expected || args == ["doctor"], "{status:?}");
        assert_eq!(groups_of(pid), Vec::<PathBuf>::new(), "after {round}: {status:?}");
    }
}

#[test]
fn a_fifo_is_refused_and_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    mkfifo(&directory.path().join("ff"), Mode::from_bits_truncate(0o600)).unwrap();
    let js = ["run", "-r", "js", "-c", "1"];
    for args in [
        &["run", "ff"][..],
        &[&js[..], &["--file", "ff:x"]].concat(),
        &[&js[..], &["--secret", "A@ff"]].concat(),
        &[&js[..], &["--stdin", "ff"]].concat(),
        &[&js[..], &["--stdin", "/dev/zero"]].concat(),
    ] {
        let mut command = belljar(args);
        command.current_dir(directory.path()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        assert_eq!(end(child).code(), Some(REFUSED), "{args:?}");
        let mut line = String::new();
        stderr.read_to_string(&mut line).unwrap();
        assert!(line.contains("is not a regular file") && line.lines().count() == 1, "{line}");
    }
    let endless = File::open("/dev/zero").unwrap();
    is_refused(&belljar(&["run", "-r", "js", "-"]).stdin(endless).output().unwrap(), "longer");
    let output = run(&["run", "-r", "js", "-c", "1", "--stdin", "/dev/null"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_person_is_told_what_is_waited_for() {
    let terminal = openpty(None, None).unwrap();
    let mut child = belljar(&["run", "-r", "js", "-c", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(terminal.slave)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut line = String::new();
    BufReader::new(File::from(terminal.master)).read_line(&mut line).unwrap();
    let told = "belljar: waiting for standard input (use --stdin /dev/null to run without)";
    assert_eq!(line.trim_end(), told);
    stdin.write_all(b"late").unwrap();
    drop(stdin);
    assert_eq!(end(child).code(), Some(0));
}

#[test]
fn nothing_that_may_be_a_secret_is_shown() {
    for args in [
        ["--secret", "hunter2-value"],
        ["--secret", "hunter@two"],
        ["--secret", "hunter=two"],
        ["--secret", "P@hunter"],
        ["--secret", "=hunter"],
        ["--env", "hunter2secret"],
    ] {
        let output = run(&[&["run", "-r", "js", "-c", "1"], &args[..]].concat());
        is_refused(&output, "");
        let line = text(&output.stderr);
        assert!(!line.contains("hunter") && !line.contains("two"), "{line}");
    }
}
