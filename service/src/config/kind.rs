//! What a value may look like, in a file and as a word of the environment or of an option.

use std::net::SocketAddr;

use belljar::{Egress, Grant};
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
    /// A mode of the rules of languages. A word that is none is the strictest, and no error: a
    /// service that did not start would take away more than what was to be restricted.
    Strictness,
    /// Places that may be granted.
    Grants,
    /// Ranges of addresses.
    Ranges,
    /// Who resolves names; empty for those of the host.
    Resolver,
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
            Self::Strictness => {
                "\"off\", \"restricted\", \"standard\" or \"full\"; another word is \"off\""
                    .to_owned()
            }
            Self::Grants => "list of places, like \"api.example.com:443\"".to_owned(),
            Self::Ranges => "list of ranges, like \"10.0.0.0/8\"".to_owned(),
            Self::Resolver => "address and port, like \"192.0.2.1:53\"".to_owned(),
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
                Self::Text
                | Self::Mode
                | Self::Choice(_)
                | Self::Size
                | Self::Millis
                | Self::Time
                | Self::Strictness
                | Self::Resolver,
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
            (Self::Grants | Self::Ranges, Written::Array(rows)) => {
                let texts = rows.iter().map(|row| row.as_str().ok_or_else(wrong));
                self.places(texts.collect::<Result<_, _>>()?)
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
            Self::Text | Self::Strictness => Ok(Value::from(word)),
            Self::List | Self::Grants | Self::Ranges => {
                let rows = word.split(',').map(str::trim).filter(|row| !row.is_empty());
                self.places(rows.collect())
            }
            Self::Resolver => {
                let is_one = word.is_empty() || word.parse::<SocketAddr>().is_ok();
                is_one.then(|| Value::from(word)).ok_or_else(wrong)
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

    /// A list of texts, if they are what this is a list of.
    fn places(self, rows: Vec<&str>) -> Result<Value, String> {
        for row in &rows {
            match self {
                Self::Grants => drop(row.parse::<Grant>().map_err(|error| error.to_string())?),
                Self::Ranges => drop(range(row)?),
                _ => {}
            }
        }
        Ok(rows.into_iter().map(Value::from).collect())
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

/// Ranges of which one is `word`.
///
/// # Errors
/// When it is no range, or one that nobody can open.
pub(crate) fn range(word: &str) -> Result<Egress, String> {
    let range = word.parse().map_err(|_| format!("{word:?} is no range; write ADDRESS/BITS"))?;
    let egress = Egress { open_ranges: vec![range], ..Egress::default() };
    egress.check().map_err(|error| error.to_string())?;
    Ok(egress)
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
