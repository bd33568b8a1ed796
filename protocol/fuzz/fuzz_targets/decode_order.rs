//! What decodes is what its own bytes decode to.

#![no_main]

use belljar_protocol::wire::{decode_order, encode_order};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = decode_order(bytes) else { return };
    // A number may come in a wider form than ours, so the bytes may be fewer, and never more.
    let again = encode_order(&message).expect("what was received can be sent");
    assert!(again.len() <= bytes.len());
    assert_eq!(decode_order(&again), Ok(message));
});
