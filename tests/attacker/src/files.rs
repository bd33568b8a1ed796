//! Files of the host, and the walls around the few that a payload may touch (A39 to A50, A79).

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::libc;
use nix::unistd::{LinkatFlags, getppid, linkat};

use crate::scratch::Scratch;
use crate::sys::call;
use crate::tries::{Finding, Tries, errno};

/// Tries to read each path: a file's first byte, a directory's names, a link's target.
fn read_each<'a>(tries: &mut Tries, paths: impl IntoIterator<Item = &'a str>) {
    for path in paths {
        tries.attempt(path, || read(path));
    }
}

fn read(path: &str) -> nix::Result<()> {
    if fs::read_link(path).is_ok() || fs::read_dir(path).is_ok() {
        return Ok(());
    }
    let mut file = File::open(path).map_err(errno)?;
    // An empty file stands for a masked one.
    match file.read(&mut [0; 1]).map_err(errno)? {
        0 => Err(Errno::ENOENT),
        _ => Ok(()),
    }
}

/// Opens for writing and writes nothing: that it opens is the success.
fn open_for_writing(path: impl AsRef<Path>) -> nix::Result<File> {
    OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(errno)
}

pub(crate) fn host_secrets() -> Finding {
    const ACCOUNTS_OF_A_JAR: usize = 5;
    let mut tries = Tries::of_files();
    read_each(
        &mut tries,
        [
            "/etc/shadow",
            "/etc/ssh",
            "/etc/machine-id",
            "/root",
            "/home",
            "/var/log",
            "/var/lib",
            "/run/docker.sock",
            "/run/secrets/kubernetes.io",
            "/sys/class",
        ],
    );
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default().lines().count();
    tries.note(accounts > ACCOUNTS_OF_A_JAR, format!("/etc/passwd: {accounts} accounts"));
    tries.finding()
}

pub(crate) fn writable_mounts() -> Finding {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mounted = table.lines().filter_map(|line| line.split(' ').nth(4));
    let mut tries = Tries::of_files();
    for path in mounted.chain(["/", "/usr", "/usr/bin", "/etc", "/lib", "/dev", "/run", "/var"]) {
        if ["/work", "/tmp", "/dev/shm"].iter().any(|own| Path::new(path).starts_with(own)) {
            continue;
        }
        let Ok(metadata) = fs::metadata(path) else { continue };
        if metadata.is_dir() {
            // A file without a name: it leaves no trace.
            tries.attempt(path, || {
                let flags = libc::O_TMPFILE;
                match OpenOptions::new().write(true).custom_flags(flags).open(path).map_err(errno) {
                    Err(Errno::EOPNOTSUPP) => Err(Errno::EROFS),
                    other => other,
                }
            });
        } else if metadata.is_file() {
            tries.attempt(path, || match open_for_writing(path) {
                // A program that runs is refused to its owner before its mount is asked.
                Err(Errno::ETXTBSY) => Err(Errno::EROFS),
                other => other,
            });
        }
    }
    tries.finding()
}

pub(crate) fn host_controls() -> Finding {
    let mut tries = Tries::of_files();
    for path in [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/kernel/shmmax",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sys/kernel/ns_last_pid",
        "/proc/sysrq-trigger",
        "/sys/kernel/uevent_helper",
        "/sys/fs/cgroup/cgroup.procs",
        "/sys/fs/cgroup/unified/cgroup.procs",
        "/sys/fs/cgroup/memory/cgroup.procs",
        "/sys/fs/cgroup/memory/release_agent",
    ] {
        tries.attempt(path, || open_for_writing(path));
    }
    tries.finding()
}

pub(crate) fn memory_of_others() -> Finding {
    let mut tries = Tries::of_files();
    let parent = getppid();
    for path in ["/proc/1/mem".to_owned(), format!("/proc/{parent}/mem")] {
        tries.attempt(&path, || File::open(&path).map_err(errno));
        tries.attempt(&format!("{path} for writing"), || open_for_writing(&path));
    }
    tries.finding()
}

pub(crate) fn init() -> Finding {
    let mut tries = Tries::of_files();
    read_each(
        &mut tries,
        [
            "/proc/1/environ",
            "/proc/1/cmdline",
            "/proc/1/maps",
            "/proc/1/root",
            "/proc/1/cwd",
            "/proc/1/exe",
            "/proc/1/fd",
            "/proc/1/ns/mnt",
        ],
    );
    tries.finding()
}

pub(crate) fn host_processes() -> Finding {
    const PROCESSES_OF_A_JAR: usize = 3;
    let names: Vec<_> = fs::read_dir("/proc")
        .map(|entries| entries.flatten().map(|entry| entry.file_name()).collect())
        .unwrap_or_default();
    let is_number =
        |name: &&std::ffi::OsString| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let processes = names.iter().filter(is_number).count();
    let mut tries = Tries::of_files();
    tries.note(processes > PROCESSES_OF_A_JAR, format!("/proc shows {processes} processes"));
    read_each(
        &mut tries,
        [
            "/proc/kallsyms",
            "/proc/kcore",
            "/proc/keys",
            "/proc/timer_list",
            "/proc/cmdline",
            "/proc/modules",
            "/proc/interrupts",
            "/proc/config.gz",
            "/proc/sys/kernel/random/boot_id",
        ],
    );
    tries.finding()
}

