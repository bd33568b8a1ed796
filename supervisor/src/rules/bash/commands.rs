//! Which commands a script calls, also where another command calls them.

use tree_sitter::Node;

use super::text::constant;
use super::{Look, lists};
use crate::Mode;
use crate::rules::findings::Findings;

/// Commands that call commands: each of them is asked about all words that follow.
const CALLS_MOST: usize = 16;

/// A word of a command: what it is, if that is known before it runs.
struct Argument<'tree> {
    node: Node<'tree>,
    text: Option<String>,
}

pub(super) fn check(look: &mut Look<'_, '_>, node: Node<'_>) {
    let Some(name) = node.child_by_field_name("name") else { return };
    let mut cursor = node.walk();
    let arguments = node.children_by_field_name("argument", &mut cursor);
    let words: Vec<_> = std::iter::once(name)
        .chain(arguments)
        .map(|node| Argument { node, text: constant(look.source, node) })
        .collect();
    // A command of another command of another: there are no more of them than words.
    let mut rest = words.as_slice();
    let mut calls = 0;
    while let Some(inner) = called(look, rest) {
        rest = rest.get(inner..).unwrap_or_default();
        calls += 1;
        if calls > CALLS_MOST {
            let message = "too many commands call one another";
            return look.add(node, "bash/command", message, "call the last command itself");
        }
    }
}

/// `declare` and its like: a name may stand in a string of theirs.
pub(super) fn declaration(look: &mut Look<'_, '_>, node: Node<'_>) {
    let mut cursor = node.walk();
    let parts: Vec<_> = node.named_children(&mut cursor).collect();
    for part in parts {
        if part.kind() != "variable_assignment" {
            named(look, part);
        }
    }
}

pub(super) fn unset(look: &mut Look<'_, '_>, node: Node<'_>) {
    let mut cursor = node.walk();
    let parts: Vec<_> = node.named_children(&mut cursor).collect();
    for part in parts {
        if look.text(part).starts_with("-f") {
            look.add(node, "bash/code", "this takes a function away", "leave it defined");
        }
        named(look, part);
    }
}

/// A word that names a variable, or assigns to one.
fn named(look: &mut Look<'_, '_>, node: Node<'_>) {
    if look.text(node).contains("$(") || look.text(node).contains('`') {
        let is_quoted = node.kind() == "raw_string";
        if is_quoted {
            look.add(node, "bash/code", "this runs as a command", "write the value itself");
        }
    }
    if let Some(text) = constant(look.source, node) {
        let name = text.split(['=', '[', '+']).next().unwrap_or_default().to_owned();
        look.assigned(node, &name);
    }
}

