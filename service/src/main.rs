//! The `belljar` command.

use std::process::ExitCode;

// What opens loopback addresses is for tests, which have no other place to listen.
#[cfg(not(debug_assertions))]
const _: () = assert!(
    !belljar::LOOPBACK_CAN_BE_OPENED,
    "built with the feature loopback-upstreams: leave it out of what is released"
);

fn main() -> ExitCode {
    belljar_service::cli::main()
}
