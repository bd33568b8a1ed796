//! What a model is shown of an outcome.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rmcp::model::{CallToolResult, ContentBlock, Resource};
use serde::Serialize;
use serde_json::Value;

use super::shelf::Shelf;
use crate::json::{
    Artifact, CallAnswer, CheckAnswer, Denial, ErrorRow, FindingRow, Outcome, Output, Problem,
    ResultRow, RuntimeRow,
};

/// Of each end of an output that is too long to be shown.
const END_BYTES: usize = 4 << 10;
/// The largest image that is shown, and all of them together: each costs a model dearly.
const IMAGE_BYTES: usize = 1 << 20;
const IMAGES_BYTES: usize = 4 << 20;
/// Rows of denials, of errors and of files that are listed.
const MOST_ROWS: usize = 20;

/// How files of a kind begin. What only calls itself an image would spoil the whole conversation
/// with a model.
const IMAGES: [(&str, &[u8]); 5] = [
    ("image/png", b"\x89PNG\r\n\x1a\n"),
    ("image/jpeg", b"\xff\xd8\xff"),
    ("image/gif", b"GIF87a"),
    ("image/gif", b"GIF89a"),
    ("image/webp", b"RIFF"),
];

/// What outcomes and answers of sessions have in common.
struct Shown<'a> {
    id: &'a str,
    is_ok: bool,
    reason: String,
    output: &'a Output,
    result: Option<&'a ResultRow>,
    error: Option<&'a ErrorRow>,
    denials: &'a [Denial],
    artifacts: &'a [Artifact],
    artifact_errors: &'a [String],
}

/// The answer to `run_code`.
pub(super) fn run(outcome: &Outcome, tenant: &Arc<str>, shelf: Option<&Shelf>) -> CallToolResult {
    let shown = Shown {
        id: &outcome.id,
        is_ok: outcome.status == "ok",
        reason: reason(&outcome.status, &outcome.message, outcome.wall_ms),
        output: &outcome.output,
        result: outcome.result.as_ref(),
        error: outcome.error.as_ref(),
        denials: &outcome.denials,
        artifacts: &outcome.artifacts,
        artifact_errors: &outcome.artifact_errors,
    };
    shown.result(serde_json::to_value(outcome), tenant, shelf)
}

/// The same in a session.
pub(super) fn session_call(
    answer: &CallAnswer,
    tenant: &Arc<str>,
    shelf: Option<&Shelf>,
) -> CallToolResult {
    let shown = Shown {
        id: &answer.id,
        is_ok: answer.status == "ok",
        reason: reason(&answer.status, &answer.message, answer.wall_ms),
        output: &answer.output,
        result: answer.result.as_ref(),
        error: answer.error.as_ref(),
        denials: answer.outcome.as_ref().map_or(&[], |outcome| &outcome.denials),
        artifacts: &answer.artifacts,
        artifact_errors: &answer.artifact_errors,
    };
    shown.result(serde_json::to_value(answer), tenant, shelf)
}

/// The list of languages as text.
pub(super) fn runtimes(runtimes: &[RuntimeRow]) -> String {
    let mut text = String::new();
    for row in runtimes {
        let state = match (&row.version, &row.problem) {
            (_, Some(problem)) => format!("not available: {problem}"),
            (Some(version), None) => version.clone(),
            (None, None) => "available".to_owned(),
        };
        line(&mut text, &format!("{}: {state}", row.name));
    }
    text
}

/// What a model is told of code that was not let run.
pub(super) fn refused(problem: &Problem) -> CallToolResult {
    let mut text = format!("not run: {}\n", problem.message);
    rows(&mut text, "what to change", &lines(&problem.findings));
    let mut result = CallToolResult::error(vec![ContentBlock::text(text)]);
    result.structured_content = serde_json::to_value(problem).ok();
    result
}

/// Findings as text.
pub(super) fn checked(answer: &CheckAnswer) -> String {
    let mut text = format!("mode {}: {} findings\n", answer.mode, answer.findings.len());
    rows(&mut text, "what to change", &lines(&answer.findings));
    text
}

