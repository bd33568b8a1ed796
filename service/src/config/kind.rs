//! What a value may look like, in a file and as a word of the environment or of an option.

use serde_json::Value;
use toml::Value as Written;

use crate::cli::words;

/// The types of values. In a struct they are strings, lists of them, truths and whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    List,
    Flag,
    /// From this one on, below 2^32.
    Count(u32),
    /// Whole, below 2^63, which is what TOML has.
    Number,
    /// Bytes, or `256M`.
    Size,
    /// Milliseconds, or `10min`.
    Millis,
    /// Seconds, or `500ms`.
    Time,
    /// Permissions, in octal.
    Mode,
    Choice(&'static [&'static str]),
}

impl Kind {
    /// For a person.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::List => "list of texts".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Count(0) | Self::Number => "whole number".to_owned(),
            Self::Count(least) => format!("whole number, at least {least}"),
            Self::Size => "bytes, or a size like \"256M\"".to_owned(),
            Self::Millis => "milliseconds, or a time like \"10min\"".to_owned(),
            Self::Time => "seconds, or a time like \"500ms\"".to_owned(),
            Self::Mode => "octal permissions in quotes".to_owned(),
            Self::Choice(words) => {
                words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
            }
        }
    }

    /// Out of a file.
    pub(crate) fn read(self, written: &Written) -> Result<Value, String> {
        let wrong = || format!("expected {}", self.name());
        match (self, written) {
            (
                Self::Text | Self::Mode | Self::Choice(_) | Self::Size | Self::Millis | Self::Time,
                Written::String(word),
            ) => self.word(word),
            (
                Self::Count(_) | Self::Number | Self::Size | Self::Millis | Self::Time,
                Written::Integer(number),
            ) => self.word(&number.to_string()),
            (Self::Flag, Written::Boolean(truth)) => Ok(Value::Bool(*truth)),
            (Self::List, Written::Array(rows)) => {
                let texts = rows.iter().map(|row| match row {
                    Written::String(text) => Ok(Value::String(text.clone())),
                    Written::Integer(number) => Ok(Value::String(number.to_string())),
                    _ => Err(wrong()),
                });
                texts.collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
            _ => Err(wrong()),
        }
    }

    /// From the environment or an option, where everything is text and a list has commas.
    pub(crate) fn word(self, word: &str) -> Result<Value, String> {
        let wrong = || format!("expected {}", self.name());
        let whole = |word: &str| word.parse::<u64>().map_err(|_| wrong());
        let within = |number: u64, most: u64| {
            (number <= most).then(|| Value::from(number)).ok_or_else(wrong)
        };
        match self {
            Self::Text => Ok(Value::from(word)),
            Self::List => {
                let rows = word.split(',').map(str::trim).filter(|row| !row.is_empty());
                Ok(rows.map(Value::from).collect())
            }
            Self::Flag => word.parse::<bool>().map(Value::Bool).map_err(|_| wrong()),
            Self::Count(least) => {
                let number = whole(word)?;
                if number < u64::from(least) {
                    return Err(wrong());
                }
                within(number, u64::from(u32::MAX))
            }
            Self::Number => within(whole(word)?, i64::MAX.unsigned_abs()),
            Self::Size => within(words::size(word)?, i64::MAX.unsigned_abs()),
            Self::Millis => match word.parse::<u64>() {
                Ok(millis) => within(millis, i64::MAX.unsigned_abs()),
                Err(_) => Ok(Value::from(crate::json::millis(words::time(word)?))),
            },
            Self::Time => Ok(Value::from(time::shown(words::time(word)?))),
            Self::Mode => {
                let is_octal = !word.is_empty() && word.bytes().all(|d| (b'0'..=b'7').contains(&d));
                let mode = u32::from_str_radix(word, 8).ok().filter(|mode| *mode <= 0o777);
                mode.filter(|_| is_octal).map(|_| Value::from(word)).ok_or_else(wrong)
            }
            Self::Choice(words) => {
                words.contains(&word).then(|| Value::from(word)).ok_or_else(wrong)
            }
        }
    }

    /// As it stands in a file.
    pub(crate) fn shown(self, value: &Value) -> String {
        const UNITS: [(u32, char); 3] = [(30, 'G'), (20, 'M'), (10, 'K')];
        let bytes = value.as_u64().filter(|bytes| self == Self::Size && *bytes > 0);
        let sized = bytes.and_then(|bytes| {
            let unit = UNITS.iter().find(|(shift, _)| bytes.trailing_zeros() >= *shift);
            unit.map(|(shift, letter)| format!("\"{}{letter}\"", bytes >> shift))
        });
        // JSON's strings, numbers, truths and lists are TOML's as well.
        sized.unwrap_or_else(|| crate::json::line(value))
    }
}

/// Times as words, so that they say what they count.
pub(super) mod time {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&shown(*time))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        super::words::time(&String::deserialize(from)?).map_err(de::Error::custom)
    }

    pub(super) fn shown(time: Duration) -> String {
        let millis = time.as_millis();
        if millis.is_multiple_of(1000) {
            format!("{}s", millis / 1000)
        } else {
            format!("{millis}ms")
        }
    }
}
