//! Questions whose answers depend on one key of the configuration each.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::line::{Answered, Line};
use crate::served::{Served, lives, mark, soon};
use crate::tenants::{Dial, GUEST};

/// The answer of a service, for a key.
pub(crate) type Probe = fn(&mut Served, &str) -> String;

pub(crate) const NOTHING: &str = r#"{"runtime":"bash","code":":"}"#;
const SAYING: &str = r#"{"runtime":"bash","code":"echo said"}"#;

pub(crate) fn ask(
    served: &Served,
    tenant: &str,
    method: &str,
    place: &str,
    body: &str,
) -> Answered {
    let header = ("x-belljar-tenant", tenant);
    Line::to(&served.socket).unwrap().ask(method, place, &[header], body).unwrap()
}

fn post(served: &Served, body: &str) -> Answered {
    ask(served, &tenant(""), "POST", "/v1/runs", body)
}

/// One that has used nothing yet; or the one that has a name in the configuration.
pub(crate) fn tenant(key: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    if key.contains("tenants.n") || key.contains(".tenants.") {
        return "x".to_owned();
    }
    format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap()
}

/// Runs that go on until this is dropped.
struct Sleeping<'a> {
    served: &'a Served,
    tenant: String,
    ids: Vec<String>,
}

impl<'a> Sleeping<'a> {
    /// As many of `number` as are accepted.
    fn of(served: &'a Served, tenant: String, number: u32) -> Self {
        let body = format!(r#"{{"runtime":"bash","code":"sleep {}"}}"#, mark());
        let headers = [("x-belljar-tenant", &*tenant), ("prefer", "respond-async")];
        let mut line = Line::to(&served.socket).unwrap();
        let asked = (0..number).map(|_| line.ask("POST", "/v1/runs", &headers, &body).unwrap());
        let accepted = asked.filter(|answered| answered.retry_after().is_none());
        let ids = accepted.map(|answered| answered.json()["id"].as_str().unwrap().to_owned());
        let ids = ids.collect();
        Self { served, tenant, ids }
    }
}

impl Drop for Sleeping<'_> {
    fn drop(&mut self) {
        for id in &self.ids {
            ask(self.served, &self.tenant, "DELETE", &format!("/v1/runs/{id}"), "");
        }
        let is_quiet = || {
            self.served.counted("belljar_running ") + self.served.counted("belljar_queued ") == 0
        };
        assert!(soon(Duration::from_mins(1), is_quiet), "they do not end");
    }
}

pub(crate) fn sockets(served: &mut Served, _: &str) -> String {
    assert!(served.is_well());
    served.socket.file_name().unwrap().to_str().unwrap().to_owned()
}

pub(crate) fn mode(served: &mut Served, _: &str) -> String {
    format!("{:o}", fs::metadata(&served.socket).unwrap().mode() & 0o777)
}

pub(crate) fn group(served: &mut Served, _: &str) -> String {
    fs::metadata(&served.socket).unwrap().gid().to_string()
}

/// How a run ends that goes on when the service is to end.
pub(crate) fn bounds_grace(served: &mut Served, _: &str) -> String {
    let mark = format!("3.{}", mark().replace('.', ""));
    let mut line = Line::to(&served.socket).unwrap();
    let body = format!(r#"{{"runtime":"bash","code":"sleep {mark}"}}"#);
    line.say("POST", "/v1/runs", &[], &body).unwrap();
    assert!(soon(Duration::from_secs(10), || lives(&mark)), "it does not begin");
    served.send(Signal::SIGTERM);
    let ended = line.answer().unwrap().json();
    assert!(served.end().success());
    ended["status"].as_str().unwrap().to_owned()
}

pub(crate) fn second_connection(served: &mut Served, _: &str) -> String {
    let mut first = Line::to(&served.socket).unwrap();
    // The one that looked whether it answers may be seen to have gone a bit later.
    assert!(soon(Duration::from_secs(10), || {
        first = Line::to(&served.socket).unwrap();
        first.ask("GET", "/healthz", &[], "").is_ok_and(|answered| answered.status == 200)
    }));
    served.ask("GET", "/healthz", "").0.to_string()
}

pub(crate) fn body(served: &mut Served, _: &str) -> String {
    let long = format!(r#"{{"runtime":"bash","code":":{}"}}"#, " ".repeat(5000));
    served.ask("POST", "/v1/runs", &long).0.to_string()
}

pub(crate) fn start(served: &mut Served, _: &str) -> String {
    post(served, NOTHING).json()["start"].as_str().unwrap().to_owned()
}

pub(crate) fn least_waiting(served: &mut Served, _: &str) -> String {
    let said = served.said.split("bash: ").nth(1).unwrap_or_default();
    said.split(' ').next().unwrap().to_owned()
}

/// Whether more than one waits once many came at one time.
pub(crate) fn waiting(served: &mut Served, _: &str) -> String {
    let ready = || served.counted("belljar_warm_ready{runtime=\"bash\"}");
    let until = Instant::now() + Duration::from_secs(2);
    let (mut rounds, mut is_more) = (0, false);
    // On a busy machine what waited is gone after a round, and a round is all there is time for.
    while !is_more && (rounds < 10 || Instant::now() < until) {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| post(served, NOTHING));
            }
        });
        is_more = soon(Duration::from_millis(100), || ready() > 1);
        rounds += 1;
    }
    if is_more { "more" } else { "one" }.to_owned()
}

