//! Scripts as a user would write them, run by the real binary without a jar.

#![expect(clippy::unwrap_used, reason = "a helper that fails has failed the test")]

mod scripts;

use std::{
    fs,
    io::Write,
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use scripts::{BINARY, Scripts};

fn run(source: &str) -> Output {
    Scripts::new(&[("main.js", source)]).run(&[])
}

#[track_caller]
fn check(output: &Output, code: i32, stdout: &str, stderr: &str) {
    assert_eq!(String::from_utf8_lossy(&output.stdout), stdout);
    assert_eq!(String::from_utf8_lossy(&output.stderr), stderr);
    assert_eq!(output.status.code(), Some(code));
}

#[track_caller]
fn prints(source: &str, stdout: &str) {
    check(&run(source), 0, stdout, "");
}

/// Columns are the engine's affair: `stderr` is compared without them.
#[track_caller]
fn fails(source: &str, stderr: &str) {
    let output = run(source);
    let shown = String::from_utf8_lossy(&output.stderr);
    let plain = |line: &str| match line.rsplit_once(':') {
        Some((place, column)) if line.starts_with("    at ") => {
            format!("{place}{}\n", if column.ends_with(')') { ")" } else { "" })
        }
        _ => format!("{line}\n"),
    };
    assert_eq!(shown.lines().map(plain).collect::<String>(), stderr);
    check(&output, 1, "", &shown);
}

/// Hands `map` over as the worker does: on a descriptor named in the environment.
fn run_with_secrets(scripts: &Scripts, map: &[u8]) -> Output {
    fs::write(scripts.0.path().join("map"), map).unwrap();
    let hand_over = r#"exec 7<map; BELLJAR_SECRETS_FD=7 exec "$0" "$@""#;
    scripts.command("/bin/sh").args(["-c", hand_over, BINARY, "main.js"]).output().unwrap()
}

fn map(secrets: &[(&str, &[u8])]) -> Vec<u8> {
    let field = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_le_bytes(), bytes].concat();
    secrets
        .iter()
        .flat_map(|(name, value)| [field(name.as_bytes()), field(value)].concat())
        .collect()
}

#[test]
fn values_are_shown_for_people() {
    prints(
        "console.log('six by', 7, 6 * 7); print([1, 2], {})",
        "six by 7 42\n1,2 [object Object]\n",
    );
    prints(
        "console.log([1, 'a', -0, 2n, null], { a: { 'b-c': undefined } }, new Set([1]))",
        "[ 1, 'a', -0, 2n, null ] { a: { 'b-c': undefined } } Set(1) { 1 }\n",
    );
    prints(
        "const a = { n: 1 }; a.a = a; console.log(new Map([['k', a]]))",
        "Map(1) { 'k' => { n: 1, a: [Circular] } }\n",
    );
    prints(
        "console.log([[[[[[1]]]]]], '%s', 5); console.log('%s: %d%%', 'x', 5, 'y')",
        "[ [ [ [ [ [Array] ] ] ] ] ] %s 5\nx: 5% y\n",
    );
    prints(
        "console.log({ get x() { throw 1 } }, class A {}, print, Symbol('s'))",
        "{ x: [Getter] } [class: A] [Function: print] Symbol(s)\n",
    );
    check(&run("console.error('e'); console.warn(1); console.info('o')"), 0, "o\n", "e\n1\n");
}

