//! The network of a jar: a loopback interface, and the sockets that are handed out before anything
//! hostile can use it. Nothing else leads anywhere.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use belljar_protocol::{Door, Gateway, Jar, Network, Subnet, Transport};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, setsockopt, socket,
    sockopt,
};

use crate::control::{receive_with, send_with};
use crate::stopwatch::{Failure, Step, best_effort, doing};
use crate::sys;

mod netlink;
mod refusals;

const LOOPBACK: &str = "lo";
/// Connections that were made and wait to be accepted.
const BACKLOG: i32 = 128;
/// In one datagram; the kernel takes 253 (unix(7)).
const HANDFUL: usize = 64;
/// How small a socket's buffer can become, how large it is at first, and how large it grows: the
/// last is 4 and 6 MiB otherwise, which a payload with all its descriptors makes gigabytes that
/// no cgroup may count. On a loopback interface 1 MiB is enough for full speed.
const BUFFERS: [(&str, &str); 2] = [
    ("/proc/sys/net/ipv4/tcp_rmem", "4096 32768 1048576"),
    ("/proc/sys/net/ipv4/tcp_wmem", "4096 16384 1048576"),
];

/// Makes of an empty network namespace the network that the jar is to have. Takes the rights of
/// process 1 over it, which nobody will have later.
pub(crate) fn open(jar: &Jar, gate: Option<&OwnedFd>) -> Step {
    let gateway = match &jar.network {
        Network::None => return Ok(()),
        Network::Loopback => None,
        Network::Gate(gateway) => Some(gateway),
    };
    // Whatever is done here would be done to the host.
    if !jar.authority.makes_namespaces() {
        return Err(Failure::because("open a network", "it would be the host's"));
    }
    let handle = new_socket(SockType::Datagram)?;
    sys::raise_interface(&handle, LOOPBACK).map_err(doing("bring the loopback interface up"))?;
    for (setting, bytes) in BUFFERS {
        // Where /proc/sys is read-only, the limits of the host hold.
        best_effort(fs::write(setting, bytes));
    }
    let Some(gateway) = gateway else { return Ok(()) };
    let gate =
        gate.ok_or_else(|| Failure::because("hand out sockets", "nobody is there to take them"))?;
    // Where the kernel has no such setting, bytes pass all the same.
    best_effort(netlink::set_piece_bytes(LOOPBACK, gateway.piece_bytes));
    add_addresses(&handle, &gateway.addresses)?;
    hand_out(gateway, gate)
}

/// On a loopback interface every address with the same prefix is local, without a word about each;
/// but for the last one, which the kernel takes for a broadcast unless it was added before.
fn add_addresses(handle: &OwnedFd, subnets: &[Subnet]) -> Step {
    const LONGEST_WITH_BROADCAST: u8 = 30;
    let all = subnets.iter().flat_map(|Subnet { address, prefix }| {
        let first = u32::from_be_bytes(*address);
        let last = first | !mask(*prefix);
        let last = (*prefix <= LONGEST_WITH_BROADCAST).then_some((last, u32::MAX));
        last.into_iter().chain([(first, mask(*prefix))])
    });
    for (number, (address, mask)) in (1..).zip(all) {
        let (label, address) = (format!("{LOOPBACK}:{number}"), address.to_be_bytes());
        sys::set_address(handle, &label, address)
            .and_then(|()| sys::set_netmask(handle, &label, mask.to_be_bytes()))
            .map_err(doing(format!("add {address:?} to the loopback interface")))?;
    }
    Ok(())
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0)
}

/// Opens the doors in order, and sends them away: at no time are more than a handful open here.
fn hand_out(gateway: &Gateway, gate: &OwnedFd) -> Step {
    for doors in gateway.doors.chunks(HANDFUL) {
        let sockets = doors.iter().copied().map(open_door).collect::<Step<Vec<_>>>()?;
        let fds: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
        let count = u8::try_from(fds.len()).unwrap_or(u8::MAX);
        send_with(gate, &[count], &fds).map_err(doing("hand out sockets"))?;
    }
    // What is on its way counts against the descriptors of whoever sends next (ETOOMANYREFS of
    // unix(7)), and by then they are few.
    match receive_with(gate, &mut [0]).map_err(doing("await that sockets are taken"))? {
        (0, _) => Err(Failure::because("hand out sockets", "nobody took them")),
        _ => Ok(()),
    }
}

fn open_door(door: Door) -> Step<OwnedFd> {
    let Door { address: [a, b, c, d], port, transport } = door;
    let attempt = || format!("open {a}.{b}.{c}.{d}:{port}");
    let failed = || doing::<nix::errno::Errno>(attempt());
    let address = SockaddrIn::new(a, b, c, d, port);
    match transport {
        Transport::Udp => {
            // Not shared: a second socket that says so as well would get what is meant for this.
            let socket = new_socket(SockType::Datagram)?;
            bind_to(&socket, &address).map_err(failed())?;
            Ok(socket)
        }
        Transport::Tcp => {
            let socket = new_socket(SockType::Stream)?;
            setsockopt(&socket, sockopt::ReuseAddr, &true).map_err(failed())?;
            bind_to(&socket, &address).map_err(failed())?;
            Backlog::new(BACKLOG).and_then(|backlog| listen(&socket, backlog)).map_err(failed())?;
            Ok(socket)
        }
        Transport::Refusals => refusals::hear(),
    }
}

fn bind_to(socket: &OwnedFd, address: &SockaddrIn) -> nix::Result<()> {
    use std::os::fd::AsRawFd as _;
    bind(socket.as_raw_fd(), address)
}

fn new_socket(kind: SockType) -> Step<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Inet, kind, flags, None).map_err(doing("make a socket"))
}
