//! The programs within a script that are awk's and sed's: where they stand among its words, and
//! whether they start others.

mod awk;
mod sed;

use tree_sitter::Node;

use super::Look;
use super::commands::Argument;
use super::text::{Rendered, rendered};

/// What a program of another language does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It works on text.
    Plain,
    /// It starts another program, or may.
    Starts,
    /// It is not understood.
    Unclear,
    /// It stands where nobody looks: in a file, or in what is made when the script runs.
    Elsewhere,
}

/// Which words of a command are its program.
struct Options {
    /// Short ones with a value.
    valued: &'static str,
    /// Short ones that may have a value, in the same word.
    closing: &'static str,
    /// Short ones that name a file with a program.
    files: &'static str,
    /// Short ones that name a file with functions.
    libraries: &'static str,
    long: &'static [(&'static str, Long)],
    /// Whether options may come after other words.
    permute: bool,
    scan: fn(&str) -> Verdict,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Long {
    Valued,
    Program,
    File,
    Library,
    /// It tells something about the program, and needs none.
    Tells,
}

const AWK: Options = Options {
    valued: "Fv",
    closing: "",
    files: "fElW",
    libraries: "i",
    long: &[
        ("field-separator", Long::Valued),
        ("assign", Long::Valued),
        ("source", Long::Program),
        ("file", Long::File),
        ("exec", Long::File),
        ("include", Long::Library),
        ("load", Long::File),
        ("version", Long::Tells),
        ("help", Long::Tells),
    ],
    permute: false,
    scan: awk::scan,
};

const SED: Options = Options {
    valued: "l",
    closing: "i",
    files: "f",
    libraries: "",
    long: &[
        ("expression", Long::Program),
        ("file", Long::File),
        ("line-length", Long::Valued),
        ("version", Long::Tells),
        ("help", Long::Tells),
    ],
    permute: true,
    scan: sed::scan,
};

/// What stands for the program of a command.
struct Program<'tree> {
    node: Node<'tree>,
    word: Rendered,
}

pub(super) fn awk(look: &mut Look<'_, '_>, name: Node<'_>, rest: &[Argument<'_>]) {
    check(look, name, rest, &AWK);
}

pub(super) fn sed(look: &mut Look<'_, '_>, name: Node<'_>, rest: &[Argument<'_>]) {
    check(look, name, rest, &SED);
}

fn check(look: &mut Look<'_, '_>, name: Node<'_>, rest: &[Argument<'_>], options: &Options) {
    let Some(programs) = programs(look, rest, options) else { return };
    let Some(first) = programs.first() else {
        return judge(look, name, Verdict::Elsewhere);
    };
    if let [program] = programs.as_slice()
        && program.word.is_unknown()
    {
        let verdict = of_value(look, program.node, options);
        return judge(look, program.node, verdict);
    }
    // They are lines of one program: what one begins, the next may continue.
    let lines: Vec<_> = programs.iter().map(|program| program.word.text.as_str()).collect();
    let is_unknown = programs.iter().any(|program| program.word.is_unknown());
    let verdict = if is_unknown { Verdict::Elsewhere } else { (options.scan)(&lines.join("\n")) };
    judge(look, first.node, verdict);
}

/// The programs of a command, in their order; nothing if it needs none.
fn programs<'tree>(
    look: &Look<'_, '_>,
    rest: &[Argument<'tree>],
    options: &Options,
) -> Option<Vec<Program<'tree>>> {
    let program = |argument: &Argument<'tree>, word| Program { node: argument.node, word };
    let elsewhere = |argument: &Argument<'tree>| {
        let word = Rendered { has_unknown: true, ..Rendered::default() };
        Some(vec![Program { node: argument.node, word }])
    };
    let (mut given, mut plain) = (Vec::new(), None);
    let mut words = rest.iter();
    while let Some(argument) = words.next() {
        let word = rendered(look.source, argument.node);
        let is_option = word.text.starts_with('-') && word.text.len() > 1;
        if word.is_unknown() && is_left_open(look, argument.node, words.as_slice()) {
            continue;
        }
        if word.text == "--" || !is_option {
            let first = if word.text == "--" { words.next() } else { Some(argument) };
            if plain.is_none() {
                plain = first.map(|it| program(it, rendered(look.source, it.node)));
            }
            if word.text == "--" || !options.permute {
                break;
            }
            continue;
        }
        match kind(&word.text, options) {
            Given::Nothing => {}
            Given::Told => return None,
            Given::Value => drop(words.next()),
            Given::File => return elsewhere(argument),
            Given::Library(name) => {
                let next = if name.is_empty() { words.next() } else { None };
                let next = next.map(|it| rendered(look.source, it.node).text);
                if next.as_deref().unwrap_or(name) != "inplace" {
                    return elsewhere(argument);
                }
            }
            Given::Program("") => {
                let Some(next) = words.next() else { break };
                given.push(program(next, rendered(look.source, next.node)));
            }
            Given::Program(text) => {
                let text = text.to_owned();
                given.push(program(argument, Rendered { text, ..word }));
            }
        }
    }
    if given.is_empty() {
        given.extend(plain);
    }
    Some(given)
}

