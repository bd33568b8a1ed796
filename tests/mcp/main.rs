//! What a model gets: runs over the Model Context Protocol, through whichever door.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and says so"
)]

mod calls;
mod client;
mod ends;
mod files;
mod http;
#[path = "../service/line.rs"]
#[expect(dead_code, reason = "the tests of the service use the rest")]
mod line;
#[path = "../service/served.rs"]
#[expect(dead_code, reason = "the tests of the service use the rest")]
mod served;
mod sessions;

use std::process::ExitCode;

use belljar_tests::Suite;

fn main() -> ExitCode {
    Suite::new("mcp")
        .with(calls::tests())
        .with(files::tests())
        .with(ends::tests())
        .with(sessions::tests())
        .with(http::tests())
        .run()
}
