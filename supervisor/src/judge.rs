//! How a run ended, from all the facts that bear on it.
//!
//! Our own recorded intent outweighs the kernel's counters, which outweigh the wait status.
//! Nothing that a payload can forge decides: not an exit code of 137, not a signal it sent itself.

use std::time::Duration;

use belljar_protocol::Ending;
use nix::libc::{SIGKILL, SIGXCPU};

use crate::Limits;
use crate::outcome::{TimeLimit, Verdict};

/// Why the supervisor emptied a jar before its payload had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    Deadline,
    CpuSpent,
    MemorySpent,
    OutputFull,
    Cancelled,
}

/// Everything that bears on how a run ended, gathered before judging.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    /// What we did, if we did something.
    pub(crate) intent: Option<Intent>,
    /// What wait(2) told init. Nothing when init was killed with everything else.
    pub(crate) ending: Option<Ending>,
    /// The warden ended the run for a system call that no interpreter makes.
    pub(crate) fatal_denial: bool,
    /// Kills for want of memory that the kernel counted in this jar.
    pub(crate) oom_kills: u64,
    /// Processor time of the tree.
    pub(crate) cpu: Duration,
}

/// The clock that ends a process counts ticks, and ours reads it a little earlier or later.
const CPU_SLACK: Duration = Duration::from_millis(100);
/// But no more than this part of the limit: a small one would be reached by starting.
const CPU_SLACK_PART: u32 = 10;

pub(crate) fn verdict(evidence: &Evidence, limits: &Limits) -> Verdict {
    let slack = CPU_SLACK.min(limits.cpu / CPU_SLACK_PART);
    let cpu_is_spent = evidence.cpu + slack >= limits.cpu;
    match (evidence.intent, evidence.ending) {
        (Some(Intent::Cancelled), _) => Verdict::Cancelled,
        (Some(Intent::Deadline), _) => Verdict::TimedOut(TimeLimit::Wall),
        (Some(Intent::CpuSpent), _) => Verdict::TimedOut(TimeLimit::Cpu),
        (Some(Intent::MemorySpent), _) => Verdict::OutOfMemory,
        (Some(Intent::OutputFull), _) => Verdict::OutputLimit,
        // A SIGSYS proves nothing: a payload can send it to itself.
        (None, _) if evidence.fatal_denial => Verdict::Denied,
        (None, _) if evidence.oom_kills > 0 => Verdict::OutOfMemory,
        (None, Some(Ending::Signalled(SIGXCPU | SIGKILL))) if cpu_is_spent => {
            Verdict::TimedOut(TimeLimit::Cpu)
        }
        (None, Some(Ending::Signalled(signal))) => Verdict::Signalled { signal },
        (None, Some(Ending::Exited(code))) => Verdict::Exited { code },
        // Somebody else killed the jar, init included.
        (None, None) => Verdict::Signalled { signal: SIGKILL },
    }
}

#[cfg(test)]
mod tests {
    use nix::libc::SIGSYS;

    use super::*;

    fn check(
        intent: Option<Intent>,
        ending: Option<Ending>,
        oom_kills: u64,
        cpu_ms: u64,
        status: &str,
    ) {
        let cpu = Duration::from_millis(cpu_ms);
        let evidence = Evidence { intent, ending, fatal_denial: false, oom_kills, cpu };
        assert_eq!(verdict(&evidence, &Limits::strict()).status(), status, "{evidence:?}");
    }

    #[test]
    fn only_the_warden_says_that_a_call_was_fatal() {
        let ending = Some(Ending::Signalled(SIGSYS));
        let forged = Evidence {
            intent: None,
            ending,
            fatal_denial: false,
            oom_kills: 0,
            cpu: Duration::ZERO,
        };
        assert_eq!(verdict(&forged, &Limits::strict()).status(), "signalled");
        let true_one = Evidence { fatal_denial: true, ending: None, ..forged };
        assert_eq!(verdict(&true_one, &Limits::strict()), Verdict::Denied);
    }

    #[test]
    fn a_small_processor_limit_is_not_reached_by_starting() {
        let limits = Limits { cpu: Duration::from_millis(100), ..Limits::strict() };
        let ending = Some(Ending::Signalled(SIGKILL));
        let evidence = |cpu_ms| Evidence {
            intent: None,
            ending,
            fatal_denial: false,
            oom_kills: 0,
            cpu: Duration::from_millis(cpu_ms),
        };
        assert_eq!(verdict(&evidence(2), &limits).status(), "signalled");
        assert_eq!(verdict(&evidence(95), &limits).status(), "cpu_time");
    }

    #[test]
    fn the_wait_status_speaks_when_nobody_else_does() {
        check(None, Some(Ending::Exited(0)), 0, 0, "ok");
        check(None, Some(Ending::Exited(137)), 0, 0, "nonzero_exit");
        check(None, Some(Ending::Exited(124)), 0, 0, "nonzero_exit");
        check(None, Some(Ending::Signalled(11)), 0, 0, "signalled");
        check(None, None, 0, 0, "signalled");
    }

    #[test]
    fn a_signal_of_the_payloads_own_is_no_time_limit() {
        check(None, Some(Ending::Signalled(SIGXCPU)), 0, 10, "signalled");
        check(None, Some(Ending::Signalled(SIGKILL)), 0, 10, "signalled");
        check(None, Some(Ending::Signalled(SIGXCPU)), 0, 60_000, "cpu_time");
        check(None, Some(Ending::Signalled(SIGKILL)), 0, 61_000, "cpu_time");
    }

    #[test]
    fn counters_outweigh_the_wait_status_and_intent_outweighs_both() {
        check(None, Some(Ending::Signalled(SIGKILL)), 1, 61_000, "memory");
        check(None, Some(Ending::Exited(0)), 1, 0, "memory");
        check(None, None, 1, 0, "memory");
        for (intent, status) in [
            (Intent::Deadline, "wall_time"),
            (Intent::CpuSpent, "cpu_time"),
            (Intent::MemorySpent, "memory"),
            (Intent::OutputFull, "output"),
            (Intent::Cancelled, "cancelled"),
        ] {
            check(Some(intent), Some(Ending::Exited(0)), 1, 61_000, status);
            check(Some(intent), None, 0, 0, status);
        }
    }
}
