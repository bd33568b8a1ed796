//! The rows of the threat list that need something that waits ahead of a run.

use std::collections::BTreeSet;

use belljar::{Sandbox, Source, Template};
use belljar_protocol::{Identity, Order, Raise, Waiting, wire};
use belljar_tests::{
    Test, expect, expect_memory, limits, ready, run, sandbox, scratch, stderr, stdout, tests,
};

use crate::faults;
use crate::kinds::{FORKED, PREMADE, few, python_with, warm};
use crate::processes;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a103_no_socket_of_the_template_is_in_reach(Python),
        a104_the_template_and_its_children_are_out_of_reach(Python),
        a105_no_memory_is_shared_with_the_template(Python),
        a106_generators_made_before_the_fork_differ(Python),
        a107_hash_seed_and_layout_last_as_long_as_a_template(Python),
        a108_no_secret_is_in_the_memory_of_another_run(Python),
        a109_a_child_has_one_thread_and_every_filter(Python),
        a109_a_preload_that_starts_a_thread_is_refused(Python),
        a110_nothing_that_a_run_registers_is_called_elsewhere(Python),
        a111_a_child_without_memory_harms_no_other(Python),
        a112_an_interpreter_that_was_replaced_is_not_used_any_more(Python),
    ]
}

/// What a run prints that must succeed, forked.
async fn forked(sandbox: &Sandbox, source: impl Into<Source>) -> String {
    let outcome = FORKED.run(sandbox, source).await;
    expect(&outcome, "ok");
    stdout(&outcome)
}

async fn a103_no_socket_of_the_template_is_in_reach() {
    let sandbox = warm("python");
    let raise = Raise { serial: 1, identity: Identity { uid: 1, gid: 1 }, waiting: Waiting::Empty };
    let bytes = wire::encode_order(&Order::Raise(raise)).unwrap().to_vec();
    let code = format!(
        "import os, stat\nopen_, sent = [], 0\n\
         for fd in range(3, 256):\n \
            try: mode = os.fstat(fd).st_mode\n except OSError: continue\n open_.append(stat.S_ISSOCK(mode))\n\
         print(open_, flush=True)\n\
         for fd in range(3, 256):\n try: os.write(fd, bytes({bytes:?}))\n except OSError: pass\n"
    );
    for _ in 0..3 {
        // The one that is open is its line to the supervisor, and ends its run.
        let outcome = FORKED.run(&sandbox, code.as_str()).await;
        assert_eq!(stdout(&outcome), "[True]\n", "{outcome:?}");
    }
    assert_eq!(forked(&sandbox, "print(1)").await, "1\n");
    assert_eq!(sandbox.warmth().unwrap().generation, 1);
    sandbox.close().await;
}

async fn a104_the_template_and_its_children_are_out_of_reach() {
    let sandbox = warm("python");
    sandbox.warm_up().await.unwrap();
    let sibling =
        ready(&sandbox, "import time; print('ready'); time.sleep(1.5); print('whole')").await;
    let code = "import ctypes, os, signal\nc = ctypes.CDLL(None, use_errno=True)\n\
                reached = []\n\
                for pid in [os.getppid(), *range(2, 5000)]:\n \
                    if pid in (0, os.getpid()): continue\n \
                    try: os.kill(pid, 9); reached.append(pid)\n except OSError: pass\n \
                    if pid < 100 and c.ptrace(16, pid, 0, 0) == 0: reached.append(pid)\n\
                try: os.kill(1, 9)\nexcept OSError: pass\n\
                print(os.getppid(), reached)\n";
    assert_eq!(forked(&sandbox, code).await, "0 []\n");
    let sibling = sibling.wait().await.unwrap();
    assert_eq!(stdout(&sibling), "ready\nwhole\n");
    assert_eq!(sandbox.warmth().unwrap().generation, 1);
    sandbox.close().await;
}

