//! Attacks: the rules refuse them before they run or while they do, and where there are no rules,
//! they reach what they were after, and nothing of the host.

use belljar::{Error, Language, Mode, Source, Start, StartChoice, Warm, check};
use belljar_tests::{Test, sandbox, stderr, stdout, tests};

use crate::corpus::{self, Program, STRICT};

/// What an attack in Python goes on to do with what it reached.
const EFFECTS: &str = include_str!("effects.py");
const TELL: &str = "\nprint('REACHED' if reached else 'nothing')\n";

pub(crate) fn tests() -> Vec<Test> {
    tests![
        there_are_many_escapes_of_python(),
        there_are_many_escapes_of_javascript(),
        there_are_many_escapes_of_bash(),
        escapes_of_python_that_can_be_seen_are_refused(),
        escapes_of_javascript_are_refused(),
        escapes_of_bash_are_refused(),
        escapes_that_cannot_be_seen_reach_nothing_on_python(Python),
        what_no_check_can_see_is_refused_while_it_runs_on_node(Node),
        what_no_check_can_see_is_refused_while_it_runs_on_quickjs(),
        what_node_hands_to_a_program_leads_nowhere(Node),
        an_error_of_a_program_has_no_frame_of_the_guard(Node),
        escapes_without_rules_reach_nothing_of_the_host_from_python(Python),
        escapes_without_rules_reach_nothing_of_the_host_from_node(Node),
        escapes_without_rules_reach_nothing_of_the_host_from_quickjs(),
        escapes_without_rules_reach_nothing_of_the_host_from_bash(Bash),
    ]
}

async fn there_are_many_escapes_of_python() {
    are_many(Language::Python, 80);
}

async fn there_are_many_escapes_of_javascript() {
    are_many(Language::JavaScript, 50);
}

async fn there_are_many_escapes_of_bash() {
    are_many(Language::Bash, 30);
}

fn are_many(language: Language, least: usize) {
    let number = corpus::programs("escapes", language).len();
    assert!(number >= least, "{number}");
}

async fn escapes_of_python_that_can_be_seen_are_refused() {
    are_refused(Language::Python);
}

async fn escapes_of_javascript_are_refused() {
    are_refused(Language::JavaScript);
}

async fn escapes_of_bash_are_refused() {
    are_refused(Language::Bash);
}

