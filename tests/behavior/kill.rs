//! Kill is true and total: whoever asks for it and whatever the payload does, nothing is left.

use std::time::{Duration, Instant};

use belljar::Limits;
use belljar_tests::{Before, Test, expect, limits, ready, run_with, sandbox, stdout, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_run_that_ends_by_itself_leaves_nothing(Bash, Alone),
        a_cancelled_run_leaves_nothing(Bash, Alone),
        a_dropped_run_leaves_nothing(Bash, Alone),
        a_dropped_wait_leaves_nothing(Bash, Alone),
        a_future_that_is_dropped_at_any_moment_leaves_nothing(Bash, Alone),
        a_run_out_of_time_leaves_nothing(Bash, Alone),
        a_daemon_is_killed_with_its_run(Python, Alone),
        double_forks_are_killed(Python, Alone),
        a_flood_of_zombies_is_swept(Python, Alone),
        stopped_processes_are_killed(Bash, Alone),
        processes_that_block_every_signal_are_killed(Python, Alone),
        a_fork_bomb_is_killed(Python, Alone),
        a_payload_that_ends_while_its_tree_grows_leaves_nothing(Python, Alone),
        an_error_before_the_start_leaves_nothing(Bash, Alone),
        many_at_once_leave_nothing(Bash, Alone),
    ]
}

/// Kills code once it is ready; that takes half a second, and leaves nothing.
async fn killed(runtime: &str, code: &str) {
    // Whatever finding an interpreter opens stays open for all.
    let sandbox = sandbox(runtime).build().unwrap();
    let before = Before::look();
    let mut took = Duration::MAX;
    // Somebody else may need the processors; not three times in a row.
    for _ in 0..3 {
        let run = ready(&sandbox, code).await;
        let asked = Instant::now();
        let outcome = run.kill().await.unwrap();
        let once = asked.elapsed();
        expect(&outcome, "cancelled");
        assert!(once < Duration::from_secs(5), "took {once:?}");
        took = took.min(once);
        if took < Duration::from_millis(500) {
            break;
        }
    }
    assert!(took < Duration::from_millis(500), "took {took:?} at best");
    before.unchanged().await;
}

async fn a_run_that_ends_by_itself_leaves_nothing() {
    let before = Before::look();
    let outcome = run_with("bash", limits(), "sleep 30 & sleep 30 & echo done").await;
    assert_eq!(stdout(&outcome), "done\n");
    before.unchanged().await;
}

async fn a_cancelled_run_leaves_nothing() {
    killed("bash", "sleep 30 & echo ready; sleep 30").await;
}

async fn a_dropped_run_leaves_nothing() {
    let sandbox = sandbox("bash").build().unwrap();
    let before = Before::look();
    let run = ready(&sandbox, "sleep 30 & echo ready; sleep 30").await;
    drop(run);
    before.unchanged().await;
}

async fn a_dropped_wait_leaves_nothing() {
    let sandbox = sandbox("bash").build().unwrap();
    let before = Before::look();
    let run = ready(&sandbox, "echo ready; sleep 30").await;
    let waited = tokio::time::timeout(Duration::from_millis(50), run.wait()).await;
    assert!(waited.is_err());
    before.unchanged().await;
}

async fn a_future_that_is_dropped_at_any_moment_leaves_nothing() {
    let sandbox = sandbox("bash").build().unwrap();
    let before = Before::look();
    for micros in (0..30_000).step_by(1500) {
        let run = sandbox.run("sleep 30");
        let finished = tokio::time::timeout(Duration::from_micros(micros), run).await;
        assert!(finished.is_err(), "{finished:?}");
    }
    before.unchanged().await;
}

async fn a_run_out_of_time_leaves_nothing() {
    let before = Before::look();
    let limits = Limits { wall: Duration::from_millis(200), ..limits() };
    expect(&run_with("bash", limits, "sleep 30 & sleep 30").await, "wall_time");
    before.unchanged().await;
}

async fn a_daemon_is_killed_with_its_run() {
    let code = "import os, time\n\
                if os.fork() == 0:\n    \
                    os.setsid()\n    \
                    if os.fork() == 0:\n        \
                        os.closerange(0, 3)\n        \
                        time.sleep(30)\n    \
                    os._exit(0)\n\
                os.wait()\n\
                print('ready', flush=True)\n\
                time.sleep(30)\n";
    killed("python", code).await;
}

async fn double_forks_are_killed() {
    let code = "import os, time\n\
                for _ in range(20):\n    \
                    if os.fork() == 0:\n        \
                        os.setsid()\n        \
                        if os.fork() == 0: time.sleep(30)\n        \
                        os._exit(0)\n    \
                    os.wait()\n\
                print('ready', flush=True)\n\
                time.sleep(30)\n";
    killed("python", code).await;
}

async fn a_flood_of_zombies_is_swept() {
    let code = "import os, time\n\
                for _ in range(40):\n    \
                    if os.fork() == 0: os._exit(0)\n\
                print('ready', flush=True)\n\
                time.sleep(30)\n";
    killed("python", code).await;
}

async fn stopped_processes_are_killed() {
    killed("bash", "for i in 1 2 3; do sleep 30 & kill -STOP $!; done; echo ready; kill -STOP $$")
        .await;
}

async fn processes_that_block_every_signal_are_killed() {
    let code = "import os, signal, time\n\
                signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n\
                for _ in range(3):\n    \
                    if os.fork() == 0:\n        \
                        while True: time.sleep(1)\n\
                print('ready', flush=True)\n\
                while True: pass\n";
    killed("python", code).await;
}

async fn a_fork_bomb_is_killed() {
    let code = "import os\n\
                print('ready', flush=True)\n\
                while True:\n    \
                    try: os.fork()\n    \
                    except OSError: pass\n";
    killed("python", code).await;
}

async fn a_payload_that_ends_while_its_tree_grows_leaves_nothing() {
    let code = "import os, time\n\
                if os.fork() == 0:\n    \
                    while True:\n        \
                        try: os.fork()\n        \
                        except OSError: pass\n\
                time.sleep(0.2)\n";
    drop(sandbox("python").build().unwrap());
    let before = Before::look();
    expect(&run_with("python", limits(), code).await, "ok");
    before.unchanged().await;
}

async fn an_error_before_the_start_leaves_nothing() {
    let sandbox = sandbox("bash").build().unwrap();
    let before = Before::look();
    for source in [
        belljar::Source::code("exit \0 1"),
        belljar::Source::code("true").file("../x", "x"),
        belljar::Source::code("true").collect("["),
        belljar::Source::code("x".repeat(2 << 20)),
    ] {
        assert!(sandbox.run(source).await.is_err());
    }
    before.unchanged().await;
}

async fn many_at_once_leave_nothing() {
    let sandbox = sandbox("bash").build().unwrap();
    let before = Before::look();
    let mut runs = Vec::new();
    for number in 0..6 {
        let code = if number % 2 == 0 { "sleep 30" } else { "echo done" };
        runs.push(sandbox.start(code).await.unwrap());
    }
    for (number, run) in runs.into_iter().enumerate() {
        if number % 2 == 0 {
            expect(&run.kill().await.unwrap(), "cancelled");
        } else {
            expect(&run.wait().await.unwrap(), "ok");
        }
    }
    before.unchanged().await;
}
