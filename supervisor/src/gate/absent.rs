//! What stands in the place of the gate in a build without one: runs that are granted a network
//! are refused.

use std::future::Ready;
use std::os::fd::OwnedFd;
use std::time::Instant;

use belljar_protocol::Gateway;
use tokio::sync::mpsc;

use crate::runtime::LaunchFile;
use crate::{Denied, Egress, Error, Limits, NetworkUse, Source};

#[expect(dead_code, reason = "an operator's ranges are checked in every build, and used in one")]
mod ranges;

pub use ranges::LOOPBACK_CAN_BE_OPENED;

/// Of which there is none: nothing makes one.
pub(crate) struct Layout {
    pub(crate) gateway: Gateway,
    pub(crate) files: Vec<LaunchFile>,
    pub(crate) env: Vec<(String, String)>,
}

/// Of which there is none.
pub(crate) enum Gate {}

impl Layout {
    /// # Errors
    /// [`Error::Refused`], always.
    pub(crate) fn new(_: &mut Source, _: &Egress, _: u64) -> Result<Self, Error> {
        Err(refused())
    }
}

impl Gate {
    /// # Errors
    /// [`Error::Refused`], always.
    pub(crate) fn open(
        _: Layout,
        _: Vec<OwnedFd>,
        _: &Limits,
        _: Instant,
        _: mpsc::Sender<Denied>,
    ) -> Result<Self, Error> {
        Err(refused())
    }

    pub(crate) fn drain(&self) -> Ready<()> {
        match *self {}
    }

    pub(crate) fn close(self) -> NetworkUse {
        match self {}
    }
}

fn refused() -> Error {
    let what = "network: this belljar was built without the feature `gate`".to_owned();
    Error::Refused { what, findings: Vec::new() }
}
