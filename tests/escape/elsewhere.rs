//! The table is whole: every row of the threat list is in the corpus, or has its test elsewhere.

use std::collections::BTreeSet;

use belljar_tests::{Test, tests};

use crate::corpus;
use crate::table::ROWS;

pub(crate) fn tests() -> Vec<Test> {
    tests![every_attack_says_how_it_bites(), no_row_of_the_threat_list_is_silently_absent(),]
}

const FIRST: u16 = 1;
/// Those beyond need something that waits ahead of a run: tests/warm/rows.rs.
const LAST: u16 = 102;

/// Rows that one payload in one jar cannot play, and where they are tested instead.
#[rustfmt::skip]
const ELSEWHERE: [(u16, &str); 8] = [
    (57, "a name swapped after it was listed: a_name_swapped_after_it_was_listed_opens_nothing_else"),
    (60, "a lock on a shared read-only file is seen by other jars: documented in docs/threats.md"),
    (61, "design: a jar shows no set-user-id program of the host as such, and no splice call exists"),
    (83, "a supervisor that dies: a_killed_supervisor_takes_its_run_along"),
    (84, "a thread that dies: a_future_that_is_dropped_at_any_moment_leaves_nothing"),
    (85, "design: no network or FUSE file system is mounted in a jar that the operator did not name"),
    (87, "a drip of output: output_arrives_while_the_payload_runs"),
    (102, "two runs: tests/behavior/"),
];

async fn every_attack_says_how_it_bites() {
    let attacks: BTreeSet<_> = corpus::attacks().into_iter().map(|attack| attack.id).collect();
    let rows: BTreeSet<_> = ROWS.iter().map(|(id, _)| (*id).to_owned()).collect();
    assert_eq!(attacks, rows);
}

async fn no_row_of_the_threat_list_is_silently_absent() {
    let number = |id: &str| id.trim_matches(|c: char| c.is_alphabetic()).parse::<u16>().unwrap();
    let corpus: BTreeSet<_> = corpus::attacks().iter().map(|attack| number(&attack.id)).collect();
    let elsewhere: BTreeSet<_> = ELSEWHERE.iter().map(|(number, _)| *number).collect();
    assert!(corpus.is_disjoint(&elsewhere));
    assert_eq!(&corpus | &elsewhere, (FIRST..=LAST).collect());
}
