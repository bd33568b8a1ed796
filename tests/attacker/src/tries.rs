//! How one attack comes to its finding: every try, in a child of its own, and what became of it.

use std::fmt;
use std::fs;
use std::io;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::ForkResult;

use crate::sys;

/// What an attack found out.
#[derive(Debug)]
pub(crate) enum Finding {
    /// Everything was refused.
    Held(String),
    /// Something was obtained.
    Bit(String),
    /// This host has nothing to attack.
    Inconclusive(String),
}

/// The tries of one attack.
#[derive(Debug)]
pub(crate) struct Tries {
    refusals: &'static [Errno],
    filtered: bool,
    held: Vec<String>,
    bit: Vec<String>,
    absent: Vec<String>,
}

/// How one try ended.
enum End {
    Obtained,
    Refused(Errno),
    Killed(Signal),
    Untried(Errno),
}

/// Answers by which a wall refuses; any other errno means that the kernel took the call.
const REFUSALS: &[Errno] = &[Errno::EPERM, Errno::EACCES, Errno::ENOSYS];

/// Answers of a wall that stands in for a file or file system without the feature: programs then
/// do without it, where another answer stops them.
const UNFIT: &[Errno] =
    &[Errno::EPERM, Errno::EACCES, Errno::ENOSYS, Errno::EINVAL, Errno::EOPNOTSUPP];

/// Answers by which an empty root file system refuses as well.
const NO_SUCH_FILE: &[Errno] = &[
    Errno::EPERM,
    Errno::EACCES,
    Errno::ENOSYS,
    Errno::ENOENT,
    Errno::EROFS,
    Errno::EXDEV,
    Errno::ENXIO,
    Errno::ESRCH,
    Errno::ENOEXEC,
];

/// Answers by which an absent network refuses as well.
const NO_NETWORK: &[Errno] = &[
    Errno::EPERM,
    Errno::EACCES,
    Errno::ENOSYS,
    Errno::EAFNOSUPPORT,
    Errno::EPROTONOSUPPORT,
    Errno::ESOCKTNOSUPPORT,
    Errno::ENETUNREACH,
    Errno::EADDRNOTAVAIL,
    Errno::ECONNREFUSED,
    Errno::ENOENT,
];

/// What a kernel without a feature answers by itself.
const LACKING: &[Errno] = &[
    Errno::ENOSYS,
    Errno::EOPNOTSUPP,
    Errno::EAFNOSUPPORT,
    Errno::EPROTONOSUPPORT,
    Errno::ESOCKTNOSUPPORT,
];

impl Tries {
    /// Tries of system calls.
    pub(crate) fn new() -> Self {
        Self {
            refusals: REFUSALS,
            filtered: filtered(),
            held: Vec::new(),
            bit: Vec::new(),
            absent: Vec::new(),
        }
    }

    /// Tries of paths.
    pub(crate) fn of_files() -> Self {
        Self { refusals: NO_SUCH_FILE, ..Self::new() }
    }

    /// Tries of features that a file may lack.
    pub(crate) fn of_features() -> Self {
        Self { refusals: UNFIT, ..Self::new() }
    }

    /// Tries of sockets.
    pub(crate) fn of_network() -> Self {
        Self { refusals: NO_NETWORK, ..Self::new() }
    }

    /// Tries for which exactly these answers are refusals.
    pub(crate) fn refused_by(refusals: &'static [Errno]) -> Self {
        Self { refusals, ..Self::new() }
    }

    /// Runs `attack` in a child, so that neither success nor death outlives it.
    pub(crate) fn attempt<T>(&mut self, what: &str, attack: impl FnOnce() -> nix::Result<T>) {
        match Self::end_of(attack) {
            End::Obtained => self.bit.push(what.to_owned()),
            End::Killed(Signal::SIGSYS) => self.held.push(format!("{what}: killed by SIGSYS")),
            End::Killed(signal) => self.absent.push(format!("{what}: died of {signal}")),
            End::Untried(errno) => self.absent.push(format!("{what}: cannot fork, {errno:?}")),
            End::Refused(errno) if !self.filtered && LACKING.contains(&errno) => {
                self.absent.push(format!("{what}: {errno:?}, and no filter says so"));
            }
            End::Refused(errno) if self.refusals.contains(&errno) => {
                self.held.push(format!("{what}: {errno:?}"));
            }
            End::Refused(errno) => self.bit.push(format!("{what}: let through, {errno:?}")),
        }
    }

