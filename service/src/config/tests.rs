//! The table, the struct and the texts say the same.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use super::kind::Kind;
use super::layers::{Loaded, Origin};
use super::table::{Path, Row, rows};
use super::*;

/// With this file and these variables, and nothing of this host.
fn load(text: &str, variables: &[(&str, &str)], set: &[&str]) -> Result<Loaded, String> {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("c.toml");
    fs::write(&file, text).unwrap();
    let set = set.iter().map(|set| (*set).to_owned()).collect();
    let variable = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(*value))
    };
    let loaded = Places { file: Some(file), set }.load_with(variable);
    loaded.map_err(|error| error.to_string().replace(directory.path().to_str().unwrap(), ""))
}

/// The row's path, with a name where any may be.
fn path(row: Row) -> Path {
    row.path().map(|name| name.replace("NAME", "acme")).collect()
}

fn at<'a>(tree: &'a Value, path: &Path) -> &'a Value {
    path.iter().fold(tree, |value, name| &value[name])
}

fn tree(config: &Config) -> Value {
    serde_json::to_value(config).unwrap()
}

/// One that is no default, as TOML, as a word, and as it is in the struct.
fn other(row: Row) -> (&'static str, &'static str, Value) {
    match row.key.kind {
        Kind::Text => (r#""elsewhere""#, "elsewhere", Value::from("elsewhere")),
        Kind::List => (r#"["one", "two"]"#, "one, two", serde_json::json!(["one", "two"])),
        Kind::Flag if row.key.name == "header" => ("true", "true", Value::from(true)),
        Kind::Flag => ("false", "false", Value::from(false)),
        Kind::Count(_) | Kind::Number if row.key.name == "min" => ("3", "3", Value::from(3)),
        Kind::Count(_) | Kind::Number => ("37", "37", Value::from(37)),
        Kind::Size => (r#""5M""#, "5M", Value::from(5 << 20)),
        Kind::Millis => (r#""1min 1ms""#, "60001", Value::from(60_001)),
        Kind::Time => ("7", "7000ms", Value::from("7s")),
        Kind::Mode => (r#""0640""#, "0640", Value::from("0640")),
        Kind::Strictness => (r#""standard""#, "standard", Value::from("standard")),
        Kind::Grants => (
            r#"["a.test:1", "10.0.0.0/8:2"]"#,
            "a.test:1,10.0.0.0/8:2",
            serde_json::json!(["a.test:1", "10.0.0.0/8:2"]),
        ),
        Kind::Ranges => (r#"["10.0.0.0/8"]"#, "10.0.0.0/8", serde_json::json!(["10.0.0.0/8"])),
        Kind::Resolver => (r#""192.0.2.1:53""#, "192.0.2.1:53", Value::from("192.0.2.1:53")),
        Kind::Choice(words) => {
            let (toml, word) = if words.contains(&"kill") {
                (r#""kill""#, "kill")
            } else if words.contains(&"json") {
                (r#""json""#, "json")
            } else {
                (r#""debug""#, "debug")
            };
            (toml, word, Value::from(word))
        }
    }
}

/// What the key by itself would break.
fn beside(row: Row) -> &'static [&'static str] {
    match (row.section.path, row.key.name) {
        (["ceiling" | "queue"], "memory_bytes") => &["limits.memory_bytes=4M"],
        (["ceiling"], "descriptors") => &["limits.descriptors=12"],
        (["ceiling"], "stdout_bytes") => &["limits.stdout_bytes=0"],
        (["ceiling"], "stderr_bytes") => &["limits.stderr_bytes=0"],
        (["ceiling"], "processes") => &["limits.processes=1"],
        (["ceiling"], "disk_bytes") => &["limits.disk_bytes=1"],
        (["ceiling"], "inodes") => &["limits.inodes=16"],
        (["ceiling"], "file_bytes") => &["limits.file_bytes=1"],
        (["ceiling"], "artifacts") => &["limits.artifacts=1"],
        (["ceiling"], "artifact_bytes") => &["limits.artifact_bytes=1"],
        (["ceiling"], "connections") => &["limits.connections=1"],
        (["ceiling"], "network_bytes") => &["limits.network_bytes=1"],
        (["ceiling"], "network_bytes_per_s") => &["limits.network_bytes_per_s=1"],
        _ => &[],
    }
}

fn written(row: Row, toml: &str) -> String {
    let (name, section) = path(row).split_last().map(|(n, s)| (n.clone(), s.join("."))).unwrap();
    format!("[{section}]\n{name} = {toml}\n")
}

#[test]
fn every_row_has_a_field_a_default_a_variable_and_a_type() {
    let defaults = tree(&Config::default());
    for row in rows() {
        let (path, name) = (path(row), row.dotted());
        let (toml, word, value) = other(row);
        let from_file = load(&written(row, toml), &[], beside(row)).unwrap();
        assert_eq!(at(&tree(&from_file.config), &path), &value, "{name}");
        assert!(matches!(from_file.origins[&path], Origin::File(_)), "{name}");

        let wrong = if matches!(row.key.kind, Kind::Flag) { "3" } else { "true" };
        let refused = load(&written(row, wrong), &[], &[]).unwrap_err();
        let named = name.replace("NAME", "acme");
        assert!(refused.contains(&format!("/c.toml: `{named}`: expected ")), "{refused}");

        let set = format!("{named}={word}");
        let set: Vec<_> = beside(row).iter().copied().chain([&*set]).collect();
        let from_option = load("", &[], &set).unwrap();
        assert_eq!(at(&tree(&from_option.config), &path), &value, "{name}");

        let Some(variable) = row.variable() else { continue };
        let usual = at(&defaults, &path);
        assert!(!usual.is_null() && *usual != value, "{name}");
        let shown: toml::Table = format!("x = {}", row.key.kind.shown(usual)).parse().unwrap();
        assert_eq!(row.key.kind.read(&shown["x"]).as_ref(), Ok(usual), "{name}");
        // The environment goes before the file.
        let usual = written(row, &row.key.kind.shown(usual));
        let from_variable = load(&usual, &[(&variable, word)], beside(row)).unwrap();
        assert_eq!(at(&tree(&from_variable.config), &path), &value, "{variable}");
        assert_eq!(from_variable.origins[&path], Origin::Environment(variable));
    }
}

#[test]
fn every_field_has_a_row() {
    fn leaves(prefix: &str, value: &Value, found: &mut BTreeSet<String>) {
        const NAMED: [&str; 5] =
            ["tenants.named", "rules.runtimes", "rules.tenants", "network.tenants", "mcp.tools"];
        match value {
            Value::Object(map) if !(map.is_empty() && NAMED.contains(&prefix)) => {
                for (name, value) in map {
                    let dot = if prefix.is_empty() { "" } else { "." };
                    leaves(&format!("{prefix}{dot}{name}"), value, found);
                }
            }
            Value::Object(_) => {}
            _ => assert!(found.insert(prefix.to_owned())),
        }
    }
    let mut found = BTreeSet::new();
    leaves("", &tree(&Config::default()), &mut found);
    let named = tree(&Config::default())["tenants"]["default"].clone();
    leaves("tenants.named.NAME", &named, &mut found);
    let set = ["rules.runtimes.NAME.mode=off", "rules.tenants.NAME.mode=off"];
    let set =
        [&set[..], &["network.tenants.NAME.allow=a.test:1", "mcp.tools.NAME.mode=off"]].concat();
    let named = tree(&load("", &[], &set).unwrap().config);
    let kinds =
        [("rules", "runtimes"), ("rules", "tenants"), ("network", "tenants"), ("mcp", "tools")];
    for (section, kind) in kinds {
        leaves(&format!("{section}.{kind}"), &named[section][kind], &mut found);
    }
    let known: Vec<_> = rows().map(Row::dotted).collect();
    assert_eq!(found, known.iter().cloned().collect());
    assert_eq!(found.len(), known.len());
    let variables: BTreeSet<_> = rows().filter_map(Row::variable).collect();
    assert_eq!(variables.len(), rows().filter(|row| !row.is_pattern()).count());
    for taken in ["BELLJAR_SOCKET", "BELLJAR_LOG", "BELLJAR_CONFIG", "BELLJAR_RUNTIMES"] {
        assert!(!variables.contains(taken), "{taken}");
    }
}

#[test]
fn a_misspelt_key_is_named_with_the_one_that_was_meant() {
    for (text, what) in [
        ("[queue]\nruning = 3", "unknown key `queue.runing`; did you mean `queue.running`?"),
        ("[que]\nrunning = 3", "unknown key `que.running`; did you mean `queue.running`?"),
        (
            "[tenants.named.acme]\nwieght = 3",
            "unknown key `tenants.named.acme.wieght`; did you mean `tenants.named.acme.weight`?",
        ),
        ("[mcp.enabled]\nx = 3", "unknown key `mcp.enabled.x`; did you mean `mcp.enabled`?"),
        (
            "[ceiling]\non_output_limit = \"kill\"",
            "unknown key `ceiling.on_output_limit`; did you mean `limits.on_output_limit`?",
        ),
        ("[colour]", "unknown key `colour`; belljar config --explain lists those that there are"),
        ("queue = 3", "unknown key `queue`; belljar config --explain lists those that there are"),
        ("[tenants.named.\"\"]\nweight = 1", "`tenants.named.\"\".weight`: no name"),
    ] {
        assert_eq!(load(text, &[], &[]).unwrap_err(), format!("/c.toml: {what}"));
    }
    let refused = load("", &[], &["queue.runing=3"]).unwrap_err();
    assert!(refused.starts_with("--set queue.runing=3: unknown key"), "{refused}");
    assert!(load("[queue]\n[tenants.named]\n[tenants.named.acme]\n", &[], &[]).is_ok());
}

#[test]
fn what_no_file_could_mean_is_refused_by_name() {
    for (text, what) in [
        ("a = 1\nb = = 2\n", "line 2: "),
        ("[queue]\nrunning = 0", "`queue.running`: expected whole number, at least 1"),
        ("[queue]\nrunning = -1", "`queue.running`: expected whole number, at least 1"),
        ("[queue]\nqueued = 4294967296", "`queue.queued`: expected whole number"),
        ("[service]\nsocket_mode = \"0888\"", "`service.socket_mode`: expected octal"),
        ("[service]\nbody_bytes = \"1X\"", "`service.body_bytes`: write bytes"),
        ("[logs]\nlevel = \"loud\"", "`logs.level`: expected \"off\" or"),
        ("[mcp]\norigins = [true]", "`mcp.origins`: expected list"),
        ("[network]\nallow = [\"a.test\"]", "`network.allow`: \"a.test\" cannot be granted"),
        ("[network]\nopen_ranges = [\"10\"]", "`network.open_ranges`: \"10\" is no range"),
        (
            "[network]\nopen_ranges = [\"169.254.0.0/16\"]",
            "`network.open_ranges`: 169.254.0.0/16 cannot be opened",
        ),
        ("[network]\nresolver = \"dns\"", "`network.resolver`: expected address and port"),
        ("[rules.runtimes]\npython = \"off\"", "unknown key `rules.runtimes.python`"),
    ] {
        let refused = load(text, &[], &[]).unwrap_err();
        assert!(refused.starts_with(&format!("/c.toml: {what}")), "{refused}");
    }
    let refused = load("", &[("BELLJAR_QUEUE_RUNNING", "many")], &[]).unwrap_err();
    assert!(refused.starts_with("BELLJAR_QUEUE_RUNNING: `queue.running`: expected"), "{refused}");
    let refused = load("[limits]\nprocesses = 5000", &[], &[]).unwrap_err();
    assert_eq!(refused, "`limits.processes` is 5000, above the 4096 of `ceiling.processes`");
    let refused = load("[queue]\nmemory_bytes = \"1M\"", &[], &[]).unwrap_err();
    assert!(refused.ends_with("of `queue.memory_bytes`: no run would ever begin"), "{refused}");
    let refused = load("[warm]\nmin = 9", &[], &[]).unwrap_err();
    assert_eq!(refused, "`warm.min` is 9, above the 8 of `warm.max`");
    assert!(load("", &[("BELLJAR_QUEUE_RUNNING", "")], &[]).is_ok());
}

#[test]
fn an_older_variable_gives_way_to_its_heir() {
    let old = ("BELLJAR_RUNTIMES", "/old");
    let loaded = load("[runtimes]\ndirectory = \"/file\"", &[old], &[]).unwrap();
    assert_eq!(loaded.config.runtimes.directory, "/old");
    let new = ("BELLJAR_RUNTIMES_DIRECTORY", "/new");
    let loaded = load("", &[old, new], &[]).unwrap();
    assert_eq!(loaded.config.runtimes.directory, "/new");
}

#[test]
fn a_named_tenant_has_what_it_does_not_say_from_the_default() {
    let text = "[tenants.default]\nrunning = 3\nweight = 2\n[tenants.named.\"a.b\"]\nweight = 5\n";
    let loaded = load(text, &[("BELLJAR_TENANTS_DEFAULT_RUNNING", "4")], &[]).unwrap();
    let quota = &loaded.config.tenants.named["a.b"];
    assert_eq!((quota.running, quota.weight, quota.queued), (4, 5, 64));
    let (_, usual, named) = loaded.config.quotas();
    assert_eq!((usual.weight, named["a.b"].weight, named["a.b"].running), (2, 5, 4));
    let shown = in_force(&loaded, false);
    let lines: Vec<_> = shown.lines().filter(|line| line.contains("a.b")).collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0], r#"tenants.named."a.b".running = 4              # tenants.default"#);
    let json: Value = serde_json::from_str(&in_force(&loaded, true)).unwrap();
    assert_eq!(json["values"]["tenants"]["named"]["a.b"]["weight"], 5);
    let origin = &json["origins"]["tenants.default.running"];
    assert_eq!(origin, "environment BELLJAR_TENANTS_DEFAULT_RUNNING");
}

#[test]
fn a_name_has_what_it_does_not_say_from_the_section_above() {
    let text = "[rules]\nmode = \"standard\"\n[rules.runtimes.js]\nmodules = [\"util\"]\n\
                [network]\nallow = [\"a.test:1\"]\n[network.tenants.acme]\nopen_ranges = []\n";
    let loaded = load(text, &[], &[]).unwrap();
    let js = &loaded.config.rules.runtimes["js"];
    assert_eq!((js.mode.as_str(), js.modules.len()), ("standard", 1));
    assert_eq!(loaded.config.network.tenants["acme"].allow, ["a.test:1"]);
    let shown = in_force(&loaded, false);
    let line = shown.lines().find(|line| line.starts_with("rules.runtimes.js.mode = \"standard\""));
    assert!(line.is_some_and(|line| line.ends_with("# rules")), "{shown}");
}

#[test]
fn a_word_that_is_no_mode_is_told_of_and_is_the_strictest() {
    let text = "[rules]\nmode = \"standard\"\n[rules.tenants.acme]\nmode = \"strict\"\n";
    let loaded = load(text, &[], &[]).unwrap();
    assert_eq!(strange_modes(&loaded), ["rules.tenants.acme.mode"]);
    assert_eq!(loaded.config.governed().rules("acme", "js").mode, belljar::Mode::Off);
    let shown = in_force(&loaded, false);
    assert!(shown.contains("c.toml; no such mode, and so \"off\"\n"), "{shown}");
    assert!(explanation().contains("another word is \"off\""));
}

#[test]
fn the_file_with_every_key_says_what_is_so_without_it() {
    let text = default_file();
    assert_eq!(load(&text, &[], &[]).unwrap().config, Config::default());
    let is_key =
        |line: &&str| line.starts_with("# ") && (line.contains(" = ") || line.contains('['));
    let all: Vec<_> =
        text.lines().map(|line| if is_key(&line) { &line[2..] } else { line }).collect();
    let loaded = load(&all.join("\n"), &[], &[]).unwrap();
    assert!(loaded.origins.values().all(|origin| matches!(origin, Origin::File(_))));
    let mut config = loaded.config;
    assert_eq!(config.tenants.named.remove("NAME"), Some(Quota::default()));
    let full = RulesOf { mode: "full".to_owned(), modules: Vec::new() };
    assert_eq!(config.rules.runtimes.remove("NAME").as_ref(), Some(&full));
    assert_eq!(config.rules.tenants.remove("NAME"), Some(full));
    let nothing = NetworkOf { allow: Vec::new(), open_ranges: Vec::new() };
    assert_eq!(config.network.tenants.remove("NAME"), Some(nothing));
    assert_eq!(config.mcp.tools.remove("NAME"), Some(Tool { mode: "full".to_owned() }));
    assert_eq!(config, Config::default());
}

#[test]
fn the_reference_is_that_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    if std::env::var_os("BELLJAR_TEST_WRITE").is_some() {
        fs::write(path, markdown()).unwrap();
    }
    let hint = "BELLJAR_TEST_WRITE=1 makes this test write it";
    assert_eq!(fs::read_to_string(path).unwrap(), markdown(), "{hint}");
    for row in rows() {
        assert!(explanation().contains(row.key.meaning), "{}", row.dotted());
    }
}

#[test]
fn only_a_file_that_is_there_and_that_nobody_else_writes_is_read() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("belljar/config.toml");
    let home = directory.path().as_os_str().to_owned();
    let usual = |name: &str| (name == "XDG_CONFIG_HOME").then(|| home.clone());
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(&file, "[queue]\nqueued = 7\n").unwrap();
    let loaded = Places::default().load_with(usual).unwrap();
    assert_eq!((loaded.config.queue.queued, loaded.file), (7, Some(file.clone())));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let refused = Places::default().load_with(usual).unwrap_err().to_string();
    assert!(refused.ends_with("others may write to it"), "{refused}");
    let missing = |name: &str| (name == "BELLJAR_CONFIG").then(|| OsString::from("/nowhere.toml"));
    let refused = Places::default().load_with(missing).unwrap_err().to_string();
    assert!(refused.starts_with("cannot read /nowhere.toml: "), "{refused}");
}
