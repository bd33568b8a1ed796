//! What bytes are carried in from one socket to another. A few are copied; what comes in bulk stays
//! in the kernel, in a pipe between the two (splice(2)).

use std::io;
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::unistd::pipe2;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::audit::End;
use super::stream::{until_written, write_all};

/// One direction of one connection.
pub(super) struct Carrier {
    /// How much is taken at once.
    bytes: usize,
    vessel: Vessel,
    /// How much was copied.
    copied: usize,
}

enum Vessel {
    Buffer(Vec<u8>),
    Pipe(Pipe),
}

/// Empty whenever something is taken.
struct Pipe {
    out: OwnedFd,
    into: OwnedFd,
}

/// From here on a pipe is worth its two descriptors.
const BULK_BYTES: usize = 512 * 1024;

impl Carrier {
    pub(super) fn new(bytes: usize) -> Self {
        Self { bytes, vessel: Vessel::Buffer(Vec::new()), copied: 0 }
    }

    /// With what was taken already.
    pub(super) fn holding(taken: Vec<u8>) -> Self {
        Self { bytes: 0, vessel: Vessel::Buffer(taken), copied: 0 }
    }

    /// Takes what there is. Zero is the end.
    pub(super) fn take(&mut self, from: &TcpStream) -> io::Result<usize> {
        if self.copied >= BULK_BYTES {
            self.copied = 0;
            if let Some(pipe) = Pipe::new(self.bytes) {
                self.vessel = Vessel::Pipe(pipe);
            }
        }
        match &mut self.vessel {
            Vessel::Buffer(buffer) => {
                buffer.resize(self.bytes, 0);
                let taken = from.try_read(buffer)?;
                self.copied = self.copied.saturating_add(taken);
                Ok(taken)
            }
            Vessel::Pipe(pipe) => from.try_io(Interest::READABLE, || {
                Ok(splice(from, None, &pipe.into, None, self.bytes, HOW)?)
            }),
        }
    }

    /// Passes on the first `bytes` of what was taken.
    pub(super) async fn give(&self, to: &TcpStream, bytes: usize) -> Result<(), End> {
        match &self.vessel {
            Vessel::Buffer(buffer) => write_all(to, buffer.get(..bytes).unwrap_or_default()).await,
            Vessel::Pipe(pipe) => {
                let mut left = bytes;
                while left > 0 {
                    let some = || Ok(splice(&pipe.out, None, to, None, left, HOW)?);
                    let passed = until_written(to, || to.try_io(Interest::WRITABLE, some)).await?;
                    left = left.saturating_sub(passed);
                }
                Ok(())
            }
        }
    }

    /// Who waits holds no buffer.
    pub(super) fn rest(&mut self) {
        if let Vessel::Buffer(buffer) = &mut self.vessel {
            *buffer = Vec::new();
        }
    }
}

const HOW: SpliceFFlags = SpliceFFlags::SPLICE_F_MOVE.union(SpliceFFlags::SPLICE_F_NONBLOCK);

impl Pipe {
    /// None where this process has no descriptors left, or would be killed by what nobody takes.
    fn new(bytes: usize) -> Option<Self> {
        if !ignores_broken_pipes() {
            return None;
        }
        let (out, into) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).ok()?;
        if let Ok(bytes) = i32::try_from(bytes) {
            // Whoever has many of them has small ones, which do as well (pipe(7)).
            let _size = fcntl(&into, FcntlArg::F_SETPIPE_SZ(bytes));
        }
        Some(Self { out, into })
    }
}

/// splice(2) knows no `MSG_NOSIGNAL`. A program of Rust ignores the signal unless it says otherwise.
fn ignores_broken_pipes() -> bool {
    const SIGPIPE: u64 = 1 << (nix::libc::SIGPIPE - 1);
    let Ok(status) = std::fs::read_to_string("/proc/thread-self/status") else { return false };
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|signals| u64::from_str_radix(signals.trim(), 16).ok());
    ignored.is_some_and(|signals| signals & SIGPIPE != 0)
}
