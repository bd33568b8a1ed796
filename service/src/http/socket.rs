//! The socket: nobody else's, and never in the place of one that answers.

use std::env;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use belljar::Error;
use listenfd::ListenFd;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Group, chown, geteuid};
use tokio::net::UnixListener;

/// How often another one that is starting is waited for, and how long each time: longer than that
/// one waits for somebody in its place.
const PATIENCE: (u32, Duration) = (100, Duration::from_millis(20));
/// How long whoever has the socket may say nothing before that is believed.
const SILENCE: Duration = Duration::from_secs(1);
/// A service has an answer to this, whoever asks.
const QUESTION: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: belljar\r\nconnection: close\r\n\r\n";
const ANYBODY_MAY_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// A socket that this process listens on. Its name is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    path: PathBuf,
    listener: StdListener,
    /// The file that the name stands for: it may become another one's. Nothing for one that
    /// somebody else made, and removes.
    identity: Option<(u64, u64)>,
}

/// Who may connect to a socket, as far as its file says so.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) mode: u32,
    /// By name or number; empty for that of the service.
    pub(crate) group: String,
}

/// Where a service listens, and is looked for, unless somebody says so.
///
/// # Errors
/// [`Error::Invalid`] when there is no directory of this user alone.
pub(crate) fn usual_socket() -> Result<PathBuf, Error> {
    let own = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    match own {
        Some(directory) => Ok(directory.join("belljar.sock")),
        None if geteuid().is_root() => Ok(PathBuf::from("/run/belljar.sock")),
        None => Err(Error::Invalid(
            "XDG_RUNTIME_DIR is not set: say where to listen with --socket PATH".to_owned(),
        )),
    }
}

impl Listening {
    /// Listens. Changes the mask of new files for a moment: no other thread may be making any.
    ///
    /// # Errors
    /// [`Error::Invalid`] when somebody answers there already, when something else is there, or
    /// when others could put theirs in its place.
    pub(crate) fn at(path: &Path, access: &Access) -> Result<Self, Error> {
        let shown = path.display();
        let cannot =
            |error: io::Error| Error::Invalid(format!("cannot listen on {shown}: {error}"));
        let group = access.group()?;
        let directory = directory(path, group).map_err(cannot)?;
        // Two that start at the same time would each take the other's socket for a stale one.
        let _lock = lock(directory).map_err(cannot)?;
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(cannot(error)),
            Ok(found) if !found.file_type().is_socket() => {
                return Err(Error::Invalid(format!("{shown} is there already, and no socket")));
            }
            Ok(_) if answers(path, SILENCE).map_err(cannot)? => {
                return Err(Error::Invalid(format!("a service answers on {shown} already")));
            }
            Ok(_) => match fs::remove_file(path) {
                // Whoever had it took it away meanwhile.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(error)),
                _ => {}
            },
        }
        let mask = umask(Mode::from_bits_truncate(0o177));
        let bound = StdListener::bind(path);
        umask(mask);
        let listener = bound.map_err(cannot)?;
        let found = fs::symlink_metadata(path).map_err(cannot)?;
        let identity = Some((found.dev(), found.ino()));
        let listening = Self { path: path.to_owned(), listener, identity };
        let opened = chown(path, None, group).map_err(io::Error::from);
        let mode = Permissions::from_mode(access.mode);
        opened.and_then(|()| fs::set_permissions(path, mode)).map_err(cannot)?;
        Ok(listening)
    }

    /// The socket that whoever started this process listens on for it (`sd_listen_fds(3)`), if
    /// there is one.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is not one that can be served on.
    pub(crate) fn handed_over() -> Result<Option<Self>, Error> {
        let failed = |error: io::Error| Error::Invalid(format!("LISTEN_FDS: {error}"));
        let Some(listener) = ListenFd::from_env().take_unix_listener(0).map_err(failed)? else {
            return Ok(None);
        };
        let address = listener.local_addr().map_err(failed)?;
        let path = address.as_pathname().map_or_else(|| PathBuf::from("a socket"), Path::to_owned);
        Ok(Some(Self { path, listener, identity: None }))
    }

    /// For an event loop.
    pub(crate) fn listener(&self) -> io::Result<UnixListener> {
        self.listener.set_nonblocking(true)?;
        UnixListener::from_std(self.listener.try_clone()?)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let is_ours = |found: fs::Metadata| Some((found.dev(), found.ino())) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
            // Who finds it finds nobody behind it, and takes its place.
            drop(fs::remove_file(&self.path));
        }
    }
}

