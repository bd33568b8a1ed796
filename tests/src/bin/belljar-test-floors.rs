//! Runs one check, in an environment where no namespace can be made, as in a container: a user
//! namespace in which `max_user_namespaces` is 0, and root has what a container leaves it.
//!
//! `outside LEVEL CHECK` makes the environment and becomes, through `enter`, `check` in it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says so"
)]

use std::fs;
use std::io::{self, BufRead as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use belljar::{Error, Floor, Limits, Network, Outcome, Sandbox, Source, State};
use belljar_tests::{Before, expect, limits, read_by_all, sandbox, scratch, stderr, stdout};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};

/// What the default of Docker takes from root.
const TAKEN: &str = "-sys_admin,-sys_ptrace,-dac_read_search,-sys_resource,-net_admin,-ipc_lock";
/// Debian's own: root may find another interpreter in its home, where no other id gets to.
const PYTHON: &str = "/usr/bin/python3";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [stage, level, check] = &arguments[..] else { panic!("STAGE LEVEL CHECK") };
    match stage.as_str() {
        "outside" => outside(level, check),
        "enter" => enter(level, check),
        _ => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            let floor = if level == "L2" { Floor::L2 } else { Floor::L1 };
            runtime.expect("a runtime").block_on(run_check(check, floor));
            ExitCode::SUCCESS
        }
    }
}

fn outside(level: &str, check: &str) -> ExitCode {
    let own = std::env::current_exe().unwrap();
    let mut child = Command::new(own)
        .args(["enter", level, check])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    let (uid, gid) = (getuid(), getgid());
    let maps = if level == "L2" {
        let all = "0 0 4294967295".to_owned();
        [("uid_map", all.clone()), ("gid_map", all)]
    } else {
        fs::write(format!("/proc/{}/setgroups", child.id()), "deny").unwrap();
        [("uid_map", format!("{uid} {uid} 1")), ("gid_map", format!("{gid} {gid} 1"))]
    };
    for (file, text) in maps {
        fs::write(format!("/proc/{}/{file}", child.id()), text).unwrap();
    }
    drop(child.stdin.take());
    if child.wait().unwrap().success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn enter(level: &str, check: &str) -> ExitCode {
    unshare(CloneFlags::CLONE_NEWUSER).unwrap();
    println!("in");
    io::stdout().flush().unwrap();
    io::stdin().read_line(&mut String::new()).unwrap();
    // Of this namespace alone, whose owner we are.
    fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new("setpriv");
    if level == "L2" {
        command.args(["--bounding-set", TAKEN]);
    }
    let error = command
        .args(["--inh-caps", "-all"])
        .arg(own)
        .args(["check", level, check])
        .stdout(io::stderr())
        .exec();
    panic!("setpriv: {error}");
}

async fn run_check(check: &str, floor: Floor) {
    // What the first run of a process opens stays open.
    if check != "hold" && check != "strict" {
        let runs = native(floor).run(Source::program("/bin/true")).await;
        expect(&runs.expect("the floor holds"), "ok");
    }
    let before = Before::look();
    match check {
        "strict" => strict_is_refused(floor).await,
        "runtimes" => runtimes_run(floor).await,
        "receipt" => the_receipt_names_what_is_lost(floor).await,
        "files" => the_files_of_the_host_are_closed(floor).await,
        "network" => {
            no_server_is_reached(floor).await;
            a_network_needs_namespaces(floor).await;
        }
        "processes" => others_are_out_of_reach(floor).await,
        "ends" => a_tree_ends_with_its_payload(floor).await,
        "bomb" => a_fork_bomb_ends(floor).await,
        "secrets" => no_secret_is_on_disk(floor).await,
        "orphans" => nothing_survives_the_supervisor(floor).await,
        "hold" => hold(floor).await,
        other => panic!("no check {other}"),
    }
    before.unchanged().await;
}

fn native(floor: Floor) -> Sandbox {
    sandbox("native").floor(floor).build().expect("a sandbox")
}

async fn python(floor: Floor, code: &str) -> Outcome {
    let sandbox = sandbox("python").program(PYTHON).floor(floor).build().expect("python");
    sandbox.run(code).await.expect("an outcome")
}

async fn bash_within(floor: Floor, limits: Limits, code: &str) -> Outcome {
    let sandbox = sandbox("bash").floor(floor).limits(limits).build().expect("bash");
    sandbox.run(code).await.expect("an outcome")
}

async fn bash(floor: Floor, code: &str) -> Outcome {
    bash_within(floor, limits(), code).await
}

async fn strict_is_refused(floor: Floor) {
    let mut floors = vec![Floor::STRICT];
    floors.extend((floor == Floor::L1).then_some(Floor::L2));
    // Not even after a weaker run was accepted in the same process.
    for _ in 0..2 {
        for floor in &floors {
            let sandbox = sandbox("native").floor(*floor).build().unwrap();
            let refused = sandbox.run(Source::program("/bin/true")).await.unwrap_err();
            let Error::Unenforceable { what, errno, hint, .. } = &refused else {
                panic!("{refused:?}");
            };
            assert_eq!(what, "namespaces");
            assert!(*errno != 0 && hint.contains("sysctl") && hint.contains("floor"), "{refused}");
        }
        expect(&native(floor).run(Source::program("/bin/true")).await.unwrap(), "ok");
    }
}

async fn runtimes_run(floor: Floor) {
    let outcome = python(
        floor,
        "import os, tempfile, socket\n\
         a, b = socket.socketpair(); a.send(b'x'); assert b.recv(1) == b'x'\n\
         open(tempfile.mkstemp()[1], 'w').write('x')\n\
         assert os.path.realpath(os.environ['HOME']) == os.getcwd()\n\
         print(sum(range(10)))",
    )
    .await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "45\n");
    let source = Source::code("cat in/data.txt <(echo sub); echo art > made; pwd >&2")
        .file("in/data.txt", "given\n")
        .collect("*");
    let sandbox = sandbox("bash").floor(floor).build().unwrap();
    let outcome = sandbox.run(source).await.unwrap();
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "given\nsub\n", "{}", stderr(&outcome));
    let artifact = outcome.artifacts.iter().find(|artifact| artifact.path.ends_with("made"));
    assert_eq!(artifact.expect("an artifact").bytes, b"art\n", "{:?}", outcome.artifact_errors);
    let sandbox = belljar_tests::sandbox("js").floor(floor).build().unwrap();
    let outcome = sandbox.run("console.log(6 * 7)").await.unwrap();
    assert_eq!(stdout(&outcome), "42\n");
}