    /// Like [`Self::attempt`], for a call that the kernel answers with `blind` before it asks
    /// whether the caller may: without a filter that answer says nothing.
    pub(crate) fn attempt_blind<T>(
        &mut self,
        what: &str,
        blind: Errno,
        attack: impl FnOnce() -> nix::Result<T>,
    ) {
        match Self::end_of(attack) {
            End::Refused(errno) if errno == blind && !self.filtered => {
                self.absent.push(format!("{what}: {errno:?} says nothing"));
            }
            End::Refused(errno) => self.attempt(what, || Err::<(), _>(errno)),
            End::Obtained => self.bit.push(what.to_owned()),
            End::Killed(signal) => self.held.push(format!("{what}: killed by {signal}")),
            End::Untried(errno) => self.absent.push(format!("{what}: cannot fork, {errno:?}")),
        }
    }

    /// Runs `attack` in a child that must be killed by SIGSYS, and tells whether it was; any
    /// answer at all is a success.
    pub(crate) fn fatal<T>(&mut self, what: &str, attack: impl FnOnce() -> nix::Result<T>) -> bool {
        let held_before = self.held.len();
        match Self::end_of(attack) {
            End::Killed(Signal::SIGSYS) => self.held.push(format!("{what}: killed by SIGSYS")),
            End::Killed(signal) => self.absent.push(format!("{what}: died of {signal}")),
            End::Obtained => self.bit.push(what.to_owned()),
            End::Untried(errno) => self.absent.push(format!("{what}: cannot fork, {errno:?}")),
            End::Refused(errno) if !self.filtered && LACKING.contains(&errno) => {
                self.absent.push(format!("{what}: {errno:?}, and no filter says so"));
            }
            End::Refused(errno) => self.bit.push(format!("{what}: survived, {errno:?}")),
        }
        self.held.len() > held_before
    }

    /// Records what was observed without a child.
    pub(crate) fn note(&mut self, bit: bool, what: String) {
        if bit { self.bit.push(what) } else { self.held.push(what) }
    }

    /// Records that there was nothing to try.
    pub(crate) fn absent(&mut self, what: &str) {
        self.absent.push(what.to_owned());
    }

    /// Whether nothing was obtained so far.
    pub(crate) fn held_so_far(&self) -> bool {
        self.bit.is_empty()
    }

    /// Held only if everything was refused, and something was.
    pub(crate) fn finding(self) -> Finding {
        if !self.bit.is_empty() {
            Finding::Bit(self.bit.join("; "))
        } else if !self.held.is_empty() {
            Finding::Held(self.held.join("; "))
        } else {
            Finding::Inconclusive(self.absent.join("; "))
        }
    }

    /// The end of `attack` in a child.
    fn end_of<T>(attack: impl FnOnce() -> nix::Result<T>) -> End {
        match in_child(|| attack().err().map_or(0, |errno| errno as i32)) {
            Ok(WaitStatus::Signaled(_, signal, _)) => End::Killed(signal),
            Ok(WaitStatus::Exited(_, code)) if code != 0 => End::Refused(Errno::from_raw(code)),
            Ok(_) => End::Obtained,
            Err(errno) => End::Untried(errno),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(what) => write!(f, "held: {what}"),
            Self::Bit(what) => write!(f, "bit: {what}"),
            Self::Inconclusive(what) => write!(f, "inconclusive: {what}"),
        }
    }
}

/// Runs `body` in a child whose exit code is what it returns, and waits for it.
pub(crate) fn in_child(body: impl FnOnce() -> i32) -> nix::Result<WaitStatus> {
    match sys::fork()? {
        ForkResult::Child => sys::leave(body()),
        ForkResult::Parent { child } => waitpid(child, None),
    }
}

/// The system error behind an error of the standard library.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(crate) fn errno(error: io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

/// Whether a system call filter is in force (`Seccomp: 2` in `/proc/PID/status`).
fn filtered() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("Seccomp:\t2"))
}

/// Whatever came of it, the attack goes on.
pub(crate) fn either_way<T, E>(_: Result<T, E>) {}
