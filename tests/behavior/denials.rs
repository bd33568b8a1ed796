//! What a payload was refused is told: what, by which rule, how often, and what to do instead.

use std::time::Duration;

use belljar::{Denied, Outcome, Source};
use belljar_tests::{Test, expect, run, run_out, stderr, stdout, tests};
use nix::libc;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_socket_is_denied_with_a_way_out(Python),
        what_a_library_tried_is_told_by_name(Python),
        every_interesting_call_is_told(Python),
        a_call_that_no_interpreter_makes_is_the_end(Python),
        a_denied_call_fails_and_the_program_goes_on(Python),
        the_same_thing_is_told_once_and_counted(Python),
        no_more_than_a_hundred_are_told(Python),
        children_and_threads_are_told_on_too(Python),
        denials_of_a_killed_run_are_told(Python),
        ordinary_programs_are_denied_nothing(Python),
        ordinary_scripts_are_denied_nothing(Bash, Node),
        js_is_denied_nothing(),
    ]
}

fn told<'a>(outcome: &'a Outcome, what: &str) -> &'a Denied {
    let found = outcome.denials.iter().find(|denied| denied.what.starts_with(what));
    found.unwrap_or_else(|| unreachable!("{what} is not in {:?}", outcome.denials))
}

async fn a_socket_is_denied_with_a_way_out() {
    let code = "import errno, socket\n\
                try: socket.socket(socket.AF_INET, socket.SOCK_STREAM)\n\
                except OSError as error: print(errno.errorcode[error.errno])\n";
    let outcome = run("python", code).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "EAFNOSUPPORT\n");
    let denied = told(&outcome, "socket(AF_INET, SOCK_STREAM)");
    assert_eq!((denied.kind, denied.rule, denied.count), ("syscall", "network=none", 1));
    assert!(denied.hint.contains("--allow-net"), "{}", denied.hint);
    assert_eq!(outcome.denials.len(), 1);
}

async fn what_a_library_tried_is_told_by_name() {
    let code = "import urllib.request\nurllib.request.urlopen('http://192.0.2.1/', timeout=2)";
    let outcome = run("python", code).await;
    expect(&outcome, "nonzero_exit");
    assert_eq!(told(&outcome, "socket(AF_INET").rule, "network=none");
}

/// Calls by number, with arguments that ask for something real.
const CALLS: &[(i64, &str, &str)] = &[
    (libc::SYS_mount, "mount", "seccomp/mount"),
    (libc::SYS_umount2, "umount2", "seccomp/mount"),
    (libc::SYS_pivot_root, "pivot_root", "seccomp/mount"),
    (libc::SYS_chroot, "chroot", "seccomp/mount"),
    (libc::SYS_unshare, "unshare", "seccomp/namespace"),
    (libc::SYS_setns, "setns", "seccomp/namespace"),
    (libc::SYS_ptrace, "ptrace", "seccomp/inspect"),
    (libc::SYS_process_vm_readv, "process_vm_readv", "seccomp/inspect"),
    (libc::SYS_bpf, "bpf", "seccomp/kernel"),
    (libc::SYS_perf_event_open, "perf_event_open", "seccomp/kernel"),
    (libc::SYS_userfaultfd, "userfaultfd", "seccomp/kernel"),
    (libc::SYS_keyctl, "keyctl", "seccomp/keyring"),
    (libc::SYS_add_key, "add_key", "seccomp/keyring"),
    (libc::SYS_sethostname, "sethostname", "seccomp/host"),
    (libc::SYS_clock_settime, "clock_settime", "seccomp/clock"),
    (libc::SYS_syslog, "syslog", "seccomp/kernel-log"),
];

async fn every_interesting_call_is_told() {
    let numbers: Vec<String> = CALLS.iter().map(|(number, ..)| number.to_string()).collect();
    let code = format!(
        "import ctypes, errno\n\
         libc = ctypes.CDLL(None, use_errno=True)\n\
         for number in ({}):\n    \
             answer = libc.syscall(number, 0, 0, 0, 0, 0)\n    \
             print(number, answer, errno.errorcode[ctypes.get_errno()])\n",
        numbers.join(", ")
    );
    let outcome = run("python", code.as_str()).await;
    expect(&outcome, "ok");
    for line in stdout(&outcome).lines() {
        let refused = line.ends_with("-1 EPERM") || line.ends_with("-1 ENOSYS");
        assert!(refused, "{line}");
    }
    assert_eq!(stdout(&outcome).lines().count(), CALLS.len());
    for (_, name, rule) in CALLS {
        let denied = told(&outcome, name);
        assert_eq!((denied.rule, denied.count), (*rule, 1), "{name}");
        assert!(denied.hint.len() > 20 && !denied.hint.ends_with('.'), "{name}: {}", denied.hint);
    }
}

