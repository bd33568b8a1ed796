//! Whether the rules of its language let a source run.

use crate::rules::own_modules;
use crate::sandbox::Settings;
use crate::source::Code;
use crate::{Error, Language, Mode, RuleFinding, Rules, Source, check};

/// The rules that hold for a run.
///
/// # Errors
/// [`Error::Refused`] when they do not, or when there are none for its language.
pub(super) fn admit(settings: &Settings, source: &Source) -> Result<Rules, Error> {
    let mode = settings.rules.mode.min(source.mode);
    let rules = Rules { mode, modules: settings.rules.modules.clone() };
    if mode == Mode::Full {
        return Ok(rules);
    }
    let refused = |what: String, findings| Err(Error::Refused { what, findings });
    if mode == Mode::Off {
        let what = "mode off: no code runs; an operator sets the mode".to_owned();
        return refused(what, Vec::new());
    }
    let known = with_own_modules(settings, source, &rules);
    let mut findings = Vec::new();
    let mut look = |path: &str, text: &str| {
        let language = settings.interpreter.language(path)?;
        let found = check(language, text, &known).into_iter();
        findings.extend(found.map(|finding| RuleFinding { file: path.to_owned(), ..finding }));
        Some(())
    };
    let has_rules = match &source.code {
        Code::Snippet(text) => look("", text).is_some(),
        Code::Files { files, .. } => files.iter().all(|file| {
            std::str::from_utf8(&file.bytes).is_ok_and(|text| look(&file.path, text).is_some())
        }),
        Code::Program(_) => false,
    };
    if !has_rules {
        let what = format!("mode {mode}: there are no rules for runtime {}", settings.runtime);
        return refused(what, Vec::new());
    }
    judge(&rules, findings)?;
    Ok(rules)
}

/// The rules for code that comes later, to a payload that runs.
#[derive(Clone, Debug)]
pub(crate) struct Checker {
    rules: Rules,
    language: Option<Language>,
}

impl Checker {
    pub(super) fn new(settings: &Settings, source: &Source) -> Self {
        let mode = settings.rules.mode.min(source.mode);
        let rules = Rules { mode, modules: settings.rules.modules.clone() };
        Self { rules, language: settings.interpreter.language("") }
    }

    /// # Errors
    /// [`Error::Refused`] when a rule is broken.
    pub(crate) fn check(&self, code: &str) -> Result<(), Error> {
        let found = self.language.map(|language| check(language, code, &self.rules));
        judge(&self.rules, found.unwrap_or_default())
    }
}

fn judge(rules: &Rules, findings: Vec<RuleFinding>) -> Result<(), Error> {
    let Some(first) = findings.first() else { return Ok(()) };
    let place = format!("line {}, column {}", first.line, first.column);
    let what = format!("mode {}: {place}: {}; {}", rules.mode, first.message, first.advice);
    Err(Error::Refused { what, findings })
}

/// The same rules for sources that may import each other: all of them are checked.
fn with_own_modules(settings: &Settings, source: &Source, rules: &Rules) -> Rules {
    let mut rules = rules.clone();
    if let Some(language) = settings.interpreter.language("") {
        rules.modules.extend(own_modules(language, source.code.paths()));
    }
    rules
}
