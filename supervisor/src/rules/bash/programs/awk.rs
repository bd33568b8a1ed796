//! Programs of awk: another program is started by `system`, by a pipe, or by what is loaded.

use std::iter::Peekable;
use std::str::Chars;

use super::Verdict;

/// Words after which a slash begins a pattern: they are no values.
const NO_VALUES: &[&str] =
    &["print", "printf", "return", "in", "case", "exit", "do", "else", "if", "while"];

pub(super) fn scan(program: &str) -> Verdict {
    let mut rest = program.chars().peekable();
    // Whether a value came last: a slash behind one divides.
    let mut is_value = false;
    while let Some(c) = rest.next() {
        match c {
            '#' => while rest.next_if(|c| *c != '\n').is_some() {},
            '"' => {
                if !string(&mut rest) {
                    return Verdict::Unclear;
                }
                is_value = true;
            }
            '/' if !is_value => {
                if !pattern(&mut rest) {
                    return Verdict::Unclear;
                }
                is_value = true;
            }
            '|' => {
                if rest.next_if_eq(&'|').is_none() {
                    return Verdict::Starts;
                }
                is_value = false;
            }
            // It names what is loaded, or a function that nobody knows.
            '@' => return Verdict::Starts,
            '\\' => {
                rest.next_if_eq(&'\r');
                if rest.next() != Some('\n') {
                    return Verdict::Unclear;
                }
            }
            c if c.is_alphanumeric() || c == '_' => {
                let mut word = String::from(c);
                while let Some(c) = rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    word.push(c);
                }
                if word == "system" {
                    return Verdict::Starts;
                }
                is_value = !NO_VALUES.contains(&word.as_str());
            }
            '+' | '-' if rest.next_if_eq(&c).is_some() => {}
            ' ' | '\t' | '\r' => {}
            _ => is_value = matches!(c, ')' | ']' | '.'),
        }
    }
    Verdict::Plain
}

/// Goes behind a string; whether it ends.
fn string(rest: &mut Peekable<Chars<'_>>) -> bool {
    while let Some(c) = rest.next() {
        match c {
            '"' => return true,
            '\n' => return false,
            '\\' => drop(rest.next()),
            _ => {}
        }
    }
    false
}

/// Goes behind a pattern; whether it ends. A slash between brackets does not end it.
fn pattern(rest: &mut Peekable<Chars<'_>>) -> bool {
    while let Some(c) = rest.next() {
        match c {
            '/' => return true,
            '\n' => return false,
            '\\' => drop(rest.next()),
            '[' => {
                rest.next_if_eq(&'^');
                rest.next_if_eq(&']');
                if !brackets(rest) {
                    return false;
                }
            }
            _ => {}
        }
    }
    false
}

fn brackets(rest: &mut Peekable<Chars<'_>>) -> bool {
    while let Some(c) = rest.next() {
        match c {
            ']' => return true,
            '\n' => return false,
            '\\' => drop(rest.next()),
            '[' if rest.next_if_eq(&':').is_some() => {
                while let Some(c) = rest.next() {
                    if c == ':' && rest.next_if_eq(&']').is_some() {
                        break;
                    }
                }
            }
            _ => {}
        }
    }
    false
}
