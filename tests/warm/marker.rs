//! The word by which a payload says that it is done comes from hostile code: it may end its run,
//! and nothing else.

use std::time::Duration;

use belljar::{Outcome, Verdict};
use belljar_tests::{Suite, Test, expect, stdout, tests};

use crate::kinds::{FORKED, Kind, PRIMED, Pools, warm};
use crate::processes;

/// What a payload does with its line, and how its run ends.
struct Abuse {
    kind: Kind,
    what: &'static str,
    code: &'static str,
    /// Any of these exit codes.
    codes: &'static [i32],
}

const fn abuse(kind: Kind, what: &'static str, code: &'static str, codes: &'static [i32]) -> Abuse {
    Abuse { kind, what, code, codes }
}

/// Finds the line, and takes its time once it was abused.
const LINE: &str = "import array, os, socket, stat, sys, time\n\
    def is_line(fd):\n try: return stat.S_ISSOCK(os.fstat(fd).st_mode)\n except OSError: return False\n\
    line = next(filter(is_line, range(3, 256)))\n\
    talk = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=os.dup(line))\n\
    def descriptors(word, count): talk.sendmsg([word], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0] * count))])\n";

#[rustfmt::skip]
const ABUSES: &[Abuse] = &[
    abuse(FORKED, "says_garbage", "talk.send(b'\\xff' * 200); time.sleep(60)", &[255]),
    abuse(FORKED, "says_much", "talk.send(bytes(100_000)); os._exit(0)", &[0]),
    abuse(FORKED, "says_nothing", "talk.send(b''); os._exit(3)", &[3]),
    abuse(FORKED, "speaks_through_a_child", "if os.fork() == 0: talk.send(b'\\x05')\ntime.sleep(60)", &[5]),
    abuse(FORKED, "closes_the_line", "os.close(line); talk.close(); sys.exit(4)", &[4]),
    abuse(FORKED, "closes_everything", "os.closerange(3, 256); sys.exit(4)", &[4]),
    abuse(FORKED, "puts_a_file_in_its_place", "os.dup2(os.open('/work/x', os.O_CREAT | os.O_RDWR), line); sys.exit(4)", &[4]),
    abuse(FORKED, "puts_a_socket_in_its_place", "one, other = socket.socketpair(); os.dup2(one.fileno(), line); sys.exit(4)", &[4]),
    abuse(FORKED, "hangs_up", "talk.shutdown(socket.SHUT_RDWR); os._exit(6)", &[6]),
    abuse(FORKED, "passes_descriptors", "descriptors(b'\\7', 250); time.sleep(60)", &[7]),
    abuse(FORKED, "passes_descriptors_and_says_nothing", "\ntry:\n while True: descriptors(b'', 250)\nexcept OSError: os._exit(8)", &[8]),
    abuse(FORKED, "floods_it", "\ntalk.setblocking(False)\nwhile True:\n try: talk.send(b'\\x09' * 4096)\n except OSError: time.sleep(0.001)", &[9]),
    abuse(FORKED, "speaks_and_dies_of_a_signal", "talk.send(b'\\x0b'); os.kill(os.getpid(), 9)", &[11]),
    abuse(FORKED, "speaks_orders", "talk.send(b'BJ\\x02\\x00\\x08' * 40); time.sleep(60)", &[66]),
    abuse(PRIMED, "says_garbage", "fs.writeSync(3, Buffer.alloc(200, 255)); for (;;);", &[255]),
    abuse(PRIMED, "says_much", "fs.writeSync(3, Buffer.alloc(100000)); process.kill(process.pid, 'SIGKILL')", &[0]),
    abuse(PRIMED, "closes_the_line", "fs.closeSync(3); process.exit(4)", &[4]),
    abuse(PRIMED, "speaks_through_a_child", "require('child_process').spawn(process.execPath, ['-e', 'require(\"fs\").writeSync(3, Buffer.of(5)); setTimeout(() => {}, 6e4)'], { stdio: ['ignore', 1, 2, 3] })", &[5]),
    abuse(PRIMED, "speaks_orders", "fs.writeSync(3, 'BJ'); for (;;);", &[66]),
];

