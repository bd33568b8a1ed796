//! The other end of a socket, of this host or of another: a run that takes place in a service.

mod address;
mod lines;
mod query;
mod ssh;

use std::io;
use std::path::Path;
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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use crate::http::USUAL_BODY_BYTES;
use crate::json::{self, API, Event, Outcome, Problem, Request, VERSION, Whose};
pub(crate) use address::{Address, Host};
use lines::Lines;
pub(crate) use query::{escape, with_query};
use ssh::{Manner, Ssh};

/// How long a service may take before a run has started, and one that somebody may have to give a
/// password to.
const PATIENCE: Duration = Duration::from_mins(1);
const FAR_PATIENCE: Duration = Duration::from_mins(3);
/// And how long to end one.
const END_PATIENCE: Duration = Duration::from_secs(5);
const FAR_END_PATIENCE: Duration = Duration::from_secs(20);
/// How often one that has too much to do is asked again, and how long after.
const RETRIES: (u32, Duration) = (100, Duration::from_millis(20));
/// More than any event with all that a run may write.
const MOST_LINE_BYTES: usize = 1 << 30;
/// More than any problem.
const MOST_PROBLEM_BYTES: usize = 1 << 20;

const EVENTS: &str = "application/x-ndjson";

/// A connection to a service, for one request after the other.
pub(crate) struct Service {
    address: Address,
    sender: SendRequest<Full<Bytes>>,
    ssh: Option<Ssh>,
    has_answered: bool,
}

/// A run in a service. Dropping this kills it.
pub(crate) struct Attended {
    id: String,
    /// What goes on only while this is there.
    service: Service,
    lines: Lines,
    ended: Option<Result<Box<Outcome>, Problem>>,
}

impl Service {
    /// # Errors
    /// When nobody listens there, or somebody who is to see no secret of this user. Whether another
    /// host can be reached turns out with the first request.
    pub(crate) async fn at(address: &Address) -> io::Result<Self> {
        Self::reach(address, Manner::Asks).await
    }

    async fn reach(address: &Address, manner: Manner) -> io::Result<Self> {
        let (sender, ssh) = match address {
            Address::Socket(path) => (shake(connect(path).await?).await?, None),
            Address::Host(host) => {
                let (ssh, stream) = Ssh::to(host, manner)?;
                (shake(stream).await?, Some(ssh))
            }
        };
        Ok(Self { address: address.clone(), sender, ssh, has_answered: false })
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
        let patience = self.patience();
        let started = timeout(patience, self.begin(body)).await;
        started.unwrap_or_else(|_| Err(gone("the service does not answer")))
    }

    /// What is at `place`, as JSON.
    ///
    /// # Errors
    /// What the service says, or that it does not.
    pub(crate) async fn get<T: DeserializeOwned>(&mut self, place: &str) -> Result<T, Problem> {
        let patience = self.patience();
        let asked = async {
            let answer = self.send(Method::GET, place, "application/json", String::new()).await?;
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
        let answered = timeout(patience, asked).await;
        answered.unwrap_or_else(|_| Err(gone("the service does not answer")))
    }

    /// Posts a message, with headers beside those that every message has.
    ///
    /// # Errors
    /// When the service went away, or is another.
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
        self.pass(request).await
    }

