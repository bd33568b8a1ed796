//! Sources in JavaScript and TypeScript.

#![no_main]

use belljar::Language;

libfuzzer_sys::fuzz_target!(|source: &str| {
    for language in [Language::JavaScript, Language::TypeScript] {
        belljar_fuzz::holds(language, source);
    }
});
