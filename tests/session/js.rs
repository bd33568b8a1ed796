//! Rich runs of the runtime that is part of belljar.

use belljar::{Source, Start, Warm};
use belljar_tests::{Test, expect, run, sandbox, stdout, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![a_rich_run_has_a_value(), a_rich_run_ends_like_a_plain_one(), what_waits_is_used()]
}

async fn a_rich_run_has_a_value() {
    for (code, text, json) in [
        ("const a = [1, 'x'];\na", "[1, \"x\"]", Some(r#"[1,"x"]"#)),
        ("await 6 * 7", "42", Some("42")),
        ("1n", "1n", None),
    ] {
        let outcome = run("js", Source::code(code).rich()).await;
        expect(&outcome, "ok");
        let value = outcome.value.expect("a value");
        assert_eq!(value.json.as_deref(), json, "{code}");
        let plain = |text: &str| text.replace([' ', '\'', '"'], "");
        assert_eq!(plain(&value.text), plain(text), "{code}");
    }
    let files = Source::code("import { x } from './m.js';\nconsole.log(x);")
        .file("m.js", "export const x = 1");
    for source in [Source::code("let x = 1"), Source::code("undefined"), files] {
        let outcome = run("js", source.rich()).await;
        expect(&outcome, "ok");
        assert_eq!(outcome.value, None);
    }
}

async fn a_rich_run_ends_like_a_plain_one() {
    for (code, exit) in [
        ("console.log(belljar.args, belljar.stdin.text()); belljar.exit(3)", 3),
        ("setTimeout(() => console.log('late'), 10)", 0),
        ("console.log('a'); throw new Error('no')", 1),
        ("let x = ;", 1),
        ("await new Promise(() => {})", 1),
    ] {
        let source = Source::code(code).arg("one").stdin("typed");
        let plain = run("js", source.clone()).await;
        let outcome = run("js", source.rich()).await;
        assert_eq!(outcome.verdict.exit_code(), Some(exit), "{code}");
        assert_eq!(plain.verdict.exit_code(), Some(exit), "{code}");
        assert_eq!(stdout(&outcome), stdout(&plain), "{code}");
    }
}

async fn what_waits_is_used() {
    let warm = sandbox("js").warm(Warm::default().min(1)).build().expect("a sandbox");
    let warmth = warm.warm_up().await.expect("a warm sandbox");
    let outcome = warm.run(Source::code("6 * 7").rich()).await.expect("an outcome");
    assert_eq!(outcome.value.expect("a value").text, "42");
    assert!(warmth.ready == 0 || outcome.start == Start::Primed, "{:?}", outcome.start);
    warm.close().await;
}
