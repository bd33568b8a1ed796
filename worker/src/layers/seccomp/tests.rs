mod network;

use std::collections::{BTreeMap, BTreeSet};

use belljar_protocol::Syscalls;
use nix::libc::{self, c_long, sock_filter};

use super::conditions::{CONDITIONS, Condition, Exception, TELLING};
use super::network::NETWORK;
use super::table::{DEFAULT, GROUPS, PROFILES, Profile, Verdict};
use super::{DENIED, answer, program, program_with_network, telling_args};

const X86_64: u32 = 0xc000_003e;
const AARCH64: u32 = 0xc000_00b7;
const I386: u32 = 0x4000_0003;
const ARM: u32 = 0x4000_0028;

const NATIVE: u32 = if cfg!(target_arch = "x86_64") { X86_64 } else { AARCH64 };
const PROFILE: [Syscalls; 6] = [
    Syscalls::Standard,
    Syscalls::WithoutMemfd,
    Syscalls::WithoutSockets,
    Syscalls::Exposed,
    Syscalls::Shared,
    Syscalls::SharedWithoutSignals,
];

/// Every profile with what was made of it.
fn filters() -> Vec<(&'static Profile, &'static [sock_filter])> {
    let without = PROFILE.into_iter().map(program);
    let with = PROFILE.into_iter().filter_map(program_with_network);
    let filters: Vec<_> = PROFILES.iter().zip(without.chain(with)).collect();
    assert_eq!(filters.len(), PROFILES.len());
    assert!(filters.iter().all(|(profile, _)| !profile.name.is_empty()));
    filters
}

/// Runs a filter as the kernel does: what it returns, and after how many instructions.
fn run(program: &[sock_filter], arch: u32, call: u32, args: [u64; 6]) -> (u32, usize) {
    let mut data = [call, arch, 0, 0].to_vec();
    for arg in args {
        data.extend([u32::try_from(arg & 0xffff_ffff).unwrap(), u32::try_from(arg >> 32).unwrap()]);
    }
    let (mut at, mut accumulator) = (0, 0);
    for steps in 1.. {
        let sock_filter { code, jt, jf, k } = program[at];
        let branch = |taken: bool| usize::from(if taken { jt } else { jf });
        at += 1;
        match code {
            0x20 => accumulator = data[usize::try_from(k).unwrap() / 4],
            0x54 => accumulator &= k,
            0x05 => at += usize::try_from(k).unwrap(),
            0x15 => at += branch(accumulator == k),
            0x35 => at += branch(accumulator >= k),
            0x06 => return (k, steps),
            other => panic!("instruction {other:#x} is none of this compiler's"),
        }
    }
    unreachable!("a filter ends");
}

fn returned(verdict: Verdict) -> u32 {
    match verdict {
        Verdict::Allow => 0x7fff_0000,
        Verdict::Quiet(errno) => 0x0005_0000 | errno.cast_unsigned(),
        Verdict::Denial(_) | Verdict::Fatal => 0x7fc0_0000,
        Verdict::Kill => 0x8000_0000,
    }
}

/// Asserts what the standard profile does with a call of this machine.
fn check(call: c_long, args: [u64; 6], expected: Verdict) {
    let number = u32::try_from(call).unwrap();
    let (got, _) = run(program(Syscalls::Standard), NATIVE, number, args);
    assert_eq!(got, returned(expected), "call {call} with {args:x?}: {got:#x}, not {expected:?}");
    if let Verdict::Denial(errno) = expected {
        assert_eq!(answer(i32::try_from(call).unwrap()), errno, "the warden's answer to {call}");
    }
}

/// Six arguments, all but one of them hostile garbage.
fn only(argument: u8, value: i32) -> [u64; 6] {
    let mut args = [0xdead_beef_dead_beef; 6];
    args[usize::from(argument)] = u64::from(value.cast_unsigned());
    args
}

fn always() -> BTreeMap<c_long, Verdict> {
    GROUPS
        .iter()
        .flat_map(|(verdict, rows)| rows.iter().map(move |(calls, _)| (*verdict, calls)))
        .flat_map(|(verdict, calls)| calls.iter().map(move |call| (*call, verdict)))
        .collect()
}

