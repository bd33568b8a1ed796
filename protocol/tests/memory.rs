//! What hostile messages cost: one process, so one test, as memory is counted by process.

#![expect(clippy::unwrap_used, reason = "what helps a test fails as a test does")]

use belljar_protocol::wire::{self, MAX_BYTES, VERSION, WireError};
use belljar_protocol::{Layer, Refusal, Report};

/// Reports up to a sequence (of counts, of timings, of notes) or a string, whose length comes next.
const TALLY: [u8; 1] = [4];
const CONFINED: [u8; 1] = [0];
const REFUSED: [u8; 2] = [1, 5];
const KEEPING: [u8; 1] = [6];
const TEMPLATE_LOST: [u8; 1] = [8];

#[test]
fn memory_stays_flat_whatever_a_worker_sends() {
    let before = peak_kib();
    lengths_that_the_message_does_not_hold();
    let grown = peak_kib() - before;
    assert!(grown < 4 * 1024, "1 500 000 hostile lengths cost {grown} KiB");

    let before = peak_kib();
    for _ in 0..1000 {
        // The dearest element for its size: one byte on the wire, eight in memory.
        let mut body = TALLY.to_vec();
        body.push(252);
        body.extend(u32::try_from(MAX_BYTES - 11).unwrap().to_le_bytes());
        body.resize(MAX_BYTES - 4, 0);
        assert!(wire::decode_report(&framed(&body)).is_ok());
    }
    let grown = peak_kib() - before;
    assert!(grown < 16 * 1024, "1000 messages of the largest size cost {grown} KiB");

    let before = peak_kib();
    drop(refusal(64 << 20));
    let grown = peak_kib() - before;
    assert!(grown > 32 * 1024, "so this is how growth would show: {grown} KiB");
}

fn lengths_that_the_message_does_not_hold() {
    for round in 0..100_000_u64 {
        for head in [&TALLY[..], &CONFINED, &REFUSED, &KEEPING, &TEMPLATE_LOST] {
            for length in [round + 8, u64::from(u32::MAX) - round, u64::MAX - round] {
                let mut body = head.to_vec();
                body.push(253);
                body.extend(length.to_le_bytes());
                assert_eq!(wire::decode_report(&framed(&body)), Err(WireError::Malformed));
            }
        }
    }
}

fn refusal(reason_bytes: usize) -> Report {
    let reason = "x".repeat(reason_bytes);
    Report::Refused(Refusal { layer: Layer::Rootfs, attempt: String::new(), reason, errno: 0 })
}

fn framed(body: &[u8]) -> Vec<u8> {
    let [low, high] = VERSION.to_le_bytes();
    [&[b'B', b'J', low, high], body].concat()
}

/// The largest resident set of this process so far (`VmHWM` of proc(5)).
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
