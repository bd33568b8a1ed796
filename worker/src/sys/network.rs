//! The calls that set up a jar's network (netdevice(7), packet(7)).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use nix::libc::{self, c_int, c_long};

use super::check;

/// Brings a network interface up (netdevice(7)).
pub(crate) fn raise_interface(socket: &OwnedFd, name: &str) -> io::Result<()> {
    let mut request = interface(name);
    request.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or_default();
    configure(socket, SIOCSIFFLAGS, &request)
}

/// Gives an interface an address; one more where `name` is a new label of it.
pub(crate) fn set_address(socket: &OwnedFd, name: &str, address: [u8; 4]) -> io::Result<()> {
    let mut request = interface(name);
    request.ifr_ifru.ifru_addr = internet(address);
    configure(socket, SIOCSIFADDR, &request)
}

/// Says which bits of the address of an interface are those of its network.
pub(crate) fn set_netmask(socket: &OwnedFd, name: &str, mask: [u8; 4]) -> io::Result<()> {
    let mut request = interface(name);
    request.ifr_ifru.ifru_netmask = internet(mask);
    configure(socket, SIOCSIFNETMASK, &request)
}

/// Has a packet socket keep only what `filter` lets through (socket(7), `SO_ATTACH_FILTER`).
pub(crate) fn filter_packets(socket: &OwnedFd, filter: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(io::Error::other)?,
        // The kernel copies the program, and writes nothing.
        filter: filter.as_ptr().cast_mut(),
    };
    set_option(socket, (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER), &program)
}

/// Has a packet socket hear what arrives, and not what is sent (packet(7)).
pub(crate) fn ignore_outgoing(socket: &OwnedFd) -> io::Result<()> {
    const PACKET_IGNORE_OUTGOING: c_int = 23;
    set_option(socket, (libc::SOL_PACKET, PACKET_IGNORE_OUTGOING), &c_int::from(true))
}

/// Has a packet socket hear every protocol on one interface (packet(7)).
pub(crate) fn bind_to_interface(socket: &OwnedFd, interface: u32) -> io::Result<()> {
    const EVERY_PROTOCOL: u16 = 0x0003;
    // SAFETY: all zeroes is a valid address of no interface.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
    address.sll_protocol = EVERY_PROTOCOL.to_be();
    address.sll_ifindex = c_int::try_from(interface).map_err(io::Error::other)?;
    let (at, length) = (ptr::from_ref(&address).cast(), length_of(&address));
    // SAFETY: the address is of its family and as long as is said, and outlives the call.
    let result = unsafe { libc::bind(socket.as_raw_fd(), at, length) };
    check(c_long::from(result)).map(drop)
}

fn interface(name: &str) -> libc::ifreq {
    // SAFETY: all zeroes is a valid request, whose name is empty.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // One byte less than there is room for: the name ends in a zero.
    let room = request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1);
    for (place, byte) in room.zip(name.bytes()) {
        *place = libc::c_char::from_ne_bytes([byte]);
    }
    request
}

/// An address of IPv4 as `sockaddr_in` has it: a port, and the address behind it.
fn internet([a, b, c, d]: [u8; 4]) -> libc::sockaddr {
    let bytes = [0, 0, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0];
    libc::sockaddr {
        sa_family: libc::sa_family_t::try_from(libc::AF_INET).unwrap_or_default(),
        sa_data: bytes.map(|byte| libc::c_char::from_ne_bytes([byte])),
    }
}

fn configure(socket: &OwnedFd, what: libc::Ioctl, request: &libc::ifreq) -> io::Result<()> {
    // SAFETY: these requests read exactly this structure, which outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), what, ptr::from_ref(request)) };
    check(c_long::from(result)).map(drop)
}

/// `value` is what this option of this level takes, and points to nothing that the kernel writes.
fn set_option<T>(socket: &OwnedFd, (level, option): (c_int, c_int), value: &T) -> io::Result<()> {
    let (at, length) = (ptr::from_ref(value).cast(), length_of(value));
    // SAFETY: the value is as long as is said, and outlives the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, at, length) };
    check(c_long::from(result)).map(drop)
}

fn length_of<T>(_: &T) -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}

const SIOCSIFFLAGS: libc::Ioctl = 0x8914;
const SIOCSIFADDR: libc::Ioctl = 0x8916;
const SIOCSIFNETMASK: libc::Ioctl = 0x891c;
