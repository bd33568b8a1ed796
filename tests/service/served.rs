//! A service for a test, and what can be asked of it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use belljar_tests::built;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::line::Line;

/// A service on a socket of its own. Ended when dropped.
pub(crate) struct Served {
    child: Option<Child>,
    pub(crate) socket: PathBuf,
    /// What it said when it was ready.
    pub(crate) said: String,
    /// And what it says after that.
    later: Arc<Mutex<String>>,
    _directory: tempfile::TempDir,
}

/// How long anything may take that takes no time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

impl Served {
    pub(crate) fn start(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("run/belljar.sock");
        let command =
            belljar(&[&["serve", "--socket", socket.to_str().unwrap()], options].concat());
        Self::of(command, socket, directory)
    }

    /// One that only its file tells where to listen, as it itself tells then.
    pub(crate) fn start_where_it_says(config: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let command = belljar(&["serve", "--config", config.to_str().unwrap()]);
        let mut served = Self::of(command, PathBuf::new(), directory);
        let place = served.said.strip_prefix("belljar: listens on ").unwrap();
        served.socket = PathBuf::from(place.split_once("; ").unwrap().0);
        served
    }

    fn of(command: Command, socket: PathBuf, directory: tempfile::TempDir) -> Self {
        let (child, said, later) = begin(command);
        assert!(said.starts_with("belljar: listens on "), "{said}");
        Self { child: Some(child), socket, said, later, _directory: directory }
    }

    /// What it said after it was ready.
    pub(crate) fn said_since(&self) -> String {
        self.later.lock().unwrap().clone()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// `belljar run` through this service.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let socket = self.socket.to_str().unwrap();
        belljar(&[&["run", "--socket", socket], args].concat())
    }

    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes, and reads until the other end has enough.
    pub(crate) fn say(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // One who is refused may be so before all is said.
        drop(stream.write_all(bytes));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Status and body of an answer.
    pub(crate) fn ask(&self, method: &str, place: &str, body: &str) -> (u16, String) {
        let answer = self.say(request(method, place, body).as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("no status in {answer:?}")), body.to_owned())
    }

    pub(crate) fn is_well(&self) -> bool {
        self.ask("GET", "/healthz", "") == (200, "{\"status\":\"ok\"}\n".to_owned())
    }

    pub(crate) fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().cast_signed()), signal).unwrap();
    }

    /// Ends it as nobody can prepare for.
    pub(crate) fn kill(&mut self) {
        self.send(Signal::SIGKILL);
        self.end();
    }

    /// Another one in its place, with its history; how long it takes until that answers.
    pub(crate) fn start_again(&mut self, options: &[&str]) -> Duration {
        let began = Instant::now();
        let (took, (child, said)) = std::thread::scope(|scope| {
            let launched = scope.spawn(|| launch(&self.socket, options));
            assert!(soon(PATIENCE, || answers(&self.socket)), "it does not answer");
            (began.elapsed(), launched.join().unwrap())
        });
        self.child = Some(child);
        assert!(said.starts_with("belljar: listens on "), "{said}");
        took
    }

    /// A number that the service tells of itself: the sum of all rows that begin so.
    pub(crate) fn counted(&self, row: &str) -> u64 {
        let (status, text) = self.ask("GET", "/metrics", "");
        assert_eq!(status, 200, "{text}");
        let rows = text.lines().filter(|line| line.starts_with(row));
        let values = rows.map(|line| line.rsplit_once(' ').unwrap().1.trim_end_matches(".0"));
        values.map(|value| value.parse::<u64>().unwrap()).sum()
    }

    /// How it ends, if it does so soon.
    pub(crate) fn end(&mut self) -> ExitStatus {
        wait(self.child.take().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
            let status = wait(child);
            assert!(status.success() || std::thread::panicking(), "{status:?}");
        }
    }
}

fn answers(socket: &Path) -> bool {
    let asked = Line::to(socket).and_then(|mut line| line.ask("GET", "/healthz", &[], ""));
    asked.is_ok_and(|answered| answered.status == 200)
}

/// A service, and the first line that it says.
pub(crate) fn launch(socket: &Path, options: &[&str]) -> (Child, String) {
    let serve = ["serve", "--socket", socket.to_str().unwrap()];
    let (child, said, _) = begin(belljar(&[&serve[..], options].concat()));
    (child, said)
}

fn begin(mut command: Command) -> (Child, String, Arc<Mutex<String>>) {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut said).unwrap();
    // What it finds strange in its configuration it says first.
    while said.contains("no such mode") {
        said.clear();
        stderr.read_line(&mut said).unwrap();
    }
    let later = Arc::<Mutex<String>>::default();
    let heard = Arc::clone(&later);
    std::thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            heard.lock().unwrap().extend([&*line, "\n"]);
        }
    });
    (child, said, later)
}

pub(crate) fn belljar(args: &[&str]) -> Command {
    let mut command = Command::new(built("belljar"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["LOG", "RUNTIMES", "SOCKET", "CONFIG", "HOST", "SSH"] {
        let name = format!("BELLJAR_{name}");
        command.env_remove(name);
    }
    command
}

pub(crate) fn request(method: &str, place: &str, body: &str) -> String {
    format!(
        "{method} {place} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n\
         {body}",
        body.len(),
    )
}

pub(crate) fn wait(mut child: Child) -> ExitStatus {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > until {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether it becomes so in time.
pub(crate) fn soon(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + patience;
    while !is_so() {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// A number of seconds to sleep by which a payload is known from outside.
pub(crate) fn mark() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}.{next:04}", 100_000 + std::process::id())
}

/// Whether a process has `mark` among its arguments.
pub(crate) fn lives(mark: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.any(|line| line.split(|byte| *byte == 0).any(|word| word == mark.as_bytes()))
}