fn lines(findings: &[FindingRow]) -> Vec<String> {
    let line = |row: &FindingRow| {
        let FindingRow { text, message, advice, .. } = row;
        format!("{}: `{text}`: {message}; {advice}", row.place("code"))
    };
    findings.iter().map(line).collect()
}

/// A result that is a value and a text.
pub(super) fn plain(text: String, value: &impl Serialize) -> CallToolResult {
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    result.structured_content = serde_json::to_value(value).ok();
    result
}

impl Shown<'_> {
    fn result(
        &self,
        told: serde_json::Result<Value>,
        tenant: &Arc<str>,
        keeper: Option<&Shelf>,
    ) -> CallToolResult {
        let mut outcome = told.unwrap_or_default();
        let mut listed = outcome.get_mut("artifacts").and_then(Value::as_array_mut);
        let (mut text, mut shown_bytes) = (self.text(), 0);
        let (mut blocks, mut files) = (Vec::new(), Vec::new());
        for (at, artifact) in self.artifacts.iter().enumerate() {
            let link = keeper.and_then(|keeper| keeper.keep(tenant, self.id, artifact));
            files.push(file(artifact, link.as_ref()));
            let row = listed.as_mut().and_then(|rows| rows.get_mut(at)?.as_object_mut());
            if let (Some(row), Some(_)) = (row, &link) {
                // What can be read beside it is not said twice.
                row.remove("content");
            }
            if let Some(image) = image(artifact, IMAGES_BYTES - shown_bytes) {
                shown_bytes += artifact.bytes;
                blocks.push(image);
            } else if let Some(link) = link {
                blocks.push(ContentBlock::resource_link(link));
            }
        }
        rows(&mut text, "files", &files);
        rows(&mut text, "files that could not be collected", self.artifact_errors);
        blocks.insert(0, ContentBlock::text(text));
        let mut result = CallToolResult::success(blocks);
        result.is_error = Some(!self.is_ok);
        result.structured_content = Some(outcome);
        result
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n", self.reason);
        let output = self.output;
        stream(&mut text, "stdout", &output.stdout, output.stdout_dropped_bytes);
        stream(&mut text, "stderr", &output.stderr, output.stderr_dropped_bytes);
        if let Some(value) = self.result {
            stream(&mut text, "value", value.text.as_bytes(), 0);
        }
        if let Some(error) = self.error {
            let frames = error.traceback.iter();
            let frames = frames.map(|at| format!("{}:{} {}", at.file, at.line, at.code));
            let message = format!("{}: {}\n", error.r#type, error.message);
            let told = [message, frames.collect::<Vec<_>>().join("\n")].concat();
            stream(&mut text, "error", told.as_bytes(), 0);
        }
        let denials = self.denials.iter().map(|row| {
            let times =
                if row.count > 1 { format!(" ({} times)", row.count) } else { String::new() };
            format!("{}{times}: {}", row.what, row.hint)
        });
        rows(&mut text, "refused by the sandbox", &denials.collect::<Vec<_>>());
        text
    }
}

fn reason(status: &str, message: &str, wall_ms: f64) -> String {
    let millis = wall_ms.round();
    match status {
        "ok" | "nonzero_exit" => format!("{message} in {millis} ms"),
        _ => format!("{message}, after {millis} ms"),
    }
}

fn stream(text: &mut String, name: &str, bytes: &[u8], dropped: u64) {
    if bytes.is_empty() && dropped == 0 {
        return;
    }
    let all = bytes.len();
    line(text, &format!("\n{name} ({all} bytes):"));
    if all <= 2 * END_BYTES {
        line(text, &String::from_utf8_lossy(bytes));
    } else {
        let head = bytes.get(..boundary(bytes, END_BYTES)).unwrap_or_default();
        let tail = bytes.get(boundary(bytes, all - END_BYTES)..).unwrap_or_default();
        let left = all - head.len() - tail.len();
        line(text, &String::from_utf8_lossy(head));
        line(text, &format!("[... {left} bytes of {name} left out here ...]"));
        line(text, &String::from_utf8_lossy(tail));
    }
    if dropped > 0 {
        line(text, &format!("[{dropped} more bytes of {name} were beyond its limit and are lost]"));
    }
}

