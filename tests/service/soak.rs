//! A service that has answered for long holds no more than one that has answered for a while.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use belljar_tests::{Test, tests};

use crate::drain::groups;
use crate::line::Line;
use crate::measured::{Report, asked_for};
use crate::served::{PATIENCE, Served, soon};

pub(crate) fn tests() -> Vec<Test> {
    tests![many_runs_later_it_holds_no_more(Bash, Python, Alone)]
}

const CLIENTS: u64 = 4;
const OPTIONS: [&str; 8] = [
    "--warm",
    "bash,python",
    // As many wait as did before, however many came at one time.
    "--warm-max",
    "2",
    "--set",
    "history.keep_runs=20",
    "--set",
    "logs.entries=64",
];
/// What an allocator may come to hold, and pages of a history that are kept for what comes next.
const GROWTH_BYTES: u64 = 6 << 20;
const HISTORY_BYTES: u64 = 24 << 20;

/// Harmless and other ones, warm and cold, waited for, followed, left alone and repeated.
const BODIES: [&str; 8] = [
    r#"{"runtime":"bash","code":"echo 1"}"#,
    r#"{"runtime":"python","code":"print(1)"}"#,
    r#"{"runtime":"bash","code":"exit 3"}"#,
    r#"{"runtime":"python","code":"open('a','w').write('x'*9999)","collect":["*"]}"#,
    r#"{"runtime":"bash","code":"head -c 100000 /dev/zero"}"#,
    r#"{"runtime":"bash","code":"while :; do :; done","limits":{"wall_ms":60}}"#,
    r#"{"runtime":"bash","code":"sleep 30 & echo 1","labels":{"a":"b"}}"#,
    r#"{"runtime":"bash","code":"echo 1","start":"cold"}"#,
];

/// What it holds, where nobody asks for anything.
#[derive(Clone, Copy, Debug)]
struct Held {
    resident_bytes: u64,
    descriptors: u64,
    groups: usize,
    history_bytes: u64,
}

async fn many_runs_later_it_holds_no_more() {
    let number = asked_for("BELLJAR_SOAK_RUNS", 300);
    let served = Served::start(&OPTIONS);
    // After these it remembers as many as it ever does, and has what later ones share.
    ask(&served, 520);
    let first = Held::by(&served);
    let all = [(); 4].map(|()| {
        ask(&served, number.div_ceil(4));
        Held::by(&served)
    });
    let report = Report::of("BELLJAR_SOAK_RUNS");
    for held in [&[first][..], &all].concat() {
        report.say(&format!("of {number}: {held:?}"));
    }
    let [_, half, _, mut last] = all;
    // What ended last is behind its answer: a group that is not gone yet, a connection that is not
    // seen to be closed.
    let fits = || {
        last = Held::by(&served);
        last.descriptors <= first.descriptors + 2 && last.groups <= first.groups
    };
    soon(Duration::from_secs(10), fits);
    assert!(half.resident_bytes < first.resident_bytes + 2 * GROWTH_BYTES, "{first:?} {all:?}");
    assert!(last.resident_bytes < half.resident_bytes + GROWTH_BYTES, "{first:?} {all:?} {last:?}");
    assert!(last.descriptors <= first.descriptors + 2, "{first:?} {all:?} {last:?}");
    assert!(last.groups <= first.groups, "{first:?} {all:?} {last:?}");
    assert!(last.history_bytes < HISTORY_BYTES, "{first:?} {all:?} {last:?}");
}

fn ask(served: &Served, number: u64) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut line = Line::to(&served.socket).unwrap();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= number {
                        return;
                    }
                    ask_one(&mut line, at);
                }
            });
        }
    });
}

fn ask_one(line: &mut Line, at: u64) {
    static KEYS: AtomicU64 = AtomicU64::new(0);
    let kinds = BODIES.len() as u64;
    let body = BODIES[usize::try_from(at % kinds).unwrap()];
    let key = format!("key-{}", KEYS.fetch_add(1, Ordering::Relaxed));
    let mut post = |header: (&str, &str)| line.ask("POST", "/v1/runs", &[header], body).unwrap();
    match (at / kinds) % 4 {
        0 => assert_eq!(post(("accept", "application/json")).status, 200),
        1 => assert!(post(("accept", "text/event-stream")).body.contains("event: outcome")),
        2 => {
            let told = post(("idempotency-key", &key));
            assert_eq!((told.status, told.body), (200, post(("idempotency-key", &key)).body));
        }
        _ => {
            let id = post(("prefer", "respond-async")).json()["id"].as_str().unwrap().to_owned();
            let place = format!("/v1/runs/{id}?wait_ms=20000");
            // As little as is remembered, it may be forgotten by the time it is asked for.
            assert!([200, 404].contains(&line.ask("GET", &place, &[], "").unwrap().status));
        }
    }
}

impl Held {
    fn by(served: &Served) -> Self {
        let is_quiet = || {
            let waits = served.counted("belljar_warm_ready{") == 4;
            waits && served.counted("belljar_running ") + served.counted("belljar_queued ") == 0
        };
        assert!(soon(PATIENCE, is_quiet), "it does not rest");
        let prefix = format!("belljar-{}-", served.pid());
        let size = |suffix: &str| {
            let name = format!("{}{suffix}", served.socket.with_extension("sqlite").display());
            fs::metadata(name).map_or(0, |found| found.len())
        };
        Self {
            resident_bytes: served.counted("process_resident_memory_bytes "),
            descriptors: served.counted("process_open_fds "),
            groups: groups(Path::new("/sys/fs/cgroup"), &prefix, 8).len(),
            history_bytes: size("") + size("-wal"),
        }
    }
}
