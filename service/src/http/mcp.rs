//! `/mcp`: the Model Context Protocol, one request at a time. Nothing is kept between two of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde::Deserialize;
use serde_json::Value;

use super::answer::{Answer, Refusal, done, not_found, sign};
use super::{Server, body, headers};
use crate::broker::Broker;
use crate::mcp::{Caller, Handler, Waiting};

/// A name that clients of older revisions are given and repeat, by which their requests are told
/// from those of others.
const SESSION: &str = "mcp-session-id";
/// Who comes over a Unix socket has no other name for it; a browser that was lured has.
const HOSTS: [&str; 4] = ["localhost", "127.0.0.1", "[::1]", "belljar"];

/// Pages of this host. Those of others were lured here.
const ORIGINS: [&str; 3] = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];

/// What all requests share.
pub(super) struct Door {
    service: StreamableHttpService<Handler, NeverSessionManager>,
    answering: Arc<Answering>,
}

/// All that is being answered.
type Answering = Mutex<HashMap<Asked, Waiting>>;

/// A request that is being answered: whose, in which conversation, and its number there.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Asked {
    tenant: Arc<str>,
    session: String,
    id: String,
}

/// Somebody who waits for an answer, until this is dropped.
struct Listening {
    waiting: Waiting,
    entry: Option<(Asked, Arc<Answering>)>,
}

/// What is of interest here in a message.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    method: Option<String>,
    id: Option<Value>,
    params: Params,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Params {
    #[serde(rename = "requestId")]
    request_id: Option<Value>,
}

impl Door {
    /// `origins` are pages of others that may use it all the same.
    pub(super) fn new(broker: &Arc<Broker>, most_body_bytes: usize, origins: &[String]) -> Self {
        let origins = origins.iter().cloned().chain(ORIGINS.map(ToOwned::to_owned));
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_allowed_hosts(HOSTS)
            .with_allowed_origins(origins)
            .enforce_origin_validation()
            .with_max_request_body_bytes(most_body_bytes);
        let handler = Handler::new(Arc::clone(broker), None);
        let service =
            StreamableHttpService::new(move || Ok(handler.clone()), Arc::default(), config);
        Self { service, answering: Arc::default() }
    }

    /// A place among those who are answered, if it has a name of its own.
    fn listen(&self, asked: Option<Asked>, waiting: Waiting) -> Listening {
        let entry = asked.map(|asked| {
            lock(&self.answering).insert(asked.clone(), waiting.clone());
            (asked, Arc::clone(&self.answering))
        });
        Listening { waiting, entry }
    }

    fn cancel(&self, is_it: impl Fn(&Asked) -> bool) {
        for (_, waiting) in lock(&self.answering).iter().filter(|(asked, _)| is_it(asked)) {
            waiting.leave();
        }
    }
}

/// `/mcp`, whatever the method.
pub(super) async fn answer(
    server: &Arc<Server>,
    tenant: &Arc<str>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let (head, body) = request.into_parts();
    headers::only(head.uri.query(), &[])?;
    let session = headers::one(&head.headers, SESSION, 128)?.map(ToOwned::to_owned);
    let (bytes, room) = body::read(server, tenant, body).await?;
    let off = || not_found("the operator has it switched off; see `mcp.enabled`");
    let door = server.mcp.as_ref().ok_or_else(off)?;
    if let (&Method::DELETE, Some(session)) = (&head.method, &session) {
        door.cancel(|asked| asked.tenant == *tenant && asked.session == *session);
        return Ok(done());
    }
    // What is no message is explained by those who know the protocol.
    let message = serde_json::from_slice::<Message>(&bytes).unwrap_or_default();
    let asked = |id: Option<&Value>| {
        let (session, id) = (session.clone()?, id?.to_string());
        Some(Asked { tenant: Arc::clone(tenant), session, id })
    };
    if message.method.as_deref() == Some("notifications/cancelled")
        && let Some(meant) = asked(message.params.request_id.as_ref())
    {
        door.cancel(|asked| *asked == meant);
    }
    let (caller, waiting) = Caller::new(Arc::clone(tenant), Box::new(room));
    let listening = door.listen(asked(message.id.as_ref()), waiting);
    let is_first = message.method.as_deref() == Some("initialize");
    let mut answer = pass(door, head, bytes, caller, listening).await;
    if is_first && answer.status() == StatusCode::OK {
        let name = ulid::Ulid::generate().to_string();
        if let Ok(name) = HeaderValue::from_str(&name) {
            answer.headers_mut().insert(SESSION, name);
        }
    }
    Ok(answer)
}

/// The answer of the protocol. The caller is gone when it is dropped.
async fn pass(
    door: &Door,
    mut head: Parts,
    bytes: Vec<u8>,
    caller: Caller,
    listening: Listening,
) -> Answer {
    head.extensions.insert(caller);
    let request = Request::from_parts(head, Full::new(Bytes::from(bytes)));
    let answer = Box::pin(door.service.handle(request)).await;
    sign(answer.map(|body| {
        let body = body.map_frame(move |frame| {
            let _listening = &listening;
            frame
        });
        body.boxed_unsync()
    }))
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.waiting.leave();
        if let Some((asked, answering)) = self.entry.take() {
            lock(&answering).remove(&asked);
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
