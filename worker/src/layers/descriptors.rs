//! Holds against: descriptors leaked into the jar, the most common real escape
//! (runc CVE-2024-21626).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::socket::{SockType, getsockopt, sockopt};

use crate::control::Control;
use crate::stopwatch::{Step, doing};
use crate::sys;

const FIRST_BEYOND_STREAMS: u32 = 3;
/// Above everything that a program expects at a fixed number.
const CONTROL_FD: i32 = 10;

/// Closes whatever was inherited beyond the three streams, and takes the control socket away from
/// standard input.
///
/// # Errors
/// When standard input is no socket: somebody started this by hand, and nothing is to be said.
pub(crate) fn close_all_but_control() -> io::Result<Control> {
    close_inherited()?;
    // A copy stays at standard input: were that number free, any descriptor could land on it.
    let stdin = io::stdin();
    if getsockopt(&stdin, sockopt::SockType)? != SockType::SeqPacket {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let control = fcntl(stdin.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(CONTROL_FD))?;
    Ok(Control::new(sys::adopt(control)))
}

fn close_inherited() -> io::Result<()> {
    #[cfg(feature = "walls-down")]
    if crate::walls::is_left_out(belljar_protocol::Layer::Descriptors) {
        return Ok(());
    }
    sys::close_from(FIRST_BEYOND_STREAMS, 0)
}

/// Closes everything beyond the streams that is not listed.
pub(crate) fn keep_only(kept: &[BorrowedFd<'_>]) -> Step {
    let mut kept: Vec<u32> =
        kept.iter().filter_map(|fd| u32::try_from(fd.as_raw_fd()).ok()).collect();
    kept.sort_unstable();
    let mut first = FIRST_BEYOND_STREAMS;
    for fd in kept {
        if fd > first {
            sys::close_between(first, fd - 1).map_err(doing("close descriptors"))?;
        }
        first = first.max(fd + 1);
    }
    sys::close_from(first, 0).map_err(doing("close descriptors"))
}

/// Marks everything that is open beyond the streams close-on-exec: a net under the flag that each
/// descriptor is opened with.
pub(crate) fn nothing_else_is_open() -> Step {
    sys::close_from(FIRST_BEYOND_STREAMS, libc::CLOSE_RANGE_CLOEXEC)
        .map_err(doing("mark descriptors close-on-exec"))
}
