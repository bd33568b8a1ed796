use std::fs;
use std::io::{self, IoSlice, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use belljar_protocol::{
    Authority, Ceilings, Contents, Delivery, Ending, Entry, Files, Identity, Jar, Job, Layer, Link,
    Mount, Network, Order, Report, Scratch, SecretMap, Stdin, Syscalls, Task, wire,
};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, recv, sendmsg, setsockopt, socketpair,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

/// A run behind fewer walls: the library's barrier would refuse it, so the worker is told its job
/// from here. There is no cgroup, no deadline and no look from outside.
struct WallsDown {
    worker: Child,
    control: OwnedFd,
    _name: tempfile::TempDir,
}

/// How such a run ended.
#[derive(Debug)]
pub struct Fallen {
    /// What process 1 of the jar learnt by wait(2).
    pub ending: Ending,
    /// What the payload wrote, on either stream.
    pub output: String,
}

/// A jar of more than this many seconds hangs.
const PATIENCE_SECONDS: i64 = 120;
/// Beyond the ids that the library lends.
const FIRST_ID: u32 = 3_000_000_000;
/// As much of /etc as a jar of the library has.
const FILES: [(&str, &str); 2] = [
    ("/etc/passwd", "belljar:x:1000:1000:belljar:/work:/bin/sh\n"),
    ("/etc/group", "belljar:x:1000:\n"),
];

/// The worker that does without walls, under a name that says without which: `failing-seccomp`,
/// `without-landlock+seccomp`. The name lasts as long as the directory.
pub fn walls_down_worker(fate: &str, walls: &[Layer]) -> (tempfile::TempDir, PathBuf) {
    let directory = crate::scratch();
    let layers: Vec<_> = walls.iter().map(|layer| layer.name()).collect();
    let name = directory.path().join(format!("{fate}-{}", layers.join("+")));
    symlink(crate::built("walls-down-worker"), &name).expect("a name for the worker");
    (directory, name)
}

/// Runs a program to its end behind every wall but `walls`.
pub fn run_without(walls: &[Layer], program: &Path, arguments: &[&str]) -> Fallen {
    let (run, pipe) = WallsDown::start("without", walls);
    run.send(&Order::Job(Box::new(job(program, arguments))));
    let output = thread::spawn(move || io::read_to_string(pipe).unwrap_or_default());
    loop {
        match run.hear() {
            Report::Confined(_) => run.send(&Order::Proceed),
            Report::Ended(ending, _) => {
                drop(run);
                return Fallen { ending, output: output.join().expect("its output") };
            }
            Report::Denied(_) | Report::Tally(_) => {}
            other => panic!("without {walls:?}: {other:?}"),
        }
    }
}

/// What a worker says that fails at one wall, and what its payload wrote although it was told to
/// go on.
pub fn run_failing(wall: Layer, program: &Path, arguments: &[&str]) -> (Report, String) {
    let (run, pipe) = WallsDown::start("failing", &[wall]);
    // It may have failed, and gone, before it was told anything.
    let _told = run.try_send(&Order::Job(Box::new(job(program, arguments))));
    let report = run.hear();
    let _told = run.try_send(&Order::Proceed);
    drop(run);
    (report, io::read_to_string(pipe).expect("its output"))
}

impl WallsDown {
    fn start(fate: &str, walls: &[Layer]) -> (Self, impl Read + Send + 'static) {
        let (name, path) = walls_down_worker(fate, walls);
        let (control, stdin) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .expect("a socket pair");
        setsockopt(&control, sockopt::SndBuf, &wire::MAX_BYTES).expect("its buffer");
        let patience = TimeVal::seconds(PATIENCE_SECONDS);
        setsockopt(&control, sockopt::ReceiveTimeout, &patience).expect("its timeout");
        let (read, write) = io::pipe().expect("a pipe");
        let worker = Command::new(path)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(stdin))
            .stdout(write.try_clone().expect("a pipe"))
            .stderr(write)
            .spawn()
            .expect("the worker");
        (Self { worker, control, _name: name }, read)
    }

    fn send(&self, order: &Order) {
        self.try_send(order).expect("a worker that listens");
    }

    fn try_send(&self, order: &Order) -> nix::Result<usize> {
        let bytes = wire::encode_order(order).expect("an order");
        let (socket, parts) = (self.control.as_raw_fd(), [IoSlice::new(&bytes)]);
        sendmsg::<UnixAddr>(socket, &parts, &[], MsgFlags::MSG_NOSIGNAL, None)
    }

    fn hear(&self) -> Report {
        let mut buffer = vec![0; 16 * 1024];
        let bytes = loop {
            match recv(self.control.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                // A child of another test ended meanwhile; or the worker, with an order unread, which
                // is told once, and before what is queued.
                Err(nix::Error::EINTR | nix::Error::ECONNRESET) => {}
                heard => break heard.expect("a worker that speaks within its time"),
            }
        };
        buffer.truncate(bytes);
        wire::decode_report(&buffer).expect("a report: the worker may have died")
    }
}

