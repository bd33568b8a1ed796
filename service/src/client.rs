//! The other end of the socket: a run that takes place in a service.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use belljar::Chunk;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Method, Response};
use hyper_util::rt::TokioIo;
use nix::unistd::geteuid;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use crate::http::USUAL_BODY_BYTES;
use crate::json::{self, Event, Outcome, Problem, Request, Whose};

/// How long a service may take before a run has started.
const PATIENCE: Duration = Duration::from_mins(1);
/// And how long to end one.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// How often one that has too much to do is asked again, and how long after.
const RETRIES: (u32, Duration) = (100, Duration::from_millis(20));
/// More than any event with all that a run may write.
const MOST_LINE_BYTES: usize = 1 << 30;
/// More than any problem.
const MOST_PROBLEM_BYTES: usize = 1 << 20;

const EVENTS: &str = "application/x-ndjson";

/// A connection to a service.
pub(crate) struct Service {
    socket: PathBuf,
    sender: SendRequest<Full<Bytes>>,
}

/// A run in a service. Dropping this kills it.
pub(crate) struct Attended {
    id: String,
    socket: PathBuf,
    lines: Lines,
    ended: Option<Result<Box<Outcome>, Problem>>,
}

/// An answer, line by line.
struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
    /// In which there is no end of a line.
    searched: usize,
}

impl Service {
    /// # Errors
    /// When nobody listens on `socket`, or somebody who is to see no secret of this user.
    pub(crate) async fn at(socket: &Path) -> io::Result<Self> {
        let stream = connect(socket).await?;
        let (peer, own) = (stream.peer_cred()?.uid(), geteuid());
        if peer != own.as_raw() && peer != 0 && !own.is_root() {
            return Err(io::Error::other(format!("it belongs to user {peer}")));
        }
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // How it ends is seen by whoever waits for the answer.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { socket: socket.to_owned(), sender })
    }

    /// Starts a run, and returns once its payload runs behind walls that were looked at.
    ///
    /// # Errors
    /// What the service says, or that it does not.
    pub(crate) async fn start(self, request: &Request) -> Result<Attended, Problem> {
        let body = json::line(request);
        if body.len() > USUAL_BODY_BYTES {
            return Err(Problem::invalid(format!(
                "a request of {} MiB is more than the {} MiB that a service takes: run it here, \
                 with --cold",
                body.len() >> 20,
                USUAL_BODY_BYTES >> 20,
            )));
        }
        let started = timeout(PATIENCE, self.begin(body)).await;
        started.unwrap_or_else(|_| Err(gone("the service does not answer")))
    }

    /// What is at `place`, as JSON.
    ///
    /// # Errors
    /// What the service says, or that it does not.
    pub(crate) async fn get<T: DeserializeOwned>(self, place: &str) -> Result<T, Problem> {
        let asked = async {
            let accept = "application/json";
            let answer = send(self.sender, Method::GET, place, accept, String::new()).await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MOST_LINE_BYTES).collect().await;
            let body = body.map_err(|error| gone(&format!("its answer broke off: {error}")))?;
            let bytes = body.to_bytes();
            if !status.is_success() {
                let problem = serde_json::from_slice(&bytes);
                return Err(problem.unwrap_or_else(|_| strange(&format!("it says {status}"))));
            }
            serde_json::from_slice(&bytes).map_err(|error| strange(&error.to_string()))
        };
        let answered = timeout(PATIENCE, asked).await;
        answered.unwrap_or_else(|_| Err(gone("the service does not answer")))
    }

    /// Posts a message, with headers beside those that every message has.
    ///
    /// # Errors
    /// When the service went away.
    pub(crate) async fn post(
        mut self,
        place: &str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Response<Incoming>, Problem> {
        let request = hyper::Request::post(place).header(HOST, "belljar");
        let mut request = request
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .map_err(|error| strange(&error.to_string()))?;
        request.headers_mut().extend(headers);
        let lost = |error| gone(&format!("the service went away: {error}"));
        self.sender.send_request(request).await.map_err(lost)
    }

    async fn begin(self, body: String) -> Result<Attended, Problem> {
        let Self { socket, sender } = self;
        let answer = send(sender, Method::POST, "/v1/runs", EVENTS, body).await?;
        let status = answer.status();
        let mut lines = Lines { body: answer.into_body(), buffer: Vec::new(), searched: 0 };
        if !status.is_success() {
            let line = lines.next(MOST_PROBLEM_BYTES).await?.unwrap_or_default();
            let problem = serde_json::from_slice(&line);
            return Err(problem.unwrap_or_else(|_| strange(&format!("it says {status}"))));
        }
        let mut attended = Attended { id: String::new(), socket, lines, ended: None };
        loop {
            match attended.event().await? {
                Event::Queued { id } => attended.id = id,
                Event::Started { id } => {
                    attended.id = id;
                    return Ok(attended);
                }
                Event::Problem { problem } => return Err(problem),
                _ => return Err(strange("its first word is not that the run has started")),
            }
        }
    }
}

