//! Writing what an order brings along: files, and secrets as files.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};

use belljar_protocol::{Contents, Files, SecretMap};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use crate::stopwatch::{Failure, Step, doing};

/// Writes `files` below the working directory, which stands for the root.
pub(crate) fn write(files: &Files, sent: Option<&File>) -> Step {
    let mut offset = 0;
    for entry in &files.entries {
        let path = inside(&entry.path)?;
        make_parents(path)?;
        bytes_of(files, sent, offset, entry.bytes)
            .and_then(|bytes| create(path, entry.mode)?.write_all(&bytes))
            .map_err(doing(format!("write /{path}")))?;
        offset += entry.bytes;
    }
    Ok(())
}

fn bytes_of(files: &Files, sent: Option<&File>, offset: u64, bytes: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(bytes).map_err(|_| io::ErrorKind::OutOfMemory)?;
    match (&files.contents, sent) {
        (Contents::Inline(contents), _) => {
            let start = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidData)?;
            let part = contents.get(start..).and_then(|rest| rest.get(..length));
            Ok(part.ok_or(io::ErrorKind::UnexpectedEof)?.to_vec())
        }
        (Contents::Sent, Some(sent)) => {
            let mut part = vec![0; length];
            sent.read_exact_at(&mut part, offset)?;
            Ok(part)
        }
        (Contents::Sent, None) => Err(io::ErrorKind::NotFound.into()),
    }
}

/// The convention of systemd and of container engines: one file per secret, readable by its owner.
pub(crate) fn write_secrets(secrets: &SecretMap, directory: &str) -> Step {
    for (name, value) in secrets.iter() {
        create(&format!("{directory}/{name}"), 0o400)
            .and_then(|mut file| file.write_all(value))
            .map_err(doing(format!("write secret {name}")))?;
    }
    Ok(())
}

/// The same into a directory that is held open, as no path leads to it any more.
pub(crate) fn write_secrets_in(secrets: &SecretMap, directory: &OwnedFd) -> Step {
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let mode = Mode::from_bits_truncate(0o400);
    for (name, value) in secrets.iter() {
        openat(directory, name, flags, mode)
            .map_err(io::Error::from)
            .and_then(|file| File::from(file).write_all(value))
            .map_err(doing(format!("write secret {name}")))?;
    }
    Ok(())
}

fn create(path: &str, mode: u32) -> io::Result<File> {
    OpenOptions::new().create_new(true).write(true).mode(mode).open(path)
}

pub(crate) fn make_parents(path: &str) -> Step {
    match path.rsplit_once('/') {
        Some((parent, _)) => make_directory(parent),
        None => Ok(()),
    }
}

pub(crate) fn make_directory(path: &str) -> Step {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(doing(format!("make /{path}")))
}

/// A path of the jar, relative to the root.
pub(crate) fn inside(path: &str) -> Step<&str> {
    let relative = path.strip_prefix('/').filter(|rest| {
        !rest.is_empty() && rest.split('/').all(|part| !matches!(part, "" | "." | ".."))
    });
    relative.ok_or_else(|| Failure::because("place a file", format!("{path:?} is no plain path")))
}
