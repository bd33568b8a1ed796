//! Who may be reached, and which address stands for whom inside.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};

use belljar_protocol::{Door, Subnet, Transport};
use ipnet::{IpNet, Ipv4Net};

use crate::network::{is_below, is_guarded};
use crate::{Grant, GrantHost};

/// What the gate of a run has at one address inside it.
pub(super) const RESOLVER: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 64, 0, 53), 53);
pub(super) const PROXY: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 64, 0, 80), 3128);
/// Every address that stands for something is in here.
pub(super) const RESERVED: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 64, 0, 0), 16);
/// The first that stands for a name.
const FIRST: u32 = Ipv4Addr::new(127, 64, 1, 0).to_bits();
/// How many names below a granted one are told apart. Each stays what it is as long as the run.
const NAMES_BELOW: usize = 256;

/// The grants of a run.
pub(super) struct Table {
    grants: Vec<Grant>,
    given: Mutex<Given>,
}

/// Which address stands for which name.
#[derive(Default)]
struct Given {
    addresses: HashMap<String, Ipv4Addr>,
    names: HashMap<Ipv4Addr, String>,
}

/// Whom a payload wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Target {
    Name(String),
    Address(IpAddr),
}

/// Why a name has no address inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nameless {
    NotGranted,
    /// There were too many below granted ones.
    UsedUp,
}

impl Table {
    /// The exact names have their addresses at once, in order, each one for all its ports.
    pub(super) fn new(grants: Vec<Grant>) -> Self {
        let mut given = Given::default();
        for grant in &grants {
            if let GrantHost::Name(name) = &grant.host {
                given.give(name);
            }
        }
        Self { grants, given: Mutex::new(given) }
    }

    /// The address that stands for `name`, which is as [`host_name`](crate::network::host_name)
    /// makes it.
    pub(super) fn address_of(&self, name: &str) -> Result<Ipv4Addr, Nameless> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = given.addresses.get(name) {
            return Ok(*address);
        }
        if !self.grants.iter().any(|grant| means(&grant.host, name)) {
            return Err(Nameless::NotGranted);
        }
        let exact = self.grants.iter().filter(|grant| matches!(grant.host, GrantHost::Name(_)));
        if given.addresses.len() >= NAMES_BELOW + exact.count() {
            return Err(Nameless::UsedUp);
        }
        Ok(given.give(name))
    }

    /// For whom `address` stands.
    pub(super) fn at(&self, address: Ipv4Addr) -> Target {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.names.get(&address).cloned().map_or(Target::Address(address.into()), Target::Name)
    }

    pub(super) fn is_granted(&self, target: &Target, port: u16) -> bool {
        self.grants.iter().filter(|grant| grant.port == port).any(|grant| match target {
            Target::Name(name) => means(&grant.host, name),
            Target::Address(address) => match &grant.host {
                GrantHost::Address(granted) => *granted == *address,
                GrantHost::Range(range) => IpNet::V4(*range).contains(address),
                GrantHost::Name(_) | GrantHost::Below(_) => false,
            },
        })
    }

    /// As they were written.
    pub(super) fn grants(&self) -> Vec<String> {
        self.grants.iter().map(ToString::to_string).collect()
    }

    /// The sockets that all of it needs; those of the resolver come first.
    ///
    /// Whom a stream is meant for is told by the address at which it arrives. A port at which not
    /// every address is known beforehand has one socket for all of them: beside it the kernel binds
    /// no other at that port.
    pub(super) fn doors(&self) -> Vec<Door> {
        let wide: BTreeSet<u16> = self
            .grants
            .iter()
            .filter(|grant| matches!(grant.host, GrantHost::Below(_) | GrantHost::Range(_)))
            .map(|grant| grant.port)
            .collect();
        let named = self.grants.iter().filter_map(|grant| match &grant.host {
            GrantHost::Name(name) => Some((self.address_of(name).ok()?, grant.port)),
            GrantHost::Address(address) => Some((*address, grant.port)),
            GrantHost::Below(_) | GrantHost::Range(_) => None,
        });
        let narrow: BTreeSet<(Ipv4Addr, u16)> =
            [RESOLVER, PROXY].into_iter().chain(named).filter(|it| !wide.contains(&it.1)).collect();
        let wide = wide.into_iter().map(|port| (Ipv4Addr::UNSPECIFIED, port));
        let door = |(address, port): (Ipv4Addr, u16), transport| Door {
            address: address.octets(),
            port,
            transport,
        };
        let streams = wide.chain(narrow).map(|it| door(it, Transport::Tcp));
        let resolver = door(RESOLVER, Transport::Udp);
        let refusals = door((Ipv4Addr::UNSPECIFIED, 0), Transport::Refusals);
        [resolver, refusals].into_iter().chain(streams).collect()
    }

    /// The addresses that a jar's loopback interface needs beyond its own.
    pub(super) fn subnets(&self) -> Vec<Subnet> {
        let ranges = self.grants.iter().filter_map(|grant| match &grant.host {
            GrantHost::Address(address) => Some(Ipv4Net::from(*address)),
            GrantHost::Range(range) => Some(*range),
            GrantHost::Name(_) | GrantHost::Below(_) => None,
        });
        // One that lies in another is there with it, and cannot be added beside it.
        let subnets = Ipv4Net::aggregate(&ranges.collect());
        let is_own = |range: &Ipv4Net| range.network().is_loopback();
        let subnets = subnets
            .into_iter()
            .filter(|range| !is_own(range))
            .map(|range| Subnet { address: range.network().octets(), prefix: range.prefix_len() });
        subnets.collect()
    }
}

impl Given {
    fn give(&mut self, name: &str) -> Ipv4Addr {
        let next = u32::try_from(self.addresses.len()).unwrap_or(u32::MAX);
        let address = Ipv4Addr::from_bits(FIRST.saturating_add(next));
        let address = *self.addresses.entry(name.to_owned()).or_insert(address);
        self.names.entry(address).or_insert_with(|| name.to_owned());
        address
    }
}

/// Whether whoever was granted `host` may resolve `name`.
fn means(host: &GrantHost, name: &str) -> bool {
    match host {
        GrantHost::Name(granted) => granted == name,
        GrantHost::Below(parent) => is_below(name, parent) && !is_guarded(name),
        GrantHost::Address(_) | GrantHost::Range(_) => false,
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}
