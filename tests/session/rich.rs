//! What is told beyond output: values, exceptions and figures, of runs and of calls.

use belljar::{Error, Outcome, Sandbox, Source, Start, Value, Warm};
use belljar_tests::{Test, expect, run, sandbox, stderr, stdout, tests};

use crate::calls::{call, expect_answer, open};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        the_last_expression_has_a_value(Python),
        a_value_is_bounded(Python),
        a_value_draws_itself(Python),
        text_that_is_no_text_elsewhere_is_told(Python, Node),
        an_exception_is_told_with_the_users_lines(Python),
        an_exception_of_a_call_is_told(Python),
        a_rich_run_ends_like_a_plain_one(Python),
        a_rich_run_is_told_however_it_starts(Python),
        a_runtime_that_cannot_tell_says_so(Bash),
        what_a_payload_leaves_in_its_place_is_bounded(Python),
        nothing_of_it_is_collected(Python),
        figures_are_artifacts(Venv),
        nobody_imports_what_user_code_does_not(Python),
    ]
}

async fn rich(runtime: &str, code: &str) -> Outcome {
    run(runtime, Source::code(code).rich()).await
}

async fn value_of(code: &str) -> Option<Value> {
    let outcome = rich("python", code).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "");
    outcome.value
}

async fn the_last_expression_has_a_value() {
    let value = value_of("x = [1, 2.5, 'é', None, {'a': True}]\nx").await.expect("a value");
    assert_eq!(value.text, "[1, 2.5, 'é', None, {'a': True}]");
    let json: serde_json::Value = serde_json::from_str(&value.json.expect("JSON")).expect("JSON");
    assert_eq!(json, serde_json::json!([1, 2.5, "é", null, {"a": true}]));
    assert_eq!(value_of("x = 1").await, None);
    assert_eq!(value_of("None").await, None);
    assert_eq!(value_of("").await, None);
    for (code, text) in
        [("{1}", "{1}"), ("float('nan')", "nan"), ("(1, 2)", "(1, 2)"), ("{1: 2}", "{1: 2}")]
    {
        let value = value_of(code).await.expect("a value");
        assert_eq!((value.text.as_str(), value.json), (text, None));
    }
}

async fn a_value_is_bounded() {
    let value = value_of("'x' * (5 << 20)").await.expect("a value");
    assert_eq!((value.text.len(), value.json), (64 << 10, None));
    let value = value_of("x = []\nx.append(x)\nx").await.expect("a value");
    assert_eq!((value.text.as_str(), value.json), ("[[...]]", None));
    let code =
        "class C:\n  def __repr__(self): raise ValueError\n  def _repr_html_(self): 1/0\nC()";
    assert_eq!(value_of(code).await.expect("a value").text, "<C, whose repr() raised ValueError>");
}

async fn text_that_is_no_text_elsewhere_is_told() {
    let session = open("python").await;
    for code in [
        "class C:\n  def __repr__(self): return '\\ud800' * 9\nC()",
        "raise ValueError('\\udc80')",
        "'\\ud800'",
    ] {
        let answer = call(&session, code).await;
        assert!(["ok", "error"].contains(&answer.status.name()), "{code}: {}", answer.message());
    }
    let session = open("node").await;
    for code in
        ["'\\ud800'", "throw new Error('\\udc80')", "'x' + '🫙'.repeat(40000)", "throw '\\udc80'"]
    {
        let answer = call(&session, code).await;
        assert!(["ok", "error"].contains(&answer.status.name()), "{code}: {}", answer.message());
    }
    let value = run("js", Source::code("'x' + '🫙'.repeat(40000)").rich()).await.value;
    assert!(value.expect("a value").text.ends_with("🫙"));
}

async fn a_value_draws_itself() {
    let code =
        |size: usize| format!("class T:\n  def _repr_html_(self): return '<b>' * {size}\nT()");
    assert_eq!(value_of(&code(1)).await.expect("a value").html.as_deref(), Some("<b>"));
    assert_eq!(value_of(&code(1 << 20)).await.expect("a value").html, None);
}

async fn an_exception_is_told_with_the_users_lines() {
    let code = "def f(n):\n    return 1 / n\n\nprint('before')\nf(0)\n";
    let outcome = rich("python", code).await;
    assert_eq!(outcome.verdict.exit_code(), Some(1));
    assert_eq!(stdout(&outcome), "before\n");
    let error = outcome.error.clone().expect("an exception");
    assert_eq!(
        (error.kind.as_str(), error.message.as_str()),
        ("ZeroDivisionError", "division by zero")
    );
    let lines: Vec<_> =
        error.traceback.iter().map(|it| (&*it.file, it.line, &*it.function, &*it.code)).collect();
    assert_eq!(lines, [("main.py", 5, "<module>", "f(0)"), ("main.py", 2, "f", "return 1 / n")]);
    // What is printed is what a plain run prints.
    assert_eq!(stderr(&outcome), stderr(&run("python", code).await));
    let syntax = rich("python", "x = (\n").await;
    assert_eq!(syntax.verdict.exit_code(), Some(1));
    assert_eq!(stderr(&syntax), stderr(&run("python", "x = (\n").await));
    assert_eq!(syntax.error.expect("an exception").kind, "SyntaxError");
}

async fn an_exception_of_a_call_is_told() {
    let session = open("python").await;
    call(&session, "def f():\n    raise KeyError('k')").await;
    let answer = call(&session, "try: 1/0\nexcept Exception: f()").await;
    expect_answer(&answer, "error");
    let said = String::from_utf8_lossy(&answer.stderr.bytes).into_owned();
    assert!(said.contains("raise KeyError('k')") && said.contains("ZeroDivisionError"), "{said}");
    assert!(!said.contains("guest.py"), "{said}");
    let error = answer.error.expect("an exception");
    let files: Vec<_> = error.traceback.iter().map(|it| (&*it.file, it.line)).collect();
    assert_eq!(files, [("<call 2>", 2), ("<call 1>", 2)]);
}

