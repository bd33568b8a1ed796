//! What a worker that was taken over may send: never a panic, and never half a message taken for a
//! whole one. What it costs in memory is in `memory.rs`.

use belljar_protocol::wire::{self, MAX_BYTES, VERSION, WireError};
use belljar_protocol::{Denial, Layer, Order, Refusal, Report, Tally};

#[test]
fn a_message_cut_anywhere_is_malformed() {
    for report in reports() {
        let whole = wire::encode_report(&report).unwrap();
        for cut in 0..whole.len() {
            assert_eq!(wire::decode_report(&whole[..cut]), Err(WireError::Malformed), "{cut}");
        }
        assert_eq!(wire::decode_report(&whole), Ok(report));
    }
}

#[test]
fn a_message_with_something_behind_it_is_malformed() {
    for report in reports() {
        let mut longer = wire::encode_report(&report).unwrap();
        for extra in [0, 1, 0xff] {
            longer.push(extra);
            assert_eq!(wire::decode_report(&longer), Err(WireError::Malformed));
        }
    }
    let mut two = wire::encode_order(&Order::Proceed).unwrap().to_vec();
    two.extend_from_slice(&wire::encode_order(&Order::End).unwrap());
    assert_eq!(wire::decode_order(&two), Err(WireError::Malformed));
}

#[test]
fn what_is_too_large_is_refused_before_it_is_looked_at() {
    let just = vec![0; MAX_BYTES];
    assert_eq!(wire::decode_report(&just), Err(WireError::Malformed));
    let over = vec![0; MAX_BYTES + 1];
    let refused = Err(WireError::TooLarge { bytes: MAX_BYTES + 1 });
    assert_eq!(wire::decode_report(&over), refused);
    let refusal = Refusal {
        layer: Layer::Rootfs,
        attempt: String::new(),
        reason: "x".repeat(MAX_BYTES),
        errno: 0,
    };
    let refused = wire::encode_report(&Report::Refused(refusal)).unwrap_err();
    assert!(matches!(refused, WireError::TooLarge { bytes } if bytes > MAX_BYTES), "{refused}");
}

#[test]
fn a_message_of_nothing_but_tiny_numbers_is_received_too() {
    let tally = Report::Tally(Tally { counts: vec![0; MAX_BYTES - 100], unrecorded: 0 });
    let bytes = wire::encode_report(&tally).unwrap();
    assert_eq!(wire::decode_report(&bytes), Ok(tally));
}

#[test]
fn the_largest_message_that_may_be_sent_may_also_be_received() {
    let sized = |reason_bytes: usize| {
        Report::Refused(Refusal {
            layer: Layer::Rootfs,
            attempt: String::new(),
            reason: "x".repeat(reason_bytes),
            errno: 0,
        })
    };
    let overhead = wire::encode_report(&sized(MAX_BYTES / 2)).unwrap().len() - MAX_BYTES / 2;
    let largest = sized(MAX_BYTES - overhead);
    let bytes = wire::encode_report(&largest).unwrap();
    assert_eq!(bytes.len(), MAX_BYTES);
    assert_eq!(wire::decode_report(&bytes), Ok(largest));
    let refused = wire::encode_report(&sized(MAX_BYTES - overhead + 1)).unwrap_err();
    assert_eq!(refused, WireError::TooLarge { bytes: MAX_BYTES + 1 });
}

#[test]
fn another_version_is_told_by_its_number_whatever_follows() {
    let good = wire::encode_order(&Order::End).unwrap();
    for theirs in [0, VERSION - 1, VERSION + 1, u16::MAX] {
        let [low, high] = theirs.to_le_bytes();
        for rest in [&good[4..], &[], &[0xff; 64]] {
            let mut other = vec![b'B', b'J', low, high];
            other.extend_from_slice(rest);
            assert_eq!(wire::decode_order(&other), Err(WireError::Version { theirs }));
        }
    }
}

#[test]
fn what_does_not_begin_as_a_message_is_none() {
    let good = wire::encode_order(&Order::End).unwrap();
    for place in 0..2 {
        for wrong in (0..=u8::MAX).filter(|byte| *byte != good[place]) {
            let mut other = good.to_vec();
            other[place] = wrong;
            assert_eq!(wire::decode_order(&other), Err(WireError::Malformed));
        }
    }
}

#[test]
fn an_order_is_no_report_of_the_same_tag_and_unknown_tags_are_neither() {
    // Of those that are a tag and nothing else, none is both.
    let (orders, reports) = ([1, 2, 3], [5, 7, 9]);
    for tag in 0..=u8::MAX {
        let message = framed(&[tag]);
        let (order, report) = (wire::decode_order(&message), wire::decode_report(&message));
        if !orders.contains(&tag) {
            assert_eq!(order, Err(WireError::Malformed), "{tag}");
        }
        if !reports.contains(&tag) {
            assert_eq!(report, Err(WireError::Malformed), "{tag}");
        }
    }
    assert!(orders.iter().all(|tag| wire::decode_order(&framed(&[*tag])).is_ok()));
    assert!(reports.iter().all(|tag| wire::decode_report(&framed(&[*tag])).is_ok()));
}

#[test]
fn text_that_is_not_utf_8_is_malformed() {
    let refused = [1, 2, 1, b'a', 1, 0xff, 0];
    assert_eq!(wire::decode_report(&framed(&refused)), Err(WireError::Malformed));
    let told = [1, 2, 1, b'a', 1, b'b', 0];
    assert!(wire::decode_report(&framed(&told)).is_ok(), "so the letter alone was the reason");
}

/// Each of these has bytes that a cut can miss: several fields, and lengths of their own.
fn reports() -> [Report; 3] {
    let denial = Denial { call: 41, args: [1, 300, 70_000, u64::MAX, 0, 5], errno: 97 };
    let refusal = Refusal {
        layer: Layer::Seccomp,
        attempt: "load a filter".into(),
        reason: "no".into(),
        errno: -1,
    };
    [
        Report::Denied(denial),
        Report::Refused(refusal),
        Report::Tally(Tally { counts: vec![0, 251, 1 << 40], unrecorded: 1 }),
    ]
}

fn framed(body: &[u8]) -> Vec<u8> {
    let [low, high] = VERSION.to_le_bytes();
    [&[b'B', b'J', low, high], body].concat()
}
