//! `/v1/sessions`.

use std::convert::Infallible;
use std::sync::Arc;

use belljar::Chunk;
use futures_util::stream::{Stream, unfold};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{HeaderValue, LOCATION};
use hyper::{Request, StatusCode};
use serde::Serialize;

use super::answer::{Answer, Refusal, done, stream, tell};
use super::events::{framed, over, row};
use super::headers::{self, Form};
use super::{Server, body};
use crate::broker::{Called, Calls};
use crate::json::{self, CallRequest, Encoded, SessionPage, SessionRequest};

#[derive(Serialize)]
struct Named<'a> {
    id: &'a str,
}

/// `POST /v1/sessions`.
pub(super) async fn open(
    server: &Arc<Server>,
    tenant: Arc<str>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let (request, room) = body::understood::<SessionRequest>(server, &tenant, request).await?;
    let row = server.broker.open_session(tenant, request, Box::new(room)).await?;
    let mut answer = tell(StatusCode::CREATED, &row);
    if let Ok(place) = HeaderValue::from_str(&format!("/v1/sessions/{}", row.id)) {
        answer.headers_mut().insert(LOCATION, place);
    }
    Ok(answer)
}

/// `POST /v1/sessions/ID/calls`. Whoever leaves interrupts the call.
pub(super) async fn call(
    server: &Arc<Server>,
    tenant: &Arc<str>,
    id: &str,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let form = headers::events(request.headers());
    let (request, _room) = body::understood::<CallRequest>(server, tenant, request).await?;
    let calls = server.broker.call(tenant, id, request).await?;
    match form {
        Some(form) => Ok(stream(form, events(calls, form))),
        None => Ok(tell(StatusCode::OK, &calls.answer().await?)),
    }
}

/// `GET /v1/sessions`.
pub(super) fn list(server: &Server, tenant: &str) -> Answer {
    tell(StatusCode::OK, &SessionPage { sessions: server.broker.list_sessions(tenant) })
}

/// `GET /v1/sessions/ID`.
pub(super) fn inspect(server: &Server, tenant: &str, id: &str) -> Result<Answer, Refusal> {
    Ok(tell(StatusCode::OK, &server.broker.session(tenant, id)?.row()))
}

/// `POST /v1/sessions/ID/interrupt`.
pub(super) fn interrupt(server: &Server, tenant: &str, id: &str) -> Result<Answer, Refusal> {
    server.broker.session(tenant, id)?.interrupt();
    Ok(done())
}

/// `DELETE /v1/sessions/ID`.
pub(super) async fn close(server: &Server, tenant: &str, id: &str) -> Result<Answer, Refusal> {
    server.broker.session(tenant, id)?.close().await?;
    Ok(done())
}

/// A call as it happens.
fn events(calls: Calls, form: Form) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send {
    unfold((calls, 0), move |(mut calls, told)| async move {
        let seq = told + 1;
        let (event, text) = if told == 0 {
            ("started", row("started", seq, Named { id: calls.session_id() }))
        } else {
            match calls.next().await? {
                Called::Output(Chunk::Stdout(bytes)) => {
                    ("stdout", row("stdout", seq, Encoded::new(&bytes)))
                }
                Called::Output(Chunk::Stderr(bytes)) => {
                    ("stderr", row("stderr", seq, Encoded::new(&bytes)))
                }
                // What a newer library tells is told by the answer as well.
                Called::Output(_) => ("note", row("note", seq, ())),
                Called::Answered(answer) => ("outcome", over("outcome", seq, &json::line(&answer))),
                Called::Failed(problem) => ("problem", over("problem", seq, &json::line(&problem))),
            }
        };
        let frame = Frame::data(Bytes::from(framed(event, seq, &text, form)));
        Some((Ok(frame), (calls, seq)))
    })
}
