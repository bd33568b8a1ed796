//! What goes on: standard input that stays open, and sessions.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::process::ExitCode;

use belljar_tests::Suite;

mod bash;
mod calls;
mod ends;
mod js;
mod node;
mod rich;
mod stdin;

fn main() -> ExitCode {
    Suite::new("session")
        .with(stdin::tests())
        .with(calls::tests())
        .with(ends::tests())
        .with(rich::tests())
        .with(js::tests())
        .with(node::tests())
        .with(bash::tests())
        .run()
}
