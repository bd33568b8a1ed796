//! The whole corpus of attacks in jars that waited: where a program is executed, where a forked
//! interpreter becomes the attack, and where one that was executed ahead starts it.

use belljar::{Source, Verdict};
use belljar_tests::{Completion, Suite, stdout};

use crate::corpus::{self, Attack};
use crate::hold;
use crate::kinds::{FORKED, JAR, Kind, PRIMED, Pools, attacker_inside};

/// How a runtime comes to run the attack `ID` of the program `PATH`.
const WAYS: [(Kind, &str); 3] = [
    (JAR, "exec PATH ID"),
    (FORKED, "import os\nos.execv('PATH', ['PATH', 'ID'])"),
    (
        PRIMED,
        "const { status, signal, error } =\n\
         require('child_process').spawnSync('PATH', ['ID'], { stdio: 'inherit' });\n\
         if (error) throw error;\n\
         if (signal) process.kill(process.pid, signal); else process.exit(status);",
    ),
];

/// What an attack finds that is no fault of the jar: whose finding, where, and why. It finds
/// nothing else.
#[rustfmt::skip]
const OWN: [(&str, &str, &[&str], &str); 7] = [
    ("forked_python", "A39", &["/root", "/home"], "the interpreter itself lies there"),
    ("forked_python", "A65", &["kill(the parent)"], "its parent is outside, and 0 is its own group"),
    ("forked_python", "A77", &["prlimit64(the parent)"], "its parent is outside, and 0 is itself"),
    ("primed_node", "A42", &["/proc/2/"], "its parent is the payload"),
    ("primed_node", "A65", &["kill(the parent)", "kill(everybody)"], "its parent is the payload"),
    ("primed_node", "A91", &["/proc/2/fd/"], "its parent is the payload"),
    ("primed_node", "A95", &["/proc/2/"], "its parent is the payload"),
];
/// The attacker's exit code for an attack that succeeded.
const BIT: i32 = 66;

pub(crate) fn add(mut suite: Suite, pools: &Pools) -> Suite {
    for (kind, way) in WAYS {
        for attack in corpus::attacks() {
            let own = OWN.iter().find(|(of, id, ..)| *of == kind.name() && *id == attack.id);
            let but = own.map(|(.., own, why)| format!(" (but for {}: {why})", own.join(", ")));
            let (id, but) = (attack.id.to_lowercase(), but.unwrap_or_default());
            let name = format!("warm::escape::{}::{id}::{}{but}", kind.name(), attack.name);
            let (own, pools) = (own.map_or(&[][..], |(_, _, own, _)| own), pools.clone());
            suite = suite.test(&name, kind.needs, move || holds(attack, kind, way, own, pools));
        }
    }
    suite
}

async fn holds(
    attack: Attack,
    kind: Kind,
    way: &'static str,
    own: &'static [&'static str],
    pools: Pools,
) -> Completion {
    let sandbox = pools.for_attack(kind.runtime, &attack);
    let path = attacker_inside();
    let code = way.replace("PATH", path.to_str().unwrap()).replace("ID", &attack.id);
    let outcome = kind.run(&sandbox, Source::code(code).collect("**/*")).await;
    let said = stdout(&outcome);
    match said.lines().find_map(|line| line.strip_prefix("bit: ")) {
        Some(found) if !own.is_empty() => {
            let is_own = |item: &str| own.iter().any(|own| item.starts_with(own));
            assert!(found.split("; ").all(is_own), "{found}");
            assert_eq!(outcome.verdict, Verdict::Exited { code: BIT });
            Completion::Completed
        }
        _ => hold::holds(attack, async |_| outcome).await,
    }
}
