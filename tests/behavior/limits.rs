//! No limit is dead: each one, lowered alone, changes what a payload can do.

use std::time::Duration;

use belljar::{Error, Limits, Outcome, Source};
use belljar_tests::{Test, expect, limits, run, run_with, sandbox, stderr, stdout, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        every_limit_when_lowered_changes_a_run(Python, Alone),
        a_fork_bomb_is_contained(Python, Alone),
        threads_count_as_processes(Python),
        a_full_disk_is_seen_by_the_payload(Python),
        one_disk_is_behind_every_writable_place(Python),
        files_without_bytes_are_counted_too(Python),
        a_file_that_grows_too_large_is_cut_by_a_signal(Python),
        descriptors_run_out_for_each_process_alone(Python),
        a_payload_cannot_raise_its_own_limits(Python),
        a_limit_of_zero_or_above_the_ceiling_is_refused(),
        a_lowered_ceiling_binds(),
        the_limits_of_a_run_are_told(Bash),
        other_limits_leave_the_first_sandbox_as_it_was(Bash),
    ]
}

/// What a payload sees, or how it ended: enough to tell two runs apart.
async fn seen(limits: Limits, source: Source) -> String {
    let outcome = run_with("python", limits, source).await;
    let artifacts: Vec<usize> = outcome.artifacts.iter().map(|file| file.bytes.len()).collect();
    let kept = (outcome.stdout.dropped_bytes, outcome.stderr.dropped_bytes);
    format!("{} {} {kept:?} {artifacts:?}", outcome.verdict.status(), stdout(&outcome))
}

const FILES: &str = "import itertools\n\
                     try:\n    \
                         for n in itertools.count():\n        \
                             if n == 500: break\n        \
                             open(f'/tmp/{n}', 'w').close()\n\
                     except OSError as error: print(error.errno)\n";
const OPEN: &str = "import itertools, os\n\
                    try:\n    \
                        for n in range(100): os.open('/dev/null', os.O_RDONLY)\n\
                    except OSError as error: print(error.errno)\n";
const THREADS: &str = "import threading\n\
                       stop = threading.Event()\n\
                       try:\n    \
                           for n in range(20): threading.Thread(target=stop.wait).start()\n\
                       except RuntimeError as error: print('no more')\n\
                       stop.set()\n";

async fn every_limit_when_lowered_changes_a_run() {
    let code = Source::code;
    let collect = |code: &str| Source::code(code).collect("*.txt");
    let write = "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n\
                 try: print(open('/tmp/x', 'wb').write(b'x' * 3_000_000))\n\
                 except OSError as error: print(error.errno)\n";
    let two = "for name in 'ab': open(name + '.txt', 'w').write('x' * 1000)";
    let hold = "import time\nheld = bytearray(b'x') * (100 << 20)\ntime.sleep(0.2)";
    let spin = "import time\nwhile time.process_time() < 1.4: pass";
    let l = limits;
    let table = [
        ("memory_bytes", code(hold), Limits { memory_bytes: 50 << 20, ..l() }),
        ("cpu_ms", code(spin), Limits { cpu: Duration::from_millis(500), ..l() }),
        (
            "wall_ms",
            code("import time\ntime.sleep(1)"),
            Limits { wall: Duration::from_millis(300), ..l() },
        ),
        ("descriptors", code(OPEN), Limits { descriptors: 32, ..l() }),
        ("stdout_bytes", code("print('x' * 100)"), Limits { stdout_bytes: 10, ..l() }),
        ("stderr_bytes", code("raise SystemExit('x' * 100)"), Limits { stderr_bytes: 10, ..l() }),
        ("processes", code(THREADS), Limits { processes: 8, ..l() }),
        ("disk_bytes", code(write), Limits { disk_bytes: 1 << 20, ..l() }),
        ("inodes", code(FILES), Limits { inodes: 64, ..l() }),
        ("file_bytes", code(write), Limits { file_bytes: 1 << 20, ..l() }),
        ("artifacts", collect(two), Limits { artifacts: 1, ..l() }),
        ("artifact_bytes", collect(two), Limits { artifact_bytes: 1500, ..l() }),
    ];
    let names: Vec<_> = limits().rows().map(|(name, _)| name).to_vec();
    let known = table.iter().map(|row| row.0).chain(crate::gate::LIMITS);
    assert_eq!(known.collect::<Vec<_>>(), names);
    for (name, source, lowered) in table {
        let plenty = seen(limits(), source.clone()).await;
        let little = seen(lowered, source).await;
        assert_ne!(plenty, little, "{name}");
        assert!(plenty.starts_with("ok") || name == "stderr_bytes", "{name}: {plenty}");
    }
}

async fn a_fork_bomb_is_contained() {
    let code = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n";
    let limits = Limits { processes: 32, wall: Duration::from_secs(1), ..limits() };
    let outcome = run_with("python", limits, code).await;
    expect(&outcome, "wall_time");
    let peak = outcome.usage.processes_peak;
    assert!(peak > 8 && peak <= 32, "{peak} processes");
    assert!(outcome.usage.wall < Duration::from_secs(5), "{:?}", outcome.usage);
}

async fn threads_count_as_processes() {
    let outcome = run_with("python", Limits { processes: 8, ..limits() }, THREADS).await;
    assert_eq!(stdout(&outcome), "no more\n");
    assert!(outcome.usage.processes_peak <= 8, "{:?}", outcome.usage);
}

