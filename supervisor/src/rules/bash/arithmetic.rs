//! Sums. Most start nothing: nobody needs to read them, and the parser takes those of here-documents
//! for commands. But a text that is a number to the shell is expanded once more.

use tree_sitter::Node;

use super::Look;
use super::text::rendered;

/// What a sum may hold besides letters, digits, brackets and values.
const SIGNS: &[u8] = b"_ \t[]{}@#.,:?+-*/%<>=!&|^~";

/// The script with a variable in the place of each sum, of the same length. What is no sum for
/// certain stays.
pub(super) fn masked(source: &str) -> String {
    let mut masked = String::with_capacity(source.len());
    let mut rest = source;
    while let Some((before, sum)) = rest.find("$((").map(|at| rest.split_at(at)) {
        masked.push_str(before);
        let (sum, after) = match length(sum) {
            Some(length) => {
                masked.push_str("${");
                masked.extend(std::iter::repeat_n('_', length.saturating_sub(3)));
                ("}", sum.get(length..).unwrap_or_default())
            }
            None => sum.split_at(3),
        };
        masked.push_str(sum);
        rest = after;
    }
    masked + rest
}

/// How long the sum is at the start of a text: what ends it is the pair of what began it, and nothing
/// in it is more than names, numbers and signs.
fn length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    for (at, byte) in bytes.iter().enumerate().skip(1) {
        let next = bytes.get(at + 1).copied().unwrap_or_default();
        match byte {
            b'(' => depth += 1,
            b')' if depth > 2 => depth -= 1,
            b')' => return (next == b')').then_some(at + 2),
            b'$' if next.is_ascii_alphanumeric() || b"_{#@*?!$".contains(&next) => {}
            // A value that is expanded as if it were written there.
            b'@' if next == b'P' => return None,
            _ if byte.is_ascii_alphanumeric() || SIGNS.contains(byte) => {}
            _ => return None,
        }
    }
    None
}

/// Looks for a text where the shell makes a number of it, or the name of a variable.
pub(super) fn check(look: &mut Look<'_, '_>, node: Node<'_>) {
    let operator = node.child_by_field_name("operator").map(|it| look.text(it)).unwrap_or_default();
    let expands = match node.kind() {
        "unary_expression" => operator == "-v",
        "binary_expression" => matches!(operator, "-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge"),
        "compound_statement" => look.text(node).starts_with("(("),
        _ => true,
    };
    if !expands {
        return;
    }
    let mut cursor = node.walk();
    let parts: Vec<_> = node.named_children(&mut cursor).collect();
    for part in parts.into_iter().filter(|part| matches!(part.kind(), "raw_string" | "string")) {
        let text = rendered(look.source, part).text;
        if text.contains("$(") || text.contains('`') {
            look.add(part, "bash/code", "this runs as a command", "write the value itself");
        }
    }
}
