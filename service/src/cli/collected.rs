//! Collected files, written into a directory of the caller.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use belljar::Error;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::json::Artifact;

/// # Errors
/// [`Error::Invalid`] when nothing could ever be written to `directory`.
pub(super) fn check(directory: &Path) -> Result<(), Error> {
    let shown = directory.display();
    let above = directory.parent().filter(|above| !above.as_os_str().is_empty());
    let refusal = match directory.metadata() {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => format!("--out {shown} is not a directory"),
        Err(error) if error.kind() != io::ErrorKind::NotFound => format!("--out {shown}: {error}"),
        Err(_) if above.unwrap_or(Path::new(".")).is_dir() => return Ok(()),
        Err(_) => format!("--out {shown}: the directory above does not exist; create it first"),
    };
    Err(Error::Invalid(refusal))
}

/// Writes `artifacts` below `directory`, which is created if need be. What cannot be written is
/// said, one line each.
pub(super) fn write(directory: &Path, artifacts: &[Artifact]) -> Vec<String> {
    if artifacts.is_empty() {
        return Vec::new();
    }
    let root = match open_root(directory) {
        Ok(root) => root,
        Err(error) => return vec![format!("{}: {error}", directory.display())],
    };
    let written = artifacts.iter().map(|artifact| {
        place(&root, artifact).map_err(|error| format!("{}: {error}", artifact.path))
    });
    written.filter_map(Result::err).collect()
}

fn open_root(directory: &Path) -> io::Result<OwnedFd> {
    match std::fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(open(directory, flags, Mode::empty())?)
}

/// One name after the other, none of them a link: what lies in the directory may come from an
/// earlier run, and no run chooses where another one's files go.
fn place(root: &OwnedFd, artifact: &Artifact) -> io::Result<()> {
    let mut names = Vec::new();
    for component in Path::new(&artifact.path).components() {
        match component {
            Component::Normal(name) => names.push(name),
            _ => return Err(io::Error::other("not a plain relative path")),
        }
    }
    let (name, above) = names.split_last().ok_or(io::ErrorKind::InvalidInput)?;
    let mut directory = root.try_clone()?;
    for part in above {
        let mode = Mode::from_bits_truncate(0o777);
        match mkdirat(&directory, *part, mode) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        directory = openat(&directory, *part, flags, Mode::empty())?;
    }
    match fstatat(&directory, *name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno.into()),
        // Removed, not opened: another name of the same file keeps what it had.
        Ok(found) if SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG => {
            unlinkat(&directory, *name, UnlinkatFlags::NoRemoveDir)?;
        }
        Ok(_) => return Err(io::Error::other("something that is not a file is there already")),
    }
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = openat(directory.as_fd(), *name, flags, Mode::from_bits_truncate(0o666))?;
    File::from(file).write_all(artifact.content.as_ref().map_or(&[], |content| &content.0))
}
