//! What holds of a check, whatever it is given.

use belljar::{Language, Mode, Rules, check};

/// A check ends, and its findings are places in the source, told by rules of its language. What mode
/// restricted admits, mode standard admits.
///
/// # Panics
/// When it is otherwise.
pub fn holds(language: Language, source: &str) {
    if found(language, source, Mode::Restricted) == 0 {
        assert_eq!(found(language, source, Mode::Standard), 0);
    }
}

fn found(language: Language, source: &str, mode: Mode) -> usize {
    let found = check(language, source, &Rules { mode, ..Rules::default() });
    assert!(found.len() <= 100);
    let lines = source.split(['\n', '\r']).count();
    let rules = match language {
        Language::Python => "python/",
        Language::JavaScript | Language::TypeScript => "javascript/",
        Language::Bash => "bash/",
    };
    for finding in &found {
        assert!(finding.line >= 1 && finding.line as usize <= lines, "{finding:?}");
        assert!(finding.column >= 1 && finding.rule.starts_with(rules), "{finding:?}");
    }
    found.len()
}
