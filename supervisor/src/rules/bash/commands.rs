//! Which commands a script calls, also where another command calls them.

use tree_sitter::Node;

use super::text::constant;
use super::{AT_LAST, Look, lists, programs};
use crate::Mode;

/// Commands that call commands: each of them is asked about all words that follow.
const CALLS_MOST: usize = 16;

/// A word of a command: what it is, if that is known before it runs.
pub(super) struct Argument<'tree> {
    pub(super) node: Node<'tree>,
    pub(super) text: Option<String>,
}

/// Who calls a command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// The shell, for which a function comes before a program of its name.
    Shell,
    /// A program, for which there are no functions.
    Program,
    /// One that puts more words behind those that are written.
    Xargs,
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
    let mut caller = Caller::Shell;
    while let Some(inner) = called(look, rest, caller) {
        caller = match rest.first().and_then(|first| first.text.as_deref()).map(plain_name) {
            Some("xargs") => Caller::Xargs,
            Some("time") if caller == Caller::Shell => Caller::Shell,
            _ if caller == Caller::Shell => Caller::Program,
            _ => caller,
        };
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
    let is_letter = |text: &str| text.starts_with('-') && text.contains('n');
    let has_references = parts.iter().any(|part| is_letter(look.text(*part)));
    for part in parts {
        if part.kind() != "variable_assignment" {
            named(look, part);
        } else if has_references
            && let Some(name) =
                part.child_by_field_name("value").and_then(|it| constant(look.source, it))
        {
            look.assigned(part, &name);
        }
    }
}

pub(super) fn unset(look: &mut Look<'_, '_>, node: Node<'_>) {
    let mut cursor = node.walk();
    let parts: Vec<_> = node.named_children(&mut cursor).collect();
    let are_variables = parts.first().is_some_and(|part| look.text(*part) == "-v");
    for part in parts {
        let text = constant(look.source, part);
        let is_option = look.text(part).starts_with("-f");
        // Where there is no variable of that name, it is the function.
        let is_function = text.is_some_and(|name| look.functions.has(&name, AT_LAST));
        if is_option || is_function && !are_variables {
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
fn called(look: &mut Look<'_, '_>, words: &[Argument<'_>], caller: Caller) -> Option<usize> {
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
    let is_own = caller == Caller::Shell && look.functions.has(name, look.place(first.node));
    let name = plain_name(name).to_owned();
    if !is_own && !is_allowed(look, &name) {
        refuse(look, first.node, &name);
        return None;
    }
    options(look, &name, rest);
    match name.as_str() {
        "trap" => trap(look, rest),
        "find" => return find(look, first.node, rest).map(|at| at + 1),
        "awk" | "gawk" | "mawk" => programs::awk(look, first.node, rest),
        "sed" => programs::sed(look, first.node, rest),
        "read" | "printf" | "wait" | "mapfile" | "readarray" | "getopts" | "let" | "test" | "[" => {
            for argument in rest {
                named(look, argument.node);
            }
        }
        _ => {}
    }
    let (_, own) = lists::PREFIXES.iter().find(|(known, _)| *known == name)?;
    let inner = prefix(&name, *own, rest);
    if inner.is_none() && caller == Caller::Xargs {
        look.add(
            first.node,
            "bash/dynamic",
            format!("which command {name} calls here, is known only when it runs"),
            "write the command itself",
        );
    }
    inner.map(|at| at + 1)
}

/// The name of a program that is given by where systems have it.
fn plain_name(name: &str) -> &str {
    let base = ["/bin/", "/usr/bin/"].iter().find_map(|start| name.strip_prefix(start));
    base.filter(|base| !base.contains('/')).unwrap_or(name)
}

fn is_allowed(look: &Look<'_, '_>, name: &str) -> bool {
    let is_builtin = lists::BUILTINS.contains(&name);
    let is_program = look.rules.mode == Mode::Standard
        && (lists::COMMANDS.contains(&name) || look.rules.modules.contains(name));
    is_builtin || is_program
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
    for (at, argument) in rest.iter().enumerate() {
        let text = argument.text.clone().unwrap_or_else(|| look.text(argument.node).to_owned());
        let is_long = lists::OPTIONS.iter().any(|option| text.starts_with(option));
        if is_long || is_abbreviated(name, &text) || is_short(name, &text, at == 0) {
            let message = format!("with this option {name} runs a command");
            look.add(argument.node, "bash/command", message, "call the command itself");
        }
    }
}

/// Programs take the start of a long option for the option, if it is the start of no other.
fn is_abbreviated(name: &str, text: &str) -> bool {
    let start = text.split('=').next().unwrap_or_default();
    let own = lists::OPTIONS_OF.iter().filter(|(program, ..)| *program == name);
    start.starts_with("--")
        && own.into_iter().any(|(_, option, least)| {
            start.len() >= least.len() && start.starts_with(least) && option.starts_with(start)
        })
}

/// Whether a word has a short option that runs a command, behind others that have no value.
fn is_short(name: &str, text: &str, is_first: bool) -> bool {
    let known = lists::SHORT_OPTIONS.iter().find(|(program, ..)| *program == name);
    let Some((_, running, valued)) = known else { return false };
    match text.strip_prefix('-') {
        Some(letters) => {
            let end = letters.find(|letter| running.contains(letter) || valued.contains(letter));
            let last = end.and_then(|end| letters.get(end..)?.chars().next());
            !letters.starts_with('-') && last.is_some_and(|letter| running.contains(letter))
        }
        // The first word of tar is options without a dash: their values are the next words.
        None => is_first && name == "tar" && text.contains(|letter| running.contains(letter)),
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
        if name == "command" && is_option && text.contains(['v', 'V']) {
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
fn find(look: &mut Look<'_, '_>, name: Node<'_>, rest: &[Argument<'_>]) -> Option<usize> {
    let calls = |text: &str| matches!(text, "-exec" | "-execdir" | "-ok" | "-okdir");
    let mut places =
        rest.iter().enumerate().filter(|(_, argument)| argument.text.as_deref().is_some_and(calls));
    let known = places.clone().count();
    let ends = |(at, argument): &(usize, &Argument<'_>)| match argument.text.as_deref() {
        Some(";") => true,
        Some("+") => at.checked_sub(1).and_then(|at| rest.get(at)?.text.as_deref()) == Some("{}"),
        _ => false,
    };
    if rest.iter().enumerate().filter(ends).count() > known {
        let message = "which command this find calls, is known only when it runs";
        look.add(name, "bash/dynamic", message, "write -exec and the command");
    }
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
    // It runs later: by then there is what is defined further below as well.
    let is_plain = action
        .text
        .as_deref()
        .is_some_and(|script| script.starts_with('-') || look.allows(script, AT_LAST));
    if !is_plain {
        look.add(
            action.node,
            "bash/code",
            "what this trap runs cannot be allowed",
            "name a function of the script",
        );
    }
}
