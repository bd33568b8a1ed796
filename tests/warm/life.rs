//! How much is kept ready, for how long, and what a caller may ask for.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use belljar::{Limits, Network, Sandbox, Source, SourceFile, Start, StartChoice, Warm};
use belljar_tests::{Suite, Test, expect, limits, sandbox, stdout, tests};

use crate::kinds::{FORKED, JAR, Kind, PRIMED, PRIMED_JS, Pools, warm};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        what_waits_is_given_no_network(Bash),
        a_burst_deeper_than_the_pool_falls_back(Python, Node, Bash),
        what_waits_too_long_is_let_go(Bash),
        a_burst_is_remembered_for_a_while(Bash),
        nothing_waits_beyond_the_memory_there_is_for_it(Bash),
        a_fresh_interpreter_shares_no_hash_seed(Python),
        standard_input_and_arguments_arrive(Python, Node, Bash),
        files_beyond_their_limit_are_given_all_the_same(Python),
        large_files_arrive(Python, Node, Bash),
        secrets_arrive(Python, Node, Bash),
    ]
}

const PATIENCE: Duration = Duration::from_secs(30);

/// What prints a number in each runtime that something is kept ready for.
const NUMBERS: [(Kind, &str); 4] = [
    (FORKED, "print(42)"),
    (PRIMED, "console.log(42)"),
    (JAR, "echo 42"),
    (PRIMED_JS, "console.log(42)"),
];

async fn what_waits_is_given_no_network() {
    let sandbox = warm("bash");
    sandbox.warm_up().await.unwrap();
    let source = Source::code("true").network(Network::Loopback);
    let connected = sandbox.run(source).await.unwrap();
    assert_eq!((connected.start, connected.network.unwrap().kind), (Start::Cold, "loopback"));
    let without = sandbox.run(Source::code("true")).await.unwrap();
    assert_eq!((without.start, without.network), (Start::Jar, None));
    sandbox.close().await;
}

async fn a_burst_deeper_than_the_pool_falls_back() {
    for (kind, code) in NUMBERS {
        let sandbox = sandbox(kind.runtime).warm(Warm::default().min(1).max(2)).build().unwrap();
        sandbox.warm_up().await.unwrap();
        let runs = (0..12).map(|_| {
            let sandbox = sandbox.clone();
            tokio::spawn(async move { sandbox.run(code).await })
        });
        let mut starts = BTreeSet::new();
        for run in runs.collect::<Vec<_>>() {
            let outcome = run.await.unwrap().unwrap();
            expect(&outcome, "ok");
            assert_eq!(stdout(&outcome), "42\n");
            starts.insert(outcome.start.name());
        }
        assert!(starts.contains(kind.start.name()), "{starts:?}");
        sandbox.close().await;
    }
}

async fn burst(sandbox: &Sandbox, runs: usize) {
    let runs = (0..runs).map(|_| {
        let sandbox = sandbox.clone();
        tokio::spawn(async move { sandbox.run("echo 42").await })
    });
    for run in runs.collect::<Vec<_>>() {
        expect(&run.await.unwrap().unwrap(), "ok");
    }
}

