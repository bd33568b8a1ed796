//! Errors: whose fault, whether to try again, in one line; nothing started and nothing left.

use std::fs;

use belljar::{Error, Fault, Limits, Sandbox, Source};
use belljar_tests::{Before, Test, run, sandbox, scratch, stdout, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        an_unknown_runtime_is_refused_with_the_known_ones(),
        a_missing_worker_is_said_to_be_missing(),
        a_worker_that_is_no_program_is_the_hosts_fault(Bash, Alone),
        an_interpreter_that_is_none_is_refused(Python),
        a_program_that_is_none_is_refused(),
        code_and_programs_are_not_mixed_up(Bash),
        sources_that_cannot_be_run_are_refused(Bash, Alone),
        bounds_are_what_is_documented(Bash),
        variables_that_cannot_exist_are_refused(Bash),
        every_message_is_one_line(Bash),
        a_refused_request_does_not_spoil_the_sandbox(Bash),
    ]
}

fn check(error: &Error, code: &str, fault: Fault, may_retry: bool) {
    let message = error.to_string();
    assert_eq!(
        (error.code(), error.fault(), error.may_retry()),
        (code, fault, may_retry),
        "{message}"
    );
    assert!(!message.is_empty() && !message.contains('\n'), "{message:?}");
}

async fn an_unknown_runtime_is_refused_with_the_known_ones() {
    for name in ["cobol", "", "Python", "../python", "python\0"] {
        let error = sandbox(name).build().unwrap_err();
        check(&error, "unknown_runtime", Fault::Host, false);
        assert!(error.to_string().contains("python, node, bash"), "{error}");
    }
}

async fn a_missing_worker_is_said_to_be_missing() {
    let sandbox = Sandbox::builder("native").worker("/nowhere/belljar-worker").build();
    let error = match sandbox {
        Err(error) => error,
        Ok(sandbox) => sandbox.run(Source::program("/bin/true")).await.unwrap_err(),
    };
    check(&error, "internal", Fault::Host, false);
}

async fn a_worker_that_is_no_program_is_the_hosts_fault() {
    let scratch = scratch();
    let text = scratch.path().join("worker");
    fs::write(&text, "not a program").unwrap();
    let before = Before::look();
    for worker in [text.as_path(), scratch.path()] {
        let sandbox = Sandbox::builder("native").worker(worker).build().unwrap();
        let error = sandbox.run(Source::program("/bin/true")).await.unwrap_err();
        assert_eq!((error.code(), error.fault()), ("internal", Fault::Host), "{error}");
    }
    // One that starts and is no worker: it reads no job and leaves.
    let sandbox = Sandbox::builder("native").worker("/bin/true").build().unwrap();
    let error = sandbox.run(Source::program("/bin/true")).await.unwrap_err();
    assert_eq!((error.code(), error.fault()), ("internal", Fault::Host), "{error}");
    before.unchanged().await;
}

async fn an_interpreter_that_is_none_is_refused() {
    let scratch = scratch();
    let script = scratch.path().join("python3");
    fs::write(&script, "#!/bin/sh\necho hello\n").unwrap();
    for program in [
        "/nowhere/python3",
        "/etc/passwd",
        "/bin/true",
        "/bin/cat",
        "/tmp",
        script.to_str().unwrap(),
    ] {
        let error = sandbox("python").program(program).build().unwrap_err();
        check(&error, "invalid_request", Fault::Caller, false);
        assert!(error.to_string().contains(program), "{error}");
    }
    belljar_tests::read_by_all(&script);
    let error = sandbox("python").program(&script).build().unwrap_err();
    check(&error, "invalid_request", Fault::Caller, false);
}

async fn a_program_that_is_none_is_refused() {
    let scratch = scratch();
    let script = scratch.path().join("script");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    let cut = scratch.path().join("cut");
    fs::write(&cut, b"\x7fELF\x02\x01\x01").unwrap();
    let sandbox = sandbox("native").build().unwrap();
    for program in [
        "/nowhere",
        "/etc/passwd",
        "/tmp",
        "relative",
        script.to_str().unwrap(),
        cut.to_str().unwrap(),
    ] {
        let error = sandbox.run(Source::program(program)).await.unwrap_err();
        check(&error, "invalid_request", Fault::Caller, false);
    }
}

