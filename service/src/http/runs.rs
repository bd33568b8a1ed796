//! `/v1/runs`.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{HeaderValue, LOCATION};
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};
use tokio::time::timeout;

use super::answer::{Answer, Refusal, done, not_found, shared, stream, tell};
use super::headers::{self, Form};
use super::{Server, body, events, multipart, past};
use crate::broker::{Ended, Key, Submission, Submitted, Ticket};
use crate::json::{PendingRow, Problem, Whose, rfc3339};

/// How long a run that streams may wait for its turn before its events begin. Until then, what is
/// wrong with it has a status of its own.
const HEAD_WITHIN: Duration = Duration::from_millis(50);
const MOST_KEY_BYTES: usize = 255;
/// The longest that an answer waits for the end of a run that was asked for by its name.
const MOST_WAIT: Duration = Duration::from_mins(10);

/// `POST /v1/runs`.
pub(super) async fn submit(
    server: &Arc<Server>,
    tenant: Arc<str>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let (head, body) = request.into_parts();
    headers::only(head.uri.query(), &[])?;
    let (bytes, room) = body::read(server, &tenant, body).await?;
    let key = headers::one(&head.headers, "idempotency-key", MOST_KEY_BYTES)?;
    let key = key.map(|name| Key::new(name, &bytes));
    let request = multipart::request(&head.headers, bytes).await?;
    let is_detached = headers::is_async(&head.headers);
    let submission = Submission { tenant, request, key, is_detached, room: Box::new(room) };
    let (ticket, until_gone) = match server.broker.submit(submission).await? {
        Submitted::New(run) => (Arc::clone(&run.ticket), Some(run)),
        Submitted::Known(ticket) => (ticket, None),
        Submitted::Over(row) => return past::answer(server, *row),
    };
    if is_detached {
        let mut answer = tell(StatusCode::ACCEPTED, &pending(&ticket));
        if let Ok(place) = HeaderValue::from_str(&format!("/v1/runs/{}", ticket.id)) {
            answer.headers_mut().insert(LOCATION, place);
        }
        return Ok(answer);
    }
    let Some(form) = headers::events(&head.headers) else {
        let answer = ended(ticket.ended().await);
        drop(until_gone);
        return answer;
    };
    if let Ok(Err(problem)) = timeout(HEAD_WITHIN, ticket.begun()).await {
        return Err(Refusal::from(&*problem));
    }
    Ok(stream(form, events::stream(ticket.follow(), form, until_gone)))
}

/// `GET /v1/runs/ID`.
pub(super) async fn inspect(
    server: &Arc<Server>,
    tenant: &str,
    id: &str,
    head: &Parts,
) -> Result<Answer, Refusal> {
    headers::only(head.uri.query(), &["wait_ms"])?;
    let wait = headers::number(head.uri.query(), "wait_ms")?.map(Duration::from_millis);
    let Some(ticket) = server.broker.ticket(tenant, id) else {
        return past::inspect(server, tenant, id).await;
    };
    match timeout(wait.unwrap_or_default().min(MOST_WAIT), ticket.ended()).await {
        Ok(end) => ended(end),
        Err(_) => Ok(tell(StatusCode::OK, &pending(&ticket))),
    }
}

/// `GET /v1/runs/ID/events`.
pub(super) async fn follow(
    server: &Arc<Server>,
    tenant: &str,
    id: &str,
    head: &Parts,
) -> Result<Answer, Refusal> {
    headers::only(head.uri.query(), &["since"])?;
    let form = headers::events(&head.headers).unwrap_or(Form::Lines);
    let since = match headers::number(head.uri.query(), "since")? {
        Some(seq) => seq,
        None => headers::one(&head.headers, "last-event-id", 20)?
            .and_then(|seq| seq.parse().ok())
            .unwrap_or(0),
    };
    let seen = usize::try_from(since).unwrap_or(usize::MAX);
    let Some(ticket) = server.broker.ticket(tenant, id) else {
        return past::events(server, tenant, id, form, seen).await;
    };
    let follower = ticket.follow().skip(seen);
    Ok(stream(form, events::stream(follower, form, None)))
}

/// `POST /v1/runs/ID/stdin`. Returns when the payload has room for all of it.
pub(super) async fn feed(
    server: &Arc<Server>,
    tenant: &Arc<str>,
    id: &str,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let (head, body) = request.into_parts();
    headers::only(head.uri.query(), &["eof"])?;
    let is_last = headers::word(head.uri.query(), "eof").is_some_and(|word| word == "true");
    let ticket = known(server, tenant, id)?;
    // Two that wait would take up twice as much, for a payload that reads neither.
    let Ok(_turn) = ticket.feeding.try_lock() else {
        let what = "another write to this standard input is not taken yet";
        return Err(Problem { fault: Whose::Caller, ..Problem::overloaded(what) }.into());
    };
    let (bytes, _room) = body::read(server, tenant, body).await?;
    let closed =
        |why: &str| Refusal::invalid(StatusCode::CONFLICT, format!("standard input: {why}"));
    ticket.begun().await.map_err(|problem| Refusal::from(&*problem))?;
    let input = ticket.input().ok_or_else(|| closed("it is not open; ask with stdin_open"))?;
    input.write(&bytes).await.map_err(|error| closed(&error.to_string()))?;
    if is_last {
        ticket.close_input();
    }
    Ok(done())
}

/// `DELETE /v1/runs/ID`. The outcome is told to whoever waits for it.
pub(super) fn cancel(server: &Arc<Server>, tenant: &str, id: &str) -> Result<Answer, Refusal> {
    known(server, tenant, id)?.cancel();
    Ok(done())
}

fn known(server: &Server, tenant: &str, id: &str) -> Result<Arc<Ticket>, Refusal> {
    let ticket = server.broker.ticket(tenant, id);
    ticket.ok_or_else(|| not_found("no run of this name goes on"))
}

fn ended(ended: Ended) -> Result<Answer, Refusal> {
    match ended {
        Ok(answer) => Ok(shared(answer.line.clone())),
        Err(problem) => Err(Refusal::from(&*problem)),
    }
}

fn pending(ticket: &Ticket) -> PendingRow<'_> {
    PendingRow {
        id: &ticket.id,
        runtime: &ticket.runtime,
        status: ticket.status(),
        created_at: rfc3339(ticket.created_ms),
        labels: &ticket.labels,
    }
}
