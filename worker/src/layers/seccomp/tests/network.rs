use std::collections::BTreeSet;

use belljar_protocol::Syscalls;
use nix::libc::{self, c_long};

use super::super::network::{Combination, NETWORK, Test, UNCOUNTED_NETWORK};
use super::super::table::Verdict;
use super::super::{answer, program_with_network, telling_args};
use super::{NATIVE, returned, run};

const UNFILTERED: i32 = 0xdead_beef_u32.cast_signed();

fn verdict(syscalls: Syscalls, call: c_long, args: [i32; 6]) -> u32 {
    let number = u32::try_from(call).unwrap();
    // The upper half is garbage: the kernel reads an int.
    let args = args.map(|arg| u64::from(arg.cast_unsigned()) | 0xabcd_0000_0000_0000);
    run(program_with_network(syscalls).unwrap(), NATIVE, number, args).0
}

fn check(call: c_long, args: [i32; 6], expected: Verdict) {
    let got = verdict(Syscalls::Standard, call, args);
    assert_eq!(got, returned(expected), "call {call} with {args:?}: {got:#x}, not {expected:?}");
    if let Verdict::Denial(errno) = expected {
        assert_eq!(answer(i32::try_from(call).unwrap()), errno, "the warden's answer to {call}");
    }
}

fn socket(family: i32, kind: i32, protocol: i32) -> [i32; 6] {
    [family, kind, protocol, UNFILTERED, UNFILTERED, UNFILTERED]
}

fn option(level: i32, number: i32) -> [i32; 6] {
    [UNFILTERED, level, number, UNFILTERED, UNFILTERED, UNFILTERED]
}

#[test]
fn every_combination_is_what_the_filter_does() {
    for (syscalls, combinations) in
        [(Syscalls::Standard, NETWORK), (Syscalls::WithoutMemfd, UNCOUNTED_NETWORK)]
    {
        for Combination { calls, cases, otherwise, reason } in combinations {
            assert!(!reason.is_empty());
            let tests = || cases.iter().flat_map(|(tests, _)| *tests);
            let mut samples = vec![[UNFILTERED; 6]];
            for argument in tests().map(|test| test.argument).collect::<BTreeSet<_>>() {
                let values = tests().filter(|test| test.argument == argument);
                let values = values.flat_map(|test| test.values);
                let near: BTreeSet<i32> =
                    values.flat_map(|it| [*it, it ^ 1, it ^ 1 << 31, it | 0x800]).collect();
                samples = samples
                    .iter()
                    .flat_map(|sample| near.iter().map(move |value| (sample, value)))
                    .map(|(sample, value)| {
                        let mut sample: [i32; 6] = *sample;
                        sample[usize::from(argument)] = *value;
                        sample
                    })
                    .collect();
            }
            for sample in samples {
                let holds = |test: &Test| {
                    test.values.contains(&(sample[usize::from(test.argument)] & test.mask))
                };
                let found = cases.iter().find(|(tests, _)| tests.iter().all(holds));
                let expected = found.map_or(*otherwise, |(_, verdict)| *verdict);
                for call in *calls {
                    let got = verdict(syscalls, *call, sample);
                    assert_eq!(got, returned(expected), "call {call} with {sample:?}");
                }
            }
        }
    }
}

#[test]
fn a_socket_is_of_the_jar_or_of_tcp_or_of_udp() {
    let refused = Verdict::Denial(libc::EAFNOSUPPORT);
    for family in 0..64 {
        for kind in 0..16 {
            for protocol in [0, 1, 2, 6, 17, 33, 58, 132, 136, 255, 256, 261, 262, -1] {
                let expected = match (family, kind, protocol) {
                    (libc::AF_UNIX, ..) | (libc::AF_INET | libc::AF_INET6, 1 | 2, 0 | 6 | 17) => {
                        Verdict::Allow
                    }
                    (libc::AF_INET | libc::AF_INET6, _, 262) => {
                        Verdict::Quiet(libc::EPROTONOSUPPORT)
                    }
                    (libc::AF_NETLINK, ..) => Verdict::Quiet(libc::EAFNOSUPPORT),
                    _ => refused,
                };
                for flags in [0, libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK] {
                    check(libc::SYS_socket, socket(family, kind | flags, protocol), expected);
                }
            }
        }
    }
    // A type with a bit that nobody knows is none.
    check(libc::SYS_socket, socket(libc::AF_INET, 1 | 1 << 20, 0), refused);
    check(libc::SYS_socketpair, socket(libc::AF_INET, 1, 0), refused);
}

