//! What a tenant may use: beyond it, it is refused until the time that it is told, and it alone.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use belljar_tests::{Test, tests};

use crate::line::{Answered, Line};
use crate::load::Over;
use crate::measured::quantile;
use crate::served::{Served, lives, mark, soon};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        runs_of_a_minute_are_counted(Bash),
        processor_time_of_a_minute_is_owed(Bash),
        runs_at_one_time_and_those_that_wait_are_bounded(Bash),
        the_queue_of_all_is_bounded_as_well(Bash),
        who_is_over_its_quota_delays_nobody_else(Bash),
    ]
}

/// What a try may come after the time that it was told to wait for.
const LATE: Duration = Duration::from_millis(20);

fn serve(sets: &[&str]) -> Served {
    let mut options = vec!["--warm", "bash", "--set", "tenants.header=true"];
    options.extend(sets.iter().flat_map(|set| ["--set", set]));
    Served::start(&options)
}

fn ask(socket: &Path, tenant: &str, code: &str) -> Answered {
    let body = format!(r#"{{"runtime":"bash","code":"{code}"}}"#);
    let mut line = Line::to(socket).unwrap();
    line.ask("POST", "/v1/runs", &[("x-belljar-tenant", tenant)], &body).unwrap()
}

/// Starts a run that goes on until it is cancelled, and tells where.
fn leave_sleeping(socket: &Path, tenant: &str, mark: &str) -> Result<String, Answered> {
    let body = format!(r#"{{"runtime":"bash","code":"sleep {mark}"}}"#);
    let headers = [("x-belljar-tenant", tenant), ("prefer", "respond-async")];
    let answered = Line::to(socket).unwrap().ask("POST", "/v1/runs", &headers, &body).unwrap();
    if answered.retry_after().is_some() {
        return Err(answered);
    }
    assert_eq!(answered.status, 202, "{answered:?}");
    Ok(answered.header("location").unwrap().to_owned())
}

fn cancel(socket: &Path, tenant: &str, place: &str) {
    let mut line = Line::to(socket).unwrap();
    let answered = line.ask("DELETE", place, &[("x-belljar-tenant", tenant)], "").unwrap();
    assert_eq!(answered.status, 204, "{answered:?}");
}

/// One who was refused, having asked not before `asked`, is refused half-way to the time that it was
/// told, and not after it.
fn retry_after_is_true(
    served: &Served,
    tenant: &str,
    (asked, refused): (Instant, &Answered),
    mentions: &str,
) {
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.body.contains(mentions), "{refused:?}");
    let wait = refused.retry_after().unwrap();
    let told = Instant::now() + wait;
    std::thread::sleep(wait / 2);
    let early = ask(&served.socket, tenant, ":");
    if early.status == 200 {
        // It came late, and took the place that was free by then. Such a time is rounded up.
        let since = asked.elapsed() + Duration::from_millis(1);
        assert!(since >= wait, "{refused:?} then {early:?}");
        return;
    }
    assert_eq!(early.status, 429, "{early:?}");
    std::thread::sleep(told.saturating_duration_since(Instant::now()) + LATE);
    let late = ask(&served.socket, tenant, ":");
    assert_eq!(late.status, 200, "{refused:?} then {late:?}");
}

async fn runs_of_a_minute_are_counted() {
    let served = serve(&["tenants.named.slow.runs_per_minute=30"]);
    // While they are asked for, places become free.
    let mut tries = (0..300).map(|_| (Instant::now(), ask(&served.socket, "slow", ":")));
    let (asked, refused) = tries.find(|(_, answered)| answered.status != 200).unwrap();
    assert!(refused.retry_after().unwrap() <= Duration::from_secs(2), "{refused:?}");
    assert_eq!(ask(&served.socket, "other", ":").status, 200);
    retry_after_is_true(&served, "slow", (asked, &refused), "minute");
}

async fn processor_time_of_a_minute_is_owed() {
    let served = serve(&["tenants.named.busy.cpu_ms_per_minute=400"]);
    let mut line = Line::to(&served.socket).unwrap();
    let body = r#"{"runtime":"bash","code":"while :; do :; done","limits":{"cpu_ms":405}}"#;
    let ended = line.ask("POST", "/v1/runs", &[("x-belljar-tenant", "busy")], body).unwrap();
    assert_eq!(ended.json()["status"], "cpu_time", "{ended:?}");
    let asked = Instant::now();
    let refused = ask(&served.socket, "busy", ":");
    assert!(refused.retry_after().is_some(), "{refused:?}");
    // It has used a bit more than a minute's worth, and owes no more than that bit.
    let over_ms = ended.json()["cpu_ms"].as_f64().unwrap() - 400.0;
    let owed = Duration::from_secs_f64(over_ms * 60.0 / 400.0);
    assert!(refused.retry_after().unwrap() < owed + Duration::from_secs(2), "{refused:?}");
    assert_eq!(ask(&served.socket, "other", ":").status, 200);
    retry_after_is_true(&served, "busy", (asked, &refused), "processor time");
}

async fn runs_at_one_time_and_those_that_wait_are_bounded() {
    let served = serve(&["tenants.named.one.running=1", "tenants.named.one.queued=1"]);
    let marks = [mark(), mark()];
    let running = leave_sleeping(&served.socket, "one", &marks[0]).unwrap();
    let waiting = leave_sleeping(&served.socket, "one", &marks[1]).unwrap();
    let refused = leave_sleeping(&served.socket, "one", "1").unwrap_err();
    assert!(refused.status == 429 && refused.body.contains("tenant"), "{refused:?}");
    assert_eq!(ask(&served.socket, "other", ":").status, 200);
    assert!(soon(Duration::from_secs(5), || lives(&marks[0])));
    assert!(!lives(&marks[1]), "two at one time");
    cancel(&served.socket, "one", &running);
    assert!(soon(Duration::from_secs(5), || lives(&marks[1])), "it waits for nothing");
    std::thread::sleep(refused.retry_after().unwrap());
    let third = leave_sleeping(&served.socket, "one", "1.5").unwrap();
    for place in [third, waiting] {
        cancel(&served.socket, "one", &place);
    }
}

async fn the_queue_of_all_is_bounded_as_well() {
    let served = serve(&["queue.running=1", "queue.queued=1"]);
    let marks = [mark(), mark()];
    let places = marks.map(|mark| leave_sleeping(&served.socket, "one", &mark).unwrap());
    let refused = leave_sleeping(&served.socket, "two", "1").unwrap_err();
    assert!(refused.status == 503 && refused.body.contains("as many runs wait"), "{refused:?}");
    for place in places {
        cancel(&served.socket, "one", &place);
    }
    std::thread::sleep(refused.retry_after().unwrap());
    assert_eq!(ask(&served.socket, "two", ":").status, 200);
}

/// One that has filled its part of the queue, and goes on asking.
async fn who_is_over_its_quota_delays_nobody_else() {
    let served = serve(&[
        "queue.running=4",
        "tenants.named.greedy.running=2",
        "tenants.named.greedy.queued=20",
    ]);
    let places = (0..22).map(|_| leave_sleeping(&served.socket, "greedy", "1000").unwrap());
    let places = places.collect::<Vec<_>>();
    let is_over = AtomicBool::new(false);
    let mut queued = std::thread::scope(|scope| {
        let _over = Over(&is_over);
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                leave_sleeping(&served.socket, "greedy", "1000").unwrap_err();
            }
        });
        let queued = (0..40).map(|_| ask(&served.socket, "modest", ":").json());
        let queued = queued.map(|ended| ended["timings_ms"]["queued"].as_f64().unwrap());
        let queued = queued.map(|millis| Duration::from_secs_f64(millis / 1000.0));
        queued.collect::<Vec<_>>()
    });
    assert!(quantile(&mut queued, 90) < Duration::from_millis(20), "{queued:?}");
    for place in places {
        cancel(&served.socket, "greedy", &place);
    }
}
