//! Outside: names resolved, every answer judged, one of them connected to.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ProtocolConfig, ResolveHosts,
    ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use ipnet::IpNet;
use tokio::net::TcpStream;
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::ranges::{Blocked, judge};
use super::table::Target;

/// What is outside, for one run. Runs share no resolver: none learns from the time an answer takes
/// what another one asked for, nor waits behind it.
pub(super) struct Upstream {
    open_ranges: Vec<IpNet>,
    address: Option<SocketAddr>,
    resolver: OnceCell<Option<TokioResolver>>,
    /// More at one time it refuses.
    asking: Semaphore,
}

/// Why there is nothing to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nowhere {
    Unresolved,
    Blocked(IpAddr, Blocked),
}

/// For all of one lookup, aliases and repetitions included.
const LOOKUP: Duration = Duration::from_secs(5);
const ASKED_AT_ONCE: usize = 8;
const ASKED_ONCE: Duration = Duration::from_millis(1500);
/// How long an answer is used again at most.
const REMEMBERED: Duration = Duration::from_secs(30);
/// How many addresses of a name are tried, and how soon the next one is.
const TRIED: usize = 4;
const STAGGER: Duration = Duration::from_millis(250);
const CONNECT: Duration = Duration::from_secs(10);

impl Upstream {
    pub(super) fn new(open_ranges: Vec<IpNet>, address: Option<SocketAddr>) -> Self {
        Self {
            open_ranges,
            address,
            resolver: OnceCell::new(),
            asking: Semaphore::new(ASKED_AT_ONCE),
        }
    }

    /// Whether a run may reach `address`.
    pub(super) fn judge(&self, address: IpAddr) -> Result<IpAddr, Blocked> {
        judge(address, &self.open_ranges)
    }

    /// The addresses of `target`, in the order in which to try them. One that is not reached spoils
    /// all: a name that leads inside under one of its addresses is not tried under the others.
    pub(super) async fn find(&self, target: &Target) -> Result<Vec<IpAddr>, Nowhere> {
        let answers = match target {
            Target::Address(address) => vec![*address],
            Target::Name(name) => self.resolve(name).await.ok_or(Nowhere::Unresolved)?,
        };
        let judged = answers
            .into_iter()
            .map(|answer| self.judge(answer).map_err(|blocked| Nowhere::Blocked(answer, blocked)));
        let mut judged = judged.collect::<Result<Vec<_>, _>>()?;
        judged.sort_by_key(IpAddr::is_ipv6);
        judged.dedup();
        if judged.is_empty() { Err(Nowhere::Unresolved) } else { Ok(interleave(judged)) }
    }

    /// Connects to the first of `addresses` that answers.
    pub(super) async fn connect(addresses: &[IpAddr], port: u16) -> Option<TcpStream> {
        timeout(CONNECT, race(addresses, port)).await.ok().flatten()
    }

    /// Only the whole name: a domain to search in is nothing that was granted.
    async fn resolve(&self, name: &str) -> Option<Vec<IpAddr>> {
        let mut name = Name::from_ascii(name).ok()?;
        name.set_fqdn(true);
        let resolver = self.resolver.get_or_init(|| async { resolver(self.address) }).await;
        let look_up = async {
            let _turn = self.asking.acquire().await.ok()?;
            let found = resolver.as_ref()?.lookup_ip(name).await.ok()?;
            Some(found.iter().collect())
        };
        timeout(LOOKUP, look_up).await.ok()?
    }
}

async fn race(addresses: &[IpAddr], port: u16) -> Option<TcpStream> {
    let mut attempts = JoinSet::new();
    for address in addresses.iter().take(TRIED) {
        attempts.spawn(TcpStream::connect(SocketAddr::new(*address, port)));
        // Where all have failed already, the next one is tried at once.
        if let Ok(Some(connected)) = timeout(STAGGER, first(&mut attempts)).await {
            return Some(connected);
        }
    }
    first(&mut attempts).await
}

/// The first attempt that succeeds; none once all have failed.
async fn first(attempts: &mut JoinSet<std::io::Result<TcpStream>>) -> Option<TcpStream> {
    while let Some(attempt) = attempts.join_next().await {
        if let Ok(Ok(connected)) = attempt {
            return Some(connected);
        }
    }
    None
}

/// IPv4 first, and then by turns: many a host has an IPv6 that leads nowhere.
fn interleave(sorted: Vec<IpAddr>) -> Vec<IpAddr> {
    let (v4, v6): (Vec<_>, Vec<_>) = sorted.into_iter().partition(IpAddr::is_ipv4);
    let longest = v4.len().max(v6.len());
    let turns = (0..longest).flat_map(|turn| [v4.get(turn).copied(), v6.get(turn).copied()]);
    turns.flatten().take(TRIED).collect()
}

fn resolver(address: Option<SocketAddr>) -> Option<TokioResolver> {
    let mut builder = match address {
        Some(address) => {
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![server(address)]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
        None => TokioResolver::builder_tokio().ok()?,
    };
    // An operator who names a resolver means it alone.
    let hosts_file = if address.is_some() { ResolveHosts::Never } else { ResolveHosts::Auto };
    let options = builder.options_mut();
    options.timeout = ASKED_ONCE;
    options.attempts = 2;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = hosts_file;
    options.positive_max_ttl = Some(REMEMBERED);
    options.negative_max_ttl = Some(Duration::from_secs(1));
    options.preserve_intermediates = false;
    builder.build().ok()
}

fn server(address: SocketAddr) -> NameServerConfig {
    let connections = [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(|protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}