async fn code_and_programs_are_not_mixed_up() {
    let native = sandbox("native").build().unwrap();
    check(&native.run("echo hello").await.unwrap_err(), "invalid_request", Fault::Caller, false);
    let bash = sandbox("bash").build().unwrap();
    let error = bash.run(Source::program("/bin/true")).await.unwrap_err();
    check(&error, "invalid_request", Fault::Caller, false);
}

fn impossible() -> Vec<Source> {
    let code = || Source::code("true");
    vec![
        Source::code("echo \0"),
        Source::code("x".repeat((1 << 20) + 1)),
        code().arg("a\0b"),
        code().arg("x".repeat((64 << 10) + 1)),
        code().stdin(vec![0; (16 << 20) + 1]),
        code().env("A", "x".repeat(64 << 10)),
        code().file("../up", ""),
        code().file("main.sh", ""),
        code().collect("[a"),
        code().secret("A", vec![0; (64 << 10) + 1]).unwrap(),
        Source::files(Vec::new(), "main.sh"),
        Source::files(
            vec![belljar::SourceFile { path: "a.sh".to_owned(), bytes: vec![0xff, 0xfe] }],
            "a.sh",
        ),
    ]
}

async fn sources_that_cannot_be_run_are_refused() {
    let sandbox = sandbox("bash").build().unwrap();
    let before = Before::look();
    for source in impossible() {
        let error = sandbox.run(source).await.unwrap_err();
        check(&error, "invalid_request", Fault::Caller, false);
    }
    before.unchanged().await;
}

async fn bounds_are_what_is_documented() {
    let comment = |bytes: usize| format!("echo fits #{}", "x".repeat(bytes - "echo fits #".len()));
    assert_eq!(stdout(&run("bash", comment(1 << 20)).await), "fits\n");
    let argument = Source::code("echo ${#1}").arg("x".repeat(64 << 10));
    assert_eq!(stdout(&run("bash", argument).await), "65536\n");
    let many = (0..1000).fold(Source::code("echo $#"), |source, n| source.arg(n.to_string()));
    assert_eq!(stdout(&run("bash", many).await), "1000\n");
    let input = Source::code("wc -c").stdin(vec![b'x'; 16 << 20]);
    let roomy = Limits { memory_bytes: 512 << 20, ..belljar_tests::limits() };
    assert_eq!(stdout(&belljar_tests::run_with("bash", roomy, input).await), "16777216\n");
}

async fn variables_that_cannot_exist_are_refused() {
    let sandbox = sandbox("bash").build().unwrap();
    for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0"), ("BELLJAR_X", "x")] {
        let error = sandbox.run(Source::code("true").env(name, value)).await.unwrap_err();
        check(&error, "invalid_request", Fault::Caller, false);
    }
}

async fn every_message_is_one_line() {
    let sandbox = sandbox("bash").build().unwrap();
    for name in ["a\nb", "a\u{1b}[31mb", "a\0b"] {
        for source in [
            Source::code("true").env(name, "x\0"),
            Source::code("true").file(format!("../{name}"), ""),
            Source::code("true").collect(format!("../{name}")),
            Source::files(Vec::new(), name),
            Source::program(name),
        ] {
            let message = sandbox.run(source).await.unwrap_err().to_string();
            assert!(!message.chars().any(char::is_control), "{message:?}");
        }
    }
}

async fn a_refused_request_does_not_spoil_the_sandbox() {
    let sandbox = sandbox("bash").build().unwrap();
    for source in impossible() {
        assert!(sandbox.run(source).await.is_err());
    }
    assert_eq!(stdout(&sandbox.run("echo fine").await.unwrap()), "fine\n");
}
