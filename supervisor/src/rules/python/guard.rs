//! What the guard inside a jar is told, so that it decides by the same lists.

use crate::rules::lists::Words;
use crate::rules::lists::python as lists;
use crate::{Mode, Rules};

/// One list a line, a name and words: what `guard.py` reads.
pub(in crate::rules) fn guard<'a>(rules: &Rules, paths: impl Iterator<Item = &'a str>) -> String {
    let is_standard = rules.mode >= Mode::Standard;
    let mut text = format!("mode {}\n", rules.mode);
    let mut line = |name: &str, words: &mut dyn Iterator<Item = &str>| {
        text.push_str(name);
        for word in words {
            text.push(' ');
            text.push_str(word);
        }
        text.push('\n');
    };
    let also = |list: &Words| list.iter().filter(move |_| is_standard);
    line("builtins", &mut lists::BUILTINS.iter().chain(also(&lists::STANDARD_BUILTINS)));
    line("modules", &mut lists::ALWAYS.iter().chain(also(&lists::MODULES)));
    line("reflection", &mut lists::REFLECTION.iter());
    line("ordinary", &mut lists::ORDINARY.iter());
    line("withheld", &mut lists::WITHHELD.iter());
    if is_standard {
        line("added", &mut rules.modules.iter().map(String::as_str));
        for path in paths {
            if let Some(name) = module_name(path) {
                line("own", &mut [name.as_str(), &format!("/work/{path}")].into_iter());
            }
        }
    }
    text
}

/// The module that a file of a run is to the others. One with a name that is on a list would admit the
/// module that is meant by it everywhere else: interpreters may have that loaded before the run.
pub(in crate::rules) fn own_module(path: &str) -> Option<String> {
    let name = module_name(path)?;
    let first = name.split('.').next().unwrap_or_default();
    let is_listed = [&lists::LIBRARY, &lists::MODULES, &lists::ALWAYS]
        .into_iter()
        .chain(lists::GROUPS.iter().map(|group| &group.modules))
        .any(|list| list.has(first));
    (!is_listed).then_some(name)
}

/// The name under which a file below `/work` is imported.
fn module_name(path: &str) -> Option<String> {
    let name = path.strip_suffix("/__init__.py").or_else(|| path.strip_suffix(".py"))?;
    let is_name = |part: &str| {
        let is_start = part.starts_with(|c: char| c.is_alphabetic() || c == '_');
        is_start && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    name.split('/').all(is_name).then(|| name.replace('/', "."))
}