    async fn begin(mut self, body: String) -> Result<Attended, Problem> {
        let answer = self.send(Method::POST, "/v1/runs", EVENTS, body).await?;
        let status = answer.status();
        let mut lines = Lines::new(answer.into_body());
        if !status.is_success() {
            let line = lines.next(MOST_PROBLEM_BYTES).await?.unwrap_or_default();
            let problem = serde_json::from_slice(&line);
            return Err(problem.unwrap_or_else(|_| strange(&format!("it says {status}"))));
        }
        let mut attended = Attended { id: String::new(), service: self, lines, ended: None };
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

    async fn send(
        &mut self,
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
        self.pass(request).await
    }

    /// The answer of a service that speaks as this side does.
    async fn pass(
        &mut self,
        request: hyper::Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Problem> {
        if self.has_answered && self.sender.ready().await.is_err() {
            // Nobody has to keep a connection for longer than one request.
            let again = Self::reach(&self.address, Manner::Asks).await;
            *self = again.map_err(|error| gone(&format!("the service went away: {error}")))?;
        }
        let sent = async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        };
        match sent.await {
            Ok(answer) => {
                same_contract(answer.headers())?;
                self.has_answered = true;
                if let Some(ssh) = &mut self.ssh {
                    ssh.is_through();
                }
                Ok(answer)
            }
            // A shell that greets even those who give it one command.
            Err(error) if error.is_parse() => Err(strange("what comes back is no HTTP")),
            Err(error) => {
                let why = match (&mut self.ssh, &self.address) {
                    (Some(ssh), Address::Host(host)) => ssh.why(host).await,
                    _ => None,
                };
                Err(why.unwrap_or_else(|| gone(&format!("the service went away: {error}"))))
            }
        }
    }

    fn patience(&self) -> Duration {
        if self.ssh.is_some() { FAR_PATIENCE } else { PATIENCE }
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
        let (address, place) = (self.service.address.clone(), format!("/v1/runs/{}", self.id));
        let is_far = self.service.ssh.is_some();
        let told = async {
            let service = Service::reach(&address, Manner::Silent).await;
            let mut service = service.map_err(|error| gone(&error.to_string()))?;
            // That it is not found means that it has ended by itself.
            service.send(Method::DELETE, &place, EVENTS, String::new()).await?;
            self.wait().await
        };
        let patience = if is_far { FAR_END_PATIENCE } else { END_PATIENCE };
        match timeout(patience, told).await {
            Err(_) => Err(gone("the service does not end the run")),
            Ok(Err(problem)) if is_far => Err(Problem {
                message: format!(
                    "the run ended with its connection, and what came of it is unknown: {}",
                    problem.message
                ),
                ..problem
            }),
            Ok(ended) => ended,
        }
    }

    async fn event(&mut self) -> Result<Event, Problem> {
        let line = self.lines.next(MOST_LINE_BYTES).await?;
        let line = line.ok_or_else(|| gone("the service went away before the run had ended"))?;
        serde_json::from_slice(&line).map_err(|error| strange(&error.to_string()))
    }
}

/// A stream to the service that listens on `socket`. One whose queue is full is one that somebody
/// listens on.
///
/// # Errors
/// When nobody does, or somebody who is to see no secret of this user.
pub(crate) async fn connect(socket: &Path) -> io::Result<UnixStream> {
    for _ in 0..RETRIES.0 {
        match UnixStream::connect(socket).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(RETRIES.1).await,
            connected => return connected.and_then(of_this_user),
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

fn of_this_user(stream: UnixStream) -> io::Result<UnixStream> {
    let (peer, own) = (stream.peer_cred()?.uid(), geteuid());
    if peer != own.as_raw() && peer != 0 && !own.is_root() {
        return Err(io::Error::other(format!("it belongs to user {peer}")));
    }
    Ok(stream)
}

async fn shake(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> io::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // How it ends is seen by whoever waits for the answer.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// What another number means is not known, so nothing of its answers is read.
fn same_contract(headers: &HeaderMap) -> Result<(), Problem> {
    let told = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let theirs = match told("belljar-api") {
        Some(API) => return Ok(()),
        Some(other) => {
            format!("belljar {} with Api {other}", told("belljar-version").unwrap_or("?"))
        }
        None => "something without an Api of belljar".to_owned(),
    };
    let what = format!(
        "this is belljar {VERSION} with Api {API}, and what answers is {theirs}: use the same \
         version on both sides, and start the service anew"
    );
    Err(Problem::new("internal", Whose::Host, what))
}

fn gone(message: &str) -> Problem {
    Problem::passing("internal", message)
}

fn strange(message: &str) -> Problem {
    Problem::new("internal", Whose::Host, format!("this is no service of belljar: {message}"))
}