#[test]
fn an_option_is_a_level_and_a_number() {
    let (socket, tcp, ip, ipv6) = (1, 6, 0, 41);
    let udp = 17;
    let denied = Verdict::Denial(libc::EPERM);
    // IPV6_V6ONLY and SO_ATTACH_FILTER, SO_REUSEADDR and IP_TTL and TCP_MAXSEG.
    check(libc::SYS_setsockopt, option(ipv6, 26), Verdict::Allow);
    for (level, number) in [
        (socket, 26), // SO_ATTACH_FILTER
        (socket, 27), // SO_DETACH_FILTER
        (socket, 50), // SO_ATTACH_BPF
        (socket, 51), // SO_ATTACH_REUSEPORT_CBPF
        (socket, 52), // SO_ATTACH_REUSEPORT_EBPF
        (socket, 44), // SO_LOCK_FILTER
        (socket, 48), // SO_BPF_EXTENSIONS
        (socket, 25), // SO_BINDTODEVICE
        (socket, 36), // SO_MARK
        (socket, 46), // SO_BUSY_POLL
        (socket, 60), // SO_ZEROCOPY
        (socket, 32), // SO_SNDBUFFORCE
        (socket, 33), // SO_RCVBUFFORCE
        (tcp, 13),    // TCP_CONGESTION
        (tcp, 19),    // TCP_REPAIR
        (tcp, 31),    // TCP_ULP
        (tcp, 23),    // TCP_FASTOPEN
        (tcp, 30),    // TCP_FASTOPEN_CONNECT
        (tcp, 14),    // TCP_MD5SIG
        (tcp, 26),
        (ip, 19), // IP_TRANSPARENT
        (ip, 15), // IP_FREEBIND
        (ip, 4),  // IP_OPTIONS
        (ip, 35), // IP_ADD_MEMBERSHIP
        (ip, 32), // IP_MULTICAST_IF
        (ip, 42), // MCAST_JOIN_GROUP
        (ip, 64), // IPT_SO_SET_REPLACE
        (ip, 26),
        (ipv6, 20), // IPV6_JOIN_GROUP
        (ipv6, 75), // IPV6_TRANSPARENT
        (ipv6, 42), // MCAST_JOIN_GROUP
        (ipv6, 64), // IP6T_SO_SET_REPLACE
        (udp, 103), // UDP_SEGMENT
        (udp, 100), // UDP_ENCAP
        (255, 26),  // SOL_RAW
        (263, 14),  // SOL_PACKET
        (284, 1),   // SOL_MPTCP
        (-1, 26),
    ] {
        check(libc::SYS_setsockopt, option(level, number), denied);
    }
    for number in -1..256 {
        let expected = if matches!(number, 1 | 3 | 4 | 5 | 6 | 9 | 12 | 18 | 25) {
            Verdict::Allow
        } else {
            denied
        };
        check(libc::SYS_setsockopt, option(tcp, number), expected);
    }
}

#[test]
fn what_is_asked_of_a_socket_says_nothing_of_the_kernel() {
    let old = Verdict::Quiet(libc::ENOPROTOOPT);
    for (level, number, expected) in [
        (1, libc::SO_ERROR, Verdict::Allow),
        (1, libc::SO_PEERCRED, Verdict::Allow),
        (6, libc::TCP_INFO, Verdict::Allow),
        (6, 35, old),  // TCP_ZEROCOPY_RECEIVE
        (0, 64, old),  // IPT_SO_GET_INFO
        (41, 64, old), // IP6T_SO_GET_INFO
        (284, 1, old), // MPTCP_INFO
    ] {
        check(libc::SYS_getsockopt, option(level, number), expected);
    }
}

#[test]
fn many_messages_are_sent_like_one() {
    for call in [libc::SYS_sendmmsg, libc::SYS_recvmmsg] {
        let with = |flags| [UNFILTERED, UNFILTERED, UNFILTERED, flags, UNFILTERED, UNFILTERED];
        check(call, with(libc::MSG_NOSIGNAL), Verdict::Allow);
        check(call, with(libc::MSG_OOB), Verdict::Denial(libc::EPERM));
        check(call, with(libc::MSG_FASTOPEN | libc::MSG_NOSIGNAL), Verdict::Denial(libc::EPERM));
    }
    for call in [libc::SYS_sendto, libc::SYS_sendmsg] {
        check(call, [libc::MSG_FASTOPEN; 6], Verdict::Denial(libc::EPERM));
    }
}

#[test]
fn where_directories_of_the_host_are_shown_only_its_own_sockets_are_left_out() {
    for syscalls in [Syscalls::WithoutSockets, Syscalls::Exposed] {
        let socket = |family| verdict(syscalls, libc::SYS_socket, socket(family, 1, 0));
        assert_eq!(socket(libc::AF_UNIX), returned(Verdict::Quiet(libc::EAFNOSUPPORT)));
        assert_eq!(socket(libc::AF_INET), returned(Verdict::Allow));
    }
}

#[test]
fn where_nobody_counts_buffers_they_stay_as_they_are() {
    for (syscalls, buffers) in [
        (Syscalls::Standard, Verdict::Allow),
        (Syscalls::WithoutMemfd, Verdict::Quiet(libc::ENOPROTOOPT)),
        (Syscalls::WithoutSockets, Verdict::Allow),
        (Syscalls::Exposed, Verdict::Quiet(libc::ENOPROTOOPT)),
    ] {
        let set = |level, number| verdict(syscalls, libc::SYS_setsockopt, option(level, number));
        assert_eq!(set(1, libc::SO_SNDBUF), returned(buffers));
        assert_eq!(set(1, libc::SO_RCVBUF), returned(buffers));
        assert_eq!(set(1, libc::SO_REUSEADDR), returned(Verdict::Allow));
        assert_eq!(set(0, libc::IP_PKTINFO), returned(Verdict::Allow));
    }
}

#[test]
fn there_is_no_network_where_there_are_no_namespaces() {
    for syscalls in [Syscalls::Shared, Syscalls::SharedWithoutSignals] {
        assert!(program_with_network(syscalls).is_none());
    }
}

#[test]
fn the_warden_tells_one_option_from_another() {
    let told = |call: c_long| telling_args(i32::try_from(call).unwrap());
    assert_eq!(told(libc::SYS_setsockopt), 0b110);
    assert_eq!(told(libc::SYS_socket), 0b111);
    assert_eq!(told(libc::SYS_sendmmsg), 0b1000);
}
