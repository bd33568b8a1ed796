//! Programs of the host, run by their path.

use belljar::Source;
use belljar_tests::{Test, built, expect, run, stdout, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_program_runs_with_its_arguments(),
        its_exit_code_is_its_own(),
        standard_input_arrives(),
        every_byte_comes_out(),
        input_files_are_beside_it(),
        its_secrets_are_files(),
        a_program_that_was_built_here_runs(),
    ]
}

async fn a_program_runs_with_its_arguments() {
    let source = Source::program("/bin/echo").arg("a b").arg("ü");
    let outcome = run("native", source).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "a b ü\n");
}

async fn its_exit_code_is_its_own() {
    expect(&run("native", Source::program("/bin/true")).await, "ok");
    expect(&run("native", Source::program("/bin/false")).await, "nonzero_exit");
}

async fn standard_input_arrives() {
    let outcome = run("native", Source::program("/bin/cat").stdin("one\ntwo")).await;
    assert_eq!(stdout(&outcome), "one\ntwo");
}

async fn every_byte_comes_out() {
    let every: Vec<u8> = (0..=255).collect();
    let outcome = run("native", Source::program("/bin/cat").stdin(every.clone())).await;
    assert_eq!(outcome.stdout.bytes, every);
}

async fn input_files_are_beside_it() {
    let source = Source::program("/bin/cat").arg("d/a").file("d/a", "text");
    assert_eq!(stdout(&run("native", source).await), "text");
}

async fn its_secrets_are_files() {
    let source = Source::program("/usr/bin/rev").arg("/run/secrets/API_KEY");
    let source = source.secret("API_KEY", "hunter2-secret\n").unwrap();
    assert_eq!(stdout(&run("native", source).await), "terces-2retnuh\n");
}

/// It lies in a directory that no jar shows; the program itself is all that is needed.
async fn a_program_that_was_built_here_runs() {
    let outcome = run("native", Source::program(built("belljar-attacker")).arg("list")).await;
    expect(&outcome, "ok");
    assert!(stdout(&outcome).lines().count() > 80);
}
