//! Advice, not a boundary: rules over the source of a run, which give early and friendly refusals.
//! Whatever they miss, the jar holds; every attack of the corpus fails with them switched off.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;

#[cfg(feature = "rules")]
mod bash;
#[cfg(feature = "rules")]
mod bounds;
#[cfg(feature = "rules")]
mod findings;
#[cfg(all(test, feature = "rules"))]
mod hostile;
#[cfg(feature = "rules")]
mod javascript;
#[cfg(feature = "rules")]
mod lists;
#[cfg(feature = "rules")]
mod python;
#[cfg(feature = "rules")]
pub(crate) mod typescript;

/// How much of a language a run may use; the first is the strictest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Nothing runs.
    Off,
    /// No imports, and curated builtins.
    Restricted,
    /// The modules of a list, and what an operator added to it.
    Standard,
    /// Everything: no rules.
    #[default]
    Full,
}

/// The rules that hold for a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// How strict they are.
    pub mode: Mode,
    /// Modules, or commands of a shell, that an operator added to those of mode standard.
    pub modules: BTreeSet<String>,
}

/// What a source is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Python 3.
    Python,
    /// JavaScript.
    JavaScript,
    /// TypeScript.
    TypeScript,
    /// Bash, and what of it is sh.
    Bash,
}

/// Where a source breaks a rule, and what to write instead. Shaped for a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file it is in, below `/work`; empty for a snippet.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// The rule: `python/import`.
    pub rule: &'static str,
    /// The offending text, shortened.
    pub text: String,
    /// What is wrong with it.
    pub message: String,
    /// What to write instead.
    pub advice: String,
}

impl Mode {
    /// The word of the JSON contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Restricted => "restricted",
            Self::Standard => "standard",
            Self::Full => "full",
        }
    }

    /// The mode of a word. A word that is none is the strictest.
    pub fn from_word(word: &str) -> Self {
        match word {
            "full" => Self::Full,
            "standard" => Self::Standard,
            "restricted" => Self::Restricted,
            _ => Self::Off,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where `source` breaks `rules`, in the order of the lines; at most a hundred findings. Nothing for
/// [`Mode::Full`].
pub fn check(language: Language, source: &str, rules: &Rules) -> Vec<Finding> {
    check_in(language, source, rules, true)
}

/// [`check`] for a runtime that has the modules of its language's list, or has none of them.
pub(crate) fn check_in(
    language: Language,
    source: &str,
    rules: &Rules,
    has_library: bool,
) -> Vec<Finding> {
    #[cfg(not(feature = "rules"))]
    let _ = has_library;
    match (rules.mode, language) {
        (Mode::Full, _) => Vec::new(),
        #[cfg(feature = "rules")]
        (_, Language::Python) => python::check(source, rules),
        #[cfg(feature = "rules")]
        (_, Language::JavaScript | Language::TypeScript) => {
            javascript::check(language, source, rules, has_library)
        }
        #[cfg(feature = "rules")]
        (_, Language::Bash) => bash::check(source, rules),
        #[cfg(not(feature = "rules"))]
        _ => vec![unbuilt(source)],
    }
}

/// What the guard inside a jar is told, so that it decides by the same lists. `paths` are those of
/// the run's own source files, below `/work`. Empty for a language that needs none.
#[cfg(feature = "rules")]
pub(crate) fn guard<'a>(
    language: Language,
    rules: &Rules,
    paths: impl Iterator<Item = &'a str>,
) -> String {
    match language {
        Language::Python => python::guard(rules, paths),
        Language::JavaScript | Language::TypeScript => javascript::guard(rules),
        Language::Bash => String::new(),
    }
}

/// The modules that the source files of a run are to each other.
#[cfg(feature = "rules")]
pub(crate) fn own_modules<'a>(
    language: Language,
    paths: impl Iterator<Item = &'a str>,
) -> Vec<String> {
    match language {
        Language::Python => paths.filter_map(python::own_module).collect(),
        _ => Vec::new(),
    }
}

#[cfg(not(feature = "rules"))]
pub(crate) fn guard<'a>(_: Language, _: &Rules, _: impl Iterator<Item = &'a str>) -> String {
    String::new()
}

#[cfg(not(feature = "rules"))]
pub(crate) fn own_modules<'a>(_: Language, _: impl Iterator<Item = &'a str>) -> Vec<String> {
    Vec::new()
}

#[cfg(not(feature = "rules"))]
fn unbuilt(source: &str) -> Finding {
    Finding {
        file: String::new(),
        line: 1,
        column: 1,
        rule: "rules/unbuilt",
        text: source.chars().take(40).collect(),
        message: "this belljar was built without the rules of languages".to_owned(),
        advice: "ask for mode full, or build it with the feature `rules`".to_owned(),
    }
}
