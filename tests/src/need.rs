use std::path::PathBuf;
use std::sync::OnceLock;

use belljar::{Floor, Source};

use crate::{help, suite};

/// What a test cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Not something of the host: no other test of the suite runs at the same time.
    Alone,
    /// The runtime `python` finds an interpreter.
    Python,
    /// The runtime `node` does.
    Node,
    /// The runtime `bash` does.
    Bash,
    /// The runtime `ruby` does.
    Ruby,
    /// The runtime `perl` does.
    Perl,
    /// The runtime `lua` does.
    Lua,
    /// The runtime `php` does.
    Php,
    /// `BELLJAR_TEST_VENV` names a virtual environment with numpy, pandas, matplotlib, requests and
    /// psycopg.
    Venv,
    /// The tests run as root.
    Root,
    /// They run as an ordinary user.
    User,
    /// Runs are counted by a cgroup.
    Cgroup,
    /// They are not.
    NoCgroup,
    /// Runs get user ids of their own: the tests run as root, or subordinate ids exist.
    OwnIds,
    /// The tests run as a user with subordinate ids.
    SubordinateIds,
    /// An ssh and an sshd are installed, and the directories are there: the user's home, and the
    /// one that root's needs.
    Sshd,
    /// A server of `PostgreSQL` is installed.
    Postgres,
    /// `systemd-analyze` is installed.
    Systemd,
    /// `BELLJAR_TEST_VM` names a virtual machine to run in.
    Vm,
}

impl Need {
    /// What is missing, if it is.
    pub fn missing(self) -> Option<String> {
        let root = nix::unistd::geteuid().is_root();
        let unless = |met: bool, what: &str| (!met).then(|| what.to_owned());
        match self {
            Self::Alone => None,
            Self::Python => no_runtime("python"),
            Self::Node => no_runtime("node"),
            Self::Bash => no_runtime("bash"),
            Self::Ruby => no_runtime("ruby"),
            Self::Perl => no_runtime("perl"),
            Self::Lua => no_runtime("lua"),
            Self::Php => no_runtime("php"),
            Self::Venv => unless(help::venv().is_some(), "BELLJAR_TEST_VENV, see contributing.md"),
            Self::Root => unless(root, "root"),
            Self::User => unless(!root, "an ordinary user"),
            Self::Cgroup => unless(counted(), "a writable cgroup"),
            Self::NoCgroup => unless(!counted(), "to run without a writable cgroup"),
            Self::OwnIds => unless(root || lot(), "root or subordinate user ids"),
            Self::SubordinateIds => unless(!root && lot(), "a user with subordinate user ids"),
            Self::Sshd => {
                unless(help::sshd(root), "ssh, /usr/sbin/sshd, a home and, as root, /run/sshd")
            }
            Self::Postgres => unless(help::postgres().is_some(), "postgres and initdb"),
            Self::Systemd => unless(help::in_path("systemd-analyze"), "systemd-analyze"),
            Self::Vm => unless(
                std::env::var_os("BELLJAR_TEST_VM")
                    .map(PathBuf::from)
                    .is_some_and(|vm| vm.exists()),
                "BELLJAR_TEST_VM, see contributing.md",
            ),
        }
    }

    /// Whether lacking it is a failure: with `BELLJAR_TEST_REQUIRE=all`, unless another way to run
    /// the same tests meets it.
    pub(crate) fn is_required(self) -> bool {
        let of_the_caller = matches!(
            self,
            Self::Root
                | Self::User
                | Self::Cgroup
                | Self::NoCgroup
                | Self::OwnIds
                | Self::SubordinateIds
                | Self::Vm
        );
        !of_the_caller && std::env::var_os("BELLJAR_TEST_REQUIRE").is_some_and(|what| what == "all")
    }
}

fn no_runtime(name: &str) -> Option<String> {
    match help::sandbox(name).build() {
        Err(belljar::Error::UnknownRuntime(_)) => Some(format!("an interpreter for {name}")),
        // Any other failure is for the test to run into.
        _ => None,
    }
}

/// Whether runs have a cgroup, asked of one of them.
fn counted() -> bool {
    receipt().is_some_and(|receipt| {
        let memory = receipt.limits.iter().find(|row| row.limit == "memory_bytes");
        memory.is_some_and(|row| row.how.contains("cgroup") && !row.how.contains("no cgroup"))
    })
}

fn lot() -> bool {
    receipt().is_some_and(|receipt| {
        receipt.layers.iter().any(|row| row.how.contains("a subordinate user id of its own"))
    })
}

fn receipt() -> Option<&'static belljar::Receipt> {
    static RECEIPT: OnceLock<Option<belljar::Receipt>> = OnceLock::new();
    let look = || {
        let sandbox = help::sandbox("native").floor(Floor::L1).build().ok()?;
        let run = sandbox.run(Source::program("/bin/true"));
        Some(suite::runtime().block_on(run).ok()?.receipt)
    };
    RECEIPT.get_or_init(look).as_ref()
}
