//! What a check found, while it goes on.

use std::ops::Range;

use super::Finding;

/// As many as a reader can use.
const MOST: usize = 100;
const TEXT_CHARS: usize = 80;

/// The findings of one source, told by where their bytes are.
#[derive(Debug)]
pub(super) struct Findings<'source> {
    source: &'source str,
    found: Vec<Found>,
    /// Whether as many as are told are known.
    is_full: bool,
}

#[derive(Debug)]
struct Found {
    at: Range<usize>,
    rule: &'static str,
    message: String,
    advice: String,
}

impl<'source> Findings<'source> {
    pub(super) fn new(source: &'source str) -> Self {
        Self { source, found: Vec::new(), is_full: false }
    }

    /// Notes that the bytes `at` break `rule`. The same place breaks the same rule once.
    pub(super) fn add(
        &mut self,
        at: Range<usize>,
        rule: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let is_known =
            self.found.last().is_some_and(|last| last.at.start == at.start && last.rule == rule);
        if is_known {
            return;
        }
        // Some may come before what is known already, so more are kept than are told.
        if self.found.len() >= 2 * MOST {
            self.settle();
        }
        self.found.push(Found { at, rule, message: message.into(), advice: advice.into() });
    }

    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether there is nothing to gain by looking on.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    fn settle(&mut self) {
        self.found.sort_by_key(|found| (found.at.start, found.rule));
        self.found.dedup_by(|next, first| next.at == first.at && next.rule == first.rule);
        self.is_full |= self.found.len() >= MOST;
        self.found.truncate(MOST);
    }

    /// Those that are told, in the order of the source.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.settle();
        let mut place = Place { offset: 0, line: 1, line_start: 0 };
        let source = self.source;
        let tell = |found: Found| {
            place.advance(source, found.at.start);
            Finding {
                file: String::new(),
                line: place.line,
                column: place.column(source),
                rule: found.rule,
                text: shortened(source, &found.at),
                message: found.message,
                advice: found.advice,
            }
        };
        self.found.into_iter().map(tell).collect()
    }
}

/// Where in a source a walk from its start has come to.
struct Place {
    offset: usize,
    line: u32,
    line_start: usize,
}

impl Place {
    fn advance(&mut self, source: &str, to: usize) {
        let bytes = source.as_bytes();
        for (at, byte) in bytes.iter().enumerate().take(to).skip(self.offset) {
            // A carriage return ends a line, unless a line feed follows and ends it.
            let ends = *byte == b'\n' || *byte == b'\r' && bytes.get(at + 1) != Some(&b'\n');
            if ends {
                self.line = self.line.saturating_add(1);
                self.line_start = at + 1;
            }
        }
        self.offset = self.offset.max(to);
    }

    fn column(&self, source: &str) -> u32 {
        let before = source.get(self.line_start..self.offset).unwrap_or_default();
        let before = before.trim_start_matches('\u{feff}');
        u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX)
    }
}

/// The first line of what is there.
fn shortened(source: &str, at: &Range<usize>) -> String {
    let text = source.get(at.clone()).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let mut shown: String = line.chars().take(TEXT_CHARS).collect();
    if shown.len() < text.trim_end().len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lines_and_columns_in_characters() {
        let source = "é = 1\r\nöö = bad\rx = worse";
        let mut findings = Findings::new(source);
        for word in ["worse", "bad"] {
            let start = source.find(word).unwrap();
            findings.add(start..start + word.len(), "test/rule", "a message", "an advice");
        }
        let found = findings.finish();
        let places: Vec<_> =
            found.iter().map(|it| (it.line, it.column, it.text.as_str())).collect();
        assert_eq!(places, [(2, 6, "bad"), (3, 5, "worse")]);
    }

    #[test]
    fn a_hundred_are_told_and_the_same_one_once() {
        let source = "x".repeat(500);
        let mut findings = Findings::new(&source);
        for at in (0..500).rev() {
            findings.add(at..at + 1, "test/rule", "", "");
            findings.add(at..at + 1, "test/rule", "", "");
        }
        let found = findings.finish();
        assert_eq!(found.len(), MOST);
        assert_eq!(found.last().map(|it| it.column), Some(100));
    }
}
