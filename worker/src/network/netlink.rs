//! What is asked of the kernel about a network in messages (netlink(7), rtnetlink(7)).

use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

/// It is not there yet.
pub(super) const CREATE: i32 = libc::NLM_F_CREATE | libc::NLM_F_EXCL;

/// How many bytes of TCP over IPv4 pass through an interface in one piece, where the kernel knows
/// such a setting (6.3); another one takes no notice.
pub(super) fn set_piece_bytes(interface: &str, bytes: u32) -> nix::Result<()> {
    const IFLA_GSO_IPV4_MAX_SIZE: u16 = 63;
    // A `struct ifinfomsg`: family, padding and kind, the interface, and no flags to change.
    let mut link = vec![0; 4];
    link.extend(if_nametoindex(interface)?.to_ne_bytes());
    link.extend([0; 8]);
    push_attribute(&mut link, IFLA_GSO_IPV4_MAX_SIZE, &bytes.to_ne_bytes());
    request(libc::RTM_SETLINK, 0, &link)
}

pub(super) fn push_attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(size_of::<u16>() * 2 + value.len()).unwrap_or(u16::MAX);
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
}

/// Sends one request to the kernel, and takes its verdict.
pub(super) fn request(kind: u16, flags: i32, body: &[u8]) -> nix::Result<()> {
    const HEADER_BYTES: usize = 16;
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags;
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
