//! What the guard inside a jar is told, so that it decides by the same lists.

use std::fmt::Write as _;

use super::super::Rules;
use crate::Mode;
use crate::rules::lists::Words;
use crate::rules::lists::python as lists;

/// One list a line, a name and words: what `guard.py` reads. `own` are the run's own modules, by
/// name and path.
pub(in crate::rules) fn guard(rules: &Rules, own: &[(String, String)]) -> String {
    let is_standard = rules.mode >= Mode::Standard;
    let mut text = format!("mode {}\n", rules.mode);
    let mut line = |name: &str, lists: &[&Words]| {
        let words: Vec<_> = lists.iter().flat_map(|list| list.iter()).collect();
        // Writing to a string cannot fail.
        drop(writeln!(text, "{name} {}", words.join(" ")));
    };
    if is_standard {
        line("builtins", &[&lists::BUILTINS, &lists::STANDARD_BUILTINS]);
        line("modules", &[&lists::ALWAYS, &lists::MODULES]);
    } else {
        line("builtins", &[&lists::BUILTINS]);
        line("modules", &[&lists::ALWAYS]);
    }
    line("reflection", &[&lists::REFLECTION]);
    line("ordinary", &[&lists::ORDINARY]);
    line("withheld", &[&lists::WITHHELD]);
    if is_standard {
        let added: Vec<_> = rules.modules.iter().map(String::as_str).collect();
        drop(writeln!(text, "added {}", added.join(" ")));
        for (name, path) in own {
            drop(writeln!(text, "own {name} {path}"));
        }
    }
    text
}
