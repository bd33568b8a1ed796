//! A worker that no supervisor started. That this file exists also makes `cargo test` build the
//! worker as a program, which the tests of every other package start.

use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

/// `EX_SOFTWARE` of sysexits.h.
const FAILED: Option<i32> = Some(70);

#[test]
fn without_a_control_socket_it_says_nothing_and_fails() {
    let (socket, other_end) = UnixStream::pair().unwrap();
    drop(other_end);
    for stdin in [Stdio::null(), Stdio::from(std::os::fd::OwnedFd::from(socket))] {
        let output = Command::new(env!("CARGO_BIN_EXE_belljar-worker"))
            .arg("--help")
            .stdin(stdin)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), FAILED);
        assert_eq!((output.stdout, output.stderr), (Vec::new(), Vec::new()));
    }
}