async fn a_rich_run_ends_like_a_plain_one() {
    let code = "import sys, os\nprint(__name__, __file__, sys.argv, input(), sys.path[0], os.getcwd())\n\
        print(sorted(n for n in globals() if n[0] != '_'), open('data').read())\nsys.exit(3)";
    let source = Source::code(code).arg("one").arg("two").stdin("typed\n").file("data", "in");
    let plain = run("python", source.clone()).await;
    let outcome = run("python", source.rich()).await;
    assert_eq!(outcome.verdict.exit_code(), Some(3));
    assert_eq!(stdout(&outcome), stdout(&plain));
    assert_eq!((outcome.value, outcome.error), (None, None));
    for (code, status) in [
        ("import os; os._exit(4)", "nonzero_exit"),
        ("while True: x = [0] * (1 << 28); y = bytearray(1 << 30)", ""),
    ] {
        let outcome = rich("python", code).await;
        assert!(status.is_empty() || outcome.verdict.status() == status, "{:?}", outcome.verdict);
    }
    let outcome = rich("python", "import sys; sys.exit('why')").await;
    assert_eq!((outcome.verdict.exit_code(), stderr(&outcome)), (Some(1), "why\n".to_owned()));
}

async fn a_rich_run_is_told_however_it_starts() {
    let warm = sandbox("python").warm(Warm::default().min(1)).build().expect("a sandbox");
    let warmth = warm.warm_up().await.expect("a warm sandbox");
    let outcome = told(&warm, "x = 6 * 7\nx").await;
    assert!(outcome.start == Start::Forked || warmth.ready == 0, "{:?}", outcome.start);
    let outcome = warm.run(Source::code("def f(): 1/0\nf()").rich()).await.expect("an outcome");
    assert_eq!(outcome.error.expect("an exception").traceback.len(), 2);
    warm.close().await;
}

async fn told(sandbox: &Sandbox, code: &str) -> Outcome {
    let outcome = sandbox.run(Source::code(code).rich()).await.expect("an outcome");
    expect(&outcome, "ok");
    assert_eq!(outcome.value.clone().expect("a value").text, "42");
    outcome
}

async fn a_runtime_that_cannot_tell_says_so() {
    let sandbox = sandbox("bash").build().expect("a sandbox");
    let refused = sandbox.run(Source::code("true").rich()).await;
    assert!(matches!(refused, Err(Error::Invalid(why)) if why.contains("no rich results")));
}

async fn what_a_payload_leaves_in_its_place_is_bounded() {
    for leave in
        ["b'x' * (20 << 20)", "b'[' * (1 << 20)", "b'{\"value\":{\"text\":1}}'", "b'\\xff'"]
    {
        let code = format!(
            "import os\nopen('/work/.belljar-result.json', 'wb').write({leave})\nos._exit(0)"
        );
        let outcome = rich("python", &code).await;
        expect(&outcome, "ok");
        assert_eq!((outcome.value, outcome.error), (None, None));
    }
    let code = "import os\nos.symlink('/etc/passwd', '/work/.belljar-result.json')\nos._exit(0)";
    assert_eq!(rich("python", code).await.value, None);
}

async fn nothing_of_it_is_collected() {
    let source = Source::code("open('x', 'w').close()\n1").rich().collect("**");
    let outcome = run("python", source).await;
    let names: Vec<_> = outcome.artifacts.iter().map(|it| it.path.display().to_string()).collect();
    assert_eq!(names, ["x"]);
    assert_eq!(outcome.artifact_errors, Vec::<String>::new());
}

async fn figures_are_artifacts() {
    let venv = std::env::var_os("BELLJAR_TEST_VENV").expect("a virtual environment");
    let limits = belljar::Limits { memory_bytes: 1 << 30, ..belljar_tests::limits() };
    let sandbox = sandbox("python").program(venv).limits(limits).build().expect("a sandbox");
    let code = "import matplotlib.pyplot as plt, pandas\nplt.plot([1, 2])\nplt.figure()\nplt.plot([2, 1])\n\
        pandas.DataFrame({'a': [1, 2]})";
    let outcome = sandbox.run(Source::code(code).rich()).await.expect("an outcome");
    expect(&outcome, "ok");
    let names: Vec<_> = outcome.artifacts.iter().map(|it| it.path.display().to_string()).collect();
    assert_eq!(names, ["figures/1.png", "figures/2.png"]);
    assert!(outcome.artifacts.iter().all(|it| it.bytes.starts_with(b"\x89PNG")));
    assert!(outcome.value.expect("a value").html.expect("a table").contains("<table"));
    let session = sandbox.open(belljar::SessionOptions::new()).await.expect("a session");
    for number in 1..3 {
        let answer = call(&session, "import matplotlib.pyplot as plt\nplt.plot([1, 2])").await;
        expect_answer(&answer, "ok");
        assert_eq!(answer.artifacts.len(), 1);
        assert_eq!(answer.artifacts[0].path.display().to_string(), format!("figures/{number}.png"));
    }
    let answer = call(&session, "from PIL import Image\nImage.new('RGB', (2, 2))").await;
    assert_eq!(answer.artifacts[0].path.display().to_string(), "figures/3.png");
}

async fn nobody_imports_what_user_code_does_not() {
    let code = "import sys\nsorted(n for n in sys.modules if n.startswith(('matplotlib', 'PIL', 'pandas', 'numpy')))";
    assert_eq!(value_of(code).await.expect("a value").text, "[]");
}
