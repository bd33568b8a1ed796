//! Memory: of an idle supervisor, of a worker before it has a job, and what many runs leave.
//!
//! `BELLJAR_BENCH_ROUNDS` names the number of runs, `BELLJAR_BENCH_SECONDS` what bounds them.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use belljar::{Sandbox, Source};
use belljar_benches::{Effort, Error, Jars};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

const NOOP: &str = env!("CARGO_BIN_EXE_belljar-bench-noop");
/// Runs before the first look: whatever is made once is there.
const WARM_UP: u64 = 100;
const AT_ONCE: usize = 4;
const LOOKS: u64 = 5;
const KIB: u64 = 1024;

fn main() -> Result<(), Error> {
    let effort = Effort::asked_for(10_000)?;
    let jars = Arc::new(Jars::new()?);
    say(&format!("{:<52}{:>12}  goal", "footprint", "KiB"))?;

    let sandbox = Sandbox::builder("native").build()?;
    row("supervisor, a sandbox built: resident", resident_bytes()?, None)?;
    let outcome = jars.run(&sandbox, &Source::program(NOOP))?;
    let peak = outcome.usage.memory_peak_bytes;
    soak(&jars, &sandbox, if effort.is_smoke { 1 } else { WARM_UP }, Duration::MAX)?;
    row("supervisor, idle after 100 runs: resident", resident_bytes()?, Some(15 * 1024 * KIB))?;
    row("worker without a job: private", worker_private_bytes()?, Some(1024 * KIB))?;
    row("jar of a program that does nothing: peak", peak, None)?;
    growth(effort, &jars, &sandbox)
}

fn growth(effort: Effort, jars: &Arc<Jars>, sandbox: &Sandbox) -> Result<(), Error> {
    let seconds = match std::env::var("BELLJAR_BENCH_SECONDS") {
        Ok(number) => number.parse().map_err(|_| "BELLJAR_BENCH_SECONDS is no number")?,
        Err(_) => 300,
    };
    let started = Instant::now();
    let mut runs = 0;
    let mut looks = vec![Standing::now()?];
    // Several looks: what settles after a while is a cache, what goes on rising is a leak.
    for _ in 0..LOOKS {
        let part = (effort.rounds as u64).div_ceil(LOOKS);
        let most = Duration::from_secs(seconds) / u32::try_from(LOOKS)?;
        runs += soak(jars, sandbox, part, most)?;
        looks.push(Standing::now()?);
    }
    let rate = u128::from(runs) * 1000 / started.elapsed().as_millis().max(1);
    say(&format!("\nsoak: {runs} runs, {AT_ONCE} at once, {rate} each second; looks in between"))?;
    let column = |name: &str, value: &dyn Fn(&Standing) -> u64| {
        let values: Vec<_> = looks.iter().map(|look| format!("{:>10}", value(look))).collect();
        say(&format!("{name:<20}{}", values.concat()))
    };
    column("resident KiB", &|look| look.resident_bytes / KIB)?;
    column("descriptors", &|look| look.descriptors)?;
    column("children", &|look| look.children)?;
    Ok(())
}

/// Runs jars until there were `runs`, or time is over; how many there were.
fn soak(jars: &Arc<Jars>, sandbox: &Sandbox, runs: u64, at_most: Duration) -> Result<u64, Error> {
    let done = AtomicU64::new(0);
    let started = Instant::now();
    let work = || -> Result<(), String> {
        let source = Source::program(NOOP);
        while started.elapsed() < at_most {
            if done.fetch_add(1, Ordering::Relaxed) >= runs {
                done.fetch_sub(1, Ordering::Relaxed);
                break;
            }
            jars.run(sandbox, &source).map_err(|error| error.to_string())?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let ended = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| Err("a thread panicked".to_owned())));
        ended.collect::<Result<Vec<()>, String>>()
    })?;
    Ok(done.into_inner())
}

/// What must not grow.
struct Standing {
    resident_bytes: u64,
    descriptors: u64,
    children: u64,
}

impl Standing {
    fn now() -> Result<Self, Error> {
        let mut children = 0;
        for task in fs::read_dir("/proc/self/task")? {
            let text = fs::read_to_string(task?.path().join("children"))?;
            children += text.split_whitespace().count() as u64;
        }
        // One of them is the directory that is being read.
        let descriptors = (fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1);
        Ok(Self { resident_bytes: resident_bytes()?, descriptors, children })
    }
}

fn resident_bytes() -> Result<u64, Error> {
    kibibytes(Path::new("/proc/self/smaps_rollup"), &["Rss:"])
}

/// A worker that waits for its job.
fn worker_private_bytes() -> Result<u64, Error> {
    let worker = belljar::shipped("belljar-worker")?;
    let (_ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    let mut child = Command::new(worker)
        .env_clear()
        .stdin(theirs)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let measured = when_it_waits(&child);
    child.kill()?;
    child.wait()?;
    measured
}

fn when_it_waits(child: &Child) -> Result<u64, Error> {
    let process = Path::new("/proc").join(child.id().to_string());
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(5) {
        let status = fs::read_to_string(process.join("status"))?;
        let is_asleep = status.lines().any(|line| line.starts_with("State:\tS"));
        let is_worker = status.starts_with("Name:\tbelljar-worker");
        if is_asleep && is_worker {
            return kibibytes(&process.join("smaps_rollup"), &["Private_Clean:", "Private_Dirty:"]);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err("a worker does not wait for its job".into())
}

/// The sum of some fields of a file like `smaps_rollup`, in bytes.
fn kibibytes(path: &Path, fields: &[&str]) -> Result<u64, Error> {
    let text = fs::read_to_string(path)?;
    let values = text.lines().filter_map(|line| {
        let value = fields.iter().find_map(|field| line.strip_prefix(field))?;
        value.trim().trim_end_matches(" kB").parse::<u64>().ok()
    });
    Ok(values.sum::<u64>() * KIB)
}

fn row(name: &str, bytes: u64, most: Option<u64>) -> io::Result<()> {
    let goal = most.map_or_else(String::new, |most| {
        format!("< {} {}", most / KIB, if bytes < most { "met" } else { "MISSED" })
    });
    say(&format!("{name:<52}{:>12}  {goal}", bytes / KIB))
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}
