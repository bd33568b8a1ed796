//! One run after another in the same sandbox: whatever the first one does to its interpreter, its
//! files and its system, the second finds what it would have found as the first.

use belljar::Source;
use belljar_tests::{Suite, expect, stdout};

use crate::kinds::{KINDS, Kind, Pools};

/// What the first run does, and what the second prints.
struct Crossing {
    runtime: &'static str,
    what: &'static str,
    vandal: &'static str,
    witness: &'static str,
    prints: &'static str,
}

const fn crossing(
    runtime: &'static str,
    what: &'static str,
    vandal: &'static str,
    witness: &'static str,
    prints: &'static str,
) -> Crossing {
    Crossing { runtime, what, vandal, witness, prints }
}

const WRITE_PYTHON: &str = "import os\nos.makedirs('/dev/shm/d'); \
    [open(f'/{p}/left', 'w').write('x') for p in ('work', 'tmp', 'dev/shm')]; os.symlink('/', '/tmp/l')";
const LIST_PYTHON: &str =
    "import os\nprint([sorted(os.listdir(p)) for p in ('/work', '/tmp', '/dev/shm')])";
const WRITE_NODE: &str = "const fs = require('fs'); \
    for (const p of ['work', 'tmp', 'dev/shm']) fs.writeFileSync(`/${p}/left`, 'x')";
const LIST_NODE: &str = "const fs = require('fs'); console.log(['/work', '/tmp', '/dev/shm'].map((p) => fs.readdirSync(p)))";
const LOCK_PYTHON: &str = "import fcntl, os, sys, json\nheld = []\n\
    for path in ('/etc/passwd', os.path.realpath(sys.executable), json.__file__):\n \
        held.append(open(path)); fcntl.flock(held[-1], fcntl.LOCK_EX); fcntl.lockf(open(path), fcntl.LOCK_SH)\n\
    if os.fork() == 0:\n import time; time.sleep(60)\n";
/// Waits, as the jar of the first run dies behind its answer: a lock that outlived it would be
/// waited for until the time is up.
const UNLOCKED_PYTHON: &str = "import fcntl, os, sys, json\n\
    for path in ('/etc/passwd', os.path.realpath(sys.executable), json.__file__):\n \
        fcntl.flock(open(path), fcntl.LOCK_EX)\nprint('free')\n";

