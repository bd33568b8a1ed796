//! A worker that misbehaves in the manner of the name it is started under.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and says so")]

use std::io::stdin;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use belljar_protocol::{Confinement, Denial, Ending, Layer, Report, Spent, Timing, wire};
use nix::sys::socket::{MsgFlags, send};

/// Longer than any test.
const FOR_EVER: Duration = Duration::from_mins(1);
/// A real worker is confined by then.
const CONFINED_WITHIN: Duration = Duration::from_millis(500);

fn main() {
    let name = PathBuf::from(std::env::args_os().next().unwrap());
    match name.file_name().and_then(|name| name.to_str()).unwrap_or_default() {
        "garbage" => say(b"garbage"),
        "oversized" => say(&vec![0; 100_000]),
        "version" => say(b"BJ\xff\xff1234"),
        "early" => report(&Report::LotFounded),
        "ended" => report(&Report::Ended(Ending::Exited(0), Spent::default())),
        "liar" => report(&Report::Confined(Confinement {
            timings: Layer::ALL.map(|layer| Timing { layer, micros: 1 }).to_vec(),
            notes: Vec::new(),
            landlock_abi: 7,
        })),
        "dies" => return,
        "parent" => {
            let mut child =
                Command::new("/bin/sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
            say(b"garbage");
            child.wait().unwrap();
        }
        "late-garbage" => {
            let mut real = real();
            sleep(CONFINED_WITHIN);
            say(b"garbage");
            real.wait().unwrap();
            return;
        }
        "flood" => {
            let mut real = real();
            sleep(CONFINED_WITHIN);
            for number in 0.. {
                let denial = Denial { call: 41, args: [number; 6], errno: 1 };
                report(&Report::Denied(denial));
                if real.try_wait().unwrap().is_some() {
                    return;
                }
            }
        }
        _ => {}
    }
    sleep(FOR_EVER);
}

fn report(report: &Report) {
    say(&wire::encode_report(report).unwrap());
}

fn say(bytes: &[u8]) {
    if send(stdin().as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL).is_err() {
        // Nobody is listening any more.
    }
}

/// The worker of the same build, on the same socket.
fn real() -> Child {
    let here = std::env::current_exe().unwrap();
    Command::new(here.with_file_name("belljar-worker")).spawn().unwrap()
}
