//! What `GET /metrics` tells, for Prometheus.
//!
//! Every label has few values, whoever asks for whatever: runtimes are those that the service
//! knows, words are those of the contract, and all else is `other`. No label names a tenant, whose
//! number has no bound.

mod network;
mod process;
mod rules;

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::json::{FindingRow, Outcome};
use network::Network;
use process::Process;
use rules::Rules;

/// Of what [`Metrics::render`] returns.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const OTHER: &str = "other";
const STATUSES: [&str; 10] = [
    "ok",
    "nonzero_exit",
    "signalled",
    "cpu_time",
    "wall_time",
    "memory",
    "output",
    "denied",
    "cancelled",
    "lost",
];
const CODES: [&str; 12] = [
    "invalid_request",
    "policy_refused",
    "unenforceable",
    "unknown_runtime",
    "overloaded",
    "unauthorized",
    "not_found",
    "key_reused",
    "session_busy",
    "cancelled",
    "internal",
    "lost",
];
const COLD: &str = "cold";
const STARTS: [&str; 4] = [COLD, "jar", "primed", "forked"];
const DENIALS: [&str; 4] = ["syscall", "network", "file", "process"];

/// Seconds: a warm start takes less than the first, a cold one of a large interpreter more than
/// most.
const START_BUCKETS: [f64; 12] =
    [0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.125, 0.25, 0.5, 1.0, 5.0];
const WALL_BUCKETS: [f64; 12] =
    [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];

