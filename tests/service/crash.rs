//! A service that is killed in the middle of its work, again and again: what it promised holds.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use belljar_tests::{Test, tests};
use serde_json::Value;

use crate::line::{Answered, Line};
use crate::measured::{Report, asked_for, chance, quantile};
use crate::served::{Served, lives, mark};

pub(crate) fn tests() -> Vec<Test> {
    tests![what_was_accepted_is_answered_however_often_the_service_is_killed(Bash, Alone)]
}

const OPTIONS: [&str; 8] = [
    "--warm",
    "bash,js",
    "--set",
    "queue.running=24",
    "--set",
    "history.keep_runs=10000000",
    "--set",
    "tenants.default.queued=0",
];
/// Until it answers again, on a machine that does other things as well.
const QUICK: Duration = Duration::from_secs(15);
const CLIENTS: usize = 7;

/// What clients know.
#[derive(Default)]
struct Books {
    /// Runs by their names, and the end that was told of each.
    told: BTreeMap<String, Option<String>>,
    /// Requests by their keys, which are labels as well.
    keyed: BTreeMap<String, String>,
    marks: Vec<String>,
}

/// One who asks until the service is gone.
struct Client<'a> {
    socket: PathBuf,
    books: &'a Mutex<Books>,
}

async fn what_was_accepted_is_answered_however_often_the_service_is_killed() {
    let kills = asked_for("BELLJAR_CRASH_KILLS", 6);
    let mut served = Served::start(&OPTIONS);
    let (mut all, mut starts, mut lost_before) = (Books::default(), Vec::new(), 0);
    for _ in 0..kills {
        let books = Mutex::new(Books::default());
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let client = Client { socket: served.socket.clone(), books: &books };
                scope.spawn(move || client.ask_until_it_is_gone(number));
            }
            std::thread::sleep(Duration::from_millis(20 + chance(700)));
            served.kill();
        });
        starts.push(served.start_again(&OPTIONS));
        let mut books = books.into_inner().unwrap_or_else(PoisonError::into_inner);
        books.check(&served);
        let lost = count(&served, "lost");
        let counted = served.counted("belljar_runs_total{status=\"lost\"");
        assert_eq!(counted, u64::from(lost - lost_before), "of {lost} lost ones");
        lost_before = lost;
        all.told.append(&mut books.told);
        all.keyed.append(&mut books.keyed);
        assert!(starts.iter().all(|took| *took < QUICK), "{starts:?}");
    }
    let again = all.told.clone();
    all.check(&served);
    assert_eq!(all.told, again, "what was told once is told otherwise");
    let report = Report::of("BELLJAR_CRASH_KILLS");
    report.say(&format!("{kills} kills, {} runs told, {} keys", all.told.len(), all.keyed.len()));
    report.say(&format!("{lost_before} lost, starts p50 {:?}", quantile(&mut starts, 50)));
    report.say(&format!("longest start {:?}", quantile(&mut starts, 100)));
}

impl Books {
    /// After a start: whatever was accepted is over, and one end is told of it.
    fn check(&mut self, served: &Served) {
        for mark in self.marks.drain(..) {
            assert!(!lives(&mark), "a run outlives the service");
        }
        assert_eq!((count(served, "queued"), count(served, "running")), (0, 0));
        let mut line = Line::to(&served.socket).unwrap();
        for (id, end) in &mut self.told {
            let found = line.ask("GET", &format!("/v1/runs/{id}"), &[], "").unwrap();
            assert_eq!(found.status, 200, "{id} was told, and is forgotten: {found:?}");
            let told = end.get_or_insert_with(|| found.body.clone());
            assert_eq!(*told, found.body, "{id} was told otherwise");
        }
        for (key, body) in &self.keyed {
            let known = labelled(&mut line, key);
            let again = repeat(&mut line, key, body);
            assert_eq!(again.status, 200, "{key}: {again:?}");
            let id = again.json()["id"].as_str().unwrap().to_owned();
            // One that the service never came to see is a run now, and those are all.
            assert!(known.is_empty() || known == [&*id], "{key}: {known:?} {id}");
            assert_eq!(labelled(&mut line, key), [&*id], "{key}");
            let end = self.told.entry(id).or_default().get_or_insert(again.body.clone()).clone();
            assert_eq!(end, again.body, "{key} was told otherwise");
        }
    }
}

