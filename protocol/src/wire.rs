//! Messages as bytes: the only file that names bincode.
//!
//! A message is a four-byte preamble, `BJ` and the little-endian protocol version, and one value
//! in bincode 2's standard encoding. Both ends refuse what is larger than [`MAX_BYTES`] before
//! they look at it, and what names another version before they decode it: a worker of another
//! build says so in its first datagram, and costs no round trip when it is the right one.

use std::fmt;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::enc::write::SizeWriter;
use bincode::serde::{decode_from_slice, encode_into_slice, encode_into_writer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::{Order, Report};

/// The largest message: argv, environment and secrets are each at most 64 KiB, and the names of
/// mounts and files have room beside them.
pub const MAX_BYTES: usize = 256 * 1024;

/// The version both ends must share. Every change of a message raises it.
pub const VERSION: u16 = 4;

const MAGIC: [u8; 2] = *b"BJ";
const PREAMBLE_BYTES: usize = 4;

/// A message that cannot be sent or is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// It exceeds [`MAX_BYTES`].
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It was written by another version of this protocol.
    Version {
        /// The version it names.
        theirs: u16,
    },
    /// It is not a message of this protocol.
    Malformed,
}

/// The bytes of an order; wiped when dropped, as they may hold secrets.
///
/// # Errors
/// [`WireError::TooLarge`].
pub fn encode_order(order: &Order) -> Result<Zeroizing<Vec<u8>>, WireError> {
    encode(order)
}

/// The order that `bytes` hold. The caller owns the bytes, and wipes them.
///
/// # Errors
/// Any [`WireError`]; nothing is allocated that the size of the message does not justify.
pub fn decode_order(bytes: &[u8]) -> Result<Order, WireError> {
    decode(bytes)
}

/// The bytes of a report.
///
/// # Errors
/// [`WireError::TooLarge`].
pub fn encode_report(report: &Report) -> Result<Zeroizing<Vec<u8>>, WireError> {
    encode(report)
}

/// The report that `bytes` hold.
///
/// # Errors
/// Any [`WireError`]; nothing is allocated that the size of the message does not justify.
pub fn decode_report(bytes: &[u8]) -> Result<Report, WireError> {
    decode(bytes)
}

/// The decoder counts every number as its full width, and a string as its length and its bytes:
/// at most eight for each byte of the message, whose own size is checked before. Without this
/// bound a length prefix alone could ask for any amount of memory.
const DECODED_BYTES: usize = 8 * MAX_BYTES;

fn config() -> Configuration<LittleEndian, Varint, Limit<DECODED_BYTES>> {
    bincode::config::standard().with_limit::<DECODED_BYTES>()
}

fn encode(message: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, WireError> {
    // Measured first, then written once: a growing buffer would leave secrets behind in the heap.
    let mut size = SizeWriter::default();
    encode_into_writer(message, &mut size, config()).map_err(|_| WireError::Malformed)?;
    let bytes = PREAMBLE_BYTES + size.bytes_written;
    if bytes > MAX_BYTES {
        return Err(WireError::TooLarge { bytes });
    }
    let mut datagram = Zeroizing::new(vec![0; bytes]);
    let (preamble, body) = datagram.split_at_mut(PREAMBLE_BYTES);
    let [low, high] = VERSION.to_le_bytes();
    let [b, j] = MAGIC;
    preamble.copy_from_slice(&[b, j, low, high]);
    encode_into_slice(message, body, config()).map_err(|_| WireError::Malformed)?;
    Ok(datagram)
}

fn decode<M: DeserializeOwned>(bytes: &[u8]) -> Result<M, WireError> {
    if bytes.len() > MAX_BYTES {
        return Err(WireError::TooLarge { bytes: bytes.len() });
    }
    let (preamble, body) =
        bytes.split_first_chunk::<PREAMBLE_BYTES>().ok_or(WireError::Malformed)?;
    let [b, j, low, high] = *preamble;
    if [b, j] != MAGIC {
        return Err(WireError::Malformed);
    }
    let theirs = u16::from_le_bytes([low, high]);
    if theirs != VERSION {
        return Err(WireError::Version { theirs });
    }
    match decode_from_slice(body, config()) {
        Ok((message, read)) if read == body.len() => Ok(message),
        _ => Err(WireError::Malformed),
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes } => {
                write!(f, "a message of {bytes} bytes exceeds the limit of {MAX_BYTES}")
            }
            Self::Version { theirs } => {
                write!(f, "protocol version {theirs} where {VERSION} was expected")
            }
            Self::Malformed => f.write_str("malformed message"),
        }
    }
}

impl std::error::Error for WireError {}