async fn the_receipt_names_what_is_lost(floor: Floor) {
    let receipt = native(floor).run(Source::program("/bin/true")).await.unwrap().receipt;
    assert_eq!((receipt.floor, receipt.level), (floor, floor));
    let layer = |name: &str| {
        let row = receipt.layers.iter().find(|row| row.layer.name() == name).expect("a layer");
        (row.state, row.how.as_str())
    };
    let (state, how) = layer("namespaces");
    assert_eq!(state, State::Missing);
    assert!(how.contains("other processes are in sight"), "{how}");
    let (state, how) = layer("rootfs");
    assert_eq!(state, State::Missing);
    assert!(how.contains("Landlock alone"), "{how}");
    assert_eq!(layer("seccomp").0, State::Enforced);
    let bounding = if floor == Floor::L2 { State::Enforced } else { State::Degraded };
    assert_eq!(layer("privileges").0, bounding);
    for (limit, state) in [("disk_bytes", State::Degraded), ("inodes", State::Missing)] {
        let row = receipt.limits.iter().find(|row| row.limit == limit).expect("a limit");
        assert_eq!(row.state, state, "{row:?}");
    }
}

async fn the_files_of_the_host_are_closed(floor: Floor) {
    let directory = scratch();
    let secret = directory.path().join("secret");
    fs::write(&secret, "hunter2").unwrap();
    read_by_all(&secret);
    // As weak as it gets: everybody may write, and with L1 the payload owns it.
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(directory.path(), mode(0o777)).unwrap();
    fs::set_permissions(&secret, mode(0o666)).unwrap();
    let seen = || fs::metadata(&secret).map(|found| (found.modified().unwrap(), found.len()));
    let before = seen().unwrap();
    let path = secret.display();
    let attacks = format!(
        "n() {{ \"$@\" 2>/dev/null && echo \"done: $*\"; }}\n\
         n cat {path}\nn truncate -s 1 {path}\nn rm {path}\nn ln {path} mine\n\
         n mv {path} mine\nn mkdir {path}-d\nn ln -s x {path}-l\nn touch {path}-t\n\
         n ls \"${{PWD%/work}}/..\"\nn ls /\nn ls /proc\nn cat /proc/self/environ\n\
         n cp /etc/shadow .\nn bash -c 'echo x > {path}'\nn bash -c 'echo x > ../run/x'\n\
         cp /bin/true mine; n ./mine\n"
    );
    // With an id of its own, permissions keep these away from files of others.
    let own = if floor == Floor::L1 {
        format!("n chmod 7 {path}\nn touch {path}\n")
    } else {
        String::new()
    };
    let script = attacks + &own + "true";
    let outcome = bash(floor, &script).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "");
    assert_eq!(seen().unwrap(), before);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    // In the open, the same script does it all.
    let open = scratch();
    fs::create_dir_all(open.path().join("work")).unwrap();
    let bites = Command::new("bash")
        .args(["-c", &script])
        .current_dir(open.path().join("work"))
        .output()
        .unwrap();
    let done = String::from_utf8(bites.stdout).unwrap();
    for what in [&format!("cat {path}"), "truncate", "ls /\n", "cat /proc", "./mine"] {
        assert!(done.contains(&format!("done: {what}")), "{what} proves nothing: {done}");
    }
}