impl Attended {
    /// The next output; nothing when the run has ended. Cancellation safe.
    pub(crate) async fn output(&mut self) -> Option<Chunk> {
        while self.ended.is_none() {
            let chunk = match self.event().await {
                Ok(Event::Stdout(data)) => data.bytes().map(Chunk::Stdout),
                Ok(Event::Stderr(data)) => data.bytes().map(Chunk::Stderr),
                Ok(Event::Queued { .. } | Event::Started { .. } | Event::Unknown) => continue,
                Ok(Event::Outcome { outcome }) => {
                    self.ended = Some(Ok(outcome));
                    break;
                }
                Ok(Event::Problem { problem }) | Err(problem) => {
                    self.ended = Some(Err(problem));
                    break;
                }
            };
            match chunk {
                Ok(chunk) => return Some(chunk),
                Err(why) => self.ended = Some(Err(strange(&why))),
            }
        }
        None
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// Failures of belljar; whatever the payload did is an [`Outcome`].
    pub(crate) async fn wait(mut self) -> Result<Box<Outcome>, Problem> {
        while self.output().await.is_some() {}
        self.ended.unwrap_or_else(|| Err(gone("the service says nothing")))
    }

    /// Ends the payload and everything it started.
    ///
    /// # Errors
    /// As for [`Attended::wait`]. Whatever goes wrong, the run ends with this connection.
    pub(crate) async fn kill(self) -> Result<Box<Outcome>, Problem> {
        let (socket, place) = (self.socket.clone(), format!("/v1/runs/{}", self.id));
        let told = async {
            let service = Service::at(&socket).await.map_err(|error| gone(&error.to_string()))?;
            // That it is not found means that it has ended by itself.
            send(service.sender, Method::DELETE, &place, EVENTS, String::new()).await?;
            self.wait().await
        };
        let ended = timeout(END_PATIENCE, told).await;
        ended.unwrap_or_else(|_| Err(gone("the service does not end the run")))
    }

    async fn event(&mut self) -> Result<Event, Problem> {
        let line = self.lines.next(MOST_LINE_BYTES).await?;
        let line = line.ok_or_else(|| gone("the service went away before the run had ended"))?;
        serde_json::from_slice(&line).map_err(|error| strange(&error.to_string()))
    }
}

impl Lines {
    /// Cancellation safe.
    async fn next(&mut self, most_bytes: usize) -> Result<Option<Vec<u8>>, Problem> {
        loop {
            let fresh = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(self.searched + at + 1);
                self.searched = 0;
                return Ok(Some(std::mem::replace(&mut self.buffer, rest)));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > most_bytes {
                return Err(strange("its line does not end"));
            }
            let lost = "the service went away before the run had ended";
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(_)) => return Err(gone(lost)),
                None => return Ok(None),
            }
        }
    }
}

async fn send(
    mut sender: SendRequest<Full<Bytes>>,
    method: Method,
    place: &str,
    accept: &str,
    body: String,
) -> Result<Response<Incoming>, Problem> {
    let request = hyper::Request::builder()
        .method(method)
        .uri(place)
        .header(HOST, "belljar")
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, accept)
        .body(Full::from(body))
        .map_err(|error| strange(&error.to_string()))?;
    sender
        .send_request(request)
        .await
        .map_err(|error| gone(&format!("the service went away: {error}")))
}

/// The place with a query: a name and a value each, where there is a value.
pub(crate) fn with_query(place: &str, pairs: &[(&str, Option<String>)]) -> String {
    let given = pairs.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let query: Vec<_> = given.map(|(name, value)| format!("{name}={}", escape(value))).collect();
    if query.is_empty() { place.to_owned() } else { format!("{place}?{}", query.join("&")) }
}

/// Everything but what RFC 3986 reserves for nothing becomes its bytes in hexadecimal.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.extend(["%", &format!("{byte:02X}")]);
        }
    }
    escaped
}

/// A socket whose queue is full is one that somebody listens on.
async fn connect(socket: &Path) -> io::Result<UnixStream> {
    for _ in 0..RETRIES.0 {
        match UnixStream::connect(socket).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(RETRIES.1).await,
            connected => return connected,
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

fn gone(message: &str) -> Problem {
    Problem::passing("internal", message)
}

fn strange(message: &str) -> Problem {
    Problem::new("internal", Whose::Host, format!("this is no service of belljar: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_carries_any_text() {
        let pairs = [
            ("label", Some("k=v&x ä/%".to_owned())),
            ("status", None),
            ("limit", Some("5".to_owned())),
        ];
        let expected = "/v1/runs?label=k%3Dv%26x%20%C3%A4%2F%25&limit=5";
        assert_eq!(with_query("/v1/runs", &pairs), expected);
        assert_eq!(with_query("/v1/runs", &[("status", None)]), "/v1/runs");
    }
}
