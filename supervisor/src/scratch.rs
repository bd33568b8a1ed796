//! The directory of a run that has no root of its own: where neither namespaces nor mounts can be
//! made, the payload lives on the host, and this is all that it may write.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use belljar_protocol::Authority;
use nix::fcntl::{OFlag, open, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

use crate::Error;
use crate::cgroup;
use crate::host::Lent;
use crate::runtime::{Launch, LaunchFile};

mod relocate;

/// A directory of the host that one run may write. Dropping it removes it, and blocks.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    /// Locked, shared, for as long as the directory has an owner; see [`sweep`].
    directory: File,
}

/// The places that the payload may write, as in a jar.
const WRITABLE: [&str; 3] = ["work", "tmp", "dev/shm"];
/// Names that are handled before more are asked for.
const BATCH: usize = 1024;

impl Scratch {
    /// Makes the directory with the files of `launch`, and changes `launch` so that it names
    /// everything by where it lies on the host.
    pub(crate) fn prepare(run_id: &str, lent: &Lent, launch: &mut Launch) -> Result<Self, Error> {
        let made = Self::make(run_id, lent).and_then(|scratch| {
            launch.files.iter().try_for_each(|file| scratch.write(file, lent))?;
            Ok(scratch)
        });
        let scratch = made.map_err(|error| Error::Unenforceable {
            what: "rootfs".to_owned(),
            reason: format!("cannot make a directory for the run: {error}"),
            errno: error.raw_os_error().unwrap_or_default(),
            hint: "name a directory that every user can enter in TMPDIR",
        })?;
        let path = scratch.path.to_str().ok_or_else(|| {
            Error::Invalid(format!("{} is not valid UTF-8", scratch.path.display()))
        })?;
        relocate::relocate(launch, path);
        Ok(scratch)
    }

    /// Its `/work`, held: it can be read after the payload is dead.
    pub(crate) fn work(&self) -> io::Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(openat(&self.directory, "work", flags, Mode::empty())?)
    }

    /// Where the payload starts.
    pub(crate) fn work_path(&self) -> PathBuf {
        self.path.join("work")
    }

    fn make(run_id: &str, lent: &Lent) -> io::Result<Self> {
        let name = cgroup::run_name(run_id)?;
        let path = places()
            .into_iter()
            .find(|place| lent.authority == Authority::Nothing || is_open_to_all(place))
            .ok_or_else(|| io::Error::other("no directory for temporary files is open to all"))?
            .join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        let scratch = Self { directory: File::open(&path)?, path };
        scratch.directory.try_lock_shared()?;
        if lent.authority == Authority::Ids {
            // Another id passes through; what it owns lies below, closed to everybody else.
            fs::set_permissions(&scratch.path, Permissions::from_mode(0o711))?;
        }
        for place in WRITABLE {
            scratch.make_directories(place, lent)?;
            fs::set_permissions(scratch.path.join(place), Permissions::from_mode(0o700))?;
        }
        Ok(scratch)
    }

    /// `file.path` was checked where it came from: absolute and plain.
    fn write(&self, file: &LaunchFile, lent: &Lent) -> io::Result<()> {
        let relative = file.path.trim_start_matches('/');
        if relative.starts_with("etc/") {
            return Ok(());
        }
        if let Some((parent, _)) = relative.rsplit_once('/') {
            self.make_directories(parent, lent)?;
        }
        let path = self.path.join(relative);
        let mut opened =
            OpenOptions::new().create_new(true).write(true).mode(file.mode).open(&path)?;
        opened.write_all(&file.bytes)?;
        opened.set_permissions(Permissions::from_mode(file.mode))?;
        give(relative, &path, lent)
    }

    fn make_directories(&self, relative: &str, lent: &Lent) -> io::Result<()> {
        let mut path = self.path.clone();
        let mut at = String::new();
        for part in relative.split('/') {
            path.push(part);
            at = if at.is_empty() { part.to_owned() } else { format!("{at}/{part}") };
            match DirBuilder::new().mode(0o755).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            // Whatever the umask is.
            fs::set_permissions(&path, Permissions::from_mode(0o755))?;
            give(&at, &path, lent)?;
        }
        Ok(())
    }

    /// Removes it with everything in it.
    fn remove(&self) -> io::Result<()> {
        empty(self.directory.as_fd())?;
        fs::remove_dir(&self.path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!(path = %self.path.display(), %error, "the directory of a run stays");
        }
    }
}

impl AsFd for Scratch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// Removes directories of supervisors that are dead.
pub(crate) fn sweep() {
    for entry in places().iter().filter_map(|place| fs::read_dir(place).ok()).flatten().flatten() {
        let name = entry.file_name();
        if !name.to_str().is_some_and(cgroup::is_stale) {
            continue;
        }
        match remove_stale(&entry.path()) {
            Ok(()) => {}
            Err(error) => tracing::warn!(?name, %error, "a stale directory stays"),
        }
    }
}

/// Only what is ours: others may put what they like into a directory for temporary files.
fn remove_stale(path: &Path) -> io::Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let directory = File::from(open(path, flags, Mode::empty())?);
    // An owner in another pid namespace has another id there, but it holds the lock.
    if directory.metadata()?.uid() != geteuid().as_raw() || directory.try_lock().is_err() {
        return Ok(());
    }
    empty(directory.as_fd())?;
    fs::remove_dir(path)
}

