//! What holds, and what is said to be lost, where no namespace can be made: as root, who lends ids
//! (L2), and as an ordinary user (L1).

#![expect(clippy::expect_used, reason = "a test fails by panicking, and says so")]

use std::process::{Command, ExitCode};

use belljar::{Floor, Source, State};
use belljar_tests::{Need, Suite, built, sandbox};

/// Each with its name in the program that makes the environment.
const CHECKS: [(&str, &str); 10] = [
    ("strict", "strict_is_refused_by_layer_and_errno_with_the_fix"),
    ("runtimes", "runtimes_run"),
    ("receipt", "the_receipt_names_what_is_lost"),
    ("files", "the_files_of_the_host_are_closed"),
    ("network", "no_server_is_reached"),
    ("processes", "others_are_out_of_reach"),
    ("ends", "a_tree_ends_with_its_payload"),
    ("bomb", "a_fork_bomb_ends"),
    ("secrets", "no_secret_is_on_disk"),
    ("orphans", "nothing_survives_the_supervisor"),
];

fn main() -> ExitCode {
    let mut suite = Suite::new("floors").test(
        "floors::a_host_that_can_do_better_does",
        &[],
        a_host_that_can_do_better_does,
    );
    for (check, sentence) in CHECKS {
        suite = suite
            .test(&format!("floors::l2::{sentence}"), &[Need::Root, Need::Alone], move || {
                holds("L2", check)
            })
            .test(&format!("floors::l1::{sentence}"), &[Need::User, Need::Alone], move || {
                holds("L1", check)
            });
    }
    suite.run()
}

async fn a_host_that_can_do_better_does() {
    for floor in [Floor::L1, Floor::L2, Floor::L3] {
        let sandbox = sandbox("native").floor(floor).build().expect("a sandbox");
        let receipt = sandbox.run(Source::program("/bin/true")).await.expect("an outcome").receipt;
        assert_eq!(receipt.floor, floor);
        assert!(receipt.level >= Floor::STRICT, "{receipt:?}");
        assert!(receipt.layers.iter().all(|row| row.state != State::Missing), "{receipt:?}");
    }
}

async fn holds(level: &'static str, check: &'static str) -> Result<(), String> {
    let run =
        move || Command::new(built("belljar-test-floors")).args(["outside", level, check]).output();
    let output = tokio::task::spawn_blocking(run).await.expect("a thread").expect("the program");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}