pub(crate) fn covert_statistics() -> Finding {
    let mut tries = Tries::of_files();
    read_each(
        &mut tries,
        [
            "/proc/stat",
            "/proc/loadavg",
            "/proc/uptime",
            "/proc/vmstat",
            "/proc/pressure/cpu",
            "/proc/pressure/memory",
            "/proc/schedstat",
            "/sys/devices/system/cpu",
        ],
    );
    tries.finding()
}

pub(crate) fn way_up() -> Finding {
    let mut tries = Tries::of_files();
    let identity = |path: &str| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    let above = identity(&"../".repeat(64)).ok();
    let climbed = above != identity("/").ok();
    tries.note(climbed, format!("../ leads above the root: {climbed}"));
    tries.attempt("chroot and climb out", || {
        let scratch = Scratch::open().map_err(errno)?;
        let outside = File::open("/").map_err(errno)?;
        nix::unistd::chroot(&*scratch)?;
        nix::unistd::fchdir(&outside)?;
        nix::unistd::chroot(".")
    });
    tries.finding()
}

pub(crate) fn leaked_descriptors() -> Finding {
    const FIRST: i32 = 3;
    const LAST: i32 = 65_535;
    let mut tries = Tries::of_files();
    let leaked: Vec<_> = (FIRST..=LAST)
        .filter(|descriptor| call!(libc::SYS_fcntl, *descriptor, libc::F_GETFD).is_ok())
        .collect();
    tries.note(!leaked.is_empty(), format!("open descriptors from 3 on: {leaked:?}"));
    let directory = env::current_dir().unwrap_or_default();
    let shown = directory.display();
    tries.note(!directory.is_absolute(), format!("the current directory is {shown}"));
    tries.finding()
}

pub(crate) fn reopening() -> Finding {
    let libraries = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let library = libraries.lines().find_map(|line| {
        let path = line.split_once('/')?.1;
        path.contains("libc.so").then(|| format!("/{path}"))
    });
    let mut tries = Tries::of_files();
    for path in library.iter().map(String::as_str).chain(["/etc/passwd", "/usr", "/proc/self/root"])
    {
        tries.attempt(path, || {
            let held = OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_PATH)
                .open(path)
                .map_err(errno)?;
            let again = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
            if held.metadata().map_err(errno)?.is_dir() {
                let flags = libc::O_TMPFILE;
                let opened = OpenOptions::new().write(true).custom_flags(flags).open(again);
                return opened.map_err(errno);
            }
            open_for_writing(again)
        });
    }
    tries.finding()
}

/// Links this program, which lies outside the scratch directory, into it.
pub(crate) fn hard_links() -> Finding {
    let (Ok(scratch), Ok(program)) = (Scratch::open(), env::current_exe()) else {
        return Finding::Inconclusive("nothing to link".to_owned());
    };
    let mut tries = Tries::of_files();
    let target = scratch.join("linked");
    let cwd = nix::fcntl::AT_FDCWD;
    let mut attempt = |what: &str, from: &Path, flags: AtFlags| {
        tries.attempt(what, || {
            linkat(cwd, from, cwd, &target, flags)?;
            fs::remove_file(&target).map_err(errno)
        });
    };
    attempt("a file of the root", &program, LinkatFlags::empty());
    attempt("/proc/self/exe", Path::new("/proc/self/exe"), LinkatFlags::AT_SYMLINK_FOLLOW);
    tries.attempt("an empty path", || {
        let held = File::open(&program).map_err(errno)?;
        linkat(&held, "", cwd, &target, AtFlags::AT_EMPTY_PATH)?;
        fs::remove_file(&target).map_err(errno)
    });
    tries.finding()
}

/// Moves and links a file out of the scratch directory, to where this program lies.
pub(crate) fn moves() -> Finding {
    let own = env::current_exe().ok().and_then(|path| path.parent().map(Path::to_owned));
    let (Ok(scratch), Some(outside)) = (Scratch::open(), own) else {
        return Finding::Inconclusive("nothing to move".to_owned());
    };
    let from = scratch.join("moved");
    let to = outside.join(".belljar-attack-moved");
    if fs::write(&from, "x").is_err() {
        return Finding::Inconclusive("nothing can be written".to_owned());
    }
    let mut tries = Tries::of_files();
    tries.attempt("link", || {
        fs::hard_link(&from, &to).map_err(errno)?;
        fs::remove_file(&to).map_err(errno)
    });
    tries.attempt("rename", || {
        fs::rename(&from, &to).map_err(errno)?;
        fs::remove_file(&to).map_err(errno)
    });
    tries.finding()
}
