//! Nothing that is random is the same in two runs.

use std::collections::BTreeSet;

use belljar::{Sandbox, SandboxBuilder, Template};
use belljar_tests::{Suite, Test, expect, limits, stdout, tests};

use crate::kinds::{FORKED, KINDS, Kind, PREMADE, Pools, few, python_with};

const RUNS: usize = 4;

/// A runtime, what is random, and code that prints it.
#[rustfmt::skip]
const RANDOM: &[(&str, &str, &str)] = &[
    ("python", "functions_of_random", "import random; print(random.random(), random.getrandbits(64))"),
    ("python", "a_generator_made_before", "import premade; print(premade.generator.random())"),
    ("python", "the_instance_of_random", "import random; print(random._inst.getrandbits(64))"),
    ("python", "a_new_generator", "import random; print(random.Random().random())"),
    ("python", "bytes_of_the_system", "import os; print(os.urandom(16))"),
    ("python", "random_uuids", "import uuid; print(uuid.uuid4())"),
    ("python", "uuids_of_time_and_place", "import uuid; u = uuid.uuid1(); print(u.node, u.clock_seq)"),
    ("python", "names_of_temporary_files", "import tempfile; print(tempfile.mktemp())"),
    ("python", "tokens", "import secrets; print(secrets.token_hex())"),
    ("python", "keys_of_multiprocessing", "import multiprocessing; print(bytes(multiprocessing.current_process().authkey))"),
    ("python", "bytes_of_openssl", "import ssl; print(ssl.RAND_bytes(16))"),
    ("node", "math_random", "console.log(Math.random(), Math.random())"),
    ("node", "bytes_of_the_system", "console.log(require('crypto').randomBytes(16))"),
    ("node", "random_uuids", "console.log(require('crypto').randomUUID(), crypto.randomUUID())"),
    ("node", "names_of_temporary_files", "console.log(require('fs').mkdtempSync('/tmp/'))"),
    ("bash", "random", "echo $RANDOM$RANDOM$RANDOM $SRANDOM"),
    ("bash", "names_of_temporary_files", "mktemp"),
    ("js", "math_random", "console.log(Math.random(), Math.random())"),
];

pub(crate) fn add(mut suite: Suite, pools: &Pools) -> Suite {
    for kind in KINDS {
        for (_, what, code) in RANDOM.iter().filter(|(runtime, ..)| *runtime == kind.runtime) {
            let name = format!("warm::random::{}::{what}_differ", kind.name());
            let pools = pools.clone();
            suite = suite.test(&name, kind.needs, move || differs(kind, code, pools));
        }
    }
    suite
}

pub(crate) fn tests() -> Vec<Test> {
    tests![
        generators_of_numpy_differ(Venv),
        numbers_of_the_c_library_differ_in_forks(Python),
        a_generator_with_a_seed_of_its_own_keeps_it(Python),
    ]
}

async fn differs(kind: Kind, code: &'static str, pools: Pools) {
    let sandbox = pools.get(kind.runtime);
    let mut said = BTreeSet::new();
    for _ in 0..RUNS {
        let outcome = kind.run(&sandbox, code).await;
        expect(&outcome, "ok");
        said.insert(stdout(&outcome));
    }
    assert_eq!(said.len(), RUNS, "{said:?}");
}

/// Standard output of each of a few runs, forked from one template that has imported `premade`.
async fn forked(builder: SandboxBuilder, code: &str) -> BTreeSet<String> {
    let template = Template::default().preload(["premade"]);
    let warm = few().template(template);
    let sandbox = builder.limits(limits()).warm(warm).build().unwrap();
    let mut said = BTreeSet::new();
    for _ in 0..RUNS {
        let outcome = FORKED.run(&sandbox, code).await;
        expect(&outcome, "ok");
        said.insert(stdout(&outcome));
    }
    assert_eq!(sandbox.warmth().unwrap().generation, 1);
    sandbox.close().await;
    said
}

async fn generators_of_numpy_differ() {
    let premade = "import numpy\n\
                   made = [numpy.random.RandomState(), numpy.random.default_rng(),\n \
                           numpy.random.Generator(numpy.random.Philox())]\n";
    let venv = std::env::var_os("BELLJAR_TEST_VENV").unwrap();
    for number in [
        "premade.made[0].rand()",
        "premade.made[1].random()",
        "premade.made[2].random()",
        "premade.numpy.random.rand()",
        "premade.numpy.random.default_rng().random()",
    ] {
        let python = Sandbox::builder(python_with("premade", premade)).program(&venv);
        let said = forked(python, &format!("import premade; print({number})")).await;
        assert_eq!(said.len(), RUNS, "{number}: {said:?}");
    }
}

async fn numbers_of_the_c_library_differ_in_forks() {
    let code = "import ctypes; c = ctypes.CDLL(None); c.drand48.restype = ctypes.c_double; \
                print(c.rand(), c.random(), c.drand48(), c.lrand48())";
    let said = forked(Sandbox::builder(python_with("premade", PREMADE)), code).await;
    let parts: Vec<BTreeSet<_>> = (0..4)
        .map(|at| said.iter().map(|line| line.split(' ').nth(at).unwrap().to_owned()).collect())
        .collect();
    assert!(parts.iter().all(|part| part.len() == RUNS), "{said:?}");
}

/// As in every cold run: whoever named a seed wants its numbers.
async fn a_generator_with_a_seed_of_its_own_keeps_it() {
    let premade = "import random\ngenerator = random.Random(7)\n";
    let code =
        "import premade, random; print(premade.generator.random() == random.Random(7).random())";
    let said = forked(Sandbox::builder(python_with("premade", premade)), code).await;
    assert_eq!(said.into_iter().collect::<Vec<_>>(), ["True\n"]);
}