async fn a_call_that_no_interpreter_makes_is_the_end() {
    let code = format!(
        "import ctypes\nctypes.CDLL(None).syscall({}, 0, 0, 0)",
        libc::SYS_open_by_handle_at
    );
    let outcome = run("python", code).await;
    expect(&outcome, "denied");
    assert_eq!((outcome.verdict.exit_code(), outcome.verdict.signal()), (None, Some(libc::SIGSYS)));
}

async fn a_denied_call_fails_and_the_program_goes_on() {
    let code = "import socket\n\
                for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK):\n    \
                    try: socket.socket(family)\n    \
                    except OSError: pass\n\
                one, two = socket.socketpair()\n\
                one.send(b'still here')\n\
                print(two.recv(100).decode())\n";
    let outcome = run("python", code).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "still here\n", "{}", stderr(&outcome));
    assert_eq!(told(&outcome, "socket(AF_INET6").rule, "network=none");
    assert!(told(&outcome, "socket(AF_NETLINK").hint.contains("interfaces"));
}

async fn the_same_thing_is_told_once_and_counted() {
    let code = "import socket\n\
                for _ in range(250):\n    \
                    try: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n    \
                    except OSError: pass\n\
                for _ in range(3):\n    \
                    try: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\n    \
                    except OSError: pass\n";
    let outcome = run("python", code).await;
    let counts: Vec<_> = outcome.denials.iter().map(|denied| denied.count).collect();
    assert_eq!(counts, [250, 3], "{:?}", outcome.denials);
}

async fn no_more_than_a_hundred_are_told() {
    let code = "import ctypes\n\
                libc = ctypes.CDLL(None)\n\
                for _ in range(2):\n    \
                    for uid in range(1, 151): libc.setuid(uid)\n";
    let outcome = run("python", code).await;
    expect(&outcome, "ok");
    assert_eq!(outcome.denials.len(), 100);
    assert!(outcome.denials.iter().all(|denied| denied.count == 2), "{:?}", outcome.denials);
    assert_eq!(outcome.denials[99].what, "setuid(100)");
}

async fn children_and_threads_are_told_on_too() {
    let code = "import os, socket, threading\n\
                def attempt(family):\n    \
                    try: socket.socket(family)\n    \
                    except OSError: pass\n\
                if os.fork() == 0:\n    \
                    attempt(socket.AF_INET)\n    \
                    os._exit(0)\n\
                os.wait()\n\
                thread = threading.Thread(target=attempt, args=(socket.AF_INET6,))\n\
                thread.start(); thread.join()\n";
    let outcome = run("python", code).await;
    assert_eq!(outcome.denials.len(), 2, "{:?}", outcome.denials);
}

async fn denials_of_a_killed_run_are_told() {
    let code = "import socket, time\n\
                for _ in range(5):\n    \
                    try: socket.socket()\n    \
                    except OSError: pass\n\
                print('ready', flush=True)\n\
                time.sleep(30)\n";
    let outcome = run_out("python", Duration::from_secs(2), code).await;
    assert_eq!(told(&outcome, "socket(AF_INET").count, 5);
}

fn nothing_denied(outcome: &Outcome) {
    expect(outcome, "ok");
    assert!(outcome.denials.is_empty(), "{:?}", outcome.denials);
}

async fn ordinary_programs_are_denied_nothing() {
    let code = "import asyncio, json, multiprocessing, os, random, sqlite3, ssl, subprocess, tempfile, threading, zlib\n\
                sqlite3.connect('/work/x.db').execute('create table t (a)')\n\
                with tempfile.TemporaryDirectory() as place: open(place + '/x', 'w').write('x')\n\
                async def main():\n    \
                    process = await asyncio.create_subprocess_exec('/proc/self/exe', '-c', '1')\n    \
                    await process.wait()\n\
                asyncio.run(main())\n\
                with multiprocessing.get_context('fork').Pool(2) as pool: print(sum(pool.map(abs, range(10))))\n\
                subprocess.run([os.sys.executable, '-c', 'print(1)'])\n";
    nothing_denied(&run("python", code).await);
}

async fn ordinary_scripts_are_denied_nothing() {
    let code = "set -e; mkdir -p a/b; cp main.sh a/b; mv a/b/main.sh a; ls -la a > /dev/null\n\
                seq 100 | sort -rn | awk '{ s += $1 } END { print s }'\n\
                tar czf x.tgz a; gzip -t x.tgz; find . -name '*.sh' | xargs wc -l > /dev/null\n\
                date > /dev/null; id > /dev/null; sed s/a/b/ main.sh > /dev/null; (sleep 0.01 & wait)\n";
    nothing_denied(&run("bash", code).await);
    let code = "const crypto = require('crypto'), fs = require('fs'), zlib = require('zlib');\n\
                fs.writeFileSync('x', zlib.gzipSync(crypto.randomBytes(1000)));\n\
                require('fs').promises.readFile('x').then((data) => console.log(data.length > 0));\n";
    nothing_denied(&run("node", Source::code(code)).await);
}

async fn js_is_denied_nothing() {
    nothing_denied(&run("js", "console.log(6 * 7)").await);
}
