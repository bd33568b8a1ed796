//! Who comes through a door, and where that leads.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

use super::audit::{End, Flow};
use super::open::{Shared, Unsaid};
use super::relay::Link;
use super::table::{PROXY, RESOLVER, Target};
use super::upstream::{Nowhere, Upstream};
use super::{filled, names, proxy};

/// While this process has no descriptor left, nobody is let in.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// Lets everybody in, as many at a time as the run may have; others wait in the backlog.
pub(super) async fn keep(shared: Arc<Shared>, listener: TcpListener) {
    let mut visits = JoinSet::new();
    loop {
        while visits.try_join_next().is_some() {}
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(EXHAUSTED).await;
            continue;
        };
        shared.arrivals.one().await;
        let Ok(slot) = Arc::clone(&shared.slots).acquire_owned().await else { return };
        visits.spawn(visit(Arc::clone(&shared), client, slot));
    }
}

async fn visit(shared: Arc<Shared>, client: TcpStream, _slot: OwnedSemaphorePermit) {
    let Ok(SocketAddr::V4(local)) = client.local_addr() else { return };
    // Without it small answers wait for a delayed acknowledgement. A socket that has none of it
    // works all the same.
    drop(client.set_nodelay(true));
    match (*local.ip(), local.port()) {
        RESOLVER => names::serve(&shared, client).await,
        PROXY => proxy::serve(&shared, client).await,
        (address, port) => arrive(&shared, client, address, port).await,
    }
}

async fn arrive(shared: &Shared, client: TcpStream, address: Ipv4Addr, port: u16) {
    let target = shared.table.at(address);
    let flow = shared.audit.begin(&target, port);
    let unsaid = Unsaid::of(shared);
    let end = match reach(shared, &flow, &target, port).await {
        Ok(server) => through(shared, &flow, &target, (&client, &server), Vec::new(), unsaid).await,
        Err(end) => end,
    };
    finish(&flow, &client, end);
}

/// A connection to `target`, if it is granted and can be reached.
pub(super) async fn reach(
    shared: &Shared,
    flow: &Flow,
    target: &Target,
    port: u16,
) -> Result<TcpStream, End> {
    if !shared.table.is_granted(target, port) {
        return Err(shared.refuse(target, port));
    }
    if shared.meter.is_empty() {
        shared.audit.too_many_bytes();
        return Err(End::NetworkBytes);
    }
    let addresses = shared.upstream.find(target).await.map_err(|nowhere| match nowhere {
        Nowhere::Unresolved => End::Unresolved,
        Nowhere::Blocked(address, blocked) => {
            shared.audit.blocked(target, port, address, blocked);
            End::RefusedAddress
        }
    })?;
    let server = Upstream::connect(&addresses, port).await.ok_or(End::Unreachable)?;
    let pinned = server.peer_addr().map_err(|_| End::Unreachable)?;
    flow.pinned.get_or_init(|| pinned);
    drop(server.set_nodelay(true));
    Ok(server)
}

/// Relays what both say, beginning with what the client said `early`.
pub(super) async fn through(
    shared: &Shared,
    flow: &Flow,
    target: &Target,
    (client, server): (&TcpStream, &TcpStream),
    early: Vec<u8>,
    unsaid: Unsaid<'_>,
) -> End {
    let name = match target {
        Target::Name(name) => Some(name.as_str()),
        Target::Address(_) => None,
    };
    let bound = name.and_then(|name| shared.bindings.at(name, flow.port()));
    let mut unfinished = Unfinished { server, flow, is_closed: false };
    let end = match bound {
        Some(bound) => filled::carry(shared, flow, &bound, (client, server), early).await,
        None => Link { shared, flow, name, client, server }.relay(early, unsaid).await,
    };
    unfinished.is_closed = end == End::Closed;
    end
}

/// A connection that ends before everything was said, be it with its run: the server learns that
/// this was no proper end. What was said to the end stays said: a reset would take it back.
struct Unfinished<'a> {
    server: &'a TcpStream,
    flow: &'a Flow,
    is_closed: bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.is_closed && !self.flow.said_all() {
            drop(self.server.set_zero_linger());
        }
    }
}

/// A client that was cut off is told so by a reset: an end of the stream would look like one that
/// the server meant.
pub(super) fn finish(flow: &Flow, client: &TcpStream, end: End) {
    if end != End::Closed {
        drop(client.set_zero_linger());
    }
    flow.end(end);
}
