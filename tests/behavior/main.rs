//! What a caller sees: of output, ends, limits, secrets, files, denials, receipts and errors.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and says so"
)]

use std::process::ExitCode;

use belljar_tests::Suite;

mod denials;
mod errors;
mod files;
mod gate;
mod hostile;
mod jar;
mod kill;
mod limits;
mod memory;
mod network;
mod orphaned;
mod output;
mod receipt;
mod redaction;
mod secrets;
mod status;
mod time;

fn main() -> ExitCode {
    Suite::new("behavior")
        .with(status::tests())
        .with(time::tests())
        .with(memory::tests())
        .with(limits::tests())
        .with(kill::tests())
        .with(orphaned::tests())
        .with(secrets::tests())
        .with(redaction::tests())
        .with(files::tests())
        .with(output::tests())
        .with(denials::tests())
        .with(receipt::tests())
        .with(jar::tests())
        .with(errors::tests())
        .with(network::tests())
        .with(gate::tests())
        .with(hostile::tests())
        .run()
}
