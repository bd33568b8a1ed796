//! What runs inside a machine: as its first process, and as the callers that it starts.

use std::any::Any;
use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::unistd::{chdir, chroot};

use crate::checks::{self, Check};

/// Begins each line that is meant for the host.
pub(crate) const MARK: &str = "belljar-vm: ";
const CGROUPS: &str = "/sys/fs/cgroup";
const OWN_PATH: &str = "/belljar/vm";

/// Who runs payloads, and what of the cgroup tree is theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Root in a group of its own, as in a systemd unit with `Delegate=yes`.
    Root,
    /// A user with subordinate ids and a delegated group.
    Lot,
    /// A user with a delegated group and no other id than its own.
    Alone,
    /// A user without any of it.
    Poor,
}

/// What this program is when a check starts it again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// Runs the checks of a caller.
    Caller(Caller),
    /// A supervisor with a run that goes on, until it is killed.
    Orphanmaker,
    /// A supervisor that starts after another one has died.
    Successor,
}

impl Caller {
    pub(crate) const ALL: [Self; 4] = [Self::Root, Self::Lot, Self::Alone, Self::Poor];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Lot => "user_with_subordinate_ids",
            Self::Alone => "user",
            Self::Poor => "user_without_delegation",
        }
    }

    pub(crate) fn checks(self) -> &'static [Check] {
        if self == Self::Poor { checks::UNDELEGATED } else { checks::DELEGATED }
    }

    fn id(self) -> u32 {
        match self {
            Self::Root => 0,
            Self::Lot => 1000,
            Self::Alone => 1001,
            Self::Poor => 1002,
        }
    }

    /// Runs the checks of this caller as a process in a group of its own.
    fn start(self) {
        let group = Path::new(CGROUPS).join(format!("{}.service", self.name()));
        fs::create_dir(&group).expect("a group");
        if self != Self::Poor {
            delegate(&group, self.id());
        }
        // A child is born in the group of its parent.
        fs::write(group.join("cgroup.procs"), "0").expect("to enter a group");
        let mut child = Command::new(OWN_PATH);
        child.arg(self.name()).env_clear().env("PATH", "/usr/bin").uid(self.id()).gid(self.id());
        let spawned = child.spawn();
        fs::write(Path::new(CGROUPS).join("cgroup.procs"), "0").expect("to go home");
        let status = spawned.and_then(|mut child| child.wait());
        if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
            println!("{}: {status:?}", self.name());
        }
    }
}

impl Part {
    pub(crate) fn named(word: &str) -> Option<Self> {
        match word {
            "orphanmaker" => Some(Self::Orphanmaker),
            "successor" => Some(Self::Successor),
            _ => Caller::ALL.into_iter().find(|caller| caller.name() == word).map(Self::Caller),
        }
    }

    pub(crate) fn play(self) -> ExitCode {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a tokio runtime");
        runtime.block_on(async {
            match self {
                Self::Caller(caller) => tell(caller).await,
                Self::Orphanmaker => checks::make_orphan().await,
                Self::Successor => checks::succeed().await,
            }
        });
        ExitCode::SUCCESS
    }
}

/// The first process of a machine: sets it up, lets every caller try, and switches it off.
pub(crate) fn boot() -> ! {
    set_up();
    for caller in Caller::ALL {
        caller.start();
    }
    let refused: Result<Infallible, _> = reboot(RebootMode::RB_POWER_OFF);
    panic!("a machine that cannot be switched off: {refused:?}");
}

async fn tell(caller: Caller) {
    // Said by the check, in one line.
    std::panic::set_hook(Box::new(|_| ()));
    for check in caller.checks() {
        let said = match tokio::spawn((check.body)(caller)).await {
            Ok(()) => "ok".to_owned(),
            Err(failure) => said_by(&*failure.into_panic()).replace('\n', "\\n"),
        };
        println!("{MARK}{} {}: {said}", caller.name(), check.name);
    }
}

fn said_by(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().map(|words| (*words).to_owned());
    words.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

fn set_up() {
    // The file system that a kernel unpacks its archive into cannot be pivoted out of, so a second
    // view of it becomes the root.
    let none: Option<&str> = None;
    mount(Some("/"), "/newroot", none, MsFlags::MS_BIND, none).expect("a second view");
    chdir("/newroot").expect("to enter it");
    mount(Some("."), "/", none, MsFlags::MS_MOVE, none).expect("to move it up");
    chroot(".").expect("to make it the root");
    let file_systems = [
        ("proc", "/proc", ""),
        ("sysfs", "/sys", ""),
        ("devtmpfs", "/dev", ""),
        ("tmpfs", "/tmp", "mode=1777"),
        ("tmpfs", "/run", "mode=755"),
        ("cgroup2", CGROUPS, "nsdelegate"),
    ];
    for (kind, place, options) in file_systems {
        mount(Some(kind), place, Some(kind), MsFlags::empty(), Some(options))
            .unwrap_or_else(|errno| panic!("{kind}: {errno}"));
    }
    fs::create_dir("/dev/shm").expect("a directory");
    symlink("/proc/self/fd", "/dev/fd").expect("a link");
    fs::write(Path::new(CGROUPS).join("cgroup.subtree_control"), "+cpu +memory +pids")
        .expect("the controllers");
}

/// What systemd.resource-control(5) does for `Delegate=`.
fn delegate(group: &Path, id: u32) {
    let files = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"];
    let paths = files.map(|file| group.join(file)).into_iter().chain([PathBuf::from(group)]);
    for path in paths {
        chown(&path, Some(id), Some(id)).expect("to give a group away");
    }
}
