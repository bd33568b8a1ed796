//! One run beside another of the same sandbox: neither finds the other.

use belljar::{Sandbox, Source};
use belljar_tests::{Suite, Test, expect, ready, stdout, tests};

use crate::kinds::{FORKED, JAR, Kind, PRIMED, Pools, warm};

/// What the one does until it says that it is ready, and goes on doing for a while; what the
/// other, beside it, prints; and what the first prints then.
struct Pair {
    kind: Kind,
    what: &'static str,
    one: &'static str,
    other: &'static str,
    prints: &'static str,
    then: &'static str,
}

const fn pair(
    kind: Kind,
    what: &'static str,
    one: &'static str,
    other: &'static str,
    prints: &'static str,
    then: &'static str,
) -> Pair {
    Pair { kind, what, one, other, prints, then }
}

#[rustfmt::skip]
const PAIRS: &[Pair] = &[
    pair(FORKED, "abstract_socket",
        "import socket, select\ns = socket.socket(socket.AF_UNIX); s.bind('\\0belljar-beside'); s.listen()\nd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); d.bind('\\0belljar-beside-d')\nprint('ready')\nprint(len(select.select([s, d], [], [], 1)[0]))",
        "import socket\nfor kind, name in ((socket.SOCK_STREAM, '\\0belljar-beside'), (socket.SOCK_DGRAM, '\\0belljar-beside-d')):\n s = socket.socket(socket.AF_UNIX, kind)\n try: s.connect(name); print('connected')\n except OSError as e: print('refused')\n",
        "refused\nrefused\n", "0\n"),
    pair(FORKED, "signal_or_trace",
        "import signal, time\nfor s in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(s, lambda *a: print('hit', a[0]))\nprint('ready')\ntime.sleep(1)",
        "import ctypes, os\nc = ctypes.CDLL(None, use_errno=True)\nreached = 0\nfor pid in range(3, 70000):\n try: os.kill(pid, 0); reached += 1\n except ProcessLookupError: pass\ntry: os.kill(-1, 10)\nexcept OSError: pass\nprint(reached, [c.ptrace(16, pid, 0, 0) for pid in (1, 3, 4)], [p for p in os.listdir('/proc') if p.isdigit() and p not in ('1', str(os.getpid()))])",
        "0 [-1, -1, -1] []\n", ""),
    pair(FORKED, "file_or_memory",
        "import time\nfrom multiprocessing import shared_memory\nfor p in ('work', 'tmp', 'dev/shm'): open(f'/{p}/beside', 'w').write('x')\nprint('ready')\ntime.sleep(1)",
        "import os\nprint([os.path.exists(f'/{p}/beside') for p in ('work', 'tmp', 'dev/shm')])",
        "[False, False, False]\n", ""),
    pair(PRIMED, "abstract_socket",
        "const s = require('net').createServer(() => console.log('hit')); s.listen('\\0belljar-beside-n', () => { console.log('ready'); setTimeout(() => process.exit(), 1000) })",
        "require('net').connect('\\0belljar-beside-n').on('error', () => console.log('refused')).on('connect', () => console.log('connected'))",
        "refused\n", ""),
    pair(PRIMED, "signal_or_trace",
        "process.on('SIGUSR2', () => console.log('hit')); console.log('ready'); setTimeout(() => {}, 1000)",
        "let n = 0; for (let p = 3; p < 70000; p++) try { process.kill(p, 0); n++ } catch {}; try { process.kill(-1, 'SIGUSR2') } catch {}; console.log(require('fs').readdirSync('/proc').filter((p) => Number(p) > 1 && Number(p) !== process.pid))",
        "[]\n", ""),
    pair(JAR, "signal_or_trace",
        "trap 'echo hit' USR1 USR2 HUP; echo ready; sleep 1",
        "kill -USR1 -1; n=0; for p in {3..2000}; do kill -0 $p 2>/dev/null && [ $p != $$ ] && n=$((n + 1)); done; echo $n; set -- /proc/[0-9]*; echo $#",
        "0\n1\n", ""),
    pair(JAR, "file",
        "touch /work/beside /tmp/beside /dev/shm/beside; echo ready; sleep 1",
        "ls -A /tmp /dev/shm", "/dev/shm:\n\n/tmp:\n", ""),
];

pub(crate) fn add(mut suite: Suite, pools: &Pools) -> Suite {
    for row in PAIRS {
        let name = format!("warm::beside::{}::no_{}_reaches_another", row.kind.name(), row.what);
        let pools = pools.clone();
        suite = suite.test(&name, row.kind.needs, move || finds_nobody(row, pools));
    }
    suite
}

pub(crate) fn tests() -> Vec<Test> {
    tests![locks_are_seen_on_shared_files_alone(Python), watches_see_shared_files_alone(Python),]
}

async fn beside(sandbox: &Sandbox, row_one: &str, kind: Kind, other: &str) -> (String, String) {
    sandbox.warm_up().await.unwrap();
    let one = ready(sandbox, row_one).await;
    let other = kind.run(sandbox, Source::code(other)).await;
    let one = one.wait().await.unwrap();
    expect(&one, "ok");
    assert_eq!((one.start, other.verdict.status()), (kind.start, "ok"));
    (stdout(&one).replacen("ready\n", "", 1), stdout(&other))
}

async fn finds_nobody(row: &'static Pair, pools: Pools) {
    let (one, other) = beside(&pools.get(row.kind.runtime), row.one, row.kind, row.other).await;
    assert_eq!((one.as_str(), other.as_str()), (row.then, row.prints));
}

/// Files of the interpreter are one for all: those are named in docs/threats.md.
async fn locks_are_seen_on_shared_files_alone() {
    let sandbox = warm("python");
    let paths = "import fcntl, os, time\n\
        paths = [f'/{place}/{name}' for place in ('work', 'tmp', 'dev/shm') for name in ('file', 'main.py')]\n\
        for path in paths: open(path, 'a').close()\n\
        paths += ['/work', '/tmp', '/dev/shm', '/proc/self/status', '/proc/self']\n\
        files = [os.open(path, os.O_RDONLY) for path in paths]\n";
    let one = format!(
        "{paths}for file in files: fcntl.flock(file, fcntl.LOCK_EX)\n\
         held = [open(path, 'r+') for path in paths[:6]]\n\
         for file in held: fcntl.lockf(file, fcntl.LOCK_EX)\n\
         print('ready')\ntime.sleep(1)"
    );
    let other = format!(
        "{paths}for path, file in zip(paths, files):\n \
            try: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n except OSError: print(path)\n\
         for path in paths[:6]:\n \
            try: fcntl.lockf(open(path, 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)\n \
            except OSError: print(path)\n"
    );
    let (_, found) = beside(&sandbox, &one, FORKED, &other).await;
    sandbox.close().await;
    assert_eq!(found, "");
}

async fn watches_see_shared_files_alone() {
    let sandbox = warm("python");
    let one = "import ctypes, os, select, time\nc = ctypes.CDLL(None)\nfd = c.inotify_init1(0)\n\
        for path in (b'/work', b'/tmp', b'/dev/shm', b'/work/main.py'): assert c.inotify_add_watch(fd, path, 0xfff) > 0\n\
        print('ready')\ntime.sleep(1)\n\
        if select.select([fd], [], [], 0)[0]: print(os.read(fd, 65536))";
    let other = "for place in ('work', 'tmp', 'dev/shm'): open(f'/{place}/file', 'w').write('x')\nopen('/work/main.py').read()";
    let (found, _) = beside(&sandbox, one, FORKED, other).await;
    sandbox.close().await;
    assert_eq!(found, "");
}
