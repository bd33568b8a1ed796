//! The rules of languages: what ordinary programs may write, what attacks may not, and that nothing
//! of the host is reached by those with the rules switched off.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, and says so")]

use std::process::ExitCode;

use belljar_tests::Suite;

mod corpus;
mod escapes;
mod ordinary;
mod starts;

fn main() -> ExitCode {
    let ended = Suite::new("rules")
        .with(ordinary::tests())
        .with(escapes::tests())
        .with(starts::tests())
        .run();
    corpus::print_table();
    ended
}