async fn no_server_is_reached(floor: Floor) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let directory = scratch();
    let path = directory.path().join("log");
    let log = UnixDatagram::bind(&path).unwrap();
    log.set_nonblocking(true).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let outcome = python(
        floor,
        &format!(
            "import socket as s\n\
             def refused(what):\n\
             \x20   try: what()\n\
             \x20   except OSError as e: return e.errno\n\
             print(refused(lambda: s.create_connection(('127.0.0.1', {port}))),\n\
             \x20     refused(lambda: s.socket(s.AF_INET, s.SOCK_DGRAM)),\n\
             \x20     refused(lambda: s.socket(s.AF_UNIX)),\n\
             \x20     refused(lambda: s.socketpair(s.AF_UNIX, s.SOCK_DGRAM)[0].sendto(b'x', '{}')))",
            path.display()
        ),
    )
    .await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "97 97 97 97\n");
    assert!(outcome.denials.iter().any(|denied| denied.what.contains("AF_INET")));
    assert_eq!(log.recv(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

async fn a_network_needs_namespaces(floor: Floor) {
    let source = Source::program("/bin/true").network(Network::Loopback);
    let refused = native(floor).run(source).await.unwrap_err();
    let is_said = matches!(&refused, Error::Unenforceable { what, .. } if what == "network");
    assert!(is_said, "{refused:?}");
}

async fn others_are_out_of_reach(floor: Floor) {
    let mut other = Command::new("sleep").arg("1000").spawn().unwrap();
    let (own, other_pid) = (std::process::id(), other.id());
    let outcome = python(
        floor,
        &format!(
            "import ctypes, os, signal\n\
             libc = ctypes.CDLL(None, use_errno=True)\n\
             for pid in ({own}, {other_pid}, os.getppid()):\n\
             \x20   for what in (signal.SIGKILL, signal.SIGSTOP):\n\
             \x20       try: os.kill(pid, what); print('killed', pid)\n\
             \x20       except PermissionError: pass\n\
             \x20   if libc.ptrace(16, pid, 0, 0) == 0: print('traced', pid)\n\
             \x20   for file in ('mem', 'environ', 'maps', 'fd/0', 'cmdline'):\n\
             \x20       try: open(f'/proc/{{pid}}/{{file}}', 'rb'); print('opened', pid, file)\n\
             \x20       except OSError: pass\n\
             for pid in ({own}, {other_pid}):\n\
             \x20   try: os.setpriority(os.PRIO_PROCESS, pid, 19); print('slowed', pid)\n\
             \x20   except OSError: pass\n\
             try: os.kill(-1, signal.SIGTERM)\n\
             except PermissionError: pass\n\
             print('end')"
        ),
    )
    .await;
    let stat = fs::read_to_string(format!("/proc/{other_pid}/stat")).unwrap();
    // Before anything is said: as long as it lives, whoever reads what we say waits for more.
    other.kill().and_then(|()| other.wait()).unwrap();
    // The last one may have reached the payload itself.
    let text = stdout(&outcome);
    assert!(text.is_empty() || text == "end\n", "{text}{}", stderr(&outcome));
    let is_well = [" S ", " R ", " D "].iter().any(|state| stat.contains(state));
    assert!(is_well && stat.contains(" 20 0 1 "), "{stat}");
}

async fn a_tree_ends_with_its_payload(floor: Floor) {
    // A daemon, one that is stopped, and one whose first thread has ended before the others.
    let outcome = python(
        floor,
        "import ctypes, os, signal, threading, time\n\
         if os.fork() == 0:\n\
         \x20   os.setsid()\n\
         \x20   if os.fork() == 0: signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); time.sleep(1000)\n\
         \x20   if os.fork() == 0: os.kill(os.getpid(), signal.SIGSTOP)\n\
         \x20   threading.Thread(target=time.sleep, args=(1000,)).start()\n\
         \x20   ctypes.CDLL(None).syscall(60, 0)\n\
         time.sleep(0.3)\n\
         os._exit(3)",
    )
    .await;
    expect(&outcome, "nonzero_exit");
    let started = Instant::now();
    let wall = Duration::from_millis(500);
    let outcome = bash_within(
        floor,
        Limits { wall, ..limits() },
        "trap '' TERM HUP INT; for i in 1 2 3; do setsid sleep 1000 & done; kill -STOP $$; sleep 9",
    )
    .await;
    expect(&outcome, "wall_time");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

async fn a_fork_bomb_ends(floor: Floor) {
    let started = Instant::now();
    let limits = Limits { wall: Duration::from_secs(1), processes: 40, ..limits() };
    let outcome = bash_within(floor, limits, ":() { : | : & }; :; sleep 9").await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(outcome.usage.processes_peak <= 64, "{:?}", outcome.usage);
}

async fn no_secret_is_on_disk(floor: Floor) {
    let code = "import belljar, os; print(len(belljar.secrets['KEY']))";
    let python = sandbox("python").program(PYTHON).floor(floor).build().unwrap();
    let outcome = python.run(Source::code(code).secret("KEY", "hunter2").unwrap()).await.unwrap();
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "7\n");
    let bash = sandbox("bash").floor(floor).build().unwrap();
    let refused = bash.run(Source::code("true").secret("KEY", "hunter2").unwrap()).await;
    assert!(matches!(refused, Err(Error::Unenforceable { what, .. }) if what == "secrets"));
}

/// A supervisor that is killed leaves a directory, which the next one removes, and nothing else.
async fn nothing_survives_the_supervisor(floor: Floor) {
    let own = std::env::current_exe().unwrap();
    let stage = |check: &str| {
        let mut command = Command::new(&own);
        command.args(["check", floor.name(), check]);
        command
    };
    let before = Before::look();
    let mut held = stage("hold").stdout(Stdio::piped()).spawn().unwrap();
    io::BufReader::new(held.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    let prefix = format!("belljar-{}-", held.id());
    let left = || {
        let places = [std::env::temp_dir(), "/tmp".into()];
        let entries = places.into_iter().flat_map(|place| fs::read_dir(place).unwrap()).flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)).count()
    };
    held.kill().unwrap();
    held.wait().unwrap();
    before.unchanged().await;
    assert!(left() > 0);
    assert!(stage("receipt").status().unwrap().success());
    assert_eq!(left(), 0);
}

async fn hold(floor: Floor) {
    let code = "setsid sleep 1000 & trap '' HUP TERM; echo up; sleep 1000";
    let sandbox = sandbox("bash").floor(floor).build().unwrap();
    let mut run = sandbox.start(code).await.unwrap();
    run.output().await.expect("output");
    println!("up");
    io::stdout().flush().unwrap();
    drop(run.wait().await);
}
