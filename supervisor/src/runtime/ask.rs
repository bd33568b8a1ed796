use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::description::Description;
use super::root;

/// What an interpreter says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// The executable itself, not the shim that led to it.
    pub(super) program: String,
    /// As it says it; the POSIX shell has a word instead of numbers.
    pub(super) version: String,
    /// Trees it was installed into.
    pub(super) prefixes: Vec<String>,
    /// Directories and files it loads from.
    pub(super) directories: Vec<String>,
}

const PATIENCE: Duration = Duration::from_secs(10);
const ANSWER_BYTES: u64 = 64 * 1024;

impl Facts {
    /// Starts the candidate and asks it.
    pub(super) fn ask(runtime: &Description, candidate: &Path) -> Result<Self, String> {
        let real = fs::canonicalize(candidate).map_err(|error| error.to_string())?;
        let real = real.to_str().ok_or("its path is not valid UTF-8")?;
        if runtime.ask.is_empty() {
            return Self::parse(concat!("version=", env!("CARGO_PKG_VERSION")), real);
        }
        let answer = answer(candidate, &runtime.ask)?;
        Self::parse(&answer, real)
    }

    /// Reads `key=value` lines; an interpreter that does not name itself is where it was found.
    pub(super) fn parse(answer: &str, found: &str) -> Result<Self, String> {
        let mut program = found.to_owned();
        let mut version = None;
        let (mut prefixes, mut directories) = (Vec::new(), Vec::new());
        for line in answer.lines() {
            match line.split_once('=') {
                Some(("program", path)) if root::is_plain(path) => path.clone_into(&mut program),
                Some(("version", text)) => version = Some(text.to_owned()),
                Some(("prefix", path)) => prefixes.push(path.to_owned()),
                Some(("directory", path)) => directories.push(path.to_owned()),
                _ => {
                    return Err(format!(
                        "it answers {:?}",
                        line.chars().take(60).collect::<String>()
                    ));
                }
            }
        }
        let version = version.ok_or("it does not say its version")?;
        Ok(Self { program, version, prefixes, directories })
    }

    /// The lines that [`Facts::parse`] reads.
    pub(super) fn to_lines(&self) -> String {
        let mut lines = format!("program={}\nversion={}\n", self.program, self.version);
        for (key, paths) in [("prefix", &self.prefixes), ("directory", &self.directories)] {
            for path in paths {
                lines.extend([key, "=", path, "\n"]);
            }
        }
        lines
    }
}

/// Standard output of one short-lived process in an environment that says nothing.
fn answer(program: &Path, args: &[String]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(args).env_clear().current_dir("/").process_group(0);
    // A shim is a script: it needs to find its tools and its user's choice of version.
    for name in ["PATH", "HOME"] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let outcome = listen(&mut child);
    if outcome.is_err() && !kill_group(&child) {
        child.kill().map_err(|error| error.to_string())?;
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    let (stdout, stderr) = outcome?;
    if !status.success() {
        let complaint = String::from_utf8_lossy(&stderr);
        let complaint = complaint.lines().rev().find(|line| !line.trim().is_empty());
        return Err(complaint
            .map_or_else(|| explain(status), |line| line.trim().chars().take(160).collect()));
    }
    String::from_utf8(stdout).map_err(|_| "its answer is not valid UTF-8".to_owned())
}

/// A child that was not waited for yet: its process group cannot be anybody else's.
fn kill_group(child: &Child) -> bool {
    i32::try_from(child.id()).is_ok_and(|id| killpg(Pid::from_raw(id), Signal::SIGKILL).is_ok())
}

/// Reads both pipes to their ends, within bounds of size and time.
fn listen(child: &mut Child) -> Result<(Vec<u8>, Vec<u8>), String> {
    let deadline = Instant::now() + PATIENCE;
    let stdout = child.stdout.take().map(read_on_a_thread);
    let stderr = child.stderr.take().map(read_on_a_thread);
    let read = |pipe: Option<mpsc::Receiver<io::Result<Vec<u8>>>>| {
        let left = deadline.saturating_duration_since(Instant::now());
        let bytes = pipe.ok_or("it has no output")?.recv_timeout(left);
        let bytes = bytes.map_err(|_| format!("no answer within {} s", PATIENCE.as_secs()))?;
        let bytes = bytes.map_err(|error| error.to_string())?;
        if bytes.len() as u64 > ANSWER_BYTES {
            Err("its answer is too long".to_owned())
        } else {
            Ok(bytes)
        }
    };
    Ok((read(stdout)?, read(stderr)?))
}

/// A thread, because whoever holds the other end may hold it for ever.
fn read_on_a_thread(pipe: impl Read + Send + 'static) -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let outcome = pipe.take(ANSWER_BYTES + 1).read_to_end(&mut bytes);
        // Nobody listens any more once the deadline has passed.
        drop(sender.send(outcome.map(|_| bytes)));
    });
    receiver
}

fn explain(status: ExitStatus) -> String {
    format!("it ended with {status}")
}
