//! Where what is no code ends: strings, templates, comments, regular expressions, names.

use super::{Bound, Opener, Scan};

impl Scan<'_> {
    pub(super) fn template(&mut self) -> Result<bool, Bound> {
        let mut escaped = false;
        for (offset, byte) in self.rest().bytes().enumerate() {
            let after = self.rest().as_bytes().get(offset + 1);
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'`' => {
                    self.at += offset + 1;
                    self.levels.pop();
                    self.nested -= 1;
                    self.operand();
                    return Ok(true);
                }
                b'$' if after == Some(&b'{') => {
                    self.at += offset + 2;
                    self.open(Opener::Hole)?;
                    return Ok(true);
                }
                _ => {}
            }
        }
        Err(self.bound("this template literal has no end", "close it with `"))
    }

    pub(super) fn comment(&mut self) -> Result<bool, Bound> {
        let Some((inside, _)) = self.rest().get(2..).and_then(|rest| rest.split_once("*/")) else {
            return Err(self.bound("this comment has no end", "close it with */"));
        };
        let (length, has_line) = (inside.len() + 4, inside.contains(is_line_end));
        self.at += length;
        self.is_new_line |= has_line;
        Ok(true)
    }

    pub(super) fn string(&mut self, quote: char) -> Result<bool, Bound> {
        self.begin_operand("");
        let mut escaped = false;
        for (offset, byte) in self.rest().bytes().enumerate().skip(1) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'\n' | b'\r' => break,
                byte if byte == quote as u8 => {
                    self.at += offset + 1;
                    self.operand();
                    return Ok(true);
                }
                _ => {}
            }
        }
        Err(self.bound("this string has no end", "close it on its line, or use a template literal"))
    }

    /// No closer than needed: what follows a number and is no part of it brings no brackets.
    pub(super) fn number(&mut self) {
        self.begin_operand("");
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        self.at += self.rest().find(|c| !is_part(c)).unwrap_or(self.rest().len());
        self.operand();
    }
}

pub(super) fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

pub(super) fn line_end(source: &str, from: usize) -> usize {
    let rest = source.get(from..).unwrap_or_default();
    from + rest.find(is_line_end).unwrap_or(rest.len())
}

pub(super) fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(c, '_' | '$' | '#' | '\\')
        || (!c.is_ascii() && !c.is_whitespace() && c != '\u{feff}' && !is_line_end(c))
}

/// The bytes of a name, with the braces of its escapes.
pub(super) fn name_length(text: &str) -> usize {
    let mut length = 0;
    while let Some(rest) = text.get(length..) {
        let part = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        length += part;
        let is_escape = rest.get(..part).is_some_and(|name| name.ends_with("\\u"));
        let braces = rest.get(part..).filter(|rest| is_escape && rest.starts_with('{'));
        match braces.and_then(|rest| rest.find('}')).filter(|end| *end < 12) {
            Some(end) => length += end + 1,
            None => break,
        }
    }
    length.max(1)
}

/// The bytes from a slash to the one that closes the regular expression, on one line.
pub(super) fn regex_length(text: &str) -> Option<usize> {
    let (mut escaped, mut in_class) = (false, false);
    for (offset, c) in text.char_indices().skip(1) {
        match c {
            c if is_line_end(c) => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '/' if !in_class => return Some(offset + 1),
            _ => {}
        }
    }
    None
}
