//! Holds against: reading or writing any file of the host that the job did not name. The root is
//! built from nothing, so what is not listed does not exist.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

use belljar_protocol::{Delivery, Job, Scratch};
use nix::fcntl::{OFlag, open, openat};
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{chdir, pivot_root};

use crate::control::Luggage;
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
pub(crate) fn open_sources(job: &Job) -> Step<Sources> {
    let read_only = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID;
    let open = |source: &str, attributes| -> Step<OwnedFd> {
        let failed = || doing::<io::Error>(format!("bind {source}"));
        let tree = sys::clone_tree(&c_path(source)?).map_err(failed())?;
        sys::restrict_tree(tree.as_fd(), attributes, true).map_err(failed())?;
        Ok(tree)
    };
    let mut sources = Sources { binds: Vec::new(), devices: Vec::new() };
    if !job.authority.makes_namespaces() {
        return Ok(sources);
    }
    for bind in &job.mounts {
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
    let path = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let proc = open("/proc", path, Mode::empty()).map_err(doing("open /proc"))?;
    if !job.authority.makes_namespaces() {
        let root = luggage.ground.as_ref().map(OwnedFd::try_clone);
        let root = root.ok_or_else(|| Failure::because("stand on the host", "no directory came"));
        return Ok(Ground { proc, root: root?.map_err(doing("stand on the host"))? });
    }
    mount_tmpfs(BUILDING_SITE, &format!("mode=755,size={}", root_bytes(job)), MsFlags::MS_NOEXEC)?;
    chdir(BUILDING_SITE).map_err(doing("enter the new root"))?;

    for (tree, target) in sources.binds.into_iter().chain(sources.devices) {
        attach(&tree, inside(&target)?)?;
    }
    mount_proc()?;
    mount_scratch(job.scratch)?;
    for (path, target) in DEVICE_LINKS {
        symlink(target, path).map_err(doing(format!("link {path}")))?;
    }
    for link in &job.links {
        let path = inside(&link.path)?;
        make_parents(path)?;
        symlink(&link.target, path).map_err(doing(format!("link {}", link.path)))?;
    }
    write_files(job, &luggage.contents)?;
    write_secrets(job)?;

    // The dot form of pivot_root(2) needs no place to put the old root: it lies on top of the
    // new one until it is detached.
    pivot_root(".", ".").map_err(doing("pivot the root"))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(doing("detach the old root"))?;
    chdir("/").map_err(doing("enter the new root"))?;
    let root = open("/", path, Mode::empty()).map_err(doing("open the new root"))?;
    sys::restrict_tree(root.as_fd(), libc::MOUNT_ATTR_RDONLY, false)
        .map_err(doing("make the root read-only"))?;
    Ok(Ground { proc, root })
}

impl Ground {
    pub(crate) fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// One of the [`WRITABLE`] places.
    pub(crate) fn open(&self, place: &str) -> nix::Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        openat(&self.root, place, flags, Mode::empty())
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

fn mount_scratch(scratch: Scratch) -> Step {
    const BASE: &str = "scratch";
    make_directory(BASE)?;
    let options = format!("mode=755,size={},nr_inodes={}", scratch.bytes, scratch.inodes);
    let noexec = if scratch.exec { MsFlags::empty() } else { MsFlags::MS_NOEXEC };
    mount_tmpfs(BASE, &options, noexec)?;
    let none: Option<&str> = None;
    for (part, mode) in [("work", 0o755), ("tmp", 0o1777), ("dev/shm", 0o1777)] {
        let own = format!("{BASE}/{}", part.rsplit('/').next().unwrap_or(part));
        make_directory(part)?;
        DirBuilder::new().mode(mode).create(&own).map_err(doing(format!("make /{part}")))?;
        // The process has umask 022; these two are for everyone in the jar.
        fs::set_permissions(&own, fs::Permissions::from_mode(mode))
            .map_err(doing(format!("open /{part}")))?;
        mount(Some(own.as_str()), part, none, MsFlags::MS_BIND, none)
            .map_err(doing(format!("mount /{part}")))?;
    }
    umount2(BASE, MntFlags::MNT_DETACH).map_err(doing("hide the scratch base"))?;
    fs::remove_dir(BASE).map_err(doing("remove the scratch base"))
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

fn write_files(job: &Job, contents: &File) -> Step {
    let mut offset = 0;
    for file in &job.files {
        let path = inside(&file.path)?;
        make_parents(path)?;
        let length = usize::try_from(file.bytes).map_err(|_| too_large(path))?;
        let mut bytes = vec![0; length];
        contents
            .read_exact_at(&mut bytes, offset)
            .and_then(|()| create(path, file.mode)?.write_all(&bytes))
            .map_err(doing(format!("write /{path}")))?;
        offset += file.bytes;
    }
    Ok(())
}

/// The convention of systemd and of container engines: one file per secret, readable by its owner.
fn write_secrets(job: &Job) -> Step {
    if job.delivery != Delivery::Files || job.secrets.is_empty() {
        return Ok(());
    }
    make_directory(SECRETS)?;
    for (name, value) in job.secrets.iter() {
        create(&format!("{SECRETS}/{name}"), 0o400)
            .and_then(|mut file| file.write_all(value))
            .map_err(doing(format!("write /{SECRETS}/{name}")))?;
    }
    Ok(())
}

fn create(path: &str, mode: u32) -> io::Result<File> {
    OpenOptions::new().create_new(true).write(true).mode(mode).open(path)
}

fn make_parents(path: &str) -> Step {
    match path.rsplit_once('/') {
        Some((parent, _)) => make_directory(parent),
        None => Ok(()),
    }
}

fn make_directory(path: &str) -> Step {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(doing(format!("make /{path}")))
}

/// A path of the jar, relative to the root under construction.
fn inside(path: &str) -> Step<&str> {
    let relative = path.strip_prefix('/').filter(|rest| {
        !rest.is_empty() && rest.split('/').all(|part| !matches!(part, "" | "." | ".."))
    });
    relative.ok_or_else(|| Failure::because("place a file", format!("{path:?} is no plain path")))
}

/// Room for what is written outside the scratch space, and for the directories themselves.
fn root_bytes(job: &Job) -> u64 {
    const SPARE_BYTES: u64 = 1 << 20;
    const PAGE_BYTES: u64 = 4096;
    let files: u64 = job.files.iter().map(|file| file.bytes.next_multiple_of(PAGE_BYTES)).sum();
    let secrets = u64::try_from(job.secrets.len_bytes()).unwrap_or(u64::MAX);
    SPARE_BYTES + files + secrets + PAGE_BYTES * (job.files.len() + job.mounts.len()) as u64
}

fn c_path(path: &str) -> Step<CString> {
    CString::new(path).map_err(|_| Failure::because("name a path", "it holds a NUL"))
}

fn too_large(path: &str) -> Failure {
    Failure::because(&format!("write /{path}"), "it is larger than memory")
}
