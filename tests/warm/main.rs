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
mod faults;
#[path = "../escape/hold.rs"]
mod hold;
mod kinds;
mod life;
mod marker;
mod processes;
mod programs;
mod random;
mod rows;
#[path = "../escape/scenes.rs"]
mod scenes;
mod verdicts;

use std::process::ExitCode;

use belljar_tests::Suite;

fn main() -> ExitCode {
    let _bait = bait::lay_out();
    let pools = kinds::Pools::default();
    // Whoever needs to be alone comes before the sandboxes that many share.
    let mut suite = Suite::new("warm")
        .with(faults::tests())
        .with(marker::tests())
        .with(rows::tests())
        .with(programs::tests())
        .with(life::tests())
        .with(verdicts::tests())
        .with(beside::tests())
        .with(random::tests());
    let tables = [
        crossing::add,
        random::add,
        beside::add,
        marker::add,
        verdicts::add,
        life::add,
        escape::add,
    ];
    for add in tables {
        suite = add(suite, &pools);
    }
    drop(pools);
    suite.run()
}
