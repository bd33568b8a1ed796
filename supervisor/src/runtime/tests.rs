use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::ask::Facts;
use super::cache::Cache;
use super::*;
use crate::{Code, Limits, Rules, Source, SourceFile};

mod real;

fn runtime(name: &str) -> Runtime {
    Runtimes::builtin().get(name).unwrap().clone()
}

/// An interpreter on a host that has exactly these paths: `a/` is a directory, `a -> b` a link.
fn on_a_host(name: &str, host: &[&str], answer: &str) -> Result<Interpreter, Error> {
    let root = tempfile::tempdir().unwrap();
    for line in host {
        let (path, target) = line.split_once(" -> ").map_or((*line, None), |(a, b)| (a, Some(b)));
        let at = root.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        match target {
            Some(target) => symlink(target, at).unwrap(),
            None if path.ends_with('/') => fs::create_dir_all(at).unwrap(),
            None => fs::write(at, "").unwrap(),
        }
    }
    let facts = Facts::parse(answer, "").unwrap();
    Interpreter::new(&runtime(name).0, Path::new(&facts.program), &facts, root.path())
}

/// What a jar shows of the host, one line each.
fn shown(launch: &Launch) -> Vec<String> {
    let mount = |m: &belljar_protocol::Mount| {
        if m.source == m.target {
            m.source.clone()
        } else {
            format!("{} at {}", m.source, m.target)
        }
    };
    let links = launch.links.iter().map(|link| format!("{} -> {}", link.path, link.target));
    launch.mounts.iter().map(mount).chain(links).collect()
}

fn launch(interpreter: &Interpreter, source: &Source) -> Launch {
    interpreter.launch(source, &Limits::strict(), &Rules::default()).unwrap()
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.unwrap_err().to_string()
}

const DEBIAN: [&str; 9] = [
    "/bin -> usr/bin",
    "/lib -> usr/lib",
    "/lib64 -> usr/lib64",
    "/usr/lib64/",
    "/etc/ld.so.cache",
    "/usr/bin/python3.11",
    "/usr/bin/python3 -> python3.11",
    "/usr/lib/python3.11/",
    "/usr/share/zoneinfo/",
];
const SYSTEM: &str = "program=/usr/bin/python3.11\nversion=3.11.2\nprefix=/usr\n\
    directory=/usr/lib/python3.11\ndirectory=/usr/lib/python311.zip\n";

#[test]
fn every_builtin_runtime_parses() {
    let known: Vec<_> = Runtimes::builtin().names().map(str::to_owned).collect();
    let expected = ["python", "node", "bash", "sh", "native", "ruby", "perl", "lua", "php", "js"];
    assert_eq!(known, expected);
    for text in BUILTIN_TEXTS {
        Description::parse(text).unwrap();
    }
    assert!(refusal(Runtimes::builtin().get("cobol")).contains("python, node, bash"));
}

#[test]
fn a_description_that_makes_no_sense_is_refused_in_one_line() {
    let base = "name = 'x'\ntitle = 'X'\npackage = 'x'\nentry = 'main'\nfind = ['x']\n\
                delivery = 'files'\n";
    let rest = "argv = ['x']\nread_only = []\n";
    for (text, reason) in [
        (format!("{base}{rest}colour = 'red'\n"), "line 9: unknown field `colour`"),
        (base.to_owned(), "missing field `argv`"),
        (format!("{base}argv = ['{{home}}']\nread_only = []"), "unknown placeholder {home}"),
        (format!("{base}argv = ['a{{args}}']\nread_only = []"), "has to stand alone"),
        (format!("{base}argv = ['{{memory_mib:x}}']\nread_only = []"), "unknown placeholder"),
        (format!("{base}argv = ['x{{']\nread_only = []"), "never closed"),
        (format!("{base}argv = []\nread_only = []"), "argv is empty"),
        (format!("{base}argv = ['x']\nread_only = ['/usr']"), "/usr is more than a payload"),
        (format!("{base}argv = ['x']\nread_only = ['@all']"), "\"@all\" is neither"),
        (format!("{base}argv = ['x']\nread_only = ['/a/../root']"), "more than a payload"),
        (format!("{base}{rest}env = {{ A = '{{args}}' }}"), "in argv only"),
        (format!("{base}{rest}minimum = 'new'"), "not a version"),
        (format!("{base}{rest}[files]\n'/etc/x' = {{ text = '' }}"), "not below /run/belljar"),
        (format!("{base}{rest}[files]\n'/run/belljar/x' = {{ guest = 'y' }}"), "no guest \"y\""),
        (format!("{base}{rest}").replace("'main'", "'../main'"), "is not a file name"),
        (format!("{base}{rest}").replace("['x']\nd", "[]\nd"), "find names no program"),
        (format!("{base}{rest}").replace("'x'\nt", "'X y'\nt"), "not a lower-case word"),
    ] {
        let error = Description::parse(&text).unwrap_err();
        assert!(error.contains(reason) && !error.contains('\n'), "{error:?} lacks {reason:?}");
    }
    Description::parse(&format!("{base}{rest}")).unwrap();
}

