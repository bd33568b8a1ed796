//! A jar with a network holds what one without holds, and what only it is open to.

use belljar::{Allowed, Egress, Network, Outcome, Source};
use belljar_tests::{Completion, Suite, Test, built, expect, limits, sandbox, stdout, tests};

use crate::bite;
use crate::corpus::{self, Attack};
use crate::hold;

/// Attacks that begin with the wish for sockets of the internet, which are granted here.
const GRANTED: [&str; 5] = ["A71", "A96", "A97", "A100", "A101"];
/// How many there are, and what the open refuses as well: it has no way out either, or no module.
const NEW: [(&str, bool); 6] =
    [("N01", true), ("N02", true), ("N03", true), ("N04", true), ("N05", false), ("N06", false)];

pub(crate) fn add(mut suite: Suite) -> Suite {
    suite = suite.with(tests());
    for attack in corpus::attacks() {
        if attack.expect == "held" && !GRANTED.contains(&attack.id.as_str()) {
            let name =
                format!("escape::{}::{}_with_a_network", attack.id.to_lowercase(), attack.name);
            suite = suite.test(&name, &[], move || hold::holds(attack, with_loopback));
        }
    }
    for (id, bites) in NEW {
        let name = |what: &str| format!("escape::{}::{what}", id.to_lowercase());
        suite = suite.test(&name("is_held_beside_a_loopback_interface"), &[], move || {
            hold::holds(new(id), with_loopback)
        });
        suite = suite
            .test(&name("is_held_before_a_gate"), &[], move || hold::holds(new(id), with_a_gate));
        if bites {
            suite = suite.test(&name("bites_in_the_open"), &[], move || bite::in_the_open(new(id)));
        }
    }
    suite
}

fn tests() -> Vec<Test> {
    tests![a_granted_network_is_there()]
}

fn new(id: &str) -> Attack {
    let (name, limits) = ("connected".to_owned(), String::new());
    Attack { id: id.to_owned(), name, expect: "held".to_owned(), limits }
}

fn attack(attack: &Attack) -> Source {
    Source::program(built("belljar-attacker")).arg(&attack.id).collect("**/*")
}

async fn with_loopback(tried: &Attack) -> Outcome {
    let sandbox = sandbox("native").limits(tried.limits()).build().unwrap();
    sandbox.run(attack(tried).network(Network::Loopback)).await.unwrap()
}

async fn with_a_gate(tried: &Attack) -> Outcome {
    // Nobody answers there: an attack that asks for a granted name asks nobody else's server.
    let resolver = Some(([127, 0, 0, 1], 9).into());
    let egress = Egress { allowed: Allowed::Anything, resolver, ..Egress::default() };
    let sandbox = sandbox("native").limits(tried.limits()).egress(egress).build().unwrap();
    let grants = vec!["example.com:443".parse().unwrap(), "*.example.org:80".parse().unwrap()];
    sandbox.run(attack(tried).network(Network::Gate(grants))).await.unwrap()
}

/// Some that are left out above bite here: they try what was granted.
async fn a_granted_network_is_there() -> Completion {
    for id in ["A97", "A100"] {
        let tried = corpus::attacks().into_iter().find(|attack| attack.id == id).unwrap();
        let outcome = with_loopback(&tried).await;
        assert!(stdout(&outcome).contains("bit:"), "{id}: {}", stdout(&outcome));
    }
    let outcome = sandbox("native")
        .limits(limits())
        .build()
        .unwrap()
        .run(Source::program("/bin/true").network(Network::Loopback))
        .await
        .unwrap();
    expect(&outcome, "ok");
    Completion::Completed
}
