//! Whose socket it is, and in whose place.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use belljar_tests::{Test, built, tests};
use nix::sys::signal::Signal;

use crate::kinds::is_refused;
use crate::served::{PATIENCE, Served, belljar, launch, soon, wait};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        the_socket_is_its_owners_alone(),
        a_stale_socket_is_replaced_and_a_live_one_is_not(),
        of_two_that_start_together_one_listens(),
        what_is_no_socket_or_not_safe_is_left_alone(),
        options_that_make_no_sense_are_refused(),
        another_user_is_turned_away(Root),
        without_a_place_of_its_own_it_asks_for_one(User),
    ]
}

async fn the_socket_is_its_owners_alone() {
    let served = Served::start(&[]);
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&served.socket), 0o600);
    assert_eq!(mode(served.socket.parent().unwrap()), 0o700);
    assert!(served.is_well());
}

/// The socket of one that is gone. A child that another test forked meanwhile listens on it for a
/// moment.
fn leave_stale(socket: &Path) {
    drop(UnixListener::bind(socket).unwrap());
    assert!(soon(PATIENCE, || UnixStream::connect(socket).is_err()), "somebody listens");
}

async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    leave_stale(&socket);
    assert!(socket.exists(), "a socket outlives who listened on it");
    let (first, said) = launch(&socket, &[]);
    assert!(said.contains("listens on"), "{said}");
    let (second, said) = launch(&socket, &[]);
    assert!(said.contains("a service answers on"), "{said}");
    assert_eq!(wait(second).code(), Some(125));
    let pid = nix::unistd::Pid::from_raw(first.id().cast_signed());
    let run = ["run", "--socket", socket.to_str().unwrap(), "-r", "js", "-c", "1"];
    assert!(belljar(&run).status().unwrap().success());
    nix::sys::signal::kill(pid, Signal::SIGKILL).unwrap();
    wait(first);
    assert!(socket.exists(), "nobody was there to remove it");
    let (third, said) = launch(&socket, &[]);
    assert!(said.contains("listens on"), "{said}");
    let pid = nix::unistd::Pid::from_raw(third.id().cast_signed());
    nix::sys::signal::kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(wait(third).code(), Some(0));
    assert!(!socket.exists());
}

async fn of_two_that_start_together_one_listens() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    leave_stale(&socket);
    let starts = (0..6).map(|_| {
        let socket = socket.clone();
        std::thread::spawn(move || launch(&socket, &[]))
    });
    let started: Vec<_> =
        starts.collect::<Vec<_>>().into_iter().map(|start| start.join().unwrap()).collect();
    let listening = started.iter().filter(|(_, said)| said.contains("listens on")).count();
    assert_eq!(listening, 1, "{started:?}");
    for (child, said) in started {
        if said.contains("listens on") {
            let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
            nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
            assert_eq!(wait(child).code(), Some(0));
        } else {
            assert_eq!(wait(child).code(), Some(125), "{said}");
        }
    }
}

async fn what_is_no_socket_or_not_safe_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "mine").unwrap();
    let serve =
        |path: &Path| belljar(&["serve", "--socket", path.to_str().unwrap()]).output().unwrap();
    is_refused(&serve(&file), "no socket");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    let open = directory.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    is_refused(&serve(&open.join("s")), "others may write");
    is_refused(&serve(&directory.path().join("no/such/s")), "No such file");
    is_refused(&serve(&directory.path().join("l".repeat(200))), "cannot listen");
}

async fn options_that_make_no_sense_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    let serve = ["serve", "--socket", socket.to_str().unwrap()];
    for (args, mentions) in [
        (&["--warm", "cobol"][..], "cobol"),
        (&["--preload", "json"], "--warm"),
        (&["--warm", "js", "--warm-min", "4", "--warm-max", "2"], "above"),
        (&["--warm", "js", "--warm-max", "0"], "--warm-max"),
        (&["--warm", "js", "--warm-memory", "lots"], "--warm-memory"),
        (&["--grace", "soon"], "--grace"),
    ] {
        is_refused(&belljar(&[&serve[..], args].concat()).output().unwrap(), mentions);
        assert!(!socket.exists(), "{args:?}");
    }
}

/// Even where somebody has opened the socket to all.
async fn another_user_is_turned_away() {
    const NOBODY: u32 = 65_534;
    let served = Served::start(&[]);
    let directory = belljar_tests::scratch();
    let program = directory.path().join("belljar");
    // Copied by a process that is gone before anybody starts the copy: a file that is open for
    // writing somewhere, as in a child that another test forked, cannot be executed.
    let copied = Command::new("cp").arg(built("belljar")).arg(&program).status();
    assert!(copied.unwrap().success());
    let run = || {
        let mut command = Command::new(&program);
        command.args(["run", "--socket"]).arg(&served.socket).args(["-r", "js", "-c", "1"]);
        command.uid(NOBODY).gid(NOBODY).current_dir("/").stdin(Stdio::null()).output().unwrap()
    };
    is_refused(&run(), "Permission denied");
    let open = |path: &Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    };
    for place in served.socket.ancestors().take(3) {
        open(place);
    }
    is_refused(&run(), "another user");
    assert!(served.is_well());
}

async fn without_a_place_of_its_own_it_asks_for_one() {
    let output = belljar(&["serve"]).env_remove("XDG_RUNTIME_DIR").output().unwrap();
    is_refused(&output, "--socket PATH");
}