async fn a_full_disk_is_seen_by_the_payload() {
    let code = "import errno\n\
                try:\n    \
                    with open('/work/x', 'wb') as file:\n        \
                        while True: file.write(b'x' * 65536)\n\
                except OSError as error: print(errno.errorcode[error.errno])\n";
    let outcome = run_with("python", Limits { disk_bytes: 2 << 20, ..limits() }, code).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "ENOSPC\n");
}

async fn one_disk_is_behind_every_writable_place() {
    let code = "import errno\n\
                for place in ('/work', '/tmp', '/dev/shm', '/work'):\n    \
                    try:\n        \
                        with open(place + '/x', 'ab') as file: file.write(b'x' * 900_000)\n        \
                        print('fits')\n    \
                    except OSError as error: print(errno.errorcode[error.errno])\n";
    let outcome = run_with("python", Limits { disk_bytes: 2 << 20, ..limits() }, code).await;
    assert_eq!(stdout(&outcome), "fits\nfits\nENOSPC\nENOSPC\n");
}

async fn files_without_bytes_are_counted_too() {
    let outcome = run_with("python", Limits { inodes: 100, ..limits() }, FILES).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "28\n");
}

async fn a_file_that_grows_too_large_is_cut_by_a_signal() {
    let code = "import signal\n\
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n\
                file = open('/work/x', 'wb')\n\
                while True: file.write(b'x' * 65536)\n";
    let outcome = run_with("python", Limits { file_bytes: 1 << 20, ..limits() }, code).await;
    assert_eq!(outcome.verdict.signal(), Some(25), "{}", stderr(&outcome));
}

async fn descriptors_run_out_for_each_process_alone() {
    let code = "import errno, os\n\
                def fill():\n    \
                    opened = 0\n    \
                    try:\n        \
                        while True:\n            \
                            os.open('/dev/null', os.O_RDONLY)\n            \
                            opened += 1\n    \
                    except OSError as error: print(errno.errorcode[error.errno], opened, flush=True)\n\
                if os.fork() == 0:\n    \
                    fill()\n    \
                    os._exit(0)\n\
                os.wait()\n\
                fill()\n";
    let outcome = run_with("python", Limits { descriptors: 20, ..limits() }, code).await;
    assert_eq!(stdout(&outcome), "EMFILE 17\nEMFILE 17\n", "{}", stderr(&outcome));
}

async fn a_payload_cannot_raise_its_own_limits() {
    let code = "import resource\n\
                for name in ('NOFILE', 'NPROC', 'FSIZE', 'CPU', 'CORE'):\n    \
                    limit = getattr(resource, 'RLIMIT_' + name)\n    \
                    soft, hard = resource.getrlimit(limit)\n    \
                    try:\n        \
                        resource.setrlimit(limit, (hard + 1, hard + 1))\n        \
                        print(name)\n    \
                    except (ValueError, OSError): pass\n";
    let outcome = run("python", code).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "");
}

/// Each limit by its name, with a value of our choice.
fn with(name: &str, value: u64) -> Limits {
    let mut limits = Limits::strict();
    let small = || u32::try_from(value).unwrap_or(u32::MAX);
    match name {
        "memory_bytes" => limits.memory_bytes = value,
        "cpu_ms" => limits.cpu = Duration::from_millis(value),
        "wall_ms" => limits.wall = Duration::from_millis(value),
        "descriptors" => limits.descriptors = small(),
        "stdout_bytes" => limits.stdout_bytes = value,
        "stderr_bytes" => limits.stderr_bytes = value,
        "processes" => limits.processes = small(),
        "disk_bytes" => limits.disk_bytes = value,
        "inodes" => limits.inodes = value,
        "file_bytes" => limits.file_bytes = value,
        "artifacts" => limits.artifacts = small(),
        "artifact_bytes" => limits.artifact_bytes = value,
        "connections" => limits.connections = small(),
        "network_bytes" => limits.network_bytes = value,
        "network_bytes_per_s" => limits.network_bytes_per_s = value,
        other => unreachable!("a limit that no test knows: {other}"),
    }
    limits
}

async fn a_limit_of_zero_or_above_the_ceiling_is_refused() {
    for (name, most) in Limits::ceiling().rows() {
        let refused = |value: u64| {
            let error = sandbox("native").limits(with(name, value)).build().unwrap_err();
            assert!(matches!(&error, Error::Invalid(_)), "{error:?}");
            assert!(error.to_string().contains(name), "{name}: {error}");
        };
        refused(most + 1);
        if !name.starts_with("std") && !name.starts_with("artifact") {
            refused(0);
        }
    }
}

async fn a_lowered_ceiling_binds() {
    for (name, _) in Limits::strict().rows() {
        let least = with(name, 1);
        let build = sandbox("native").limits(Limits::strict()).ceiling(least).build();
        assert!(build.unwrap_err().to_string().contains(name));
    }
    let sandbox = sandbox("native").ceiling(Limits::strict()).build().unwrap();
    let greedy = Limits { processes: 65, ..Limits::strict() };
    assert!(sandbox.with_limits(greedy).unwrap_err().to_string().contains("processes"));
}

async fn the_limits_of_a_run_are_told() {
    let limits = Limits { processes: 7, inodes: 1234, ..limits() };
    let outcome: Outcome = run_with("bash", limits.clone(), ":").await;
    assert_eq!(outcome.limits, limits);
}

async fn other_limits_leave_the_first_sandbox_as_it_was() {
    let first = sandbox("bash").build().unwrap();
    let second = first.with_limits(Limits { stdout_bytes: 2, ..limits() }).unwrap();
    let code = "echo 12345";
    assert_eq!(second.run(code).await.unwrap().stdout.bytes, b"12");
    assert_eq!(first.run(code).await.unwrap().stdout.bytes, b"12345\n");
}
