//! The secret map, as it comes through a descriptor: never through argv or the environment.

use std::io::Read;

use belljar_protocol::SecretMap;
use zeroize::Zeroizing;

use crate::raw;

const DESCRIPTOR: &str = "BELLJAR_SECRETS_FD";
/// A run may carry 64 KiB of secrets; the rest is room for lengths and names.
const MAP_BYTES_MAX: usize = 256 << 10;

/// All names and values, length-prefixed, in memory that is wiped when it is dropped.
#[derive(Default)]
pub(crate) struct Secrets(Zeroizing<Vec<u8>>);

/// Reads the map to its end and closes the descriptor; no descriptor means no secrets.
pub(crate) fn receive() -> Result<Secrets, String> {
    let Some(descriptor) = raw::take_descriptor(DESCRIPTOR)? else { return Ok(Secrets::default()) };
    // Room for all of it, and one byte to tell the end: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAP_BYTES_MAX + 2));
    let read = descriptor.take(MAP_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("cannot read the secrets: {error}"))?;
    let secrets = Secrets(bytes);
    if secrets.0.len() > MAP_BYTES_MAX {
        return Err(format!("more than {MAP_BYTES_MAX} bytes of secrets"));
    }
    match secrets.entries().last() {
        Some(Err(())) => Err("the secrets are cut short or not in the expected form".to_owned()),
        _ => Ok(secrets),
    }
}

impl From<&SecretMap> for Secrets {
    fn from(map: &SecretMap) -> Self {
        let mut bytes =
            Zeroizing::new(Vec::with_capacity(map.len_bytes() + 8 * map.iter().count()));
        for (name, value) in map.iter() {
            for field in [name.as_bytes(), value] {
                // A message on the line is far smaller than that.
                let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
                bytes.extend_from_slice(&length.to_le_bytes());
                bytes.extend_from_slice(field);
            }
        }
        Self(bytes)
    }
}

impl Secrets {
    /// Name and value of each secret; an `Err` is the last item of a malformed map.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Result<(&str, &[u8]), ()>> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let entry = split_field(rest).and_then(|(name, after)| {
                let (value, after) = split_field(after)?;
                rest = after;
                Some((str::from_utf8(name).ok()?, value))
            });
            if entry.is_none() {
                rest = &[];
            }
            Some(entry.ok_or(()))
        })
    }
}

fn split_field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: &[Result<(&str, &[u8]), ()>]) {
        let secrets = Secrets(Zeroizing::new(bytes.to_vec()));
        assert_eq!(secrets.entries().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_map_is_read_field_by_field_and_never_past_its_end() {
        check(b"", &[]);
        check(b"\x01\0\0\0A\x02\0\0\0xy", &[Ok(("A", b"xy"))]);
        check(
            b"\x01\0\0\0A\0\0\0\0\x01\0\0\0B\x01\0\0\0\xff",
            &[Ok(("A", b"")), Ok(("B", b"\xff"))],
        );
        check(b"\x01\0\0\0A\x02\0\0\0x", &[Err(())]);
        check(b"\x01\0\0\0A\0\0\0\0\xff\xff\xff\xffB", &[Ok(("A", b"")), Err(())]);
        check(b"\x01\0\0\0\xff\0\0\0\0\x01\0\0\0B\0\0\0\0", &[Err(())]);
        check(b"\x01\0", &[Err(())]);
    }
}
