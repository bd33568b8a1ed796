use zeroize::Zeroizing;

/// Shorter values are not redacted: they would shred ordinary output.
const EXACT_MIN_BYTES: usize = 3;
/// Shorter values are redacted as they are, but not encoded.
const DERIVED_MIN_BYTES: usize = 4;
/// Shorter lines of a value of several lines are not redacted by themselves.
const LINE_MIN_BYTES: usize = 8;
/// A longer form is looked for in pieces, which bounds what a stream holds back.
pub(super) const PIECE_MAX_BYTES: usize = 4096;
/// Where `base64` and MIME break lines.
const BASE64_LINE_BYTES: usize = 76;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What common URL encoders leave alone besides letters and digits, and what a space becomes.
const URL_ENCODERS: [(&[u8], &str); 5] = [
    (b"-_.~", "%20"),
    (b"-_.~/", "%20"),     // Python's quote
    (b"-_.~!*'()", "%20"), // encodeURIComponent
    (b"-_.~", "+"),        // Python's urlencode
    (b"-_.*", "+"),        // URLSearchParams, HTML forms
];

type Form = Zeroizing<Vec<u8>>;

/// Every form in which `value` is looked for; some of them may be equal.
pub(super) fn of(value: &[u8]) -> Vec<Form> {
    let mut forms = Vec::new();
    // A secret from a file ends in a newline that nobody prints.
    for value in [value, value.trim_ascii()] {
        if value.len() >= EXACT_MIN_BYTES {
            forms.push(Form::new(value.to_vec()));
        }
        if value.len() >= DERIVED_MIN_BYTES {
            derive(value, &mut forms);
        }
    }
    for line in value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        // The frame of a PEM file is no secret.
        if line.len() >= LINE_MIN_BYTES && line.len() < value.len() && !line.starts_with(b"-----") {
            forms.push(Form::new(line.to_vec()));
        }
    }
    forms.iter().flat_map(|form| pieces(form)).collect()
}

fn derive(value: &[u8], forms: &mut Vec<Form>) {
    for alphabet in [STANDARD, URL_SAFE] {
        // What precedes the value shifts it by 0, 8 or 16 bits against the characters.
        for skipped_bits in [0, 4, 2] {
            forms.push(base64(value, skipped_bits, alphabet));
        }
        let wrapped = base64(value, 0, alphabet);
        if wrapped.len() > BASE64_LINE_BYTES {
            let lines = wrapped.chunks(BASE64_LINE_BYTES);
            forms.extend(
                lines
                    .filter(|line| line.len() >= LINE_MIN_BYTES)
                    .map(|line| Form::new(line.to_vec())),
            );
        }
    }
    for upper in [true, false] {
        forms.push(write(value, value.len() * 2, |byte, out| hex(byte, upper, out)));
        // What is larger does not travel in a URL.
        let encoders = URL_ENCODERS.iter().filter(|_| value.len() <= PIECE_MAX_BYTES);
        for (safe, space) in encoders {
            forms.push(write(value, value.len() * 3, |byte, out| match byte {
                b' ' => out.extend_from_slice(space.as_bytes()),
                _ if byte.is_ascii_alphanumeric() || safe.contains(&byte) => out.push(byte),
                _ => {
                    out.push(b'%');
                    hex(byte, upper, out);
                }
            }));
        }
    }
    // Python's repr of bytes.
    forms.push(write(value, value.len() * 4, |byte, out| match byte {
        b'\\' | b'\n' | b'\r' | b'\t' => backslash(byte, out),
        b' '..=b'~' => out.push(byte),
        _ => {
            out.extend_from_slice(b"\\x");
            hex(byte, false, out);
        }
    }));
    if let Ok(text) = str::from_utf8(value) {
        forms.extend([json(text, false), json(text, true)]);
    }
}

/// The characters that the value alone decides: neighbours share the first and the last.
fn base64(value: &[u8], skipped_bits: u32, alphabet: &[u8; 64]) -> Form {
    let (mut bits, mut count) = (0_u32, 0);
    let mut skip = skipped_bits;
    write(value, value.len() * 4 / 3 + 1, |byte, out| {
        bits = (bits << 8) | u32::from(byte);
        count += 8 - std::mem::take(&mut skip);
        while count >= 6 {
            count -= 6;
            let sextet = usize::try_from((bits >> count) & 63).unwrap_or_default();
            out.extend(alphabet.get(sextet));
        }
    })
}

/// Inside a JSON string, with everything beyond ASCII as it is or as `\u` escapes.
fn json(text: &str, ascii: bool) -> Form {
    let mut out = Form::new(Vec::with_capacity(text.len() * 6));
    let mut buffer = [0; 4];
    for letter in text.chars() {
        match letter {
            '"' | '\\' | '\n' | '\r' | '\t' | '\x08' | '\x0c' => {
                backslash(u8::try_from(letter).unwrap_or_default(), &mut out);
            }
            _ if letter < ' ' || (ascii && !letter.is_ascii()) => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(b"\\u");
                    let [high, low] = unit.to_be_bytes();
                    hex(high, false, &mut out);
                    hex(low, false, &mut out);
                }
            }
            _ => out.extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    out
}

fn backslash(byte: u8, out: &mut Vec<u8>) {
    let letter = match byte {
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        8 => b'b',
        12 => b'f',
        other => other,
    };
    out.extend([b'\\', letter]);
}

fn hex(byte: u8, upper: bool, out: &mut Vec<u8>) {
    let digits = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    out.extend([byte >> 4, byte & 15].iter().filter_map(|half| digits.get(usize::from(*half))));
}

/// Room first, so that no half-written form is left behind by a growing buffer.
fn write(value: &[u8], room: usize, mut one: impl FnMut(u8, &mut Vec<u8>)) -> Form {
    let mut out = Form::new(Vec::with_capacity(room));
    for byte in value {
        one(*byte, &mut out);
    }
    out
}

/// Equal parts, so that the last is not a few bytes that mean nothing.
fn pieces(form: &[u8]) -> impl Iterator<Item = Form> {
    let parts = form.len().div_ceil(PIECE_MAX_BYTES).max(1);
    form.chunks(form.len().div_ceil(parts).max(1)).map(|piece| Form::new(piece.to_vec()))
}
