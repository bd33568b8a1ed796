//! How a run ended, told from wait statuses and never guessed.

use belljar::Verdict;
use belljar_tests::{Test, expect, run, stderr, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        an_exit_code_is_the_payloads_own(Bash),
        codes_that_shells_use_for_signals_are_exit_codes(Bash),
        a_signal_is_told_from_every_other(Python),
        a_real_time_signal_is_told(Python),
        a_fault_of_the_program_is_its_signal(Python),
        the_verdict_is_that_of_the_payload_and_not_of_its_children(Bash),
        an_orphan_outlives_nobody(Bash),
        nothing_at_all_is_a_good_program(Bash, Python),
        a_message_says_what_the_status_means(Bash),
    ]
}

async fn an_exit_code_is_the_payloads_own() {
    for code in [0, 1, 2, 42, 126, 127, 255] {
        let outcome = run("bash", format!("exit {code}")).await;
        assert_eq!(outcome.verdict, Verdict::Exited { code });
        assert_eq!(outcome.verdict.exit_code(), Some(code));
        assert_eq!(outcome.verdict.signal(), None);
        expect(&outcome, if code == 0 { "ok" } else { "nonzero_exit" });
    }
}

async fn codes_that_shells_use_for_signals_are_exit_codes() {
    for code in [124, 125, 128 + 6, 128 + 9, 128 + 24, 128 + 31] {
        let outcome = run("bash", format!("exit {code}")).await;
        assert_eq!(outcome.verdict, Verdict::Exited { code });
    }
}

async fn a_signal_is_told_from_every_other() {
    for signal in [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 13, 14, 15, 24, 25] {
        let code = format!(
            "import os, signal\n\
             if {signal} not in (9, 19): signal.signal({signal}, signal.SIG_DFL)\n\
             os.kill(os.getpid(), {signal})\n"
        );
        let outcome = run("python", code).await;
        assert_eq!(outcome.verdict, Verdict::Signalled { signal }, "{}", stderr(&outcome));
        assert_eq!((outcome.verdict.exit_code(), outcome.verdict.signal()), (None, Some(signal)));
    }
}

async fn a_real_time_signal_is_told() {
    let outcome = run("python", "import os\nos.kill(os.getpid(), 40)").await;
    assert_eq!(outcome.verdict, Verdict::Signalled { signal: 40 });
    assert_eq!(outcome.verdict.message(&outcome.limits), "ended by signal 40");
}

async fn a_fault_of_the_program_is_its_signal() {
    let abort = run("python", "import os\nos.abort()").await;
    assert_eq!(abort.verdict, Verdict::Signalled { signal: 6 });
    let fault = run("python", "import ctypes\nctypes.string_at(0)").await;
    assert_eq!(fault.verdict, Verdict::Signalled { signal: 11 }, "{}", stderr(&fault));
}

async fn the_verdict_is_that_of_the_payload_and_not_of_its_children() {
    let child_dies = run("bash", "bash -c 'kill -SEGV $$'; exit 3").await;
    assert_eq!(child_dies.verdict, Verdict::Exited { code: 3 });
    let child_goes_on = run("bash", "sleep 30 & kill -TERM $$").await;
    assert_eq!(child_goes_on.verdict, Verdict::Signalled { signal: 15 });
}

async fn an_orphan_outlives_nobody() {
    let outcome = run("bash", "(sleep 30; echo late) & disown; exit 0").await;
    expect(&outcome, "ok");
    assert!(outcome.usage.wall.as_secs() < 5, "{:?}", outcome.usage);
    assert!(outcome.stdout.bytes.is_empty());
}

async fn nothing_at_all_is_a_good_program() {
    for runtime in ["bash", "python"] {
        let outcome = run(runtime, "").await;
        expect(&outcome, "ok");
        assert!(outcome.stdout.bytes.is_empty() && outcome.stderr.bytes.is_empty());
        assert!(outcome.artifacts.is_empty() && outcome.denials.is_empty());
    }
}

async fn a_message_says_what_the_status_means() {
    for (code, message) in [
        ("exit 3", "exited with code 3"),
        ("kill -ABRT $$", "ended by SIGABRT"),
        ("kill -KILL $$", "ended by SIGKILL"),
    ] {
        let outcome = run("bash", code).await;
        assert_eq!(outcome.verdict.message(&outcome.limits), message);
    }
}
