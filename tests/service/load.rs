//! More work than there is room for: everybody is told so, and nobody pays for another.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use belljar_tests::{Test, tests};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;

use crate::line::Line;
use crate::measured::{Report, asked_for, quantile};
use crate::served::{PATIENCE, Served, soon};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        who_offers_ten_times_as_much_gets_no_more(Bash, Alone),
        a_reload_and_an_end_drop_nothing(Bash),
    ]
}

/// Ten to one.
const OFFERED: [(&str, usize); 2] = [("many", 200), ("few", 20)];
/// Most of them wait; the memory is there for four at one time.
const OPTIONS: [&str; 14] = [
    "--warm",
    "bash",
    "--warm-max",
    "16",
    "--set",
    "tenants.header=true",
    "--set",
    "tenants.default.queued=180",
    "--set",
    "queue.running=8",
    "--set",
    "queue.memory_bytes=1G",
    "--set",
    "queue.queued=230",
];
const IDLE: u64 = 1000;
/// Nearly every time, and at worst: beside so many others anybody is kept waiting once.
const HEALTHY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// Before a connection on which nothing is asked is closed.
const KEPT_ALIVE: Duration = Duration::from_secs(15);

/// What clients have seen so far.
#[derive(Default)]
struct Seen {
    is_over: AtomicBool,
    ended: [AtomicU64; OFFERED.len()],
    refused: AtomicU64,
    most_queued: AtomicU64,
    health: Mutex<Vec<Duration>>,
}

async fn who_offers_ten_times_as_much_gets_no_more() {
    let seconds = asked_for("BELLJAR_LOAD_SECONDS", 5);
    let served = Served::start(&OPTIONS);
    let mut idle = open_idle(&served.socket);
    let seen = Seen::default();
    let counts = || [0, 1].map(|at: usize| seen.ended[at].load(Ordering::Relaxed));
    let (before, after) = std::thread::scope(|scope| {
        let _over = Over(&seen.is_over);
        for (at, (tenant, number)) in OFFERED.into_iter().enumerate() {
            for _ in 0..number {
                scope.spawn({
                    let (socket, seen) = (&served.socket, &seen);
                    move || ask_again_and_again(socket, tenant, at, seen)
                });
            }
        }
        scope.spawn(|| look_at_its_health(&served, &seen));
        scope.spawn(|| look_at_its_memory(&served, &seen));
        // Until both of them wait.
        std::thread::sleep(Duration::from_secs(1));
        let before = counts();
        let until = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < until {
            std::thread::sleep(KEPT_ALIVE.min(until.saturating_duration_since(Instant::now())));
            keep_alive(&mut idle);
        }
        (before, counts())
    });
    let [many, few] = [0, 1].map(|at: usize| after[at] - before[at]);
    let most = many.max(few);
    assert!(many.abs_diff(few) <= (most / 10).max(4), "{many} and {few}");
    assert!(most >= 2 * seconds, "{many} and {few} in {seconds} s");
    let mut health = std::mem::take(&mut *seen.health.lock().unwrap());
    assert!(health.len() as u64 > seconds, "{health:?}");
    let [p50, p95, p99, longest] = [50, 95, 99, 100].map(|part| quantile(&mut health, part));
    let is_healthy = p95 < HEALTHY[0] && longest < HEALTHY[1];
    assert!(is_healthy, "health after {p95:?}, at worst {longest:?}");
    let queued = seen.most_queued.load(Ordering::Relaxed);
    assert!(queued >= 150, "only {queued} waited");
    let refused = seen.refused.load(Ordering::Relaxed);
    let report = Report::of("BELLJAR_LOAD_SECONDS");
    report.say(&format!("{seconds} s: runs {many} and {few}, {refused} refused, {queued} waited"));
    report.say(&format!("health p50 {p50:?} p99 {p99:?} longest {longest:?}, {} idle", idle.len()));
}

/// Says that it is over, whatever happens.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Seen {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }
}

/// As many as this process and the service may have.
fn open_idle(socket: &Path) -> Vec<Line> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let number = IDLE.min((hard / 2).saturating_sub(300));
    (0..number).map(|_| Line::to(socket).unwrap()).collect()
}

fn keep_alive(idle: &mut [Line]) {
    for line in idle {
        assert_eq!(line.ask("GET", "/healthz", &[], "").unwrap().status, 200);
    }
}

fn ask_again_and_again(socket: &Path, tenant: &str, at: usize, seen: &Seen) {
    let mut line = Line::to(socket).unwrap();
    let body = r#"{"runtime":"bash","code":"echo $((6 * 7))"}"#;
    while seen.goes_on() {
        let answered = line.ask("POST", "/v1/runs", &[("x-belljar-tenant", tenant)], body).unwrap();
        if let Some(retry_after) = answered.retry_after() {
            seen.refused.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(retry_after);
            continue;
        }
        assert_eq!(answered.status, 200, "{answered:?}");
        assert_eq!(answered.json()["stdout"], "42\n", "{answered:?}");
        seen.ended[at].fetch_add(1, Ordering::Relaxed);
    }
}