#[test]
fn modules_are_imported_relative_to_the_one_that_imports() {
    let scripts = Scripts::new(&[
        (
            "main.js",
            "import x, { y } from './lib/x.mjs'; import c from './c.json'; print(x, y, c.__proto__.k);\
                     const z = await import('./lib/../lib/x.mjs'); print(z.y === y)",
        ),
        ("lib/x.mjs", "export { y } from '../y.mjs'; export default 'x'; print('once')"),
        ("y.mjs", "export const y = 'y'"),
        ("c.json", r#"{"__proto__": {"k": "✓"}}"#),
    ]);
    check(&scripts.run(&[]), 0, "once\nx y ✓\ntrue\n", "");
}

#[test]
fn an_import_that_cannot_be_is_refused_with_the_reason() {
    for (import, reason) in [
        (
            "lodash",
            "cannot import \"lodash\" in main.js: there are no packages here, only relative imports",
        ),
        ("./none.js", "cannot import \"./none.js\" in main.js: No such file or directory"),
        ("./bad.json", "SyntaxError: bad.json: "),
    ] {
        let scripts =
            Scripts::new(&[("main.js", &format!("import '{import}'")), ("bad.json", "{")]);
        let output = scripts.run(&[]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(reason), "{text}");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn an_uncaught_error_names_the_file_and_line_of_the_user() {
    fails(
        "function f() {\n  throw new RangeError('no')\n}\nf()",
        "RangeError: no\n    at f (main.js:2)\n    at <anonymous> (main.js:4)\n",
    );
    fails("\nlet = 1", "SyntaxError: variable name expected\n    at main.js:2\n");
    fails("throw { a: 1 }", "Uncaught { a: 1 }\n");
    fails(
        "atob('?')",
        "InvalidCharacterError: The string to be decoded is not correctly encoded\n    at atob (native)\n    at <anonymous> (main.js:1)\n",
    );
    fails(
        "setTimeout(() => { null.x })",
        "TypeError: cannot read property 'x' of null\n    at <anonymous> (main.js:1)\n",
    );
    fails(
        "belljar.files.readText('/none')",
        "Error: cannot read /none: No such file or directory \
        (os error 2)\n    at <anonymous> (main.js:1)\n",
    );
    fails("await new Promise(() => {})", "Error: a top-level await never settled\n");
}

#[test]
fn a_rejection_is_an_error_unless_somebody_takes_it_up() {
    fails(
        "Promise.reject(new Error('lost')); setTimeout(() => print('never'), 1)",
        "Error: lost\n    at <anonymous> (main.js:1)\n",
    );
    fails("await Promise.reject('x')", "Uncaught 'x'\n");
    fails("queueMicrotask(() => { throw 5 })", "Uncaught 5\n");
    prints(
        "const p = Promise.reject(1); await null; p.catch(print); try { await p } catch {}",
        "1\n",
    );
}

#[test]
fn a_script_that_cannot_be_read_is_not_run() {
    let scripts = Scripts::new(&[("nul.js", "\0")]);
    let fail = |entry: &str, reason: &str| {
        let output = scripts.command(BINARY).arg(entry).output().unwrap();
        check(&output, 2, "", &format!("belljar-js: {reason}\n"));
    };
    fail("none.js", "cannot read none.js: No such file or directory (os error 2)");
    fail("/", "cannot read /: Is a directory (os error 21)");
    fail("nul.js", "nul.js contains a NUL byte");
    let usage = scripts.command(BINARY).output().unwrap();
    check(&usage, 2, "", "belljar-js: usage: belljar-js ENTRY [ARGS...]\n");
}

#[test]
fn arguments_and_exit_codes_pass_through() {
    let scripts =
        Scripts::new(&[("main.js", "print(belljar.args); belljar.exit(belljar.args.length)")]);
    check(&scripts.run(&["-x", "ü"]), 2, "-x,ü\n", "");
    fails(
        "belljar.exit(256)",
        "RangeError: an exit code is a whole number from 0 to 255, not 256\n    \
        at <anonymous> (main.js:1)\n",
    );
    fails(
        "belljar.args.push(1)",
        "TypeError: object is not extensible\n    at push (native)\n    at <anonymous> (main.js:1)\n",
    );
    check(&run("belljar.exit(Math.round(6.6))"), 7, "", "");
    check(&run("setTimeout(() => belljar.exit(255), 1); setInterval(() => {}, 1)"), 255, "", "");
}

#[test]
fn standard_input_is_read_as_lines_text_or_bytes() {
    let scripts = Scripts::new(&[(
        "main.js",
        "const [first] = belljar.stdin.lines().take(1); print(first);\
         const rest = belljar.stdin.bytes(); print(rest.length, rest[3]); print(belljar.stdin.text() === '')",
    )]);
    let mut child = scripts
        .command(BINARY)
        .arg("main.js")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"one\r\ntwo\xff\0").unwrap();
    check(&child.wait_with_output().unwrap(), 0, "one\n5 255\ntrue\n", "");
    prints("print([...belljar.stdin.lines()].length)", "0\n");
}

#[test]
fn output_is_binary_safe_and_in_order() {
    let output =
        run("belljar.stdout.write(new Uint8Array([0, 255, 10])); belljar.stdout.write('é');\
                      belljar.stderr.write(new Uint16Array([1]).subarray(0)); print('\\ud800\\0')");
    assert_eq!(output.stdout, b"\0\xff\n\xc3\xa9\xef\xbf\xbd\0\n");
    assert_eq!(output.stderr, b"\x01\0");
    assert_eq!(run("for (let i = 0; i < 300000; i++) print(i)").stdout.len(), 1_988_890);
}

#[test]
fn output_that_nobody_reads_ends_the_program_quietly() {
    let scripts = Scripts::new(&[("main.js", "for (;;) print('yes')")]);
    let pipe = r#"{ "$0" main.js; echo $? >&2; } | head -n 1"#;
    let output =
        scripts.command("/bin/sh").args(["-c", pipe, BINARY]).env("PATH", "/usr/bin:/bin").output();
    check(&output.unwrap(), 0, "yes\n", "1\n");
}

#[test]
fn what_a_busy_script_printed_is_out_before_it_is_killed() {
    let scripts = Scripts::new(&[("main.js", "print('before'); for (;;) Math.random()")]);
    let mut child = scripts.command(BINARY).arg("main.js").stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    child.kill().unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"before\n");
}

#[test]
fn files_are_written_read_listed_and_removed() {
    prints(
        "const f = belljar.files; f.makeDirectory('d/e'); f.writeText('d/a', 'ä'); \
         f.writeBytes('d/b', new Uint8Array([255, 0])); print(f.list('d'), f.readText('d/a'), f.readBytes('d/b'));\
         f.remove('d/a'); print(f.exists('d/a'), f.exists('d/b')); f.remove('d'); print(f.exists('d'))",
        "a,b,e ä 255,0\nfalse true\nfalse\n",
    );
}

#[test]
fn secrets_are_there_and_shown_by_name_only() {
    let scripts = Scripts::new(&[(
        "main.js",
        "const s = belljar.secrets; console.log(belljar.secrets, Object.keys(s), s.NONE);\
         print(s.TOKEN, s.RAW, Object.getPrototypeOf(s)); s.RAW[0] = 9; print(s.RAW[0]);\
         print(belljar.files.exists('/proc/self/fd/7'))",
    )]);
    let output =
        run_with_secrets(&scripts, &map(&[("TOKEN", b"hunter2 \xc3\xa4"), ("RAW", b"\xff\x01")]));
    let shown = "{ TOKEN: [secret], RAW: [secret] } [ 'TOKEN', 'RAW' ] undefined\n\
                 hunter2 ä 255,1 null\n255\nfalse\n";
    check(&output, 0, shown, "");
}

#[test]
fn secrets_cannot_be_written_even_by_sloppy_code() {
    let scripts = Scripts::new(&[(
        "main.js",
        "const sloppy = (code) => { try { new Function('s', code)(belljar.secrets); print('written', code) }\
           catch (error) { print(error.message) } };\
         sloppy('s.TOKEN = 1'); sloppy('s.NEW = 1'); sloppy('delete s.TOKEN');\
         sloppy('Object.defineProperty(s, \"X\", { value: 1 })'); sloppy('s.__proto__ = {}; Object.setPrototypeOf(s, {})');\
         print(belljar.secrets.TOKEN); sloppy('belljar.secrets = 1; if (belljar.secrets !== 1) throw Error(\"kept\")')",
    )]);
    let output = run_with_secrets(&scripts, &map(&[("TOKEN", b"t")]));
    let refused = "belljar.secrets is read-only\n".repeat(5);
    check(&output, 0, &format!("{refused}t\nkept\n"), "");
}

#[test]
fn a_broken_secret_map_runs_nothing() {
    let scripts = Scripts::new(&[("main.js", "print('ran')")]);
    let output = run_with_secrets(&scripts, b"\x01\0\0\0A\xff\0\0\0");
    check(&output, 2, "", "belljar-js: the secrets are cut short or not in the expected form\n");
    let output = scripts.command(BINARY).arg("main.js").env("BELLJAR_SECRETS_FD", "1").output();
    assert_eq!(output.unwrap().status.code(), Some(2));
    check(&run_with_secrets(&scripts, b""), 0, "ran\n", "");
}

#[test]
fn jobs_come_before_timers_and_timers_in_order() {
    prints(
        "const at = (ms, x) => setTimeout(print, ms, x); at(20, 'd'); at(5, 'c'); at(0, 'a'); at(1, 'b');\
         clearTimeout(at(2, 'never')); queueMicrotask(() => print('job')); print('first');\
         let n = 0; const id = setInterval(() => { if (++n === 3) { clearInterval(id); print('thrice') } }, 10)",
        "first\njob\na\nb\nc\nd\nthrice\n",
    );
    let start = Instant::now();
    prints(
        "await new Promise((done) => setTimeout(done, 200)); print(performance.now() >= 200)",
        "true\n",
    );
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[test]
fn recursion_of_every_kind_is_an_error_and_no_crash() {
    for deep in [
        "const f = () => f() + 1; f()",
        "const f = (x) => [1].map(() => f(x)); f(1)",
        "const o = { toString() { return `${this}` } }; `${o}`",
        "const o = { toJSON() { return JSON.stringify(o) } }; JSON.stringify(o)",
        "const p = new Proxy({}, { get: (t, k, r) => r[k] }); p.x",
        "JSON.parse('['.repeat(1e6))",
        "eval('('.repeat(1e6))",
        "new RegExp('('.repeat(1e6))",
        "let a = []; for (let i = 0; i < 1e6; i++) a = [a]; JSON.stringify(a)",
        "let a = []; for (let i = 0; i < 1e6; i++) a = [a]; a.flat(Infinity)",
        "let a = []; for (let i = 0; i < 1e6; i++) a = [a]; structuredClone(a)",
        "const sort = () => [2, 1].sort(sort); sort()",
        "class A extends Array { constructor() { super(); new A() } } new A()",
    ] {
        let caught =
            format!("try {{ {deep}; print('done') }} catch (e) {{ print(e.constructor.name) }}");
        let output = run(&caught);
        let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(
            ["RangeError", "InternalError", "SyntaxError"].contains(&name.as_str()),
            "{deep}: {output:?}"
        );
        assert_eq!(output.status.code(), Some(0), "{deep}");
    }
    let uncaught = run("const f = () => f() + 1; f()");
    assert!(
        uncaught
            .stderr
            .starts_with(b"RangeError: Maximum call stack size exceeded\n    at f (main.js:1:")
    );
    assert_eq!(uncaught.status.code(), Some(1));
}

#[test]
fn memory_beyond_the_engine_limit_is_an_error() {
    let limited = |source: &str| {
        let scripts = Scripts::new(&[("main.js", source)]);
        let mut command = scripts.command(BINARY);
        command.arg("main.js").env("BELLJAR_JS_MEMORY_BYTES", "16000000").output().unwrap()
    };
    let grow = "const all = []; for (;;) all.push(new Uint8Array(1e5))";
    check(
        &limited(&format!("try {{ {grow} }} catch (e) {{ print(e.message) }}")),
        0,
        "out of memory\n",
        "",
    );
    for endless in
        [grow, "let s = 'x'; for (;;) s += s + 1", "globalThis.a = []; for (;;) a.push({})"]
    {
        let output = limited(endless);
        assert_eq!(output.status.code(), Some(1), "{endless}: {output:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("Error: "),
            "{endless}: {output:?}"
        );
    }
}

#[test]
fn the_web_basics_are_there() {
    prints(
        "print(atob(btoa('hi')), new TextDecoder().decode(new TextEncoder().encode('ß')))",
        "hi ß\n",
    );
    prints(
        "print(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID()));\
            print(crypto.getRandomValues(new Uint32Array(8)).some((n) => n > 0xffff))",
        "true\ntrue\n",
    );
    prints(
        "const a = { d: new Date(0), m: new Map([[1, [2]]]) }; a.a = a; const b = structuredClone(a);\
            print(b !== a, b.a === b, b.d.getTime(), b.m.get(1)[0]); try { structuredClone(print) } catch (e) { print(e.name) }",
        "true true 0 2\nDataCloneError\n",
    );
    fails(
        "new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array([255]))",
        "TypeError: the data is not valid UTF-8\n    at <anonymous> (main.js:1)\n",
    );
}