type Labels<const N: usize> = [(&'static str, String); N];
type Histograms = Family<Labels<2>, Histogram, fn() -> Histogram>;
type Level = Gauge<u64, AtomicU64>;

/// Counters and gauges of a service.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    /// The values that the label of that name may have.
    runtimes: Vec<String>,
    runs: Family<Labels<2>, Counter>,
    wall: Histograms,
    start: Histograms,
    warm_starts: Family<Labels<1>, Counter>,
    denials: Family<Labels<1>, Counter>,
    problems: Family<Labels<1>, Counter>,
    network: Network,
    rules: Rules,
    warm_ready: Family<Labels<1>, Level>,
    pub(crate) running: Level,
    pub(crate) queued: Level,
    pub(crate) memory_budget_bytes: Level,
    pub(crate) memory_used_bytes: Level,
    pub(crate) sessions: Level,
    pub(crate) connections: Level,
}

impl Metrics {
    /// With these runtimes and no others.
    pub(crate) fn new(runtimes: impl IntoIterator<Item = String>) -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            runtimes: runtimes.into_iter().collect(),
            runs: Family::default(),
            wall: Family::new_with_constructor(|| Histogram::new(WALL_BUCKETS)),
            start: Family::new_with_constructor(|| Histogram::new(START_BUCKETS)),
            warm_starts: Family::default(),
            denials: Family::default(),
            problems: Family::default(),
            network: Network::default(),
            rules: Rules::default(),
            warm_ready: Family::default(),
            running: Level::default(),
            queued: Level::default(),
            memory_budget_bytes: Level::default(),
            memory_used_bytes: Level::default(),
            sessions: Level::default(),
            connections: Level::default(),
        };
        metrics.register();
        metrics.begin_at_zero();
        metrics
    }

    /// A run is over, and this is what came of it.
    pub(crate) fn run_ended(&self, outcome: &Outcome) {
        let runtime = self.runtime(&outcome.runtime);
        let start = one_of(&STARTS, &outcome.start);
        let status = one_of(&STATUSES, &outcome.status);
        let by_kind = || [("runtime", runtime.clone()), ("start", start.to_owned())];
        let by_status = [("status", status.to_owned()), ("runtime", runtime.clone())];
        self.runs.get_or_create(&by_status).inc();
        self.wall.get_or_create(&by_kind()).observe(outcome.wall_ms / 1000.0);
        let start_ms = outcome.timings_ms.jar + outcome.timings_ms.start;
        self.start.get_or_create(&by_kind()).observe(start_ms / 1000.0);
        if start != COLD {
            self.warm_starts.get_or_create(&[("kind", start.to_owned())]).inc();
        }
        for denial in &outcome.denials {
            let kind = one_of(&DENIALS, &denial.kind).to_owned();
            self.denials.get_or_create(&[("kind", kind)]).inc_by(denial.count);
        }
        if let Some(network) = &outcome.network {
            self.network.count(network);
        }
    }

    /// Somebody's code broke the rules of its language.
    pub(crate) fn found(&self, findings: &[FindingRow]) {
        for finding in findings {
            self.rules.count(&finding.rule);
        }
    }

    /// A run that an earlier process left: nothing of it was measured.
    pub(crate) fn run_lost(&self, runtime: &str) {
        let labels = [("status", "lost".to_owned()), ("runtime", self.runtime(runtime))];
        self.runs.get_or_create(&labels).inc();
    }

    /// Somebody was told of a problem with this code.
    pub(crate) fn problem(&self, code: &str) {
        let code = one_of(&CODES, code).to_owned();
        self.problems.get_or_create(&[("code", code)]).inc();
    }

    /// Jars of a runtime that wait.
    pub(crate) fn set_warm_ready(&self, runtime: &str, ready: u64) {
        self.warm_ready.get_or_create(&[("runtime", self.runtime(runtime))]).set(ready);
    }

    /// All of it, as [`CONTENT_TYPE`] says.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        // A string takes whatever is written to it.
        encode(&mut text, &self.registry).unwrap_or_default();
        text
    }

    fn register(&mut self) {
        // These have names that every process has.
        self.registry.register_collector(Box::new(Process));
        let registry = self.registry.sub_registry_with_prefix("belljar");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version that serves", version);
        registry.register("runs", "Runs that ended", self.runs.clone());
        let help = "Elapsed time of payloads";
        registry.register("run_wall_seconds", help, self.wall.clone());
        let help = "From the turn of a run to its first instruction";
        registry.register("start_seconds", help, self.start.clone());
        let help = "Runs that began in something that waited for them";
        registry.register("warm_starts", help, self.warm_starts.clone());
        let help = "What payloads tried and were refused";
        registry.register("denials", help, self.denials.clone());
        registry.register("problems", "Requests that came to nothing", self.problems.clone());
        self.network.register(registry);
        self.rules.register(registry);
        registry.register("warm_ready", "Jars that wait", self.warm_ready.clone());
        for (name, help, level) in [
            ("running", "Runs that go on", &self.running),
            ("queued", "Runs that wait for their turn", &self.queued),
            (
                "memory_budget_bytes",
                "Memory that runs may have together",
                &self.memory_budget_bytes,
            ),
            ("memory_used_bytes", "As much of it as is promised", &self.memory_used_bytes),
            ("sessions", "Sessions that are open", &self.sessions),
            ("connections", "Connections that are open", &self.connections),
        ] {
            registry.register(name, help, level.clone());
        }
    }

    /// What happens for the first time is a rise from zero, and not a value out of nowhere.
    fn begin_at_zero(&self) {
        for runtime in &self.runtimes {
            for status in STATUSES {
                let labels = [("status", status.to_owned()), ("runtime", runtime.clone())];
                drop(self.runs.get_or_create(&labels));
            }
        }
        for code in CODES {
            drop(self.problems.get_or_create(&[("code", code.to_owned())]));
        }
        for kind in STARTS.into_iter().filter(|kind| *kind != COLD) {
            drop(self.warm_starts.get_or_create(&[("kind", kind.to_owned())]));
        }
        for kind in ["syscall", "network"] {
            drop(self.denials.get_or_create(&[("kind", kind.to_owned())]));
        }
        self.network.begin_at_zero();
    }

    fn runtime(&self, name: &str) -> String {
        let known = self.runtimes.iter().any(|known| known == name);
        if known { name } else { OTHER }.to_owned()
    }
}

