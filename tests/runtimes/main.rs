//! Every runtime does what every runtime promises: the same list of promises for each language.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says so"
)]

use std::process::ExitCode;

use belljar_tests::{Suite, Test};

mod choosing;
mod languages;
mod native;
mod promises;
mod science;

fn main() -> ExitCode {
    let mut suite = Suite::new("runtimes");
    for language in languages::ALL {
        suite = suite.with(promises::of(language));
    }
    let rest: [fn() -> Vec<Test>; 3] = [native::tests, choosing::tests, science::tests];
    rest.into_iter().fold(suite, |suite, tests| suite.with(tests())).run()
}
