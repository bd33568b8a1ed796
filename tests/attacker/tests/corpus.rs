//! The corpus is well-formed, and attacks what is there to attack.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::os::unix::net::UnixListener;
use std::process::{Command, Output, Stdio};

const BIT: i32 = 66;

fn attacker(argument: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_belljar-attacker"));
    command.arg(argument).stdin(Stdio::null());
    command
}

fn run(argument: &str) -> Output {
    attacker(argument).output().unwrap()
}

fn bites(id: &str) {
    let output = run(id);
    assert_eq!(output.status.code(), Some(BIT), "{id}: {output:?}");
    assert!(output.stdout.starts_with(b"bit: "), "{id}: {output:?}");
}

fn rows() -> Vec<Vec<String>> {
    let text = String::from_utf8(run("list").stdout).unwrap();
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

#[test]
fn every_row_is_well_formed() {
    let rows = rows();
    assert!(rows.len() > 80, "{}", rows.len());
    for row in &rows {
        let [id, name, expect, what, limits] = row.as_slice() else { panic!("{row:?}") };
        let number = id.strip_prefix('A').unwrap().trim_end_matches(|c: char| c.is_lowercase());
        assert!(number.len() >= 2 && number.parse::<u16>().is_ok(), "{row:?}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()));
        assert!(what.ends_with('.') && what.len() < 100, "{row:?}");
        assert!(limits.split_whitespace().all(|word| word.contains('=')), "{row:?}");
        let (kind, argument) = expect.split_once(':').unwrap_or((expect, ""));
        match kind {
            "held" | "scene" => assert_eq!(argument, "", "{row:?}"),
            "signal" => assert!(argument.parse::<u8>().is_ok(), "{row:?}"),
            "status" => assert!(
                ["ok", "nonzero_exit", "cpu_time", "wall_time", "memory", "output"]
                    .contains(&argument),
                "{row:?}"
            ),
            _ => panic!("{row:?}"),
        }
    }
}

#[test]
fn ids_and_names_are_unique_and_ids_are_sorted() {
    let rows = rows();
    let order = |row: &Vec<String>| {
        let digits = row[0].trim_matches(|c: char| c.is_alphabetic()).parse::<u16>().unwrap();
        (digits, row[0].clone())
    };
    assert!(rows.is_sorted_by(|before, after| order(before) < order(after)));
    let mut names: Vec<_> = rows.iter().map(|row| &row[1]).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), rows.len());
}

#[test]
fn an_unknown_id_is_refused_in_one_line() {
    for id in ["A00", "a01", "", "A1000", "--help"] {
        let output = run(id);
        assert_eq!(output.status.code(), Some(64), "{id:?}");
        assert!(output.stdout.is_empty(), "{id:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 1, "{id:?}");
    }
}

#[test]
fn attacks_bite_in_the_open() {
    for id in ["A07", "A11", "A18", "A23", "A24", "A26", "A35", "A36", "A44", "A51", "A73"] {
        bites(id);
    }
}

#[test]
fn an_abstract_socket_of_the_host_is_found() {
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name("belljar-attack").unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    bites("A98");
}

#[test]
fn an_inherited_socket_and_a_leaked_environment_are_found() {
    let (near, _far) = std::os::unix::net::UnixStream::pair().unwrap();
    let output = attacker("A92").stdin(std::os::fd::OwnedFd::from(near)).output().unwrap();
    assert_eq!(output.status.code(), Some(BIT), "{output:?}");
    let output = attacker("A95").env("BELLJAR_ATTACK_CANARY", "x").output().unwrap();
    assert_eq!(output.status.code(), Some(BIT), "{output:?}");
}

#[test]
fn a_scene_is_left_where_it_was_asked_for() {
    let scratch = tempfile::tempdir().unwrap();
    let status = attacker("A56").env("BELLJAR_ATTACK_SCRATCH", scratch.path()).status().unwrap();
    assert_eq!(status.code(), Some(0));
    let link = fs::read_link(scratch.path().join("out.txt")).unwrap();
    assert_eq!(link.to_str(), Some("/etc/shadow"));
}

#[test]
fn nothing_is_left_in_the_directory_for_temporary_files() {
    let temporary = tempfile::tempdir().unwrap();
    for id in ["A08", "A31", "A35", "A49", "A51", "A54", "A55", "A56", "A58", "A78"] {
        attacker(id).env("TMPDIR", temporary.path()).output().unwrap();
        let left: Vec<_> = fs::read_dir(temporary.path()).unwrap().collect();
        assert!(left.is_empty(), "{id}: {left:?}");
    }
}
