//! What of a network a run may have, and what it made of it.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};

use crate::Error;

/// What of a network exists for a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// None: no socket but those between processes of the run.
    #[default]
    None,
    /// A loopback interface of its own, and nothing behind it: for servers that a run starts and
    /// asks itself.
    Loopback,
    /// The same, and a gate to these places.
    Gate(Vec<Grant>),
}

/// A place that a run may connect to over TCP: `api.example.com:443`, `*.example.com:443`,
/// `192.0.2.7:5432` or, from an operator, `10.1.0.0/16:5432`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    /// Who.
    pub host: GrantHost,
    /// At which port; never 0.
    pub port: u16,
}

/// Whom a grant names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GrantHost {
    /// This name: lower case, without a dot at its end.
    Name(String),
    /// Every name below this one, but not this one: `*.example.com`.
    Below(String),
    /// This address.
    Address(Ipv4Addr),
    /// Every address of this range.
    Range(Ipv4Net),
}

/// What an operator lets runs reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    /// What may be granted.
    pub allowed: Allowed,
    /// Private ranges that may be reached all the same, each opened by the operator who names it.
    /// Loopback, link-local, unspecified, multicast and metadata addresses stay closed.
    pub open_ranges: Vec<IpNet>,
    /// Who resolves names; what `/etc/resolv.conf` of the host names otherwise.
    pub resolver: Option<SocketAddr>,
}

/// Which grants an operator allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Allowed {
    /// None.
    #[default]
    Nothing,
    /// Those that one of these covers.
    These(Vec<Grant>),
    /// Any: for an operator who runs code of their own choice.
    Anything,
}

/// What a run made of its network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkUse {
    /// `loopback` or `gate`.
    pub kind: &'static str,
    /// What was granted.
    pub grants: Vec<String>,
    /// Every connection that was asked of the gate, in order, the first ones of very many.
    pub connections: Vec<Connection>,
    /// How many more there were.
    pub unrecorded_connections: u64,
    /// What went out through the gate.
    pub sent_bytes: u64,
    /// What came back.
    pub received_bytes: u64,
}

/// One connection that was asked of the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connection {
    /// The name that the payload asked for, or the address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What it was pinned to, once it was judged.
    pub address: Option<SocketAddr>,
    /// From the start of the payload until it was asked for.
    pub opened: Duration,
    /// From then until it was over.
    pub duration: Duration,
    /// Bytes toward the host.
    pub sent_bytes: u64,
    /// Bytes from the host.
    pub received_bytes: u64,
    /// How it ended: `closed`, `reset`, `run_ended`; or why it was refused or cut off:
    /// `not_granted`, `unresolved`, `refused_address`, `unreachable`, `server_name`,
    /// `network_bytes`; and what a connection with bound secrets adds.
    pub verdict: &'static str,
}

impl Network {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

impl Grant {
    /// Whether whoever may connect to this place may connect to `other`.
    pub fn covers(&self, other: &Self) -> bool {
        self.port == other.port && self.host.covers(&other.host)
    }
}

impl GrantHost {
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Below(parent), Self::Name(name)) => is_below(name, parent) && !is_guarded(name),
            (Self::Below(parent), Self::Below(name)) => name == parent || is_below(name, parent),
            (Self::Range(range), Self::Address(address)) => range.contains(address),
            (Self::Range(range), Self::Range(part)) => range.contains(part),
            _ => self == other,
        }
    }
}

impl Allowed {
    /// Whether `grant` may be made.
    pub fn allows(&self, grant: &Grant) -> bool {
        match self {
            Self::Nothing => false,
            Self::These(these) => these.iter().any(|allowed| allowed.covers(grant)),
            Self::Anything => true,
        }
    }
}

/// Names that lead into a cloud or a cluster. They are granted by name or not at all: `*.internal`
/// does not mean them.
const GUARDED: [&str; 10] = [
    "metadata",
    "metadata.goog",
    "metadata.google.internal",
    "instance-data",
    "instance-data.ec2.internal",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "cluster.local",
    "svc",
];

/// Whether `name` leads into a cloud or a cluster.
pub(crate) fn is_guarded(name: &str) -> bool {
    GUARDED.iter().any(|guarded| name == *guarded || is_below(name, guarded))
}

