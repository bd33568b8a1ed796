//! The programs of the corpora: each begins behind a line that says what it is.

use std::fs;
use std::path::Path;

use belljar::{Language, Mode, Rules};

/// A program, and where it is expected to be what.
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) language: Language,
    pub(crate) modes: Vec<Mode>,
    pub(crate) runtimes: Vec<&'static str>,
    pub(crate) text: String,
}

pub(crate) const STRICT: [Mode; 2] = [Mode::Restricted, Mode::Standard];

/// The programs of a file; what a line of theirs leaves open holds for all of the language.
pub(crate) fn programs(file: &str) -> Vec<Program> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules_js").join(file);
    let all = fs::read_to_string(path).expect("a corpus");
    let (language, known) = match file.rsplit_once('.').expect("an extension").1 {
        "js" => (Language::JavaScript, vec!["node", "js"]),
        "ts" => (Language::TypeScript, vec!["node", "js"]),
        _ => (Language::Bash, vec!["bash"]),
    };
    let program = |part: &str| {
        let (first, text) = part.split_once('\n').expect("a program");
        let (first, runtimes) = first.split_once(" runtimes:").unwrap_or((first, ""));
        let (name, modes) = first.split_once(" modes:").unwrap_or((first, "restricted standard"));
        let has = |words: &str, word: &str| words.split_whitespace().any(|it| it == word);
        Program {
            name: format!("{file}: {name}"),
            language,
            modes: STRICT.into_iter().filter(|mode| has(modes, mode.name())).collect(),
            runtimes: known
                .iter()
                .copied()
                .filter(|runtime| runtimes.is_empty() || has(runtimes, runtime))
                .collect(),
            text: text.to_owned(),
        }
    };
    all.strip_prefix("//// ").expect("a first line").split("\n//// ").map(program).collect()
}

pub(crate) fn rules(mode: Mode) -> Rules {
    Rules { mode, ..Rules::default() }
}
