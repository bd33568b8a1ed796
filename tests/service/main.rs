//! A run that takes place in a service is the run that takes place here, and whoever speaks to the
//! service costs nobody else anything.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says so, and tells figures to whoever asks"
)]

mod allowed;
mod configured;
mod contract;
mod crash;
mod drain;
mod gone;
mod hostile;
mod kinds;
mod lifecycle;
mod line;
mod load;
mod measured;
mod parity;
mod probes;
mod quotas;
mod remote;
mod served;
mod sessions;
mod soak;
mod socket;
mod sshd;
mod systemd;
mod tenants;
mod versions;

use std::process::ExitCode;

use belljar_tests::Suite;

fn main() -> ExitCode {
    // Open before anybody counts: they stay as long as the process.
    allowed::resolvers();
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
        .with(load::tests())
        .with(quotas::tests())
        .with(tenants::tests())
        .with(allowed::tests())
        .with(configured::tests())
        .with(soak::tests())
        .run()
}
