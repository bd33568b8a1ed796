//! The bytes of a source: that an interpreter reads the text that was checked.

use super::super::{Finding, bounds};

const RULE: &str = "python/encoding";
const ADVICE: &str = "save the file as UTF-8, and leave the declaration out";

/// A declared encoding would have the interpreter read other text than was checked: as UTF-7, a
/// comment can hold a program.
pub(super) fn check(source: &str) -> Option<Finding> {
    if let Some(at) = source.find('\0') {
        let message = "a NUL byte ends no line and belongs to no text";
        return Some(bounds::single(source, at..at + 1, RULE, message, "leave it out"));
    }
    // A carriage return alone ends a line for some readers of a file and not for others.
    let by_feed = declared(source, |c| c == '\n');
    let (at, name) = by_feed.or_else(|| declared(source, |c| c == '\n' || c == '\r'))?;
    let message = format!("the source declares the encoding {name:?}, and only UTF-8 is read");
    Some(bounds::single(source, at..at + name.len(), RULE, &message, ADVICE))
}

/// The encoding other than UTF-8 or ASCII that one of the first two lines declares.
fn declared(source: &str, ends: impl Fn(char) -> bool) -> Option<(usize, &str)> {
    let mut start = 0;
    for line in source.split(ends).take(2) {
        let text = line.trim_start_matches(['\u{feff}', ' ', '\t', '\u{c}']);
        if !text.is_empty() && !text.starts_with(['#', '\r']) {
            return None;
        }
        if let Some((at, name)) = cookie(text) {
            let at = start + (line.len() - text.len()) + at;
            return (!is_utf8(name)).then_some((at, name));
        }
        start += line.len() + 1;
    }
    None
}

/// The name behind the first `coding:` or `coding=` that has one.
fn cookie(comment: &str) -> Option<(usize, &str)> {
    comment.match_indices("coding").find_map(|(at, word)| {
        let rest = comment.get(at + word.len()..)?.strip_prefix([':', '='])?;
        let rest = rest.trim_start_matches([' ', '\t']);
        let is_part = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let name = rest.get(..end).filter(|name| !name.is_empty())?;
        Some((comment.len() - rest.len(), name))
    })
}

fn is_utf8(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    ["utf-8", "utf8", "ascii", "us-ascii", "utf-8-unix", "utf-8-dos", "utf-8-mac", "utf-8-sig"]
        .contains(&name.as_str())
}
