//! Whether the rules of its language let a source run.

use std::sync::Arc;

use crate::rules::{check_in, own_modules};
use crate::runtime::Description;
use crate::sandbox::Settings;
use crate::source::{Code, SourceFile};
use crate::{Call, Error, Mode, RuleFinding, Rules, Source};

/// The rules that hold for a run.
///
/// # Errors
/// [`Error::Refused`] when they do not, or when there are none for its language.
pub(super) fn admit(settings: &Settings, source: &Source) -> Result<Rules, Error> {
    let mode = settings.rules.mode.min(source.mode);
    let rules = Rules { mode, modules: settings.rules.modules.clone() };
    judge(settings.interpreter.names(), source, &rules)?;
    Ok(rules)
}

/// The same before there is a sandbox, of a `runtime` whose files have a language by their names.
/// Files beside the code are looked at where their names are those of code, which can import them.
///
/// # Errors
/// As for [`admit`].
pub(crate) fn judge(names: &Description, source: &Source, rules: &Rules) -> Result<(), Error> {
    let mode = rules.mode;
    let refused = |what: String, findings| Err(Error::Refused { what, findings });
    match mode {
        Mode::Full => return Ok(()),
        Mode::Off => {
            let what = "mode off: no code runs; an operator sets the mode".to_owned();
            return refused(what, Vec::new());
        }
        Mode::Restricted | Mode::Standard => {}
    }
    let beside = source.files.iter().filter(|file| names.is_code(&file.path));
    let files: Vec<&SourceFile> = match &source.code {
        Code::Files { files, entry } => {
            let is_code = |file: &&SourceFile| file.path == *entry || !names.is_data(&file.path);
            files.iter().filter(is_code).chain(beside).collect()
        }
        Code::Snippet(_) | Code::Program(_) => beside.collect(),
    };
    let mut known = rules.clone();
    if let Some(language) = names.language("") {
        known.modules.extend(own_modules(language, files.iter().map(|file| file.path.as_str())));
    }
    let mut findings = Vec::new();
    let mut look = |path: &str, text: &str| {
        let found = check_in(names.language(path)?, text, &known, !names.lacks_library).into_iter();
        findings.extend(found.map(|finding| RuleFinding { file: path.to_owned(), ..finding }));
        Some(())
    };
    let mut has_rules = match &source.code {
        Code::Snippet(text) => look("", text).is_some(),
        Code::Files { .. } => true,
        Code::Program(_) => false,
    };
    for file in files {
        let Ok(text) = std::str::from_utf8(&file.bytes) else {
            let what = format!("mode {mode}: {} is not UTF-8, and no rules read it", file.path);
            return refused(what, Vec::new());
        };
        has_rules = has_rules && look(&file.path, text).is_some();
    }
    if !has_rules {
        let what = format!("mode {mode}: there are no rules for runtime {}", names.name);
        return refused(what, Vec::new());
    }
    unbroken(rules, findings)
}

/// The rules for code that comes later, to a payload that runs.
#[derive(Clone, Debug)]
pub(crate) struct Checker {
    rules: Rules,
    names: Arc<Description>,
}

impl Checker {
    /// Its code can import what `source` placed beside it.
    pub(super) fn new(settings: &Settings, source: &Source) -> Self {
        let mode = settings.rules.mode.min(source.mode);
        let mut rules = Rules { mode, modules: settings.rules.modules.clone() };
        let names = Arc::clone(settings.interpreter.names());
        let paths = source.files.iter().map(|file| file.path.as_str());
        learn(&mut rules, &names, paths);
        Self { rules, names }
    }

    /// The code of a call, and what it places beside it as far as that can be code, too.
    ///
    /// # Errors
    /// [`Error::Refused`] when a rule is broken.
    pub(crate) fn check(&self, call: &Call) -> Result<(), Error> {
        if self.rules.mode == Mode::Full {
            return Ok(());
        }
        let mut rules = self.rules.clone();
        learn(&mut rules, &self.names, call.files.iter().map(|file| file.path.as_str()));
        let mut findings = Vec::new();
        let language = |path: &str| self.names.language(path);
        let has_library = !self.names.lacks_library;
        findings.extend(
            language("")
                .map(|it| check_in(it, &call.code, &rules, has_library))
                .unwrap_or_default(),
        );
        for file in call.files.iter().filter(|file| self.names.is_code(&file.path)) {
            let text = String::from_utf8_lossy(&file.bytes);
            let found = language(&file.path).map(|it| check_in(it, &text, &rules, has_library));
            let found = found.unwrap_or_default().into_iter();
            findings.extend(found.map(|it| RuleFinding { file: file.path.clone(), ..it }));
        }
        unbroken(&rules, findings)
    }
}

/// The modules that files are to each other.
fn learn<'a>(rules: &mut Rules, names: &Description, paths: impl Iterator<Item = &'a str>) {
    if let Some(language) = names.language("") {
        rules.modules.extend(own_modules(language, paths.filter(|path| names.is_code(path))));
    }
}

fn unbroken(rules: &Rules, findings: Vec<RuleFinding>) -> Result<(), Error> {
    let Some(first) = findings.first() else { return Ok(()) };
    let place = format!("line {}, column {}", first.line, first.column);
    let what = format!("mode {}: {place}: {}; {}", rules.mode, first.message, first.advice);
    Err(Error::Refused { what, findings })
}
