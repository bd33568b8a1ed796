//! The rules of JavaScript, TypeScript and bash: ordinary programs pass and run, attacks are refused,
//! and reach nothing of the host where nobody refuses them.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, and says so")]

use std::process::ExitCode;

use belljar_tests::Suite;

mod corpus;
mod escapes;
mod ordinary;
mod types;

fn main() -> ExitCode {
    let all = [ordinary::tests(), escapes::tests(), types::tests()];
    all.into_iter().fold(Suite::new("rules_js"), Suite::with).run()
}
