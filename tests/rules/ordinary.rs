//! Ordinary programs, as people and models write them, do under rules what they do without.

use belljar::{Language, Mode, Source, check};
use belljar_tests::{Test, stderr, stdout, tests};

use crate::corpus::{self, Program, STRICT};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        there_are_many_ordinary_programs(),
        ordinary_programs_break_no_rule(),
        ordinary_programs_do_the_same_under_rules(Python),
    ]
}

async fn there_are_many_ordinary_programs() {
    let programs = corpus::programs("ordinary");
    assert!(programs.len() >= 200, "{}", programs.len());
    for program in programs {
        assert!(STRICT.iter().any(|mode| admits(&program, *mode)), "{}", program.name);
    }
}

async fn ordinary_programs_break_no_rule() {
    for program in corpus::programs("ordinary") {
        for mode in STRICT.into_iter().filter(|mode| admits(&program, *mode)) {
            let found = check(Language::Python, &program.text, &corpus::rules(mode));
            assert!(found.is_empty(), "{}: {mode}: {found:?}", program.name);
            corpus::count("ordinary", mode, "admitted");
        }
    }
}

async fn ordinary_programs_do_the_same_under_rules() {
    let sandbox = corpus::warm().await;
    let work = corpus::programs("ordinary").into_iter().map(|program| {
        let sandbox = sandbox.clone();
        async move {
            let source = Source::code(program.text.as_str());
            let without = corpus::run(sandbox.clone(), source.clone()).await;
            let said = stdout(&without);
            assert_eq!(without.verdict.status(), "ok", "{}: {}", program.name, stderr(&without));
            for mode in STRICT.into_iter().filter(|mode| admits(&program, *mode)) {
                let outcome = corpus::run(sandbox.clone(), source.clone().mode(mode)).await;
                let errors = stderr(&outcome);
                assert_eq!(outcome.verdict.status(), "ok", "{}: {mode}: {errors}", program.name);
                assert_eq!(stdout(&outcome), said, "{}: {mode}: {errors}", program.name);
                assert_eq!(outcome.mode, mode);
                corpus::count("ordinary", mode, "ran as in full");
            }
        }
    });
    corpus::run_all(work.collect::<Vec<_>>()).await;
    sandbox.close().await;
}

fn admits(program: &Program, mode: Mode) -> bool {
    let modes = program.first.strip_prefix("# modes:").unwrap_or_default();
    modes.split_whitespace().any(|word| word == mode.name())
}