impl Access {
    fn group(&self) -> Result<Option<Gid>, Error> {
        if self.group.is_empty() {
            return Ok(None);
        }
        if let Ok(number) = self.group.parse() {
            return Ok(Some(Gid::from_raw(number)));
        }
        let found = Group::from_name(&self.group).ok().flatten();
        let unknown = || format!("`service.socket_group`: there is no group {:?}", self.group);
        found.map(|group| Some(group.gid)).ok_or_else(|| Error::Invalid(unknown()))
    }
}

/// The directory of the socket, made if it is not there: for its owner, and for a group that is to
/// reach the socket.
fn directory(path: &Path, group: Option<Gid>) -> io::Result<File> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    let above = above.unwrap_or(Path::new("."));
    match DirBuilder::new().mode(0o700).create(above) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) if group.is_some() => {
            chown(above, None, group)?;
            fs::set_permissions(above, Permissions::from_mode(0o710))?;
        }
        _ => {}
    }
    let directory = File::open(above)?;
    let found = directory.metadata()?;
    let mode = found.permissions().mode();
    let is_trusted = found.uid() == geteuid().as_raw() || found.uid() == 0;
    if !is_trusted || mode & ANYBODY_MAY_WRITE != 0 && mode & STICKY == 0 {
        return Err(io::Error::other("others may write in its directory"));
    }
    Ok(directory)
}

fn lock(directory: File) -> io::Result<Flock<File>> {
    let mut directory = directory;
    for _ in 0..PATIENCE.0 {
        match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((unlocked, Errno::EWOULDBLOCK)) => directory = unlocked,
            Err((_, errno)) => return Err(errno.into()),
        }
        thread::sleep(PATIENCE.1);
    }
    Err(io::Error::other("its directory is locked; is another one starting?"))
}

/// Whether somebody has the socket. What a killed service has just started, and is not executed yet,
/// still has it as well, and never answers: silence counts only when it lasts.
fn answers(path: &Path, silence: Duration) -> io::Result<bool> {
    let until = Instant::now() + silence;
    loop {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let trial = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        match connect(trial.as_raw_fd(), &UnixAddr::new(path)?) {
            Ok(()) if speaks(trial, until) => return Ok(true),
            // Nobody accepts, or somebody has too much to do.
            Ok(()) | Err(Errno::EAGAIN) => {}
            Err(Errno::ECONNREFUSED | Errno::ENOENT) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        }
        if Instant::now() >= until {
            return Ok(true);
        }
        thread::sleep(PATIENCE.1);
    }
}

/// Whether there is an answer in time. With the last one who has the socket goes the connection.
fn speaks(trial: OwnedFd, until: Instant) -> bool {
    let patience = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let mut trial = UnixStream::from(trial);
    let is_set = trial
        .set_nonblocking(false)
        .and_then(|()| trial.set_write_timeout(Some(patience)))
        .and_then(|()| trial.set_read_timeout(Some(patience)));
    // Who has too many connections says so before anything is asked.
    drop(trial.write_all(QUESTION));
    is_set.and_then(|()| trial.read(&mut [0])).is_ok_and(|bytes| bytes > 0)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    fn bound() -> (TempDir, PathBuf, StdListener) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let listener = StdListener::bind(&path).unwrap();
        (directory, path, listener)
    }

    #[test]
    fn a_socket_that_is_let_go_of_was_nobodys() {
        let (_directory, path, left_over) = bound();
        let asking = thread::spawn(move || answers(&path, LONG));
        // Whoever connects meanwhile is not accepted.
        thread::sleep(3 * PATIENCE.1);
        assert!(!asking.is_finished());
        drop(left_over);
        assert!(!asking.join().unwrap().unwrap());
    }

    #[test]
    fn who_answers_is_believed_at_once_and_who_does_not_in_the_end() {
        let (_directory, path, listener) = bound();
        assert!(answers(&path, Duration::from_millis(50)).unwrap());
        let began = Instant::now();
        let asking = thread::spawn(move || answers(&path, LONG));
        let living = thread::spawn(move || {
            // One of them has been there and gone.
            for stream in listener.incoming().take(2) {
                drop(stream.and_then(|mut stream| stream.write_all(b"HTTP/1.1 200 OK")));
            }
        });
        assert!(asking.join().unwrap().unwrap());
        assert!(began.elapsed() < LONG / 2, "{:?}", began.elapsed());
        living.join().unwrap();
    }

    #[test]
    fn where_nobody_listens_nobody_answers() {
        let (_directory, path, listener) = bound();
        drop(listener);
        assert!(!answers(&path, LONG).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!answers(&path, LONG).unwrap());
    }
}
