//! The files of a group.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// The kernel rounds a limit down to its page, which is at most this large.
pub(super) const LARGEST_PAGE_BYTES: u64 = 64 * 1024;

/// What a file of a group refused, with the error number that `io::Error` loses beside a text.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) what: String,
    pub(super) errno: i32,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

pub(super) fn at(path: &Path, verb: &str, reason: &io::Error) -> io::Error {
    let what = format!("{verb} {}: {reason}", path.display());
    io::Error::new(reason.kind(), Failure { what, errno: errno(reason) })
}

pub(super) fn errno(error: &io::Error) -> i32 {
    let failure = error.get_ref().and_then(|inner| inner.downcast_ref::<Failure>());
    error.raw_os_error().or(failure.map(|failure| failure.errno)).unwrap_or(0)
}

pub(super) fn read(directory: &Path, file: &str) -> io::Result<String> {
    let path = directory.join(file);
    fs::read_to_string(&path).map_err(|error| at(&path, "read", &error))
}

/// Never creates: a file that the kernel does not offer is an error.
pub(super) fn write(directory: &Path, file: &str, value: &str) -> io::Result<()> {
    let path = directory.join(file);
    let write = || File::options().write(true).open(&path)?.write_all(value.as_bytes());
    write().map_err(|error| at(&path, &format!("write {value} to"), &error))
}

pub(super) fn confirm(directory: &Path, file: &str, wanted: u64) -> io::Result<()> {
    let got = read(directory, file)?;
    let is_it = got.trim().parse::<u64>().is_ok_and(|got| {
        got <= wanted && (got == wanted || wanted - got < LARGEST_PAGE_BYTES && got > 0)
    });
    if is_it {
        return Ok(());
    }
    let path = directory.join(file);
    let what = format!("{} reads {} after {wanted} was written", path.display(), got.trim());
    Err(io::Error::other(Failure { what, errno: 0 }))
}
