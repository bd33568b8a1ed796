//! The JSON of outcomes and problems, which is the same through every door.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use belljar::{Error, Fault, Limits, OnOutputLimit, Outcome, Start};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// An outcome as one line of JSON. The contents of artifacts are left out when they were written
/// somewhere else.
pub fn outcome(outcome: &Outcome, with_contents: bool) -> String {
    line(&OutcomeRow::new(outcome, with_contents))
}

/// A refusal or failure as one line of JSON.
pub fn problem(error: &Error) -> String {
    let (layer, errno) = match error {
        Error::Unenforceable { what, errno, .. } => (Some(what.as_str()), Some(*errno)),
        _ => (None, None),
    };
    line(&ProblemRow {
        code: error.code(),
        message: &error.to_string(),
        fault: match error.fault() {
            Fault::Caller => "caller",
            Fault::Host => "host",
            Fault::Belljar => "belljar",
        },
        may_retry: error.may_retry(),
        hint: error.hint(),
        layer,
        errno,
    })
}

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

#[derive(Serialize)]
struct ProblemRow<'a> {
    code: &'a str,
    message: &'a str,
    fault: &'a str,
    may_retry: bool,
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<i32>,
}

#[derive(Serialize)]
struct OutcomeRow<'a> {
    id: &'a str,
    runtime: &'a str,
    status: &'a str,
    exit_code: Option<i32>,
    signal: Option<i32>,
    message: String,
    stdout: String,
    stderr: String,
    stdout_dropped_bytes: u64,
    stderr_dropped_bytes: u64,
    encoding: &'a str,
    wall_ms: f64,
    cpu_ms: f64,
    memory_peak_bytes: u64,
    processes_peak: u64,
    timings_ms: TimingsRow,
    start: &'a str,
    artifacts: Vec<ArtifactRow<'a>>,
    artifact_errors: &'a [String],
    denials: Vec<DenialRow<'a>>,
    limits: LimitsRow<'a>,
    receipt: ReceiptRow<'a>,
}

#[derive(Serialize)]
struct TimingsRow {
    queued: f64,
    jar: f64,
    start: f64,
    run: f64,
    collect: f64,
}

#[derive(Serialize)]
struct ArtifactRow<'a> {
    path: String,
    bytes: usize,
    media_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
}

#[derive(Serialize)]
struct DenialRow<'a> {
    kind: &'a str,
    what: &'a str,
    rule: &'a str,
    hint: &'a str,
    count: u64,
}

#[derive(Serialize)]
struct ReceiptRow<'a> {
    floor: &'a str,
    layers: Vec<LayerRow<'a>>,
    limits: Vec<LimitRow<'a>>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct LayerRow<'a> {
    layer: &'a str,
    state: &'a str,
    how: &'a str,
    cost_us: u64,
}

#[derive(Serialize)]
struct LimitRow<'a> {
    limit: &'a str,
    state: &'a str,
    how: &'a str,
}

struct LimitsRow<'a>(&'a Limits);

impl Serialize for LimitsRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0.rows() {
            map.serialize_entry(name, &value)?;
        }
        let on_output_limit = match self.0.on_output_limit {
            OnOutputLimit::Truncate => "truncate",
            OnOutputLimit::Kill => "kill",
        };
        map.serialize_entry("on_output_limit", on_output_limit)?;
        map.end()
    }
}

impl<'a> OutcomeRow<'a> {
    fn new(outcome: &'a Outcome, with_contents: bool) -> Self {
        let verdict = outcome.verdict;
        let (encoding, stdout, stderr) = texts(&outcome.stdout.bytes, &outcome.stderr.bytes);
        let (usage, timings) = (outcome.usage, outcome.timings);
        let artifacts = outcome.artifacts.iter().map(|artifact| ArtifactRow {
            path: artifact.path.to_string_lossy().into_owned(),
            bytes: artifact.bytes.len(),
            media_type: artifact.media_type,
            content: with_contents.then(|| BASE64.encode(&artifact.bytes)),
        });
        let denials = outcome.denials.iter().map(|denial| DenialRow {
            kind: denial.kind,
            what: &denial.what,
            rule: denial.rule,
            hint: denial.hint,
            count: denial.count,
        });
        Self {
            id: &outcome.id,
            runtime: &outcome.runtime,
            status: verdict.status(),
            exit_code: verdict.exit_code(),
            signal: verdict.signal(),
            message: verdict.message(&outcome.limits),
            stdout,
            stderr,
            stdout_dropped_bytes: outcome.stdout.dropped_bytes,
            stderr_dropped_bytes: outcome.stderr.dropped_bytes,
            encoding,
            wall_ms: millis(usage.wall),
            cpu_ms: millis(usage.cpu),
            memory_peak_bytes: usage.memory_peak_bytes,
            processes_peak: usage.processes_peak,
            timings_ms: TimingsRow {
                queued: millis(timings.queued),
                jar: millis(timings.jar),
                start: millis(timings.start),
                run: millis(timings.run),
                collect: millis(timings.collect),
            },
            start: outcome.start.name(),
            artifacts: artifacts.collect(),
            artifact_errors: &outcome.artifact_errors,
            denials: denials.collect(),
            limits: LimitsRow(&outcome.limits),
            receipt: receipt(&outcome.receipt),
        }
    }
}

fn receipt(receipt: &belljar::Receipt) -> ReceiptRow<'_> {
    let layers = receipt.layers.iter().map(|row| LayerRow {
        layer: row.layer.name(),
        state: row.state.name(),
        how: &row.how,
        cost_us: u64::try_from(row.cost.as_micros()).unwrap_or(u64::MAX),
    });
    let limits = receipt.limits.iter().map(|row| LimitRow {
        limit: row.limit,
        state: row.state.name(),
        how: &row.how,
    });
    ReceiptRow {
        floor: receipt.floor.name(),
        layers: layers.collect(),
        limits: limits.collect(),
        notes: &receipt.notes,
    }
}

/// Both streams in one encoding: nothing is lost to replacement characters.
fn texts(stdout: &[u8], stderr: &[u8]) -> (&'static str, String, String) {
    match (std::str::from_utf8(stdout), std::str::from_utf8(stderr)) {
        (Ok(stdout), Ok(stderr)) => ("utf-8", stdout.to_owned(), stderr.to_owned()),
        _ => ("base64", BASE64.encode(stdout), BASE64.encode(stderr)),
    }
}

/// To the microsecond.
#[expect(clippy::cast_precision_loss, reason = "2^52 microseconds are 142 years")]
fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stream_that_is_not_text_makes_both_base64() {
        assert_eq!(texts(b"a", b"b"), ("utf-8", "a".to_owned(), "b".to_owned()));
        assert_eq!(texts(b"a", b"\xff"), ("base64", "YQ==".to_owned(), "/w==".to_owned()));
    }

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

    #[test]
    fn a_problem_says_whose_fault_it_is() {
        let error = Error::Invalid("limit wall_ms is 0".to_owned());
        let expected = r#"{"code":"invalid_request","message":"limit wall_ms is 0","fault":"caller","may_retry":false,"hint":null}"#;
        assert_eq!(problem(&error), expected);
    }
}
