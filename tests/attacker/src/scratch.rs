//! Where an attack may write: the jar's `/work`, or a directory that does not outlive it.

use std::env;
use std::fs;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process;

use crate::tries::either_way;

/// A directory to write in.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    temporary: bool,
}

impl Scratch {
    /// The directory named by `BELLJAR_ATTACK_SCRATCH`, the `/work` of a jar, or a fresh one.
    pub(crate) fn open() -> io::Result<Self> {
        if let Some(path) = env::var_os("BELLJAR_ATTACK_SCRATCH") {
            return Ok(Self { path: path.into(), temporary: false });
        }
        if is_tmpfs("/work") {
            return Ok(Self { path: "/work".into(), temporary: false });
        }
        let path = env::temp_dir().join(format!("belljar-attack-{}", process::id()));
        fs::create_dir(&path)?;
        Ok(Self { path, temporary: true })
    }

    /// Whether nobody will look at it afterwards.
    pub(crate) fn is_temporary(&self) -> bool {
        self.temporary
    }
}

impl Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.temporary {
            // What cannot be removed stays in the host's directory for temporary files.
            either_way(fs::remove_dir_all(&self.path));
        }
    }
}

/// Whether a tmpfs is mounted at `path`.
fn is_tmpfs(path: &str) -> bool {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().any(|line| {
        line.split(' ').nth(4) == Some(path)
            && line.split_once(" - ").is_some_and(|(_, end)| end.starts_with("tmpfs "))
    })
}
