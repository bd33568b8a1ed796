//! From standard streams to the door of a service: one line is one request there. Whatever the
//! service offers is offered, and a client that goes away takes its requests with it.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use belljar::Error;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response};
use rmcp::transport::io::{StdioReader, StdioWriter, stdio_pipes};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::client::{Address, Service};
use crate::http::USUAL_BODY_BYTES;
use crate::json::Problem;

const PLACE: &str = "/mcp";
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// Answers that wait for a client that does not read.
const MOST_ANSWERS: usize = 64;

/// What is known of the conversation.
#[derive(Clone)]
struct Bridge {
    address: Address,
    answers: mpsc::Sender<String>,
    /// The headers that the first answer settles.
    settled: Arc<Mutex<HeaderMap>>,
}

/// Passes on what comes, until nothing more does.
pub(crate) async fn bridge(socket: &Path) -> Result<(), Error> {
    let cannot = |error: io::Error| {
        Error::Invalid(format!("no service answers on {}: {error}", socket.display()))
    };
    let address = Address::Socket(socket.to_owned());
    drop(Service::at(&address).await.map_err(cannot)?);
    let (reader, writer) = stdio_pipes();
    let (answers, said) = mpsc::channel(MOST_ANSWERS);
    let bridge = Bridge { address, answers, settled: Arc::default() };
    let told = tokio::spawn(tell(writer, said));
    bridge.listen(reader).await;
    drop(bridge);
    drop(told.await);
    Ok(())
}

/// Says answers, each on a line, while somebody hears them.
async fn tell(mut writer: StdioWriter, mut said: mpsc::Receiver<String>) {
    while let Some(answer) = said.recv().await {
        let line = format!("{answer}\n");
        let told = async {
            writer.write_all(line.as_bytes()).await?;
            writer.flush().await
        };
        if told.await.is_err() {
            return;
        }
    }
}

impl Bridge {
    async fn listen(&self, reader: StdioReader) {
        let mut reader = BufReader::new(reader);
        let mut asked = JoinSet::new();
        let mut going = HashMap::<String, AbortHandle>::new();
        loop {
            let mut line = Vec::new();
            let most = USUAL_BODY_BYTES as u64;
            let read = (&mut reader).take(most).read_until(b'\n', &mut line).await;
            if !matches!(read, Ok(1..)) {
                // With their connections, those that go on end.
                return;
            }
            while asked.try_join_next().is_some() {}
            going.retain(|_, task| !task.is_finished());
            // What is no message has no answer.
            let Ok(message) = serde_json::from_slice::<Value>(&line) else { continue };
            let method = message.get("method").and_then(Value::as_str).unwrap_or_default();
            if method == "notifications/cancelled" {
                let meant = message.pointer("/params/requestId").map(ToString::to_string);
                if let Some(task) = meant.and_then(|meant| going.remove(&meant)) {
                    task.abort();
                }
                continue;
            }
            let id = message.get("id").map(ToString::to_string);
            match id {
                Some(id) if method != "initialize" => {
                    let bridge = self.clone();
                    let task = asked.spawn(async move { bridge.ask(line, &message).await });
                    going.insert(id, task);
                }
                // What comes next depends on it.
                _ => self.ask(line, &message).await,
            }
        }
    }

    /// Passes on one message, and what is said to it.
    async fn ask(&self, line: Vec<u8>, message: &Value) {
        let passed = async {
            let service = Service::at(&self.address).await.map_err(|error| {
                Problem::passing("internal", format!("no service answers: {error}"))
            })?;
            let answer = service.post(PLACE, self.headers(message), line).await?;
            self.hear(answer, message).await
        };
        let Err(problem) = passed.await else { return };
        if let Some(id) = message.get("id") {
            let error = json!({ "code": -32603, "message": problem.message, "data": problem });
            self.say(json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string()).await;
        }
    }

