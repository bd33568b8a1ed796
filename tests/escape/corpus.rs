//! The corpus, as the attacker tells it.

use std::process::Command;
use std::time::Duration;

use belljar::{Limits, OnOutputLimit};
use belljar_tests::built;

/// One attack. Its columns are described in the attacker.
#[derive(Clone, Debug)]
pub(crate) struct Attack {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) expect: String,
    pub(crate) limits: String,
}

/// Every attack, in order.
pub(crate) fn attacks() -> Vec<Attack> {
    let listed = Command::new(built("belljar-attacker")).arg("list").output().unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    let attack = |line: &str| {
        let [id, name, expect, _what, limits] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("a row of five columns: {line:?}");
        };
        let (id, name, expect) = (id.to_owned(), name.to_owned(), expect.to_owned());
        Attack { id, name, expect, limits: limits.to_owned() }
    };
    text.lines().map(attack).collect()
}

impl Attack {
    /// The limits under which the attack has to be held.
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = belljar_tests::limits();
        for word in self.limits.split_whitespace() {
            let (name, value) = word.split_once('=').unwrap();
            let number = || value.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
            let mib = || number() << 20;
            match name {
                "cpu" => limits.cpu = Duration::from_secs(number()),
                "wall" => limits.wall = Duration::from_secs(number()),
                "memory" => limits.memory_bytes = mib(),
                "processes" => limits.processes = value.parse().unwrap(),
                "stdout-limit" => limits.stdout_bytes = mib(),
                "on-output-limit" => limits.on_output_limit = OnOutputLimit::Kill,
                _ => panic!("a limit that the tests do not know: {word}"),
            }
        }
        limits
    }
}
