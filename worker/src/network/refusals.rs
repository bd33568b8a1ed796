//! What a jar's own kernel refuses, so that somebody outside learns of it.
//!
//! An address that nobody has is unreachable, and a connection to it fails without a packet. So
//! every address is made local: the kernel then answers itself, with a reset or an unreachable
//! port, and a packet socket hears that answer. Nothing leaves the jar for it, and no program is
//! looked into.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::libc::{self, sock_filter};
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::LOOPBACK;
use super::netlink::{CREATE, push_attribute, request};
use crate::stopwatch::{Step, best_effort, doing};
use crate::sys;

/// A packet socket that has the kernel's refusals, on a loopback interface that has every address.
pub(super) fn hear() -> Step<OwnedFd> {
    let interface = if_nametoindex(LOOPBACK).map_err(doing("find the loopback interface"))?;
    let socket = open(interface).map_err(doing("open a packet socket"))?;
    let (own, groups) = (Ipv4Addr::LOCALHOST.octets(), Ipv4Addr::new(224, 0, 0, 0).octets());
    add_routes(interface, libc::AF_INET, &own, (&groups, 3))
        .map_err(doing("make every address local"))?;
    // Where there is no IPv6, there is nothing of it to refuse.
    let (own, groups) = (Ipv6Addr::LOCALHOST.octets(), Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0));
    best_effort(add_routes(interface, libc::AF_INET6, &own, (&groups.octets(), 8)));
    Ok(socket)
}

/// It hears nothing before its filter is there: it has no protocol until then.
fn open(interface: u32) -> std::io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Packet, SockType::Datagram, flags, None)?;
    sys::filter_packets(&socket, &filter())?;
    sys::ignore_outgoing(&socket)?;
    sys::bind_to_interface(&socket, interface)?;
    Ok(socket)
}

/// What `ip route add local default dev lo src OWN` asks for (rtnetlink(7)): who connects from
/// nowhere in particular does it from an address of its own. What means several at once (multicast,
/// broadcast), or is reserved, stays nobody's: to that no kernel answers.
fn add_routes(
    interface: u32,
    family: i32,
    own: &[u8],
    (groups, prefix): (&[u8], u8),
) -> nix::Result<()> {
    let family = u8::try_from(family).map_err(|_| Errno::EAFNOSUPPORT)?;
    let mut local = route(family, 0, libc::RT_SCOPE_HOST, libc::RTN_LOCAL);
    push_attribute(&mut local, libc::RTA_OIF, &interface.to_ne_bytes());
    push_attribute(&mut local, libc::RTA_PREFSRC, own);
    request(libc::RTM_NEWROUTE, CREATE, &local)?;
    let mut nobodys = route(family, prefix, libc::RT_SCOPE_UNIVERSE, libc::RTN_THROW);
    push_attribute(&mut nobodys, libc::RTA_DST, groups);
    request(libc::RTM_NEWROUTE, CREATE, &nobodys)
}

/// A `struct rtmsg`.
fn route(family: u8, prefix: u8, scope: u8, kind: u8) -> Vec<u8> {
    let (source_prefix, tos, no_flags) = (0, 0, [0; 4]);
    let (table, boot) = (libc::RT_TABLE_LOCAL, libc::RTPROT_BOOT);
    let mut route = vec![family, prefix, source_prefix, tos, table, boot, scope, kind];
    route.extend(no_flags);
    route
}

/// How much of a packet is kept: what was refused stands in its beginning, behind as many options
/// as there are.
const KEPT_BYTES: u32 = 256;

/// Where in a packet something stands.
#[derive(Clone, Copy)]
enum At {
    Byte(u32),
    Word(u32),
    /// Behind the header of IPv4, however long that is.
    ByteBehind(u32),
    WordBehind(u32),
}

/// What stands there, under a mask.
type Look = (At, u32, u32);

/// A packet at which every look finds what it looks for is kept, or not. The first case decides.
struct Case {
    keeps: bool,
    looks: &'static [Look],
}

