//! What a network adds: sockets of the internet, and what of them can be set. Data only, as in
//! `table`.
//!
//! An option is a level and a number, and means nothing without the one or the other:
//! `IPV6_V6ONLY` is 26, and so is `SO_ATTACH_FILTER`.

use nix::libc::*;

use super::conditions::{MESSAGES_REASON, WHOLE};
use super::table::Verdict::{self, Allow, Denial, Quiet};

/// What an argument may be, under a mask.
#[derive(Clone, Copy)]
pub(crate) struct Test {
    pub(crate) argument: u8,
    pub(crate) mask: i32,
    pub(crate) values: &'static [i32],
}

/// The verdict of the first case whose every test holds, or `otherwise`.
#[derive(Clone, Copy)]
pub(crate) struct Combination {
    pub(crate) calls: &'static [c_long],
    pub(crate) cases: &'static [(&'static [Test], Verdict)],
    pub(crate) otherwise: Verdict,
    pub(crate) reason: &'static str,
}

/// Where a cgroup counts what sockets hold.
pub(crate) const NETWORK: &[Combination] = &[SOCKETS, SET_OPTIONS, GET_OPTIONS, MANY_MESSAGES];

/// Where none does: buffers stay as large as they are at first.
pub(crate) const UNCOUNTED_NETWORK: &[Combination] =
    &[SOCKETS, SET_OPTIONS_BUT_BUFFERS, GET_OPTIONS, MANY_MESSAGES];

const SOCKETS: Combination = Combination {
    calls: &[SYS_socket],
    cases: &[
        (&[is(0, &[AF_UNIX])], Allow),
        (
            &[
                is(0, &[AF_INET, AF_INET6]),
                Test {
                    argument: 1,
                    mask: !(SOCK_NONBLOCK | SOCK_CLOEXEC),
                    values: &[SOCK_STREAM, SOCK_DGRAM],
                },
                is(2, &[0, IPPROTO_TCP, IPPROTO_UDP]),
            ],
            Allow,
        ),
        // getaddrinfo(3) and libuv ask which addresses there are, and do without an answer.
        (&[is(0, &[AF_NETLINK])], Quiet(EAFNOSUPPORT)),
        // Go asks for it first, and takes TCP where there is none.
        (&[is(0, &[AF_INET, AF_INET6]), is(2, &[IPPROTO_MPTCP])], Quiet(EPROTONOSUPPORT)),
    ],
    otherwise: Denial(EAFNOSUPPORT),
    reason: "TCP and UDP are all that a gate relays; every other family, raw sockets and protocols \
             like SCTP are ways into the kernel",
};

const SET_OPTIONS: Combination = Combination {
    calls: &[SYS_setsockopt],
    cases: &[OF_SOCKETS, OF_TCP, OF_IPV4, OF_IPV6, MULTICAST_OF_IPV4, MULTICAST_OF_IPV6],
    otherwise: Denial(EPERM),
    reason: "what ordinary clients and servers set; no filter, no repair of connections, no \
             protocol above TCP, no other congestion control, device, mark or group",
};

const SET_OPTIONS_BUT_BUFFERS: Combination = Combination {
    calls: &[SYS_setsockopt],
    cases: &[
        (&[is(1, &[SOL_SOCKET]), is(2, &[SO_SNDBUF, SO_RCVBUF])], Quiet(ENOPROTOOPT)),
        OF_SOCKETS,
        OF_TCP,
        OF_IPV4,
        OF_IPV6,
        MULTICAST_OF_IPV4,
        MULTICAST_OF_IPV6,
    ],
    otherwise: Denial(EPERM),
    reason: "the same, without larger buffers than are reckoned with",
};