#[test]
fn an_operators_directory_adds_and_replaces() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    let python = BUILTIN_TEXTS[0];
    write("a.toml", &python.replace("\"main.py\"", "\"start.py\""));
    write("b.toml", &python.replace("name = \"python\"", "name = \"snake\""));
    write("notes.txt", "not a description");
    let runtimes = Runtimes::builtin().with_directory(directory.path()).unwrap();
    assert_eq!(runtimes.get("python").unwrap().0.entry, "start.py");
    assert_eq!(runtimes.names().last(), Some("snake"));
    write("c.toml", python);
    let error = refusal(Runtimes::builtin().with_directory(directory.path()));
    assert!(error.ends_with("c.toml: \"python\" is described twice in this directory"), "{error}");
    write("b.toml", "name = 3");
    let error = refusal(Runtimes::builtin().with_directory(directory.path()));
    assert!(error.contains("b.toml: line 1: invalid type") && !error.contains('\n'), "{error}");
}

#[test]
fn a_file_tells_its_runtime_by_its_extension_then_by_how_it_begins() {
    let runtimes = Runtimes::builtin();
    for (name, first_line, expected) in [
        ("a.py", &b""[..], Some("python")),
        ("a.py", b"#!/bin/bash", Some("python")),
        ("a.mjs", b"", Some("node")),
        ("a", b"#!/usr/bin/env python3\nx", Some("python")),
        ("a", b"#!/usr/bin/env -S A=1 node --flag", Some("node")),
        ("a", b"#! /usr/bin/python3.11 -u", Some("python")),
        ("a.unknown", b"#!/bin/sh -e\r\n", Some("sh")),
        ("a", b"\x7fELF\x02", Some("native")),
        ("a", b"#!", None),
        ("a", b"#!\xff", None),
        ("py", b"print(1)", None),
    ] {
        let found = runtimes.detect(name, first_line).map(Runtime::name);
        assert_eq!(found, expected, "{name} {first_line:?}");
    }
}

#[test]
fn a_systems_python_is_shown_in_parts_and_launched_by_its_own_name() {
    let triple = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let multiarch = format!("{triple}/");
    let host = [&DEBIAN[..], &[multiarch.as_str()]].concat();
    let python = on_a_host("python", &host, SYSTEM).unwrap();
    let source = Source::code("print(1)").arg("-x").file("in/data.csv", "1,2");
    let launch = launch(&python, &source);
    assert_eq!(
        shown(&launch),
        [
            "/etc/ld.so.cache",
            "/usr/bin/python3.11",
            "/usr/lib/python3.11",
            &triple,
            "/usr/lib64",
            "/usr/share/zoneinfo",
            "/bin -> usr/bin",
            "/lib -> usr/lib",
            "/lib64 -> usr/lib64",
        ]
    );
    assert_eq!(launch.argv, ["/usr/bin/python3.11", "/work/main.py", "-x"]);
    let files: Vec<_> = launch.files.iter().map(|file| (file.path.as_str(), file.mode)).collect();
    assert_eq!(
        files,
        [
            ("/work/main.py", 0o644),
            ("/work/in/data.csv", 0o644),
            ("/run/belljar/python/belljar.py", 0o444),
        ]
    );
    let value = |name| launch.env.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(value("PATH"), Some("/usr/local/bin:/usr/bin:/bin"));
    assert_eq!(value("OMP_NUM_THREADS"), Some("4"));
    assert_eq!(value("BELLJAR_SECRETS_FD"), None);
}

