//! Holds against: bugs of the kernel. A payload reaches the system calls that interpreters use,
//! with arguments that they use, and no others.
//!
//! `table`, `conditions` and `network` say which and why. The build script compiles them, so that a worker
//! hands the kernel a finished program: one filter, in which a verdict is one binary search away.

#[cfg(test)]
mod conditions;
#[cfg(test)]
mod network;
#[cfg(test)]
mod table;

use std::os::fd::{AsFd, OwnedFd};

use belljar_protocol::{Jar, Network, Syscalls};
use nix::libc::{self, sock_filter};

use crate::control::send_with;
use crate::stopwatch::{Failure, Step, doing};
use crate::sys;

include!(concat!(env!("OUT_DIR"), "/programs.rs"));

/// A call of which some or all uses are denials.
struct Denied {
    call: i32,
    errno: i32,
    telling: u8,
}

/// Installs the filter for good, and hands its listener to the warden.
pub(crate) fn install(jar: &Jar, tether: &OwnedFd) -> Step {
    let program = match jar.network {
        Network::None => program(jar.syscalls),
        Network::Loopback | Network::Gate(_) => program_with_network(jar.syscalls)
            .ok_or_else(|| Failure::because("choose a filter", "a network needs namespaces"))?,
    };
    let listener = sys::install_filter(program).map_err(doing("install the filter"))?;
    send_with(tether, b"notify", &[listener.as_fd()]).map_err(doing("hand over the listener"))
}

/// The filter of a profile, for `seccomp(2)`.
fn program(syscalls: Syscalls) -> &'static [sock_filter] {
    match syscalls {
        Syscalls::Standard => &STANDARD,
        Syscalls::WithoutMemfd => &WITHOUT_MEMFD,
        Syscalls::WithoutSockets => &WITHOUT_SOCKETS,
        Syscalls::Exposed => &EXPOSED,
        Syscalls::Shared => &SHARED,
        Syscalls::SharedWithoutSignals => &SHARED_WITHOUT_SIGNALS,
    }
}

/// The same with a network, where a jar can have one.
fn program_with_network(syscalls: Syscalls) -> Option<&'static [sock_filter]> {
    match syscalls {
        Syscalls::Standard => Some(&STANDARD_WITH_NETWORK),
        Syscalls::WithoutMemfd => Some(&WITHOUT_MEMFD_WITH_NETWORK),
        Syscalls::WithoutSockets => Some(&WITHOUT_SOCKETS_WITH_NETWORK),
        Syscalls::Exposed => Some(&EXPOSED_WITH_NETWORK),
        Syscalls::Shared | Syscalls::SharedWithoutSignals => None,
    }
}

/// The errno with which the warden answers a call it was notified of.
pub(crate) fn answer(call: i32) -> i32 {
    denied(call).map_or(libc::ENOSYS, |denied| denied.errno)
}

/// Whether a call that the warden was notified of ends the run: no interpreter makes it.
pub(crate) fn is_fatal(call: i32) -> bool {
    answer(call) == 0
}

/// Which arguments tell one denial of a call from another: bit n stands for argument n.
pub(crate) fn telling_args(call: i32) -> u8 {
    denied(call).map_or(0, |denied| denied.telling)
}

fn denied(call: i32) -> Option<&'static Denied> {
    let at = DENIED.binary_search_by_key(&call, |denied| denied.call).ok()?;
    DENIED.get(at)
}

#[cfg(test)]
mod tests;