/// The last place up to `at` that cuts no letter in two.
fn boundary(bytes: &[u8], at: usize) -> usize {
    let is_inside = |place: &usize| bytes.get(*place).is_some_and(|byte| byte & 0xc0 == 0x80);
    (at.saturating_sub(3)..=at).rev().find(|place| !is_inside(place)).unwrap_or(at)
}

fn file(artifact: &Artifact, link: Option<&Resource>) -> String {
    let Artifact { path, media_type, bytes, .. } = artifact;
    let place = link.map_or("not kept", |link| &*link.uri);
    format!("{path} ({media_type}, {bytes} bytes): {place}")
}

fn rows(text: &mut String, title: &str, rows: &[String]) {
    if rows.is_empty() {
        return;
    }
    line(text, &format!("\n{title}:"));
    for row in rows.iter().take(MOST_ROWS) {
        line(text, &format!("- {row}"));
    }
    if rows.len() > MOST_ROWS {
        line(text, &format!("- and {} more", rows.len() - MOST_ROWS));
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    if !line.ends_with('\n') {
        text.push('\n');
    }
}

/// An artifact as an image, if it is one of at most `most` bytes.
fn image(artifact: &Artifact, most: usize) -> Option<ContentBlock> {
    let bytes = &artifact.content.as_ref()?.0;
    let kind = &*artifact.media_type;
    let is_one = IMAGES.iter().any(|(known, start)| *known == kind && bytes.starts_with(start));
    (is_one && bytes.len() <= most.min(IMAGE_BYTES))
        .then(|| ContentBlock::image(BASE64.encode(bytes), kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Base64;

    fn shown(bytes: &[u8], dropped: u64) -> String {
        let mut text = String::new();
        stream(&mut text, "stdout", bytes, dropped);
        text
    }

    #[test]
    fn short_output_is_shown_as_it_is() {
        assert_eq!(shown(b"", 0), "");
        assert_eq!(shown(b"a\nb", 0), "\nstdout (3 bytes):\na\nb\n");
        assert_eq!(shown(b"a\n", 0), "\nstdout (2 bytes):\na\n");
    }

    #[test]
    fn of_long_output_both_ends_are_shown_and_no_letter_is_cut() {
        for shift in 0..4 {
            let bytes = format!("{}{}END", "x".repeat(shift), "\u{1f980}".repeat(50_000));
            let text = shown(bytes.as_bytes(), 7);
            assert!(!text.contains('\u{fffd}'), "{shift}");
            assert!(text.len() < 3 * END_BYTES, "{}", text.len());
            assert!(text.contains(&format!("({} bytes)", bytes.len())), "{text}");
            let left = text.split("[... ").nth(1).unwrap().split(' ').next().unwrap();
            let kept = text.matches('\u{1f980}').count() * 4 + shift + 3;
            assert_eq!(left.parse::<usize>().unwrap() + kept, bytes.len());
            assert!(text.contains("END\n[7 more bytes"), "{shift}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_end_nothing() {
        let text = shown(&b"\xbf".repeat(100_000), 0);
        assert!(text.contains("left out"), "{text}");
    }

    #[test]
    fn an_image_is_what_begins_as_one() {
        let artifact = |kind: &'static str, bytes: &[u8]| Artifact {
            path: "x".to_owned(),
            bytes: bytes.len(),
            media_type: kind.into(),
            content: Some(Base64(bytes.to_vec())),
        };
        let png = [IMAGES[0].1, &[0; 100]].concat();
        assert!(image(&artifact("image/png", &png), IMAGES_BYTES).is_some());
        assert!(image(&artifact("image/jpeg", &png), IMAGES_BYTES).is_none());
        assert!(image(&artifact("image/png", b"text"), IMAGES_BYTES).is_none());
        assert!(image(&artifact("image/png", &png), 107).is_none());
        let large = [IMAGES[0].1, &vec![0; IMAGE_BYTES]].concat();
        assert!(image(&artifact("image/png", &large), IMAGES_BYTES).is_none());
    }
}
