//! Attacks that only a jar with a network is open to (N01 to N06). Not part of the corpus that
//! `list` tells: a jar without a network refuses what they begin with.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::libc::{self, c_int};

use crate::sys::call;
use crate::tries::{Finding, Tries, errno};

/// Id, what is tried, and how.
type Row = (&'static str, &'static str, fn() -> Finding);

pub(crate) const ROWS: &[Row] = &[
    ("N01", "no_other_socket_is_there", sockets),
    ("N02", "no_filter_is_attached_at_any_level", filters),
    ("N03", "no_option_reaches_beyond_a_connection", options),
    ("N04", "no_connection_is_opened_by_a_message", fast_open),
    ("N05", "no_interface_is_changed", interfaces),
    ("N06", "no_route_leads_outside", routes),
];

const SCTP: c_int = 132;
const MPTCP: c_int = 262;
const UDPLITE: c_int = 136;

fn sockets() -> Finding {
    let mut tries = Tries::of_network();
    let (inet, stream, datagram, raw) =
        (libc::AF_INET, libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_RAW);
    for (name, family, kind, protocol) in [
        ("raw ICMP", inet, raw, libc::IPPROTO_ICMP),
        ("raw IP", inet, raw, libc::IPPROTO_RAW),
        ("raw TCP", inet, raw, libc::IPPROTO_TCP),
        ("raw ICMPv6", libc::AF_INET6, raw, libc::IPPROTO_ICMPV6),
        ("ICMP", inet, datagram, libc::IPPROTO_ICMP),
        ("SCTP", inet, libc::SOCK_SEQPACKET, SCTP),
        ("SCTP stream", inet, stream, SCTP),
        ("MPTCP", inet, stream, MPTCP),
        ("UDP-Lite", inet, datagram, UDPLITE),
        ("L2TP", inet, datagram, 115),
        ("AF_PACKET", libc::AF_PACKET, raw, 0x300),
        ("AF_NETLINK route", libc::AF_NETLINK, raw, libc::NETLINK_ROUTE),
        ("AF_NETLINK netfilter", libc::AF_NETLINK, raw, libc::NETLINK_NETFILTER),
        ("AF_VSOCK", libc::AF_VSOCK, stream, 0),
        ("AF_ALG", libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
        ("AF_XDP", 44, raw, 0),
        ("AF_SMC", 43, stream, 0),
        ("AF_TIPC", libc::AF_TIPC, datagram, 0),
    ] {
        tries.attempt(name, || call!(libc::SYS_socket, family, kind, protocol));
    }
    tries.finding()
}

fn set(socket: RawFd, level: c_int, option: c_int, value: &[u8]) -> nix::Result<i64> {
    call!(libc::SYS_setsockopt, socket, level, option, value, value.len())
}

/// One instruction of classic BPF that accepts everything, and the structure that names it.
fn filter(instruction: &[u8; 8]) -> [u8; 16] {
    let mut program = [0; 16];
    program[..2].copy_from_slice(&1u16.to_ne_bytes());
    let address = (instruction.as_ptr().expose_provenance() as u64).to_ne_bytes();
    program[8..].copy_from_slice(&address);
    program
}

fn filters() -> Finding {
    let mut tries = Tries::new();
    let accept = [6, 0, 0, 0, 0xff, 0xff, 0, 0];
    let program = filter(&accept);
    let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)) else {
        return Finding::Inconclusive("no TCP".to_owned());
    };
    let Ok(datagrams) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) else {
        return Finding::Inconclusive("no UDP".to_owned());
    };
    let Ok((pair, _far)) = UnixStream::pair() else {
        return Finding::Inconclusive("no pair".to_owned());
    };
    for (kind, socket) in
        [("TCP", listener.as_raw_fd()), ("UDP", datagrams.as_raw_fd()), ("unix", pair.as_raw_fd())]
    {
        tries.attempt(&format!("SO_ATTACH_FILTER on {kind}"), || {
            set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
        });
        // The kernel compares an int: whoever compares more is fooled.
        tries.attempt(&format!("SO_ATTACH_FILTER with garbage above on {kind}"), || {
            let level = i64::from(libc::SOL_SOCKET) | 41 << 32;
            let option = i64::from(libc::SO_ATTACH_FILTER) | 1 << 32;
            call!(libc::SYS_setsockopt, socket, level, option, &program, program.len())
        });
    }
    tries.attempt("SO_ATTACH_REUSEPORT_CBPF", || {
        let socket = datagrams.as_raw_fd();
        set(socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, &1i32.to_ne_bytes())?;
        set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, &program)
    });
    tries.finding()
}

