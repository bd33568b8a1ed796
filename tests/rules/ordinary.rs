//! Ordinary programs, as people and models write them, do under rules what they do without.

use belljar::{Language, Mode, Sandbox, check};
use belljar_tests::{Test, sandbox, stderr, stdout, tests};

use crate::corpus::{self, Program};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        there_are_many_programs_of_python(),
        there_are_many_programs_of_javascript_and_typescript(),
        there_are_many_scripts_of_bash(),
        programs_of_python_break_no_rule(),
        programs_of_javascript_and_typescript_break_no_rule(),
        scripts_of_bash_break_no_rule(),
        programs_do_the_same_under_rules_on_python(Python),
        programs_do_the_same_under_rules_on_node(Node),
        programs_do_the_same_under_rules_on_quickjs(),
        scripts_do_the_same_under_rules_on_bash(Bash),
    ]
}

async fn there_are_many_programs_of_python() {
    are_many(python(), 200);
}

async fn there_are_many_programs_of_javascript_and_typescript() {
    are_many(javascript(), 60);
}

async fn there_are_many_scripts_of_bash() {
    are_many(bash(), 40);
}

async fn programs_of_python_break_no_rule() {
    break_no_rule(python());
}

async fn programs_of_javascript_and_typescript_break_no_rule() {
    break_no_rule(javascript());
}

async fn scripts_of_bash_break_no_rule() {
    break_no_rule(bash());
}

async fn programs_do_the_same_under_rules_on_python() {
    do_the_same("python", corpus::warm().await, python()).await;
}

async fn programs_do_the_same_under_rules_on_node() {
    do_the_same("node", sandbox("node").build().expect("a sandbox"), javascript()).await;
}

async fn programs_do_the_same_under_rules_on_quickjs() {
    do_the_same("js", sandbox("js").build().expect("a sandbox"), javascript()).await;
}

async fn scripts_do_the_same_under_rules_on_bash() {
    do_the_same("bash", sandbox("bash").build().expect("a sandbox"), bash()).await;
}

fn python() -> Vec<Program> {
    corpus::programs("ordinary", Language::Python)
}

fn javascript() -> Vec<Program> {
    let mut programs = corpus::programs("ordinary", Language::JavaScript);
    programs.extend(corpus::programs("ordinary", Language::TypeScript));
    programs
}

fn bash() -> Vec<Program> {
    corpus::programs("ordinary", Language::Bash)
}

fn are_many(programs: Vec<Program>, least: usize) {
    assert!(programs.len() >= least, "{}", programs.len());
    for program in programs {
        assert!(!program.modes.is_empty() && !program.runtimes.is_empty(), "{}", program.name);
    }
}

fn break_no_rule(programs: Vec<Program>) {
    let mut wrong = Vec::new();
    for program in programs {
        for mode in &program.modes {
            match check(program.language, &program.text, &corpus::rules(*mode)).first() {
                Some(first) => wrong.push(format!("{}: {mode}: {first:?}", program.name)),
                None => corpus::count("ordinary", &program, *mode, "admitted"),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn do_the_same(runtime: &'static str, sandbox: Sandbox, programs: Vec<Program>) {
    let programs = programs.into_iter().filter(|program| program.runtimes.contains(&runtime));
    let work = programs.map(|program| differences(sandbox.clone(), program)).collect();
    let wrong = corpus::run_all(work).await.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    sandbox.close().await;
}

async fn differences(sandbox: Sandbox, program: Program) -> Vec<String> {
    let (status, said, errors) = run(&sandbox, &program, Mode::Full).await;
    if status != "ok" {
        return vec![format!("{}: full: {status}: {errors}", program.name)];
    }
    let mut wrong = Vec::new();
    for mode in &program.modes {
        let (status, now, errors) = run(&sandbox, &program, *mode).await;
        if status == "ok" && now == said {
            corpus::count("ordinary", &program, *mode, "ran as in full");
        } else {
            let name = &program.name;
            wrong.push(format!("{name}: {mode}: {status}: {now:?}, {said:?}: {errors}"));
        }
    }
    wrong
}

async fn run(sandbox: &Sandbox, program: &Program, mode: Mode) -> (&'static str, String, String) {
    match sandbox.run(program.source().mode(mode)).await {
        Ok(outcome) => {
            assert_eq!(outcome.mode, mode, "{}", program.name);
            (outcome.verdict.status(), stdout(&outcome), stderr(&outcome))
        }
        Err(error) => ("refused", String::new(), error.to_string()),
    }
}
