//! What a jar needs for its gate, decided before anything starts.

use std::net::{IpAddr, SocketAddr};

use belljar_protocol::Gateway;
use ipnet::{IpNet, Ipv4Net};

use super::bound::{Bindings, Trust};
use super::ranges::{self, Blocked};
use super::table::{RESERVED, RESOLVER, Table};
use crate::network::is_below;
use crate::runtime::LaunchFile;
use crate::{Egress, Error, Grant, GrantHost, Network, Source};

/// What a jar needs for its gate, and what the gate needs to know.
pub(crate) struct Layout {
    /// The listening sockets that the worker opens, and the addresses that it adds.
    pub(crate) gateway: Gateway,
    /// What the payload finds in /etc because of it.
    pub(crate) files: Vec<LaunchFile>,
    /// And in its environment.
    pub(crate) env: Vec<(String, String)>,
    pub(super) table: Table,
    pub(super) bindings: Bindings,
    pub(super) open_ranges: Vec<IpNet>,
    pub(super) resolver: Option<SocketAddr>,
}

/// The most that one run is granted.
const GRANTS: usize = 64;
/// A wider range would leave no address to a jar's own network.
const WIDEST_PREFIX: u8 = 8;

impl Layout {
    /// Secrets of the source that are bound to a place are replaced by what stands for them inside.
    ///
    /// # Errors
    /// [`Error::Invalid`] for grants that make no sense, [`Error::Refused`] for what the operator
    /// does not allow.
    pub(crate) fn new(
        source: &mut Source,
        egress: &Egress,
        memory_bytes: u64,
    ) -> Result<Self, Error> {
        let Network::Gate(asked) = &source.network else {
            return Err(Error::Invalid("network: a gate needs grants".to_owned()));
        };
        if asked.is_empty() || asked.len() > GRANTS {
            let count = asked.len();
            return Err(Error::Invalid(format!(
                "network: {count} grants, which is not between 1 and {GRANTS}"
            )));
        }
        let mut grants: Vec<Grant> = Vec::new();
        for grant in asked {
            check(grant, egress)?;
            if !grants.contains(grant) {
                grants.push(grant.clone());
            }
        }
        let bindings = Bindings::take(source)?;
        let Trust { mut files, env } = bindings.trust(&source.env)?;
        files.push(resolv_conf());
        let table = Table::new(grants);
        Ok(Self {
            gateway: Gateway {
                addresses: table.subnets(),
                doors: table.doors(),
                piece_bytes: piece_bytes(memory_bytes),
            },
            files,
            env,
            table,
            bindings,
            open_ranges: egress.open_ranges.clone(),
            resolver: egress.resolver,
        })
    }
}

fn check(grant: &Grant, egress: &Egress) -> Result<(), Error> {
    let invalid =
        |why: &str| Err(Error::Invalid(format!("network: {grant} cannot be granted: {why}")));
    match &grant.host {
        GrantHost::Name(name) | GrantHost::Below(name)
            if name == "localhost" || is_below(name, "localhost") =>
        {
            return invalid("it is the jar itself, which needs no grant");
        }
        GrantHost::Range(range) if range.prefix_len() < WIDEST_PREFIX => {
            return invalid("it is wider than /8");
        }
        _ => {}
    }
    if !egress.allowed.allows(grant) {
        return Err(refused(format!(
            "network: {grant} is not allowed; an operator can allow it with {grant:?}",
            grant = grant.to_string()
        )));
    }
    let judged = match &grant.host {
        GrantHost::Address(address) => {
            ranges::judge(IpAddr::V4(*address), &egress.open_ranges).map(drop)
        }
        GrantHost::Range(range) => ranges::judge_range(*range, &egress.open_ranges),
        GrantHost::Name(_) | GrantHost::Below(_) => Ok(()),
    };
    judged.map_err(|blocked| refused(unreached(grant, blocked)))?;
    match &grant.host {
        GrantHost::Address(address) if RESERVED.contains(address) => invalid("it has a meaning"),
        GrantHost::Range(range) if overlaps(*range, RESERVED) => invalid("it has a meaning"),
        _ => Ok(()),
    }
}

fn unreached(grant: &Grant, Blocked { why, openable }: Blocked) -> String {
    let advice = if openable { "; an operator can open the range it is in" } else { "" };
    format!("network: {grant} is not reached from a run: {why}{advice}")
}

fn refused(what: String) -> Error {
    Error::Refused { what, findings: Vec::new() }
}

fn overlaps(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

/// How much passes through the jar's loopback interface at once. What goes through the gate is
/// copied twice as often as what does not, and makes up for it by fewer pieces. They need room: a
/// piece for which a socket has none is dropped, and TCP waits before it tries again. Beside small
/// memories, of which sockets have an eighth where they are counted apart, a dozen connections
/// would wait for seconds.
fn piece_bytes(memory_bytes: u64) -> u32 {
    /// Where interfaces begin: `GSO_LEGACY_MAX_SIZE` of the kernel.
    const USUAL: u32 = 65_536;
    /// The most that loopback interfaces take: `GSO_MAX_SIZE`.
    const MOST: u32 = 8 * 65_535;
    const AMPLE_MEMORY_BYTES: u64 = 256 * 1024 * 1024;
    if memory_bytes < AMPLE_MEMORY_BYTES { USUAL } else { MOST }
}

/// The resolver is as near as can be: who waits for it longer waits for nothing.
fn resolv_conf() -> LaunchFile {
    let text = format!("nameserver {}\noptions timeout:2 attempts:2\n", RESOLVER.0);
    LaunchFile { path: "/etc/resolv.conf".to_owned(), mode: 0o644, bytes: text.into_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    #[test]
    fn pieces_fit_the_memory() {
        let small = Limits { memory_bytes: 32 << 20, ..Limits::strict() };
        assert_eq!(piece_bytes(Limits::strict().memory_bytes), 524_280);
        assert_eq!(piece_bytes(small.memory_bytes), 65_536);
    }
}
