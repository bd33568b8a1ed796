use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::bindings::{Binding, PLACEHOLDER_BYTES, PREFIX};

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The value of a header with secrets in the place of their placeholders; nothing where there are
/// none in it.
///
/// In the credentials of the scheme `Basic` they are looked for in what the base64 stands for, as
/// `user:password` is what a program was given.
pub(super) fn substitute(value: &[u8], bindings: &[Binding]) -> Option<Zeroizing<Vec<u8>>> {
    if let Some((scheme, credentials)) = basic(value)
        && let Some(replaced) = replace(&credentials, bindings)
    {
        let mut text = Zeroizing::new(String::with_capacity(6 + replaced.len().div_ceil(3) * 4));
        text.push_str(&String::from_utf8_lossy(scheme));
        text.push(' ');
        BASE64.encode_string(&*replaced, &mut text);
        return Some(Zeroizing::new(text.as_bytes().to_vec()));
    }
    replace(value, bindings)
}

/// The scheme as it was written, and what the credentials stand for.
fn basic(value: &[u8]) -> Option<(&[u8], Zeroizing<Vec<u8>>)> {
    let (scheme, rest) = value.split_at_checked(b"Basic".len())?;
    if !scheme.eq_ignore_ascii_case(b"Basic") || !rest.starts_with(b" ") {
        return None;
    }
    let credentials = BASE64.decode(rest.trim_ascii()).ok()?;
    Some((scheme, Zeroizing::new(credentials)))
}

fn replace(text: &[u8], bindings: &[Binding]) -> Option<Zeroizing<Vec<u8>>> {
    let found = |at: usize| {
        let candidate = text.get(at..at + PLACEHOLDER_BYTES)?;
        bindings.iter().find(|binding| binding.placeholder.as_bytes() == candidate)
    };
    let starts = text.windows(PREFIX.len()).enumerate().filter(|(_, window)| *window == PREFIX);
    let hits: Vec<_> = starts.filter_map(|(at, _)| Some((at, found(at)?))).collect();
    if hits.is_empty() {
        return None;
    }
    // Room first: a buffer that grows leaves a copy behind that is not wiped.
    let room = text.len() + hits.iter().map(|(_, binding)| binding.value.len()).sum::<usize>();
    let mut out = Zeroizing::new(Vec::with_capacity(room));
    let mut copied = 0;
    for (at, binding) in hits {
        out.extend_from_slice(text.get(copied..at).unwrap_or_default());
        out.extend_from_slice(&binding.value);
        copied = at + PLACEHOLDER_BYTES;
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default());
    Some(out)
}
