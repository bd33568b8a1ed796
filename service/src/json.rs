//! The JSON of requests, events, outcomes and problems, which is the same through every door.

mod allowed;
mod check;
mod data;
mod event;
mod history;
mod host;
mod limits;
mod log;
mod network;
mod outcome;
mod problem;
mod request;
mod rich;
mod runtimes;
mod session;
pub(crate) mod time;
mod version;

use std::collections::BTreeMap;

use serde::Serialize;

pub(crate) use allowed::{bound, network};
pub(crate) use check::{Check, CheckAnswer, CheckRequest, FindingRow};
#[cfg(test)]
pub(crate) use data::Base64;
pub(crate) use data::{Data, Encoded};
pub(crate) use event::Event;
pub(crate) use history::{HistoryPage, HistoryRow, PendingRow};
pub(crate) use host::{HostRow, level_name};
pub(crate) use limits::{LimitsRow, millis};
pub(crate) use log::{LogEntry, LogPage};
pub(crate) use network::NetworkRow;
pub(crate) use outcome::{Artifact, Denial, Outcome, Output};
pub(crate) use problem::{Problem, Whose};
pub(crate) use request::{Request, Wish, floor};
pub(crate) use rich::{ErrorRow, ResultRow};
pub(crate) use runtimes::{RuntimeRow, rows};
pub(crate) use session::{
    CallAnswer, CallLimits, CallRequest, Lives, SessionPage, SessionRequest, SessionRow,
};
pub(crate) use time::{now_ms, rfc3339};
pub(crate) use version::{API, VERSION, VersionRow};

/// What a caller knows a run by.
pub(crate) type Labels = BTreeMap<String, String>;

/// JSON that a terminal can show: DEL, the C1 controls and those that reverse the order of text,
/// which JSON lets stand for themselves, are escaped. Outside of strings JSON has none of them.
pub(crate) fn line(value: &impl Serialize) -> String {
    // Only a map with keys that are no strings, or our own `Serialize`, could fail.
    let text = serde_json::to_string(value).unwrap_or_default();
    if !text.contains(is_hidden_control) {
        return text;
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_hidden_control(letter) {
            // None is beyond the first plane: four digits are enough.
            safe.extend(["\\u", &format!("{:04x}", u32::from(letter))]);
        } else {
            safe.push(letter);
        }
    }
    safe
}

fn is_hidden_control(letter: char) -> bool {
    matches!(letter, '\u{7f}'..='\u{9f}') || is_bidi_control(letter)
}

/// Whether it makes a terminal show text in another order than it has (Unicode, annex 9, 2.3 to
/// 2.6).
pub(crate) fn is_bidi_control(letter: char) -> bool {
    matches!(
        letter,
        '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_is_left_and_the_text_is_the_same() {
        let text = "\u{1b}[2J \u{9b}2J \u{7f} ä\n";
        let json = line(&text);
        assert!(!json.chars().any(char::is_control), "{json:?}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn nothing_turns_text_around() {
        let text = "\u{202e}gpj\u{202c} \u{2066}a\u{2069} \u{200e}\u{200f}\u{61c} \u{2028} \u{5d0}";
        let json = line(&text);
        assert!(!json.contains(is_bidi_control), "{json:?}");
        assert!(json.starts_with("\"\\u202egpj\\u202c \\u2066a"), "{json:?}");
        assert!(json.ends_with("\u{5d0}\""), "{json:?}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
