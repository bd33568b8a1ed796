//! Attacks that always succeed, and harm only whoever handles their traces without care: here as
//! the library handles them.

use std::time::Duration;

use belljar::Outcome;
use belljar_tests::stdout;

/// Fails unless the traces of a scene are what they are, and no more.
pub(crate) fn judge(id: &str, outcome: &Outcome) {
    let paths: Vec<_> = outcome.artifacts.iter().map(|artifact| artifact.path.as_path()).collect();
    let complained = |name: &str| outcome.artifact_errors.iter().any(|error| error.contains(name));
    assert!(outcome.timings.collect < Duration::from_secs(2), "{:?}", outcome.timings);
    let bytes: usize = outcome.artifacts.iter().map(|artifact| artifact.bytes.len()).sum();
    assert!(bytes as u64 <= outcome.limits.artifact_bytes, "{bytes} bytes collected");
    match id {
        "A54" => assert!(paths.is_empty() && complained("sparse.bin"), "{paths:?}"),
        "A55" => {
            assert!(!paths.is_empty() && !outcome.artifact_errors.is_empty(), "{paths:?}");
            let is_text =
                |path: &&std::path::Path| path.to_str().is_some_and(|name| !name.contains('\n'));
            assert!(paths.iter().all(is_text), "{paths:?}");
        }
        "A56" => {
            assert_eq!(paths, ["honest.txt"]);
            assert_eq!(outcome.artifacts[0].bytes, b"honest\n");
            for link in ["out.txt", "magic.txt"] {
                assert!(complained(link), "{link}: {:?}", outcome.artifact_errors);
            }
        }
        "A58" => {
            assert!(
                paths
                    .iter()
                    .all(|path| path.ends_with("first.txt") || path.ends_with("second.txt"))
            );
            assert!(!paths.is_empty() && complained("result.json"), "{paths:?}");
        }
        "A89" => assert!(stdout(outcome).contains("bytes of its own")),
        "A94" => {
            let raw = &outcome.stdout.bytes;
            let holds = |part: &[u8]| raw.windows(part.len()).any(|window| window == part);
            assert!(holds(b"\x1b]52;c;cHduZWQ=\x07") && holds(b"\xed\xa0\x80") && holds(b"\0"));
        }
        _ => panic!("nobody judges the scene of {id}"),
    }
}
