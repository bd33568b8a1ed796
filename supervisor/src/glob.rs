//! Patterns that name files below `/work`.

use crate::Error;

const MAX_BYTES: usize = 1024;

/// A glob over paths relative to `/work`.
///
/// `*` and `?` stay within one name, `[a-z]` and `[!a-z]` stand for one character, `**` as a whole
/// name for any number of directories, and `\` takes the next character as it is. A pattern names
/// the whole path: `*.png` is the top directory only, `**/*.png` is every directory. As in a
/// shell, a name that begins with a dot is matched only by a pattern whose name does too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// `**`
    Directories,
    Name(Vec<Token>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Letter(char),
    One,
    Any,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Pattern {
    /// # Errors
    /// [`Error::Invalid`] saying what is wrong with `text`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Err(Error::Invalid(format!("pattern {text:?}: {what}")));
        if text.len() > MAX_BYTES {
            return Err(Error::Invalid(format!("a pattern is longer than {MAX_BYTES} bytes")));
        }
        if text.chars().any(char::is_control) {
            return wrong("control characters are never collected");
        }
        if text.starts_with('/') {
            return wrong("write it relative to /work");
        }
        if text.ends_with('/') {
            return wrong("only files are collected; add ** for all files of a directory");
        }
        let mut parts = Vec::new();
        for part in text.split('/') {
            match part {
                "." => {}
                "" => return wrong("a name is empty"),
                ".." => return wrong("nothing outside /work is collected"),
                "**" => parts.push(Part::Directories),
                _ if part.contains("**") => return wrong("** stands alone between slashes"),
                _ => match tokens(part) {
                    Ok(name) => parts.push(Part::Name(name)),
                    Err(what) => return wrong(what),
                },
            }
        }
        match parts.last() {
            None => return wrong("it names nothing"),
            // All files below: the last name is any.
            Some(Part::Directories) => parts.push(Part::Name(vec![Token::Any])),
            Some(Part::Name(_)) => {}
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it names exactly one path.
    pub(crate) fn is_literal(&self) -> bool {
        self.parts.iter().all(|part| match part {
            Part::Directories => false,
            Part::Name(tokens) => tokens.iter().all(|token| matches!(token, Token::Letter(_))),
        })
    }

    /// Whether a path below a directory with `names` names could match.
    pub(crate) fn reaches_below(&self, names: usize) -> bool {
        self.parts.len() > names || self.parts.contains(&Part::Directories)
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').collect();
        wildcard(
            &self.parts,
            &names,
            |part| *part == Part::Directories,
            |name| !name.starts_with('.'),
            |part, name| matches!(part, Part::Name(tokens) if name_matches(tokens, name)),
        )
    }
}

fn name_matches(tokens: &[Token], name: &str) -> bool {
    if name.starts_with('.') && tokens.first() != Some(&Token::Letter('.')) {
        return false;
    }
    let letters: Vec<char> = name.chars().collect();
    wildcard(
        tokens,
        &letters,
        |token| *token == Token::Any,
        |_| true,
        |token, letter| match token {
            Token::Letter(expected) => expected == letter,
            Token::One => true,
            Token::Any => false,
            Token::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (low..=high).contains(&letter)) != *negated
            }
        },
    )
}

/// Matches with at most one point to go back to, the latest star: time is the product of both
/// lengths at worst, whatever the pattern.
fn wildcard<P, I>(
    pattern: &[P],
    items: &[I],
    is_star: impl Fn(&P) -> bool,
    star_takes: impl Fn(&I) -> bool,
    one: impl Fn(&P, &I) -> bool,
) -> bool {
    let (mut at, mut taken) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        let (part, item) = (pattern.get(at), items.get(taken));
        match (part, item) {
            (None, None) => return true,
            (Some(part), _) if is_star(part) => {
                star = Some((at + 1, taken));
                at += 1;
                continue;
            }
            (Some(part), Some(item)) if one(part, item) => {
                (at, taken) = (at + 1, taken + 1);
                continue;
            }
            _ => {}
        }
        let Some((after, from)) = star else { return false };
        if !items.get(from).is_some_and(&star_takes) {
            return false;
        }
        star = Some((after, from + 1));
        (at, taken) = (after, from + 1);
    }
}

