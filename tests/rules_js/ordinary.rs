//! Ordinary programs, as people and models write them, do under rules what they do without.

use belljar::{Language, Mode, Sandbox, Source, SourceFile, check};
use belljar_tests::{Test, sandbox, stderr, stdout, tests};

use crate::corpus::{self, Program};

const FILES: [&str; 3] = ["ordinary.js", "ordinary.ts", "ordinary.sh"];

pub(crate) fn tests() -> Vec<Test> {
    tests![
        there_are_many_ordinary_programs(),
        ordinary_programs_break_no_rule(),
        ordinary_programs_run_on_node_under_rules(Node),
        ordinary_programs_run_on_quickjs_under_rules(),
        ordinary_scripts_run_under_rules(Bash),
    ]
}

async fn there_are_many_ordinary_programs() {
    let [js, ts, sh] = FILES.map(|file| corpus::programs(file).len());
    assert!(js + ts >= 60 && sh >= 40, "{js} {ts} {sh}");
}

async fn ordinary_programs_break_no_rule() {
    let mut wrong = Vec::new();
    for program in FILES.iter().flat_map(|file| corpus::programs(file)) {
        for mode in &program.modes {
            let found = check(program.language, &program.text, &corpus::rules(*mode));
            if let Some(first) = found.first() {
                wrong.push(format!("{}: {mode}: {first:?}", program.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn ordinary_programs_run_on_node_under_rules() {
    run_all("node", &["ordinary.js", "ordinary.ts"]).await;
}

async fn ordinary_programs_run_on_quickjs_under_rules() {
    run_all("js", &["ordinary.js", "ordinary.ts"]).await;
}

async fn ordinary_scripts_run_under_rules() {
    run_all("bash", &["ordinary.sh"]).await;
}

async fn run_all(runtime: &'static str, files: &[&str]) {
    let sandbox = sandbox(runtime).build().expect("a sandbox");
    let mut wrong = Vec::new();
    for program in files.iter().flat_map(|file| corpus::programs(file)) {
        if !program.runtimes.contains(&runtime) {
            continue;
        }
        let (status, said, errors) = run(&sandbox, &program, Mode::Full).await;
        if status != "ok" {
            wrong.push(format!("{}: full: {status}: {errors}", program.name));
            continue;
        }
        for mode in &program.modes {
            let (status, now, errors) = run(&sandbox, &program, *mode).await;
            if status != "ok" || now != said {
                wrong.push(format!(
                    "{}: {mode}: {status}: {now:?}, {said:?}: {errors}",
                    program.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn run(sandbox: &Sandbox, program: &Program, mode: Mode) -> (&'static str, String, String) {
    let source = match program.language {
        Language::TypeScript => {
            let bytes = program.text.clone().into_bytes();
            Source::files(vec![SourceFile { path: "main.ts".into(), bytes }], "main.ts")
        }
        _ => Source::code(program.text.as_str()),
    };
    match sandbox.run(source.mode(mode)).await {
        Ok(outcome) => (outcome.verdict.status(), stdout(&outcome), stderr(&outcome)),
        Err(error) => ("refused", String::new(), error.to_string()),
    }
}