fn judged() -> BTreeMap<c_long, Condition> {
    CONDITIONS
        .iter()
        .flat_map(|condition| condition.calls.iter().map(move |call| (*call, *condition)))
        .collect()
}

#[test]
fn no_call_has_two_verdicts() {
    let rows: usize = GROUPS.iter().flat_map(|(_, rows)| *rows).map(|(calls, _)| calls.len()).sum();
    let conditions: usize = CONDITIONS.iter().map(|condition| condition.calls.len()).sum();
    let all: BTreeSet<_> = always().into_keys().chain(judged().into_keys()).collect();
    assert_eq!(all.len(), rows + conditions);
}

#[test]
fn every_verdict_has_a_reason() {
    let groups = GROUPS.iter().flat_map(|(_, rows)| *rows).map(|(_, reason)| *reason);
    let conditions = CONDITIONS.iter().map(|condition| condition.reason);
    assert!(groups.chain(conditions).all(|reason| !reason.is_empty()));
}

#[test]
fn every_row_of_the_table_is_what_the_filter_does() {
    for (call, verdict) in always() {
        check(call, [0; 6], verdict);
        check(call, [u64::MAX; 6], verdict);
    }
}

#[test]
fn every_condition_is_what_the_filter_does() {
    for (call, Condition { argument, mask, cases, otherwise, .. }) in judged() {
        let listed = |value| cases.iter().find(|(values, _)| values.contains(&(value & mask)));
        let single_bits = (0..32).map(|bit| 1_u32.rotate_left(bit).cast_signed());
        let near = cases.iter().flat_map(|(values, _)| *values).flat_map(|value| {
            [*value, value.wrapping_add(1), value.wrapping_sub(1), value ^ 1 << 31]
        });
        for value in single_bits.chain(near) {
            let expected = listed(value).map_or(otherwise, |(_, verdict)| *verdict);
            check(call, only(argument, value), expected);
            let mut wide = only(argument, value);
            wide[usize::from(argument)] |= 1 << 32;
            check(call, wide, expected);
        }
    }
}

#[test]
fn a_call_in_no_table_does_not_exist() {
    let (always, judged) = (always(), judged());
    let known = |call: &c_long| always.contains_key(call) || judged.contains_key(call);
    let unknown: Vec<_> = (0..600).filter(|call| !known(call)).collect();
    assert!(unknown.len() > 200, "the table does not list every number");
    for call in unknown.into_iter().chain([0x3fff_ffff, 0x4000_0000, 0xffff_ffff]) {
        check(call, [0; 6], DEFAULT);
    }
}

#[test]
fn an_x32_call_does_not_exist() {
    for call in 0..600 {
        check(0x4000_0000 | call, [0; 6], Verdict::Quiet(libc::ENOSYS));
    }
}

#[test]
fn a_call_of_another_architecture_kills() {
    let foreign = if NATIVE == X86_64 { AARCH64 } else { X86_64 };
    for (_, filter) in filters() {
        for arch in [I386, ARM, foreign, 0] {
            for call in 0..600 {
                let (got, _) = run(filter, arch, call, [0; 6]);
                assert_eq!(got, returned(Verdict::Kill), "call {call} of {arch:#x}");
            }
        }
    }
}

#[test]
fn no_bit_beyond_the_32nd_hides_an_ioctl() {
    let (tiocsti, tcgets) = (0x5412, 0x5401);
    for high in [0, 1 << 32, u64::MAX << 32] {
        check(libc::SYS_ioctl, [0, tiocsti | high, 0, 0, 0, 0], Verdict::Denial(libc::EPERM));
        check(libc::SYS_ioctl, [0, tcgets | high, 0, 0, 0, 0], Verdict::Allow);
    }
    check(libc::SYS_ioctl, only(1, 0x4004_9409), Verdict::Quiet(libc::EOPNOTSUPP));
}