impl Drop for WallsDown {
    /// The warden ends with its socket, and the jar with the warden.
    fn drop(&mut self) {
        nix::sys::socket::shutdown(self.control.as_raw_fd(), nix::sys::socket::Shutdown::Write)
            .expect("a socket");
        self.worker.wait().expect("the worker's end");
    }
}

fn job(program: &Path, arguments: &[&str]) -> Job {
    static NEXT: AtomicU32 = AtomicU32::new(FIRST_ID);
    let root = nix::unistd::geteuid().is_root();
    let id = if root { NEXT.fetch_add(1, Ordering::Relaxed) } else { 0 };
    Job {
        identity: Identity { uid: id, gid: id },
        jar: jar(if root { Authority::Host } else { Authority::Own }, program),
        task: Task {
            files: Files { entries: Vec::new(), contents: Contents::Inline(Vec::new()) },
            stdin: Stdin::Empty,
            program: "/program".to_owned(),
            argv: [&["attacker"], arguments].concat().iter().map(|&text| text.to_owned()).collect(),
            env: [("PATH", "/usr/bin:/bin"), ("TMPDIR", "/tmp")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            secrets: SecretMap::new(),
            deadline_ms: 120_000,
        },
    }
}

fn jar(authority: Authority, program: &Path) -> Jar {
    let (mut mounts, mut links) = (Vec::new(), Vec::new());
    for place in ["/usr", "/lib", "/lib64", "/bin"] {
        match fs::read_link(place) {
            Ok(target) => {
                let target = target.to_string_lossy().into_owned();
                links.push(Link { path: place.to_owned(), target });
            }
            Err(_) if Path::new(place).exists() => {
                mounts.push(Mount { source: place.to_owned(), target: place.to_owned() });
            }
            Err(_) => {}
        }
    }
    let source = program.to_str().expect("a path that is text").to_owned();
    mounts.push(Mount { source, target: "/program".to_owned() });
    Jar {
        authority,
        mounts,
        links,
        files: files(),
        scratch: Scratch { bytes: 64 << 20, inodes: 16_384, exec: false },
        delivery: Delivery::Files,
        ceilings: Ceilings {
            cpu_seconds: 20,
            descriptors: 256,
            processes: 65,
            file_bytes: 64 << 20,
            data_bytes: u64::MAX,
        },
        syscalls: Syscalls::Standard,
        network: Network::None,
    }
}

fn files() -> Files {
    let entry = |(path, text): &(&str, &str)| Entry {
        path: (*path).to_owned(),
        mode: 0o644,
        bytes: text.len() as u64,
    };
    let text: String = FILES.iter().map(|(_, text)| *text).collect();
    Files {
        entries: FILES.iter().map(entry).collect(),
        contents: Contents::Inline(text.into_bytes()),
    }
}
