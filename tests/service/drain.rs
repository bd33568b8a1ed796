//! The end of a service leaves nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use belljar_tests::{Test, tests};
use nix::sys::signal::Signal;

use crate::served::{PATIENCE, Served, lives, mark, soon};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        runs_end_by_themselves_within_the_grace(Bash),
        runs_that_take_longer_are_cancelled(Bash),
        a_second_signal_does_not_wait(Bash),
        an_end_while_it_warms_up_leaves_nothing(Python),
        an_end_at_the_first_sight_of_the_socket_is_in_order(),
    ]
}

fn sleeper(served: &Served, seconds: &str) -> Child {
    let code = format!("sleep {seconds}; echo done");
    let child = served.command(&["-r", "bash", "-c", &code]).spawn().unwrap();
    assert!(soon(PATIENCE, || lives(seconds)), "it does not begin");
    child
}

/// After its end.
fn nothing_is_left(pid: u32, socket: &Path) {
    assert!(!socket.exists());
    let found = groups(Path::new("/sys/fs/cgroup"), &format!("belljar-{pid}-"), 8);
    assert_eq!(found, Vec::<PathBuf>::new());
}

pub(crate) fn groups(directory: &Path, prefix: &str, depth: u32) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            found.push(entry.path());
        } else if depth > 0 {
            found.extend(groups(&entry.path(), prefix, depth - 1));
        }
    }
    found
}

async fn runs_end_by_themselves_within_the_grace() {
    let mut served = Served::start(&["--warm", "bash,js"]);
    let pid = served.pid();
    let mut idle = served.connect();
    let child = sleeper(&served, "4.0001");
    served.send(Signal::SIGTERM);
    assert!(soon(PATIENCE, || !served.socket.exists()), "it still listens");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"done\n"[..]), "{output:?}");
    assert_eq!(served.end().code(), Some(0));
    assert_eq!(std::io::Read::read(&mut idle, &mut [0]).unwrap_or(0), 0);
    nothing_is_left(pid, &served.socket);
}

async fn runs_that_take_longer_are_cancelled() {
    for options in [&["--grace", "200ms"][..], &["--grace", "200ms", "--warm", "bash"]] {
        let mut served = Served::start(options);
        let (pid, mark) = (served.pid(), mark());
        let child = sleeper(&served, &mark);
        let began = Instant::now();
        served.send(Signal::SIGINT);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.stderr, b"belljar: was cancelled (cancelled)\n");
        assert_eq!(output.status.code(), Some(125), "{output:?}");
        assert_eq!(served.end().code(), Some(0));
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        assert!(!lives(&mark));
        nothing_is_left(pid, &served.socket);
    }
}

async fn a_second_signal_does_not_wait() {
    let mut served = Served::start(&["--grace", "1h"]);
    let (pid, mark) = (served.pid(), mark());
    let child = sleeper(&served, &mark);
    served.send(Signal::SIGTERM);
    assert!(soon(PATIENCE, || !served.socket.exists()), "it still listens");
    assert!(lives(&mark));
    served.send(Signal::SIGTERM);
    child.wait_with_output().unwrap();
    assert_eq!(served.end().code(), Some(0));
    assert!(!lives(&mark));
    nothing_is_left(pid, &served.socket);
}

async fn an_end_while_it_warms_up_leaves_nothing() {
    for millis in [0, 20, 60, 150, 300, 600] {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let serve = ["serve", "--warm", "python,js", "--socket", socket.to_str().unwrap()];
        let child = crate::served::belljar(&serve).spawn().unwrap();
        let pid = child.id();
        assert!(soon(PATIENCE, || socket.exists()), "it does not listen");
        std::thread::sleep(Duration::from_millis(millis));
        let signalled = nix::unistd::Pid::from_raw(pid.cast_signed());
        nix::sys::signal::kill(signalled, Signal::SIGTERM).unwrap();
        crate::served::wait(child);
        let found = || groups(Path::new("/sys/fs/cgroup"), &format!("belljar-{pid}-"), 8);
        assert_eq!(found(), Vec::<PathBuf>::new(), "after {millis} ms");
    }
}

async fn an_end_at_the_first_sight_of_the_socket_is_in_order() {
    for _ in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let serve = ["serve", "--socket", socket.to_str().unwrap()];
        let mut child = crate::served::belljar(&serve).spawn().unwrap();
        // Without a pause: it is about what comes right after.
        while !socket.exists() {
            assert!(child.try_wait().unwrap().is_none(), "it does not listen");
        }
        let signalled = nix::unistd::Pid::from_raw(child.id().cast_signed());
        nix::sys::signal::kill(signalled, Signal::SIGTERM).unwrap();
        let status = crate::served::wait(child);
        assert!(status.success(), "{status}");
        assert!(!socket.exists(), "it is left behind");
    }
}
