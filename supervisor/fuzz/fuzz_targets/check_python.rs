//! A check ends, whatever it is given, and its findings are places in the source. What mode
//! restricted admits, mode standard admits.

#![no_main]

use belljar::{Language, Mode, Rules, check};

libfuzzer_sys::fuzz_target!(|source: &str| {
    let found = |mode| {
        let rules = Rules { mode, ..Rules::default() };
        let found = check(Language::Python, source, &rules);
        assert!(found.len() <= 100);
        let lines = source.split(['\n', '\r']).count();
        for finding in &found {
            assert!(finding.line >= 1 && finding.line as usize <= lines);
            assert!(finding.column >= 1 && finding.rule.starts_with("python/"));
        }
        found
    };
    if found(Mode::Restricted).is_empty() {
        assert_eq!(found(Mode::Standard), []);
    }
});
