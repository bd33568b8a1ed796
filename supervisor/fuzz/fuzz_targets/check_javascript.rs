//! A check ends, whatever it is given, and its findings are places in the source. What mode
//! restricted admits, mode standard admits.

#![no_main]

use belljar::{Language, Mode, Rules, check};

libfuzzer_sys::fuzz_target!(|source: &str| {
    for language in [Language::JavaScript, Language::TypeScript] {
        let found = |mode| {
            let rules = Rules { mode, ..Rules::default() };
            let found = check(language, source, &rules);
            assert!(found.len() <= 100);
            for finding in &found {
                assert!(finding.line >= 1 && finding.column >= 1);
            }
            found
        };
        if found(Mode::Restricted).is_empty() {
            assert_eq!(found(Mode::Standard), []);
        }
    }
});
