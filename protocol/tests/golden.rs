//! The bytes of the wire, spelled out.
//!
//! A supervisor and a worker of different builds meet whenever a host is upgraded while runs are
//! on their way. When a change turns one of these red, the wire has changed: raise
//! `wire::VERSION`, and only then write the new bytes here and in `fuzz/corpus`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what helps a test fails as a test does")]

use belljar_protocol::{
    Authority, Ceilings, Confinement, Delivery, Denial, Ending, Entry, Job, Layer, Link, Mount,
    Network, Note, Order, Refusal, Report, Scratch, SecretMap, Spent, Syscalls, Tally, Timing,
    wire,
};

/// A name, a value, and its bytes in hexadecimal.
type Golden<T> = (&'static str, fn() -> T, &'static str);

const ORDERS: [Golden<Order>; 6] = [
    (
        "job",
        || Order::Job(Box::new(job())),
        "424a01000000fc00b33f71fa01042f757372042f75737201042f6c6962077573722f6c6962010d2f\
         776f726b2f6d61696e2e7079fba401fbfb00fc00000004fb004000102f7573722f62696e2f707974\
         686f6e330207707974686f6e3302c3a901044c414e4707432e5554462d3802074150495f4b455902\
         00ff014200003dfb000142fc00000004fdffffffffffffffff0000fb60ea",
    ),
    (
        "job-lent",
        || small_job(Authority::Lent, Delivery::Files),
        "424a010000010102000000030401022f6100000001050607080901000a",
    ),
    (
        "job-own",
        || small_job(Authority::Own, Delivery::Descriptor),
        "424a010000020102000000030401022f6100000000050607080901000a",
    ),
    ("proceed", || Order::Proceed, "424a010001"),
    ("end", || Order::End, "424a010002"),
    ("found-lot", || Order::FoundLot, "424a010003"),
];

const REPORTS: [Golden<Report>; 7] = [
    (
        "confined",
        || Report::Confined(confinement()),
        "424a0100000700f901fa02fbfb0003fbfc0004fbfd0005fbfe0006fbff000300010207",
    ),
    (
        "refused",
        || Report::Refused(refusal()),
        "424a010001050f726573747269637420697473656c661846756e6374696f6e206e6f7420696d706c\
         656d656e7465644c",
    ),
    (
        "ended-exited",
        || Report::Ended(Ending::Exited(-1), spent()),
        "424a0100020001fc60e31600fc00708c00",
    ),
    (
        "ended-signalled",
        || Report::Ended(Ending::Signalled(9), Spent::default()),
        "424a01000201120000",
    ),
    ("denied", || Report::Denied(denial()), "424a01000352020100fdfffffffffffffffffafbfb00c2"),
    (
        "tally",
        || Report::Tally(Tally { counts: vec![1, 250, 251, 65_536], unrecorded: 7 }),
        "424a0100040401fafbfb00fc0000010007",
    ),
    ("lot-founded", || Report::LotFounded, "424a010005"),
];

#[test]
fn every_order_has_these_bytes_and_these_bytes_are_that_order() {
    for (name, order, golden) in ORDERS {
        let bytes = wire::encode_order(&order()).unwrap();
        assert_eq!(hex(&bytes), golden, "{name}: raise wire::VERSION");
        assert_eq!(wire::decode_order(&unhex(golden)), Ok(order()), "{name}");
        assert_eq!(corpus("decode_order", name), golden, "{name}: the seed of the fuzzer");
    }
}

#[test]
fn every_report_has_these_bytes_and_these_bytes_are_that_report() {
    for (name, report, golden) in REPORTS {
        let bytes = wire::encode_report(&report()).unwrap();
        assert_eq!(hex(&bytes), golden, "{name}: raise wire::VERSION");
        assert_eq!(wire::decode_report(&unhex(golden)), Ok(report()), "{name}");
        assert_eq!(corpus("decode_report", name), golden, "{name}: the seed of the fuzzer");
    }
}

#[test]
fn the_bytes_above_are_those_of_this_version() {
    assert_eq!(wire::VERSION, 1, "write the bytes of the new version above");
    assert_eq!(wire::MAX_BYTES, 256 * 1024, "both ends have to agree on this as well");
}

fn job() -> Job {
    let mut secrets = SecretMap::new();
    secrets.insert("API_KEY", vec![0x00, 0xff]).unwrap();
    secrets.insert("B", Vec::new()).unwrap();
    Job {
        authority: Authority::Host,
        uid: 1_900_000_000,
        gid: 250,
        mounts: vec![Mount { source: "/usr".into(), target: "/usr".into() }],
        links: vec![Link { path: "/lib".into(), target: "usr/lib".into() }],
        files: vec![Entry { path: "/work/main.py".into(), mode: 0o644, bytes: 251 }],
        scratch: Scratch { bytes: 64 << 20, inodes: 16_384, exec: false },
        program: "/usr/bin/python3".into(),
        argv: vec!["python3".into(), "é".into()],
        env: vec![("LANG".into(), "C.UTF-8".into())],
        secrets,
        delivery: Delivery::Descriptor,
        ceilings: Ceilings {
            cpu_seconds: 61,
            descriptors: 256,
            processes: 66,
            file_bytes: 64 << 20,
            data_bytes: u64::MAX,
        },
        syscalls: Syscalls::Standard,
        network: Network::None,
        deadline_ms: 60_000,
    }
}

fn small_job(authority: Authority, delivery: Delivery) -> Order {
    Order::Job(Box::new(Job {
        authority,
        uid: 1,
        gid: 2,
        mounts: Vec::new(),
        links: Vec::new(),
        files: Vec::new(),
        scratch: Scratch { bytes: 3, inodes: 4, exec: true },
        program: "/a".into(),
        argv: Vec::new(),
        env: Vec::new(),
        secrets: SecretMap::new(),
        delivery,
        ceilings: Ceilings {
            cpu_seconds: 5,
            descriptors: 6,
            processes: 7,
            file_bytes: 8,
            data_bytes: 9,
        },
        syscalls: Syscalls::WithoutMemfd,
        network: Network::None,
        deadline_ms: 10,
    }))
}

fn confinement() -> Confinement {
    let timings =
        Layer::ALL.iter().zip(249..).map(|(layer, micros)| Timing { layer: *layer, micros });
    Confinement {
        timings: timings.collect(),
        notes: vec![
            Note::SupplementaryGroupsKept,
            Note::CoreHelperMayRun,
            Note::MemfdBySeccompOnly,
        ],
        landlock_abi: 7,
    }
}

fn refusal() -> Refusal {
    Refusal {
        layer: Layer::Landlock,
        attempt: "restrict itself".into(),
        reason: "Function not implemented".into(),
        errno: 38,
    }
}

fn spent() -> Spent {
    Spent { cpu_micros: 1_500_000, largest_resident_bytes: 9_203_712 }
}

fn denial() -> Denial {
    Denial { call: 41, args: [2, 1, 0, u64::MAX, 250, 251], errno: 97 }
}

fn corpus(target: &str, name: &str) -> String {
    let path = format!("{}/fuzz/corpus/{target}/{name}", env!("CARGO_MANIFEST_DIR"));
    hex(&std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}")))
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from_digit(digit.into(), 16).unwrap())
        .collect()
}

fn unhex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}
