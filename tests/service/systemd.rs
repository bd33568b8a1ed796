//! A service that systemd starts: it is told when runs are taken, and reads the units as they are
//! meant.

use std::fs;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::Command;

use belljar_tests::{Test, built, tests};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::served::{PATIENCE, belljar, mark, wait};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        who_starts_a_service_hears_when_it_serves(),
        a_socket_that_is_handed_over_is_served_on(Python),
        systemd_understands_every_line_of_the_units(Systemd),
    ]
}

async fn who_starts_a_service_hears_when_it_serves() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let name = format!("belljar-test-{}", mark());
    let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
    let sockets = [
        (UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap().to_owned()),
        (UnixDatagram::bind_addr(&abstract_name).unwrap(), format!("@{name}")),
    ];
    for (heard, address) in sockets {
        heard.set_read_timeout(Some(PATIENCE)).unwrap();
        let told = || {
            let mut bytes = [0; 64];
            let length = heard.recv(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        };
        let socket = directory.path().join("socket");
        let mut serve = belljar(&["serve", "--socket", socket.to_str().unwrap()]);
        let child = serve.env("NOTIFY_SOCKET", &address).spawn().unwrap();
        assert_eq!(told(), "READY=1", "{address}");
        let run = belljar(&["run", "--socket", socket.to_str().unwrap(), "-r", "js", "-c", "1"]);
        assert!({ run }.status().unwrap().success());
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
        assert_eq!(told(), "STOPPING=1", "{address}");
        assert!(wait(child).success());
    }
}

/// As systemd does: descriptor 3, and the service's own process id in the environment.
async fn a_socket_that_is_handed_over_is_served_on() {
    const HAND_OVER: &str = "
import os, socket, sys
path, program = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))
os.execv(program, [program, 'serve'])
";
    let directory = tempfile::tempdir().unwrap();
    let (path, ready) = (directory.path().join("socket"), directory.path().join("notify"));
    let heard = UnixDatagram::bind(&ready).unwrap();
    heard.set_read_timeout(Some(PATIENCE)).unwrap();
    let child = Command::new("python3")
        .args(["-c", HAND_OVER])
        .arg(&path)
        .arg(built("belljar"))
        .env("NOTIFY_SOCKET", &ready)
        .env("XDG_STATE_HOME", directory.path())
        .env_remove("BELLJAR_CONFIG")
        .spawn()
        .unwrap();
    // A child that ends elsewhere in these tests interrupts it.
    let told = loop {
        match heard.recv(&mut [0; 64]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            told => break told.unwrap(),
        }
    };
    assert_eq!(told, "READY=1".len());
    let run = belljar(&["run", "--socket", path.to_str().unwrap(), "-r", "js", "-c", "1"]);
    assert!({ run }.status().unwrap().success());
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert!(wait(child).success());
    assert!(path.exists(), "it was not the service's to remove");
}

async fn systemd_understands_every_line_of_the_units() {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("service/systemd");
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    for name in ["belljar.service", "belljar.socket"] {
        let text = fs::read_to_string(units.join(name)).unwrap();
        // Where it is installed when there is something to install.
        let here = built("belljar");
        let text = text.replace("/usr/local/bin/belljar", here.to_str().unwrap());
        fs::write(place.join(name), text).unwrap();
    }
    let analyze = |args: &[&str], files: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        command.args(args).args(files.iter().map(|name| place.join(name)));
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let verify = &["verify", "--man=no"];
    let both = &["belljar.socket", "belljar.service"];
    assert_eq!(analyze(verify, both), (true, String::new()));
    // What it cannot read it ignores, and says so.
    let service = fs::read_to_string(place.join("belljar.service")).unwrap();
    fs::write(place.join("belljar.service"), service.replace("KillMode=mixed", "KillMode=no"))
        .unwrap();
    assert!(analyze(verify, both).1.contains("kill mode"));
    fs::write(place.join("belljar.service"), &service).unwrap();
    // Jars need most of what a service can go without; it may not become more.
    let security = &["security", "--offline=true", "--no-pager", "--threshold=90"];
    let (is_within, table) = analyze(security, &["belljar.service"]);
    assert!(is_within, "{table}");
    for (setting, means) in [
        ("NoNewPrivileges=", "cannot acquire new privileges"),
        ("ProtectSystem=", "strict read-only access to the OS file hierarchy"),
        ("PrivateUsers=", "has access to other users"),
        ("RestrictNamespaces=~user", "may create user namespaces"),
        ("ProtectKernelTunables=", "may alter kernel tunables"),
        ("SystemCallFilter=~@mount", "does not filter system calls"),
    ] {
        let row = table.lines().find(|line| line.contains(setting)).unwrap_or_default();
        assert!(row.contains(means), "{setting} {row:?}");
    }
}
