//! Holds against: reading or writing any file of the host that the job did not name. The root is
//! built from nothing, so what is not listed does not exist.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, symlink};
use std::path::Path;

use belljar_protocol::{Contents, Delivery, Files, Identity, Jar, Job};
use nix::fcntl::{OFlag, open, openat};
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{chdir, pivot_root};

use crate::control::Luggage;
use crate::files::{self, inside, make_directory, make_parents};
use crate::stopwatch::{Failure, Step, doing};
use crate::sys;

/// The mounts of the host that the jar will hold, detached and already restricted. Opened
/// outside, where a path below a private directory can still be walked.
pub(crate) struct Sources {
    binds: Vec<(OwnedFd, String)>,
    devices: Vec<(OwnedFd, String)>,
}

/// What the walls behind this one stand on.
pub(crate) struct Ground {
    /// The host's /proc, kept open without being visible: the only way to per-namespace settings.
    proc: OwnedFd,
    /// Where the writable places lie: the new root, or the directory that takes its place.
    root: OwnedFd,
    /// Where secrets can still be written, by who holds it alone.
    hatch: Option<OwnedFd>,
}

/// Where the new root is built: a directory that every host has.
const BUILDING_SITE: &str = "/proc";
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
const DEVICE_LINKS: [(&str, &str); 4] = [
    ("dev/fd", "/proc/self/fd"),
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/proc/self/fd/1"),
    ("dev/stderr", "/proc/self/fd/2"),
];
/// The writable places, all on one tmpfs so that one size and one inode limit bound them.
pub(crate) const WRITABLE: [&str; 3] = ["work", "tmp", "dev/shm"];
const SECRETS: &str = "run/secrets";

/// Opens what the job lets the payload see of the host.
pub(crate) fn open_sources(jar: &Jar) -> Step<Sources> {
    let read_only = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID;
    let open = |source: &str, attributes| -> Step<OwnedFd> {
        let failed = || doing::<io::Error>(format!("bind {source}"));
        let tree = sys::clone_tree(&c_path(source)?).map_err(failed())?;
        sys::restrict_tree(tree.as_fd(), attributes, true).map_err(failed())?;
        Ok(tree)
    };
    let mut sources = Sources { binds: Vec::new(), devices: Vec::new() };
    if !jar.authority.makes_namespaces() {
        return Ok(sources);
    }
    for bind in &jar.mounts {
        let tree = open(&bind.source, read_only | libc::MOUNT_ATTR_NODEV)?;
        sources.binds.push((tree, bind.target.clone()));
    }
    for device in DEVICES {
        let tree = open(device, read_only | libc::MOUNT_ATTR_NOEXEC)?;
        sources.devices.push((tree, device.to_owned()));
    }
    Ok(sources)
}

/// Builds the new root and leaves the old one for good. Without the right to, what the supervisor
/// prepared takes its place, and Landlock alone keeps the rest of the host away.
pub(crate) fn build(job: &Job, luggage: &Luggage, sources: Sources) -> Step<Ground> {
    let jar = &job.jar;
    let proc = open_proc()?;
    if !jar.authority.makes_namespaces() {
        let root = luggage.ground.as_ref().map(OwnedFd::try_clone);
        let root = root.ok_or_else(|| Failure::because("stand on the host", "no directory came"));
        return Ok(Ground { proc, root: root?.map_err(doing("stand on the host"))?, hatch: None });
    }
    let mut bytes = bytes_of(jar, &job.task.files);
    bytes += u64::try_from(job.task.secrets.len_bytes()).unwrap_or(u64::MAX);
    lay(jar, luggage.jar_contents.as_ref(), sources, bytes)?;
    mount_proc()?;
    mount_scratch(jar, Identity { uid: 0, gid: 0 })?;
    files::write(&job.task.files, luggage.task_contents.as_ref())?;
    if jar.delivery == Delivery::Files && !job.task.secrets.is_empty() {
        make_directory(SECRETS)?;
        files::write_secrets(&job.task.secrets, SECRETS)?;
    }
    move_in()?;
    Ok(Ground { proc, root: open_root()?, hatch: None })
}