fn are_refused(language: Language) {
    let mut wrong = Vec::new();
    for program in corpus::programs("escapes", language) {
        for mode in STRICT {
            let found = check(language, &program.text, &corpus::rules(mode));
            if found.is_empty() == program.modes.contains(&mode) {
                wrong.push(format!("{}: {mode}: {found:?}", program.name));
            }
            if let Some(first) = found.first() {
                // The parser of the rules is no way to pass off what it does not understand.
                let is_shaped = first.line > 0 && first.column > 0 && !first.advice.is_empty();
                assert!(is_shaped, "{}: {first:?}", program.name);
            }
            let what = if found.is_empty() { "left to the guard" } else { "refused by the check" };
            corpus::count("escapes", &program, mode, what);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn escapes_that_cannot_be_seen_reach_nothing_on_python() {
    let sandbox = corpus::warm().await;
    let programs = corpus::programs("escapes", Language::Python);
    let work = programs.into_iter().map(|program| {
        let sandbox = sandbox.clone();
        async move {
            for mode in STRICT {
                let is_seen = program.modes.contains(&mode);
                let source = Source::code(format!("{}{TELL}", program.text)).mode(mode);
                match sandbox.run(source).await {
                    Err(Error::Refused { .. }) => assert!(is_seen, "{}: {mode}", program.name),
                    Ok(outcome) => {
                        let said = stdout(&outcome);
                        let errors = stderr(&outcome);
                        assert!(!is_seen, "{}: {mode}", program.name);
                        assert!(!said.contains("REACHED"), "{}: {mode}: {errors}", program.name);
                        corpus::count("escapes", &program, mode, "stopped by the guard");
                    }
                    Err(error) => panic!("{}: {error}", program.name),
                }
            }
        }
    });
    corpus::run_all(work.collect()).await;
    sandbox.close().await;
}

/// What no check can tell: the names are made while the program runs.
const UNSEEN: &str = "const at = (...parts) => parts.join('');\n\
    const f = () => 1, a = async () => 1, from = (x, key) => x[key];\n\
    for (const x of [f, a, function* () {}]) {\n\
      try { from(x, at('con', 'structor'))('return 1'); console.log('REACHED'); }\n\
      catch (error) { console.log(error.name); }\n}\n";

async fn what_no_check_can_see_is_refused_while_it_runs_on_node() {
    guarded("node").await;
}

async fn what_no_check_can_see_is_refused_while_it_runs_on_quickjs() {
    guarded("js").await;
}

async fn guarded(runtime: &str) {
    let source = Source::code(UNSEEN);
    let sandbox = sandbox(runtime).build().expect("a sandbox");
    for (mode, expected) in [
        (Mode::Full, "REACHED\nREACHED\nREACHED\n"),
        (Mode::Standard, "EvalError\nEvalError\nEvalError\n"),
        (Mode::Restricted, "EvalError\nEvalError\nEvalError\n"),
    ] {
        for rich in [false, true] {
            let source = source.clone().mode(mode);
            let source = if rich { source.rich() } else { source };
            let outcome = sandbox.run(source).await.expect("an outcome");
            assert_eq!(stdout(&outcome), expected, "{mode} {rich}: {}", stderr(&outcome));
        }
    }
}

/// What of Node is in the reach of every program, by names that are made while it runs. Each of these
/// begins behind `at`, which makes them, and says `REACHED` in mode full.
const HANDED: [(&str, &str); 7] = [
    (
        "the module of the program",
        "const f = function () { return this[at('proc', 'ess')][at('main', 'Module')]; }; \
         const m = f(); m.filename = '/usr/x.js'; m[at('req', 'uire')]('fs').readdirSync('/'); \
         console.log('REACHED');",
    ),
    (
        "the module of the program at its end",
        "process.on('exit', function () { const m = this[at('main', 'Module')]; \
         m.filename = '/usr/x.js'; m[at('req', 'uire')]('child_process'); console.log('REACHED'); });",
    ),
    (
        "the module of the program by who calls",
        "function g() { return g[at('cal', 'ler')][at('argu', 'ments')]; } \
         const all = g(); all[2].filename = '/usr/x.js'; all[1]('fs'); console.log('REACHED');",
    ),
    (
        "the loader by a module",
        "const g = (function () { return this; })(); \
         const load = g[at('proc', 'ess')][at('main', 'Module')][at('constr', 'uctor')][at('_lo', 'ad')]; \
         if (load) console.log('REACHED');",
    ),
    (
        "the process",
        "const p = (function () { return this; })()[at('proc', 'ess')]; \
         for (const name of ['kill', 'chdir', 'abort', 'setuid', 'report', '_getActiveHandles']) { \
         if (p[at(name)]) console.log('REACHED'); }",
    ),
    (
        "the maker of standard input",
        "const make = process.stdin[at('constr', 'uctor')]; \
         new make('/etc/hostname', { fd: 0 }); console.log('REACHED');",
    ),
    (
        "the makers of what that is",
        "for (let is = process.stdout; (is = Object.getPrototypeOf(is)) !== null;) { \
         const make = is[at('constr', 'uctor')]; \
         if (/^(Socket|SyncWriteStream)$/.test(make.name)) { new make(7); console.log('REACHED'); } }",
    ),
];
/// Standard input that is a file carries the module that opens files.
const CARRIED: &str = "for (const key of Object.getOwnPropertySymbols(process.stdin)) { \
    if (process.stdin[key]?.readFileSync) console.log('REACHED'); }";

async fn what_node_hands_to_a_program_leads_nowhere() {
    let primed = sandbox("node").warm(Warm::default().min(1).max(2)).build().expect("a sandbox");
    primed.warm_up().await.expect("a pool");
    let mut starts = Vec::new();
    for choice in [StartChoice::Any, StartChoice::Cold] {
        for (name, text) in HANDED.into_iter().chain([("the module of files", CARRIED)]) {
            let source = Source::code(format!("const at = (...parts) => parts.join('');\n{text}"));
            for mode in [Mode::Full, Mode::Standard, Mode::Restricted] {
                let source = source.clone().start(choice).mode(mode);
                let outcome = primed.run(source).await.expect("an outcome");
                let (said, errors) = (stdout(&outcome), stderr(&outcome));
                let is_reached = said.contains("REACHED");
                assert_eq!(is_reached, mode == Mode::Full, "{name}: {mode}: {said} {errors}");
                starts.push((outcome.start, mode));
            }
        }
    }
    primed.close().await;
    for start in [Start::Primed, Start::Cold] {
        assert!(starts.contains(&(start, Mode::Standard)), "{starts:?}");
    }
}

async fn an_error_of_a_program_has_no_frame_of_the_guard() {
    let sandbox = sandbox("node").build().expect("a sandbox");
    for mode in [Mode::Standard, Mode::Restricted] {
        let source = Source::code("function f() { throw new Error('no'); }\nf();").mode(mode);
        let outcome = sandbox.run(source).await.expect("an outcome");
        let said = stderr(&outcome);
        assert!(said.contains("main.js:1:") && said.contains("main.js:2:"), "{mode}: {said}");
        assert!(!said.contains("guard"), "{mode}: {said}");
    }
}

async fn escapes_without_rules_reach_nothing_of_the_host_from_python() {
    let scratch = belljar_tests::scratch();
    let bait = scratch.path().join("bait");
    std::fs::write(&bait, "the host's own words").expect("a bait");
    belljar_tests::read_by_all(&bait);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    let bait = bait.to_str().expect("a path").to_owned();
    let sandbox = corpus::warm().await;
    let work = corpus::programs("escapes", Language::Python).into_iter().map(|program| {
        let (sandbox, bait) = (sandbox.clone(), bait.clone());
        async move {
            let source = Source::code(format!("{}{TELL}{EFFECTS}", program.text));
            let source = source.arg(bait).arg(port.to_string()).arg(std::process::id().to_string());
            let outcome = corpus::run(sandbox, source).await;
            let (said, errors) = (stdout(&outcome), stderr(&outcome));
            assert!(said.contains("REACHED"), "{}: {said} {errors}", program.name);
            assert!(said.contains("TRIED"), "{}: {said} {errors}", program.name);
            assert!(!said.contains("HOST"), "{}: {said} {errors}", program.name);
            corpus::count("escapes", &program, Mode::Full, "held by the jar");
        }
    });
    corpus::run_all(work.collect()).await;
    listener.set_nonblocking(true).expect("a listener");
    assert!(listener.accept().is_err(), "something connected to the host");
    sandbox.close().await;
}

async fn escapes_without_rules_reach_nothing_of_the_host_from_node() {
    hold("node", corpus::programs("escapes", Language::JavaScript)).await;
}

async fn escapes_without_rules_reach_nothing_of_the_host_from_quickjs() {
    hold("js", corpus::programs("escapes", Language::JavaScript)).await;
}

async fn escapes_without_rules_reach_nothing_of_the_host_from_bash() {
    hold("bash", corpus::programs("escapes", Language::Bash)).await;
}

/// Runs every attack without rules: whatever it does, the secrets of the host stay there.
async fn hold(runtime: &str, programs: Vec<Program>) {
    let sandbox = sandbox(runtime).build().expect("a sandbox");
    let passwords = std::fs::read_to_string("/etc/shadow").unwrap_or_default();
    let accounts = std::fs::read_to_string("/etc/passwd").expect("accounts of the host");
    let is_secret = |line: &&str| line.len() > 8 && !line.starts_with("nobody");
    let secrets: Vec<_> = passwords.lines().chain(accounts.lines()).filter(is_secret).collect();
    assert!(!secrets.is_empty());
    for program in programs {
        let outcome = corpus::run(sandbox.clone(), program.source().mode(Mode::Full)).await;
        let said = stdout(&outcome) + &stderr(&outcome);
        let leaked = secrets.iter().find(|secret| said.contains(**secret));
        assert!(leaked.is_none(), "{}: {leaked:?}", program.name);
        corpus::count("escapes", &program, Mode::Full, "held by the jar");
    }
}
