//! Another host, which is this one behind a server of ssh that belongs to the test.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use belljar_tests::built;

use crate::served::{PATIENCE, belljar, soon};

/// On loopback, with keys of its own, for the user of the test. Ended when dropped.
pub(crate) struct Far {
    child: Child,
    port: u16,
    pub(crate) directory: tempfile::TempDir,
}

impl Far {
    /// One where commands find belljar, or do not.
    pub(crate) fn start(has_belljar: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path();
        for name in ["host", "other", "user"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(place.join(name));
            assert!(keygen.status().unwrap().success());
        }
        fs::create_dir(place.join("bin")).unwrap();
        if has_belljar {
            symlink(built("belljar"), place.join("bin/belljar")).unwrap();
        }
        // Whoever takes the port in between is not who the test knows.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            write(place, port);
            let mut child = Command::new("/usr/sbin/sshd")
                .args(["-D", "-E"])
                .arg(place.join("log"))
                .arg("-f")
                .arg(place.join("sshd_config"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(place.join("said")).unwrap())
                .spawn()
                .unwrap();
            if soon(PATIENCE, || {
                TcpStream::connect(("127.0.0.1", port)).is_ok() || has_ended(child.id())
            }) && child.try_wait().unwrap().is_none()
            {
                return Self { child, port, directory };
            }
            drop(child.kill());
            child.wait().unwrap();
        }
        let log = fs::read_to_string(place.join("log")).unwrap_or_default();
        panic!("no sshd: {log}{}", fs::read_to_string(place.join("said")).unwrap());
    }

    /// An address of it.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("ssh://127.0.0.1:{}{path}", self.port)
    }

    /// belljar with an ssh that knows this host and nothing else.
    pub(crate) fn belljar(&self, args: &[&str]) -> Command {
        let mut command = belljar(args);
        command.env("BELLJAR_SSH", format!("ssh -F {}", self.path("config").display()));
        command
    }

    /// It has another key than the one that is known.
    pub(crate) fn forget(&self) {
        self.know("other.pub");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn know(&self, key: &str) {
        know(self.directory.path(), self.port, key);
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn write(place: &Path, port: u16) {
    let shown = place.display();
    let server = format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {shown}/host\nPidFile none\nUsePAM no\n\
         AuthorizedKeysFile {shown}/user.pub\nStrictModes no\nPermitRootLogin prohibit-password\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         SetEnv PATH={shown}/bin:/usr/bin:/bin\n"
    );
    fs::write(place.join("sshd_config"), server).unwrap();
    let client = format!(
        "IdentityFile {shown}/user\nIdentitiesOnly yes\nIdentityAgent none\nLogLevel ERROR\n\
         UserKnownHostsFile {shown}/known\nGlobalKnownHostsFile /dev/null\n\
         StrictHostKeyChecking yes\nBatchMode yes\n"
    );
    fs::write(place.join("config"), client).unwrap();
    know(place, port, "host.pub");
}

fn know(place: &Path, port: u16, key: &str) {
    let key = fs::read_to_string(place.join(key)).unwrap();
    fs::write(place.join("known"), format!("[127.0.0.1]:{port} {key}")).unwrap();
}

/// Whether nobody has waited for it yet.
fn has_ended(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with('Z'))
}