/// Empties a tree that a payload made, however deep it is: what lies two levels down is moved up
/// before it is removed, so that neither descriptors nor the stack run out. No link is followed.
fn empty(top: BorrowedFd<'_>) -> io::Result<()> {
    let unguessable = ulid::Ulid::generate();
    let mut moved = 0_u64;
    loop {
        let names = names(top)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in &names {
            if unlinkat(top, name.as_os_str(), UnlinkatFlags::NoRemoveDir).is_ok() {
                continue;
            }
            let below = open_below(top, name)?;
            loop {
                let children = self::names(below.as_fd())?;
                if children.is_empty() {
                    break;
                }
                for child in &children {
                    if unlinkat(&below, child.as_os_str(), UnlinkatFlags::NoRemoveDir).is_ok() {
                        continue;
                    }
                    // Moving a directory takes the right to write it.
                    drop(open_below(below.as_fd(), child)?);
                    moved += 1;
                    let name = format!("{unguessable}-{moved}");
                    renameat(&below, child.as_os_str(), top, name.as_str())?;
                }
            }
            unlinkat(top, name.as_os_str(), UnlinkatFlags::RemoveDir)?;
        }
    }
}

/// Some of the names in a directory, and none when it is empty.
fn names(directory: BorrowedFd<'_>) -> io::Result<Vec<OsString>> {
    let entries = fs::read_dir(format!("/proc/self/fd/{}", directory.as_raw_fd()))?;
    entries.take(BATCH).map(|entry| Ok(entry?.file_name())).collect()
}

/// A directory whose permissions may forbid its owner everything.
fn open_below(parent: BorrowedFd<'_>, name: &OsString) -> io::Result<OwnedFd> {
    let place = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let place = openat(parent, name.as_os_str(), place, Mode::empty())?;
    let by_descriptor = format!("/proc/self/fd/{}", place.as_raw_fd());
    fs::set_permissions(by_descriptor, Permissions::from_mode(0o700))?;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(openat(&place, ".", flags, Mode::empty())?)
}

/// Hands what lies in a writable place over to the payload.
fn give(relative: &str, path: &Path, lent: &Lent) -> io::Result<()> {
    let is_writable = WRITABLE.iter().any(|place| Path::new(relative).starts_with(place));
    if lent.authority != Authority::Ids || !is_writable {
        return Ok(());
    }
    chown(path, Some(lent.uid), Some(lent.gid))
}

/// Where such directories may lie, by their real names. The first is in memory where there is a
/// session.
fn places() -> Vec<PathBuf> {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let candidates = runtime.into_iter().chain([env::temp_dir(), PathBuf::from("/tmp")]);
    let mut places: Vec<PathBuf> = Vec::new();
    for place in candidates.filter_map(|place| place.canonicalize().ok()) {
        let may_write = nix::unistd::access(&place, nix::unistd::AccessFlags::W_OK).is_ok();
        if place.is_dir() && may_write && !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

/// Whether a user who owns nothing on the way gets there.
fn is_open_to_all(place: &Path) -> bool {
    let passes = |path: &Path| path.metadata().is_ok_and(|found| found.mode() & 0o001 != 0);
    place.ancestors().all(passes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_hostile_tree_is_removed_and_nothing_that_it_points_at() {
        let host = tempfile::tempdir().unwrap();
        let kept = host.path().join("kept");
        fs::create_dir_all(kept.join("below")).unwrap();
        let top = host.path().join("top");
        fs::create_dir(&top).unwrap();
        symlink(&kept, top.join("link")).unwrap();
        let mut at = File::open(&top).unwrap();
        let enter = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        // Deeper than a path is long, and than descriptors there are.
        for _ in 0..3000 {
            nix::sys::stat::mkdirat(&at, "deep", Mode::S_IRWXU).unwrap();
            at = openat(&at, "deep", enter, Mode::empty()).unwrap().into();
        }
        fs::create_dir_all(top.join("closed/inner")).unwrap();
        fs::set_permissions(top.join("closed/inner"), Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(top.join("closed"), Permissions::from_mode(0o000)).unwrap();
        for n in 0..2 * BATCH {
            fs::write(top.join(format!("file-{n}")), "").unwrap();
        }
        empty(File::open(&top).unwrap().as_fd()).unwrap();
        assert_eq!(fs::read_dir(&top).unwrap().count(), 0);
        assert!(kept.join("below").is_dir());
    }

    #[test]
    fn what_a_dead_supervisor_left_is_removed_and_what_a_living_one_has_is_not() {
        let host = tempfile::tempdir().unwrap();
        let own = host.path().join(cgroup::run_name("01JABC").unwrap());
        assert!(!cgroup::is_stale(own.file_name().unwrap().to_str().unwrap()));
        assert!(cgroup::is_stale("belljar-1-1-01JABC"));
        let held = host.path().join("belljar-1-1-01JABC");
        fs::create_dir_all(held.join("work")).unwrap();
        let lock = File::open(&held).unwrap();
        lock.lock_shared().unwrap();
        remove_stale(&held).unwrap();
        assert!(held.is_dir());
        drop(lock);
        // A process that another test starts in this moment holds it, too, until it executes.
        let until = Instant::now() + Duration::from_secs(10);
        while held.exists() {
            assert!(Instant::now() < until, "it stays");
            remove_stale(&held).unwrap();
        }
    }
}
