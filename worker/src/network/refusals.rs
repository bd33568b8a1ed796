//! What a jar's own kernel refuses, so that somebody outside learns of it.
//!
//! An address that nobody has is unreachable, and a connection to it fails without a packet. So
//! every address is made local: the kernel then answers itself, with a reset or an unreachable
//! port, and a packet socket hears that answer. Nothing leaves the jar for it, and no program is
//! looked into.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc::{self, sock_filter};
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

use super::LOOPBACK;
use crate::stopwatch::{Step, best_effort, doing};
use crate::sys;

/// A packet socket that has the kernel's refusals, on a loopback interface that has every address.
pub(super) fn hear() -> Step<OwnedFd> {
    let interface = if_nametoindex(LOOPBACK).map_err(doing("find the loopback interface"))?;
    let socket = open(interface).map_err(doing("open a packet socket"))?;
    add_route(interface, libc::AF_INET, &Ipv4Addr::LOCALHOST.octets())
        .map_err(doing("make every address local"))?;
    // Where there is no IPv6, there is nothing of it to refuse.
    best_effort(add_route(interface, libc::AF_INET6, &Ipv6Addr::LOCALHOST.octets()));
    Ok(socket)
}

/// It hears nothing before its filter is there: it has no protocol until then.
fn open(interface: u32) -> std::io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Packet, SockType::Datagram, flags, None)?;
    sys::filter_packets(&socket, REFUSALS)?;
    sys::ignore_outgoing(&socket)?;
    sys::bind_to_interface(&socket, interface)?;
    Ok(socket)
}

/// What `ip route add local default dev lo src OWN` asks for (rtnetlink(7)). What connects from
/// nowhere in particular keeps an address of its own.
fn add_route(interface: u32, family: i32, own: &[u8]) -> nix::Result<()> {
    let family = u8::try_from(family).map_err(|_| Errno::EAFNOSUPPORT)?;
    let (bits, from_bits, tos, no_flags) = (0, 0, 0, [0; 4]);
    let table = libc::RT_TABLE_LOCAL;
    let (boot, scope) = (libc::RTPROT_BOOT, libc::RT_SCOPE_HOST);
    let mut route = vec![family, bits, from_bits, tos, table, boot, scope, libc::RTN_LOCAL];
    route.extend(no_flags);
    push_attribute(&mut route, libc::RTA_OIF, &interface.to_ne_bytes());
    push_attribute(&mut route, libc::RTA_PREFSRC, own);
    exchange(libc::RTM_NEWROUTE, &route)
}

fn push_attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(size_of::<u16>() * 2 + value.len()).unwrap_or(u16::MAX);
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
}

/// Sends one request to the kernel, and takes its verdict (netlink(7)).
fn exchange(kind: u16, body: &[u8]) -> nix::Result<()> {
    const HEADER_BYTES: usize = 16;
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let flags = u16::try_from(flags).map_err(|_| Errno::EINVAL)?;
    let length = u32::try_from(HEADER_BYTES + body.len()).map_err(|_| Errno::EMSGSIZE)?;
    let (sequence, to_kernel) = (1_u32, 0_u32);
    let mut request = Vec::from(length.to_ne_bytes());
    request.extend(kind.to_ne_bytes());
    request.extend(flags.to_ne_bytes());
    request.extend(sequence.to_ne_bytes());
    request.extend(to_kernel.to_ne_bytes());
    request.extend(body);
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    send(netlink.as_raw_fd(), &request, MsgFlags::empty())?;
    let mut answer = [0; 1024];
    let length = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    // An acknowledgement is an error of which the number is zero.
    let verdict = answer.get(..length).and_then(|answer| answer.get(HEADER_BYTES..));
    match verdict.and_then(|verdict| verdict.first_chunk().copied()).map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(errno) => Err(Errno::from_raw(errno.saturating_neg())),
        None => Err(Errno::EBADMSG),
    }
}

/// How much of a packet is kept: what was refused stands in its first bytes.
const KEPT_BYTES: u32 = 128;

const PROTOCOL_ICMP: u32 = libc::IPPROTO_ICMP.cast_unsigned();
const PROTOCOL_TCP: u32 = libc::IPPROTO_TCP.cast_unsigned();
const PROTOCOL_ICMPV6: u32 = libc::IPPROTO_ICMPV6.cast_unsigned();
/// FIN, SYN, RST and ACK of a TCP header; the two that a kernel answers with.
const TCP_FLAGS: u32 = 0x17;
const TCP_REFUSED: u32 = 0x14;
/// "Destination unreachable" of ICMP (RFC 792), and of ICMPv6 (RFC 4443).
const UNREACHABLE: u32 = 3;
const UNREACHABLE_V6: u32 = 1;

/// A classic BPF program. Each jump says how many statements it skips, if it holds and if not.
const REFUSALS: &[sock_filter] = &[
    byte(0), // the version is the first half of the first byte
    statement(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, 4),
    unless(4, 9),
    byte(9), // its protocol
    // How long the header is, with its options.
    statement(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0),
    unless(PROTOCOL_TCP, 3),
    byte_behind(13),
    statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, TCP_FLAGS),
    jump(TCP_REFUSED, 12, 13),
    unless(PROTOCOL_ICMP, 12),
    byte_behind(0),
    jump(UNREACHABLE, 9, 10),
    unless(6, 9),
    byte(6), // its next header
    unless(PROTOCOL_TCP, 3),
    byte(40 + 13),
    statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, TCP_FLAGS),
    jump(TCP_REFUSED, 3, 4),
    unless(PROTOCOL_ICMPV6, 3),
    byte(40),
    unless(UNREACHABLE_V6, 1),
    statement(libc::BPF_RET | libc::BPF_K, KEPT_BYTES),
    statement(libc::BPF_RET | libc::BPF_K, 0),
];

const fn byte(at: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, at)
}

/// Behind the header of IPv4.
const fn byte_behind(at: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_B | libc::BPF_IND, at)
}

/// Skips so many statements unless what was read is `value`.
const fn unless(value: u32, otherwise: u8) -> sock_filter {
    jump(value, 0, otherwise)
}

const fn jump(value: u32, then: u8, otherwise: u8) -> sock_filter {
    let code = op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K);
    sock_filter { code, jt: then, jf: otherwise, k: value }
}

const fn statement(code: u32, operand: u32) -> sock_filter {
    sock_filter { code: op(code), jt: 0, jf: 0, k: operand }
}

/// Every code is one of 16 bits.
#[expect(clippy::cast_possible_truncation, reason = "codes are below 256")]
const fn op(code: u32) -> u16 {
    code as u16
}
