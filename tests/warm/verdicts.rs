//! How a run is judged does not depend on how it was started.

use std::time::Duration;

use belljar::{Limits, OnOutputLimit, Outcome, Sandbox};
use belljar_tests::{Suite, Test, expect, expect_memory, limits, tests};

use crate::kinds::{FORKED, KINDS, Kind, Pools, warm};

/// A runtime, what ends its run, how that is called, and the code.
struct Ending {
    runtime: &'static str,
    what: &'static str,
    status: &'static str,
    code: &'static str,
}

const fn ending(
    runtime: &'static str,
    what: &'static str,
    status: &'static str,
    code: &'static str,
) -> Ending {
    Ending { runtime, what, status, code }
}

#[rustfmt::skip]
const ENDINGS: &[Ending] = &[
    ending("python", "memory", "memory", "held = []\nwhile True: held.append(bytearray(b'x') * (1 << 20))"),
    ending("python", "the_memory_of_a_child", "memory", "import os\nif os.fork() == 0:\n held = []\n while True: held.append(bytearray(b'x') * (1 << 20))\nos.wait()\nprint('done')"),
    ending("python", "processor_time", "cpu_time", "while True: pass"),
    ending("python", "processor_time_of_a_child", "cpu_time", "import os\nfor _ in range(2):\n if os.fork() == 0:\n  while True: pass\nos.wait()"),
    ending("python", "elapsed_time", "wall_time", "import time; time.sleep(60)"),
    ending("python", "output", "output", "print('x' * 200_000)"),
    ending("python", "output_on_the_other_stream", "output", "import sys; sys.stderr.write('x' * 200_000)"),
    ending("python", "an_exit_code", "nonzero_exit", "raise SystemExit(300 + 7)"),
    ending("python", "an_exit_at_once", "nonzero_exit", "import os; os._exit(7)"),
    ending("python", "an_exception", "nonzero_exit", "1 / 0"),
    ending("python", "a_signal", "signalled", "import os; os.kill(os.getpid(), 11)"),
    ending("python", "a_kill_of_its_own", "signalled", "import os; os.kill(os.getpid(), 9)"),
    ending("python", "a_forged_signal", "nonzero_exit", "import os; os._exit(137)"),
    ending("python", "a_fatal_call", "denied", "import ctypes; ctypes.CDLL(None).syscall(169, 0xfee1dead, 672274793, 0, 0)"),
    ending("python", "another_program", "ok", "import os, sys; os.execv(sys.executable, ['python', '-c', 'print(1)'])"),
    ending("node", "memory", "memory", "const held = []; for (;;) held.push(Buffer.alloc(1 << 20, 1));"),
    ending("node", "processor_time", "cpu_time", "for (;;);"),
    ending("node", "elapsed_time", "wall_time", "setTimeout(() => {}, 6e4)"),
    ending("node", "output", "output", "require('fs').writeFileSync(1, 'x'.repeat(200000)); setTimeout(() => {}, 6e4)"),
    ending("node", "an_exit_code", "nonzero_exit", "process.exit(7)"),
    ending("node", "an_exception", "nonzero_exit", "throw new Error('x')"),
    ending("node", "a_rejection", "nonzero_exit", "Promise.reject(new Error('x'))"),
    ending("node", "a_signal", "signalled", "process.kill(process.pid, 'SIGSEGV'); for (;;);"),
    ending("node", "an_abort", "signalled", "process.abort()"),
    ending("bash", "memory", "memory", "head -c 1G /dev/zero | tail | cat"),
    ending("bash", "processor_time", "cpu_time", "while :; do :; done"),
    ending("bash", "elapsed_time", "wall_time", "sleep 60"),
    ending("bash", "output", "output", "head -c 200000 /dev/zero; sleep 60"),
    ending("bash", "an_exit_code", "nonzero_exit", "exit 7"),
    ending("bash", "a_signal", "signalled", "kill -SEGV $$"),
    ending("js", "processor_time", "cpu_time", "for (;;);"),
    ending("js", "an_exit_code", "nonzero_exit", "belljar.exit(7)"),
    ending("js", "an_exception", "nonzero_exit", "throw new Error('x')"),
];

