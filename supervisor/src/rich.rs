//! What a payload tells of itself beyond its output. All of it is the payload's own claim: it is
//! shown to whoever asked for it, and nothing is decided by it.

use std::collections::HashSet;
use std::os::fd::BorrowedFd;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::artifacts;
use crate::glob::Pattern;
use crate::redact::Redactor;
use crate::{Artifact, Limits};

/// Where a guest leaves what it has to tell of a single run, below /work.
pub(crate) const RESULT: &str = ".belljar-result.json";
/// The most that is read of what a guest tells at one time.
pub(crate) const TOLD_BYTES: u64 = 8 << 20;

const TEXT_BYTES: usize = 64 << 10;
const HTML_BYTES: usize = 1 << 20;
const FRAMES: usize = 100;
const WORD_BYTES: usize = 1000;
const FIGURES: usize = 64;

/// The value of the last expression, as the payload tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Value {
    /// In the words of its language, at most 64 KiB.
    pub text: String,
    /// As it draws itself, at most 1 MiB. Hostile: never show it where scripts run.
    pub html: Option<String>,
    /// As JSON, where that says all of it, at most 64 KiB.
    pub json: Option<String>,
}

/// What ended the code, as the payload tells it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Exception {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says.
    pub message: String,
    /// The lines that led to it, the outermost first.
    #[serde(default)]
    pub traceback: Vec<Frame>,
}

/// A line on the way to an exception.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Frame {
    /// Relative to `/work`, where it is there.
    pub file: String,
    /// Its number, from one.
    pub line: u64,
    /// The function that it is in.
    pub function: String,
    /// The line itself.
    pub code: String,
}

/// Everything that was told at one time.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) status: String,
    pub(crate) value: Option<Value>,
    pub(crate) error: Option<Exception>,
    /// The files of figures, below /work.
    pub(crate) figures: Vec<Pattern>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    status: String,
    value: Option<SaidValue>,
    error: Option<Exception>,
    #[serde(default)]
    figures: Vec<u32>,
}

#[derive(Deserialize)]
struct SaidValue {
    text: String,
    html: Option<String>,
    json: Option<String>,
}

impl Told {
    /// Parses what a guest said; nothing when that is no sense.
    pub(crate) fn parse(bytes: &[u8], redactor: &Redactor) -> Option<Self> {
        let said: Said = serde_json::from_slice(bytes).ok()?;
        let value = said.value.map(|value| Value {
            text: cut(redactor.text(&value.text), TEXT_BYTES),
            html: value.html.map(|html| redactor.text(&html)).filter(|it| it.len() <= HTML_BYTES),
            json: value.json.map(|json| redactor.text(&json)).filter(|it| is_json(it)),
        });
        let error = said.error.map(|error| Exception {
            kind: cut(redactor.text(&error.kind), WORD_BYTES),
            message: cut(redactor.text(&error.message), TEXT_BYTES),
            traceback: error
                .traceback
                .into_iter()
                .take(FRAMES)
                .map(|it| it.bound(redactor))
                .collect(),
        });
        let numbers = said.figures.into_iter().take(FIGURES);
        let figures = numbers.filter_map(|it| Pattern::parse(&format!("figures/{it}.png")).ok());
        Some(Self { status: said.status, value, error, figures: figures.collect() })
    }

    /// Reads what the guest of a single run left; nothing when it came to its end in another way.
    pub(crate) fn read(work: BorrowedFd<'_>, redactor: &Redactor) -> Option<Self> {
        let wanted = [Pattern::parse(RESULT).ok()?];
        let (mut left, _) = artifacts::collect(work, &wanted, &HashSet::new(), 1, TOLD_BYTES);
        Self::parse(&left.pop()?.bytes, redactor)
    }
}

impl Frame {
    fn bound(self, redactor: &Redactor) -> Self {
        let word = |text: String| cut(redactor.text(&text), WORD_BYTES);
        let (file, function, code) = (word(self.file), word(self.function), word(self.code));
        Self { file, line: self.line, function, code }
    }
}

/// Collects files and figures below `work`, within the limits on artifacts.
pub(crate) fn collect(
    work: BorrowedFd<'_>,
    wanted: impl IntoIterator<Item = Pattern>,
    figures: Vec<Pattern>,
    placed: &HashSet<&str>,
    limits: &Limits,
    redactor: &Redactor,
) -> (Vec<Artifact>, Vec<String>) {
    let wanted: Vec<_> = wanted.into_iter().chain(figures).collect();
    let (most, most_bytes) = (limits.artifacts, limits.artifact_bytes);
    let (mut artifacts, errors) = artifacts::collect(work, &wanted, placed, most, most_bytes);
    for artifact in &mut artifacts {
        // A name is chosen by the payload as its output is.
        artifact.path = redactor.text(&artifact.path.to_string_lossy()).into();
    }
    (artifacts, errors.iter().map(|error| redactor.text(error)).collect())
}

fn is_json(text: &str) -> bool {
    text.len() <= TEXT_BYTES && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn cut(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_bounded_and_redacted() {
        let mut secrets = belljar_protocol::SecretMap::new();
        secrets.insert("KEY", b"hunter2".to_vec()).unwrap();
        let redactor = Redactor::new(&secrets);
        let long = "é".repeat(TEXT_BYTES);
        let said = format!(
            r#"{{"status":"ok","figures":[1,2],"value":{{"text":"{long}","html":"hunter2","json":"{{]"}},
            "error":{{"type":"E","message":"hunter2","traceback":[{{"file":"f","line":1,"function":"","code":"x"}}]}}}}"#
        );
        let told = Told::parse(said.as_bytes(), &redactor).unwrap();
        let (value, error) = (told.value.unwrap(), told.error.unwrap());
        assert_eq!(value.text.len(), TEXT_BYTES);
        assert_eq!(value.html.as_deref(), Some("[redacted:KEY]"));
        assert_eq!(value.json, None);
        assert_eq!((error.message.as_str(), error.traceback.len()), ("[redacted:KEY]", 1));
        assert_eq!(told.figures.len(), 2);
    }

    #[test]
    fn nonsense_tells_nothing() {
        let deep = format!(r#"{{"x":{}"#, "[".repeat(100_000));
        for said in ["", "[]", "{", "null", r#"{"figures":[-1]}"#, r#"{"figures":["../x"]}"#, &deep]
        {
            assert!(Told::parse(said.as_bytes(), &Redactor::none()).is_none(), "{said:.40}");
        }
    }
}