#[test]
fn clone_makes_processes_and_threads_but_no_namespace() {
    let pthread_create = 0x003d_0f00;
    let (fork, posix_spawn) = (0x0120_0011, 0x4111);
    for flags in [pthread_create, fork, posix_spawn, libc::SIGCHLD] {
        check(libc::SYS_clone, only(0, flags), Verdict::Allow);
        // NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
        for bit in [7, 17, 25, 26, 27, 28, 29, 30] {
            check(libc::SYS_clone, only(0, flags | 1 << bit), Verdict::Denial(libc::EPERM));
        }
    }
    check(libc::SYS_clone3, [0; 6], Verdict::Quiet(libc::ENOSYS));
}

#[test]
fn a_socket_is_a_unix_socket() {
    for family in 0..64 {
        let expected = match family {
            libc::AF_UNIX => Verdict::Allow,
            _ => Verdict::Denial(libc::EAFNOSUPPORT),
        };
        check(libc::SYS_socket, only(0, family), expected);
        check(libc::SYS_socketpair, only(0, family), expected);
    }
}

#[test]
fn no_byte_is_sent_out_of_band() {
    let (oob, nosignal, fastopen) = (1, 0x4000, 0x2000_0000);
    let flags = [
        (libc::SYS_sendto, 3),
        (libc::SYS_recvfrom, 3),
        (libc::SYS_sendmsg, 2),
        (libc::SYS_recvmsg, 2),
    ];
    for (call, argument) in flags {
        check(call, only(argument, 0), Verdict::Allow);
        check(call, only(argument, nosignal), Verdict::Allow);
        check(call, only(argument, oob | nosignal), Verdict::Denial(libc::EPERM));
        check(call, only(argument, fastopen), Verdict::Denial(libc::EPERM));
    }
}

#[test]
fn nobody_elses_ceilings_can_be_set() {
    check(libc::SYS_prlimit64, only(0, 0), Verdict::Allow);
    check(libc::SYS_prlimit64, only(0, 1), Verdict::Denial(libc::EPERM));
    check(libc::SYS_prlimit64, only(0, -1), Verdict::Denial(libc::EPERM));
}

#[test]
fn a_memory_file_is_sealed_against_execution_or_absent() {
    let (cloexec, noexec_seal, exec) = (1, 8, 16);
    check(libc::SYS_memfd_create, only(1, noexec_seal | cloexec), Verdict::Allow);
    check(libc::SYS_memfd_create, only(1, cloexec), Verdict::Denial(libc::ENOSYS));
    check(libc::SYS_memfd_create, only(1, exec), Verdict::Denial(libc::ENOSYS));
    let memfd_create = u32::try_from(libc::SYS_memfd_create).unwrap();
    let without = program(Syscalls::WithoutMemfd);
    let (got, _) = run(without, NATIVE, memfd_create, only(1, noexec_seal));
    assert_eq!(got, returned(Verdict::Denial(libc::ENOSYS)));
}

#[test]
fn profiles_differ_in_what_they_name() {
    for (profile, filter) in filters() {
        let rows = profile.instead.iter().copied().flatten();
        let instead: BTreeMap<c_long, Verdict> = rows
            .flat_map(|(verdict, (calls, _))| calls.iter().map(move |call| (*call, *verdict)))
            .collect();
        for (call, verdict) in &instead {
            let number = u32::try_from(*call).unwrap();
            for args in [[0; 6], [u64::MAX; 6]] {
                let (got, _) = run(filter, NATIVE, number, args);
                assert_eq!(got, returned(*verdict), "call {call} of {}", profile.name);
            }
        }
        let judged = profile.judged.iter().flat_map(|combination| combination.calls).copied();
        let first = profile.first.iter().map(|it| it.call);
        let differing: BTreeSet<_> = instead.into_keys().chain(first).chain(judged).collect();
        for call in (0..600).filter(|call| !differing.contains(call)) {
            let number = u32::try_from(call).unwrap();
            let (got, _) = run(filter, NATIVE, number, [0; 6]);
            let (standard, _) = run(program(Syscalls::Standard), NATIVE, number, [0; 6]);
            assert_eq!(got, standard, "call {call} of {}", profile.name);
        }
    }
}

