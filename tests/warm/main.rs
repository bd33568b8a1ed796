//! What is kept ready ahead of a run holds what a jar built for it holds, and one run is nothing
//! to the next.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and says so"
)]

#[path = "../escape/bait.rs"]
mod bait;
mod beside;
#[path = "../escape/corpus.rs"]
mod corpus;
mod crossing;
mod escape;
#[path = "../escape/hold.rs"]
mod hold;
mod kinds;
mod random;
#[path = "../escape/scenes.rs"]
mod scenes;

use std::process::ExitCode;

use belljar_tests::Suite;

fn main() -> ExitCode {
    let _bait = bait::lay_out();
    let pools = kinds::Pools::default();
    // Whoever needs to be alone comes before the sandboxes that many share.
    let mut suite = Suite::new("warm").with(beside::tests()).with(random::tests());
    for add in [crossing::add, random::add, beside::add, escape::add] {
        suite = add(suite, &pools);
    }
    drop(pools);
    suite.run()
}
