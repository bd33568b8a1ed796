//! The pipes and sockets that lead out of the jar (A86 to A95).

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::getppid;

use crate::processes::say;
use crate::sys::call;
use crate::tries::{Finding, Tries, either_way, errno};

const STDOUT: i32 = 1;

pub(crate) fn flood() -> Finding {
    const MIB: usize = 64;
    let line = vec![b'y'; 1 << 16];
    let mut output = io::stdout();
    for _ in 0..MIB << 4 {
        if let Err(error) = output.write_all(&line) {
            return Finding::Held(error.to_string());
        }
    }
    Finding::Bit(format!("{MIB} MiB written"))
}

/// Steals its own output from the pipe; whoever reads the other end must not wait for it.
pub(crate) fn stolen_output() -> Finding {
    let own = "/proc/self/fd/1";
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(own);
    let Ok(mut stolen) = opened else {
        return Finding::Held(format!("{own} cannot be opened for reading"));
    };
    say("what is written here may be missing\n");
    let count = stolen.read(&mut [0; 4096]).unwrap_or(0);
    Finding::Held(format!("took {count} bytes of its own"))
}

pub(crate) fn output_flags() -> Finding {
    const F_SETSIG: i32 = 10;
    let mut tries = Tries::refused_by(&[Errno::EPERM, Errno::ENOSYS, Errno::EBADF]);
    for (name, command, argument) in [
        ("F_SETPIPE_SZ", libc::F_SETPIPE_SZ, 1 << 20),
        ("F_SETOWN", libc::F_SETOWN, 1),
        ("F_SETSIG", F_SETSIG, libc::SIGIO),
    ] {
        tries.attempt(name, || call!(libc::SYS_fcntl, STDOUT, command, argument));
    }
    // These flags belong to this end alone; the reader must not notice.
    let flags = libc::O_NONBLOCK | libc::O_ASYNC | libc::O_WRONLY;
    if let Ok(before) = call!(libc::SYS_fcntl, STDOUT, libc::F_GETFL) {
        either_way(call!(libc::SYS_fcntl, STDOUT, libc::F_SETFL, flags));
        say("written without waiting\n");
        either_way(call!(libc::SYS_fcntl, STDOUT, libc::F_SETFL, before));
    }
    tries.finding()
}

/// Speaks on every socket at hand, and reaches for those of init and of the parent.
pub(crate) fn hostile_frames() -> Finding {
    const FRAMES: [&[u8]; 5] =
        [b"", b"\xff\xff\xff\xff", b"BJ\x01\x00\xff\xff\xff\xff\xff\xff", b"BJ", &[0; 4096]];
    let mut tries = Tries::of_files();
    let spoken_on = sockets(|descriptor| {
        for frame in FRAMES {
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            either_way(call!(libc::SYS_sendto, descriptor, frame, frame.len(), flags, 0, 0));
        }
    });
    tries.note(!spoken_on.is_empty(), format!("sockets at hand: {spoken_on:?}"));
    for pid in [1, getppid().as_raw()] {
        for descriptor in 0..16 {
            let path = format!("/proc/{pid}/fd/{descriptor}");
            tries.attempt(&path, || {
                OpenOptions::new()
                    .read(true)
                    .custom_flags(libc::O_NONBLOCK)
                    .open(&path)
                    .map_err(errno)
            });
        }
        tries.attempt(&format!("pidfd_getfd({pid})"), || {
            let process = call!(libc::SYS_pidfd_open, pid, 0)?;
            // Any answer but a refusal is what counts; an unused number says nothing.
            (0..16)
                .map(|other| call!(libc::SYS_pidfd_getfd, process, other, 0))
                .find(|stolen| *stolen != Err(Errno::EBADF))
                .unwrap_or(Err(Errno::EPERM))
        });
    }
    tries.finding()
}

/// Passes as many descriptors as fit over every socket at hand.
pub(crate) fn passed_descriptors() -> Finding {
    const MOST: usize = 253;
    const HEADER_BYTES: usize = 16;
    let mut tries = Tries::of_files();
    // A control message: its length, SOL_SOCKET and SCM_RIGHTS, then descriptors, all of them 0.
    let mut control = [0u64; (HEADER_BYTES + 4 * MOST).div_ceil(8)];
    let [length, level_and_kind, ..] = &mut control;
    *length = (HEADER_BYTES + 4 * MOST) as u64;
    *level_and_kind = 1 | (1 << 32);
    let byte = b"x";
    let part = [byte.as_ptr().expose_provenance(), 1];
    let header = [
        0,
        0,
        part.as_ptr().expose_provenance(),
        1,
        control.as_ptr().expose_provenance(),
        HEADER_BYTES + 4 * MOST,
        0,
    ];
    let passed_over = sockets(|descriptor| {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        either_way(call!(libc::SYS_sendmsg, descriptor, &header, flags));
    });
    tries.note(!passed_over.is_empty(), format!("sockets at hand: {passed_over:?}"));
    tries.finding()
}

/// Every descriptor that is a socket, after `harm` was done to it.
fn sockets(harm: impl Fn(i32)) -> Vec<i32> {
    const LAST: i32 = 1023;
    let is_socket = |descriptor: &i32| {
        let mut size = 4u32;
        let (level, option) = (libc::SOL_SOCKET, libc::SO_TYPE);
        let answer = call!(libc::SYS_getsockopt, *descriptor, level, option, &mut 0i32, &mut size);
        !matches!(answer, Err(Errno::EBADF | Errno::ENOTSOCK))
    };
    (0..=LAST).filter(is_socket).inspect(|descriptor| harm(*descriptor)).collect()
}

/// Writes what a terminal would obey, what no text holds, and a line without an end.
pub(crate) fn hostile_output() -> Finding {
    let mut output = io::stdout();
    let long_line = vec![b'l'; 1 << 19];
    let parts: [&[u8]; 6] = [
        b"\x1b[2J\x1b]0;title\x07\x07",
        b"\x1b]52;c;cHduZWQ=\x07",
        b"nul \0 lone surrogate \xed\xa0\x80 not text \xff\xfe\n",
        b"\r\x1b[Kstatus: ok\n",
        &long_line,
        b"\n",
    ];
    let written: io::Result<()> = parts.iter().try_for_each(|part| output.write_all(part));
    match written {
        Ok(()) => Finding::Held("written".to_owned()),
        Err(error) => Finding::Inconclusive(error.to_string()),
    }
}

/// Looks for a canary that a test put into the environment outside, and at other environments.
pub(crate) fn leaked_environment() -> Finding {
    const CANARY: &str = "BELLJAR_ATTACK_CANARY";
    let mut tries = Tries::of_files();
    let own = fs::read("/proc/self/environ").unwrap_or_default();
    let in_file = own.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
    let leaked = in_file || env::var_os(CANARY).is_some();
    tries.note(leaked, format!("{CANARY} in the environment: {leaked}"));
    for pid in ["1".to_owned(), getppid().to_string()] {
        let path = format!("/proc/{pid}/environ");
        tries.attempt(&path, || {
            let mut file = File::open(&path).map_err(errno)?;
            match file.read(&mut [0; 1]).map_err(errno)? {
                0 => Err(Errno::ENOENT),
                _ => Ok(()),
            }
        });
    }
    tries.finding()
}
