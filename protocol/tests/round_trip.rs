//! Whatever can be said is heard as it was said.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what helps a test fails as a test does"
)]

use belljar_protocol::wire;
use belljar_protocol::{
    Authority, Ceilings, Confinement, Contents, Delivery, Denial, Door, Ending, Entry, Files, Fork,
    Gateway, Identity, Jar, Job, Keep, Launch, Layer, Link, Mount, Network, Note, Order, Prime,
    Raise, Refusal, Report, Scratch, SecretMap, Spent, Stdin, Subnet, Syscalls, Tally, Task,
    Timing, Transport, Waiting,
};

const ROUNDS: u64 = 5_000;

const AUTHORITIES: [Authority; 5] =
    [Authority::Host, Authority::Lent, Authority::Own, Authority::Ids, Authority::Nothing];
const SYSCALLS: [Syscalls; 6] = [
    Syscalls::Standard,
    Syscalls::WithoutMemfd,
    Syscalls::Exposed,
    Syscalls::Shared,
    Syscalls::SharedWithoutSignals,
    Syscalls::WithoutSockets,
];
const NOTES: [Note; 5] = [
    Note::SupplementaryGroupsKept,
    Note::CoreHelperMayRun,
    Note::MemfdBySeccompOnly,
    Note::BoundingSetKept,
    Note::LowerLimitsInherited,
];

#[test]
fn generated_orders_come_back_unchanged_from_a_buffer_of_their_exact_size() {
    let mut heard = [0; 10];
    for seed in 0..ROUNDS {
        let order = Generator(seed).order();
        heard[match order {
            Order::Job(_) => 0,
            Order::Proceed => 1,
            Order::End => 2,
            Order::FoundLot => 3,
            Order::Keep(_) => 4,
            Order::Raise(_) => 5,
            Order::Began { .. } => 6,
            Order::Finish { .. } => 7,
            Order::Run(_) => 8,
            Order::Fork(_) => 9,
        }] += 1;
        let bytes = wire::encode_order(&order).unwrap();
        // A buffer that had to grow would have left a copy of the secrets in freed memory.
        assert_eq!(bytes.len(), bytes.capacity(), "seed {seed}");
        assert_eq!(wire::decode_order(&bytes).as_ref(), Ok(&order), "seed {seed}");
    }
    assert!(heard.iter().all(|count| *count > 10), "{heard:?}");
}

#[test]
fn generated_reports_come_back_unchanged() {
    let mut heard = [0; 10];
    for seed in 0..ROUNDS {
        let report = Generator(seed).report();
        heard[match report {
            Report::Confined(_) => 0,
            Report::Refused(_) => 1,
            Report::Ended(..) => 2,
            Report::Denied(_) => 3,
            Report::Tally(_) => 4,
            Report::LotFounded => 5,
            Report::Keeping(_) => 6,
            Report::TemplateReady => 7,
            Report::TemplateLost(_) => 8,
            Report::InitReady => 9,
        }] += 1;
        let bytes = wire::encode_report(&report).unwrap();
        assert_eq!(wire::decode_report(&bytes), Ok(report), "seed {seed}");
    }
    assert!(heard.iter().all(|count| *count > 10), "{heard:?}");
}

#[test]
fn a_damaged_message_is_an_error_or_another_message_but_never_a_panic() {
    for seed in 0..ROUNDS {
        let mut generator = Generator(seed);
        let mut bytes = wire::encode_report(&generator.report()).unwrap();
        for _ in 0..8 {
            let place = generator.below(bytes.len());
            bytes[place] = generator.next().to_le_bytes()[0];
            if let Ok(report) = wire::decode_report(&bytes) {
                let again = wire::encode_report(&report).unwrap();
                assert_eq!(wire::decode_report(&again), Ok(report), "seed {seed}");
            }
        }
    }
}

