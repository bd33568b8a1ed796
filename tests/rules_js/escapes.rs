//! Attacks are refused by the rules, and hold nothing of the host without them.

use belljar::{Mode, Source, check};
use belljar_tests::{Test, sandbox, stderr, stdout, tests};

use crate::corpus;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        there_are_many_escapes(),
        escapes_are_refused_in_both_strict_modes(),
        escapes_without_rules_reach_nothing_of_the_host_from_node(Node),
        escapes_without_rules_reach_nothing_of_the_host_from_quickjs(),
        escapes_without_rules_reach_nothing_of_the_host_from_bash(Bash),
        what_no_check_can_see_is_refused_while_it_runs_on_node(Node),
        what_no_check_can_see_is_refused_while_it_runs_on_quickjs(),
    ]
}

async fn there_are_many_escapes() {
    let [js, sh] = ["escapes.js", "escapes.sh"].map(|file| corpus::programs(file).len());
    assert!(js >= 50 && sh >= 30, "{js} {sh}");
}

async fn escapes_are_refused_in_both_strict_modes() {
    let mut missed = Vec::new();
    for program in ["escapes.js", "escapes.sh"].into_iter().flat_map(corpus::programs) {
        for mode in program.modes {
            let found = check(program.language, &program.text, &corpus::rules(mode));
            match found.first() {
                None => missed.push(format!("{}: {mode}", program.name)),
                Some(first) => {
                    // The parser of the rules is no way to pass off what it does not understand.
                    let is_shaped = first.line > 0 && first.column > 0 && !first.advice.is_empty();
                    assert!(is_shaped, "{}: {first:?}", program.name);
                }
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

async fn escapes_without_rules_reach_nothing_of_the_host_from_node() {
    hold("node", "escapes.js").await;
}

async fn escapes_without_rules_reach_nothing_of_the_host_from_quickjs() {
    hold("js", "escapes.js").await;
}

async fn escapes_without_rules_reach_nothing_of_the_host_from_bash() {
    hold("bash", "escapes.sh").await;
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

/// Runs every attack without rules: whatever it does, the secrets of the host stay there.
async fn hold(runtime: &str, file: &str) {
    let sandbox = sandbox(runtime).build().expect("a sandbox");
    let passwords = std::fs::read_to_string("/etc/shadow").unwrap_or_default();
    let accounts = std::fs::read_to_string("/etc/passwd").expect("accounts of the host");
    let is_secret = |line: &&str| line.len() > 8 && !line.starts_with("nobody");
    let secrets: Vec<_> = passwords.lines().chain(accounts.lines()).filter(is_secret).collect();
    assert!(!secrets.is_empty());
    for program in corpus::programs(file) {
        let outcome = sandbox.run(Source::code(program.text.as_str()).mode(Mode::Full)).await;
        let outcome = outcome.expect("an outcome");
        let said = stdout(&outcome) + &stderr(&outcome);
        let leaked = secrets.iter().find(|secret| said.contains(**secret));
        assert!(leaked.is_none(), "{}: {leaked:?}", program.name);
    }
}
