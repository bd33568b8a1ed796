//! What a check of a source costs: an ordinary one by its length, beside what the same parser takes
//! to parse it and free the tree, and hostile ones of the largest size.

use std::hint::black_box;

use belljar::{Language, Mode, Rules, check};
use belljar_benches::{Contest, Effort, Error};

/// As a model writes them.
const PROGRAM: &str = include_str!("src/checked.py");
const LARGEST_BYTES: usize = 1 << 20;
const LINES: [usize; 3] = [100, 1_000, 10_000];
/// What is repeated, each for its share of the source.
const HOSTILE: [(Language, &[&str]); 15] = [
    (Language::Python, &["("]),
    (Language::Python, &["["]),
    (Language::Python, &["f'{"]),
    (Language::Python, &["1+"]),
    (Language::Python, &["not "]),
    (Language::Python, &["lambda a,b:"]),
    (Language::Python, &["a("]),
    (Language::Python, &["1if 1else "]),
    (Language::Python, &["if 1:a;"]),
    (Language::Python, &["a=b\n", "a()\n"]),
    (Language::Python, &["s='{}'\n", "s.format()\n"]),
    (Language::JavaScript, &["var o={},c='a';", "o[c];\n"]),
    (Language::JavaScript, &["of\\/;"]),
    (Language::Bash, &["f() { :; }\n", "trap f EXIT\n"]),
    (Language::Bash, &["env "]),
];

/// What no check of Python can do without.
const PARSE: &str = "parse alone";
const ORDINARY: &str = "Python, as models write it";

fn main() -> Result<(), Error> {
    let effort = Effort::asked_for(50)?;
    for lines in LINES {
        let source = ordinary(lines);
        let mut contest = Contest::default();
        contest.enter(PARSE, || {
            black_box(ruff_python_parser::parse_module(black_box(&source))?);
            Ok(())
        });
        for mode in [Mode::Restricted, Mode::Standard] {
            enter(&mut contest, &format!("check, {mode}"), Language::Python, &source, mode);
        }
        contest.hold(effort.rounds)?.print(&format!("Python, {lines} lines"), PARSE)?;
    }
    let ordinary = ordinary(LARGEST_BYTES / PROGRAM.len() * PROGRAM.lines().count());
    let hostile = HOSTILE.map(|(language, parts)| (language, parts, filled(parts)));
    let mut contest = Contest::default();
    enter(&mut contest, ORDINARY, Language::Python, &ordinary, Mode::Standard);
    for (language, parts, source) in &hostile {
        enter(&mut contest, &format!("{language:?}, {parts:?}"), *language, source, Mode::Standard);
    }
    contest.hold(effort.rounds)?.print("1 MiB, standard", ORDINARY)?;
    Ok(())
}

/// Whole programs, and as many lines: a part of one might be no Python.
fn ordinary(lines: usize) -> String {
    let each = PROGRAM.lines().count();
    PROGRAM.repeat(lines / each) + &"# a comment\n".repeat(lines % each)
}

fn filled(parts: &[&str]) -> String {
    let share = LARGEST_BYTES / parts.len();
    parts.iter().map(|part| part.repeat(share / part.len())).collect()
}

fn enter<'a>(
    contest: &mut Contest<'a>,
    name: &str,
    language: Language,
    source: &'a str,
    mode: Mode,
) {
    let rules = Rules { mode, ..Rules::default() };
    contest.enter(name, move || {
        black_box(check(language, black_box(source), &rules));
        Ok(())
    });
}
