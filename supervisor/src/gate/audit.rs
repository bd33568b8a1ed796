//! What was asked of the gate, and what came of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc;

use super::ranges::Blocked;
use super::table::Target;
use crate::{Connection, Denied, NetworkUse};

/// The connections that are told one by one.
const RECORDED: usize = 256;
/// The refusals by one rule that are told apart. A payload makes up as many names as it likes.
const TOLD_APART: usize = 64;
/// How often one refusal is told at once; beyond, whenever it has doubled.
const TOLD_SINGLY: u64 = 8;
const KIND: &str = "network";
const NOT_GRANTED: &str = "network/not-granted";
const DATAGRAM: &str = "network/datagram";
const BY_NAME_ONLY: &str = "grant a name that leads there: IPv6 is reached by name only";

/// How a connection ended, in the words of [`Connection::verdict`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Both sides were done.
    Closed,
    /// Nobody granted it.
    NotGranted,
    /// No resolver gave an address in time.
    Unresolved,
    /// One of its addresses is not reached from a run.
    RefusedAddress,
    /// Nothing answered there.
    Unreachable,
    /// TLS was asked for under another name.
    ServerName,
    /// The run had used up what may pass.
    NetworkBytes,
    /// One side broke it off.
    Reset,
    /// Secrets are bound to it, and it was not spoken as that needs.
    Bound(&'static str),
    /// The run was over first.
    RunEnded,
}

/// Of one run.
pub(super) struct Audit {
    started: Instant,
    rows: Mutex<Rows>,
    sent: AtomicU64,
    received: AtomicU64,
    told: Mutex<BTreeMap<(String, &'static str), Told>>,
    denials: mpsc::Sender<Denied>,
}

#[derive(Default)]
struct Rows {
    recorded: Vec<Arc<Flow>>,
    unrecorded: u64,
}

/// One connection.
pub(super) struct Flow {
    host: String,
    port: u16,
    opened: Instant,
    pub(super) pinned: OnceLock<SocketAddr>,
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    end: OnceLock<(End, Instant)>,
    /// Whether the host was told everything, and that it was.
    said_all: AtomicBool,
}

struct Told {
    /// None, as long as it was only asked about: it is one then, once the run is over.
    count: u64,
    /// How many of them were passed on.
    passed: u64,
    hint: String,
}

impl End {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::NotGranted => "not_granted",
            Self::Unresolved => "unresolved",
            Self::RefusedAddress => "refused_address",
            Self::Unreachable => "unreachable",
            Self::ServerName => "server_name",
            Self::NetworkBytes => "network_bytes",
            Self::Reset => "reset",
            Self::Bound(word) => word,
            Self::RunEnded => "run_ended",
        }
    }
}

