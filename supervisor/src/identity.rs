//! The host ids of a run: never those of root, never those of two runs at once.

use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, socket};

/// A user and group id lent to one run. Given back when dropped, or when this process dies.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The id as the host counts.
    pub(crate) host: u32,
    /// Held, as long as the id is lent, under a name that only one socket can have.
    _lease: Option<OwnedFd>,
}

impl Identity {
    /// The caller's own id: the only one there is without subordinate ones.
    pub(crate) fn own(host: u32) -> Self {
        Self { host, _lease: None }
    }

    /// An id of `range` that no supervisor on this host has lent.
    ///
    /// The lease is an abstract socket name (unix(7)): the kernel gives it back whatever happens
    /// to this process, so that there is no stale file to sweep.
    pub(crate) fn lend(range: Range<u32>) -> io::Result<Self> {
        let size = range.end.saturating_sub(range.start).max(1);
        // Somewhere in the range: supervisors that start at one end would queue for the same ids.
        let first = ulid::Ulid::generate().random() % u128::from(size);
        let first = u32::try_from(first).unwrap_or_default();
        for step in 0..size {
            let host = range.start + (first + step) % size;
            let lease =
                socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
            let name = format!("belljar-uid-{host}");
            let address = UnixAddr::new_abstract(name.as_bytes())?;
            match bind(std::os::fd::AsRawFd::as_raw_fd(&lease), &address) {
                Ok(()) => return Ok(Self { host, _lease: Some(lease) }),
                Err(Errno::EADDRINUSE) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(io::Error::other(format!("all {size} ids from {} are in use", range.start)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_never_share_an_id_and_a_dropped_one_is_free_again() {
        let range = 4_000_000_000..4_000_000_002;
        let one = Identity::lend(range.clone()).unwrap();
        let two = Identity::lend(range.clone()).unwrap();
        assert_ne!(one.host, two.host);
        assert!(Identity::lend(range.clone()).is_err());
        let freed = one.host;
        drop(one);
        assert_eq!(Identity::lend(range).unwrap().host, freed);
    }
}
