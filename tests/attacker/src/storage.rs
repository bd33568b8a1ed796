//! Filling and littering the writable place (A52 to A59).

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::{env, io};

use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::Mode;

use crate::scratch::Scratch;
use crate::sys::{self, call};
use crate::tries::{Finding, Tries, either_way, errno};

pub(crate) fn inodes() -> Finding {
    const AIM: usize = 20_000;
    let Ok(scratch) = Scratch::open() else {
        return Finding::Inconclusive("nothing can be written".to_owned());
    };
    for count in 0..AIM {
        if let Err(error) = File::create(scratch.join(format!("inode-{count}"))) {
            return Finding::Held(format!("file {count}: {error}"));
        }
    }
    Finding::Bit(format!("{AIM} files"))
}

pub(crate) fn disk() -> Finding {
    match Scratch::open() {
        Ok(scratch) => fill(&scratch),
        Err(error) => Finding::Inconclusive(error.to_string()),
    }
}

pub(crate) fn shared_memory_files() -> Finding {
    let directory = Path::new("/dev/shm").join(format!("belljar-attack-{}", std::process::id()));
    if let Err(error) = fs::create_dir(&directory) {
        return Finding::Held(format!("/dev/shm: {error}"));
    }
    let finding = fill(&directory);
    either_way(fs::remove_dir_all(&directory));
    finding
}

/// Writes twice what a jar grants by default, in files that each stay below the file limit.
fn fill(directory: &Path) -> Finding {
    const FILES: usize = 8;
    const MIB_PER_FILE: usize = 16;
    sys::disposition(libc::SIGXFSZ, true);
    let block = vec![0x55; 1 << 20];
    for count in 0..FILES * MIB_PER_FILE {
        let path = directory.join(format!("fill-{}", count / MIB_PER_FILE));
        let written = File::options()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(&block));
        if let Err(error) = written {
            return Finding::Held(format!("MiB {count}: {error}"));
        }
    }
    Finding::Bit(format!("{} MiB", FILES * MIB_PER_FILE))
}

/// Leaves a file that looks as large as the file limit lets it, and uses no block.
pub(crate) fn sparse_file() -> Finding {
    const MODEST_BYTES: u64 = 60 << 20;
    sys::disposition(libc::SIGXFSZ, true);
    let created = Scratch::open()
        .and_then(|scratch| Ok((File::create(scratch.join("sparse.bin"))?, scratch)));
    let Ok((file, _scratch)) = created else {
        return Finding::Inconclusive("nothing can be written".to_owned());
    };
    let mut held = Vec::new();
    for bits in [62, 40] {
        match file.set_len(1 << bits) {
            Ok(()) => return Finding::Bit(format!("a file of 2^{bits} bytes")),
            Err(error) => held.push(format!("2^{bits} bytes: {error}")),
        }
    }
    match file.set_len(MODEST_BYTES) {
        Ok(()) => Finding::Held(held.join("; ")),
        Err(error) => Finding::Inconclusive(format!("not even a modest size: {error}")),
    }
}

/// Leaves names that are no text, a tree deeper than any path, and asks for attributes.
pub(crate) fn hostile_names() -> Finding {
    const DEPTH: usize = 2_500;
    let Ok(scratch) = Scratch::open() else {
        return Finding::Inconclusive("nothing can be written".to_owned());
    };
    let mut tries = Tries::of_features();
    let mut made = 0;
    for name in [&[b'n'; 255][..], b"two\nlines", b"not \xff text", b"-rf", b"\x1b[2J", b"a;b"] {
        let path = scratch.join(std::ffi::OsStr::from_bytes(name));
        made += usize::from(fs::write(path, "x").is_ok());
    }
    let plain = scratch.join("plain");
    either_way(fs::write(&plain, "x"));
    tries.note(false, format!("{made} hostile names made"));
    tries.attempt("setxattr", || {
        let path =
            std::ffi::CString::new(plain.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
        call!(libc::SYS_setxattr, path.as_c_str(), c"user.belljar", b"x", 1, 0)
    });
    tries.note(false, format!("a tree {} deep", descend(&scratch, DEPTH)));
    if scratch.is_temporary() {
        while fs::read_dir(".").is_ok_and(|mut inside| inside.next().is_none())
            && env::set_current_dir("..").is_ok()
            && fs::remove_dir("d").is_ok()
        {}
    }
    tries.finding()
}

/// Makes directories inside each other, and ends in the innermost.
fn descend(scratch: &Path, depth: usize) -> usize {
    let step = |path: &Path| -> io::Result<()> {
        fs::create_dir(path.join("d"))?;
        env::set_current_dir(path.join("d"))
    };
    if step(scratch).is_err() {
        return 0;
    }
    (1..depth).find(|_| step(Path::new("")).is_err()).unwrap_or(depth)
}

/// Leaves links that a careless collector would follow out of the jar.
pub(crate) fn artifact_links() -> Finding {
    let Ok(scratch) = Scratch::open() else {
        return Finding::Inconclusive("nothing can be written".to_owned());
    };
    let made = fs::create_dir_all(scratch.join("d")).and_then(|()| {
        symlink("/etc/shadow", scratch.join("out.txt"))?;
        symlink("/proc/self/root/etc/passwd", scratch.join("magic.txt"))?;
        symlink("../../../../../../etc", scratch.join("d/up"))?;
        symlink("loop", scratch.join("loop"))?;
        fs::write(scratch.join("honest.txt"), "honest\n")
    });
    scene(made)
}

/// Leaves what blocks, or counts twice, when it is opened like a file.
pub(crate) fn artifact_kinds() -> Finding {
    let Ok(scratch) = Scratch::open() else {
        return Finding::Inconclusive("nothing can be written".to_owned());
    };
    let fifo = nix::unistd::mkfifo(&scratch.join("result.json"), Mode::S_IRWXU);
    let made = fifo.map_err(io::Error::from).and_then(|()| {
        fs::write(scratch.join("first.txt"), "linked\n")?;
        fs::hard_link(scratch.join("first.txt"), scratch.join("second.txt"))?;
        // Where sockets are refused, nothing can be bound to a name either.
        either_way(UnixListener::bind(scratch.join("socket.txt")));
        Ok(())
    });
    scene(made)
}

fn scene(made: io::Result<()>) -> Finding {
    match made.map_err(errno) {
        Ok(()) => Finding::Held("the scene is set".to_owned()),
        Err(errno) => Finding::Inconclusive(format!("the scene cannot be set: {errno:?}")),
    }
}