async fn a105_no_memory_is_shared_with_the_template() {
    let sandbox = warm("python");
    // What the template shared with anybody, a child shares as well.
    let code = "shared = [line for line in open('/proc/self/maps') if line.split()[1][3] == 's']\n\
                print([line for line in shared if 'w' in line.split()[1]])";
    assert_eq!(forked(&sandbox, code).await, "[]\n");
    let vandal =
        "import json, sys, builtins\njson.dumps = print\nsys.modules.clear()\nbuiltins.open = None";
    FORKED.run(&sandbox, vandal).await;
    assert_eq!(
        forked(&sandbox, "import json; print(json.dumps(1), callable(open))").await,
        "1 True\n"
    );
    sandbox.close().await;
}

async fn a106_generators_made_before_the_fork_differ() {
    let template = Template::default().preload(["premade", "uuid", "secrets", "tempfile"]);
    let python = Sandbox::builder(python_with("premade", PREMADE)).limits(limits());
    let sandbox = python.warm(few().template(template)).build().unwrap();
    let code = "import ctypes, os, premade, random, secrets, tempfile, uuid\n\
                print(premade.generator.random(), random.random(), os.urandom(8), uuid.uuid4(), \
                      ctypes.CDLL(None).rand(), secrets.token_hex(), tempfile.mktemp(), sep='\\n')";
    let mut seen = BTreeSet::new();
    for _ in 0..4 {
        let said = forked(&sandbox, code).await;
        assert!(said.lines().all(|line| seen.insert(line.to_owned())), "{said} and {seen:?}");
    }
    sandbox.close().await;
}

async fn a107_hash_seed_and_layout_last_as_long_as_a_template() {
    let code = "print(hash('x'), id(object))";
    let template = Template::default().runs(4);
    let builder = sandbox("python").warm(few().template(template));
    let sandbox = builder.build().unwrap();
    let (first, second) = (forked(&sandbox, code).await, forked(&sandbox, code).await);
    assert_eq!(first, second);
    faults::await_generation(&sandbox, 2, code).await;
    let mut later = BTreeSet::from([first]);
    for _ in 0..6 {
        later.insert(forked(&sandbox, code).await);
    }
    assert!(later.len() > 1, "{later:?}");
    sandbox.close().await;
}

/// Looks at its whole memory, with an expression that does not match itself.
const LOOK: &str = "import re\nfound = 0\n\
    for line in open('/proc/self/maps'):\n \
        span, rights, *_ = line.split()\n \
        if rights[0] != 'r' or '[v' in line: continue\n \
        start, end = (int(at, 16) for at in span.split('-'))\n \
        with open('/proc/self/mem', 'rb', 0) as memory:\n  \
            try:\n   memory.seek(start); found += len(re.findall(b'PATTERN', memory.read(end - start)))\n  \
            except OSError: pass\n\
    print(found)\n";

async fn a108_no_secret_is_in_the_memory_of_another_run() {
    let sandbox = warm("python");
    let own = "import belljar; held = belljar.secrets['TOKEN'] * 3\n";
    let secret = |more: &str| {
        Source::code(format!("{own}{more}")).secret("TOKEN", "hush-4711-hush").unwrap()
    };
    let pattern = "hush-471[1]";
    let look = LOOK.replace("PATTERN", pattern);
    // It sees what is there.
    assert_ne!(forked(&sandbox, secret(&look)).await, "0\n");
    for _ in 0..3 {
        expect(&FORKED.run(&sandbox, secret("")).await, "ok");
        assert_eq!(forked(&sandbox, look.as_str()).await, "0\n");
    }
    // Nor is anything of the supervisor, by way of the template.
    let canary = LOOK.replace("PATTERN", "BELLJAR_ATTACK_CANAR[Y]");
    assert_eq!(forked(&sandbox, canary).await, "0\n");
    sandbox.close().await;
}