const WHOLE: u32 = u32::MAX;
const IS_V4: Look = (At::Byte(0), 0xf0, 0x40);
const IS_V6: Look = (At::Byte(0), 0xf0, 0x60);
/// A reset that answers: of FIN, SYN, RST and ACK it has the last two, and no sequence number, as
/// there was no connection (RFC 9293, section 3.10.7.1).
const RESET: u32 = 0x14;
const RESET_OF: u32 = 0x17;
/// 127.64/16, in which addresses stand for granted names; everything else that is loopback is the
/// jar's own affair.
const FROM_STAND_IN: Look = (At::Word(12), 0xffff_0000, 0x7f40_0000);
const FROM_LOOPBACK: Look = (At::Word(12), 0xff00_0000, 0x7f00_0000);
const IS_TCP: Look = (At::Byte(9), WHOLE, libc::IPPROTO_TCP.cast_unsigned());
const IS_RESET: Look = (At::ByteBehind(13), RESET_OF, RESET);
const IS_FIRST: Look = (At::WordBehind(4), WHOLE, 0);
const IS_V6_TCP: Look = (At::Byte(6), WHOLE, libc::IPPROTO_TCP.cast_unsigned());
const IS_ICMPV6: Look = (At::Byte(6), WHOLE, libc::IPPROTO_ICMPV6.cast_unsigned());
const IS_ICMP: Look = (At::Byte(9), WHOLE, libc::IPPROTO_ICMP.cast_unsigned());
/// "Destination unreachable" (RFC 792).
const IS_UNREACHABLE: Look = (At::ByteBehind(0), WHOLE, 3);

const CASES: &[Case] = &[
    Case { keeps: true, looks: &[IS_V4, FROM_STAND_IN, IS_TCP, IS_RESET, IS_FIRST] },
    Case { keeps: true, looks: &[IS_V4, FROM_STAND_IN, IS_ICMP, IS_UNREACHABLE] },
    Case { keeps: false, looks: &[IS_V4, FROM_LOOPBACK] },
    Case { keeps: true, looks: &[IS_V4, IS_TCP, IS_RESET, IS_FIRST] },
    Case { keeps: true, looks: &[IS_V4, IS_ICMP, IS_UNREACHABLE] },
    Case {
        keeps: false,
        looks: &[
            IS_V6,
            IS_V6_TCP,
            (At::Word(8), WHOLE, 0),
            (At::Word(12), WHOLE, 0),
            (At::Word(16), WHOLE, 0),
            (At::Word(20), WHOLE, 1),
        ],
    },
    // An unreachable port of IPv6 comes from ::1 whoever was meant, and says behind its own header
    // of 8 bytes who was.
    Case {
        keeps: false,
        looks: &[
            IS_V6,
            IS_ICMPV6,
            (At::Word(40 + 8 + 24), WHOLE, 0),
            (At::Word(40 + 8 + 28), WHOLE, 0),
            (At::Word(40 + 8 + 32), WHOLE, 0),
            (At::Word(40 + 8 + 36), WHOLE, 1),
        ],
    },
    Case {
        keeps: true,
        looks: &[
            IS_V6,
            IS_V6_TCP,
            (At::Byte(40 + 13), RESET_OF, RESET),
            (At::Word(40 + 4), WHOLE, 0),
        ],
    },
    Case {
        keeps: true,
        looks: &[
            IS_V6,
            IS_ICMPV6,
            // The same (RFC 4443).
            (At::Byte(40), WHOLE, 1),
        ],
    },
];

/// As classic BPF. A look that finds something else goes on behind its case.
fn filter() -> Vec<sock_filter> {
    let mut program = Vec::new();
    for Case { keeps, looks } in CASES {
        let mut case: Vec<sock_filter> = looks.iter().copied().flat_map(look).collect();
        case.push(verdict(*keeps));
        let length = case.len();
        for (at, statement) in case.iter_mut().enumerate() {
            if statement.code == op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) {
                statement.jf = u8::try_from(length - at - 1).unwrap_or(u8::MAX);
            }
        }
        program.append(&mut case);
    }
    program.push(verdict(false));
    program
}

fn look((at, mask, value): Look) -> [sock_filter; 4] {
    let (size, from, offset) = match at {
        At::Byte(offset) => (libc::BPF_B, libc::BPF_ABS, offset),
        At::Word(offset) => (libc::BPF_W, libc::BPF_ABS, offset),
        At::ByteBehind(offset) => (libc::BPF_B, libc::BPF_IND, offset),
        At::WordBehind(offset) => (libc::BPF_W, libc::BPF_IND, offset),
    };
    [
        // The length of the header, which is counted in words in its first byte.
        statement(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0),
        statement(libc::BPF_LD | size | from, offset),
        statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, mask),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value),
    ]
}

const fn verdict(keeps: bool) -> sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, if keeps { KEPT_BYTES } else { 0 })
}

const fn statement(code: u32, operand: u32) -> sock_filter {
    sock_filter { code: op(code), jt: 0, jf: 0, k: operand }
}

/// Every code is one of 16 bits.
#[expect(clippy::cast_possible_truncation, reason = "codes are below 256")]
const fn op(code: u32) -> u16 {
    code as u16
}
