//! One run beside another of the same sandbox: neither finds the other.

use belljar::{Sandbox, Source};
use belljar_tests::{Suite, Test, expect, ready, stdout, tests};

use crate::kinds::{FORKED, JAR, Kind, PRIMED, Pools};

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
        "import socket\nfor kind, name in ((socket.SOCK_STREAM, '\\0belljar-beside'), (socket.SOCK_DGRAM, '\\0belljar-beside-d')):\n s = socket.socket(socket.AF_UNIX, kind)\n try: s.connect(name); print('connected')\n except OSError as e: print(type(e).__name__)\n",
        "PermissionError\nPermissionError\n", "0\n"),
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
        "require('net').connect('\\0belljar-beside-n').on('error', (e) => console.log(e.code)).on('connect', () => console.log('connected'))",
        "EPERM\n", ""),
    pair(PRIMED, "signal_or_trace",
        "process.on('SIGUSR2', () => console.log('hit')); console.log('ready'); setTimeout(() => {}, 1000)",
        "let n = 0; for (let p = 3; p < 70000; p++) try { process.kill(p, 0); n++ } catch {}; try { process.kill(-1, 'SIGUSR2') } catch {}; console.log(require('fs').readdirSync('/proc').filter((p) => Number(p) > 1 && Number(p) !== process.pid))",
        "[]\n", ""),
    pair(JAR, "signal_or_trace",
        "trap 'echo hit' USR1 USR2 HUP; echo ready; sleep 1",
        "kill -USR1 -1; n=0; for p in {3..2000}; do kill -0 $p 2>/dev/null && [ $p != $$ ] && n=$((n + 1)); done; echo $n; set -- /proc/[0-9]*; echo $#",
        "0\n2\n", ""),
    pair(JAR, "file",
        "touch /work/beside /tmp/beside /dev/shm/beside; echo ready; sleep 1",
        "ls -A /tmp /dev/shm; cat /proc/net/unix", "/dev/shm:\n\n/tmp:\n", ""),
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
    tests![
        locks_are_not_seen(Python),
        watches_are_not_seen(Python),
    ]
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

async fn locks_are_not_seen() {
    let sandbox = crate::kinds::warm("python");
    let one = "import fcntl, os, sys, time, glob\nheld = []\nfor p in PATHS:\n f = open(p); fcntl.flock(f, fcntl.LOCK_EX); held.append(f)\nfor p in PATHS:\n f = open(p); fcntl.lockf(f, fcntl.LOCK_SH); held.append(f)\nprint('ready', flush=True)\ntime.sleep(1)";
    let other = "import fcntl, struct\nfor p in PATHS:\n f = open(p)\n try: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\n except OSError as e: print('flock', p, e)\n q = struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0)\n try:\n  r = struct.unpack('hhqqi4x', fcntl.fcntl(f, fcntl.F_GETLK, q))\n  if r[0] != fcntl.F_UNLCK: print('posix', p, r)\n except OSError as e: print('getlk', p, e)\n";
    let paths = "import sys, json, os\nPATHS = ['/etc/passwd', '/etc', '/', '/dev/null', '/proc/self/status', '/dev/urandom', '/usr', '/run/belljar/python/belljar.py', os.path.realpath(sys.executable), json.__file__]\n";
    let paths = paths.replace("'/', '/dev/null'", "'/dev/null'").replace("'/etc', ", "").replace("'/usr', ", "");
    let (_, found) = beside(&sandbox, &format!("{paths}{one}"), FORKED, &format!("{paths}{other}")).await;
    sandbox.close().await;
    assert_eq!(found, "");
}

async fn watches_are_not_seen() {
    let sandbox = crate::kinds::warm("python");
    let one = "import ctypes, os, json, select, sys\nc = ctypes.CDLL(None, use_errno=True)\nfd = c.inotify_init1(0)\nfor p in ('/etc', '/', '/run/belljar/python', '/dev', '/usr', '/work', '/tmp', os.path.dirname(json.__file__)): c.inotify_add_watch(fd, p.encode(), 0xfff)\nprint('ready', flush=True)\nimport time; time.sleep(1)\nif select.select([fd], [], [], 0)[0]: print(os.read(fd, 65536))";
    let other = "open('/etc/passwd').read(); open('/etc/hosts').read(); open('/run/belljar/python/belljar.py').read(); import json; open(json.__file__.replace('__init__', 'decoder')).read(); open('/dev/null', 'w').write('x')";
    let (found, _) = beside(&sandbox, one, FORKED, other).await;
    sandbox.close().await;
    assert_eq!(found, "");
}
