//! The guard stands before every way in which Python starts, and before nothing in mode full.

use belljar::{
    AnswerStatus, Error, Mode, Rules, SessionOptions, Source, SourceFile, Start, StartChoice,
};
use belljar_tests::{Test, expect, sandbox, stderr, stdout, tests};

use crate::corpus;

/// What no check can tell: the name is made while the program runs.
const UNSEEN: &str = "f = getattr\ntry:\n  f(lambda: 0, '__glo' + 'bals__')\n  print('REACHED')\nexcept AttributeError as error:\n  print('guarded')\n";

pub(crate) fn tests() -> Vec<Test> {
    tests![
        every_start_is_guarded(Python),
        rich_runs_and_sessions_are_guarded(Python),
        files_import_each_other_and_nothing_that_came_later(Python),
        an_operator_adds_modules(Python),
        a_request_only_lowers(Python),
    ]
}

async fn every_start_is_guarded() {
    let warm = corpus::warm().await;
    for (choice, start) in [
        (StartChoice::Any, Start::Forked),
        (StartChoice::Fresh, Start::Jar),
        (StartChoice::Cold, Start::Cold),
    ] {
        let source = Source::code(UNSEEN).start(choice);
        let outcome = corpus::run(warm.clone(), source.clone().mode(Mode::Standard)).await;
        expect(&outcome, "ok");
        assert_eq!((stdout(&outcome).as_str(), outcome.start), ("guarded\n", start));
        let outcome = corpus::run(warm.clone(), source).await;
        assert_eq!(stdout(&outcome), "REACHED\n");
    }
    warm.close().await;
}

async fn rich_runs_and_sessions_are_guarded() {
    let sandbox = sandbox("python").rules(corpus::rules(Mode::Standard)).build().expect("one");
    let source = Source::code(format!("{UNSEEN}import json\njson.dumps([1])")).rich();
    let outcome = corpus::run(sandbox.clone(), source).await;
    assert_eq!(stdout(&outcome), "guarded\n", "{}", stderr(&outcome));
    assert_eq!(outcome.value.expect("a value").text, "'[1]'");

    let session = sandbox.open(SessionOptions::new()).await.expect("a session");
    let answer = session.call(UNSEEN).await.expect("an answer");
    assert!(matches!(answer.status, AnswerStatus::Ok), "{answer:?}");
    assert_eq!(answer.stdout.bytes, b"guarded\n");
    let refused = session.call("import os").await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    let answer = session.call("import math\nmath.sqrt(f(4, 'real'))").await.expect("an answer");
    assert_eq!(answer.value.expect("a value").text, "2.0");
    session.close().await.expect("an outcome");
}

async fn files_import_each_other_and_nothing_that_came_later() {
    let file = |path: &str, text: &str| SourceFile { path: path.into(), bytes: text.into() };
    let main = "import helper, pkg.part\nfrom pkg import answer\n\
                open('/work/late.py', 'w').write('import os')\n\
                print(helper.twice(4), pkg.part.NAME, answer)\n";
    let late = "try:\n  import late\nexcept ImportError:\n  print('guarded')\n";
    let files = vec![
        file("main.py", main),
        file("helper.py", "def twice(x):\n  return 2 * x\n"),
        file("pkg/__init__.py", "from .part import NAME\nanswer = 42\n"),
        file("pkg/part.py", "NAME = 'part'\n"),
    ];
    let sandbox = sandbox("python").rules(corpus::rules(Mode::Standard)).build().expect("one");
    let outcome = corpus::run(sandbox.clone(), Source::files(files, "main.py")).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "8 part 42\n");
    let refused = sandbox.run(Source::code(late).file("late.py", "import os")).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
}

async fn an_operator_adds_modules() {
    let code = "import textwrap, sqlite3\nprint(sqlite3.connect(':memory:').execute('select 1').fetchone())";
    let refused = sandbox("python").rules(corpus::rules(Mode::Standard)).build().expect("one");
    let refused = refused.run(Source::code(code)).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    let modules = ["sqlite3".to_owned()].into();
    let rules = Rules { mode: Mode::Standard, modules };
    let sandbox = sandbox("python").rules(rules).build().expect("one");
    let outcome = corpus::run(sandbox, Source::code(code)).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "(1,)\n");
}

async fn a_request_only_lowers() {
    let sandbox = sandbox("python").rules(corpus::rules(Mode::Restricted)).build().expect("one");
    for mode in [Mode::Full, Mode::Standard, Mode::Restricted] {
        let refused = sandbox.run(Source::code("import math").mode(mode)).await;
        assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    }
    let off = sandbox.run(Source::code("1").mode(Mode::Off)).await;
    assert!(matches!(off, Err(Error::Refused { .. })), "{off:?}");
}
