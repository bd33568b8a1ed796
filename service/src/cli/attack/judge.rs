//! Whether a jar held, from what came of one attack. Pure.

use belljar::{Artifact, Outcome, State, Verdict};

/// What came of one attack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) result: &'static str,
    pub(super) evidence: String,
}

/// Exit codes of the attacker.
const SUCCEEDED: i32 = 66;
const NOTHING_TO_ATTACK: i32 = 67;
/// The words before what an attack says of itself.
const SAID: [&str; 3] = ["held: ", "bit: ", "inconclusive: "];
const MOST_EVIDENCE_CHARS: usize = 100;
/// All that attacks write into files which are small enough to be collected; a link that was
/// followed would bring something else.
const OWN_CONTENTS: [&[u8]; 4] = [b"", b"x", b"honest\n", b"linked\n"];

impl Judgement {
    pub(super) const HELD: &str = "held";
    pub(super) const BIT: &str = "BIT";
    pub(super) const NOT_TRIED: &str = "not tried";
}

/// `expect` is how the jar shows that it held, as the corpus has it.
pub(super) fn judge(expect: &str, outcome: &Outcome) -> Judgement {
    let said = said(&outcome.stdout.bytes);
    let evidence = said.clone().unwrap_or_else(|| outcome.verdict.message(&outcome.limits));
    let verdict = outcome.verdict;
    let says = |word: &str| said.as_ref().is_some_and(|line| line.starts_with(word));
    let (kind, wanted) = expect.split_once(':').unwrap_or((expect, ""));
    let exited_well = verdict == (Verdict::Exited { code: 0 });
    let signal = verdict.signal().map(|signal| signal.to_string());
    // A limit may strike the attacker as an error that it survives.
    let refused = exited_well && says("held: ");
    let held = match kind {
        "held" => exited_well,
        "scene" => exited_well && foreign(&outcome.artifacts).is_none(),
        "signal" => signal.as_deref() == Some(wanted) || refused,
        "status" if matches!(wanted, "ok" | "nonzero_exit") => verdict.status() == wanted,
        "status" => verdict.status() == wanted || refused,
        _ => false,
    };
    let result = match verdict {
        _ if says("bit: ") => Judgement::BIT,
        Verdict::Exited { code: SUCCEEDED } => Judgement::BIT,
        Verdict::Exited { code: NOTHING_TO_ATTACK } => Judgement::NOT_TRIED,
        _ if held => Judgement::HELD,
        _ => Judgement::BIT,
    };
    let mut evidence: String = evidence.chars().take(MOST_EVIDENCE_CHARS).collect();
    if result == Judgement::BIT {
        evidence = said.unwrap_or_default();
        let artifact = foreign(&outcome.artifacts).map(|path| format!(", and left {path:?}"));
        let message = verdict.message(&outcome.limits);
        let weak = weak_limit(wanted, outcome).unwrap_or_default();
        let artifact = artifact.unwrap_or_default();
        evidence.extend([format!(" [expected {expect}; it {message}{artifact}{weak}]")]);
    }
    Judgement { result, evidence }
}

/// What the receipt admits of the limit that was to end the attack.
fn weak_limit(status: &str, outcome: &Outcome) -> Option<String> {
    let limit = match status {
        "memory" => "memory_bytes",
        "cpu_time" => "cpu_ms",
        "wall_time" => "wall_ms",
        _ => return None,
    };
    let row = outcome.receipt.limits.iter().find(|row| row.limit == limit)?;
    (row.state != State::Enforced).then(|| format!("; {limit} is {} here", row.state.name()))
}

/// The first thing that an attack said of itself; a success outweighs everything before it.
fn said(stdout: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(stdout);
    let spoken = |line: &&str| SAID.iter().any(|word| line.starts_with(word));
    let lines: Vec<_> = text.lines().filter(spoken).collect();
    let success = lines.iter().find(|line| line.starts_with("bit: "));
    success.or(lines.first()).map(|line| (*line).to_owned())
}

/// A collected file that no attack wrote, or whose name is no plain text.
fn foreign(artifacts: &[Artifact]) -> Option<String> {
    let odd = artifacts.iter().find(|artifact| {
        let plain = artifact.path.to_str().is_some_and(|path| !path.chars().any(char::is_control));
        !plain || !OWN_CONTENTS.contains(&artifact.bytes.as_slice())
    });
    odd.map(|artifact| artifact.path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_is_heard_wherever_it_is_said() {
        assert_eq!(said(b"noise\nheld: no\nbit: yes\n").as_deref(), Some("bit: yes"));
        assert_eq!(said(b"held: EPERM\n").as_deref(), Some("held: EPERM"));
        assert_eq!(said(b"status: ok\n"), None);
    }

    #[test]
    fn a_file_that_no_attack_wrote_is_foreign() {
        let artifact = |path: &str, bytes: &[u8]| Artifact {
            path: path.into(),
            bytes: bytes.to_vec(),
            media_type: "text/plain",
        };
        assert_eq!(foreign(&[artifact("honest.txt", b"honest\n")]), None);
        assert!(foreign(&[artifact("out.txt", b"root:x:0:0")]).is_some());
        assert!(foreign(&[artifact("two\nlines", b"x")]).is_some());
    }
}
