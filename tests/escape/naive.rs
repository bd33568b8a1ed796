//! Attacks that always succeed, and harm only whoever handles their traces without care: here as
//! somebody naive would.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::process::Command;

use belljar_protocol::Ending;
use belljar_tests::{built, run_without, scratch};

/// What an attack leaves in a directory.
fn left_by(id: &str) -> tempfile::TempDir {
    let directory = scratch();
    let mut attack = Command::new(built("belljar-attacker"));
    attack.arg(id).env("BELLJAR_ATTACK_SCRATCH", directory.path());
    assert!(attack.output().unwrap().status.success());
    directory
}

fn ensure(shown: bool, otherwise: &str) -> Result<(), String> {
    if shown { Ok(()) } else { Err(otherwise.to_owned()) }
}

/// A collector that opens names reads what is not in the directory.
pub(crate) fn a_link_is_followed() -> Result<(), String> {
    let left = left_by("A56");
    let through_proc = fs::read(left.path().join("magic.txt"));
    let is_outside = fs::canonicalize(left.path().join("out.txt"))
        .is_ok_and(|path| !path.starts_with(left.path()));
    let own = fs::read("/etc/passwd").map_err(|error| error.to_string())?;
    ensure(is_outside && through_proc.is_ok_and(|bytes| bytes == own), "no link leads out")
}

/// A collector that opens names waits for a writer, and counts one file twice.
pub(crate) fn a_pipe_is_opened() -> Result<(), String> {
    let left = left_by("A58");
    let kind =
        fs::metadata(left.path().join("result.json")).map_err(|e| e.to_string())?.file_type();
    ensure(kind.is_fifo(), "result.json is no pipe")?;
    let number = |name: &str| File::open(left.path().join(name)).and_then(|file| file.metadata());
    let numbers = [number("first.txt"), number("second.txt")].map(|found| found.unwrap().ino());
    ensure(numbers[0] == numbers[1], "one file has one name")
}

/// Whoever waits for the whole output to come through the pipe waits for what was taken back.
pub(crate) fn output_is_stolen() -> Result<(), String> {
    let (mut read, write) = std::io::pipe().map_err(|error| error.to_string())?;
    // Nobody reads until it has ended.
    let ended = Command::new(built("belljar-attacker")).arg("A89").stdout(write).status();
    ensure(ended.is_ok_and(|status| status.success()), "the attack failed")?;
    let mut left = String::new();
    read.read_to_string(&mut left).map_err(|error| error.to_string())?;
    ensure(!left.contains("may be missing") && left.contains("bytes of its own"), "nothing is gone")
}

/// Whoever reads the ending off the output, or off an exit code, calls it a want of memory.
pub(crate) fn an_ending_is_believed() -> Result<(), String> {
    let fallen = run_without(&[], &built("belljar-attacker"), &["A93"]);
    let is_forged = fallen.output.contains("\"status\":\"memory\"");
    ensure(is_forged && fallen.ending == Ending::Exited(137), "the ending is not forged")
}

/// A terminal that is shown the output obeys it.
pub(crate) fn output_is_obeyed() -> Result<(), String> {
    let output = Command::new(built("belljar-attacker")).arg("A94").output();
    let written = output.map_err(|error| error.to_string())?.stdout;
    ensure(written.starts_with(b"\x1b[2J") && std::str::from_utf8(&written).is_err(), "plain text")
}
