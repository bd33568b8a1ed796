//! How deep a source nests, found in one pass over its bytes, before a parser that recurses sees it.
//!
//! What opens is counted against what closes, and what recurses without a bracket (prefixes, chains,
//! branches) against the end of its statement. Where a slash could begin a regular expression as well
//! as divide, a source could hide brackets behind a quote that is none: there it is refused.

mod literals;

use literals::{is_name, line_end, name_length, regex_length};

use super::words::{self, Word};

/// The most brackets, and the most of anything that nests, within each other.
const BRACKETS_MOST: usize = 128;
const NESTED_MOST: usize = 1000;
/// As much as is read in search of what closes regular expressions that are none.
const SOUGHT_BYTES: usize = 16 << 20;

/// Where a source cannot be looked at, and why.
pub(super) struct Bound {
    pub(super) at: usize,
    pub(super) message: &'static str,
    pub(super) advice: &'static str,
}

/// The levels that nest at most.
///
/// # Errors
/// [`Bound`] where `source` nests too deep, or may.
pub(super) fn check(source: &str, is_typescript: bool) -> Result<u32, Bound> {
    let at = if source.starts_with("#!") { line_end(source, 0) } else { 0 };
    let mut scan = Scan {
        source,
        is_typescript,
        at,
        levels: vec![Level::default()],
        nested: 0,
        deepest: 0,
        before: Before::Operator,
        is_header: false,
        is_new_line: true,
        sought: 0,
    };
    while scan.step()? {
        scan.deepest = scan.deepest.max(scan.nested);
    }
    Ok(u32::try_from(scan.deepest).unwrap_or(u32::MAX))
}

#[derive(Default)]
struct Level {
    opener: Opener,
    /// What nests in it without a bracket: within its expression, and within its statement.
    links: usize,
    arms: usize,
    /// Whether one of them is a `do`, whose end is a `while`.
    is_do: bool,
    /// Type arguments that are open.
    angles: usize,
    /// Whether it is what `if` and its like test: no operand.
    is_header: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Opener {
    #[default]
    File,
    Bracket(u8),
    Template,
    Hole,
}

/// What came last: it decides what a slash is, and whether a statement is over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Operator,
    Dot,
    Operand,
    Brace,
    Semicolon,
    /// A word that is a name here, and a keyword there.
    Either,
}

struct Scan<'a> {
    source: &'a str,
    is_typescript: bool,
    at: usize,
    levels: Vec<Level>,
    nested: usize,
    deepest: usize,
    before: Before,
    /// Whether the bracket that comes is what `if` and its like test.
    is_header: bool,
    is_new_line: bool,
    sought: usize,
}

impl<'a> Scan<'a> {
    /// One token; nothing at the end.
    fn step(&mut self) -> Result<bool, Bound> {
        if self.levels.last().is_some_and(|level| level.opener == Opener::Template) {
            return self.template();
        }
        let Some(next) = self.rest().chars().next() else { return Ok(false) };
        match next {
            '\n' | '\r' | '\u{2028}' | '\u{2029}' => self.is_new_line = true,
            next if next.is_whitespace() || next == '\u{feff}' => {}
            '/' if self.rest().starts_with("//") => {
                self.at = line_end(self.source, self.at);
                return Ok(true);
            }
            '/' if self.rest().starts_with("/*") => return self.comment(),
            '"' | '\'' => return self.string(next),
            '`' => {
                self.begin_sign();
                self.link()?;
                self.open(Opener::Template)?;
            }
            '(' | '[' | '{' => {
                self.begin_sign();
                self.link()?;
                let is_header = std::mem::take(&mut self.is_header) && next == '(';
                self.open(Opener::Bracket(next as u8))?;
                if let Some(level) = self.levels.last_mut() {
                    level.is_header = is_header;
                }
            }
            ')' | ']' | '}' => self.close(next)?,
            '/' => return self.slash(),
            next if next.is_ascii_digit() => {
                self.number();
                return Ok(true);
            }
            next if is_name(next) => return self.word(),
            _ => return self.punctuation(),
        }
        self.at += next.len_utf8();
        Ok(true)
    }

    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn bound(&self, message: &'static str, advice: &'static str) -> Bound {
        Bound { at: self.at, message, advice }
    }

    fn open(&mut self, opener: Opener) -> Result<(), Bound> {
        self.levels.push(Level { opener, ..Level::default() });
        self.before = Before::Operator;
        self.nested += 1;
        if self.levels.len() > BRACKETS_MOST {
            return Err(self.too_deep());
        }
        Ok(())
    }

    fn close(&mut self, closer: char) -> Result<(), Bound> {
        let Some(level) = self.levels.pop() else { return Err(self.unbalanced()) };
        let is_match = matches!(
            (level.opener, closer),
            (Opener::Bracket(b'('), ')')
                | (Opener::Bracket(b'['), ']')
                | (Opener::Bracket(b'{') | Opener::Hole, '}')
        );
        if !is_match {
            return Err(self.unbalanced());
        }
        self.nested = self.nested.saturating_sub(1 + level.links + level.arms);
        self.is_header = false;
        self.is_new_line = false;
        self.before = match closer {
            '}' => Before::Brace,
            _ if level.is_header => Before::Operator,
            _ => Before::Operand,
        };
        Ok(())
    }

    fn unbalanced(&self) -> Bound {
        self.bound("this bracket closes nothing that is open", "balance the brackets")
    }