/// What an option brings along.
enum Given<'text> {
    Nothing,
    Value,
    File,
    Told,
    /// The name of a file with functions, or nothing if it is the next word.
    Library(&'text str),
    /// It, or nothing if it is the next word.
    Program(&'text str),
}

fn kind<'text>(text: &'text str, options: &Options) -> Given<'text> {
    if let Some(long) = text.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v)));
        // Programs take the start of an option for the option.
        let known = options.long.iter().find(|(known, _)| known.starts_with(name));
        return match (known.map(|(_, kind)| kind), value) {
            (Some(Long::Valued), None) => Given::Value,
            (Some(Long::Program), value) => Given::Program(value.unwrap_or_default()),
            (Some(Long::File), _) => Given::File,
            (Some(Long::Library), value) => Given::Library(value.unwrap_or_default()),
            (Some(Long::Tells), _) => Given::Told,
            (Some(Long::Valued) | None, _) => Given::Nothing,
        };
    }
    for (at, letter) in text.char_indices().skip(1) {
        let value = text.get(at + letter.len_utf8()..).unwrap_or_default();
        if options.files.contains(letter) {
            return Given::File;
        } else if options.libraries.contains(letter) {
            return Given::Library(value);
        } else if letter == 'e' {
            return Given::Program(value);
        } else if options.valued.contains(letter) {
            return if value.is_empty() { Given::Value } else { Given::Nothing };
        } else if options.closing.contains(letter) {
            return Given::Nothing;
        }
    }
    Given::Nothing
}

/// Whether a word that nobody knows is taken for options: it is not quoted, and a program follows.
fn is_left_open(look: &Look<'_, '_>, node: Node<'_>, rest: &[Argument<'_>]) -> bool {
    let is_quoted = look.text(node).starts_with('"') && !look.text(node).contains("[@]");
    let is_known = |argument: &Argument<'_>| match argument.node.kind() {
        "raw_string" => true,
        "string" | "concatenation" => rendered(look.source, argument.node).has_known,
        _ => false,
    };
    !is_quoted && rest.iter().any(is_known)
}

/// A program that is the value of a variable, which the script sets to nothing but what can be read.
fn of_value(look: &Look<'_, '_>, node: Node<'_>, options: &Options) -> Verdict {
    let text = look.text(node).trim_matches('"').trim_start_matches('$');
    let name = text.trim_start_matches('{').trim_end_matches('}');
    let Some(Some(values)) = look.values.get(name) else { return Verdict::Elsewhere };
    let verdicts = values.iter().map(|value| (options.scan)(value));
    verdicts.fold(Verdict::Plain, |all, one| if all == Verdict::Plain { one } else { all })
}

fn judge(look: &mut Look<'_, '_>, node: Node<'_>, verdict: Verdict) {
    if let Some((message, advice)) = verdict.told() {
        look.add(node, "bash/command", message, advice);
    }
}

impl Verdict {
    /// What is wrong, and what to write instead.
    fn told(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Plain => None,
            Self::Starts => Some((
                "this program of awk or sed may start another",
                "print with it, and pipe that into the command",
            )),
            Self::Unclear => Some((
                "this program of awk or sed is not understood",
                "write it plainly, between single quotes",
            )),
            Self::Elsewhere => Some((
                "what this awk or sed does, is known only when it runs",
                "write its program in the command, between single quotes",
            )),
        }
    }
}

#[cfg(test)]
mod tests;
