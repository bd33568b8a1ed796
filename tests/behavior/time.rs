//! Clocks: each limit ends a run by its own name, in time, and usage is true.

use std::time::{Duration, Instant};

use belljar::Limits;
use belljar_tests::{Test, expect, limits, run, run_out, run_with, stdout, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_sleeper_is_out_of_time(Bash, Alone),
        a_payload_that_stops_itself_is_out_of_time(Bash, Alone),
        a_payload_that_ignores_every_signal_is_out_of_time(Python, Alone),
        a_payload_whose_child_stops_it_is_out_of_time(Bash, Alone),
        a_loop_uses_up_its_processor_time(Bash, Alone),
        a_payload_that_ignores_sigxcpu_uses_up_its_processor_time(Python, Alone),
        a_chain_of_short_children_uses_up_its_processor_time(Python, Alone),
        threads_use_up_their_processor_time_together(Python, Alone),
        usage_counts_what_children_used(Python),
        usage_of_a_cut_off_run_counts_its_tree(Python, Alone),
        idle_time_is_not_processor_time(Bash),
        the_wall_clock_of_usage_is_that_of_the_payload(Bash),
    ]
}

fn short(wall_ms: u64, cpu_ms: u64) -> Limits {
    Limits { wall: Duration::from_millis(wall_ms), cpu: Duration::from_millis(cpu_ms), ..limits() }
}

/// Half a second is what a run may take longer than its limit.
const GRACE: Duration = Duration::from_millis(500);

async fn out_of_time(runtime: &str, code: &str) {
    // Interpreters are looked up once; that is no part of a run.
    run(runtime, "").await;
    let limit = Duration::from_millis(400);
    let mut took = Duration::MAX;
    // Somebody else may need the processors; not three times in a row.
    for _ in 0..3 {
        let began = Instant::now();
        let outcome = run_with(runtime, short(400, 20_000), code).await;
        took = took.min(began.elapsed());
        expect(&outcome, "wall_time");
        assert!(outcome.usage.wall >= limit, "{:?}", outcome.usage);
        assert_eq!((outcome.verdict.exit_code(), outcome.verdict.signal()), (None, None));
        if took < limit + GRACE {
            return;
        }
    }
    unreachable!("took {took:?} at best with a limit of {limit:?}");
}

/// What the clock on the wall says meanwhile is up to who else uses the processors.
async fn out_of_cpu(runtime: &str, code: &str, cpu_ms: u64) {
    let limit = Duration::from_millis(cpu_ms);
    let mut used = Duration::MAX;
    // Whoever looks may be kept from it, while several processors are used; not three times.
    for _ in 0..3 {
        let outcome = run_with(runtime, short(20_000, cpu_ms), code).await;
        expect(&outcome, "cpu_time");
        let cpu = outcome.usage.cpu;
        // A killed tree may have used a tick less than the counter said at the time.
        assert!(cpu + Duration::from_millis(20) >= limit, "used {cpu:?}");
        used = used.min(cpu);
        if used < limit + GRACE {
            return;
        }
    }
    unreachable!("used {used:?} at best with a limit of {limit:?}");
}

async fn a_sleeper_is_out_of_time() {
    out_of_time("bash", "sleep 30").await;
}

async fn a_payload_that_stops_itself_is_out_of_time() {
    out_of_time("bash", "kill -STOP $$; echo never").await;
}

async fn a_payload_that_ignores_every_signal_is_out_of_time() {
    let code = "import signal, time\n\
                for number in set(signal.valid_signals()) - {9, 19}:\n    \
                    signal.signal(number, signal.SIG_IGN)\n\
                signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n\
                while True: time.sleep(10)\n";
    out_of_time("python", code).await;
}

async fn a_payload_whose_child_stops_it_is_out_of_time() {
    out_of_time("bash", "(setsid bash -c \"sleep 0.1; kill -STOP $$; sleep 30\") & wait").await;
}

async fn a_loop_uses_up_its_processor_time() {
    out_of_cpu("bash", "while :; do :; done", 500).await;
}

async fn a_payload_that_ignores_sigxcpu_uses_up_its_processor_time() {
    let code = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass\n";
    out_of_cpu("python", code, 1000).await;
}

/// No child comes near a limit of its own; together they are over it.
async fn a_chain_of_short_children_uses_up_its_processor_time() {
    let code = "import os, time\n\
                while True:\n    \
                    if os.fork() == 0:\n        \
                        until = time.process_time() + 0.1\n        \
                        while time.process_time() < until: pass\n        \
                        os._exit(0)\n    \
                    os.wait()\n";
    out_of_cpu("python", code, 1000).await;
}

async fn threads_use_up_their_processor_time_together() {
    let code = "import os\n\
                for _ in range(3):\n    \
                    if os.fork() == 0: break\n\
                while True: pass\n";
    out_of_cpu("python", code, 800).await;
}

async fn usage_counts_what_children_used() {
    let code = "import os, time\n\
                for _ in range(4):\n    \
                    if os.fork() == 0:\n        \
                        until = time.process_time() + 0.15\n        \
                        while time.process_time() < until: os.getppid()\n        \
                        os._exit(0)\n    \
                    os.wait()\n\
                print(sum(os.times()[:4]))\n";
    let outcome = run("python", code).await;
    expect(&outcome, "ok");
    let told: f64 = stdout(&outcome).trim().parse().unwrap();
    let counted = outcome.usage.cpu.as_secs_f64();
    // times(2) counts in ticks of 10 ms, one of which may be missing per process.
    assert!(counted > told * 0.9 - 0.05 && counted < told * 1.3 + 0.05, "{counted} and {told}");
}

async fn usage_of_a_cut_off_run_counts_its_tree() {
    let code = "import os, time\n\
                if os.fork() == 0:\n    \
                    until = time.process_time() + 0.3\n    \
                    while time.process_time() < until: pass\n    \
                    os._exit(0)\n\
                os.wait()\n\
                print('ready', flush=True)\n\
                time.sleep(30)\n";
    let cpu = run_out("python", Duration::from_millis(1500), code).await.usage.cpu;
    // Beside it there is the start of an interpreter.
    assert!(cpu >= Duration::from_millis(300) && cpu < Duration::from_secs(2), "{cpu:?}");
}

async fn idle_time_is_not_processor_time() {
    let outcome = run("bash", "sleep 0.5").await;
    expect(&outcome, "ok");
    assert!(outcome.usage.cpu < Duration::from_millis(200), "{:?}", outcome.usage);
}

async fn the_wall_clock_of_usage_is_that_of_the_payload() {
    let began = Instant::now();
    let outcome = run("bash", "sleep 0.3").await;
    let (wall, whole) = (outcome.usage.wall, began.elapsed());
    assert!(wall >= Duration::from_millis(300) && wall < whole, "{wall:?} of {whole:?}");
    assert_eq!(outcome.timings.run, wall);
}