/// Builds the root that many jars will have, and moves into it.
pub(crate) fn build_shared(jar: &Jar, luggage: &Luggage, sources: Sources) -> Step<OwnedFd> {
    let proc = open_proc()?;
    let nothing = Files { entries: Vec::new(), contents: Contents::Inline(Vec::new()) };
    lay(jar, luggage.jar_contents.as_ref(), sources, bytes_of(jar, &nothing))?;
    for place in WRITABLE.iter().chain(&[SECRETS]) {
        make_directory(place)?;
    }
    // The kernel lets nobody mount one who cannot see one (mount_namespaces(7)).
    mount_proc()?;
    move_in()?;
    Ok(proc)
}

/// Makes a copy of that root, in mount and pid namespaces of its own, the one of a single jar.
pub(crate) fn build_own(jar: &Jar, identity: Identity, proc: OwnedFd) -> Step<Ground> {
    chdir("/").map_err(doing("enter the root"))?;
    mount_proc()?;
    let hatch = mount_scratch(jar, identity)?;
    Ground::here(proc, hatch)
}

fn open_proc() -> Step<OwnedFd> {
    let path = OFlag::O_PATH | OFlag::O_CLOEXEC;
    open("/proc", path, Mode::empty()).map_err(doing("open /proc"))
}

fn open_root() -> Step<OwnedFd> {
    let path = OFlag::O_PATH | OFlag::O_CLOEXEC;
    open("/", path, Mode::empty()).map_err(doing("open the new root"))
}

/// Lays out everything of a root that holds for any process in it.
fn lay(jar: &Jar, contents: Option<&File>, sources: Sources, bytes: u64) -> Step {
    mount_tmpfs(BUILDING_SITE, &format!("mode=755,size={bytes}"), MsFlags::MS_NOEXEC)?;
    chdir(BUILDING_SITE).map_err(doing("enter the new root"))?;
    for (tree, target) in sources.binds.into_iter().chain(sources.devices) {
        attach(&tree, inside(&target)?)?;
    }
    for (path, target) in DEVICE_LINKS {
        symlink(target, path).map_err(doing(format!("link {path}")))?;
    }
    for link in &jar.links {
        let path = inside(&link.path)?;
        make_parents(path)?;
        symlink(&link.target, path).map_err(doing(format!("link {}", link.path)))?;
    }
    files::write(&jar.files, contents)
}

/// Leaves the old root for good, and makes the new one read-only.
fn move_in() -> Step {
    // The dot form of pivot_root(2) needs no place to put the old root: it lies on top of the
    // new one until it is detached.
    pivot_root(".", ".").map_err(doing("pivot the root"))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(doing("detach the old root"))?;
    chdir("/").map_err(doing("enter the new root"))?;
    sys::restrict_tree(open_root()?.as_fd(), libc::MOUNT_ATTR_RDONLY, false)
        .map_err(doing("make the root read-only"))
}

impl Ground {
    /// The root of this process.
    pub(crate) fn here(proc: OwnedFd, hatch: Option<OwnedFd>) -> Step<Self> {
        Ok(Self { proc, root: open_root()?, hatch })
    }

    pub(crate) fn root(&self) -> &OwnedFd {
        &self.root
    }

    pub(crate) fn hatch(&self) -> Option<&OwnedFd> {
        self.hatch.as_ref()
    }

    pub(crate) fn into_hatch(self) -> Option<OwnedFd> {
        self.hatch
    }

    /// One of the [`WRITABLE`] places.
    pub(crate) fn open(&self, place: &str) -> nix::Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        openat(&self.root, place, flags, Mode::empty())
    }

    /// Opens a file of the host's /proc to read.
    pub(crate) fn open_proc(&self, path: &str) -> nix::Result<OwnedFd> {
        openat(&self.proc, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
    }

    /// Writes one setting of this process or of its namespaces.
    pub(crate) fn write_proc(&self, path: &str, text: &str) -> io::Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let file = openat(&self.proc, path, flags, Mode::empty())?;
        File::from(file).write_all(text.as_bytes())
    }
}

/// A fresh /proc that shows processes and nothing of the machine: with `subset=pid` there is no
/// list of host files to mask, and none to forget (proc(5)).
fn mount_proc() -> Step {
    make_directory("proc")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    mount(Some("proc"), "proc", Some("proc"), flags, Some("subset=pid,hidepid=invisible"))
        .map_err(doing("mount a fresh /proc"))
}

