//! A directory for what has to lie on disk: an empty root, and OCI bundles.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::Job;

/// System calls that no interpreter makes, for the jars that want their filter spelt out.
pub(crate) const REFUSED: [&str; 12] = [
    "add_key",
    "bpf",
    "init_module",
    "kexec_load",
    "keyctl",
    "mount",
    "perf_event_open",
    "ptrace",
    "request_key",
    "setns",
    "umount2",
    "userfaultfd",
];

/// A temporary directory, removed at the end.
#[derive(Debug)]
pub struct Place(PathBuf);

impl Place {
    /// # Errors
    /// When it cannot be written.
    pub fn make() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("belljar-peers-{}", std::process::id()));
        fs::create_dir(&path)?;
        let place = Self(path);
        for name in ["usr", "proc", "dev", "tmp", "bin", "lib", "lib64"] {
            let own = place.0.join("root").join(name);
            match fs::read_link(Path::new("/").join(name)) {
                Ok(to) => symlink(to, own)?,
                Err(_) => fs::create_dir_all(own)?,
            }
        }
        Ok(place)
    }

    /// A directory with the names that a root has, and nothing below them.
    pub fn root(&self) -> String {
        self.0.join("root").to_string_lossy().into_owned()
    }

    /// Where an OCI runtime may keep its books.
    pub fn state(&self) -> String {
        self.0.join("state").to_string_lossy().into_owned()
    }

    /// Writes a bundle for a job; the path of its directory.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn bundle(&self, job: &Job) -> io::Result<String> {
        let bundle = self.0.join(job.name);
        fs::create_dir_all(&bundle)?;
        fs::write(bundle.join("config.json"), self.configuration(job))?;
        Ok(bundle.to_string_lossy().into_owned())
    }

    /// What `crun spec` writes, with a user namespace, without capabilities, and with a filter.
    fn configuration(&self, job: &Job) -> String {
        let user = geteuid();
        let (args, root) = (job.words(), self.root());
        // Root's payloads are nobody.
        let id = if user.is_root() { 65_534 } else { user.as_raw() };
        let own = |path: &&str| Path::new(path).is_dir() && !Path::new(path).is_symlink();
        let system = ["/usr", "/bin", "/lib", "/lib64"].into_iter().filter(own);
        let system = system.map(bind).collect::<Vec<_>>().join(", ");
        format!(
            r#"{{"ociVersion": "1.0.2", "hostname": "jar",
"process": {{"terminal": false, "user": {{"uid": 0, "gid": 0}}, "args": {args:?}, "env": [],
  "cwd": "/", "capabilities": {{}}, "noNewPrivileges": true,
  "rlimits": [{{"type": "RLIMIT_NOFILE", "soft": 256, "hard": 256}}]}},
"root": {{"path": {root:?}, "readonly": true}},
"mounts": [{system},
  {{"destination": "/proc", "type": "proc", "source": "proc"}},
  {{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}},
  {{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev"]}}],
"linux": {{
  "namespaces": [{{"type": "user"}}, {{"type": "pid"}}, {{"type": "network"}}, {{"type": "ipc"}},
    {{"type": "uts"}}, {{"type": "mount"}}, {{"type": "cgroup"}}],
  "uidMappings": [{{"containerID": 0, "hostID": {id}, "size": 1}}],
  "gidMappings": [{{"containerID": 0, "hostID": {id}, "size": 1}}],
  "seccomp": {{"defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{{"names": {REFUSED:?}, "action": "SCMP_ACT_ERRNO"}}]}},
  "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi"],
  "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]}}}}"#
        )
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A leftover in the temporary directory is nothing to fail for.
        drop(fs::remove_dir_all(&self.0));
    }
}

fn bind(path: &str) -> String {
    format!(
        r#"{{"destination": "{path}", "type": "bind", "source": "{path}",
  "options": ["rbind", "ro", "nosuid", "nodev"]}}"#
    )
}
