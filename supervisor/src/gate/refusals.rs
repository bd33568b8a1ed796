//! What the kernel of a jar refused: connections to where nobody listens, and datagrams. It answers
//! them itself, at every address of the world, and those answers are heard here.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram as Datagrams;
use std::sync::Arc;
use std::time::Duration;

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use nix::sys::socket::{MsgFlags, recv};
use tokio::net::UnixDatagram;

use super::meter::Pace;
use super::open::Shared;
use super::table::Target;

/// Where they are heard: a packet socket, of which nothing is wanted but to receive.
pub(super) struct Refusals {
    socket: UnixDatagram,
    pace: Pace,
}

/// What somebody in the jar tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    Connect(IpAddr, u16),
    Datagram(IpAddr, u16),
}

/// As much of a packet as is kept of one.
const PACKET_BYTES: usize = 128;
/// More than a program needs, less than a processor.
const HEARD_PER_S: u64 = 1000;
const AT_ONCE: Duration = Duration::from_secs(1);
/// At the end, of those that were not heard yet.
const LEFT: usize = 1024;

impl Refusals {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        let socket = Datagrams::from(socket);
        socket.set_nonblocking(true)?;
        let socket = UnixDatagram::from_std(socket)?;
        Ok(Self { socket, pace: Pace::new(HEARD_PER_S, AT_ONCE) })
    }

    /// Tells all of them, while the run goes on. What comes faster than is heard is lost: a program
    /// that knocks everywhere has fewer refusals counted than it met.
    pub(super) async fn keep(self: Arc<Self>, shared: Arc<Shared>) {
        let mut packet = [0; PACKET_BYTES];
        loop {
            if let Ok(length) = self.socket.recv(&mut packet).await {
                tell(&shared, packet.get(..length).unwrap_or_default());
            }
            self.pace.one().await;
        }
    }

    /// Tells what is left, whether this was woken for it or not.
    pub(super) fn finish(&self, shared: &Shared) {
        let mut packet = [0; PACKET_BYTES];
        for _ in 0..LEFT {
            let next = recv(self.socket.as_raw_fd(), &mut packet, MsgFlags::MSG_DONTWAIT);
            let Ok(length) = next else { return };
            tell(shared, packet.get(..length).unwrap_or_default());
        }
    }
}

/// Tells that `target` was not granted, and whether it could have been.
pub(super) fn not_granted(shared: &Shared, target: &Target, port: u16) {
    let judged = match target {
        Target::Name(_) => Ok(()),
        Target::Address(address) => shared.upstream.judge((*address).into()).map(drop),
    };
    match (judged, target) {
        (Err(blocked), Target::Address(address)) => {
            shared.audit.blocked(&address.to_string(), port, (*address).into(), blocked);
        }
        _ => shared.audit.not_granted(target, Some(port)),
    }
}

fn tell(shared: &Shared, packet: &[u8]) {
    match Attempt::refused_by(packet) {
        Some(Attempt::Connect(IpAddr::V4(address), port)) => match shared.table.at(address) {
            // Its own servers are its own affair.
            Target::Address(own) if own.is_loopback() => {}
            // Nobody listens any more: the run is over.
            target if shared.table.is_granted(&target, port) => {}
            target => not_granted(shared, &target, port),
        },
        Some(Attempt::Connect(IpAddr::V6(address), port)) if address != Ipv6Addr::LOCALHOST => {
            let place = format!("[{address}]");
            match shared.upstream.judge(address.into()) {
                Err(blocked) => shared.audit.blocked(&place, port, address.into(), blocked),
                Ok(_) => shared.audit.by_name_only(&place, port),
            }
        }
        Some(Attempt::Datagram(IpAddr::V4(address), port)) => match shared.table.at(address) {
            Target::Address(own) if own.is_loopback() => {}
            target => shared.audit.datagram(&target.to_string(), port),
        },
        Some(Attempt::Datagram(IpAddr::V6(address), port)) if address != Ipv6Addr::LOCALHOST => {
            shared.audit.datagram(&format!("[{address}]"), port);
        }
        Some(_) | None => {}
    }
}

impl Attempt {
    /// A reset comes from where somebody wanted to connect to, and an unreachable port has in it
    /// what was sent there (RFC 792, RFC 4443).
    fn refused_by(packet: &[u8]) -> Option<Self> {
        let answer = LaxSlicedPacket::from_ip(packet).ok()?;
        let inner = match answer.transport.as_ref()? {
            // Whoever was connected before is not answered with zero.
            TransportSlice::Tcp(reset) if reset.sequence_number() == 0 => {
                let (from, _) = addresses(answer.net.as_ref()?)?;
                return Some(Self::Connect(from, reset.source_port()));
            }
            TransportSlice::Icmpv4(unreachable) => unreachable.payload(),
            TransportSlice::Icmpv6(unreachable) => unreachable.payload(),
            _ => return None,
        };
        let sent = LaxSlicedPacket::from_ip(inner).ok()?;
        let TransportSlice::Udp(datagram) = sent.transport.as_ref()? else { return None };
        let (_, to) = addresses(sent.net.as_ref()?)?;
        Some(Self::Datagram(to, datagram.destination_port()))
    }
}

/// From where, and to where.
fn addresses(packet: &LaxNetSlice<'_>) -> Option<(IpAddr, IpAddr)> {
    match packet {
        LaxNetSlice::Ipv4(packet) => {
            let header = packet.header();
            Some((header.source_addr().into(), header.destination_addr().into()))
        }
        LaxNetSlice::Ipv6(packet) => {
            let header = packet.header();
            Some((header.source_addr().into(), header.destination_addr().into()))
        }
        LaxNetSlice::Arp(_) => None,
    }
}
