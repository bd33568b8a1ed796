//! The engine that is up before its task is known: the same scripts, over the line.

#![expect(clippy::unwrap_used, reason = "a helper that fails has failed the test")]

mod scripts;

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Child, Output, Stdio},
};

use belljar_protocol::{
    Contents, Entry, Files, Order, SecretMap, Stdin, Task,
    wire::{MAX_BYTES, encode_order},
};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use scripts::{BINARY, Scripts};

/// An engine that waits, and the far end of its line.
struct Primed {
    directory: Scripts,
    line: File,
    child: Child,
}

impl Primed {
    /// The line comes as standard input, because nothing else can be handed over without unsafe.
    fn start() -> Self {
        let (near, far): (OwnedFd, OwnedFd) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .unwrap();
        let directory = Scripts::new(&[]);
        let hand_over = r#"exec 3<&0 </dev/null; exec "$0" --primed"#;
        let child = directory
            .command("/bin/sh")
            .args(["-c", hand_over, BINARY])
            .stdin(far)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut primed = Self { directory, line: File::from(near), child };
        assert_eq!(primed.receive(), b"ready");
        primed
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut datagram = [0; 16];
        let bytes = self.line.read(&mut datagram).unwrap();
        datagram.get(..bytes).unwrap().to_vec()
    }

    fn task(&self, files: &[(&str, u32, &str)], args: &[&str]) -> Task {
        let here = |name: &str| self.directory.0.path().join(name).to_str().unwrap().to_owned();
        let entry = |(name, mode, text): &(&str, u32, &str)| Entry {
            path: here(name),
            mode: *mode,
            bytes: u64::try_from(text.len()).unwrap(),
        };
        let contents: String = files.iter().map(|(_, _, text)| *text).collect();
        let args = args.iter().map(|arg| (*arg).to_owned());
        Task {
            files: Files {
                entries: files.iter().map(entry).collect(),
                contents: Contents::Inline(contents.into_bytes()),
            },
            stdin: Stdin::Empty,
            program: "/belljar-js".to_owned(),
            argv: [here("main.js")].into_iter().chain(args).collect(),
            env: Vec::new(),
            secrets: SecretMap::new(),
            deadline_ms: 5_000,
        }
    }

    fn send(&mut self, task: Task) {
        let order = encode_order(&Order::Run(Box::new(task))).unwrap();
        assert_eq!(self.line.write(&order).unwrap(), order.len());
    }

    /// Sends the task; what the engine announced, and how it ended.
    fn run(mut self, task: Task) -> (Vec<u8>, Output) {
        self.send(task);
        // The outputs first: a script may print more than a pipe holds.
        let Self { directory, mut line, child } = self;
        let output = child.wait_with_output().unwrap();
        let mut announced = Vec::new();
        line.read_to_end(&mut announced).unwrap();
        drop(directory);
        (announced, output)
    }
}

#[track_caller]
fn check(ended: &(Vec<u8>, Output), code: u8, stdout: &str, stderr: &str) {
    let (announced, output) = ended;
    assert_eq!(String::from_utf8_lossy(&output.stdout), stdout);
    assert_eq!(String::from_utf8_lossy(&output.stderr), stderr);
    assert_eq!(output.status.code(), Some(code.into()));
    assert_eq!(*announced, [code]);
}

fn run(source: &str) -> (Vec<u8>, Output) {
    let primed = Primed::start();
    let task = primed.task(&[("main.js", 0o644, source)], &[]);
    primed.run(task)
}

#[test]
fn a_script_ends_on_the_line_as_it_does_from_the_command_line() {
    for source in [
        "console.log(1, [2], { a: 'b' })",
        "",
        "console.log('x'); belljar.exit(7)",
        "throw new Error('no')",
        "setTimeout(() => { throw 5 }, 1); console.log('first')",
        "Promise.reject(new Error('nobody'))",
        "await new Promise(() => {})",
        "let x = ;",
        "import './nowhere.js'",
        "function f() { f() } f()",
        "console.log(Object.getOwnPropertyNames(globalThis).join(), Object.keys(belljar))",
        "console.log('y'.repeat(3e6))",
        "console.log(belljar.stdin.text().length, structuredClone([1]), new Error('here').stack)",
    ] {
        let cold = Scripts::new(&[("main.js", source)]).run(&[]);
        let code = u8::try_from(cold.status.code().unwrap()).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        check(&run(source), code, &text(&cold.stdout), &text(&cold.stderr));
    }
}

#[test]
fn a_task_brings_its_files_arguments_and_secrets() {
    let primed = Primed::start();
    let main = "import { x } from './deep/er/x.js'; const { KEY, RAW } = belljar.secrets;\
                console.log(x, belljar.args, KEY, RAW.length, belljar.secrets)";
    let files = [("main.js", 0o644, main), ("deep/er/x.js", 0o600, "export const x = 'there'")];
    let mut task = primed.task(&files, &["a", "b c"]);
    task.secrets.insert("KEY", b"hunter2".to_vec()).unwrap();
    task.secrets.insert("RAW", vec![0xff, 0]).unwrap();
    check(
        &primed.run(task),
        0,
        "there [ 'a', 'b c' ] hunter2 2 { KEY: [secret], RAW: [secret] }\n",
        "",
    );
}

#[test]
fn a_task_brings_its_time_zone_and_its_ceiling_of_memory() {
    let source = "console.log(new Date(0).getHours());\
                  try { new Uint8Array(60e6) } catch (error) { console.log(error.message) }";
    let primed = Primed::start();
    let mut task = primed.task(&[("main.js", 0o644, source)], &[]);
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    task.env = vec![variable("TZ", "XXX-9"), variable("BELLJAR_JS_MEMORY_BYTES", "20000000")];
    check(&primed.run(task), 0, "9\nout of memory\n", "");
}

#[test]
fn what_was_printed_is_in_the_pipe_when_the_end_is_announced() {
    let mut primed = Primed::start();
    let task = primed.task(&[("main.js", 0o644, "print('z'.repeat(40000))")], &[]);
    primed.send(task);
    assert_eq!(primed.receive(), [0]);
    drop(primed.child.kill());
    let output = primed.child.wait_with_output().unwrap();
    assert_eq!(output.stdout.len(), 40_001);
}

#[test]
fn the_largest_task_arrives() {
    let primed = Primed::start();
    let source = format!("console.log(1)//{}", "x".repeat(MAX_BYTES - 60_000));
    let task = primed.task(&[("main.js", 0o644, &source)], &[]);
    check(&primed.run(task), 0, "1\n", "");
}

#[test]
fn an_engine_that_nobody_wants_leaves_without_a_word() {
    let Primed { directory, line, child } = Primed::start();
    drop(line);
    let output = child.wait_with_output().unwrap();
    drop(directory);
    assert_eq!((output.stdout, output.stderr, output.status.code()), (vec![], vec![], Some(0)));
}

#[test]
fn what_is_no_task_is_refused() {
    let mut primed = Primed::start();
    primed.line.write_all(b"BJ??").unwrap();
    let output = primed.child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("belljar-js: the line brought a "));
    assert_eq!(output.status.code(), Some(2));
}