pub(crate) fn warm(served: &mut Served, _: &str) -> String {
    let ready = served.counted("belljar_warm_ready{runtime=\"bash\"}");
    if ready > 0 { "some" } else { "none" }.to_owned()
}

pub(crate) fn preloaded(served: &mut Served, _: &str) -> String {
    let code = r#"{"runtime":"python","code":"import sys; print('colorsys' in sys.modules)"}"#;
    post(served, code).json()["stdout"].as_str().unwrap().to_owned()
}

pub(crate) fn history_file(served: &mut Served, _: &str) -> String {
    served.socket.with_extension("sqlite").exists().to_string()
}

fn log(served: &Served) -> usize {
    for _ in 0..3 {
        post(served, NOTHING);
    }
    let page = ask(served, "x", "GET", "/v1/logs", "").json();
    page["entries"].as_array().unwrap().len()
}

pub(crate) fn logged(served: &mut Served, _: &str) -> String {
    if log(served) > 0 { "said" } else { "silent" }.to_owned()
}

pub(crate) fn entries(served: &mut Served, _: &str) -> String {
    if log(served) > 1 { "more" } else { "one" }.to_owned()
}

pub(crate) fn metrics(served: &mut Served, _: &str) -> String {
    served.ask("GET", "/metrics", "").0.to_string()
}

/// What is no message comes as far as to be refused for that.
pub(crate) fn models(served: &mut Served, _: &str) -> String {
    posted(served, "")
}

/// The same from a page of somebody else's.
pub(crate) fn lured(served: &mut Served, _: &str) -> String {
    posted(served, "origin: http://a.test\r\n")
}

fn posted(served: &Served, headers: &str) -> String {
    let more = "accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n";
    let host = format!("host: localhost\r\n{more}{headers}");
    let asked = crate::served::request("POST", "/mcp", "{}").replace("host: x\r\n", &host);
    let answer = served.say(asked.as_bytes());
    answer.split(' ').nth(1).unwrap().to_owned()
}

pub(crate) fn names(served: &mut Served, _: &str) -> String {
    served.ask("GET", "/v1/runtimes", "").1.contains("\"ours\"").to_string()
}

pub(crate) fn over_output(served: &mut Served, _: &str) -> String {
    let body = r#"{"runtime":"bash","code":"echo much; sleep 0.2","limits":{"stdout_bytes":1}}"#;
    post(served, body).json()["status"].as_str().unwrap().to_owned()
}

pub(crate) fn usual_limit(served: &mut Served, key: &str) -> String {
    post(served, NOTHING).json()["limits"][last(key)].to_string()
}

