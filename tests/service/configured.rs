//! Every key of the configuration changes what the service does; those that SIGHUP applies do so
//! while it serves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use belljar_tests::{Test, tests};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::allowed::{commands, granted, let_run, models_run, resolved, resolvers};
use crate::probes::{
    Probe, accepted, at_one_time, body, bounds_grace, cpu_of_a_minute, created, entries,
    expires_in, group, guest, header, history_file, idle, least_waiting, lists, logged, lured,
    memory_of_all, metrics, mode, models, names, over_output, over_the_ceiling, preloaded,
    remembered, remembers, retained, runs_of_a_minute, second_connection, sockets, start, turns,
    usual_limit, waiting, warm,
};
use crate::served::{PATIENCE, Served, belljar, soon};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        every_key_has_a_case(),
        keys_that_need_a_start_change_answers(Bash, Python, Root),
        keys_that_are_live_change_answers_when_they_are_read_again(Bash, Root),
    ]
}

/// A key, what else is set, and twice a value and the answer with it.
pub(crate) struct Case {
    pub(crate) key: String,
    with: Vec<(String, String)>,
    values: [String; 2],
    answers: [String; 2],
    probe: Probe,
}

fn case(key: &str, values: [&str; 2], answers: [&str; 2], probe: Probe) -> Case {
    let (values, answers) = (values.map(str::to_owned), answers.map(str::to_owned));
    Case { key: key.to_owned(), with: Vec::new(), values, answers, probe }
}

