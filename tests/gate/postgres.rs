//! A client of `PostgreSQL`, and a real server.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use belljar::Source;
use belljar_tests::{Test, expect, postgres, sandbox, scratch, stdout, tests};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use tempfile::TempDir;

use crate::clients::grants;
use crate::places::{HERE, Names};

pub(crate) fn tests() -> Vec<Test> {
    tests![a_client_of_postgres_reaches_its_server(Venv, Postgres)]
}

/// It refuses to be root.
const NOBODY: u32 = 65534;
const DATA: &str = "data";

struct Server {
    port: u16,
    child: Child,
    directory: TempDir,
}

impl Server {
    /// One that is ready.
    async fn start() -> Self {
        let directory = scratch();
        make_cluster(directory.path());
        let (port, child) = launch(directory.path());
        let mut server = Self { port, child, directory };
        let until = Instant::now() + Duration::from_mins(1);
        while !server.is_ready() {
            assert!(Instant::now() < until, "the server does not listen");
            if server.child.try_wait().expect("its own child").is_some() {
                // Its port was free a moment ago, and became somebody else's.
                (server.port, server.child) = launch(server.directory.path());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server
    }

    /// By its own word: whoever answers at the port may be another.
    fn is_ready(&self) -> bool {
        let status = fs::read_to_string(self.directory.path().join(DATA).join("postmaster.pid"));
        status.is_ok_and(|status| status.lines().last().is_some_and(|it| it.trim() == "ready"))
    }
}

fn make_cluster(directory: &Path) {
    if geteuid().is_root() {
        chown(directory, Some(NOBODY), Some(NOBODY)).expect("its own directory");
    }
    let made = as_somebody("initdb", directory)
        .args(["--no-sync", "--auth=trust", "--username=app", "--encoding=UTF8", "--pgdata", DATA])
        .status();
    assert!(made.expect("initdb").success());
}

fn launch(directory: &Path) -> (u16, Child) {
    let port = {
        let taken = TcpListener::bind((HERE, 0)).expect("a port");
        taken.local_addr().expect("its number").port()
    };
    let child = as_somebody("postgres", directory)
        .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
        .args(["-c", "fsync=off", "-p", &port.to_string(), "-D", DATA])
        .spawn();
    (port, child.expect("a server"))
}

fn as_somebody(program: &str, directory: &Path) -> Command {
    let programs = postgres().expect("what the test needs");
    let mut command = Command::new(programs.join(program));
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir(directory).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Drop for Server {
    fn drop(&mut self) {
        // An immediate shutdown: its children end with it.
        let pid = Pid::from_raw(self.child.id().cast_signed());
        if kill(pid, Signal::SIGQUIT).is_ok() {
            drop(self.child.wait());
        }
    }
}

async fn a_client_of_postgres_reaches_its_server() {
    let server = Server::start().await;
    let names = Names::here(&["db.test"]).await;
    let code = format!(
        "import psycopg, time\n\
         for attempt in range(50):\n    try:\n        \
         c = psycopg.connect('host=db.test port={} user=app dbname=postgres')\n        break\n    \
         except psycopg.OperationalError:\n        time.sleep(.2)\n\
         c.execute('create table t (n int, s text)')\n\
         with c.cursor() as cursor:\n    \
         cursor.executemany('insert into t values (%s, %s)', [(n, 'x' * n) for n in range(1000)])\n\
         print(c.execute('select count(*), sum(length(s)) from t').fetchone())\n",
        server.port
    );
    let venv = PathBuf::from(std::env::var_os("BELLJAR_TEST_VENV").expect("what the test needs"));
    let sandbox =
        sandbox("python").program(venv).egress(names.egress()).build().expect("a sandbox");
    let place = format!("db.test:{}", server.port);
    let source = Source::code(code).network(grants(&[place]));
    let outcome = sandbox.run(source).await.expect("an outcome");
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "(1000, 499500)\n");
}
