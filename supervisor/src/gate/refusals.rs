//! What the kernel of a jar refused: connections to where nobody listens, and datagrams. It answers
//! them itself, at every address of the world, and those answers are heard here.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram as Datagrams;
use std::sync::{Arc, Mutex, PoisonError};
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
    turn: Mutex<()>,
    pace: Pace,
}

/// What somebody in the jar tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    Connect(IpAddr, u16),
    Datagram(IpAddr, u16),
}

/// As much of a packet as is kept of one.
const PACKET_BYTES: usize = 256;
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
        Ok(Self { socket, turn: Mutex::new(()), pace: Pace::new(HEARD_PER_S, AT_ONCE) })
    }

    /// Tells all of them, while the run goes on. Of what comes faster than is heard, some is lost.
    pub(super) async fn keep(self: Arc<Self>, shared: Arc<Shared>) {
        loop {
            // An error here is one of the socket, and goes at the same pace.
            drop(self.socket.readable().await);
            let was_one = self.hear(&shared, |packet| self.socket.try_recv(packet));
            let wait = self.pace.wait(1);
            if !wait.is_zero() {
                if was_one {
                    shared.audit.unheard();
                }
                tokio::time::sleep(wait).await;
            }
        }
    }

    /// Tells what is left, whether this was woken for it or not.
    pub(super) fn finish(&self, shared: &Shared) {
        let next =
            |packet: &mut [u8]| Ok(recv(self.socket.as_raw_fd(), packet, MsgFlags::MSG_DONTWAIT)?);
        for _ in 0..LEFT {
            if !self.hear(shared, next) {
                return;
            }
        }
        shared.audit.unheard();
    }

    /// Tells one, if there is one. Nobody who waits for a turn overtakes a packet that was taken and
    /// not told yet.
    fn hear(&self, shared: &Shared, next: impl Fn(&mut [u8]) -> io::Result<usize>) -> bool {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut packet = [0; PACKET_BYTES];
        let Ok(length) = next(&mut packet) else { return false };
        tell(shared, packet.get(..length).unwrap_or_default());
        true
    }
}

fn tell(shared: &Shared, packet: &[u8]) {
    let Some(attempt) = Attempt::refused_by(packet) else { return };
    let (Attempt::Connect(address, port) | Attempt::Datagram(address, port)) = attempt;
    let target = match address {
        IpAddr::V4(address) => shared.table.at(address),
        IpAddr::V6(_) => Target::Address(address),
    };
    match (attempt, &target) {
        // Its own servers are its own affair.
        (_, Target::Address(own)) if own.is_loopback() => {}
        (Attempt::Datagram(..), _) => shared.audit.datagram(&target, port),
        // Nobody listens any more: the run is over.
        (Attempt::Connect(..), _) if shared.table.is_granted(&target, port) => {}
        (Attempt::Connect(..), _) => {
            shared.refuse(&target, port);
        }
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
