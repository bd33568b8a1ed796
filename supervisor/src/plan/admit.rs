//! Whether the rules of its language let a source run.

use crate::sandbox::Settings;
use crate::source::Code;
use crate::{Error, Language, Mode, RuleFinding, Rules, Source, check};

/// # Errors
/// [`Error::Refused`] when they do not, or when there are none for its language.
pub(super) fn admit(settings: &Settings, source: &Source) -> Result<(), Error> {
    let mode = settings.rules.mode.min(source.mode);
    if mode == Mode::Full {
        return Ok(());
    }
    let rules = Rules { mode, modules: settings.rules.modules.clone() };
    let language = |path: &str| settings.interpreter.language(path);
    judge(&settings.runtime, language, &source.code, &rules)
}

/// The same before there is a sandbox, of a `runtime` whose files have a language by their names.
///
/// # Errors
/// As for [`admit`].
pub(crate) fn judge(
    runtime: &str,
    language: impl Fn(&str) -> Option<Language>,
    code: &Code,
    rules: &Rules,
) -> Result<(), Error> {
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
    let mut findings = Vec::new();
    let mut look = |path: &str, text: &str| {
        let language = language(path)?;
        let found = check(language, text, rules).into_iter();
        findings.extend(found.map(|finding| RuleFinding { file: path.to_owned(), ..finding }));
        Some(())
    };
    let has_rules = match code {
        Code::Snippet(text) => look("", text).is_some(),
        Code::Files { files, .. } => files.iter().all(|file| {
            std::str::from_utf8(&file.bytes).is_ok_and(|text| look(&file.path, text).is_some())
        }),
        Code::Program(_) => false,
    };
    if !has_rules {
        let what = format!("mode {mode}: there are no rules for runtime {runtime}");
        return refused(what, Vec::new());
    }
    match findings.first() {
        None => Ok(()),
        Some(first) => {
            let place = format!("line {}, column {}", first.line, first.column);
            let what = format!("mode {mode}: {place}: {}; {}", first.message, first.advice);
            refused(what, findings)
        }
    }
}