fn look_at_its_health(served: &Served, seen: &Seen) {
    while seen.goes_on() {
        let began = Instant::now();
        assert!(served.is_well());
        seen.health.lock().unwrap().push(began.elapsed());
        std::thread::sleep(Duration::from_millis(25));
    }
}

fn look_at_its_memory(served: &Served, seen: &Seen) {
    while seen.goes_on() {
        let [used, budget, running, queued] = [
            "belljar_memory_used_bytes",
            "belljar_memory_budget_bytes",
            "belljar_running",
            "belljar_queued",
        ]
        .map(|row| served.counted(&format!("{row} ")));
        assert!(used <= budget && running <= 4, "{used} of {budget} for {running}");
        seen.most_queued.fetch_max(queued, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(100));
    }
}

async fn a_reload_and_an_end_drop_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    let write = |runs: u32| {
        let text = format!(
            "[tenants]\nheader = true\n[tenants.named.c]\nruns_per_minute = {runs}\n\
             [queue]\nrunning = {}\n",
            4 + runs,
        );
        std::fs::write(&file, text).unwrap();
    };
    write(0);
    let options = ["--warm", "bash", "--config", file.to_str().unwrap()];
    let mut served = Served::start(&options);
    let (answered, socket) = (Mutex::new(BTreeMap::new()), served.socket.clone());
    std::thread::scope(|scope| {
        for client in 0..16 {
            let (answered, socket) = (&answered, &socket);
            scope.spawn(move || ask_until_it_ends(socket, client, answered));
        }
        let ask = || status_for_c(&served);
        let not_applied = [(1, 429), (0, 200), (1, 429)].into_iter().find(|(runs, wanted)| {
            write(*runs);
            served.send(Signal::SIGHUP);
            let is_applied = soon(PATIENCE, || ask() == *wanted);
            std::thread::sleep(Duration::from_millis(300));
            !is_applied
        });
        let do_run = soon(Duration::from_mins(1), || ran(&answered) > 50);
        // Whatever was found: those who ask go on until it ends.
        served.send(Signal::SIGTERM);
        assert!(served.end().success());
        assert_eq!(not_applied, None, "runs a minute, and what is told then");
        assert!(do_run, "{answered:?}");
    });
    served.start_again(&options);
    let answered = answered.into_inner().unwrap();
    let runs = history(&served);
    assert!(runs.len() > 50, "{runs:?}");
    for (label, status) in runs {
        assert_eq!((&*status, answered.get(&label)), ("ok", Some(&200)), "{label}");
    }
}

/// How many of those that were asked for were not refused.
fn ran(answered: &Mutex<BTreeMap<String, u16>>) -> usize {
    answered.lock().unwrap().values().filter(|status| **status == 200).count()
}

fn status_for_c(served: &Served) -> u16 {
    let mut line = Line::to(&served.socket).unwrap();
    let body = r#"{"runtime":"bash","code":":"}"#;
    let answered = line.ask("POST", "/v1/runs", &[("x-belljar-tenant", "c")], body).unwrap();
    if answered.retry_after().is_some() {
        assert!(answered.status == 429 && answered.body.contains("minute"), "{answered:?}");
    }
    answered.status
}

fn ask_until_it_ends(socket: &Path, client: u32, answered: &Mutex<BTreeMap<String, u16>>) {
    for number in 0.. {
        // One who comes when it is gone asks for nothing.
        let Ok(mut line) = Line::to(socket) else { return };
        for at in 0..4 {
            let label = format!("{client}-{number}-{at}");
            let body = format!(
                r#"{{"runtime":"bash","code":"sleep 0.0{at}","labels":{{"n":"{label}"}}}}"#
            );
            let Ok(told) = line.ask("POST", "/v1/runs", &[], &body) else { break };
            assert!(told.status == 200 || told.retry_after().is_some(), "{told:?}");
            answered.lock().unwrap().insert(label, told.status);
        }
    }
}

/// The labels of all runs that have one, and how each ended.
fn history(served: &Served) -> Vec<(String, String)> {
    let mut line = Line::to(&served.socket).unwrap();
    let (mut found, mut before) = (Vec::new(), String::new());
    loop {
        let place = format!("/v1/runs?limit=500{before}");
        let page = line.ask("GET", &place, &[], "").unwrap().json();
        for run in page["runs"].as_array().unwrap() {
            let text = |name: &str| run[name].as_str().unwrap().to_owned();
            found.extend(run["labels"]["n"].as_str().map(|n| (n.to_owned(), text("status"))));
        }
        match page["next"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => return found,
        }
    }
}
