//! What a word of a script is, where it is the same in every run.

use tree_sitter::Node;

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
