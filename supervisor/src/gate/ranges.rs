//! Which addresses of the world a run may reach, whatever name led to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::{Egress, Error};

/// Whether an operator of this build can open loopback addresses: only where tests listen there.
#[doc(hidden)]
pub const LOOPBACK_CAN_BE_OPENED: bool = cfg!(any(test, feature = "loopback-upstreams"));

/// Why an address is not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blocked {
    pub(crate) why: &'static str,
    /// Whether an operator can open it by naming its range.
    pub(crate) openable: bool,
}

/// One range that is not reached.
struct Row {
    range: IpNet,
    why: &'static str,
    class: Class,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Nobody opens it.
    Closed,
    /// Only a build for tests can.
    Loopback,
    /// An operator can, by naming it or a part of it.
    Private,
}

use Class::{Closed, Loopback, Private};

/// The first row that contains an address decides, so that single addresses stand above the ranges
/// that they are in.
const BLOCKED: &[Row] = &[
    v4([100, 100, 100, 200], 32, Closed, "metadata of a cloud (Alibaba)"),
    v4([168, 63, 129, 16], 32, Closed, "platform address of a cloud (Azure)"),
    v4([192, 0, 0, 192], 32, Closed, "metadata of a cloud (Oracle)"),
    v4([0, 0, 0, 0], 8, Closed, "this network (RFC 791); 0.0.0.0 reaches the host itself"),
    v4([127, 0, 0, 0], 8, Loopback, "loopback (RFC 1122)"),
    v4([169, 254, 0, 0], 16, Closed, "link-local (RFC 3927), where clouds keep metadata"),
    v4([10, 0, 0, 0], 8, Private, "private (RFC 1918)"),
    v4([172, 16, 0, 0], 12, Private, "private (RFC 1918)"),
    v4([192, 168, 0, 0], 16, Private, "private (RFC 1918)"),
    v4([100, 64, 0, 0], 10, Private, "shared by a provider's customers (RFC 6598)"),
    v4([198, 18, 0, 0], 15, Private, "between devices under test (RFC 2544)"),
    v4([192, 0, 0, 0], 24, Closed, "assigned to protocols (RFC 6890)"),
    v4([192, 0, 2, 0], 24, Closed, "documentation (RFC 5737)"),
    v4([192, 88, 99, 0], 24, Closed, "relays of 6to4 (RFC 7526)"),
    v4([198, 51, 100, 0], 24, Closed, "documentation (RFC 5737)"),
    v4([203, 0, 113, 0], 24, Closed, "documentation (RFC 5737)"),
    v4([224, 0, 0, 0], 4, Closed, "multicast (RFC 5771)"),
    v4([240, 0, 0, 0], 4, Closed, "reserved, and broadcast (RFC 1112, RFC 919)"),
    v6(0xfd00_0ec2 << 96 | 0x0254, 128, Closed, "metadata of a cloud (AWS)"),
    v6(0xfd20_00ce << 96 | 0x0254, 128, Closed, "metadata of a cloud (Google)"),
    v6(0xfd00_00c1 << 96 | 0xa9fe_a9fe, 128, Closed, "metadata of a cloud (Oracle)"),
    v6(0, 128, Closed, "unspecified (RFC 4291); it reaches the host itself"),
    v6(1, 128, Loopback, "loopback (RFC 4291)"),
    v6(0, 96, Closed, "an IPv4 address in a form that is no more (RFC 4291)"),
    v6(0xffff << 48, 96, Closed, "an IPv4 address, translated (RFC 2765)"),
    v6(0x0064_ff9b << 96, 96, Closed, "an IPv4 address behind NAT64 (RFC 6052)"),
    v6(0x0064_ff9b_0001 << 80, 48, Closed, "an IPv4 address behind NAT64 (RFC 8215)"),
    v6(0x0100 << 112, 64, Closed, "discarded (RFC 6666)"),
    v6(0x2001 << 112, 32, Closed, "an IPv4 address behind Teredo (RFC 4380)"),
    v6(0x2001 << 112, 23, Closed, "assigned to protocols (RFC 2928)"),
    v6(0x2001_0db8 << 96, 32, Closed, "documentation (RFC 3849)"),
    v6(0x2002 << 112, 16, Closed, "an IPv4 address behind 6to4 (RFC 3056)"),
    v6(0x3fff << 112, 20, Closed, "documentation (RFC 9637)"),
    v6(0xfc00 << 112, 7, Private, "unique local (RFC 4193)"),
    v6(0xfec0 << 112, 10, Private, "site-local (RFC 3879)"),
    v6(0xfe80 << 112, 10, Closed, "link-local (RFC 4291)"),
    v6(0xff00 << 112, 8, Closed, "multicast (RFC 4291)"),
];

