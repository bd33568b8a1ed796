//! The gate: what was granted is reached by any program, and nothing else is.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::process::ExitCode;

use belljar_tests::Suite;

mod clients;
mod closed;
mod literals;
mod places;
mod postgres;
mod refusals;
mod resilience;
mod secrets;
mod tls;

fn main() -> ExitCode {
    if let Some(status) = tls::with_an_authority() {
        return status;
    }
    Suite::new("gate")
        .with(clients::tests())
        .with(closed::tests())
        .with(literals::tests())
        .with(tls::tests())
        .with(postgres::tests())
        .with(refusals::tests())
        .with(resilience::tests())
        .with(secrets::tests())
        .run()
}