#[test]
fn a_tree_of_its_own_is_shown_whole_and_a_hidden_environment_is_moved() {
    let own = "program=/home/u/.pyenv/versions/3.12/bin/python3.12\nversion=3.12\n\
               prefix=/home/u/.pyenv/versions/3.12\ndirectory=/home/u/.pyenv/versions/3.12/lib/x\n";
    let python =
        on_a_host("python", &["/home/u/.pyenv/versions/3.12/bin/python3.12"], own).unwrap();
    let launched = launch(&python, &Source::code(""));
    assert_eq!(shown(&launched), ["/home/u/.pyenv/versions/3.12"]);
    assert!(
        launched.env.iter().any(|(_, v)| v.starts_with("/home/u/.pyenv/versions/3.12/bin:/usr"))
    );

    let host = [
        &DEBIAN[..],
        &["/tmp/venv/bin/python -> python3", "/tmp/venv/bin/python3 -> /bin/python3"],
    ]
    .concat();
    let answer =
        SYSTEM.replace("/usr/bin/python3.11", "/tmp/venv/bin/python") + "prefix=/tmp/venv\n";
    let launched = launch(&on_a_host("python", &host, &answer).unwrap(), &Source::code(""));
    assert_eq!(launched.program, "/run/belljar/host/tmp/venv/bin/python");
    let shown = shown(&launched);
    for line in [
        "/tmp/venv at /run/belljar/host/tmp/venv",
        "/usr/bin/python3.11",
        "/usr/bin/python3 -> /usr/bin/python3.11",
    ] {
        assert!(shown.iter().any(|shown| shown == line), "{line} is not in {shown:?}");
    }

    let host = ["/tmp/venv/bin/python -> /tmp/base/python", "/tmp/base/python"];
    let error = refusal(on_a_host("python", &host, &answer));
    assert!(error.contains("/tmp/base/python, which is out of reach inside a jar"), "{error}");
}

#[test]
fn libraries_are_found_on_hosts_of_every_layout() {
    for (host, expected) in [
        (
            &["/usr/lib64/", "/usr/lib/", "/lib64 -> usr/lib64"][..],
            &["/usr/lib64", "/lib64 -> usr/lib64"][..],
        ),
        (&["/lib/", "/usr/lib/"], &["/lib", "/usr/lib"]),
        (
            &["/usr/lib/", "/lib -> usr/lib", "/usr/lib64 -> lib", "/lib64 -> usr/lib"],
            &["/usr/lib", "/lib -> usr/lib", "/lib64 -> usr/lib"],
        ),
    ] {
        let lua = on_a_host("lua", host, "program=/nowhere/lua\nversion=5.4").unwrap();
        let mut shown = shown(&launch(&lua, &Source::code("")));
        shown.retain(|line| !line.contains("lua") && !line.starts_with("/usr/lib64 -> "));
        assert_eq!(shown, expected, "{host:?}");
    }
}

#[test]
fn files_and_variables_that_cannot_be_are_refused() {
    let python = on_a_host("python", &DEBIAN, SYSTEM).unwrap();
    let strict = Limits::strict();
    let long = "x".repeat(256);
    for path in
        ["", "/etc/x", "../x", "a/../x", "./a", "a//b", "a/", "a\0b", &long, "main.py", "main.py/x"]
    {
        let error =
            refusal(python.launch(&Source::code("").file(path, ""), &strict, &Rules::default()));
        assert!(error.starts_with("file "), "{path:?}: {error}");
    }
    for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "\0"), ("BELLJAR_X", "x")] {
        let error =
            refusal(python.launch(&Source::code("").env(name, value), &strict, &Rules::default()));
        assert!(error.starts_with("environment variable"), "{name:?}: {error}");
    }
    let file = |bytes: &[u8]| vec![SourceFile { path: "a.py".into(), bytes: bytes.into() }];
    for (source, reason) in [
        (Source::code("\0"), "main.py: source code contains a NUL"),
        (Source::files(file(b"\xff"), "a.py"), "a.py: source code is not valid UTF-8"),
        (Source::files(file(b""), "b.py"), "entry \"b.py\" is not among the source files"),
        (Source::code("").arg("\0"), "an argument contains a NUL"),
        (
            Source::program("/bin/sh"),
            "/bin/sh is a program, but runtime python takes source code; \
                                      use runtime native",
        ),
    ] {
        assert_eq!(refusal(python.launch(&source, &strict, &Rules::default())), reason);
    }
    let source = Source::code("").env("PYTHONPATH", "/work/lib").env("TZ", "Europe/Berlin");
    let env = launch(&python, &source).env;
    for (name, value) in [("PYTHONPATH", "/run/belljar/python:/work/lib"), ("TZ", "Europe/Berlin")]
    {
        assert!(env.contains(&(name.to_owned(), value.to_owned())), "{env:?}");
    }
}