pub(crate) fn add(mut suite: Suite, pools: &Pools) -> Suite {
    for row in ABUSES {
        let name = format!("warm::marker::{}::it_{}_and_harms_nobody", row.kind.name(), row.what);
        let pools = pools.clone();
        suite = suite.test(&name, row.kind.needs, move || harms_nobody(row, pools));
    }
    suite
}

pub(crate) fn tests() -> Vec<Test> {
    tests![
        floods_and_descriptors_cost_the_supervisor_nothing(Python, Alone),
        whoever_goes_on_after_the_marker_dies_with_its_jar(Python),
        a_worker_of_node_that_goes_on_dies_with_its_jar(Node),
    ]
}

async fn harms_nobody(row: &'static Abuse, pools: Pools) {
    let sandbox = pools.get(row.kind.runtime);
    let (prelude, next) = match row.kind.runtime {
        "python" => (LINE, "print(6 * 7)"),
        _ => ("const fs = require('fs');\n", "console.log(6 * 7)"),
    };
    let outcome = row.kind.run(&sandbox, format!("{prelude}{}", row.code)).await;
    is_well_formed(&outcome);
    let Verdict::Exited { code } = outcome.verdict else { panic!("{outcome:?}") };
    assert!(row.codes.contains(&code), "{code}: {outcome:?}");
    for _ in 0..2 {
        let next = row.kind.run(&sandbox, next).await;
        expect(&next, "ok");
        assert_eq!(stdout(&next), "42\n");
    }
}

fn is_well_formed(outcome: &Outcome) {
    let usage = &outcome.usage;
    assert!(usage.wall < Duration::from_secs(10), "{usage:?}");
    assert!(usage.cpu <= usage.wall * 4 + Duration::from_millis(100), "{usage:?}");
    assert!(usage.memory_peak_bytes < 1 << 30 && usage.processes_peak < 100, "{usage:?}");
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

async fn floods_and_descriptors_cost_the_supervisor_nothing() {
    const GROWTH_KIB: u64 = 4 * 1024;
    let sandbox = warm("python");
    let attack = format!(
        "{LINE}talk.setblocking(False)\nfor _ in range(1000):\n \
         try: descriptors(b'', 250)\n except OSError: pass\n \
         try: talk.send(bytes(200_000))\n except OSError: pass\n"
    );
    let mut before = None;
    for round in 0..30 {
        FORKED.run(&sandbox, attack.as_str()).await;
        if round == 9 {
            before = Some((resident_kib(), descriptors()));
        }
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let ((kib, count), (kib_now, count_now)) = (before.unwrap(), (resident_kib(), descriptors()));
    sandbox.close().await;
    assert!(kib_now <= kib + GROWTH_KIB, "{kib} KiB became {kib_now}");
    // A few jars more or less may be waiting.
    assert!(count_now <= count + 60, "{count} descriptors became {count_now}");
}

async fn whoever_goes_on_after_the_marker_dies_with_its_jar() {
    let sandbox = warm("python");
    let code = "import ctypes, os, time\n\
        for _ in range(3):\n \
            if os.fork() == 0:\n  \
                os.setsid(); ctypes.CDLL(None).prctl(15, b'bj-goes-on', 0, 0, 0)\n  \
                while True: time.sleep(0.001)\n\
        print('done')\n";
    for _ in 0..3 {
        let outcome = FORKED.run(&sandbox, code).await;
        expect(&outcome, "ok");
        processes::none_is_called("bj-goes-on").await;
    }
    sandbox.close().await;
}

async fn a_worker_of_node_that_goes_on_dies_with_its_jar() {
    let sandbox = warm("node");
    let code = "require('child_process').spawn(process.execPath, ['-e', 'for (;;);', 'bj-node-goes-on'], \
                { detached: true, stdio: 'ignore' }).unref(); setTimeout(() => {}, 50)";
    let outcome = PRIMED.run(&sandbox, code).await;
    expect(&outcome, "ok");
    processes::none_is_called("bj-node-goes-on").await;
    sandbox.close().await;
}