#[rustfmt::skip]
const CROSSINGS: &[Crossing] = &[
    crossing("python", "a_patched_builtin_is_whole",
        "import builtins, os, sys\nbuiltins.print = lambda *a: os.write(1, b'patched')\nbuiltins.open = None\nbuiltins.len = lambda x: 7\nsys.stdout = None\nbuiltins.added = 1",
        "import builtins\nprint(len('abc'), callable(open), hasattr(builtins, 'added'))", "3 True False\n"),
    crossing("python", "an_imported_module_is_whole",
        "import sys, json, os, random, belljar\njson.dumps = lambda *a: 'patched'\nos.path.join = None\nrandom.random = lambda: 4\nsys.modules['colorsys'] = json\nsys.modules['json'].mark = 1\nsys.path.insert(0, '/tmp')\nsys.meta_path.clear()\nbelljar.secrets = {'A': 1}",
        "import sys, json, os, colorsys, belljar\nprint(json.dumps([1]), hasattr(json, 'mark'), os.path.join('a', 'b'), colorsys.__name__, '/tmp' in sys.path, len(belljar.secrets))",
        "[1] False a/b colorsys False 0\n"),
    crossing("python", "types_and_hooks_are_whole",
        "import ctypes, sys, gc, atexit, threading, signal, decimal, warnings, locale, logging\nsys.excepthook = sys.unraisablehook = None\nsys.setrecursionlimit(50)\nsys.setswitchinterval(9)\ngc.disable(); gc.set_threshold(1)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ndecimal.getcontext().prec = 3\nwarnings.simplefilter('error')\nlogging.disable(50)\nctypes.c_char.from_address(id(257) + 24).value = b'\\x09'",
        "import sys, gc, signal, decimal, logging\nprint(sys.excepthook is sys.__excepthook__, sys.getrecursionlimit(), gc.isenabled(), signal.getsignal(15) == signal.SIG_DFL, decimal.getcontext().prec, logging.root.manager.disable, 256 + 1)",
        "True 1000 True True 28 0 257\n"),
    crossing("python", "files_are_gone", WRITE_PYTHON, LIST_PYTHON, "[['main.py'], [], []]\n"),
    crossing("python", "the_environment_is_as_it_was",
        "import os\nos.environ['MINE'] = 'x'\nos.environ['PATH'] = '/tmp'\nos.putenv('LD_PRELOAD', '/tmp/x.so')\nos.chdir('/tmp'); os.umask(0); os.nice(5)",
        "import os\nprint(os.environ.get('MINE'), os.environ['TMPDIR'], 'LD_PRELOAD' in os.environ, os.getcwd(), oct(os.umask(0)), os.nice(0))",
        "None /tmp False /work 0o22 0\n"),
    crossing("python", "shared_memory_is_gone",
        "import mmap, os\nfrom multiprocessing import shared_memory\ntry: shared_memory.SharedMemory('left', True, 4096).buf[0] = 7\nexcept OSError: pass\nf = open('/dev/shm/left2', 'wb'); f.write(b'x'); f.flush()\nos._exit(0)",
        "import os\nfrom multiprocessing import shared_memory\ntry: shared_memory.SharedMemory('left'); print('there')\nexcept OSError as e: print('gone', os.listdir('/dev/shm'))",
        "gone []\n"),
    crossing("python", "system_v_objects_and_queues_are_gone",
        "import ctypes\nc = ctypes.CDLL(None, use_errno=True)\nc.shmget(77, 4096, 0o1666); c.msgget(77, 0o1666); c.semget(77, 1, 0o1666); c.mq_open(b'/left', 0o102, 0o666, None)",
        "import ctypes\nc = ctypes.CDLL(None, use_errno=True)\nprint(c.shmget(77, 0, 0), c.msgget(77, 0), c.semget(77, 0, 0), c.mq_open(b'/left', 2))",
        "-1 -1 -1 -1\n"),
    crossing("python", "locks_are_free", LOCK_PYTHON, UNLOCKED_PYTHON, "free\n"),
    crossing("python", "nobody_is_left",
        "import os, threading, time\nfor _ in range(5):\n if os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0: time.sleep(60)\n  os._exit(0)\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        "import os, threading\nprint(sum(p.isdigit() and int(p) > 2 for p in os.listdir('/proc')) <= 1, threading.active_count(), len(os.listdir('/proc/self/task')))",
        "True 1 1\n"),
    crossing("node", "globals_and_prototypes_are_whole",
        "globalThis.left = 1; Array.prototype.map = null; Object.prototype.left = 1; console.warn = null; JSON.parse = null; process.on('exit', () => {}); process.title = 'left'",
        "console.log(typeof left, typeof [].map, 'left' in {}, typeof JSON.parse, process.title !== 'left')", "undefined function false function true\n"),
    crossing("node", "an_imported_module_is_whole",
        "const fs = require('fs'); fs.readFileSync = null; require('path').join = null; require('module')._cache.left = 1; require.cache['/work/left.js'] = { exports: 7 }; require('crypto').randomBytes = null",
        "console.log(typeof require('fs').readFileSync, require('path').join('a', 'b'), Object.keys(require.cache).filter((f) => f.startsWith('/work')), typeof require('crypto').randomBytes)",
        "function a/b [ '/work/main.js' ] function\n"),
    crossing("node", "files_are_gone", WRITE_NODE, LIST_NODE, "[ [ 'main.js' ], [], [] ]\n"),
    crossing("node", "the_environment_is_as_it_was",
        "process.env.MINE = 'x'; process.env.TMPDIR = '/work'; process.chdir('/tmp'); process.umask(0)",
        "console.log(process.env.MINE, process.env.TMPDIR, process.cwd(), process.umask())", "undefined /tmp /work 18\n"),
    crossing("node", "nobody_is_left",
        "const { spawn } = require('child_process'); spawn(process.execPath, ['-e', 'setTimeout(() => {}, 6e4)'], { detached: true, stdio: 'ignore' }).unref(); new (require('worker_threads').Worker)('for (;;);', { eval: true }); setTimeout(() => process.exit(0), 50)",
        "console.log(require('fs').readdirSync('/proc').filter((p) => Number(p) > 2).length <= 1)", "true\n"),
    crossing("bash", "files_are_gone",
        "echo x | tee /work/left /tmp/left /dev/shm/left >/dev/null", "ls -A /work /tmp /dev/shm", "/dev/shm:\n\n/tmp:\n\n/work:\nmain.sh\n"),
    crossing("bash", "the_environment_is_as_it_was",
        "export MINE=x BASH_ENV=/tmp/x; umask 0; cd /tmp; ulimit -n 20; alias ls=false; trap '' TERM; echo 'echo sourced' >/work/.bashrc",
        "echo \"$MINE$BASH_ENV $(umask) $PWD $(ulimit -n)\"; trap", " 0022 /work 256\n"),
    crossing("bash", "locks_are_free", "exec 9</etc/passwd; flock -x 9; sleep 60 9<&9 & disown", "exec 9</etc/passwd; flock -x 9 && echo free", "free\n"),
    crossing("bash", "nobody_is_left",
        "for _ in 1 2 3; do (setsid sleep 60 >/dev/null 2>&1 &); done", "set -- /proc/[0-9]*; echo $#", "1\n"),
    crossing("js", "globals_and_prototypes_are_whole",
        "globalThis.left = 1; Array.prototype.map = null; Object.prototype.left = 1; JSON.parse = null",
        "console.log(typeof left, typeof [].map, 'left' in {}, typeof JSON.parse)", "undefined function false function\n"),
    crossing("js", "files_are_gone", "belljar.files.writeText('left', 'x')", "console.log(belljar.files.list('.').length)", "1\n"),
];

pub(crate) fn add(mut suite: Suite, pools: &Pools) -> Suite {
    for kind in KINDS {
        for row in CROSSINGS.iter().filter(|row| row.runtime == kind.runtime) {
            let name = format!("warm::crossing::{}::{}", kind.name(), row.what);
            let pools = pools.clone();
            suite = suite.test(&name, kind.needs, move || is_as_if_first(kind, row, pools));
        }
    }
    suite
}

async fn is_as_if_first(kind: Kind, row: &'static Crossing, pools: Pools) {
    let sandbox = pools.get(kind.runtime);
    let first = Source::code(row.vandal).env("OF_THE_FIRST", "run");
    let vandal = kind.run(&sandbox, first).await;
    assert!(vandal.verdict.status() == "ok" || !vandal.stderr.bytes.is_empty(), "{vandal:?}");
    // A pool hands out what was ready before the first run and what came after.
    for _ in 0..3 {
        let witness = kind.run(&sandbox, row.witness).await;
        expect(&witness, "ok");
        assert_eq!(stdout(&witness), row.prints);
    }
}
