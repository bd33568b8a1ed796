//! Programs of sed: another program is started by the command `e`, or the flag of that name.

use std::iter::Peekable;
use std::str::Chars;

use super::Verdict;

/// A program while it is read; what is not understood ends that.
struct Scan<'text> {
    rest: Peekable<Chars<'text>>,
    brackets: Brackets,
}

/// What a mark between brackets is: programs of the name sed are not of one mind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Brackets {
    /// A character, also behind a class: `[[:space:]/]`.
    Classes,
    /// A character.
    Sets,
    /// The end of the pattern.
    Nothing,
}

pub(super) fn scan(program: &str) -> Verdict {
    let verdict = read(program, Brackets::Classes);
    let starts = |brackets| read(program, brackets) == Verdict::Starts;
    if verdict == Verdict::Plain && (starts(Brackets::Sets) || starts(Brackets::Nothing)) {
        return Verdict::Starts;
    }
    verdict
}

fn read(program: &str, brackets: Brackets) -> Verdict {
    let mut scan = Scan { rest: program.chars().peekable(), brackets };
    loop {
        scan.skip(|c| c.is_whitespace() || c == ';');
        if scan.rest.peek().is_none() {
            return Verdict::Plain;
        }
        match scan.command() {
            Some(Verdict::Plain) => {}
            Some(verdict) => return verdict,
            None => return Verdict::Unclear,
        }
    }
}

impl Scan<'_> {
    fn skip(&mut self, is_skipped: impl Fn(char) -> bool) {
        while self.rest.next_if(|c| is_skipped(*c)).is_some() {}
    }

    fn blanks(&mut self) {
        self.skip(|c| c.is_whitespace() && c != '\n');
    }

    /// One command, and the addresses before it.
    fn command(&mut self) -> Option<Verdict> {
        self.address()?;
        self.blanks();
        if self.rest.next_if_eq(&',').is_some() {
            self.blanks();
            self.rest.next_if(|c| matches!(c, '+' | '~'));
            self.address()?;
        }
        self.skip(|c| c == '!' || c.is_whitespace());
        match self.rest.next()? {
            '{' => return Some(Verdict::Plain),
            '}' | '=' | 'd' | 'D' | 'g' | 'G' | 'h' | 'H' | 'n' | 'N' | 'p' | 'P' | 'x' | 'F'
            | 'z' => {}
            'l' | 'L' | 'q' | 'Q' => self.skip(|c| c.is_ascii_digit() || c == ' '),
            'e' => return Some(Verdict::Starts),
            '#' | 'r' | 'R' | 'w' | 'W' => self.skip(|c| c != '\n'),
            'a' | 'i' | 'c' => self.text(),
            ':' | 'b' | 't' | 'T' | 'v' => {
                self.blanks();
                self.skip(|c| !c.is_whitespace() && c != ';' && c != '}');
            }
            's' => return self.substitution(),
            'y' => {
                let mark = self.rest.next()?;
                self.until(mark)?;
                self.until(mark)?;
            }
            _ => return None,
        }
        self.end()
    }

    /// A command ends where its line or block does.
    fn end(&mut self) -> Option<Verdict> {
        self.blanks();
        match self.rest.peek() {
            None | Some('\n' | ';' | '}' | '#') => Some(Verdict::Plain),
            Some(_) => None,
        }
    }

    fn address(&mut self) -> Option<()> {
        match self.rest.peek() {
            Some('0'..='9') => self.skip(|c| c.is_ascii_digit() || c == '~' || c == ' '),
            Some('$') => drop(self.rest.next()),
            Some('/' | '\\') => {
                let mark = match self.rest.next()? {
                    '\\' => self.rest.next()?,
                    mark => mark,
                };
                self.pattern(mark)?;
                self.skip(|c| matches!(c, 'I' | 'M'));
            }
            _ => {}
        }
        Some(())
    }

    fn substitution(&mut self) -> Option<Verdict> {
        let mark = self.rest.next().filter(|mark| !matches!(mark, '\n' | '\\'))?;
        self.pattern(mark)?;
        self.until(mark)?;
        let mut verdict = Verdict::Plain;
        loop {
            match self.rest.peek() {
                Some('e') => verdict = Verdict::Starts,
                Some('g' | 'p' | 'i' | 'I' | 'm' | 'M' | '0'..='9') => {}
                Some('w') => {
                    self.skip(|c| c != '\n');
                    return Some(verdict);
                }
                _ => return self.end().and(Some(verdict)),
            }
            self.rest.next();
        }
    }

    /// Goes behind the next `mark` that no backslash is before.
    fn until(&mut self, mark: char) -> Option<()> {
        loop {
            match self.rest.next()? {
                c if c == mark => return Some(()),
                '\\' => drop(self.rest.next()),
                _ => {}
            }
        }
    }

    /// The same, where what is between brackets does not count.
    fn pattern(&mut self, mark: char) -> Option<()> {
        loop {
            match self.rest.next()? {
                c if c == mark => return Some(()),
                '\\' => drop(self.rest.next()),
                '[' if self.brackets != Brackets::Nothing => self.brackets()?,
                _ => {}
            }
        }
    }

    fn brackets(&mut self) -> Option<()> {
        self.rest.next_if_eq(&'^');
        self.rest.next_if_eq(&']');
        loop {
            match self.rest.next()? {
                ']' => return Some(()),
                '[' if self.brackets == Brackets::Classes => {
                    let Some(mark) = self.rest.next_if(|c| matches!(c, ':' | '.' | '=')) else {
                        continue;
                    };
                    while self.rest.next()? != mark || self.rest.next_if_eq(&']').is_none() {}
                }
                _ => {}
            }
        }
    }

    /// The text that `a`, `i` and `c` print: the line, and what continues it.
    fn text(&mut self) {
        while let Some(c) = self.rest.next_if(|c| *c != '\n') {
            if c == '\\' {
                self.rest.next();
            }
        }
    }
}
