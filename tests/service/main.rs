//! A run that takes place in a service is the run that takes place here, and whoever speaks to the
//! service costs nobody else anything.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and says so"
)]

mod contract;
mod crash;
mod drain;
mod gone;
mod hostile;
mod kinds;
mod lifecycle;
mod line;
mod measured;
mod parity;
mod remote;
mod served;
mod sessions;
mod socket;
mod sshd;
mod systemd;
mod versions;

use std::process::ExitCode;

use belljar_tests::Suite;

fn main() -> ExitCode {
    Suite::new("service")
        .with(kinds::tests())
        .with(lifecycle::tests())
        .with(parity::tests())
        .with(sessions::tests())
        .with(socket::tests())
        .with(gone::tests())
        .with(contract::tests())
        .with(drain::tests())
        .with(remote::tests())
        .with(versions::tests())
        .with(systemd::tests())
        .with(hostile::tests())
        .with(crash::tests())
        .run()
}
