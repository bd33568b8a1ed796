//! Attacks: the rules refuse them before they run or while they do, and where there are no rules,
//! they reach what they were after, and nothing of the host.

use belljar::{Error, Language, Mode, Source, check};
use belljar_tests::{Test, stderr, stdout, tests};

use crate::corpus::{self, Program, STRICT};

/// What an attack goes on to do with what it reached.
const EFFECTS: &str = include_str!("effects.py");
const TELL: &str = "\nprint('REACHED' if reached else 'nothing')\n";

pub(crate) fn tests() -> Vec<Test> {
    tests![
        there_are_many_escapes(),
        escapes_that_can_be_seen_are_refused(),
        escapes_that_cannot_be_seen_reach_nothing(Python),
        escapes_reach_nothing_of_the_host_without_rules(Python),
    ]
}

async fn there_are_many_escapes() {
    let number = corpus::programs("escapes").len();
    assert!(number >= 80, "{number}");
}

async fn escapes_that_can_be_seen_are_refused() {
    for program in corpus::programs("escapes") {
        for mode in STRICT {
            let found = check(Language::Python, &program.text, &corpus::rules(mode));
            assert_eq!(!found.is_empty(), is_seen(&program, mode), "{}: {found:?}", program.name);
            let what = if found.is_empty() { "left to the guard" } else { "refused by the check" };
            corpus::count("escapes", mode, what);
        }
    }
}

async fn escapes_that_cannot_be_seen_reach_nothing() {
    let sandbox = corpus::warm().await;
    let work = corpus::programs("escapes").into_iter().map(|program| {
        let sandbox = sandbox.clone();
        async move {
            for mode in STRICT {
                let source = Source::code(format!("{}{TELL}", program.text)).mode(mode);
                match sandbox.run(source).await {
                    Err(Error::Refused { .. }) => {
                        assert!(is_seen(&program, mode), "{}: {mode}", program.name);
                    }
                    Ok(outcome) => {
                        let said = stdout(&outcome);
                        let errors = stderr(&outcome);
                        assert!(!is_seen(&program, mode), "{}: {mode}", program.name);
                        assert!(!said.contains("REACHED"), "{}: {mode}: {errors}", program.name);
                        corpus::count("escapes", mode, "stopped by the guard");
                    }
                    Err(error) => panic!("{}: {error}", program.name),
                }
            }
        }
    });
    corpus::run_all(work.collect::<Vec<_>>()).await;
    sandbox.close().await;
}

async fn escapes_reach_nothing_of_the_host_without_rules() {
    let scratch = belljar_tests::scratch();
    let bait = scratch.path().join("bait");
    std::fs::write(&bait, "the host's own words").expect("a bait");
    belljar_tests::read_by_all(&bait);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    let bait = bait.to_str().expect("a path").to_owned();
    let sandbox = corpus::warm().await;
    let work = corpus::programs("escapes").into_iter().map(|program| {
        let (sandbox, bait) = (sandbox.clone(), bait.clone());
        async move {
            let source = Source::code(format!("{}{TELL}{EFFECTS}", program.text));
            let source = source.arg(bait).arg(port.to_string());
            let outcome = corpus::run(sandbox, source).await;
            let (said, errors) = (stdout(&outcome), stderr(&outcome));
            assert!(said.contains("REACHED"), "{}: {said} {errors}", program.name);
            assert!(said.contains("TRIED"), "{}: {said} {errors}", program.name);
            assert!(!said.contains("HOST"), "{}: {said} {errors}", program.name);
            corpus::count("escapes", Mode::Full, "held by the jar");
        }
    });
    corpus::run_all(work.collect::<Vec<_>>()).await;
    listener.set_nonblocking(true).expect("a listener");
    assert!(listener.accept().is_err(), "something connected to the host");
    sandbox.close().await;
}

/// The first line says who refuses it: `# caught: static`, `# caught: running`, or, where it is one
/// in mode restricted and the other in mode standard, `# caught: static running`.
fn is_seen(program: &Program, mode: Mode) -> bool {
    let words = program.first.split_once("caught:").unwrap_or_default().1;
    let words: Vec<_> = words.split_whitespace().collect();
    let word = if mode == Mode::Standard { words.last() } else { words.first() };
    word == Some(&"static")
}