    async fn hear(&self, answer: Response<Incoming>, message: &Value) -> Result<(), Problem> {
        let is_first = message.get("method").is_some_and(|method| method == "initialize");
        if let Some(name) = answer.headers().get(SESSION).filter(|_| is_first) {
            self.settle(SESSION, name.clone());
        }
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let (status, kind) = (answer.status(), kind.unwrap_or_default().to_owned());
        let mut events = Events::default();
        let mut body = answer.into_body();
        let broken = |error| Problem::passing("internal", format!("the answer broke off: {error}"));
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            events.buffer.extend_from_slice(&data);
            if !kind.starts_with("text/event-stream") {
                continue;
            }
            while let Some(event) = events.next() {
                self.heard(&event, is_first).await;
            }
        }
        if kind.starts_with("application/json") {
            let text = String::from_utf8_lossy(&events.buffer).replace(['\n', '\r'], " ");
            self.heard(text.trim(), is_first).await;
        } else if !status.is_success() {
            let why = String::from_utf8_lossy(&events.buffer);
            return Err(Problem::passing("internal", format!("the service says {status}: {why}")));
        }
        Ok(())
    }

    async fn heard(&self, text: &str, is_first: bool) {
        if is_first
            && let Ok(answer) = serde_json::from_str::<Value>(text)
            && let Some(version) = answer.pointer("/result/protocolVersion").and_then(Value::as_str)
            && let Ok(version) = HeaderValue::from_str(version)
        {
            self.settle(VERSION, version);
        }
        self.say(text.to_owned()).await;
    }

    async fn say(&self, text: String) {
        // Nobody hears it: then nobody is there.
        drop(self.answers.send(text).await);
    }

    fn settle(&self, name: HeaderName, value: HeaderValue) {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).insert(name, value);
    }

    /// What has to be said of a message before it.
    fn headers(&self, message: &Value) -> HeaderMap {
        let mut headers = self.settled.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let accepted = HeaderValue::from_static("application/json, text/event-stream");
        headers.insert(ACCEPT, accepted);
        let text = |place: &str| message.pointer(place).and_then(Value::as_str);
        let version = text("/params/_meta/io.modelcontextprotocol~1protocolVersion");
        let name = text("/params/name").or_else(|| text("/params/uri"));
        for (header, value) in [(VERSION, version), (METHOD, text("/method")), (NAME, name)] {
            if let Some(value) = value.and_then(plain) {
                headers.insert(header, value);
            }
        }
        headers
    }
}

/// A text as a header has it. What a header cannot hold is wrapped as the protocol says.
fn plain(text: &str) -> Option<HeaderValue> {
    let is_plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && text.trim() == text;
    if is_plain && !text.starts_with("=?base64?") {
        return HeaderValue::from_str(text).ok();
    }
    HeaderValue::from_str(&format!("=?base64?{}?=", BASE64.encode(text))).ok()
}

/// Server-sent events, as far as they are read (HTML standard, 9.2.6).
#[derive(Default)]
struct Events {
    buffer: Vec<u8>,
}

impl Events {
    /// The data of the next event that has any.
    fn next(&mut self) -> Option<String> {
        loop {
            let end = self.buffer.windows(2).position(|pair| pair == b"\n\n")?;
            let rest = self.buffer.split_off(end + 2);
            let event = std::mem::replace(&mut self.buffer, rest);
            let event = String::from_utf8_lossy(&event);
            let data = event.lines().filter_map(|line| line.strip_prefix("data:"));
            let data = data.map(|line| line.strip_prefix(' ').unwrap_or(line));
            let data = data.collect::<Vec<_>>().join(" ");
            if !data.is_empty() {
                return Some(data);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_in_whatever_pieces_they_come() {
        let text = b": hello\n\nid: 0\ndata: \n\ndata: {\"a\":1}\n\nid: 2\ndata: 2\n\nda";
        for size in 1..text.len() {
            let (mut events, mut read) = (Events::default(), Vec::new());
            for piece in text.chunks(size) {
                events.buffer.extend_from_slice(piece);
                read.extend(std::iter::from_fn(|| events.next()));
            }
            assert_eq!(read, ["{\"a\":1}", "2"], "{size}");
        }
    }

    #[test]
    fn what_a_header_cannot_hold_is_wrapped() {
        assert_eq!(plain("tools/call").unwrap(), "tools/call");
        assert_eq!(plain("\u{e4}\n").unwrap(), "=?base64?w6QK?=");
        assert_eq!(plain(" a").unwrap(), "=?base64?IGE=?=");
    }
}
