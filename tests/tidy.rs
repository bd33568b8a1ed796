//! What reviewers would say again and again, said once: who may depend on whom, where a crate is
//! named, how long a file is, and that documents name what exists.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, and says so"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use belljar_protocol::Layer;

const LONGEST_FILE_LINES: usize = 400;
const LONGEST_DECISION_LINES: usize = 40;

/// A package, the members it may depend on, and, for what everybody has to trust, the rest.
type Row = (&'static str, &'static [&'static str], Option<&'static [&'static str]>);

#[rustfmt::skip]
const DEPENDENCIES: [Row; 8] = [
    ("protocol", &[], Some(&["bincode", "serde", "zeroize"])),
    ("worker", &["belljar-protocol"], Some(&["landlock", "nix", "rlimit", "zeroize"])),
    ("worker/guests/js", &["belljar-protocol"], Some(&["rquickjs", "zeroize"])),
    ("supervisor", &["belljar-protocol"], None),
    ("service", &["belljar"], None),
    ("tests", &["belljar", "belljar-protocol"], None),
    ("tests/attacker", &[], Some(&["nix"])),
    ("benches", &["belljar", "belljar-protocol"], None),
];

/// What must not come into a package by any name.
const NEVER: [(&str, &[&str]); 3] = [
    ("supervisor", &["landlock", "seccompiler", "rlimit", "clap"]),
    ("worker", &["tokio", "tracing", "cgroups-rs", "serde_json", "toml", "serde"]),
    ("service", &["belljar-protocol", "cgroups-rs", "landlock", "seccompiler", "rlimit"]),
];

/// Crates that one file names, so that one file has to change when they do. The floor of the
/// benches is what belljar is compared with, and no part of it.
const NAMED_IN: [(&str, &[&str]); 5] = [
    ("bincode", &["protocol/src/wire.rs"]),
    ("cgroups_rs", &["supervisor/src/cgroup.rs"]),
    ("landlock", &["benches/src/bin/floor.rs", "worker/src/layers/landlock.rs"]),
    ("rlimit", &["worker/src/layers/rlimits.rs"]),
    ("seccompiler", &["benches/src/bin/floor.rs", "worker/build.rs"]),
];

/// The library of the worker is a crate of its own: it has a C interface, and forks as no program may.
const UNSAFE_IN: [&str; 5] = [
    "tests/attacker/src/sys.rs",
    "worker/guests/js/src/raw.rs",
    "worker/src/lib.rs",
    "worker/src/sys.rs",
    "worker/src/sys/network.rs",
    "worker/src/template/fork.rs",
];

/// What holds against threats beside the layers.
const OTHER_WALLS: [&str; 7] =
    ["cgroup", "supervisor", "init", "warden", "keeper", "template", "collector"];

#[test]
fn dependencies_point_in_one_direction() {
    let members = ["belljar", "belljar-service", "belljar-worker", "belljar-js"];
    for (package, wanted_members, others) in DEPENDENCIES {
        let found = dependencies(package);
        let is_member =
            |name: &&String| members.contains(&name.as_str()) || name.starts_with("belljar-");
        let (of_ours, foreign): (Vec<_>, Vec<_>) = found.iter().partition(is_member);
        for name in of_ours {
            assert!(wanted_members.contains(&name.as_str()), "{package} depends on {name}");
        }
        if let Some(others) = others {
            assert_eq!(foreign, others, "{package}");
        }
    }
    for (package, never) in NEVER {
        for name in dependencies(package) {
            assert!(!never.contains(&name.as_str()), "{package} depends on {name}");
        }
    }
}

#[test]
fn every_package_stands_in_the_table_of_dependencies() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    let members: BTreeSet<_> = members.iter().map(|member| member.as_str().unwrap()).collect();
    assert_eq!(members, DEPENDENCIES.iter().map(|(package, ..)| *package).collect());
}

#[test]
fn a_crate_is_named_in_one_file() {
    for (name, files) in NAMED_IN {
        let names = |path: &Path| {
            let text = code(path);
            // A module of ours may have a crate's name; what is imported is the crate.
            let imported =
                [format!("use {name}::"), format!("use {name};"), format!("::{name}::{{")];
            let has_module = matches!(name, "landlock" | "rlimit");
            imported.iter().any(|import| text.contains(import.as_str()))
                || !has_module && has_word(&text, name)
        };
        let tidy = Path::new("tests/tidy.rs");
        let found: Vec<_> =
            sources().into_iter().filter(|path| path != tidy && names(path)).collect();
        assert_eq!(found, files.iter().map(PathBuf::from).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn unsafe_is_a_place() {
    let found: Vec<_> =
        sources().into_iter().filter(|path| has_word(&code(path), concat!("un", "safe"))).collect();
    assert_eq!(found, UNSAFE_IN.map(PathBuf::from));
    for library in ["protocol/src/lib.rs", "supervisor/src/lib.rs", "tests/src/lib.rs"] {
        let forbids = read(Path::new(library)).contains("#![forbid(unsafe_code)]");
        assert!(forbids, "{library}");
    }
}

#[test]
fn a_file_fits_in_a_sitting() {
    let lengths = sources().into_iter().map(|path| (read(&path).lines().count(), path));
    let too_long: Vec<_> = lengths.filter(|(lines, _)| *lines > LONGEST_FILE_LINES).collect();
    assert_eq!(too_long, []);
}

#[test]
fn nothing_is_left_for_later() {
    let later = [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("#[", "ignore")];
    for path in sources() {
        let text = code(&path);
        let found = later.iter().find(|mark| text.contains(**mark));
        assert_eq!(found, None, "{}", path.display());
    }
}

#[test]
fn every_layer_says_what_it_holds_against() {
    let walls: BTreeSet<_> = fs::read_dir(root().join("worker/src/layers"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    let names: Vec<_> =
        walls.iter().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
    let mut layers = Layer::ALL.map(Layer::name);
    layers.sort_unstable();
    assert_eq!(names, layers);
    for wall in walls {
        let text = fs::read_to_string(&wall).unwrap();
        assert!(text.starts_with("//! Holds against: "), "{}", wall.display());
    }
}

#[test]
fn every_threat_names_its_layers_and_a_test_that_exists() {
    let tests = all_names();
    let threats = threats();
    assert!(threats.len() >= 40, "{} threats", threats.len());
    for [threat, walls, shown_by] in &threats {
        let known = |wall: &str| {
            Layer::ALL.iter().any(|layer| layer.name() == wall) || OTHER_WALLS.contains(&wall)
        };
        assert!(walls.split(", ").all(known), "{threat}: {walls}");
        let names = quoted(shown_by);
        assert!(!names.is_empty(), "{threat} has no test");
        for name in names {
            assert!(tests.contains(name), "{threat}: there is no test {name}");
        }
    }
}

#[test]
fn every_attack_stands_among_the_threats() {
    let threats = read(Path::new("docs/threats.md"));
    let table = read(Path::new("tests/attacker/src/table.rs"));
    let attacks = table.lines().filter_map(|line| line.trim().strip_prefix("attack(\"A"));
    let names: Vec<_> = attacks.filter_map(|row| row.split('"').nth(2)).collect();
    assert!(names.len() > 80, "{}", names.len());
    for name in names {
        assert!(threats.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn documents_name_files_that_exist() {
    let files = files(&root(), Path::new(""));
    let roots: BTreeSet<_> = files.iter().filter_map(|path| path.iter().next()).collect();
    for document in documents() {
        let text = read(&document);
        let shown = document.display();
        for word in quoted(&text) {
            let path = Path::new(word.trim_end_matches('/'));
            let is_ours =
                word.contains('/') && roots.contains(path.iter().next().unwrap_or_default());
            let is_source = word.strip_suffix(".rs").or(word.strip_suffix(".md"));
            let is_name = is_source.is_some_and(|stem| stem.bytes().all(is_part_of_a_path));
            let exists =
                root().join(path).exists() || files.iter().any(|file| file.ends_with(path));
            assert!(exists || !(is_ours || is_name), "{shown}: there is no {word}");
        }
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let beside = root().join(&document).parent().unwrap().join(target);
            assert!(target.contains("://") || beside.exists(), "{shown}: there is no {target}");
        }
    }
}

#[test]
fn a_decision_fits_on_a_page() {
    let decisions: Vec<_> =
        documents().into_iter().filter(|path| path.starts_with("docs/decisions")).collect();
    assert!(!decisions.is_empty());
    for path in decisions {
        let lines = read(&path).lines().count();
        assert!(lines <= LONGEST_DECISION_LINES, "{}: {lines} lines", path.display());
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file of the repository but those in hidden or built directories, relative and in order.
fn files(root: &Path, below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(below)).unwrap().map(Result::unwrap) {
        let name = entry.file_name();
        let path = below.join(&name);
        let is_foreign =
            name.as_encoded_bytes().starts_with(b".") || name == "target" || name == "node_modules";
        if entry.file_type().unwrap().is_file() {
            found.push(path);
        } else if entry.file_type().unwrap().is_dir() && !is_foreign {
            found.extend(files(root, &path));
        }
    }
    found.sort();
    found
}

fn with_extension(extension: &str) -> Vec<PathBuf> {
    let is_one = |path: &PathBuf| path.extension().is_some_and(|found| found == extension);
    files(&root(), Path::new("")).into_iter().filter(is_one).collect()
}

fn sources() -> Vec<PathBuf> {
    let sources = with_extension("rs");
    assert!(sources.len() > 100, "{}", sources.len());
    sources
}

fn documents() -> Vec<PathBuf> {
    with_extension("md")
}

/// A source without its comments.
fn code(path: &Path) -> String {
    let text = read(path);
    let lines = text.lines().map(|line| {
        let is_comment = line.trim_start().starts_with("//");
        if is_comment { "" } else { line.split_once(" // ").map_or(line, |(code, _)| code) }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part)
    })
}

fn is_part_of_a_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-".contains(&byte)
}

/// What a package is built with, on every target, in order.
fn dependencies(package: &str) -> Vec<String> {
    let manifest: toml::Table = read(&Path::new(package).join("Cargo.toml")).parse().unwrap();
    let mut tables = vec![manifest.get("dependencies")];
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    tables.extend(
        targets.iter().flat_map(|targets| targets.values()).map(|it| it.get("dependencies")),
    );
    let tables = tables.into_iter().flatten().filter_map(toml::Value::as_table);
    let names: BTreeSet<_> = tables.flat_map(|table| table.keys().cloned()).collect();
    names.into_iter().collect()
}

/// The rows of the tables of threats: threat, layers, tests.
fn threats() -> Vec<[String; 3]> {
    let text = read(Path::new("docs/threats.md"));
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = rows.map(|row| row.split(" | ").map(str::to_owned).collect::<Vec<_>>());
    let rows = cells.map(|cells| cells.try_into().expect("three columns"));
    rows.filter(|row: &[String; 3]| row[0] != "threat").collect()
}

/// What stands between backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// The names of all functions and of all attacks.
fn all_names() -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut names = BTreeSet::new();
    for path in sources() {
        let text = code(&path);
        let functions = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
        let names_here = functions.chain(text.split('"')).filter(|name| name.chars().all(is_name));
        names.extend(names_here.map(str::to_owned));
    }
    names
}