/// Looks at one command; the place of the command that it calls, if it is one that does.
fn called(look: &mut Look<'_, '_>, words: &[Argument<'_>]) -> Option<usize> {
    let (first, rest) = words.split_first()?;
    let Some(name) = &first.text else {
        look.add(
            first.node,
            "bash/dynamic",
            "which command this is, is known only when it runs",
            "write the command itself",
        );
        return None;
    };
    let name = plain_name(name).to_owned();
    if !is_allowed(look, first.node, &name) {
        refuse(look, first.node, &name);
        return None;
    }
    options(look, &name, rest);
    match name.as_str() {
        "trap" => trap(look, rest),
        "find" => return find(look, rest).map(|at| at + 1),
        "awk" | "gawk" | "mawk" => awk(look, rest),
        "sed" => sed(look, rest),
        "read" | "printf" | "mapfile" | "readarray" | "getopts" | "let" | "test" | "[" => {
            for argument in rest {
                named(look, argument.node);
            }
        }
        _ => {}
    }
    let (_, own) = lists::PREFIXES.iter().find(|(known, _)| *known == name)?;
    prefix(&name, *own, rest).map(|at| at + 1)
}

/// The name of a program that is given by where systems have it.
fn plain_name(name: &str) -> &str {
    let base = ["/bin/", "/usr/bin/"].iter().find_map(|start| name.strip_prefix(start));
    base.filter(|base| !base.contains('/')).unwrap_or(name)
}

fn is_allowed(look: &Look<'_, '_>, node: Node<'_>, name: &str) -> bool {
    let is_builtin = lists::BUILTINS.contains(&name);
    let is_program = look.rules.mode == Mode::Standard
        && (lists::COMMANDS.contains(&name) || look.rules.modules.contains(name));
    is_builtin || is_program || is_defined(look, node, name)
}

/// Whether it is a function of the script: one that is defined by then.
fn is_defined(look: &Look<'_, '_>, node: Node<'_>, name: &str) -> bool {
    let Some(from) = look.functions.get(name) else { return false };
    // Nodes come in the order of the source. To ask each for what is above it would walk all before it.
    from <= node.start_byte() || node.start_byte() < look.function_end
}

fn refuse(look: &mut Look<'_, '_>, node: Node<'_>, name: &str) {
    let mode = look.rules.mode;
    if let Some((_, rule, advice)) = lists::REFUSED.iter().find(|(known, ..)| *known == name) {
        look.add(node, rule, format!("mode {mode} has no {name}"), advice);
    } else {
        let advice = if mode == Mode::Restricted {
            format!("there are {}, and functions of the script", lists::BUILTINS.join(" "))
        } else {
            "use text tools (grep sed awk jq sort and their like), or functions of the script"
                .to_owned()
        };
        look.add(node, "bash/command", format!("mode {mode} has no {name}"), &advice);
    }
}

/// Options with which a program starts another.
fn options(look: &mut Look<'_, '_>, name: &str, rest: &[Argument<'_>]) {
    for argument in rest {
        let text = argument.text.clone().unwrap_or_else(|| look.text(argument.node).to_owned());
        let is_long = lists::OPTIONS.iter().any(|option| text.starts_with(option));
        let is_short = match name {
            "tar" => text.starts_with("-I") || text.starts_with("-F"),
            "env" => text.starts_with("-S"),
            "mapfile" | "readarray" => text.starts_with("-C"),
            _ => false,
        };
        if is_long || is_short {
            let message = format!("with this option {name} runs a command");
            look.add(argument.node, "bash/command", message, "call the command itself");
        }
    }
}

/// Where the command stands that `name` calls.
fn prefix(name: &str, own: usize, rest: &[Argument<'_>]) -> Option<usize> {
    let valued = lists::OPTIONS_WITH_VALUE.iter().find(|(known, _)| *known == name);
    let valued = valued.map(|(_, options)| *options).unwrap_or_default();
    let (mut own, mut skip) = (own, false);
    for (at, argument) in rest.iter().enumerate() {
        let text = argument.text.as_deref().unwrap_or_default();
        let is_option = text.starts_with('-');
        if std::mem::take(&mut skip) {
            continue;
        }
        if name == "command" && (text == "-v" || text == "-V") {
            return None;
        }
        if is_option {
            skip = valued.contains(&text);
        } else if own > 0 {
            own -= 1;
        } else if name != "env" || !text.contains('=') {
            return Some(at);
        }
    }
    None
}

/// Where the command stands that `find` calls for what it found.
fn find(look: &mut Look<'_, '_>, rest: &[Argument<'_>]) -> Option<usize> {
    let calls = |text: &str| matches!(text, "-exec" | "-execdir" | "-ok" | "-okdir");
    let mut places =
        rest.iter().enumerate().filter(|(_, argument)| argument.text.as_deref().is_some_and(calls));
    let first = places.next();
    if let Some((_, second)) = places.next() {
        let message = "this find calls more than one command";
        look.add(second.node, "bash/command", message, "call find once for each");
    }
    first.map(|(at, _)| at + 1)
}

/// What a trap runs is a script, or the name of a function.
fn trap(look: &mut Look<'_, '_>, rest: &[Argument<'_>]) {
    let Some(action) = rest.iter().find(|argument| argument.text.as_deref() != Some("--")) else {
        return;
    };
    let is_plain = action.text.as_deref().is_some_and(|script| {
        let mut findings = Findings::new(script);
        let is_option = script.starts_with('-');
        is_option
            || look.scripts > 0
                && super::look(
                    script,
                    look.rules,
                    Some(&look.functions),
                    look.scripts - 1,
                    &mut findings,
                )
                .is_ok()
                && findings.is_empty()
    });
    if !is_plain {
        look.add(
            action.node,
            "bash/code",
            "what this trap runs cannot be allowed",
            "name a function of the script",
        );
    }
}

/// A program of awk can start others.
fn awk(look: &mut Look<'_, '_>, rest: &[Argument<'_>]) {
    for argument in rest {
        let text = look.text(argument.node).replace("||", "");
        let is_piped = text.contains('|') && !text.starts_with("-F");
        if text.contains("system")
            || is_piped
            || text.contains("@load")
            || text.contains("getline <")
        {
            look.add(
                argument.node,
                "bash/command",
                "this program of awk may start another",
                "pipe what awk prints into the command",
            );
        }
    }
}

/// So can one of sed, by its command `e`, or the flag of that name.
fn sed(look: &mut Look<'_, '_>, rest: &[Argument<'_>]) {
    for argument in rest {
        let text = argument.text.clone().unwrap_or_else(|| look.text(argument.node).to_owned());
        if !text.starts_with('-') && text.split([';', '\n']).any(runs) {
            look.add(
                argument.node,
                "bash/command",
                "this command of sed runs another",
                "print with sed, and pipe it into the command",
            );
        }
    }
}

fn runs(command: &str) -> bool {
    let address = |c: char| c.is_ascii_digit() || matches!(c, '$' | ',' | ' ' | '{' | '!');
    let command = command.trim_start_matches(address);
    let mut chars = command.chars();
    match chars.next() {
        Some('e') => chars.next().is_none_or(char::is_whitespace),
        Some('s') => {
            let Some(mark) = chars.next().filter(|mark| !mark.is_alphanumeric()) else {
                return false;
            };
            let plain = command.replace(&format!("\\{mark}"), "");
            plain.split(mark).nth(3).is_some_and(|flags| flags.contains('e'))
        }
        _ => false,
    }
}
