//! The gate: the only way out of a jar to a network.
//!
//! A jar with a gate has a network of its own in which there is nothing but a loopback interface.
//! The worker opens listening sockets there, before anything hostile runs, and hands them out: they
//! are all that leads outside. Names resolve, inside, to loopback addresses that stand for one
//! granted name each; what connects to one is accepted here, outside, where the real name is
//! resolved, every answer judged, one of them connected to, and bytes are relayed.

#[cfg(feature = "gate")]
mod bound;

use std::os::fd::OwnedFd;
use std::time::Instant;

use belljar_protocol::Gateway;
use tokio::sync::mpsc;

use crate::runtime::LaunchFile;
use crate::{Denied, Egress, Error, Limits, NetworkUse, Source};

/// What a jar needs for its gate, decided before anything starts.
pub(crate) struct Layout {
    /// The listening sockets that the worker opens, and the addresses that it adds.
    pub(crate) gateway: Gateway,
    /// What the payload finds in /etc because of it.
    pub(crate) files: Vec<LaunchFile>,
    /// And in its environment.
    pub(crate) env: Vec<(String, String)>,
}

/// The gate of one run, while that goes on. Closed when dropped.
pub(crate) struct Gate {}

impl Layout {
    /// Secrets of the source that are bound to a place are replaced by what stands for them inside.
    ///
    /// # Errors
    /// [`Error::Invalid`] for grants that make no sense, [`Error::Refused`] for what the operator
    /// does not allow.
    pub(crate) fn new(source: &mut Source, egress: &Egress) -> Result<Self, Error> {
        let _ = (source, egress);
        Err(Error::Invalid("network: no gate yet".to_owned()))
    }
}

impl Gate {
    /// Opens the gate on the listening sockets that came out of the jar, in the order in which the
    /// layout named them. Each attempt that is refused is told to `denials`.
    pub(crate) fn open(
        layout: Layout,
        sockets: Vec<OwnedFd>,
        limits: &Limits,
        started: Instant,
        denials: mpsc::Sender<Denied>,
    ) -> Result<Self, Error> {
        let _ = (layout, sockets, limits, started, denials);
        Ok(Self {})
    }

    /// Closes it, and tells what came through.
    pub(crate) fn close(self) -> NetworkUse {
        NetworkUse::default()
    }
}
