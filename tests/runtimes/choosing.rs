//! Which interpreter runs: the one found, the one named, or the one an operator described.

use std::fs;

use belljar::{Error, Runtime, Runtimes, Sandbox};
use belljar_tests::{Test, limits, sandbox, scratch, stdout, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        every_builtin_runtime_has_a_name(),
        a_file_tells_its_runtime(),
        a_missing_interpreter_is_named_with_its_package(),
        an_operator_can_replace_a_runtime(),
        an_operator_can_add_a_runtime(Bash),
        a_description_that_makes_no_sense_is_refused(),
        an_interpreter_given_by_path_runs(Python),
    ]
}

async fn every_builtin_runtime_has_a_name() {
    let runtimes = Runtimes::builtin();
    let names: Vec<_> = runtimes.names().collect();
    let known = ["python", "node", "bash", "sh", "native", "ruby", "perl", "lua", "php", "js"];
    assert_eq!(names, known);
}

async fn a_file_tells_its_runtime() {
    let runtimes = Runtimes::builtin();
    for (name, first_line, runtime) in [
        ("a.py", &b""[..], Some("python")),
        ("a.mjs", b"", Some("node")),
        ("a.sh", b"#!/bin/bash\n", Some("sh")),
        ("a", b"#!/bin/bash\n", Some("bash")),
        ("a", b"#!/usr/bin/env -S python3.11 -u\n", Some("python")),
        ("a.out", b"\x7fELF\x02", Some("native")),
        ("a.rb", b"", Some("ruby")),
        ("a.cobol", b"IDENTIFICATION", None),
    ] {
        let found = runtimes.detect(name, first_line);
        assert_eq!(found.map(Runtime::name), runtime, "{name}");
    }
}

const DESCRIPTION: &str = "name = \"NAME\"\n\
                           title = \"Shell of ours\"\n\
                           entry = \"main.sh\"\n\
                           package = \"our-shell (Ours)\"\n\
                           find = [\"FIND\"]\n\
                           argv = [\"{program}\", \"{entry}\", \"{args}\"]\n\
                           read_only = [\"{program}\", \"/bin\", \"/usr/bin\", \"@libraries\"]\n\
                           delivery = \"files\"\n\
                           [env]\n\
                           OURS = \"yes\"\n";

fn described(name: &str, find: &str) -> Result<Runtimes, Error> {
    let place = scratch();
    let text = DESCRIPTION.replace("NAME", name).replace("FIND", find);
    fs::write(place.path().join("ours.toml"), text).unwrap();
    fs::write(place.path().join("README"), "not a description").unwrap();
    Runtimes::builtin().with_directory(place.path())
}

async fn a_missing_interpreter_is_named_with_its_package() {
    let runtimes = described("ours", "no-such-shell-anywhere").unwrap();
    let runtime = runtimes.get("ours").unwrap().clone();
    let error = Sandbox::builder(runtime).build().unwrap_err();
    assert_eq!(error.code(), "unknown_runtime", "{error}");
    assert!(error.to_string().contains("our-shell (Ours)"), "{error}");
}

async fn runs(runtimes: &Runtimes, name: &str) {
    let runtime = runtimes.get(name).unwrap().clone();
    let sandbox = Sandbox::builder(runtime).limits(limits()).build().unwrap();
    let outcome = sandbox.run("echo $OURS $((6 * 7))").await.unwrap();
    assert_eq!(stdout(&outcome), "yes 42\n");
    assert_eq!(outcome.runtime, name);
}

async fn an_operator_can_replace_a_runtime() {
    let runtimes = described("python", "sh").unwrap();
    assert_eq!(runtimes.names().filter(|name| *name == "python").count(), 1);
    runs(&runtimes, "python").await;
}

async fn an_operator_can_add_a_runtime() {
    runs(&described("ours", "bash").unwrap(), "ours").await;
}

async fn a_description_that_makes_no_sense_is_refused() {
    for text in ["", "name = 1", "name = \"x\"", "][", &DESCRIPTION.replace("argv", "argw")] {
        let place = scratch();
        fs::write(place.path().join("bad.toml"), text).unwrap();
        let error = Runtimes::builtin().with_directory(place.path()).unwrap_err();
        assert_eq!(error.code(), "invalid_request");
        assert!(error.to_string().contains("bad.toml"), "{error}");
    }
    let nowhere = Runtimes::builtin().with_directory("/nowhere".as_ref()).unwrap_err();
    assert!(nowhere.to_string().contains("/nowhere"), "{nowhere}");
}

async fn an_interpreter_given_by_path_runs() {
    let found = sandbox("python").build().unwrap();
    let program = found.interpreter().program().to_owned();
    let named = sandbox("python").program(&program).build().unwrap();
    let outcome = named.run("import sys; print(sys.executable)").await.unwrap();
    assert_eq!(stdout(&outcome).trim(), program.to_str().unwrap());
    assert!(named.interpreter().version().starts_with("3."));
}
