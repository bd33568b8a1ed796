//! A client of `PostgreSQL`, and a real server.

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
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

struct Server {
    port: u16,
    child: Child,
    _directory: TempDir,
}

impl Server {
    fn start() -> Self {
        let directory = scratch();
        let data = directory.path().join("data");
        let programs = postgres().expect("what the test needs");
        let as_somebody = |program: &str| {
            let mut command = Command::new(programs.join(program));
            if geteuid().is_root() {
                command.uid(NOBODY).gid(NOBODY);
            }
            command.current_dir(directory.path()).stdin(Stdio::null()).stdout(Stdio::null());
            command.stderr(Stdio::null());
            command
        };
        if geteuid().is_root() {
            chown(directory.path(), Some(NOBODY), Some(NOBODY)).expect("its own directory");
        }
        let made = as_somebody("initdb")
            .args(["--no-sync", "--auth=trust", "--username=app", "--encoding=UTF8", "--pgdata"])
            .arg(&data)
            .status();
        assert!(made.expect("initdb").success());
        let port = {
            let taken = TcpListener::bind((HERE, 0)).expect("a port");
            taken.local_addr().expect("its number").port()
        };
        let child = as_somebody("postgres")
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", "fsync=off", "-p", &port.to_string(), "-D"])
            .arg(&data)
            .spawn()
            .expect("a server");
        Self { port, child, _directory: directory }
    }

    async fn await_ready(&self) {
        let until = Instant::now() + Duration::from_mins(1);
        while tokio::net::TcpStream::connect((HERE, self.port)).await.is_err() {
            assert!(Instant::now() < until, "the server does not listen");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
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
    let server = Server::start();
    server.await_ready().await;
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