impl Audit {
    pub(super) fn new(started: Instant, denials: mpsc::Sender<Denied>) -> Self {
        Self {
            started,
            rows: Mutex::default(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            told: Mutex::default(),
            denials,
        }
    }

    pub(super) fn begin(&self, target: &Target, port: u16) -> Arc<Flow> {
        let flow = Arc::new(Flow {
            host: target.to_string(),
            port,
            opened: Instant::now(),
            pinned: OnceLock::new(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            end: OnceLock::new(),
            said_all: AtomicBool::new(false),
        });
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.recorded.len() < RECORDED {
            rows.recorded.push(Arc::clone(&flow));
        } else {
            rows.unrecorded += 1;
        }
        flow
    }

    /// Counts what one connection let through toward the host.
    pub(super) fn sent(&self, flow: &Flow, bytes: usize) {
        add(&[&self.sent, &flow.sent], bytes);
    }

    /// And from it.
    pub(super) fn received(&self, flow: &Flow, bytes: usize) {
        add(&[&self.received, &flow.received], bytes);
    }

    pub(super) fn not_granted(&self, target: &Target, port: Option<u16>) {
        let (place, port) = match port {
            Some(port) => (format!("{target}:{port}"), port.to_string()),
            None => (target.to_string(), "PORT".to_owned()),
        };
        let hint = match target {
            Target::Address(IpAddr::V6(_)) => BY_NAME_ONLY.to_owned(),
            _ => format!("grant it with --allow-net {target}:{port}"),
        };
        self.deny(format!("connect to {place}"), NOT_GRANTED, hint);
    }

    /// Something else than the address of a name was asked for: told at the end, unless the
    /// address was as well. Most programs ask for more than one thing about a name.
    pub(super) fn asked_about(&self, name: &str) {
        let hint = format!("grant it with --allow-net {name}:PORT");
        self.count(format!("connect to {name}"), NOT_GRANTED, hint, 0);
    }

    pub(super) fn used_up(&self, name: &str) {
        let hint = "too many names below granted ones were used; grant this one by name";
        self.deny(format!("connect to {name}"), "network/too-many-names", hint.to_owned());
    }

    pub(super) fn blocked(&self, target: &Target, port: u16, address: IpAddr, blocked: Blocked) {
        let Blocked { why, openable } = blocked;
        let (rule, advice) = if openable {
            ("network/private-address", "an operator can open its range")
        } else {
            ("network/blocked-address", "no run reaches it")
        };
        let hint = format!("{address} is {why}: {advice}");
        match target {
            Target::Name(name) => {
                self.deny(format!("connect to {name}:{port} at {address}"), rule, hint);
            }
            Target::Address(IpAddr::V6(_)) if openable => {
                let hint = format!("{hint}; {BY_NAME_ONLY}");
                self.deny(format!("connect to {target}:{port}"), rule, hint);
            }
            Target::Address(_) => self.deny(format!("connect to {target}:{port}"), rule, hint),
        }
    }

    pub(super) fn datagram(&self, target: &Target, port: u16) {
        let hint =
            "TCP is all that is relayed; names resolve with the resolver of /etc/resolv.conf";
        self.deny(format!("send a datagram to {target}:{port}"), DATAGRAM, hint.to_owned());
    }

    /// Refusals came faster than they are heard.
    pub(super) fn unheard(&self) {
        let what = "connect to more places than are told".to_owned();
        let hint = "of refusals that come this fast some are lost; try fewer places at a time";
        self.deny(what, NOT_GRANTED, hint.to_owned());
    }

    pub(super) fn server_name(&self, flow: &Flow, asked: Option<&str>) {
        let place = place(&flow.host, flow.port);
        let (what, hint) = match asked {
            Some(asked) => (
                format!("ask {place} over TLS for {asked}"),
                format!("connect to {asked} by its own name; --allow-net {asked}:{}", flow.port),
            ),
            None => (
                format!("ask {place} over TLS for no name"),
                format!("let the client send the server name {}", flow.host),
            ),
        };
        self.deny(what, "network/server-name", hint);
    }

    pub(super) fn too_many_bytes(&self) {
        let what = "pass more over the network than the run may".to_owned();
        let hint = "raise the limit network_bytes, or ask for less".to_owned();
        self.deny(what, "network/bytes", hint);
    }

    /// What came of all of it; what was not passed on yet is.
    pub(super) fn close(&self, grants: Vec<String>) -> NetworkUse {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for ((what, rule), told) in told.iter() {
            let count = told.count.max(1);
            if told.passed < count {
                self.pass(what, rule, &told.hint, count - told.passed);
            }
        }
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        NetworkUse {
            kind: "gate",
            grants,
            connections: rows.recorded.iter().map(|flow| flow.row(self.started, now)).collect(),
            unrecorded_connections: rows.unrecorded,
            sent_bytes: self.sent.load(Ordering::Relaxed),
            received_bytes: self.received.load(Ordering::Relaxed),
        }
    }

    fn deny(&self, what: String, rule: &'static str, hint: String) {
        self.count(what, rule, hint, 1);
    }

    fn count(&self, what: String, rule: &'static str, hint: String, times: u64) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (what, rule);
        let alike = told.keys().filter(|(_, other)| *other == rule).count();
        let (key, hint, times) = if alike < TOLD_APART || told.contains_key(&key) {
            (key, hint, times)
        } else {
            let hint = "these are more than are told apart; look at those before".to_owned();
            let what = if rule == DATAGRAM { "send datagrams" } else { "connect" };
            // Among others, nobody knows what else was asked about the same name.
            ((format!("{what} to other places"), rule), hint, times.max(1))
        };
        let entry = told.entry(key.clone()).or_insert(Told { count: 0, passed: 0, hint });
        entry.count += times;
        let is_due = entry.count <= TOLD_SINGLY || entry.count.is_power_of_two();
        if is_due
            && entry.passed < entry.count
            && self.pass(&key.0, rule, &entry.hint, entry.count - entry.passed)
        {
            entry.passed = entry.count;
        }
    }

    /// Never waits: who reads them may be busy with the run's end.
    fn pass(&self, what: &str, rule: &'static str, hint: &str, count: u64) -> bool {
        let hint = Cow::Owned(hint.to_owned());
        self.denials
            .try_send(Denied { kind: KIND, what: what.to_owned(), rule, hint, count })
            .is_ok()
    }
}

impl Flow {
    pub(super) fn has_said_all(&self) {
        self.said_all.store(true, Ordering::Relaxed);
    }

    pub(super) fn said_all(&self) -> bool {
        self.said_all.load(Ordering::Relaxed)
    }

    pub(super) fn end(&self, end: End) {
        let now = Instant::now();
        let (_, ended) = self.end.get_or_init(|| (end, now));
        let (port, verdict) = (self.port, end.word());
        let millis = ended.saturating_duration_since(self.opened).as_millis();
        tracing::debug!(port, address = ?self.pinned.get(), verdict, millis, "connection");
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    fn row(&self, started: Instant, now: Instant) -> Connection {
        let (end, ended) = self.end.get().copied().unwrap_or((End::RunEnded, now));
        Connection {
            host: self.host.clone(),
            port: self.port,
            address: self.pinned.get().copied(),
            opened: self.opened.saturating_duration_since(started),
            duration: ended.saturating_duration_since(self.opened),
            sent_bytes: self.sent.load(Ordering::Relaxed),
            received_bytes: self.received.load(Ordering::Relaxed),
            verdict: end.word(),
        }
    }
}

fn place(host: &str, port: u16) -> String {
    format!("{host}:{port}")
}

fn add(counters: &[&AtomicU64], bytes: usize) {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    for counter in counters {
        counter.fetch_add(bytes, Ordering::Relaxed);
    }
}