async fn a109_a_child_has_one_thread_and_every_filter() {
    let code = "import os; fields = dict(l.rstrip().split(':\\t') for l in open('/proc/self/status') if ':\t' in l.rstrip())\n\
                print([fields[n] for n in ('Threads', 'Seccomp', 'NoNewPrivs', 'CapEff', 'CapBnd')])";
    let sandbox = warm("python");
    let said = forked(&sandbox, code).await;
    assert_eq!(said, "['1', '2', '1', '0000000000000000', '0000000000000000']\n");
    let filters =
        "print([l for l in open('/proc/self/status') if l.startswith('Seccomp_filters')])";
    let cold = stdout(&run("python", filters).await);
    assert_eq!(forked(&sandbox, filters).await, cold);
    sandbox.close().await;
}

async fn a109_a_preload_that_starts_a_thread_is_refused() {
    let text = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n";
    faults::refused(text, "it started a thread").await;
}

async fn a110_nothing_that_a_run_registers_is_called_elsewhere() {
    let sandbox = warm("python");
    let code = "import atexit, gc, os, sys, threading, weakref\n\
                class Last:\n def __del__(self): os.write(1, b'finalised\\n')\n\
                sys.kept = Last(); sys.modules['kept'] = Last()\n\
                atexit.register(os.write, 1, b'at exit\\n')\n\
                os.register_at_fork(before=lambda: os.write(1, b'fork\\n'))\n\
                gc.callbacks.append(lambda *a: None)\n\
                sys.addaudithook(lambda *a: None)\n";
    let first = forked(&sandbox, code).await;
    assert_eq!(first.matches("at exit").count(), 1, "{first}");
    for _ in 0..6 {
        assert_eq!(forked(&sandbox, "print(1)").await, "1\n");
    }
    sandbox.close().await;
}

async fn a111_a_child_without_memory_harms_no_other() {
    let limits = belljar::Limits { memory_bytes: 64 << 20, ..limits() };
    let sandbox = crate::kinds::warm_with("python", limits);
    sandbox.warm_up().await.unwrap();
    let sibling =
        ready(&sandbox, "import time; print('ready'); time.sleep(1.5); print('whole')").await;
    for _ in 0..3 {
        let hog = "held = []\nwhile True: held.append(bytearray(b'x') * (1 << 20))";
        expect_memory(&FORKED.run(&sandbox, hog).await);
        assert_eq!(forked(&sandbox, "print(1)").await, "1\n");
    }
    assert_eq!(stdout(&sibling.wait().await.unwrap()), "ready\nwhole\n");
    assert_eq!(sandbox.warmth().unwrap().generation, 1);
    sandbox.close().await;
}

async fn a112_an_interpreter_that_was_replaced_is_not_used_any_more()
-> Result<belljar_tests::Completion, String> {
    let directory = scratch();
    let path = directory.path().join("python3");
    let own = sandbox("python").build().unwrap();
    let (original, version) =
        (own.interpreter().program().to_owned(), own.interpreter().version().to_owned());
    let bytes = std::fs::read(original).unwrap();
    let later = format!("{}~", version.get(..version.len() - 1).unwrap());
    // Between the ends of other texts: paths may have it in them.
    let [from, to] = [&version, &later].map(|version| format!("\0{version}\0"));
    let Some(changed) = faults::replaced(&bytes, from.as_bytes(), to.as_bytes()) else {
        let why = "this interpreter does not hold its own version";
        return Ok(belljar_tests::Completion::ignored_with(why));
    };
    faults::install(&path, &bytes);
    let builder = sandbox("python").program(&path).warm(few());
    let sandbox = builder.build().map_err(|error| error.to_string())?;
    let code = "import sys; print(sys.version.split()[0])";
    assert_eq!(forked(&sandbox, code).await, format!("{version}\n"));
    faults::install(&path, &changed);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    for _ in 0..4 {
        let outcome = sandbox.run(code).await.unwrap();
        assert_eq!(
            stdout(&outcome),
            format!("{later}\n"),
            "{}: {}",
            outcome.start.name(),
            stderr(&outcome)
        );
    }
    assert_eq!(forked(&sandbox, code).await, format!("{later}\n"));
    sandbox.close().await;
    processes::none_is_called(path.to_str().unwrap()).await;
    Ok(belljar_tests::Completion::Completed)
}