/// The writable places, and the directory that will hold secrets if they come as files.
fn mount_scratch(jar: &Jar, owner: Identity) -> Step<Option<OwnedFd>> {
    // Where it lies until its last part covers it: nothing has to be unmounted, which would wait
    // for the whole kernel.
    const BASE: &str = "tmp";
    let none: Option<&str> = None;
    let scratch = jar.scratch;
    make_directory(BASE)?;
    let options = format!("mode=755,size={},nr_inodes={}", scratch.bytes, scratch.inodes);
    let noexec = if scratch.exec { MsFlags::empty() } else { MsFlags::MS_NOEXEC };
    mount_tmpfs(BASE, &options, noexec)?;
    let hatch = match jar.delivery {
        Delivery::Files if Path::new(SECRETS).is_dir() => Some(mount_secrets(BASE, owner)?),
        Delivery::Files | Delivery::Descriptor => None,
    };
    for (part, mode) in [("work", 0o755), ("dev/shm", 0o1777), ("tmp", 0o1777)] {
        let own = own_directory(BASE, part, mode, owner)?;
        make_directory(part)?;
        mount(Some(own.as_str()), part, none, MsFlags::MS_BIND, none)
            .map_err(doing(format!("mount /{part}")))?;
    }
    Ok(hatch)
}

/// Shows a directory of the scratch space at the place of secrets, read-only, and keeps it open.
fn mount_secrets(base: &str, owner: Identity) -> Step<OwnedFd> {
    let none: Option<&str> = None;
    let own = own_directory(base, SECRETS, 0o700, owner)?;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let hatch = open(own.as_str(), flags, Mode::empty()).map_err(doing("open /run/secrets"))?;
    mount(Some(own.as_str()), SECRETS, none, MsFlags::MS_BIND, none)
        .map_err(doing("mount /run/secrets"))?;
    let shown = open(SECRETS, flags, Mode::empty()).map_err(doing("open /run/secrets"))?;
    sys::restrict_tree(shown.as_fd(), libc::MOUNT_ATTR_RDONLY, false)
        .map_err(doing("make /run/secrets read-only"))?;
    Ok(hatch)
}

fn own_directory(base: &str, part: &str, mode: u32, owner: Identity) -> Step<String> {
    let own = format!("{base}/{}", part.rsplit('/').next().unwrap_or(part));
    DirBuilder::new().mode(mode).create(&own).map_err(doing(format!("make /{part}")))?;
    // The process has umask 022; some of these are for everyone in the jar.
    fs::set_permissions(&own, fs::Permissions::from_mode(mode))
        .and_then(|()| chown(&own, Some(owner.uid), Some(owner.gid)))
        .map_err(doing(format!("open /{part}")))?;
    Ok(own)
}

fn mount_tmpfs(target: &str, options: &str, more: MsFlags) -> Step {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | more;
    mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some(options))
        .map_err(doing(format!("mount a tmpfs at {target}")))
}

/// Attaches a detached tree on a place of its own kind, made for it.
fn attach(tree: &OwnedFd, target: &str) -> Step {
    let status = fstat(tree).map_err(doing(format!("inspect {target}")))?;
    if SFlag::from_bits_truncate(status.st_mode).contains(SFlag::S_IFDIR)
        && !SFlag::from_bits_truncate(status.st_mode).contains(SFlag::S_IFBLK)
    {
        make_directory(target)?;
    } else {
        make_parents(target)?;
        // A file may already be there: part of a directory that was attached before.
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(target)
            .map(drop)
            .or_else(|error| if Path::new(target).exists() { Ok(()) } else { Err(error) })
            .map_err(doing(format!("make /{target}")))?;
    }
    sys::attach_tree(tree.as_fd(), &c_path(target)?).map_err(doing(format!("mount /{target}")))
}

/// Room for what is written outside the scratch space, and for the directories themselves.
fn bytes_of(jar: &Jar, others: &Files) -> u64 {
    const SPARE_BYTES: u64 = 1 << 20;
    const PAGE_BYTES: u64 = 4096;
    let files = jar.files.entries.iter().chain(&others.entries);
    let bytes: u64 = files.map(|file| PAGE_BYTES + file.bytes.next_multiple_of(PAGE_BYTES)).sum();
    SPARE_BYTES + bytes + PAGE_BYTES * jar.mounts.len() as u64
}

fn c_path(path: &str) -> Step<CString> {
    CString::new(path).map_err(|_| Failure::because("name a path", "it holds a NUL"))
}
