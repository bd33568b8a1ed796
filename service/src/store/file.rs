//! The file of a history: private, one service's, and sound.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use belljar::Error;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use nix::unistd::geteuid;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema::{self, Kind};

/// A log that grew beyond this is cut when it has been read back.
const LOG_BYTES: i64 = 8 << 20;
/// The whole of a smaller file is looked at when it is opened; a larger one would take seconds.
const MOST_CHECKED_BYTES: u64 = 64 << 20;
/// How long a reader waits while the log is being cut.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long somebody may have a history before that is believed, and between two looks. What a
/// killed service has just started has its lock as well, until it is executed.
const LEFT_OVER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(10));
const ANYBODY_MAY_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// A connection, and for the one that writes the lock that nobody else has.
#[derive(Debug)]
pub(super) struct Opened {
    // Closed before the lock is let go of.
    pub(super) connection: Connection,
    pub(super) may_write: bool,
    _lock: Option<Flock<File>>,
}

pub(super) fn in_memory() -> Result<Opened, Error> {
    let cannot = |error| failed("cannot keep a history in memory", &error);
    let mut connection = Connection::open_in_memory().map_err(cannot)?;
    set_up(&connection).and_then(|()| schema::migrate(&mut connection)).map_err(cannot)?;
    Ok(Opened { connection, may_write: true, _lock: None })
}

pub(super) fn open(path: &Path) -> Result<Opened, Error> {
    let shown = path.display();
    let cannot = |error: io::Error| {
        let what = format!("cannot open the history of runs {shown}");
        Error::Internal(what, error)
    };
    directory(path)?;
    let lock = lock(path, LEFT_OVER.0)?;
    let bytes = private(path).map_err(cannot)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sound = Connection::open_with_flags(path, flags)
        .and_then(|connection| Ok((schema::kind(&connection)?, connection)));
    let (kind, mut connection) = sound.map_err(|error| unsound(path, &error))?;
    match kind {
        Kind::History | Kind::Empty => {}
        Kind::Newer(version) => {
            return Err(Error::Invalid(format!(
                "the history of runs {shown} is of a newer belljar (version {version}): use that \
                 one, or name another file"
            )));
        }
        Kind::Foreign => {
            return Err(Error::Invalid(format!(
                "{shown} is the database of another program: name another file"
            )));
        }
    }
    let ready = set_up(&connection)
        .and_then(|()| schema::migrate(&mut connection))
        .and_then(|()| check(&connection, bytes));
    ready.map_err(|error| unsound(path, &error))?;
    Ok(Opened { connection, may_write: true, _lock: Some(lock) })
}

/// A second connection, which in WAL mode neither waits for the first nor holds it up.
pub(super) fn reader(path: &Path) -> Result<Opened, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(PATIENCE)?;
        Ok(connection)
    });
    let connection = opened.map_err(|error| unsound(path, &error))?;
    Ok(Opened { connection, may_write: false, _lock: None })
}

/// What failed, in the words of the database.
pub(super) fn failed(what: &str, error: &rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => io::ErrorKind::StorageFull,
        Some(ErrorCode::ReadOnly) => io::ErrorKind::ReadOnlyFilesystem,
        Some(ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            io::ErrorKind::PermissionDenied
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    Error::Internal(what.to_owned(), io::Error::new(kind, error.to_string()))
}

fn unsound(path: &Path, error: &rusqlite::Error) -> Error {
    let shown = path.display();
    let what_to_do = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => "it is no database: name another file",
        Some(ErrorCode::DatabaseCorrupt) => {
            "it is damaged: move it and its -wal away, and a new one is begun"
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "its directory must be writable"
        }
        Some(ErrorCode::DiskFull) => "its file system is full",
        _ => "is its file system sound?",
    };
    failed(&format!("cannot open the history of runs {shown} ({what_to_do})"), error)
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    schema::mark(connection)?;
    // In memory it stays `memory`.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // A commit waits for no disk: the thread of the connection does, when there is enough to do.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES, |_| Ok(()))?;
    // Defects of a file that somebody wrote reach no function of ours.
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    connection.busy_timeout(PATIENCE)
}

fn check(connection: &Connection, bytes: u64) -> rusqlite::Result<()> {
    if bytes > MOST_CHECKED_BYTES {
        return Ok(());
    }
    let found: String = connection.query_row("PRAGMA quick_check(1)", (), |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    let damaged = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(damaged, Some(found)))
}

/// The directory, made if it is not there, in which nobody else may put a file.
fn directory(path: &Path) -> Result<(), Error> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    let above = above.unwrap_or(Path::new("."));
    let shown = above.display();
    let cannot = |error| Error::Internal(format!("cannot make the directory {shown}"), error);
    DirBuilder::new().recursive(true).mode(0o700).create(above).map_err(cannot)?;
    let found = fs::metadata(above).map_err(cannot)?;
    let (mode, owner) = (found.mode(), found.uid());
    let is_trusted = owner == geteuid().as_raw() || owner == 0;
    if !is_trusted || mode & ANYBODY_MAY_WRITE != 0 && mode & STICKY == 0 {
        return Err(Error::Invalid(format!(
            "others may write in {shown}: a history of runs needs a directory of its own"
        )));
    }
    Ok(())
}

/// Beside the file, as `SQLite` has locks of its own on that.
fn lock(path: &Path, patience: Duration) -> Result<Flock<File>, Error> {
    let name = beside(path, ".lock");
    let shown = path.display();
    let cannot = |error: io::Error| {
        Error::Internal(format!("cannot lock the history of runs {shown}"), error)
    };
    let mut file = private_file(&name).map_err(cannot)?;
    let until = Instant::now() + patience;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((unlocked, Errno::EWOULDBLOCK)) if Instant::now() < until => file = unlocked,
            Err((_, Errno::EWOULDBLOCK)) => {
                return Err(Error::Invalid(format!(
                    "another service has the history of runs {shown}: stop it, or name another file"
                )));
            }
            Err((_, errno)) => return Err(cannot(errno.into())),
        }
        thread::sleep(LEFT_OVER.1);
    }
}

/// Makes the file, or sees that it is a file of this user; how long it is. `SQLite` gives its
/// companions the same mode.
fn private(path: &Path) -> io::Result<u64> {
    let file = private_file(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if found.uid() != geteuid().as_raw() {
        return Err(io::Error::other(format!("it belongs to user {}", found.uid())));
    }
    if found.mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(found.len())
}

fn private_file(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600).custom_flags(flags).open(path)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_let_go_of_is_taken() {
        const LONG: Duration = Duration::from_mins(1);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.sqlite");
        let left_over = lock(&path, Duration::ZERO).unwrap();
        assert!(matches!(lock(&path, Duration::ZERO), Err(Error::Invalid(_))));
        thread::scope(|scope| {
            let next = scope.spawn(|| lock(&path, LONG));
            // For as long as a look takes, and not until the next has patience no more.
            thread::sleep(3 * LEFT_OVER.1);
            assert!(!next.is_finished());
            drop(left_over);
            next.join().unwrap().unwrap();
        });
    }
}
