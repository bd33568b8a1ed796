//! Starting a worker. The supervisor spawns and never forks: no code of ours runs between.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Once;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

use crate::channel::Channel;
use crate::{Error, cgroup};

/// A worker that has not been told its job.
#[derive(Debug)]
pub(crate) struct Worker {
    /// The warden-to-be. Its death is the death of the jar.
    pub(crate) child: Child,
    pub(crate) pid: i32,
    pub(crate) channel: Channel,
    /// Standard output and error.
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

/// Starts a worker with an empty environment and nothing but three descriptors: the control
/// socket and two pipes. Pipes and not sockets, as nothing can be attached to a pipe.
pub(crate) fn worker(program: &Path) -> io::Result<Worker> {
    hear_children();
    let (channel, stdin) = Channel::pair()?;
    let (stdout, stdout_write) = io::pipe()?;
    let (stderr, stderr_write) = io::pipe()?;
    let mut command = Command::new(program);
    // Whose it is, for whoever sweeps up when we are dead. In a jar nobody sees it.
    if let Ok(owner) = cgroup::run_name("worker") {
        command.arg0(Path::new(&owner).join(program.file_name().unwrap_or_default()));
    }
    let child = command
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(stdin))
        .stdout(stdout_write)
        .stderr(stderr_write)
        // A group of its own: what a terminal sends to the caller's is for the caller to act upon.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    let pid = pid.ok_or_else(|| io::Error::other("the worker has no process id"))?;
    Ok(Worker { child, pid, channel, stdout: stdout.into(), stderr: stderr.into() })
}

/// Takes SIGCHLD away from whoever ignores it: the kernel would reap children itself, and nobody
/// would learn how they ended (wait(2)). Without a runtime there is nobody to hear it yet.
pub(crate) fn hear_children() {
    static HEARD: Once = Once::new();
    if Handle::try_current().is_ok() {
        HEARD.call_once(|| {
            if let Err(error) = signal(SignalKind::child()) {
                tracing::warn!(%error, "SIGCHLD cannot be heard");
            }
        });
    }
}

/// A program or library that ships with belljar: beside the running executable, where cargo leaves
/// what a test needs, or where a package puts helpers.
///
/// # Errors
/// [`Error::Worker`] naming the places looked at.
pub(crate) fn shipped(name: &str) -> Result<PathBuf, Error> {
    let here = std::env::current_exe()
        .map_err(|error| Error::Internal("the running executable is unknown".into(), error))?;
    let beside = here.parent().unwrap_or(Path::new("/"));
    let above = beside.parent().unwrap_or(Path::new("/"));
    // Libraries that cargo builds for a test are in `deps` alone: those beside it may be old.
    let places = [
        beside.join("deps").join(name),
        beside.join(name),
        above.join(name),
        above.join("libexec/belljar").join(name),
    ];
    let found = places.iter().find(|place| place.is_file());
    found.cloned().ok_or_else(|| {
        let [_, one, two, three] = places.map(|place| place.display().to_string());
        let what = format!("{name} is not at {one}, {two} or {three}; build or install it");
        Error::Worker(what, io::ErrorKind::NotFound.into())
    })
}
