//! An attack where something is missing.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use belljar_protocol::{Ending, Layer};
use belljar_tests::{Completion, Fallen, built, run_without, scratch};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::corpus::Attack;

type Shown = Result<Completion, String>;

/// The attacker's exit code for an attack that succeeded.
const BIT: i32 = 66;
/// An attack takes five seconds of processor time at most, on a machine that may be busy.
const PATIENCE: Duration = Duration::from_mins(2);

/// Passes if the attack succeeds in a jar without `walls`.
pub(crate) async fn without(attack: Attack, walls: &'static [Layer]) -> Shown {
    let id = attack.id.clone();
    let fallen = fallen(id, walls.to_vec()).await?;
    if has_bitten(&fallen) {
        return Ok(Completion::Completed);
    }
    let what = format!("held without {walls:?}: {:?} {}", fallen.ending, fallen.output);
    match in_the_open(attack).await {
        // Then the host has a wall of its own, and the attack proves nothing here.
        Ok(Completion::Ignored { reason }) => Ok(Completion::Ignored { reason }),
        Err(held) if held.starts_with("held") => Ok(nothing_to_show(&held)),
        _ => Err(what),
    }
}

/// Passes if it is held in a jar without `walls`, by those that are left.
pub(crate) async fn is_held_without(attack: Attack, walls: Vec<Layer>) -> Shown {
    let fallen = fallen(attack.id, walls.clone()).await?;
    let is_over = matches!(fallen.ending, Ending::Exited(0) | Ending::Signalled(nix::libc::SIGSYS));
    if is_over && !has_bitten(&fallen) {
        return Ok(Completion::Completed);
    }
    Err(format!("bites without {walls:?}: {:?} {}", fallen.ending, fallen.output))
}

/// Passes if it succeeds as a program like any other.
pub(crate) async fn in_the_open(attack: Attack) -> Shown {
    tokio::task::spawn_blocking(move || in_no_jar(&attack.id)).await.map_err(|e| e.to_string())?
}

/// Runs the attack behind all but `walls`.
async fn fallen(id: String, walls: Vec<Layer>) -> Result<Fallen, String> {
    let run = move || run_without(&walls, &built("belljar-attacker"), &[&id]);
    tokio::task::spawn_blocking(run).await.map_err(|error| error.to_string())
}

fn has_bitten(fallen: &Fallen) -> bool {
    fallen.ending == Ending::Exited(BIT)
        || fallen.output.lines().any(|line| line.starts_with("bit:"))
}

fn nothing_to_show(finding: &str) -> Completion {
    Completion::ignored_with(format!("this host refuses it by itself: {finding}"))
}

/// The attacker as a file of the caller's own, from a directory of its own.
fn in_no_jar(id: &str) -> Shown {
    let directory = scratch();
    let program = directory.path().join("attacker");
    // Copied by a process that is gone before anybody starts the copy: a file that is open for
    // writing somewhere cannot be executed.
    let copied = Command::new("cp").arg(built("belljar-attacker")).arg(&program).status();
    assert!(copied.unwrap().success());
    let mut child = Command::new(&program)
        .arg(id)
        .current_dir(directory.path())
        .env("TMPDIR", directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let watchdog = Watchdog::over(program);
    // A process that is left behind keeps the pipe open: what it has to say is the last line.
    let mut said: Vec<String> = Vec::new();
    for line in output.split(b'\n').map_while(Result::ok) {
        said.push(String::from_utf8_lossy(&line).chars().take(300).collect());
        if said.last().is_some_and(|line| line.starts_with("bit:")) {
            break;
        }
    }
    drop(watchdog);
    let code = child.wait().unwrap().code();
    let finding = said.pop().unwrap_or_default();
    match code {
        _ if finding.starts_with("bit:") => Ok(Completion::Completed),
        Some(BIT) => Ok(Completion::Completed),
        Some(67) => Ok(nothing_to_show(&finding)),
        _ => Err(format!("{finding} (exit code {code:?})")),
    }
}

/// Ends whatever runs from one file, when it is dropped or time is up.
struct Watchdog {
    program: PathBuf,
    _alarm: std::sync::mpsc::Sender<()>,
}

impl Watchdog {
    fn over(program: PathBuf) -> Self {
        let (alarm, called) = std::sync::mpsc::channel();
        let watched = program.clone();
        std::thread::spawn(move || {
            let started = Instant::now();
            let _called_off = called.recv_timeout(PATIENCE);
            if started.elapsed() >= PATIENCE {
                end_all(&watched);
            }
        });
        Self { program, _alarm: alarm }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        end_all(&self.program);
    }
}

fn end_all(program: &Path) {
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let runs_it = fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == program);
        if let Some(pid) = pid.filter(|_| runs_it) {
            // It may have ended by itself.
            let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}