impl Client<'_> {
    fn ask_until_it_is_gone(&self, number: usize) {
        let until = Instant::now() + Duration::from_mins(1);
        while Instant::now() < until {
            let Ok(mut line) = Line::to(&self.socket) else { return };
            let asked = match number {
                0 => self.wait(&mut line, &code("echo $$; sleep 0.0$((RANDOM % 9))", "", None)),
                1 => {
                    self.wait(&mut line, r#"{"runtime":"js","code":"console.log(Math.random())"}"#)
                }
                2 => self.leave(&mut line, &code("echo $RANDOM", "", None)),
                3 => self.leave_sleeping(&mut line),
                4 => self.follow(&mut line),
                5 => self.keyed(&mut line, "echo $RANDOM; sleep 0.0$((RANDOM % 9))"),
                _ => self.keyed(&mut line, "echo $RANDOM; sleep 0.5"),
            };
            if asked.is_err() {
                return;
            }
        }
        panic!("it is not killed");
    }

    fn wait(&self, line: &mut Line, body: &str) -> io::Result<()> {
        let answered = line.ask("POST", "/v1/runs", &[], body)?;
        self.ended(&answered);
        Ok(())
    }

    /// Asks for a run that goes on alone.
    fn leave(&self, line: &mut Line, body: &str) -> io::Result<()> {
        let answered = line.ask("POST", "/v1/runs", &[("prefer", "respond-async")], body)?;
        if answered.retry_after().is_none() {
            assert_eq!(answered.status, 202, "{answered:?}");
            let id = answered.json()["id"].as_str().unwrap().to_owned();
            self.books().told.insert(id.clone(), None);
            let found = line.ask("GET", &format!("/v1/runs/{id}?wait_ms=30"), &[], "")?;
            assert_eq!(found.status, 200, "{found:?}");
            if !["queued", "running"].contains(&found.json()["status"].as_str().unwrap()) {
                self.ended(&found);
            }
        }
        Ok(())
    }

    fn leave_sleeping(&self, line: &mut Line) -> io::Result<()> {
        let mark = mark();
        self.books().marks.push(mark.clone());
        let more = if chance(2) == 0 { r#","start":"cold""# } else { "" };
        self.leave(line, &code(&format!("sleep {mark}"), more, None))?;
        std::thread::sleep(Duration::from_millis(chance(40)));
        Ok(())
    }

    fn follow(&self, line: &mut Line) -> io::Result<()> {
        let body = code("echo $RANDOM; sleep 0.0$((RANDOM % 9)); echo $RANDOM", "", None);
        line.say("POST", "/v1/runs", &[("accept", "application/x-ndjson")], &body)?;
        assert_eq!(line.head()?.0, 200);
        while let Some(event) = line.chunk()? {
            let event: Value = serde_json::from_str(&event).unwrap();
            let mut books = self.books();
            match event["event"].as_str().unwrap() {
                "queued" => drop(books.told.insert(event["id"].as_str().unwrap().into(), None)),
                "outcome" => {
                    let id = event["outcome"]["id"].as_str().unwrap().to_owned();
                    // The bytes are those of a line of its own.
                    books.told.insert(id, None);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn keyed(&self, line: &mut Line, bash: &str) -> io::Result<()> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let key = format!("k{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let body = code(bash, "", Some(&key));
        self.books().keyed.insert(key.clone(), body.clone());
        let answered = line.ask("POST", "/v1/runs", &[("idempotency-key", &key)], &body)?;
        self.ended(&answered);
        Ok(())
    }

    fn ended(&self, answered: &Answered) {
        if answered.retry_after().is_none() {
            assert_eq!(answered.status, 200, "{answered:?}");
            let id = answered.json()["id"].as_str().unwrap().to_owned();
            self.books().told.insert(id, Some(answered.body.clone()));
        }
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn code(code: &str, more: &str, label: Option<&str>) -> String {
    let label = label.map(|key| format!(r#","labels":{{"key":"{key}"}}"#)).unwrap_or_default();
    format!(r#"{{"runtime":"bash","code":"{code}"{more}{label}}}"#)
}

fn repeat(line: &mut Line, key: &str, body: &str) -> Answered {
    line.ask("POST", "/v1/runs", &[("idempotency-key", key)], body).unwrap()
}

/// The names of the runs with this label.
fn labelled(line: &mut Line, key: &str) -> Vec<String> {
    let page = line.ask("GET", &format!("/v1/runs?label=key%3D{key}"), &[], "").unwrap().json();
    let runs = page["runs"].as_array().unwrap().iter();
    runs.map(|run| run["id"].as_str().unwrap().to_owned()).collect()
}

/// How many runs have a status.
fn count(served: &Served, status: &str) -> u32 {
    let mut line = Line::to(&served.socket).unwrap();
    let (mut count, mut before) = (0, String::new());
    loop {
        let place = format!("/v1/runs?status={status}&limit=500{before}");
        let page = line.ask("GET", &place, &[], "").unwrap().json();
        count += u32::try_from(page["runs"].as_array().unwrap().len()).unwrap();
        match page["next"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => return count,
        }
    }
}
