//! An attack in a full jar, raised by the library, however that was.

use std::time::Duration;

use belljar::{Outcome, Verdict};
use belljar_tests::{Completion, expect, expect_memory, is_memory_counted, stderr, stdout};

use crate::corpus::Attack;
use crate::scenes;

/// Fails unless the jar held in which `run` has the attack, and all that it leaves collected.
pub(crate) async fn holds(attack: Attack, run: impl AsyncFnOnce(&Attack) -> Outcome) -> Completion {
    let outcome = run(&attack).await;
    let said = stdout(&outcome);
    let bit = said.lines().find(|line| line.starts_with("bit:"));
    assert_eq!(bit, None, "{}", attack.name);
    let (kind, wanted) = attack.expect.split_once(':').unwrap_or((&attack.expect, ""));
    match (kind, wanted) {
        ("held", _) => {
            expect(&outcome, "ok");
            assert!(said.lines().any(|line| line.starts_with("held:")), "{said}");
        }
        ("scene", _) => {
            expect(&outcome, "ok");
            scenes::judge(&attack.id, &outcome);
        }
        // Where no cgroup counts it, what nobody saw in time is refused instead.
        ("status", "memory") if !is_memory_counted(&outcome) && said.contains("held:") => {
            let ended = matches!(outcome.verdict.status(), "ok" | "memory");
            assert!(ended, "{}", shown(&outcome));
        }
        ("status", "memory") => expect_memory(&outcome),
        ("status", status) => expect(&outcome, status),
        ("signal", number) => {
            assert_eq!(signal(&outcome), number.parse().ok(), "{}", shown(&outcome));
        }
        _ => panic!("an expectation that the tests do not know: {attack:?}"),
    }
    ended_in_time(&attack, &outcome);
    Completion::Completed
}

/// The signal that the payload died of; the filter's own is a verdict of its own.
fn signal(outcome: &Outcome) -> Option<i32> {
    match outcome.verdict {
        Verdict::Signalled { signal } => Some(signal),
        Verdict::Denied => Some(nix::libc::SIGSYS),
        _ => None,
    }
}

/// Neither a limit nor whoever holds the output may delay the end.
fn ended_in_time(attack: &Attack, outcome: &Outcome) {
    // The supervisor, too, has to be given a processor.
    const SLACK: Duration = Duration::from_secs(3);
    let most = attack.limits().wall + SLACK;
    assert!(outcome.usage.wall <= most, "{:?} is more than {most:?}", outcome.usage.wall);
}

fn shown(outcome: &Outcome) -> String {
    format!("{:?}\n{}\n{}", outcome.verdict, stdout(outcome), stderr(outcome))
}