const GET_OPTIONS: Combination = Combination {
    calls: &[SYS_getsockopt],
    cases: &[
        (&[is(1, &[SOL_SOCKET])], Allow),
        OF_TCP,
        OF_IPV4,
        OF_IPV6,
        (&[is(1, &[IPPROTO_TCP]), is(2, &[TCP_MAXSEG, TCP_INFO])], Allow),
    ],
    otherwise: Quiet(ENOPROTOOPT),
    reason: "what can be set, and the state of a connection; TCP_ZEROCOPY_RECEIVE maps pages, and \
             tables of packet filters are read by number",
};

const MANY_MESSAGES: Combination = Combination {
    calls: &[SYS_sendmmsg, SYS_recvmmsg],
    cases: &[(&[Test { argument: 3, mask: MSG_OOB | MSG_FASTOPEN, values: &[0] }], Allow)],
    otherwise: Denial(EPERM),
    reason: MESSAGES_REASON,
};

type Case = (&'static [Test], Verdict);

const fn is(argument: u8, values: &'static [i32]) -> Test {
    Test { argument, mask: WHOLE, values }
}

const OF_SOCKETS: Case = (
    &[
        is(1, &[SOL_SOCKET]),
        is(
            2,
            &[
                SO_REUSEADDR, // every server
                SO_KEEPALIVE, // clients of data bases
                SO_REUSEPORT, // servers with several processes
                SO_BROADCAST, // Go and asyncio set it on what sends datagrams
                SO_SNDBUF,    // bounded by the host's net.core.wmem_max
                SO_RCVBUF,    // bounded by the host's net.core.rmem_max
                SO_RCVLOWAT,  // how much a reader waits for
                SO_LINGER,    // how close(2) waits
                SO_PASSCRED,  // asks who sends
                SO_RCVTIMEO,  // socket.settimeout of some languages
                SO_SNDTIMEO,  // the same
            ],
        ),
    ],
    Allow,
);

const OF_TCP: Case = (
    &[
        is(1, &[IPPROTO_TCP]),
        is(
            2,
            &[
                TCP_NODELAY,       // everybody
                TCP_CORK,          // nginx and sendfile
                TCP_KEEPIDLE,      // libpq, curl, libuv
                TCP_KEEPINTVL,     // the same
                TCP_KEEPCNT,       // the same
                TCP_USER_TIMEOUT,  // libpq, gRPC
                TCP_QUICKACK,      // Java, proxies
                TCP_DEFER_ACCEPT,  // servers of HTTP
                TCP_NOTSENT_LOWAT, // HTTP/2
            ],
        ),
    ],
    Allow,
);

const OF_IPV4: Case = (
    &[
        is(1, &[IPPROTO_IP]),
        is(
            2,
            &[
                IP_TOS,                  // ssh, curl
                IP_TTL,                  // Node's dgram
                IP_PKTINFO,              // servers of datagrams with several addresses
                IP_MTU_DISCOVER,         // resolvers, QUIC
                IP_RECVERR,              // glibc's resolver
                IP_BIND_ADDRESS_NO_PORT, // curl
            ],
        ),
    ],
    Allow,
);

const OF_IPV6: Case = (
    &[
        is(1, &[IPPROTO_IPV6]),
        is(
            2,
            &[
                IPV6_V6ONLY,       // every server
                IPV6_TCLASS,       // as IP_TOS
                IPV6_UNICAST_HOPS, // as IP_TTL
                IPV6_RECVPKTINFO,  // as IP_PKTINFO
                IPV6_MTU_DISCOVER, // as IP_MTU_DISCOVER
                IPV6_RECVERR,      // as IP_RECVERR
            ],
        ),
    ],
    Allow,
);

/// `IP_MULTICAST_ALL`, which Java turns off on every socket; it takes this errno for an old kernel.
const MULTICAST_OF_IPV4: Case = (&[is(1, &[IPPROTO_IP]), is(2, &[49])], Quiet(ENOPROTOOPT));
const MULTICAST_OF_IPV6: Case = (&[is(1, &[IPPROTO_IPV6]), is(2, &[29])], Quiet(ENOPROTOOPT));
