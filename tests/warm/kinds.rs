//! The ways to start, and sandboxes that are warm for many tests.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use belljar::{
    Limits, Outcome, Runtime, Runtimes, Sandbox, SandboxBuilder, Source, Start, StartChoice, Warm,
};
use belljar_tests::{Need, built, limits, sandbox, scratch};

use crate::corpus::Attack;

/// A way to start, and a runtime that starts that way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) runtime: &'static str,
    pub(crate) choice: StartChoice,
    pub(crate) start: Start,
    pub(crate) needs: &'static [Need],
}

pub(crate) const FORKED: Kind = kind("python", StartChoice::Any, Start::Forked, &[Need::Python]);
pub(crate) const PRIMED: Kind = kind("node", StartChoice::Any, Start::Primed, &[Need::Node]);
pub(crate) const JAR: Kind = kind("bash", StartChoice::Any, Start::Jar, &[Need::Bash]);
pub(crate) const PRIMED_JS: Kind = kind("js", StartChoice::Any, Start::Primed, &[]);
const FRESH_PYTHON: Kind = kind("python", StartChoice::Fresh, Start::Jar, &[Need::Python]);
const FRESH_NODE: Kind = kind("node", StartChoice::Fresh, Start::Jar, &[Need::Node]);
const COLD_PYTHON: Kind = kind("python", StartChoice::Cold, Start::Cold, &[Need::Python]);
const COLD_NODE: Kind = kind("node", StartChoice::Cold, Start::Cold, &[Need::Node]);
const COLD_BASH: Kind = kind("bash", StartChoice::Cold, Start::Cold, &[Need::Bash]);
const COLD_JS: Kind = kind("js", StartChoice::Cold, Start::Cold, &[]);

/// Every runtime that something is kept ready for, in every way that it can be started.
pub(crate) const KINDS: [Kind; 10] = [
    FORKED,
    FRESH_PYTHON,
    COLD_PYTHON,
    PRIMED,
    FRESH_NODE,
    COLD_NODE,
    JAR,
    COLD_BASH,
    PRIMED_JS,
    COLD_JS,
];

/// A module beside those of belljar, which a template can be told to import.
pub(crate) const PREMADE: &str = "import random\ngenerator = random.Random()\n";

const BUILTIN: [(&str, &str); 5] = [
    ("python", include_str!("../../supervisor/src/runtime/builtin/python.toml")),
    ("node", include_str!("../../supervisor/src/runtime/builtin/node.toml")),
    ("bash", include_str!("../../supervisor/src/runtime/builtin/bash.toml")),
    ("js", include_str!("../../supervisor/src/runtime/builtin/js.toml")),
    ("native", include_str!("../../supervisor/src/runtime/builtin/native.toml")),
];

const fn kind(
    runtime: &'static str,
    choice: StartChoice,
    start: Start,
    needs: &'static [Need],
) -> Kind {
    Kind { runtime, choice, start, needs }
}

impl Kind {
    pub(crate) fn name(&self) -> String {
        format!("{}_{}", self.start.name(), self.runtime)
    }

    /// Runs a source in this way and no other.
    pub(crate) async fn run(&self, sandbox: &Sandbox, source: impl Into<Source>) -> Outcome {
        sandbox.warm_up().await.unwrap();
        let outcome = sandbox.run(source.into().start(self.choice)).await.unwrap();
        assert_eq!(outcome.start, self.start, "{:?}", sandbox.warmth());
        outcome
    }
}

/// Warm sandboxes by runtime and limits. Gone when the last test that holds them has run.
#[derive(Clone, Default)]
pub(crate) struct Pools(Arc<Mutex<HashMap<String, Sandbox>>>);

impl Pools {
    pub(crate) fn get(&self, runtime: &str) -> Sandbox {
        self.get_with(runtime, "", limits())
    }

    /// `name` stands for the limits. Only for those that many tests share: what waits is open.
    pub(crate) fn get_with(&self, runtime: &str, name: &str, limits: Limits) -> Sandbox {
        let mut pools = self.0.lock().unwrap();
        let make = || with_attacker(runtime).limits(limits).warm(few()).build().unwrap();
        pools.entry(format!("{runtime} {name}")).or_insert_with(make).clone()
    }

    /// A sandbox for one attack, which no other shares if it has limits of its own.
    pub(crate) fn for_attack(&self, runtime: &str, attack: &Attack) -> Sandbox {
        if attack.limits.is_empty() {
            return self.get(runtime);
        }
        let warm = Warm::default().min(1).max(1);
        with_attacker(runtime).limits(attack.limits()).warm(warm).build().unwrap()
    }
}

/// As many as the tests take at a time, and one more.
pub(crate) fn few() -> Warm {
    Warm::default().min(4).max(4)
}

/// One sandbox for one test.
pub(crate) fn warm(runtime: &str) -> Sandbox {
    warm_with(runtime, limits())
}

pub(crate) fn warm_with(runtime: &str, limits: Limits) -> Sandbox {
    let warm = Warm::default().min(2).max(4);
    sandbox(runtime).limits(limits).warm(warm).build().unwrap()
}

/// A built-in runtime with more in its description: what is added after which of its lines.
pub(crate) fn described(name: &str, more: &[(&str, String)]) -> Runtime {
    let (_, text) = BUILTIN.iter().find(|(known, _)| *known == name).unwrap();
    let mut text = (*text).to_owned();
    for (line, addition) in more {
        let with = text.replacen(line, &format!("{line}{addition}"), 1);
        assert_ne!(text, with, "{name} has no {line}");
        text = with;
    }
    let directory = scratch();
    std::fs::write(directory.path().join(format!("{name}.toml")), text).unwrap();
    let runtimes = Runtimes::builtin().with_directory(directory.path()).unwrap();
    runtimes.get(name).unwrap().clone()
}

/// Python with a module of the test's own, which a template can be told to import.
pub(crate) fn python_with(module: &str, text: &str) -> Runtime {
    described("python", &[file_of_python(module, text)])
}

fn file_of_python(module: &str, text: &str) -> (&'static str, String) {
    let file = format!("\"/run/belljar/python/{module}.py\" = {{ text = '''{text}''' }}\n");
    ("\n[files]\n", file)
}

/// The runtime with the attacks in sight, for the operator's description shows them: a directory
/// that the caller shows would change which calls a jar permits.
fn with_attacker(runtime: &str) -> SandboxBuilder {
    let attacker = built("belljar-attacker");
    let mut more = vec![("\nread_only = [", format!("\"{}\", ", attacker.display()))];
    if runtime == "python" {
        more.push(file_of_python("premade", PREMADE));
        more.push(("\npreload = [", "\"premade\", ".to_owned()));
    }
    Sandbox::builder(described(runtime, &more))
}

/// Where a jar shows it.
pub(crate) fn attacker_inside() -> PathBuf {
    const REPLACED: [&str; 6] = ["/dev", "/proc", "/run", "/sys", "/tmp", "/work"];
    let path = built("belljar-attacker");
    if REPLACED.iter().any(|replaced| path.starts_with(replaced)) {
        return Path::new("/run/belljar/host").join(path.strip_prefix("/").unwrap());
    }
    path
}
