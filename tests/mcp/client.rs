//! A client that speaks over standard streams, by hand.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::served::{PATIENCE, Served, belljar, wait};

/// Before it, a client says `initialize`; from it on, every request says who it is.
pub(crate) const LAST_WITH_HANDSHAKE: &str = "2025-11-25";
pub(crate) const CURRENT: &str = "2026-07-28";

/// `belljar mcp`, and whoever started it.
pub(crate) struct Client {
    child: Option<Child>,
    stdin: Option<ChildStdin>,
    messages: Receiver<Value>,
    next: u64,
}

impl Client {
    /// One that has not said anything.
    pub(crate) fn silent(options: &[&str]) -> Self {
        let mut command = belljar(&[&["mcp"], options].concat());
        command.stderr(Stdio::inherit());
        Self::launch(command)
    }

    /// One that says all there is to say of itself into a file.
    pub(crate) fn start_logging(options: &[&str], log: File) -> Self {
        let mut command = belljar(&[&["mcp"], options].concat());
        command.env("BELLJAR_LOG", "trace").stderr(log);
        Self::launch(command).welcomed()
    }

    fn launch(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                let line = line.unwrap();
                let message = serde_json::from_str(&line);
                let message = message.unwrap_or_else(|_| json!({ "not a message": line }));
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let stdin = child.stdin.take();
        Self { child: Some(child), stdin, messages, next: 0 }
    }

    /// One that was welcomed.
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::silent(options).welcomed()
    }

    /// One that finds other interpreters.
    pub(crate) fn start_with(options: &[&str], path: &str) -> Self {
        let mut command = belljar(&[&["mcp"], options].concat());
        command.env("PATH", path).stderr(Stdio::inherit());
        Self::launch(command).welcomed()
    }

    fn welcomed(self) -> Self {
        let mut client = self;
        let answer = client.ask("initialize", &hello());
        assert_eq!(answer["result"]["protocolVersion"], LAST_WITH_HANDSHAKE, "{answer}");
        client.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        client
    }

    pub(crate) fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    pub(crate) fn say(&mut self, message: &Value) {
        self.write(&format!("{message}\n"));
    }

    /// Asks, and does not wait; the number of the request.
    pub(crate) fn send(&mut self, method: &str, params: &Value) -> u64 {
        self.next += 1;
        let id = self.next;
        self.say(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    pub(crate) fn hear(&self) -> Value {
        let message = self.messages.recv_timeout(PATIENCE).expect("a message");
        assert_eq!(message["jsonrpc"], "2.0", "{message}");
        message
    }

    /// Nothing more is heard.
    pub(crate) fn is_deaf(&self) -> bool {
        self.messages.recv_timeout(PATIENCE).is_err()
    }

    /// What is answered to a request. Whatever else is said meanwhile is passed over.
    pub(crate) fn answer(&self, id: u64) -> Value {
        loop {
            let message = self.hear();
            if message["id"] == id {
                return message;
            }
        }
    }

    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.send(method, params);
        self.answer(id)
    }

    /// What a tool answers, an error or a result.
    pub(crate) fn try_call(&mut self, tool: &str, arguments: &Value) -> Value {
        self.ask("tools/call", &json!({ "name": tool, "arguments": arguments }))
    }

    /// The result of a tool.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let answer = self.try_call(tool, arguments);
        assert!(answer["result"].is_object(), "{answer}");
        answer["result"].clone()
    }

    /// The result of code.
    pub(crate) fn run(&mut self, runtime: &str, code: &str) -> Value {
        self.call("run_code", &json!({ "runtime": runtime, "code": code }))
    }

    pub(crate) fn kill(&self, signal: Signal) {
        let pid = self.child.as_ref().unwrap().id();
        nix::sys::signal::kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
    }

    /// Says no more.
    pub(crate) fn hang_up(&mut self) {
        drop(self.stdin.take());
    }

    pub(crate) fn end(&mut self) -> ExitStatus {
        self.hang_up();
        wait(self.child.take().unwrap())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.child.is_some() {
            let status = self.end();
            assert!(status.success() || std::thread::panicking(), "{status:?}");
        }
    }
}

/// Tries something with a service of its own, and with one that was there before.
pub(crate) fn everywhere(test: impl Fn(&mut Client)) {
    test(&mut Client::start(&[]));
    let served = Served::start(&[]);
    test(&mut Client::start(&["--socket", served.socket.to_str().unwrap()]));
    assert!(served.is_well());
}

pub(crate) fn hello() -> Value {
    let client = json!({ "name": "test", "version": "1" });
    let version = LAST_WITH_HANDSHAKE;
    json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": client })
}

/// What a request of the current revision says of whoever asks.
pub(crate) fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": CURRENT,
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

/// The text that a model reads.
pub(crate) fn text(result: &Value) -> &str {
    assert_eq!(result["content"][0]["type"], "text", "{result}");
    result["content"][0]["text"].as_str().unwrap()
}
