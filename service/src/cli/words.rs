//! Words of the command line: sizes and times as systemd reads them, and the few fixed ones.

use std::time::Duration;

use belljar::{Egress, Floor, Grant, Mode, OnOutputLimit};

const SIZES: [(&str, u128); 10] = [
    ("", 1),
    ("B", 1),
    ("K", 1 << 10),
    ("KiB", 1 << 10),
    ("M", 1 << 20),
    ("MiB", 1 << 20),
    ("G", 1 << 30),
    ("GiB", 1 << 30),
    ("T", 1 << 40),
    ("TiB", 1 << 40),
];

const SECOND: u128 = 1_000_000_000;
const TIMES: [(&str, u128); 14] = [
    ("", SECOND),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("sec", SECOND),
    ("second", SECOND),
    ("seconds", SECOND),
    ("m", 60 * SECOND),
    ("min", 60 * SECOND),
    ("minutes", 60 * SECOND),
    ("h", 3600 * SECOND),
    ("hr", 3600 * SECOND),
    ("d", 86_400 * SECOND),
];

/// `256M`: bytes.
pub(crate) fn size(word: &str) -> Result<u64, String> {
    let wrong = || "write bytes, or a number with K, M, G or T, like 256M".to_owned();
    let (number, unit, rest) = quantity(word).ok_or_else(wrong)?;
    let bytes = scaled(number, unit, &SIZES).filter(|_| rest.is_empty()).ok_or_else(wrong)?;
    u64::try_from(bytes).map_err(|_| "more than there can be".to_owned())
}

/// `500ms`, `2min`, `1min 30s`: a time; a plain number is seconds.
pub(crate) fn time(word: &str) -> Result<Duration, String> {
    let wrong = || "write seconds, or a number with ms, s, min or h, like 500ms".to_owned();
    let (mut rest, mut nanos) = (word, 0u128);
    loop {
        let (number, unit, behind) = quantity(rest).ok_or_else(wrong)?;
        let more = scaled(number, unit, &TIMES).ok_or_else(wrong)?;
        nanos = nanos.checked_add(more).ok_or_else(wrong)?;
        if behind.is_empty() {
            break;
        }
        rest = behind;
    }
    let seconds = u64::try_from(nanos / SECOND).map_err(|_| "longer than ever".to_owned())?;
    let below = u32::try_from(nanos % SECOND).map_err(|_| wrong())?;
    Ok(Duration::new(seconds, below))
}

/// A floor by its name.
pub(super) fn floor(word: &str) -> Result<Floor, String> {
    crate::json::floor(word)
}

/// What happens to a payload that writes too much.
pub(super) fn on_output_limit(word: &str) -> Result<OnOutputLimit, String> {
    match word {
        "truncate" => Ok(OnOutputLimit::Truncate),
        "kill" => Ok(OnOutputLimit::Kill),
        _ => Err("write truncate or kill".to_owned()),
    }
}

/// How much of a language is allowed.
pub(super) fn mode(word: &str) -> Result<Mode, String> {
    let mode = Mode::from_word(word);
    let known = (mode.name() == word).then_some(mode);
    known.ok_or_else(|| "write off, restricted, standard or full".to_owned())
}

/// A place that is granted, or `loopback`.
pub(super) fn place(word: &str) -> Result<String, String> {
    match word.parse::<Grant>() {
        _ if word == "loopback" => Ok(word.to_owned()),
        Ok(grant) => Ok(grant.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// A range of addresses.
pub(super) fn range(word: &str) -> Result<Egress, String> {
    crate::config::range(word)
}

/// A leading number, its unit, and what is behind them.
fn quantity(word: &str) -> Option<(&str, &str, &str)> {
    let word = word.trim_start_matches(' ');
    let digits = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
    let (number, behind) = word.split_at(digits);
    let behind = behind.trim_start_matches(' ');
    let letters = behind.find(|c: char| !c.is_alphabetic()).unwrap_or(behind.len());
    let (unit, rest) = behind.split_at(letters);
    (!number.is_empty()).then_some((number, unit, rest))
}

/// `number` times the size of `unit`, without a detour over floating point.
fn scaled(number: &str, unit: &str, units: &[(&str, u128)]) -> Option<u128> {
    const MOST_PLACES: usize = 9;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let part = part.get(..part.len().min(MOST_PLACES))?;
    let places = u32::try_from(part.len()).ok()?;
    let whole = whole.parse::<u64>().ok()?;
    let part = u128::from(part.parse::<u64>().ok()?);
    Some(u128::from(whole) * factor + part * factor / 10u128.pow(places))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_and_a_plain_number_is_bytes() {
        for (word, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("64K", 65_536),
            ("256M", 268_435_456),
            ("1.5G", 1_610_612_736),
            ("1 GiB", 1 << 30),
            ("16777215T", 16_777_215 << 40),
        ] {
            assert_eq!(size(word), Ok(bytes), "{word}");
        }
        for word in ["", "M", "-1", "1X", "1Q", "1MM", "1M1M", "1..5M", "0x10", "1e3", "ten", "∞"]
        {
            assert!(size(word).is_err(), "{word}");
        }
        assert!(size("16777216T").is_err());
        assert!(size("99999999999999999999").is_err());
    }

    #[test]
    fn times_add_up_and_a_plain_number_is_seconds() {
        for (word, millis) in [
            ("60", 60_000),
            ("500ms", 500),
            ("1.5s", 1500),
            ("2min", 120_000),
            ("1min 30s", 90_000),
            ("1h30m", 5_400_000),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(time(word), Ok(Duration::from_millis(millis)), "{word}");
        }
        for word in ["", " ", "s", "-1s", "1x", "1 fortnight", "infinity", "1s,"] {
            assert!(time(word).is_err(), "{word}");
        }
        assert!(time("99999999999999999999s").is_err());
    }
}
