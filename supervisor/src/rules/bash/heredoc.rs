//! Here-documents: the parser leaves some of what they run in their text, and is mistaken about where
//! some of them end. Backticks it leaves elsewhere, too.

use tree_sitter::Node;

use super::Look;

pub(super) fn check(look: &mut Look<'_, '_>, node: Node<'_>) {
    let mut cursor = node.walk();
    let parts: Vec<_> = node.children(&mut cursor).collect();
    let part = |kind: &str| parts.iter().find(|part| part.kind() == kind).copied();
    let Some(start) = part("heredoc_start") else { return };
    let is_quoted = look.text(start).contains(['\'', '"', '\\']);
    let word = look.text(start).replace(['\'', '"', '\\'], "");
    let body = part("heredoc_body");
    if let Some(end) = part("heredoc_end") {
        let from = body.map_or(end.start_byte(), |body| body.start_byte());
        // The parser may take the word for text, and what is behind it, which is nothing, for the end.
        let text = look.source.get(..end.end_byte()).unwrap_or_default();
        let last = text.trim_end().len();
        if !ends(look.source, from, last, word.trim_end(), part("<<-").is_some()) {
            return look.add(
                start,
                "bash/syntax",
                "where this here-document ends is not clear",
                "end it with a word that begins no line of it",
            );
        }
    }
    let Some(body) = body.filter(|_| !is_quoted) else { return };
    if !is_plain(look, body) {
        look.add(
            start,
            "bash/code",
            "what this here-document runs cannot be allowed",
            "put it into a variable before, or quote the word behind << if it is text",
        );
    }
}

/// Whether the line with the end is the first that is nothing but the word.
fn ends(source: &str, from: usize, end: usize, word: &str, is_indented: bool) -> bool {
    let line_start = |at: usize| {
        source.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
    };
    let is_end = |line: &str| {
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if is_indented { line.trim_start_matches('\t') == word } else { line == word }
    };
    let text = source.get(line_start(from)..).unwrap_or_default();
    let mut at = line_start(from);
    for line in text.split_inclusive('\n') {
        if is_end(line) {
            return line_start(end) == at;
        }
        at += line.len();
    }
    false
}

/// A word that the parser has left whole, though the shell runs what is between its backticks.
pub(super) fn word(look: &mut Look<'_, '_>, node: Node<'_>) {
    let text = look.text(node);
    if text.contains('`') && !text.contains('\'') && !is_plain(look, node) {
        let advice = "put what it says into a variable before";
        look.add(node, "bash/code", "what this runs cannot be allowed", advice);
    }
}

/// Whether a text runs nothing but what is allowed, where the shell expands it.
fn is_plain(look: &Look<'_, '_>, body: Node<'_>) -> bool {
    let mut cursor = body.walk();
    let mut seen = body
        .named_children(&mut cursor)
        .filter(|part| part.kind() == "command_substitution")
        .map(|part| part.byte_range())
        .peekable();
    let text = look.text(body);
    let place = look.place(body);
    let has_prompts = text.contains("@P}");
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let absolute = body.start_byte() + at;
        while seen.next_if(|part| part.end <= absolute).is_some() {}
        if seen.peek().is_some_and(|part| part.contains(&absolute)) {
            continue;
        }
        let behind = text.get(at..).unwrap_or_default();
        let (script, length) = match c {
            '\\' => {
                rest.next();
                continue;
            }
            '`' => backticks(behind),
            '$' if behind.starts_with("$(") => substitution(behind),
            '$' if has_prompts && behind.starts_with("${") => return false,
            _ => continue,
        };
        if !look.allows(&script, place) {
            return false;
        }
        let end = at + length;
        while rest.next_if(|(at, _)| *at < end).is_some() {}
    }
    true
}

/// What stands between the backticks at the start of a text, and how long all of it is. Without the
/// second it is left as it is, which is no script.
fn backticks(text: &str) -> (String, usize) {
    let mut script = String::new();
    let mut rest = text.char_indices().skip(1);
    while let Some((at, c)) = rest.next() {
        match c {
            '`' => return (script, at + 1),
            '\\' => match rest.next() {
                Some((_, escaped @ ('`' | '\\' | '$'))) => script.push(escaped),
                Some((_, other)) => script.extend(['\\', other]),
                None => {}
            },
            c => script.push(c),
        }
    }
    (text.to_owned(), text.len())
}

/// The substitution at the start of a text, as a word of a script. Where it seems to end too early,
/// what is cut off is missed there.
fn substitution(text: &str) -> (String, usize) {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut rest = text.char_indices();
    while let Some((at, c)) = rest.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => drop(rest.next()),
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(c),
            ('(', None) => depth += 1,
            (')', None) if depth > 1 => depth -= 1,
            (')', None) => {
                let length = at + 1;
                return (format!(": {}", text.get(..length).unwrap_or_default()), length);
            }
            _ => {}
        }
    }
    (text.to_owned(), text.len())
}