/// A run that asks for a bit more than the lower of the two ceilings.
pub(crate) fn over_the_ceiling(served: &mut Served, key: &str) -> String {
    let name = last(key);
    let most = match name {
        "memory_bytes" => (80 << 20) + (1 << 20),
        "disk_bytes" | "file_bytes" => (2 << 20) + 1,
        "cpu_ms"
        | "stdout_bytes"
        | "stderr_bytes"
        | "artifact_bytes"
        | "network_bytes"
        | "network_bytes_per_s" => 2001,
        "wall_ms" => 6001,
        "descriptors" => 101,
        "processes" => 21,
        "inodes" => 601,
        _ => 6,
    };
    let body = format!(r#"{{"runtime":"bash","code":":","limits":{{"{name}":{most}}}}}"#);
    post(served, &body).status.to_string()
}

pub(crate) fn at_one_time(served: &mut Served, key: &str) -> String {
    let _sleeping = Sleeping::of(served, tenant(key), 3);
    served.counted("belljar_running ").to_string()
}

pub(crate) fn accepted(served: &mut Served, key: &str) -> String {
    Sleeping::of(served, tenant(key), 5).ids.len().to_string()
}

pub(crate) fn memory_of_all(served: &mut Served, _: &str) -> String {
    let body = r#"{"runtime":"bash","code":":","limits":{"memory_bytes":536870912}}"#;
    post(served, body).status.to_string()
}

pub(crate) fn header(served: &mut Served, _: &str) -> String {
    ask(served, "x", "GET", "/v1/runs", "").status.to_string()
}

pub(crate) fn guest(served: &mut Served, _: &str) -> String {
    Dial::to(served).ask(GUEST, "", ("GET", "/v1/runs"), "").0.to_string()
}

/// What a session is said to be, and the status of that.
fn session(served: &Served) -> (u16, Value) {
    let tenant = tenant("");
    let answered = ask(served, &tenant, "POST", "/v1/sessions", r#"{"runtime":"bash"}"#);
    let row = answered.json();
    if let Some(id) = row["id"].as_str() {
        ask(served, &tenant, "DELETE", &format!("/v1/sessions/{id}"), "");
        let is_gone = || served.counted("belljar_sessions ") == 0;
        assert!(soon(Duration::from_secs(10), is_gone), "it stays");
    }
    (answered.status, row)
}

pub(crate) fn created(served: &mut Served, _: &str) -> String {
    session(served).0.to_string()
}

pub(crate) fn idle(served: &mut Served, _: &str) -> String {
    session(served).1["idle_ms"].to_string()
}

/// In milliseconds within a minute, which is more than there are.
pub(crate) fn expires_in(served: &mut Served, _: &str) -> String {
    let (_, row) = session(served);
    let millis = |name: &str| {
        let text = row[name].as_str().unwrap();
        let (seconds, millis) = text.trim_end_matches('Z').rsplit_once('.').unwrap();
        let seconds: u64 = seconds.rsplit(':').next().unwrap().parse().unwrap();
        seconds * 1000 + millis.parse::<u64>().unwrap()
    };
    ((60_000 + millis("expires_at") - millis("created_at")) % 60_000).to_string()
}

pub(crate) fn remembers(served: &mut Served, _: &str) -> String {
    let tenant = tenant("");
    for _ in 0..8 {
        ask(served, &tenant, "POST", "/v1/runs", NOTHING);
    }
    let page = || ask(served, &tenant, "GET", "/v1/runs", "").json();
    let count = || page()["runs"].as_array().unwrap().len();
    // What is beyond goes behind the answers: first what is more than any value leaves.
    soon(Duration::from_secs(20), || count() <= 5);
    soon(Duration::from_secs(2), || count() <= 1);
    count().to_string()
}

fn find(served: &Served, tenant: &str, run: &Answered) -> Answered {
    let place = format!("/v1/runs/{}", run.json()["id"].as_str().unwrap());
    ask(served, tenant, "GET", &place, "")
}

pub(crate) fn remembered(served: &mut Served, _: &str) -> String {
    let tenant = tenant("");
    let run = ask(served, &tenant, "POST", "/v1/runs", SAYING);
    // Its age is looked at once a second.
    let mut status = 200;
    soon(Duration::from_secs(5), || {
        std::thread::sleep(Duration::from_millis(200));
        post(served, NOTHING);
        status = find(served, &tenant, &run).status;
        status == 404
    });
    status.to_string()
}

pub(crate) fn retained(served: &mut Served, _: &str) -> String {
    let tenant = tenant("");
    let run = ask(served, &tenant, "POST", "/v1/runs", SAYING);
    find(served, &tenant, &run).json()["stdout"].is_string().to_string()
}

pub(crate) fn lists(served: &mut Served, _: &str) -> String {
    let tenant = tenant("");
    let run = ask(served, &tenant, "POST", "/v1/runs", SAYING);
    assert_eq!(run.json()["stdout"], "said\n");
    find(served, &tenant, &run).json()["stdout"].as_str().unwrap().to_owned()
}

fn two_runs(served: &Served, key: &str) -> String {
    let tenant = tenant(key);
    let asked = [(); 2].map(|()| ask(served, &tenant, "POST", "/v1/runs", NOTHING).status);
    asked[1].to_string()
}

pub(crate) fn runs_of_a_minute(served: &mut Served, key: &str) -> String {
    two_runs(served, key)
}

pub(crate) fn cpu_of_a_minute(served: &mut Served, key: &str) -> String {
    two_runs(served, key)
}

/// Whether a tenant has more turns than another, when both wait.
pub(crate) fn turns(served: &mut Served, key: &str) -> String {
    let (one, other) = (tenant(key), "o".to_owned());
    let blocking = Sleeping::of(served, tenant(""), 1);
    let mut line = Line::to(&served.socket).unwrap();
    let mut asked = Vec::new();
    for at in 0..24 {
        let tenant = if at % 2 == 0 { &one } else { &other };
        let headers = [("x-belljar-tenant", &**tenant), ("prefer", "respond-async")];
        let run = line.ask("POST", "/v1/runs", &headers, NOTHING).unwrap().json();
        asked.push((tenant.clone(), run["id"].as_str().unwrap().to_owned(), Instant::now()));
    }
    drop(blocking);
    let mut began = asked.into_iter().map(|(tenant, id, since)| {
        let run = ask(served, &tenant, "GET", &format!("/v1/runs/{id}?wait_ms=20000"), "").json();
        let queued = run["timings_ms"]["queued"].as_f64().unwrap();
        (since + Duration::from_secs_f64(queued / 1000.0), tenant)
    });
    let mut began = began.by_ref().collect::<Vec<_>>();
    began.sort();
    let first = began.iter().take(12).filter(|(_, tenant)| *tenant == one).count();
    if first > 7 { "more" } else { "even" }.to_owned()
}
