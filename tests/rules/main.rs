//! The rules of languages: what ordinary programs may write, what attacks may not, and that nothing
//! of the host is reached by those with the rules switched off.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, and says so")]

use std::process::ExitCode;

use belljar_tests::Suite;

mod corpus;
mod escapes;
mod ordinary;
mod starts;
mod types;

fn main() -> ExitCode {
    let all = [ordinary::tests(), escapes::tests(), starts::tests(), types::tests()];
    let ended = all.into_iter().fold(Suite::new("rules"), Suite::with).run();
    corpus::print_table();
    ended
}