/// Waits until as much waits as the test says.
async fn wait_for(sandbox: &Sandbox, is_so: impl Fn(usize) -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so(sandbox.warmth().unwrap().ready) {
        assert!(Instant::now() < until, "{:?}", sandbox.warmth());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn what_waits_too_long_is_let_go() {
    let warm = Warm::default().min(0).max(4).idle(Duration::from_secs(2));
    let sandbox = sandbox("bash").warm(warm).build().unwrap();
    let until = Instant::now() + PATIENCE;
    // On a busy machine it may be forgotten before anything waits; the next one finds a keeper.
    while sandbox.warmth().unwrap().ready == 0 {
        assert!(Instant::now() < until, "{:?}", sandbox.warmth());
        burst(&sandbox, 4).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    wait_for(&sandbox, |ready| ready == 0).await;
    expect(&sandbox.run("echo 1").await.unwrap(), "ok");
    sandbox.close().await;
}

async fn a_burst_is_remembered_for_a_while() {
    let sandbox = sandbox("bash").warm(Warm::default().min(1).max(5)).build().unwrap();
    sandbox.warm_up().await.unwrap();
    burst(&sandbox, 5).await;
    wait_for(&sandbox, |ready| ready >= 3).await;
    sandbox.close().await;
}

async fn nothing_waits_beyond_the_memory_there_is_for_it() {
    let warm = Warm::default().min(4).max(4).memory_bytes(1 << 20);
    let sandbox = sandbox("bash").warm(warm).build().unwrap();
    expect(&sandbox.run("echo 1").await.unwrap(), "ok");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let warmth = sandbox.warmth().unwrap();
    assert!(warmth.ready < 4 && warmth.target < 4, "{warmth:?}");
    sandbox.close().await;
}

async fn a_fresh_interpreter_shares_no_hash_seed() {
    let sandbox = warm("python");
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        sandbox.warm_up().await.unwrap();
        let source = Source::code("print(hash('x'), id(object()))").start(StartChoice::Fresh);
        let outcome = sandbox.run(source).await.unwrap();
        expect(&outcome, "ok");
        assert_eq!(outcome.start, Start::Jar);
        assert!(seen.insert(stdout(&outcome)), "{seen:?}");
    }
    sandbox.close().await;
}

async fn standard_input_and_arguments_arrive() {
    for (runtime, code) in [
        ("python", "import sys; print(sys.argv[1:], sys.stdin.read())"),
        ("node", "console.log(process.argv.slice(2), require('fs').readFileSync(0, 'utf8'))"),
        ("bash", "echo \"$@\" $(cat)"),
    ] {
        let sandbox = warm(runtime);
        sandbox.warm_up().await.unwrap();
        let source = || Source::code(code).arg("one two").arg("ä").stdin("given");
        let warm = sandbox.run(source()).await.unwrap();
        let cold = sandbox.run(source().start(StartChoice::Cold)).await.unwrap();
        assert_eq!((stdout(&warm), cold.start), (stdout(&cold), Start::Cold));
        assert!(stdout(&warm).contains("given") && warm.start != Start::Cold, "{warm:?}");
        sandbox.close().await;
    }
}

async fn large_files_arrive() {
    for (runtime, code) in [
        (
            "python",
            "import os; print(os.stat('a/b/large').st_size, oct(os.stat('a/b/large').st_mode))",
        ),
        ("node", "const s = require('fs').statSync('a/b/large'); console.log(s.size, s.mode)"),
        ("bash", "stat -c '%s %a' a/b/large"),
    ] {
        let sandbox = warm(runtime);
        for bytes in [0, 1, 60_000, 70_000, 3 << 20] {
            sandbox.warm_up().await.unwrap();
            let source = || Source::code(code).file("a/b/large", vec![7; bytes]);
            let warm = sandbox.run(source()).await.unwrap();
            let cold = sandbox.run(source().start(StartChoice::Cold)).await.unwrap();
            assert_eq!(stdout(&warm), stdout(&cold));
            assert!(stdout(&warm).starts_with(&format!("{bytes} ")) && warm.start != Start::Cold);
        }
        sandbox.close().await;
    }
}

async fn files_beyond_their_limit_are_given_all_the_same() {
    let small = Limits { file_bytes: 1000, ..limits() };
    let sandbox = sandbox("python").limits(small).warm(Warm::default()).build().unwrap();
    sandbox.warm_up().await.unwrap();
    let code = "import os; print(os.stat('large').st_size)";
    let file = |path: &str, bytes| SourceFile { path: path.to_owned(), bytes };
    let files = vec![file("main.py", code.into()), file("large", vec![7; 2000])];
    for source in [Source::files(files, "main.py"), Source::code(code).file("large", [7; 2000])] {
        let outcome = sandbox.run(source).await.unwrap();
        expect(&outcome, "ok");
        assert_eq!(stdout(&outcome), "2000\n");
    }
    sandbox.close().await;
}

async fn secrets_arrive() {
    for (runtime, code) in [
        ("python", "import belljar; print(len(belljar.secrets['TOKEN']), list(belljar.secrets))"),
        ("node", "console.log(belljar.secrets.TOKEN.length, Object.keys(belljar.secrets))"),
        ("bash", "wc -c </run/secrets/TOKEN; ls /run/secrets; stat -c %a /run/secrets/TOKEN"),
    ] {
        let sandbox = warm(runtime);
        sandbox.warm_up().await.unwrap();
        let source = || Source::code(code).secret("TOKEN", "hush-hush").unwrap();
        let warm = sandbox.run(source()).await.unwrap();
        let cold = sandbox.run(source().start(StartChoice::Cold)).await.unwrap();
        expect(&warm, "ok");
        assert_eq!(stdout(&warm), stdout(&cold));
        assert_ne!(warm.start, Start::Cold);
        sandbox.close().await;
    }
}

/// A runtime, a variable that its interpreter reads when it starts, and code that shows it.
#[rustfmt::skip]
const READ_AT_START: &[(Kind, &str, &str, &str, &str)] = &[
    (FORKED, "PYTHONPATH", "/work/lib", "import mine; print(mine.x)", "7\n"),
    (FORKED, "PYTHONHASHSEED", "0", "import subprocess; print(hash('x') & 7 == hash('x') & 7, __import__('sys').flags.hash_randomization)", "True 0\n"),
    (FORKED, "PYTHONOPTIMIZE", "1", "assert False\nprint(__debug__)", "False\n"),
    (FORKED, "PYTHONWARNINGS", "error", "import sys; print(sys.warnoptions)", "['error']\n"),
    (FORKED, "PYTHONINTMAXSTRDIGITS", "700", "import sys; print(sys.get_int_max_str_digits())", "700\n"),
    (FORKED, "TZ", "America/New_York", "import time; print(time.tzname[0])", "EST\n"),
    (FORKED, "LC_ALL", "C", "import os; print(os.environ['LC_ALL'])", "C\n"),
    (FORKED, "MINE", "x", "import os; print(os.environ['MINE'], os.getenv('HOME'))", "x /work\n"),
    (PRIMED, "NODE_OPTIONS", "--stack-trace-limit=3", "console.log(Error.stackTraceLimit)", "3\n"),
    (PRIMED, "NODE_PATH", "/work/lib", "console.log(require('mine'))", "7\n"),
    (PRIMED, "NODE_NO_WARNINGS", "1", "process.emitWarning('x'); console.log(process.env.NODE_NO_WARNINGS)", "1\n"),
    (PRIMED, "TZ", "America/New_York", "console.log(new Date(0).getHours())", "19\n"),
    (PRIMED, "UV_THREADPOOL_SIZE", "9", "for (let i = 0; i < 9; i++) require('crypto').pbkdf2('a', 'b', 1, 9, 'sha1', () => {}); setTimeout(() => console.log(require('fs').readdirSync('/proc/self/task').length > 14), 100)", "true\n"),
    (PRIMED, "MINE", "x", "console.log(process.env.MINE)", "x\n"),
    (JAR, "TZ", "America/New_York", "date -d @0 +%H", "19\n"),
    (JAR, "LC_ALL", "C", "x=ä; echo ${#x}", "2\n"),
];

pub(crate) fn add(mut suite: Suite, pools: &Pools) -> Suite {
    for (kind, name, value, code, prints) in READ_AT_START {
        let title = format!("warm::life::{}::the_variable_{name}_is_honoured", kind.name());
        let pools = pools.clone();
        suite = suite.test(&title, kind.needs, move || async move {
            let sandbox = pools.get(kind.runtime);
            for choice in [StartChoice::Any, StartChoice::Fresh, StartChoice::Cold] {
                sandbox.warm_up().await.unwrap();
                let source = Source::code(*code).env(*name, *value).start(choice);
                let source =
                    source.file("lib/mine.py", "x = 7").file("lib/mine.js", "module.exports = 7");
                let outcome = sandbox.run(source).await.unwrap();
                expect(&outcome, "ok");
                assert_eq!(stdout(&outcome), *prints, "{choice:?}: {:?}", outcome.start);
                assert_eq!(outcome.start == Start::Cold, choice == StartChoice::Cold);
            }
        });
    }
    suite
}
