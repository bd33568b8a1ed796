//! The bytes of the wire, spelled out.
//!
//! A supervisor and a worker of different builds meet whenever a host is upgraded while runs are
//! on their way. When a change turns one of these red, the wire has changed: raise
//! `wire::VERSION`, and only then write the new bytes here and in `fuzz/corpus`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what helps a test fails as a test does")]

use belljar_protocol::{
    Authority, Ceilings, Confinement, Contents, Delivery, Denial, Door, Ending, Entry, Files, Fork,
    Gateway, Identity, Jar, Job, Keep, Launch, Layer, Link, Mount, Network, Note, Order, Prime,
    Raise, Refusal, Report, Scratch, SecretMap, Spent, Stdin, Subnet, Syscalls, Tally, Task,
    Timing, Transport, Waiting, wire,
};

/// A name, a value, and its bytes in hexadecimal.
type Golden<T> = (&'static str, fn() -> T, &'static str);

const ORDERS: [Golden<Order>; 19] = [
    (
        "job",
        || Order::Job(Box::new(job())),
        "424a040000fc00b33f71fa0001042f757372042f75737201042f6c6962077573722f6c696201062f\
         6574632f78fb2401020002fe0afc00000004fb004000003dfb000142fc00000004fdffffffffffff\
         ffff0000010d2f776f726b2f6d61696e2e7079fba401fbfb000101102f7573722f62696e2f707974\
         686f6e330207707974686f6e3302c3a901044c414e4707432e5554462d3802074150495f4b455902\
         00ff014200fb60ea",
    ),
    (
        "job-lent",
        || small_job(Authority::Lent, Delivery::Files),
        "424a04000001020100000001030401010506070809010000000000022f610000000a",
    ),
    (
        "job-own",
        || small_job(Authority::Own, Delivery::Descriptor),
        "424a04000001020200000001030401000506070809010000000000022f610000000a",
    ),
    (
        "job-loopback",
        || job_with(Network::Loopback),
        "424a04000001020000000001030401000506070809010100000000022f610000000a",
    ),
    (
        "job-gate",
        || job_with(gate()),
        "424a04000001020000000001030401000506070809010202c61200000fc000020720047f00003535\
         0100000000fbbb0100c0000207fbffff00000000000002fc00000100\
         00000000022f610000000a",
    ),
    ("proceed", || Order::Proceed, "424a040001"),
    ("end", || Order::End, "424a040002"),
    ("found-lot", || Order::FoundLot, "424a040003"),
    (
        "keep-nothing",
        || keep(Prime::Nothing, true),
        "424a0400040000000001030401000506070809010000010b",
    ),
    (
        "keep-program",
        || keep(Prime::Program(launch()), false),
        "424a0400040000000001030401000506070809010001022f6102016201630101440165000b",
    ),
    (
        "keep-template",
        || keep(Prime::Template(launch()), false),
        "424a0400040000000001030401000506070809010002022f6102016201630101440165000b",
    ),
    ("raise-empty", || raise(1, Waiting::Empty), "424a04000501fc000001000700"),
    ("raise-primed", || raise(251, Waiting::Primed), "424a040005fbfb00fc000001000701"),
    (
        "raise-forked",
        || raise(u64::MAX, Waiting::Forked),
        "424a040005fdfffffffffffffffffc000001000702",
    ),
    ("began", || Order::Began { serial: 250, deadline_ms: 60_000 }, "424a040006fafb60ea"),
    ("finish", || Order::Finish { serial: 65_536 }, "424a040007fc00000100"),
    (
        "run",
        || Order::Run(Box::new(task())),
        "424a040008010d2f776f726b2f6d61696e2e7079fba401fbfb000101102f7573722f62696e2f7079\
         74686f6e330207707974686f6e3302c3a901044c414e4707432e5554462d3802074150495f4b4559\
         0200ff014200fb60ea",
    ),
    ("fork", || fork(250, false), "424a040009fafb00010200"),
    ("fork-hurry", || fork(65_536, true), "424a040009fc00000100fb00010201"),
];

