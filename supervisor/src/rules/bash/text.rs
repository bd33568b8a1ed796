//! What a word of a script is, where it is the same in every run.

use tree_sitter::Node;

/// Stands where the shell puts what nobody knows before it runs.
const UNKNOWN: char = '0';

/// The text of a word once quotes and backslashes are gone; nothing if the shell makes more of it.
pub(super) fn constant(source: &str, node: Node<'_>) -> Option<String> {
    let text = source.get(node.byte_range())?;
    match node.kind() {
        "command_name" => constant(source, node.named_child(0)?),
        "word" | "variable_name" | "special_variable_name" | "number" | "file_descriptor" => {
            unescaped(text)
        }
        "raw_string" => Some(text.trim_matches('\'').to_owned()),
        "string" => {
            let inner = text.strip_prefix('"')?.strip_suffix('"')?;
            if inner.contains(['$', '`']) { None } else { unescaped(inner) }
        }
        "concatenation" => {
            let mut cursor = node.walk();
            let parts: Vec<_> = node.named_children(&mut cursor).collect();
            // What stands between its parts, a brace or a bracket, is for the shell to expand.
            let is_whole = parts.iter().map(|part| part.byte_range().len()).sum::<usize>()
                == node.byte_range().len();
            if !is_whole {
                return None;
            }
            // A part is no concatenation itself: this goes one step down.
            parts.into_iter().map(|part| constant(source, part)).collect()
        }
        _ => None,
    }
}

fn unescaped(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next()? {
                '\n' => {}
                escaped => plain.push(escaped),
            },
            c => plain.push(c),
        }
    }
    Some(plain)
}

/// A word as the program gets it that is called, but for what is known only when it runs.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    pub(super) text: String,
    /// Something was put into it.
    pub(super) has_unknown: bool,
    /// Something stands in it that was written there.
    pub(super) has_known: bool,
}

impl Rendered {
    /// Whether nothing is known about it.
    pub(super) fn is_unknown(&self) -> bool {
        self.has_unknown && !self.has_known
    }

    fn known(&mut self, text: &str) {
        self.has_known |= !text.trim().is_empty();
        self.text.push_str(text);
    }

    fn unknown(&mut self) {
        self.has_unknown = true;
        self.text.push(UNKNOWN);
    }
}

pub(super) fn rendered(source: &str, node: Node<'_>) -> Rendered {
    let mut rendered = Rendered::default();
    if node.kind() == "concatenation" {
        let mut cursor = node.walk();
        for part in node.children(&mut cursor) {
            render(source, part, &mut rendered);
        }
    } else {
        render(source, node, &mut rendered);
    }
    rendered
}

fn render(source: &str, node: Node<'_>, into: &mut Rendered) {
    let text = source.get(node.byte_range()).unwrap_or_default();
    match node.kind() {
        "raw_string" => into.known(text.trim_matches('\'')),
        "ansi_c_string" => into.known(&decoded(text.trim_start_matches('$').trim_matches('\''))),
        "string" => string(source, node, into),
        _ if node.child_count() > 0 => into.unknown(),
        _ => match unescaped(text) {
            Some(text) => into.known(&text),
            None => into.known(text),
        },
    }
}

fn string(source: &str, node: Node<'_>, into: &mut Rendered) {
    let mut at = node.start_byte() + 1;
    let mut cursor = node.walk();
    let between = |from, to| quoted(source.get(from..to).unwrap_or_default());
    for part in node.named_children(&mut cursor).filter(|part| part.kind() != "string_content") {
        into.known(&between(at, part.start_byte()));
        into.unknown();
        at = part.end_byte();
    }
    into.known(&between(at, node.end_byte().saturating_sub(1)));
}

/// Between double quotes a backslash is one, unless it stands before what it takes the meaning from.
fn quoted(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match rest.next() {
            Some('\n') => {}
            Some(escaped @ ('$' | '`' | '"' | '\\')) => plain.push(escaped),
            Some(other) => plain.extend(['\\', other]),
            None => plain.push('\\'),
        }
    }
    plain
}

/// The text of `$'...'`.
fn decoded(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        let (radix, most) = match rest.peek() {
            Some('x') => (16, 2),
            Some('u') => (16, 4),
            Some('U') => (16, 8),
            Some('0'..='7') => (8, 3),
            _ => (0, 0),
        };
        if radix == 16 {
            rest.next();
        }
        let mut code = None;
        for _ in 0..most {
            let Some(digit) = rest.peek().and_then(|c| c.to_digit(radix)) else { break };
            code = Some(code.unwrap_or(0_u32).wrapping_mul(radix).wrapping_add(digit));
            rest.next();
        }
        match code.and_then(char::from_u32) {
            Some(c) => plain.push(c),
            None => plain.extend(rest.next_if(|_| most == 0).map(|c| match c {
                'n' => '\n',
                't' => '\t',
                'r' | 'v' | 'f' | 'a' | 'b' | 'e' | 'E' => ' ',
                other => other,
            })),
        }
    }
    plain
}
