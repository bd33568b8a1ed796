//! Sources in bash.

#![no_main]

use belljar::Language;

libfuzzer_sys::fuzz_target!(|source: &str| belljar_fuzz::holds(Language::Bash, source));