impl Case {
    fn with(mut self, key: &str, value: &str) -> Self {
        self.with.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The file with one of the two values.
    fn write(&self, file: &Path, value: &str) {
        let mut keys = BTreeMap::from([("tenants.header".to_owned(), "true".to_owned())]);
        keys.extend(self.with.iter().cloned());
        keys.insert(self.key.clone(), value.to_owned());
        let lines = keys.into_iter().map(|(key, value)| format!("{key} = {value}\n"));
        let lines = lines.map(|line| line.replace("runtimes.NAME", "runtimes.bash"));
        let lines = lines.map(|line| line.replace("tools.NAME", "tools.run_code"));
        let lines = lines.map(|line| line.replace("NAME", "x"));
        fs::write(file, lines.collect::<String>()).unwrap();
    }
}

fn of_a_start() -> Vec<Case> {
    const BASH: &str = r#"["bash"]"#;
    vec![
        case("service.socket", [r#""a.sock""#, r#""b.sock""#], ["a.sock", "b.sock"], sockets),
        case("service.socket_mode", [r#""0600""#, r#""0666""#], ["600", "666"], mode),
        case("service.socket_group", [r#""""#, r#""7""#], ["0", "7"], group),
        case("service.grace", [r#""100ms""#, r#""10s""#], ["cancelled", "ok"], bounds_grace),
        case("service.connections", ["1", "100"], ["503", "200"], second_connection),
        case("service.body_bytes", ["1000", "100000"], ["413", "200"], body),
        case("warm.runtimes", ["[]", BASH], ["cold", "jar"], start),
        case("warm.min", ["1", "3"], ["1", "3"], least_waiting).with("warm.runtimes", BASH),
        case("warm.max", ["1", "8"], ["one", "more"], waiting)
            .with("warm.runtimes", BASH)
            .with("warm.min", "1"),
        case("warm.memory_bytes", ["1", r#""512M""#], ["none", "some"], warm)
            .with("warm.runtimes", BASH),
        case("warm.preload", ["[]", r#"["colorsys"]"#], ["False\n", "True\n"], preloaded)
            .with("warm.runtimes", r#"["python"]"#),
        case("history.path", [r#""""#, r#""none""#], ["true", "false"], history_file),
        case("logs.level", [r#""off""#, r#""info""#], ["silent", "said"], logged),
        case("logs.entries", ["1", "100"], ["one", "more"], entries),
        case("metrics.enabled", ["false", "true"], ["404", "200"], metrics),
        case("mcp.enabled", ["false", "true"], ["404", "415"], models),
        case("mcp.origins", ["[]", r#"["http://a.test"]"#], ["403", "415"], lured),
        case("runtimes.directory", [r#""""#, r#""ours""#], ["false", "true"], names),
    ]
}

fn live() -> Vec<Case> {
    let mut cases = vec![
        case(
            "limits.on_output_limit",
            [r#""kill""#, r#""truncate""#],
            ["output", "ok"],
            over_output,
        ),
        case("queue.running", ["1", "2"], ["1", "2"], at_one_time),
        case("queue.queued", ["0", "2"], ["1", "3"], accepted).with("queue.running", "1"),
        case("queue.memory_bytes", [r#""256M""#, r#""1G""#], ["429", "200"], memory_of_all),
        case("tenants.header", ["false", "true"], ["403", "200"], header),
        case("tenants.users", ["[]", r#"["65534"]"#], ["403", "200"], guest),
        case("sessions.most", ["0", "1"], ["503", "201"], created),
        case("sessions.idle_ms", ["5000", "6000"], ["5000", "6000"], idle),
        case("sessions.lifetime_ms", ["7000", "8000"], ["7000", "8000"], expires_in)
            .with("sessions.idle_ms", "5000"),
        case("history.keep_runs", ["1", "5"], ["1", "5"], remembers),
        case("history.keep_ms", ["1", "1000000"], ["404", "200"], remembered),
        case("history.keep_bytes", ["1", "1000000"], ["false", "true"], retained),
        case("history.outputs", ["false", "true"], ["", "said\n"], lists),
    ];
    cases.extend(allowed());
    for section in ["tenants.default", "tenants.named.NAME"] {
        let of = |key: &str, values, answers, probe| {
            case(&format!("{section}.{key}"), values, answers, probe)
        };
        cases.extend([
            of("running", ["1", "2"], ["1", "2"], at_one_time),
            of("queued", ["1", "2"], ["2", "3"], accepted).with(&format!("{section}.running"), "1"),
            of("cpu_ms_per_minute", ["0", "1"], ["200", "429"], cpu_of_a_minute),
            of("runs_per_minute", ["0", "1"], ["200", "429"], runs_of_a_minute),
            of("weight", ["1", "8"], ["even", "more"], turns)
                .with("queue.running", "1")
                .with("tenants.named.o.weight", "1"),
        ]);
    }
    cases.extend(limits());
    cases
}

/// What a run has, and the most that it may ask for.
fn limits() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, usual, most) in [
        ("memory_bytes", 64 << 20, 80 << 20),
        ("cpu_ms", 1000, 2000),
        ("wall_ms", 5000, 6000),
        ("descriptors", 64, 100),
        ("stdout_bytes", 1000, 2000),
        ("stderr_bytes", 1000, 2000),
        ("processes", 16, 20),
        ("disk_bytes", 1 << 20, 2 << 20),
        ("inodes", 500, 600),
        ("file_bytes", 1 << 20, 2 << 20),
        ("artifacts", 4, 5),
        ("artifact_bytes", 1000, 2000),
        ("connections", 4, 5),
        ("network_bytes", 1000, 2000),
        ("network_bytes_per_s", 1000, 2000),
    ] {
        let (limits, ceiling) = (format!("limits.{name}"), format!("ceiling.{name}"));
        let values = [usual, most].map(|value| value.to_string());
        let values = [&*values[0], &values[1]];
        cases.push(case(&limits, values, values, usual_limit));
        let values = [most, 2 * most].map(|value| value.to_string());
        let answers = ["400", "200"];
        let ceiling = case(&ceiling, [&values[0], &values[1]], answers, over_the_ceiling);
        cases.push(ceiling.with(&limits, &usual.to_string()));
    }
    cases
}

/// Rules and networks.
fn allowed() -> Vec<Case> {
    const OFF: [&str; 2] = [r#""off""#, r#""full""#];
    const COMMANDS: [&str; 2] = ["[]", r#"["frobnicate"]"#];
    const PLACE: &str = r#"["10.1.2.3:9"]"#;
    const PLACES: [&str; 2] = ["[]", PLACE];
    const RANGES: [&str; 2] = ["[]", r#"["10.1.0.0/16"]"#];
    let answers = ["403", "200"];
    let [one, other] = resolvers().map(|address| format!("\"{address}\""));
    let mut cases = vec![
        case("mcp.mode", OFF, ["refused", "ok"], models_run),
        case("mcp.tools.NAME.mode", OFF, ["refused", "ok"], models_run),
        case("network.resolver", [&*one, &*other], ["refused_address", "unresolved"], resolved)
            .with("network.allow", r#"["a.test:9"]"#),
    ];
    for section in ["rules", "rules.runtimes.NAME", "rules.tenants.NAME"] {
        cases.extend([
            case(&format!("{section}.mode"), OFF, answers, let_run),
            case(&format!("{section}.modules"), COMMANDS, answers, commands)
                .with("rules.mode", r#""standard""#),
        ]);
    }
    for section in ["network", "network.tenants.NAME"] {
        let of = |key: &str| format!("{section}.{key}");
        cases.extend([
            case(&of("allow"), PLACES, answers, granted).with("network.open_ranges", RANGES[1]),
            case(&of("open_ranges"), RANGES, answers, granted).with(&of("allow"), PLACE),
        ]);
    }
    cases
}

/// Every key by its name, and whether it is live.
fn keys() -> BTreeMap<String, bool> {
    let named = [
        "tenants.named.NAME.running=1",
        "rules.runtimes.NAME.mode=off",
        "rules.tenants.NAME.mode=off",
        "network.tenants.NAME.allow=",
        "mcp.tools.NAME.mode=off",
    ];
    let set = named.iter().flat_map(|set| ["--set", set]);
    let output = belljar(&["config", "--json"]).args(set).output().unwrap();
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let listed = shown["origins"].as_object().unwrap().keys().cloned();
    let explained = belljar(&["config", "--explain"]).output().unwrap();
    let explained = String::from_utf8(explained.stdout).unwrap();
    let (mut section, mut key, mut live) = ("", String::new(), BTreeSet::new());
    for line in explained.lines() {
        if let Some((path, _)) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            section = path;
        } else if line.contains("SIGHUP applies it") {
            live.insert(key.clone());
        } else if let Some(rest) = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')) {
            key = format!("{section}.{}", rest.split(' ').next().unwrap());
        }
    }
    listed.map(|key| (key.clone(), live.contains(&key))).collect()
}

async fn every_key_has_a_case() {
    let keys = keys();
    assert!(keys.len() > 50 && keys.values().any(|is_live| *is_live), "{keys:?}");
    let cases = of_a_start().into_iter().map(|case| (case.key, false));
    let cases = cases.chain(live().into_iter().map(|case| (case.key, true)));
    assert_eq!(cases.collect::<BTreeMap<_, _>>(), keys);
}

async fn keys_that_need_a_start_change_answers() {
    for case in of_a_start() {
        for (value, answer) in case.values.iter().zip(&case.answers) {
            let directory = belljar_tests::scratch();
            let file = directory.path().join("config.toml");
            let place = |name: &str| format!("\"{}\"", directory.path().join(name).display());
            let value = match &**value {
                r#""a.sock""# => place("a.sock"),
                r#""b.sock""# => place("b.sock"),
                r#""ours""# => place("ours"),
                value => value.to_owned(),
            };
            fs::create_dir(directory.path().join("ours")).unwrap();
            fs::write(directory.path().join("ours/ours.toml"), OURS).unwrap();
            case.write(&file, &value);
            let mut served = if case.key == "service.socket" {
                Served::start_where_it_says(&file)
            } else {
                Served::start(&["--config", file.to_str().unwrap()])
            };
            let found = (case.probe)(&mut served, &case.key);
            assert_eq!(found, *answer, "{} = {value}", case.key);
        }
    }
}

async fn keys_that_are_live_change_answers_when_they_are_read_again() {
    let directory = belljar_tests::scratch();
    let file = directory.path().join("config.toml");
    let cases = live();
    cases[0].write(&file, &cases[0].values[0]);
    let options = ["--warm", "bash", "--config", file.to_str().unwrap()];
    let open = ["--set", "service.socket_mode=0666"];
    let mut served = Served::start(&[&options[..], &open].concat());
    for case in &cases {
        for (value, answer) in case.values.iter().zip(&case.answers) {
            case.write(&file, value);
            let before = reloads(&served);
            served.send(Signal::SIGHUP);
            assert!(soon(PATIENCE, || reloads(&served) > before), "{} = {value}", case.key);
            let found = (case.probe)(&mut served, &case.key);
            assert_eq!(found, *answer, "{} = {value}", case.key);
        }
    }
}

fn reloads(served: &Served) -> usize {
    served.said_since().lines().filter(|line| line.contains("was read again")).count()
}

const OURS: &str = r#"name = "ours"
title = "A shell of ours"
entry = "main.sh"
package = "our-shell"
find = ["sh"]
argv = ["{program}", "{entry}", "{args}"]
read_only = ["{program}", "@libraries"]
delivery = "files"
"#;