fn tokens(part: &str) -> Result<Vec<Token>, &'static str> {
    let mut letters = part.chars();
    let mut tokens = Vec::new();
    while let Some(letter) = letters.next() {
        tokens.push(match letter {
            '*' => Token::Any,
            '?' => Token::One,
            '[' => class(&mut letters)?,
            '\\' => Token::Letter(letters.next().ok_or("it ends in a backslash")?),
            other => Token::Letter(other),
        });
    }
    Ok(tokens)
}

fn class(letters: &mut std::str::Chars<'_>) -> Result<Token, &'static str> {
    const UNCLOSED: &str = "a [ is not closed; write \\[ for the character itself";
    let mut rest = letters.as_str();
    let negated = rest.starts_with(['!', '^']);
    rest = if negated { rest.get(1..).unwrap_or_default() } else { rest };
    // A bracket that comes first is one of the characters.
    let close = rest.char_indices().skip(1).find(|(_, letter)| *letter == ']').ok_or(UNCLOSED)?.0;
    let mut members = rest.get(..close).unwrap_or_default().chars().peekable();
    *letters = rest.get(close + 1..).unwrap_or_default().chars();
    let mut ranges = Vec::new();
    while let Some(low) = members.next() {
        let mut ahead = members.clone();
        let high = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(high)) => {
                members = ahead;
                high
            }
            _ => low,
        };
        if high < low {
            return Err("a range in [ ] runs backwards");
        }
        ranges.push((low, high));
    }
    Ok(Token::Class { negated, ranges })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        for (pattern, yes, no) in [
            ("plot.png", "plot.png", "a/plot.png"),
            ("*.png", "plot.png", "a/plot.png"),
            ("*.png", ".png.png.png".trim_start_matches('.'), ".hidden.png"),
            (".*", ".hidden", "shown"),
            ("./out/*", "out/a", "out/a/b"),
            ("**/*.png", "plot.png", "a/.b/plot.png"),
            ("**/*.png", "a/b/plot.png", "a/b/plot.pn"),
            ("a/**", "a/b/c", "b/a"),
            ("a/**/z", "a/z", "a/zz"),
            ("a/**/b/**/c", "a/x/b/y/b/c", "a/x/c"),
            ("**/.cache/*", "x/.cache/y", "x/cache/y"),
            ("data-?.csv", "data-ü.csv", "data-10.csv"),
            ("[a-c]*[!0-9]", "brown", "b1"),
            ("[]x-]", "-", "y"),
            ("[^]]", "a", "]"),
            (r"\*\[", "*[", "x["),
            ("*a*b*a*", "xaxbxax", "xaxbx"),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert!(parsed.matches(yes), "{pattern} should match {yes}");
            assert!(!parsed.matches(no), "{pattern} should not match {no}");
        }
        let costly = Pattern::parse(&"*a".repeat(400)).unwrap();
        assert!(!costly.matches(&"a".repeat(255).replace("aaa", "aab")));
    }

    #[test]
    fn a_pattern_that_makes_no_sense_is_refused_with_a_reason() {
        let long = "a".repeat(2000);
        for (pattern, reason) in [
            ("", "empty"),
            (".", "names nothing"),
            ("/work/a", "relative"),
            ("../a", "outside"),
            ("a/../b", "outside"),
            ("a//b", "empty"),
            ("out/", "**"),
            ("a**", "alone"),
            ("[a", "not closed"),
            ("[]", "not closed"),
            ("[z-a]", "backwards"),
            ("a\\", "backslash"),
            ("a\nb", "control"),
            (long.as_str(), "longer"),
        ] {
            let refusal = Pattern::parse(pattern).unwrap_err().to_string();
            assert!(refusal.contains(reason), "{pattern:?}: {refusal}");
        }
    }

    #[test]
    fn the_walk_goes_no_deeper_than_a_pattern() {
        let reach = |text: &str, names| Pattern::parse(text).unwrap().reaches_below(names);
        assert!(reach("*.png", 0) && !reach("*.png", 1));
        assert!(reach("a/b", 1) && !reach("a/b", 2));
        assert!(reach("**/x", 31));
        assert!(Pattern::parse("a/b.csv").unwrap().is_literal());
        assert!(!Pattern::parse("a/?.csv").unwrap().is_literal());
    }
}