fn narrow() -> Limits {
    Limits {
        cpu: Duration::from_secs(1),
        wall: Duration::from_mins(1),
        memory_bytes: 128 << 20,
        stdout_bytes: 100_000,
        stderr_bytes: 100_000,
        on_output_limit: OnOutputLimit::Kill,
        ..limits()
    }
}

pub(crate) fn add(mut suite: Suite, pools: &Pools) -> Suite {
    for kind in KINDS {
        for row in ENDINGS.iter().filter(|row| row.runtime == kind.runtime) {
            let name = format!("warm::verdicts::{}::{}_is_{}", kind.name(), row.what, row.status);
            let pools = pools.clone();
            suite = suite.test(&name, kind.needs, move || is_judged(kind, row, pools));
        }
    }
    suite
}

async fn is_judged(kind: Kind, row: &'static Ending, pools: Pools) {
    let sandbox = match row.status {
        "wall_time" => {
            let brief = Limits { wall: Duration::from_secs(1), ..narrow() };
            pools.get_with(kind.runtime, "brief", brief)
        }
        // On a slow machine an interpreter needs a while to fill its memory.
        "memory" => {
            let patient = Limits { cpu: Duration::from_secs(5), ..narrow() };
            pools.get_with(kind.runtime, "patient", patient)
        }
        _ => pools.get_with(kind.runtime, "narrow", narrow()),
    };
    let outcome = kind.run(&sandbox, row.code).await;
    match row.status {
        "memory" => expect_memory(&outcome),
        status => expect(&outcome, status),
    }
    if row.what == "an_exit_code" || row.what == "an_exit_at_once" {
        let code = outcome.verdict.exit_code();
        assert!([Some(7), Some((300 + 7) & 255)].contains(&code), "{code:?}");
    }
}

pub(crate) fn tests() -> Vec<Test> {
    tests![
        the_last_call_before_the_end_is_told(Python),
        a_call_refused_to_somebody_left_behind_is_told(Python),
        usage_is_what_was_used(Python),
    ]
}

/// What is told of a refused call, and how often it is counted.
fn told(outcome: &Outcome) -> Vec<(String, u64)> {
    outcome.denials.iter().map(|denied| (denied.what.clone(), denied.count)).collect()
}

async fn cold_and_warm(sandbox: &Sandbox, code: &str) {
    let cold = sandbox.run(belljar::Source::code(code).start(belljar::StartChoice::Cold));
    let expected = told(&cold.await.unwrap());
    assert!(!expected.is_empty());
    for _ in 0..15 {
        let outcome = FORKED.run(sandbox, code).await;
        assert_eq!(told(&outcome), expected);
    }
}

async fn the_last_call_before_the_end_is_told() {
    let sandbox = warm("python");
    for end in ["", "import os; os._exit(0)", "import os; os.kill(os.getpid(), 9)"] {
        let call =
            "import ctypes; c = ctypes.CDLL(None)\nfor _ in range(3): c.ptrace(0, 0, 0, 0)\n";
        cold_and_warm(&sandbox, &format!("{call}{end}")).await;
    }
    sandbox.close().await;
}

async fn a_call_refused_to_somebody_left_behind_is_told() {
    let sandbox = warm("python");
    let code = "import ctypes, os; c = ctypes.CDLL(None)\nr, w = os.pipe()\n\
                if os.fork() == 0:\n c.ptrace(0, 0, 0, 0)\n os.write(w, b'x')\n os._exit(0)\n\
                os.read(r, 1)\nc.unshare(0x10000000)\n";
    cold_and_warm(&sandbox, code).await;
    sandbox.close().await;
}

async fn usage_is_what_was_used() {
    let sandbox = warm("python");
    let code = "import time\nuntil = time.process_time() + 0.3\nheld = bytearray(b'x') * (40 << 20)\n\
                while time.process_time() < until: pass\n";
    for _ in 0..3 {
        let usage = FORKED.run(&sandbox, code).await.usage;
        assert!(
            (Duration::from_millis(250)..Duration::from_millis(900)).contains(&usage.cpu),
            "{usage:?}"
        );
        assert!(usage.wall >= Duration::from_millis(300), "{usage:?}");
        assert!((40 << 20..90 << 20).contains(&usage.memory_peak_bytes), "{usage:?}");
    }
    sandbox.close().await;
}