fn one_of(words: &[&'static str], word: &str) -> &'static str {
    words.iter().find(|known| **known == word).copied().unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    fn outcome(runtime: &str, status: &str, start: &str, denial: &str) -> Outcome {
        let times = json!({"queued": 900.0, "jar": 5.0, "start": 1.0, "run": 30.0, "collect": 1.0});
        let denials = [json!({"kind": denial, "what": "", "rule": "", "hint": "", "count": 2})];
        let row = json!({
            "id": "01J", "runtime": runtime, "status": status, "exit_code": 0, "signal": null,
            "message": "", "stdout": "", "stderr": "", "stdout_dropped_bytes": 0,
            "stderr_dropped_bytes": 0, "wall_ms": 30.0, "cpu_ms": 1.0, "memory_peak_bytes": 1,
            "processes_peak": 1, "timings_ms": times, "start": start, "artifacts": [],
            "artifact_errors": [], "denials": denials, "limits": {}, "labels": {},
            "created_at": "",
            "receipt": {"floor": "", "level": "", "layers": [], "limits": [], "notes": []},
            "network": {
                "kind": "gate", "grants": ["a.test:1"], "sent_bytes": 3, "received_bytes": 5,
                "unrecorded_connections": 1, "connections": [{
                    "host": "a.test", "port": 1, "address": null, "opened_ms": 0.0,
                    "duration_ms": 0.0, "sent_bytes": 3, "received_bytes": 5, "verdict": status,
                }],
            },
        });
        serde_json::from_value(row).unwrap()
    }

    fn metrics() -> Metrics {
        Metrics::new(["js".to_owned(), "python".to_owned()])
    }

    #[test]
    fn a_run_is_counted_timed_and_told_with_few_labels() {
        let metrics = metrics();
        metrics.run_ended(&outcome("js", "ok", "cold", "syscall"));
        metrics.run_ended(&outcome("js", "ok", "forked", "syscall"));
        metrics.run_lost("python");
        metrics.problem("overloaded");
        metrics.set_warm_ready("js", 3);
        metrics.running.inc();
        metrics.memory_budget_bytes.set(1 << 40);
        let text = metrics.render();
        for line in [
            r#"belljar_runs_total{status="ok",runtime="js"} 2"#,
            r#"belljar_runs_total{status="denied",runtime="python"} 0"#,
            r#"belljar_runs_total{status="lost",runtime="python"} 1"#,
            r#"belljar_run_wall_seconds_bucket{le="0.02",runtime="js",start="cold"} 0"#,
            r#"belljar_run_wall_seconds_bucket{le="0.05",runtime="js",start="cold"} 1"#,
            r#"belljar_start_seconds_sum{runtime="js",start="forked"} 0.006"#,
            r#"belljar_warm_starts_total{kind="forked"} 1"#,
            r#"belljar_warm_starts_total{kind="primed"} 0"#,
            r#"belljar_denials_total{kind="syscall"} 4"#,
            r#"belljar_denials_total{kind="network"} 0"#,
            r#"belljar_network_connections_total{verdict="closed"} 0"#,
            r#"belljar_network_connections_total{verdict="other"} 2"#,
            r#"belljar_network_connections_total{verdict="unrecorded"} 2"#,
            r#"belljar_network_bytes_total{way="sent"} 6"#,
            r#"belljar_network_bytes_total{way="received"} 10"#,
            r#"belljar_problems_total{code="overloaded"} 1"#,
            r#"belljar_warm_ready{runtime="js"} 3"#,
            "belljar_running 1",
            "belljar_queued 0",
            "belljar_memory_budget_bytes 1099511627776",
            "belljar_sessions 0",
            "belljar_connections 0",
            concat!("belljar_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "# TYPE belljar_runs counter",
            "# TYPE belljar_run_wall_seconds histogram",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
        assert!(CONTENT_TYPE.contains("openmetrics"));
    }

    #[test]
    fn whatever_is_asked_for_there_are_no_more_rows() {
        let metrics = metrics();
        let rows = || {
            let text = metrics.render();
            let names = text.lines().filter(|line| !line.starts_with('#'));
            names
                .filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()))
                .collect::<BTreeSet<_>>()
        };
        for number in 0..50 {
            let word = format!("w{number}\"\n");
            metrics.run_ended(&outcome(&word, &word, &word, &word));
            metrics.problem(&word);
            metrics.set_warm_ready(&word, 1);
            metrics.run_lost(&word);
            if number == 0 {
                continue;
            }
            assert!(rows().iter().all(|row| !row.contains("w0")), "{:?}", rows());
        }
        let others = rows().into_iter().filter(|row| row.contains("other")).count();
        // Two counters of runs, the two histograms, and one each of the rest.
        assert_eq!(others, 2 + 2 * (12 + 1 + 2) + 5, "{:?}", rows());
    }

    #[test]
    fn a_process_tells_what_it_uses() {
        let text = metrics().render();
        let value = |name: &str| -> f64 {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
            let line = line.unwrap_or_else(|| panic!("{name} is not in\n{text}"));
            line.rsplit_once(' ').unwrap().1.parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_max_fds") > value("process_open_fds"));
        assert!(value("process_cpu_seconds_total") > 0.0);
        let started = value("process_start_time_seconds");
        let now: f64 = (crate::json::time::now_ms() / 1000).to_string().parse().unwrap();
        assert!((now - 3600.0..now + 2.0).contains(&started), "{started} {now}");
    }
}