/// Splitmix64 (Steele, Lea and Flood 2014): the same values on every machine.
struct Generator(u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap();
        usize::try_from(self.next() % end).unwrap()
    }

    fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// Of every magnitude: a variable-length number has a form for each.
    fn number(&mut self) -> u64 {
        let shift = self.next() % 65;
        self.next().checked_shr(u32::try_from(shift).unwrap()).unwrap_or(0)
    }

    fn small(&mut self) -> u32 {
        u32::try_from(self.number() >> 32).unwrap()
    }

    fn integer(&mut self) -> i32 {
        let number = self.small().cast_signed();
        if self.next().is_multiple_of(2) { number } else { number.wrapping_neg() }
    }

    fn many<T>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.pick(&[0, 0, 1, 2, 7, 300]);
        (0..count).map(|_| one(self)).collect()
    }

    fn text(&mut self) -> String {
        let letters = ['a', '/', '\0', '\n', 'é', '語', '🫙'];
        let length = self.pick(&[0, 1, 5, 40]);
        (0..length).map(|_| self.pick(&letters)).collect()
    }

    fn order(&mut self) -> Order {
        match self.next() % 13 {
            0 => Order::Proceed,
            1 => Order::End,
            2 => Order::FoundLot,
            3 => Order::Raise(Raise {
                serial: self.number(),
                identity: self.identity(),
                waiting: self.pick(&[Waiting::Empty, Waiting::Primed, Waiting::Forked]),
            }),
            4 => Order::Began { serial: self.number(), deadline_ms: self.number() },
            5 => Order::Finish { serial: self.number() },
            6 | 12 => Order::Keep(Box::new(Keep {
                jar: self.jar(),
                prime: self.prime(),
                own_networks: self.pick(&[false, true]),
                template_bytes: self.number(),
            })),
            7 => Order::Fork(Fork {
                serial: self.number(),
                identity: self.identity(),
                hurry: self.pick(&[false, true]),
            }),
            8 | 9 => Order::Run(Box::new(self.task())),
            _ => {
                let (identity, jar, task) = (self.identity(), self.jar(), self.task());
                Order::Job(Box::new(Job { identity, jar, task }))
            }
        }
    }

    fn identity(&mut self) -> Identity {
        Identity { uid: self.small(), gid: self.small() }
    }

    fn jar(&mut self) -> Jar {
        Jar {
            authority: self.pick(&AUTHORITIES),
            mounts: self.many(|g| Mount { source: g.text(), target: g.text() }),
            links: self.many(|g| Link { path: g.text(), target: g.text() }),
            files: self.files(),
            scratch: Scratch {
                bytes: self.number(),
                inodes: self.number(),
                exec: self.pick(&[false, true]),
            },
            delivery: self.pick(&[Delivery::Descriptor, Delivery::Files]),
            ceilings: Ceilings {
                cpu_seconds: self.number(),
                descriptors: self.number(),
                processes: self.number(),
                file_bytes: self.number(),
                data_bytes: self.number(),
            },
            syscalls: self.pick(&SYSCALLS),
            network: self.network(),
        }
    }

    fn network(&mut self) -> Network {
        match self.below(3) {
            0 => Network::None,
            1 => Network::Loopback,
            _ => Network::Gate(Gateway {
                addresses: self.many(|g| Subnet { address: g.address(), prefix: g.byte() }),
                doors: self.many(|g| Door {
                    address: g.address(),
                    port: u16::from_le_bytes([g.byte(), g.byte()]),
                    transport: g.pick(&[Transport::Tcp, Transport::Udp, Transport::Refusals]),
                }),
                piece_bytes: u32::from(self.byte()) << 16,
            }),
        }
    }

    fn address(&mut self) -> [u8; 4] {
        [(); 4].map(|()| self.byte())
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn task(&mut self) -> Task {
        Task {
            files: self.files(),
            stdin: self.pick(&[Stdin::Empty, Stdin::Sent]),
            program: self.text(),
            argv: self.many(Self::text),
            env: self.many(|g| (g.text(), g.text())),
            secrets: self.secrets(),
            deadline_ms: self.number(),
        }
    }

    fn files(&mut self) -> Files {
        let entries = self.many(|g| Entry { path: g.text(), mode: g.small(), bytes: g.number() });
        let inline = self.next().is_multiple_of(2);
        let contents = if inline { Contents::Inline(self.bytes()) } else { Contents::Sent };
        Files { entries, contents }
    }

    fn prime(&mut self) -> Prime {
        let launch = Launch {
            program: self.text(),
            argv: self.many(Self::text),
            env: self.many(|g| (g.text(), g.text())),
        };
        match self.below(3) {
            0 => Prime::Nothing,
            1 => Prime::Program(launch),
            _ => Prime::Template(launch),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        self.many(|g| g.next().to_le_bytes()[0])
    }

    fn secrets(&mut self) -> SecretMap {
        let mut secrets = SecretMap::new();
        for value in self.many(Self::bytes) {
            secrets.insert(&format!("S{}", self.number()), value).unwrap();
        }
        secrets
    }

    fn report(&mut self) -> Report {
        match self.next() % 10 {
            0 => Report::Confined(self.confinement()),
            1 => Report::Refused(Refusal {
                layer: self.pick(&Layer::ALL),
                attempt: self.text(),
                reason: self.text(),
                errno: self.integer(),
            }),
            2 => {
                let number = self.integer();
                let ending = self.pick(&[Ending::Exited(number), Ending::Signalled(number)]);
                let (cpu_micros, largest_resident_bytes) = (self.number(), self.number());
                Report::Ended(ending, Spent { cpu_micros, largest_resident_bytes })
            }
            3 => Report::Denied(Denial {
                call: self.integer(),
                args: std::array::from_fn(|_| self.number()),
                errno: self.integer(),
            }),
            4 => {
                Report::Tally(Tally { counts: self.many(Self::number), unrecorded: self.number() })
            }
            5 => Report::LotFounded,
            6 => Report::Keeping(self.many(|g| g.pick(&NOTES))),
            7 => Report::TemplateReady,
            8 => Report::TemplateLost(self.text()),
            _ => Report::InitReady,
        }
    }

    fn confinement(&mut self) -> Confinement {
        Confinement {
            timings: self.many(|g| Timing { layer: g.pick(&Layer::ALL), micros: g.small() }),
            notes: self.many(|g| g.pick(&NOTES)),
            landlock_abi: self.small(),
        }
    }
}