/// Whether `name` is a name below `parent`.
pub(crate) fn is_below(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent)
        .and_then(|rest| rest.strip_suffix('.'))
        .is_some_and(|it| !it.is_empty())
}

impl FromStr for Grant {
    type Err = Error;

    /// # Errors
    /// [`Error::Invalid`] for what is no host and port.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = |why: &str| {
            Error::Invalid(format!("{text:?} cannot be granted: {why}; write HOST:PORT"))
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(|| refused("it has no port"))?;
        let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| is_number && *port != 0);
        let port = port.ok_or_else(|| refused("its port is not between 1 and 65535"))?;
        let host = host.parse().map_err(|why: String| refused(&why))?;
        Ok(Self { host, port })
    }
}

impl FromStr for GrantHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address));
        }
        if text.contains('/') {
            let range: Ipv4Net = text.parse().map_err(|_| "it is no range of IPv4".to_owned())?;
            return Ok(Self::Range(range.trunc()));
        }
        let (is_below, name) = match text.strip_prefix("*.") {
            Some(parent) => (true, parent),
            None => (false, text),
        };
        let name = host_name(name)?;
        Ok(if is_below { Self::Below(name) } else { Self::Name(name) })
    }
}

/// A name of a host as it is compared: RFC 1123 section 2.1, lower case, without the last dot.
///
/// # Errors
/// Why it is none. What reads as a number is an address in disguise (`0x7f.1`, `2130706433`):
/// `inet_aton(3)` takes it for one.
pub(crate) fn host_name(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err("it is no name of a host".to_owned());
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_hex = last
        .strip_prefix("0x")
        .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_hex || last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("it is an address in an odd form; write four decimal numbers".to_owned());
    }
    Ok(name)
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            GrantHost::Name(name) => f.write_str(name)?,
            GrantHost::Below(parent) => write!(f, "*.{parent}")?,
            GrantHost::Address(address) => write!(f, "{address}")?,
            GrantHost::Range(range) => write!(f, "{range}")?,
        }
        write!(f, ":{}", self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(text: &str) -> Grant {
        text.parse().unwrap()
    }

    #[test]
    fn a_grant_is_said_as_it_was_written() {
        for text in ["api.example.com:443", "*.example.com:80", "192.0.2.7:5432", "10.1.0.0/16:1"] {
            assert_eq!(grant(text).to_string(), text);
        }
        assert_eq!(grant("API.Example.COM.:443"), grant("api.example.com:443"));
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in [
            "",
            "example.com",
            "example.com:",
            "example.com:0",
            "example.com:65536",
            ":443",
            "*:443",
            "*.:1",
            "a b:1",
            "a..b:1",
            "-a:1",
            "2130706433:80",
            "0x7f.1:80",
            "127.1:80",
            "0177.0.0.1:80",
            "[::1]:80",
            "10.0.0.0/33:1",
            "example.com:+443",
            "exa\nmple:1",
            "*.*.com:1",
            "https://example.com:443",
        ] {
            assert!(text.parse::<Grant>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_grant_covers_what_lies_in_it() {
        for (allowed, covered, is_so) in [
            ("a.com:1", "a.com:1", true),
            ("a.com:1", "a.com:2", false),
            ("*.a.com:1", "b.a.com:1", true),
            ("*.a.com:1", "c.b.a.com:1", true),
            ("*.a.com:1", "a.com:1", false),
            ("*.a.com:1", "ba.com:1", false),
            ("*.a.com:1", "*.b.a.com:1", true),
            ("*.b.a.com:1", "*.a.com:1", false),
            ("*.internal:80", "metadata.google.internal:80", false),
            ("*.cluster.local:443", "db.svc.cluster.local:443", false),
            ("metadata.google.internal:80", "metadata.google.internal:80", true),
            ("10.0.0.0/8:1", "10.1.2.3:1", true),
            ("10.0.0.0/8:1", "10.1.0.0/16:1", true),
            ("10.1.0.0/16:1", "10.0.0.0/8:1", false),
            ("10.0.0.0/8:1", "11.1.2.3:1", false),
        ] {
            assert_eq!(grant(allowed).covers(&grant(covered)), is_so, "{allowed} {covered}");
        }
    }
}