const REPORTS: [Golden<Report>; 12] = [
    (
        "confined",
        || Report::Confined(confinement()),
        "424a0400000700f901fa02fbfb0003fbfc0004fbfd0005fbfe0006fbff000300010207",
    ),
    (
        "refused",
        || Report::Refused(refusal()),
        "424a040001050f726573747269637420697473656c661846756e6374696f6e206e6f7420696d706c\
         656d656e7465644c",
    ),
    (
        "ended-exited",
        || Report::Ended(Ending::Exited(-1), spent()),
        "424a0400020001fc60e31600fc00708c00",
    ),
    (
        "ended-signalled",
        || Report::Ended(Ending::Signalled(9), Spent::default()),
        "424a04000201120000",
    ),
    ("denied", || Report::Denied(denial()), "424a04000352020100fdfffffffffffffffffafbfb00c2"),
    (
        "tally",
        || Report::Tally(Tally { counts: vec![1, 250, 251, 65_536], unrecorded: 7 }),
        "424a0400040401fafbfb00fc0000010007",
    ),
    ("lot-founded", || Report::LotFounded, "424a040005"),
    ("keeping", || Report::Keeping(Vec::new()), "424a04000600"),
    (
        "keeping-less",
        || Report::Keeping(vec![Note::BoundingSetKept, Note::LowerLimitsInherited]),
        "424a040006020304",
    ),
    ("template-ready", || Report::TemplateReady, "424a040007"),
    (
        "template-lost",
        || Report::TemplateLost("it hung up".into()),
        "424a0400080a69742068756e67207570",
    ),
    ("init-ready", || Report::InitReady, "424a040009"),
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
    assert_eq!(wire::VERSION, 4, "write the bytes of the new version above");
    assert_eq!(wire::MAX_BYTES, 256 * 1024, "both ends have to agree on this as well");
}

fn job() -> Job {
    Job { identity: Identity { uid: 1_900_000_000, gid: 250 }, jar: jar(), task: task() }
}

fn jar() -> Jar {
    Jar {
        authority: Authority::Host,
        mounts: vec![Mount { source: "/usr".into(), target: "/usr".into() }],
        links: vec![Link { path: "/lib".into(), target: "usr/lib".into() }],
        files: Files {
            entries: vec![Entry { path: "/etc/x".into(), mode: 0o444, bytes: 2 }],
            contents: Contents::Inline(vec![0xfe, 0x0a]),
        },
        scratch: Scratch { bytes: 64 << 20, inodes: 16_384, exec: false },
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
    }
}

fn task() -> Task {
    let mut secrets = SecretMap::new();
    secrets.insert("API_KEY", vec![0x00, 0xff]).unwrap();
    secrets.insert("B", Vec::new()).unwrap();
    Task {
        files: Files {
            entries: vec![Entry { path: "/work/main.py".into(), mode: 0o644, bytes: 251 }],
            contents: Contents::Sent,
        },
        stdin: Stdin::Sent,
        program: "/usr/bin/python3".into(),
        argv: vec!["python3".into(), "é".into()],
        env: vec![("LANG".into(), "C.UTF-8".into())],
        secrets,
        deadline_ms: 60_000,
    }
}

fn small_job(authority: Authority, delivery: Delivery) -> Order {
    let task = Task {
        files: Files { entries: Vec::new(), contents: Contents::Inline(Vec::new()) },
        stdin: Stdin::Empty,
        program: "/a".into(),
        argv: Vec::new(),
        env: Vec::new(),
        secrets: SecretMap::new(),
        deadline_ms: 10,
    };
    let (identity, jar) = (Identity { uid: 1, gid: 2 }, small_jar(authority, delivery));
    Order::Job(Box::new(Job { identity, jar, task }))
}

fn job_with(network: Network) -> Order {
    let order = small_job(Authority::Host, Delivery::Descriptor);
    let Order::Job(mut job) = order else { panic!("{order:?}") };
    job.jar.network = network;
    Order::Job(job)
}

fn gate() -> Network {
    let door = |address, port, transport| Door { address, port, transport };
    Network::Gate(Gateway {
        addresses: vec![
            Subnet { address: [198, 18, 0, 0], prefix: 15 },
            Subnet { address: [192, 0, 2, 7], prefix: 32 },
        ],
        doors: vec![
            door([127, 0, 0, 53], 53, Transport::Udp),
            door([0; 4], 443, Transport::Tcp),
            door([192, 0, 2, 7], 65_535, Transport::Tcp),
            door([0; 4], 0, Transport::Refusals),
        ],
        piece_bytes: 65_536,
    })
}

fn small_jar(authority: Authority, delivery: Delivery) -> Jar {
    Jar {
        authority,
        mounts: Vec::new(),
        links: Vec::new(),
        files: Files { entries: Vec::new(), contents: Contents::Sent },
        scratch: Scratch { bytes: 3, inodes: 4, exec: true },
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
    }
}

fn keep(prime: Prime, own_networks: bool) -> Order {
    let jar = small_jar(Authority::Host, Delivery::Descriptor);
    Order::Keep(Box::new(Keep { jar, prime, own_networks, template_bytes: 11 }))
}

fn launch() -> Launch {
    Launch {
        program: "/a".into(),
        argv: vec!["b".into(), "c".into()],
        env: vec![("D".into(), "e".into())],
    }
}

fn raise(serial: u64, waiting: Waiting) -> Order {
    Order::Raise(Raise { serial, identity: Identity { uid: 65_536, gid: 7 }, waiting })
}

fn fork(serial: u64, hurry: bool) -> Order {
    Order::Fork(Fork { serial, identity: Identity { uid: 256, gid: 2 }, hurry })
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