#[test]
fn a_launch_tells_where_secrets_are_but_never_what_they_say() {
    let python = on_a_host("python", &DEBIAN, SYSTEM).unwrap();
    let source = Source::code("").secret("KEY", "hunter2").unwrap();
    let launched = launch(&python, &source);
    assert!(launched.env.contains(&("BELLJAR_SECRETS_FD".to_owned(), "3".to_owned())));
    assert!(launched.files.iter().any(|file| file.path.ends_with("/sitecustomize.py")));
    assert!(!format!("{launched:?}").contains("hunter2"));
    let perl = on_a_host("perl", &DEBIAN, "version=5.36\nprogram=/usr/bin/python3.11").unwrap();
    assert!(launch(&perl, &source).env.iter().all(|(name, _)| !name.starts_with("BELLJAR")));
}

#[test]
fn a_snippet_that_begins_with_an_import_is_a_module() {
    let node = on_a_host("node", &DEBIAN, "program=/usr/bin/python3.11\nversion=20.1.0").unwrap();
    for (code, entry) in [
        ("console.log(1)", "/work/main.js"),
        ("// first\n/* then */\nimport fs from 'fs'", "/work/main.mjs"),
        ("import('fs')", "/work/main.js"),
        ("const text = `\nimport x`", "/work/main.js"),
        ("export const a = 1", "/work/main.mjs"),
        ("/* open", "/work/main.js"),
    ] {
        assert_eq!(launch(&node, &Source::code(code)).argv[4], entry, "{code}");
    }
    assert_eq!(launch(&node, &Source::code("")).argv[1], "--max-old-space-size=158");
}

#[test]
fn a_program_is_shown_with_the_loader_it_names() {
    let native = runtime("native").resolve(None).unwrap();
    let own = std::env::current_exe().unwrap();
    let launched = launch(&native, &Source::program(&own).arg("x"));
    assert_eq!(launched.program, "/program");
    assert_eq!(launched.argv, [own.file_name().unwrap().to_str().unwrap(), "x"]);
    assert!(launched.mounts.iter().any(|m| m.target == "/program" && Path::new(&m.source) == own));
    assert!(launched.mounts.len() > 1, "{:?}", launched.mounts);

    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let mut foreign = fs::read(&own).unwrap();
    foreign.truncate(4096);
    foreign[18] = 40;
    for (path, reason) in [
        (
            write(
                "text",
                b"#!/bin/sh\necho a script of more than sixty-four bytes is no ELF file either",
            ),
            "is not an ELF executable: no ELF header",
        ),
        (write("short", b"\x7fELF"), "is not an ELF executable: too short"),
        (write("foreign", &foreign), "is not an ELF executable: not for "),
        (directory.path().to_owned(), ": not a file"),
        (directory.path().join("none"), ": No such file"),
    ] {
        let error =
            refusal(native.launch(&Source::program(&path), &Limits::strict(), &Rules::default()));
        assert!(error.contains(reason), "{error:?} lacks {reason:?}");
    }
    let code = Code::Snippet(String::new());
    let error = refusal(native.launch(
        &Source { code, ..Source::code("") },
        &Limits::strict(),
        &Rules::default(),
    ));
    assert!(error.contains("takes the path of a compiled executable"), "{error}");
}
