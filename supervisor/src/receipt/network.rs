//! What a receipt says of a network.

use super::{LimitReceipt, State};

/// What of a network a run had, and who counted what its sockets hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connected {
    /// Whether there was a gate.
    pub(crate) has_gate: bool,
    pub(crate) buffers: Buffers,
}

/// Who counts the buffers of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffers {
    /// The memory limit, with everything else.
    Counted,
    /// A limit of their own, taken from the memory limit.
    SetAside,
    /// Whoever looks at the tree, by what they have queued.
    Sampled,
    /// Nobody.
    Uncounted,
}

/// Behind what is said of namespaces.
pub(super) fn in_namespaces(connected: Option<Connected>) -> &'static str {
    match connected {
        None => "",
        Some(Connected { has_gate: false, .. }) => {
            "; in its network a loopback interface and nothing else"
        }
        Some(Connected { has_gate: true, .. }) => {
            "; in its network a loopback interface, and the gate's sockets as the only way out"
        }
    }
}

/// Behind what is said of Landlock.
pub(super) fn in_landlock(connected: Option<Connected>) -> &'static str {
    match connected {
        None => "",
        Some(_) => "; TCP is left to the network namespace, which is empty",
    }
}

/// Behind what is said of seccomp.
pub(super) fn in_seccomp(connected: Option<Connected>) -> &'static str {
    match connected {
        None => "",
        Some(_) => "; of the internet's sockets, those of TCP and UDP",
    }
}

/// What the gate counts.
pub(super) fn limits(connected: Option<Connected>) -> impl Iterator<Item = LimitReceipt> {
    let rows = [
        ("connections", "the gate, counted when it accepts"),
        ("network_bytes", "the gate, counted as it relays"),
        ("network_bytes_per_s", "the gate, which waits before it relays more"),
    ];
    let has_gate = connected.is_some_and(|connected| connected.has_gate);
    rows.into_iter().map(move |(limit, by_gate)| {
        let (state, how) = if has_gate {
            (State::Enforced, by_gate)
        } else {
            (State::NotApplicable, "no gate: no connection leaves the jar")
        };
        LimitReceipt { limit, state, how: how.to_owned() }
    })
}

/// Says of the memory limit what sockets do to it.
pub(super) fn weigh(connected: Option<Connected>, rows: &mut [LimitReceipt]) {
    let Some(Connected { buffers, .. }) = connected else { return };
    let Some(row) = rows.iter_mut().find(|row| row.limit == "memory_bytes") else { return };
    match buffers {
        Buffers::Counted => {}
        Buffers::SetAside => {
            // The kernel charges what a socket needs to go on at all even beyond that part.
            row.state = State::Degraded;
            row.how.push_str(
                ", an eighth of it for the buffers of sockets; each holds up to 64 KiB beyond that",
            );
        }
        Buffers::Sampled => row.how.push_str("; the buffers of sockets by what they have queued"),
        Buffers::Uncounted => {
            row.state = State::Degraded;
            row.how.push_str(
                "; the buffers of sockets are not counted, up to 2 MiB for each connection",
            );
        }
    }
}