#[test]
fn every_exception_comes_before_the_table() {
    for (profile, filter) in filters() {
        for Exception { call, argument, mask, values, verdict, reason } in profile.first {
            assert!(!reason.is_empty());
            for value in values.iter().flat_map(|value| [*value, value | !mask]) {
                let number = u32::try_from(*call).unwrap();
                let (got, _) = run(filter, NATIVE, number, only(*argument, value));
                assert_eq!(got, returned(*verdict), "call {call} with {value:#x}");
            }
        }
    }
}

#[test]
fn where_the_host_is_in_sight_a_socket_is_one_of_a_connected_pair() {
    let unix = |kind: i32| [1, u64::from(kind.cast_unsigned()), 0, 0, 0, 0];
    let verdict = |call: c_long, args| {
        let number = u32::try_from(call).unwrap();
        run(program(Syscalls::Exposed), NATIVE, number, args).0
    };
    for kind in 0..16 {
        let expected = match kind {
            // 9 and 13 are no types: socketpair(2) itself refuses them.
            libc::SOCK_STREAM | libc::SOCK_SEQPACKET | 9 | 13 => Verdict::Allow,
            _ => Verdict::Denial(libc::EAFNOSUPPORT),
        };
        for flags in [0, libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK] {
            assert_eq!(verdict(libc::SYS_socketpair, unix(kind | flags)), returned(expected));
        }
        let refused = returned(Verdict::Denial(libc::EAFNOSUPPORT));
        let unheard = returned(Verdict::Quiet(libc::EAFNOSUPPORT));
        assert_eq!(verdict(libc::SYS_socket, unix(kind)), unheard);
        assert_eq!(verdict(libc::SYS_socket, only(0, libc::AF_INET)), refused);
        let tipc = [30, unix(kind)[1], 0, 0, 0, 0];
        assert_eq!(verdict(libc::SYS_socketpair, tipc), refused);
    }
}

#[test]
fn the_warden_knows_every_denied_call() {
    let is_heard = |it: &Verdict| matches!(it, Verdict::Denial(_) | Verdict::Fatal);
    let denials = always().into_values().filter(is_heard);
    let conditional =
        judged().into_values().filter(|it| matches!(it.otherwise, Verdict::Denial(_)));
    // And what only a network makes possible at all: to send and receive many messages at once.
    let (always, judged) = (always(), judged());
    let beyond = NETWORK.iter().filter(|it| matches!(it.otherwise, Verdict::Denial(_)));
    let beyond = beyond.flat_map(|combination| combination.calls);
    let beyond = beyond.filter(|call| !always.contains_key(call) && !judged.contains_key(call));
    assert_eq!(DENIED.len(), denials.count() + conditional.count() + beyond.count());
    assert!(DENIED.is_sorted_by_key(|denied| denied.call));
    let told = |call: c_long| telling_args(i32::try_from(call).unwrap());
    for (calls, arguments) in TELLING {
        for (call, argument) in calls.iter().zip(arguments.iter().cycle()) {
            assert!(told(*call) & 1 << argument != 0, "argument {argument} of {call} is compared");
        }
    }
    assert_eq!(told(libc::SYS_ioctl), 0b10);
    assert_eq!(told(libc::SYS_chroot), 0);
    let is_fatal = |call: c_long| super::is_fatal(i32::try_from(call).unwrap());
    assert!(is_fatal(libc::SYS_kexec_load) && !is_fatal(libc::SYS_chroot) && !is_fatal(0));
    assert_eq!((told(libc::SYS_read), answer(-1)), (0, libc::ENOSYS));
}

#[test]
fn a_verdict_is_a_short_search_away() {
    for (profile, filter) in filters() {
        assert!(filter.len() < 4096, "the kernel takes no more");
        let judged: Vec<_> = profile.judged.iter().flat_map(|it| it.calls).collect();
        for (call, _) in always().into_iter().filter(|(call, _)| !judged.contains(&call)) {
            let number = u32::try_from(call).unwrap();
            let (_, steps) = run(filter, NATIVE, number, [0; 6]);
            assert!(steps < 20, "call {call} takes {steps} instructions");
        }
    }
}