fn options() -> Finding {
    let mut tries = Tries::new();
    let one = 1i32.to_ne_bytes();
    // SO_SNDBUFFORCE, SO_MARK, SO_BINDTODEVICE, SO_ZEROCOPY, SO_BUSY_POLL; then of TCP, IPv4, IPv6.
    for (name, level, option, value) in [
        ("SO_BINDTODEVICE", libc::SOL_SOCKET, libc::SO_BINDTODEVICE, b"lo\0".as_slice()),
        ("SO_MARK", libc::SOL_SOCKET, libc::SO_MARK, &one),
        ("SO_SNDBUFFORCE", libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &one),
        ("SO_ZEROCOPY", libc::SOL_SOCKET, libc::SO_ZEROCOPY, &one),
        ("SO_LOCK_FILTER", libc::SOL_SOCKET, libc::SO_LOCK_FILTER, &one),
        ("TCP_REPAIR", libc::IPPROTO_TCP, libc::TCP_REPAIR, &one),
        ("TCP_ULP", libc::IPPROTO_TCP, libc::TCP_ULP, b"tls\0"),
        ("TCP_CONGESTION", libc::IPPROTO_TCP, libc::TCP_CONGESTION, b"reno\0"),
        ("TCP_FASTOPEN", libc::IPPROTO_TCP, libc::TCP_FASTOPEN, &one),
        ("TCP_FASTOPEN_CONNECT", libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT, &one),
        ("IP_TRANSPARENT", libc::IPPROTO_IP, libc::IP_TRANSPARENT, &one),
        ("IP_FREEBIND", libc::IPPROTO_IP, libc::IP_FREEBIND, &one),
        (
            "IP_ADD_MEMBERSHIP",
            libc::IPPROTO_IP,
            libc::IP_ADD_MEMBERSHIP,
            &[224, 0, 0, 9, 127, 0, 0, 1],
        ),
    ] {
        tries.attempt(name, || {
            let socket = call!(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0)?;
            let socket = RawFd::try_from(socket).unwrap_or(-1);
            set(socket, level, option, value)
        });
    }
    tries.finding()
}

fn fast_open() -> Finding {
    let mut tries = Tries::new();
    let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)) else {
        return Finding::Inconclusive("no TCP".to_owned());
    };
    let port = listener.local_addr().map_or(0, |address| address.port());
    tries.attempt("send(MSG_FASTOPEN)", || {
        let socket = call!(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0)?;
        let [high, low] = port.to_be_bytes();
        let family = libc::AF_INET.to_ne_bytes();
        let to = [family[0], family[1], high, low, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        call!(libc::SYS_sendto, socket, b"x", 1, libc::MSG_FASTOPEN, &to, 16)
    });
    tries.attempt("send(MSG_OOB)", || {
        let near = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(errno)?;
        call!(libc::SYS_sendto, near.as_raw_fd(), b"x", 1, libc::MSG_OOB, 0, 0)
    });
    tries.finding()
}

/// Says of the loopback interface what is so already.
fn interfaces() -> Finding {
    const SIOCGIFFLAGS: c_int = 0x8913;
    const SIOCSIFFLAGS: c_int = 0x8914;
    const SIOCSIFMTU: c_int = 0x8922;
    let mut tries = Tries::new();
    let mut request = [0u8; 40];
    request[..2].copy_from_slice(b"lo");
    for (name, ask) in [("SIOCSIFFLAGS", SIOCSIFFLAGS), ("SIOCSIFMTU", SIOCSIFMTU)] {
        tries.attempt(name, || {
            let socket = call!(libc::SYS_socket, libc::AF_INET, libc::SOCK_DGRAM, 0)?;
            let mut request = request;
            let read = if ask == SIOCSIFMTU { 0x8921 } else { SIOCGIFFLAGS };
            call!(libc::SYS_ioctl, socket, read, &mut request)?;
            call!(libc::SYS_ioctl, socket, ask, &request)
        });
    }
    tries.attempt("net.ipv4.ip_forward", || {
        let path = "/proc/sys/net/ipv4/ip_forward";
        fs::read(path).and_then(|value| fs::write(path, value)).map_err(|error| {
            match errno(error) {
                nix::errno::Errno::ENOENT => nix::errno::Errno::EACCES,
                other => other,
            }
        })
    });
    tries.finding()
}

/// Connecting a datagram socket sends nothing: it succeeds as soon as there is a route. Behind a
/// gate every address is the jar's own, and what goes there comes from the jar's own.
fn routes() -> Finding {
    let mut tries = Tries::of_network();
    for remote in [
        "169.254.169.254:80",
        "192.0.2.1:53",
        "10.0.0.1:53",
        "172.17.0.1:80",
        "8.8.8.8:53",
        "224.0.0.1:9",
        "[2001:db8::1]:53",
    ] {
        tries.attempt(&format!("UDP to {remote}"), || {
            let any = if remote.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
            let socket = UdpSocket::bind(any).map_err(errno)?;
            socket.connect(remote).map_err(errno)?;
            match socket.local_addr() {
                Ok(own) if own.ip().is_loopback() => Err(nix::errno::Errno::ENETUNREACH),
                other => other.map_err(errno),
            }
        });
    }
    tries.finding()
}