/// Whatever is not global unicast today has no business here, whatever it may become.
const GLOBAL_UNICAST: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::from_bits(0x2000 << 112), 3);
const NOT_GLOBAL: Blocked = Blocked { why: "not global unicast (RFC 4291)", openable: false };

/// The address to connect to, where that may be done.
///
/// # Errors
/// Why not. An IPv4 address within one of IPv6 is judged as what it is, and no operator opens it in
/// that form: who means a private address names it plainly.
pub(crate) fn judge(address: IpAddr, open: &[IpNet]) -> Result<IpAddr, Blocked> {
    if let IpAddr::V6(v6) = address
        && let Some(inner) = v6.to_ipv4_mapped()
    {
        return judge(IpAddr::V4(inner), &[]);
    }
    match BLOCKED.iter().find(|row| row.range.contains(&address)) {
        Some(row) if row.is_openable() && open.iter().any(|range| range.contains(&address)) => {
            Ok(address)
        }
        Some(row) => Err(row.blocked()),
        None if is_global(address) => Ok(address),
        None => Err(NOT_GLOBAL),
    }
}

/// Whether anything in `range` may be reached.
///
/// # Errors
/// Why not.
pub(crate) fn judge_range(range: Ipv4Net, open: &[IpNet]) -> Result<(), Blocked> {
    let range = IpNet::V4(range);
    let overlaps = |open: &IpNet| open.contains(&range) || range.contains(open);
    match BLOCKED.iter().find(|row| row.range.contains(&range)) {
        Some(row) if row.is_openable() && open.iter().any(overlaps) => Ok(()),
        Some(row) => Err(row.blocked()),
        None => Ok(()),
    }
}

impl Egress {
    /// Whether its open ranges are ones that can be opened.
    ///
    /// ```
    /// use belljar::Egress;
    /// let open = |range: &str| Egress { open_ranges: vec![range.parse().unwrap()], ..Egress::default() };
    /// assert!(open("10.1.0.0/16").check().is_ok());
    /// assert!(open("169.254.169.254/32").check().is_err());
    /// # assert!(belljar::LOOPBACK_CAN_BE_OPENED || open("127.0.0.0/8").check().is_err());
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the first that cannot: one that is not within a private range, or
    /// within one that nobody opens.
    pub fn check(&self) -> Result<(), Error> {
        for range in &self.open_ranges {
            let row = BLOCKED.iter().find(|row| row.range.contains(range));
            match row {
                Some(row) if row.is_openable() => {}
                Some(row) => {
                    let why = row.why;
                    return Err(Error::Invalid(format!("{range} cannot be opened: {why}")));
                }
                None => {
                    let openable = openable().collect::<Vec<_>>().join(", ");
                    return Err(Error::Invalid(format!(
                        "{range} cannot be opened: it lies in none of {openable}"
                    )));
                }
            }
        }
        Ok(())
    }
}

impl Row {
    fn is_openable(&self) -> bool {
        self.class == Private || (self.class == Loopback && LOOPBACK_CAN_BE_OPENED)
    }

    fn blocked(&self) -> Blocked {
        Blocked { why: self.why, openable: self.is_openable() }
    }
}

fn openable() -> impl Iterator<Item = String> {
    BLOCKED.iter().filter(|row| row.is_openable()).map(|row| row.range.to_string())
}

fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(v6) => GLOBAL_UNICAST.contains(&v6),
    }
}

const fn v4(address: [u8; 4], prefix: u8, class: Class, why: &'static str) -> Row {
    let [a, b, c, d] = address;
    Row { range: IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix), why, class }
}

const fn v6(bits: u128, prefix: u8, class: Class, why: &'static str) -> Row {
    Row { range: IpNet::new_assert(IpAddr::V6(Ipv6Addr::from_bits(bits)), prefix), why, class }
}

#[cfg(test)]
mod tests;
