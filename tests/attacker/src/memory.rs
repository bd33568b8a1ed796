//! Taking more memory than was granted (A70 to A73, A81, A82).

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::sys::wait::WaitStatus;

use crate::processes::crowd;
use crate::sys::{call, map};
use crate::tries::{Finding, Tries, either_way, in_child};

const CHUNK_BYTES: usize = 16 << 20;
const AIM_MIB: usize = 1024;

/// Maps and touches memory until the aim is reached; `treat` sees each chunk once it is filled.
fn bomb(flags: i32, treat: impl Fn(&mut [u8])) -> Finding {
    let mut taken_mib = 0;
    while taken_mib < AIM_MIB {
        match map(CHUNK_BYTES, flags) {
            Ok(memory) => {
                memory.fill(0x55);
                treat(memory);
            }
            Err(errno) => return Finding::Held(format!("mmap after {taken_mib} MiB: {errno:?}")),
        }
        taken_mib += CHUNK_BYTES >> 20;
    }
    Finding::Bit(format!("{taken_mib} MiB"))
}

pub(crate) fn private() -> Finding {
    bomb(libc::MAP_PRIVATE, |_| ())
}

pub(crate) fn shared() -> Finding {
    bomb(libc::MAP_SHARED, |_| ())
}

/// Has the kernel hold the bytes: sockets full to the brim, in as many processes as there may be.
pub(crate) fn socket_buffers() -> Finding {
    const HOLDERS: usize = 48;
    const AIM_BYTES: u64 = 256 << 20;
    let Ok((mut near, far)) = UnixStream::pair() else {
        return Finding::Held("socketpair: refused".to_owned());
    };
    let crowd = crowd(HOLDERS, || {
        let held = fill_sockets();
        either_way((&far).write_all(&held.1.to_ne_bytes()));
        thread::sleep(Duration::from_secs(20));
        0
    });
    // Once every holder is dead, nothing more will be read.
    drop(far);
    let mut held_bytes = 0;
    for _ in 0..crowd.len() {
        let mut count = [0; 8];
        if near.read_exact(&mut count).is_ok() {
            held_bytes += u64::from_ne_bytes(count);
        }
    }
    let what = format!("{} MiB in {} processes", held_bytes >> 20, crowd.len());
    crowd.end();
    if held_bytes >= AIM_BYTES { Finding::Bit(what) } else { Finding::Held(what) }
}

/// At most 250 full socket pairs, fewer where descriptors are short, and the bytes in them.
fn fill_sockets() -> (Vec<(UnixStream, UnixStream)>, u64) {
    let block = [0x55; 4096];
    let mut bytes = 0;
    let mut pairs = Vec::new();
    while let (true, Ok((mut near, far))) = (pairs.len() < 250, UnixStream::pair()) {
        either_way(near.set_nonblocking(true));
        while let Ok(written) = near.write(&block) {
            bytes += written as u64;
        }
        pairs.push((near, far));
    }
    (pairs, bytes)
}

pub(crate) fn uncharged() -> Finding {
    const PROCESS_KEYRING: i32 = -2;
    let mut tries = Tries::of_network();
    tries.attempt("TCP buffers", || call!(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0));
    let secret = [0u8; 1000];
    tries.attempt("a keyring", || {
        call!(libc::SYS_add_key, c"user", c"belljar", &secret, secret.len(), PROCESS_KEYRING)
    });
    tries.finding()
}

/// Sends a child to die of too much memory, and lives on.
pub(crate) fn sacrifice() -> Finding {
    let ending = in_child(|| match private() {
        Finding::Bit(_) => 1,
        _ => 0,
    });
    match ending {
        Ok(WaitStatus::Exited(_, 0)) => Finding::Held("mmap: refused".to_owned()),
        Ok(ending) => {
            thread::sleep(Duration::from_secs(2));
            Finding::Bit(format!("outlived its child by 2 s: {ending:?}"))
        }
        Err(errno) => Finding::Inconclusive(format!("cannot fork: {errno:?}")),
    }
}

/// Asks for pages beside the charged ones, then takes huge and mergeable ones.
pub(crate) fn special_pages() -> Finding {
    const PR_SET_MEMORY_MERGE: i32 = 67;
    let mut tries = Tries::refused_by(&[
        nix::errno::Errno::EPERM,
        nix::errno::Errno::ENOSYS,
        nix::errno::Errno::ENOMEM,
    ]);
    tries.attempt("prctl(SET_MEMORY_MERGE)", || {
        call!(libc::SYS_prctl, PR_SET_MEMORY_MERGE, 1, 0, 0, 0)
    });
    tries.attempt("mmap(HUGETLB)", || map(2 << 20, libc::MAP_PRIVATE | libc::MAP_HUGETLB));
    if !tries.held_so_far() {
        return tries.finding();
    }
    bomb(libc::MAP_PRIVATE, |memory| {
        for advice in [libc::MADV_HUGEPAGE, libc::MADV_MERGEABLE] {
            either_way(call!(libc::SYS_madvise, &mut *memory, CHUNK_BYTES, advice));
        }
    })
}

/// Takes memory and pushes it out again, to where it might not be counted.
pub(crate) fn swap() -> Finding {
    bomb(libc::MAP_PRIVATE, |memory| {
        either_way(call!(libc::SYS_madvise, memory, CHUNK_BYTES, libc::MADV_PAGEOUT));
    })
}