    fn too_deep(&self) -> Bound {
        self.bound(
            "the source nests deeper than is looked at",
            "use names for parts of it, or split it up",
        )
    }

    /// One more thing that nests within the expression.
    fn link(&mut self) -> Result<(), Bound> {
        if let Some(level) = self.levels.last_mut() {
            level.links += 1;
            self.nested += 1;
        }
        if self.nested > NESTED_MOST { Err(self.too_deep()) } else { Ok(()) }
    }

    /// The expression is over.
    fn end_links(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            self.nested -= std::mem::take(&mut level.links);
        }
    }

    fn end_statement(&mut self) {
        self.end_links();
        if let Some(level) = self.levels.last_mut() {
            self.nested -= std::mem::take(&mut level.arms);
            level.angles = 0;
            level.is_do = false;
        }
    }

    /// Ends the statement before `word`, if it cannot go on with it.
    fn begin_operand(&mut self, word: &str) {
        let is_over = match self.before {
            Before::Semicolon | Before::Brace => true,
            Before::Operand | Before::Either => self.is_new_line,
            Before::Operator | Before::Dot => false,
        };
        let is_do = self.levels.last().is_some_and(|level| level.is_do);
        let goes_on = words::goes_on(word) || (is_do && word == "while");
        if is_over && !goes_on {
            self.end_statement();
        }
    }

    /// Ends the statement before a sign, which a semicolon alone makes certain.
    fn begin_sign(&mut self) {
        if self.before == Before::Semicolon {
            self.end_statement();
        }
    }

    fn operand(&mut self) {
        self.before = Before::Operand;
        self.is_header = false;
        self.is_new_line = false;
    }

    fn word(&mut self) -> Result<bool, Bound> {
        let length = name_length(self.rest());
        let word = self.source.get(self.at..self.at + length).unwrap_or_default();
        let kind = match self.before {
            Before::Dot => Word::Name,
            _ if word.contains('\\') => Word::Either,
            _ => words::kind(word),
        };
        if self.before != Before::Dot {
            self.begin_operand(word);
        }
        let was_header = std::mem::take(&mut self.is_header);
        self.before = match kind {
            Word::Name => Before::Operand,
            Word::Either => Before::Either,
            Word::Keyword | Word::Case | Word::Branch | Word::Header => Before::Operator,
        };
        match kind {
            Word::Name => {}
            Word::Case => self.end_statement(),
            Word::Keyword | Word::Either => {
                self.link()?;
                self.is_header = was_header && word == "await";
            }
            Word::Branch | Word::Header => {
                self.is_header = kind == Word::Header;
                if let Some(level) = self.levels.last_mut() {
                    level.arms += 1;
                    level.is_do |= word == "do";
                    self.nested += 1;
                }
                self.end_links();
            }
        }
        if self.nested > NESTED_MOST {
            return Err(self.too_deep());
        }
        self.is_new_line = false;
        self.at += length;
        Ok(true)
    }

    /// A slash that is no comment.
    fn slash(&mut self) -> Result<bool, Bound> {
        if matches!(self.before, Before::Operand | Before::Dot) {
            return self.punctuation();
        }
        let end = regex_length(self.rest());
        if end.is_none() {
            self.sought += line_end(self.source, self.at) - self.at;
        }
        if self.sought > SOUGHT_BYTES {
            return Err(self.bound("too many slashes may divide", "break the line"));
        }
        match (self.before, end) {
            (Before::Operand | Before::Dot, _) | (Before::Brace | Before::Either, None) => {
                self.punctuation()
            }
            (Before::Operator | Before::Semicolon, Some(length)) => {
                self.begin_operand("");
                self.at += length;
                self.operand();
                Ok(true)
            }
            (Before::Operator | Before::Semicolon, None) => {
                Err(self.bound("this regular expression has no end", "close it with / on its line"))
            }
            (Before::Brace | Before::Either, Some(_)) => Err(self.bound(
                "this may divide, or begin a regular expression",
                "give the regular expression a name, or put it in parentheses",
            )),
        }
    }

    fn punctuation(&mut self) -> Result<bool, Bound> {
        let rest = self.rest();
        if rest.starts_with("<!--") || (self.is_new_line && rest.starts_with("-->")) {
            return Err(self.bound("this is a comment of HTML", "write // instead"));
        }
        self.begin_sign();
        let sign = words::sign(rest);
        let after = self.after(sign);
        match sign {
            ";" => {}
            "," if self.levels.last().is_some_and(|level| level.angles == 0) => self.end_links(),
            _ => self.link()?,
        }
        if let Some(level) = self.levels.last_mut().filter(|_| self.is_typescript) {
            match sign {
                "<" => level.angles += 1,
                ">" | ">>" | ">>>" => level.angles = level.angles.saturating_sub(sign.len()),
                _ => {}
            }
        }
        self.before = after;
        self.is_header = false;
        self.is_new_line = false;
        self.at += sign.len().max(1);
        Ok(true)
    }

    /// What `sign` leaves behind.
    fn after(&self, sign: &str) -> Before {
        let is_operand = matches!(self.before, Before::Operand) && !self.is_new_line;
        match sign {
            ";" => Before::Semicolon,
            "." | "?." => Before::Dot,
            // Behind an operand on the same line these belong to it.
            "++" | "--" | "!" if is_operand && (sign != "!" || self.is_typescript) => {
                Before::Operand
            }
            "++" | "--" => Before::Either,
            ">" | ">>" | ">>>" if self.is_typescript => Before::Either,
            _ => Before::Operator,
        }
    }
}
