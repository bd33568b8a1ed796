//! Every attack of the corpus twice. It is held in a full jar, raised by the library; and it bites
//! where a wall is down, where nobody supervises the jar, or where there is no jar at all: an
//! attack that never succeeds proves nothing when it fails.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and says so"
)]

mod bait;
mod bite;
mod connected;
mod corpus;
mod elsewhere;
mod hold;
mod naive;
mod scenes;
mod table;

use std::process::ExitCode;

use belljar::{Outcome, Source};
use belljar_tests::{Need, Suite, built, run_with};

use corpus::Attack;
use table::{Bites, ROWS};

fn main() -> ExitCode {
    let _bait = bait::lay_out();
    let mut suite = Suite::new("escape").with(elsewhere::tests());
    for attack in corpus::attacks() {
        let id = attack.id.to_lowercase();
        let held = attack.clone();
        let name = format!("escape::{id}::{}", attack.name);
        suite = suite.test(&name, &[], move || hold::holds(held, as_a_program));
        for (_, bites) in ROWS.iter().filter(|(row, _)| *row == attack.id) {
            suite = add(suite, &attack, bites);
        }
    }
    connected::add(suite).run()
}

/// By a jar of its own.
async fn as_a_program(attack: &Attack) -> Outcome {
    let source = Source::program(built("belljar-attacker")).arg(&attack.id).collect("**/*");
    run_with("native", attack.limits(), source).await
}

fn add(suite: Suite, attack: &Attack, bites: &'static Bites) -> Suite {
    let id = attack.id.to_lowercase();
    let name = |what: &str| format!("escape::{id}::{what}");
    let own = || attack.clone();
    let attack = own();
    match bites {
        Bites::Open => suite.test(&name("bites_in_the_open"), &[], || bite::in_the_open(attack)),
        Bites::OpenAsRoot => {
            suite.test(&name("bites_root_in_the_open"), &[Need::Root], || bite::in_the_open(attack))
        }
        Bites::Unsupervised => {
            suite.test(&name("bites_where_nobody_looks"), &[], || bite::without(attack, &[]))
        }
        Bites::AsUserWithout(walls) => {
            let title = name(&format!("bites_a_user_without_{}", joined(walls)));
            suite.test(&title, &[Need::User], || bite::without(attack, walls))
        }
        Bites::Naively(shown) => {
            suite.test(&name("bites_whoever_is_naive"), &[], || async { shown() })
        }
        Bites::Without(walls) => {
            let title = name(&format!("bites_without_{}", joined(walls)));
            let mut suite = suite.test(&title, &[], || bite::without(attack, walls));
            // The other walls of the row hold by themselves.
            for standing in walls.iter().filter(|_| walls.len() > 1) {
                let down: Vec<_> = walls.iter().copied().filter(|wall| wall != standing).collect();
                let title = name(&format!("is_held_by_{standing}_alone"));
                let attack = own();
                suite = suite.test(&title, &[], || bite::is_held_without(attack, down));
            }
            suite
        }
    }
}

fn joined(walls: &[belljar_protocol::Layer]) -> String {
    walls.iter().map(|wall| wall.name()).collect::<Vec<_>>().join("_and_")
}
