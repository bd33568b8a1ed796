//! Sources in Python.

#![no_main]

use belljar::Language;

libfuzzer_sys::fuzz_target!(|source: &str| belljar_fuzz::holds(Language::Python, source));
