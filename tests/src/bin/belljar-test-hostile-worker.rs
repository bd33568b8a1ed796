//! A worker that misbehaves in the manner of the name it is started under.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and says so")]

use std::fs::{self, DirEntry};
use std::io::{self, stdin};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use belljar_protocol::{Confinement, Denial, Ending, Layer, Report, Spent, Timing, wire};
use nix::sys::socket::{MsgFlags, send};

/// Longer than any test.
const FOR_EVER: Duration = Duration::from_mins(1);
/// Once a process of this name is below a real worker, its payload runs: whatever a native program
/// is called outside, that is the file it is executed from.
const PAYLOAD: &str = "program";

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
            let mut real = running();
            say(b"garbage");
            real.wait().unwrap();
            return;
        }
        "flood" => {
            let mut real = running();
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

/// The worker of the same build, on the same socket, once its payload runs.
fn running() -> Child {
    let here = std::env::current_exe().unwrap();
    let mut real = Command::new(here.with_file_name("belljar-worker")).spawn().unwrap();
    while real.try_wait().unwrap().is_none() && !has_payload(real.id()) {
        sleep(Duration::from_millis(5));
    }
    real
}

fn has_payload(worker: u32) -> bool {
    let processes: Vec<Process> = fs::read_dir("/proc").unwrap().filter_map(process).collect();
    let mut above = vec![worker];
    while let Some(parent) = above.pop() {
        for process in processes.iter().filter(|process| process.parent == parent) {
            if process.name == PAYLOAD {
                return true;
            }
            above.push(process.pid);
        }
    }
    false
}

struct Process {
    pid: u32,
    parent: u32,
    name: String,
}

fn process(entry: io::Result<DirEntry>) -> Option<Process> {
    let entry = entry.ok()?;
    let pid = entry.file_name().to_str()?.parse().ok()?;
    let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
    let parent = rest.split(' ').nth(1)?.parse().ok()?;
    Some(Process { pid, parent, name: name.to_owned() })
}
