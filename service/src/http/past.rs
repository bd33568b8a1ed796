//! `/v1/runs`, as far as it is history.

use std::sync::Arc;

use belljar::Error;
use futures_util::stream;
use hyper::StatusCode;
use hyper::body::{Bytes, Frame};
use serde_json::value::RawValue;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::{self, Answer, Refusal, not_found, tell};
use super::headers::{self, Form};
use super::{Server, events};
use crate::json::{HistoryPage, HistoryRow, Outcome, Problem};
use crate::store::{Query, Row};

const USUAL_ROWS: u64 = 50;
const MOST_ROWS: u64 = 500;

/// `GET /v1/runs/ID`, when it has ended.
pub(super) async fn inspect(server: &Server, tenant: &str, id: &str) -> Result<Answer, Refusal> {
    answer(server, find(server, tenant, id).await?)
}

/// What was told of a run when it ended.
///
/// # Errors
/// The problem that it ended with, or that its answer is not retained.
pub(super) fn answer(server: &Server, mut row: Row) -> Result<Answer, Refusal> {
    let Some(mut text) = row.answer.take() else {
        return Ok(tell(StatusCode::OK, &HistoryRow::from(row)));
    };
    if row.is_problem {
        let problem = serde_json::from_str::<Problem>(&text);
        return Err(problem.unwrap_or_else(|error| unreadable(&error)).into());
    }
    text.push('\n');
    Ok(answer::shared(held(server, text.into_bytes())?))
}

/// `bytes` until somebody has read them, if there is room for as many.
fn held(server: &Server, bytes: Vec<u8>) -> Result<Bytes, Refusal> {
    let room = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let room = Arc::clone(&server.outgoing).try_acquire_many_owned(room);
    let full = |_| Refusal::overloaded("too many large answers wait for their readers");
    Ok(Bytes::from_owner(Held { bytes, _room: room.map_err(full)? }))
}

struct Held {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// `GET /v1/runs/ID/events`, when it has ended long ago: the last one.
pub(super) async fn events(
    server: &Server,
    tenant: &str,
    id: &str,
    form: Form,
    seen: usize,
) -> Result<Answer, Refusal> {
    let row = find(server, tenant, id).await?;
    let text = row.answer.ok_or_else(|| not_found("its outcome is not retained"))?;
    let raw = RawValue::from_string(text).map_err(|error| unreadable(&error))?;
    let last = events::last(&raw, row.is_problem, form, seen.saturating_add(1));
    let last = Ok(Frame::data(held(server, last.into_bytes())?));
    Ok(answer::stream(form, stream::iter([last])))
}

/// `GET /v1/runs`.
pub(super) async fn list(
    server: &Server,
    tenant: &str,
    query: Option<&str>,
) -> Result<Answer, Refusal> {
    headers::only(query, &["status", "runtime", "label", "limit", "before"])?;
    let label = headers::word(query, "label");
    let label = label.map(|label| {
        let what = "label: write KEY=VALUE";
        let pair = label.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        pair.ok_or_else(|| Refusal::invalid(StatusCode::BAD_REQUEST, what))
    });
    let limit = headers::number(query, "limit")?.unwrap_or(USUAL_ROWS).clamp(1, MOST_ROWS);
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let asked = Query {
        tenant: Some(tenant.to_owned()),
        status: headers::word(query, "status"),
        runtime: headers::word(query, "runtime"),
        label: label.transpose()?,
        before: headers::word(query, "before"),
        limit,
    };
    let rows = server.broker.store.list(asked).await.map_err(Problem::from)?;
    Ok(tell(StatusCode::OK, &HistoryPage::new(rows, limit)))
}

/// `GET /v1/runs/ID/artifacts/PATH`.
pub(super) async fn artifact(
    server: &Server,
    tenant: &str,
    id: &str,
    path: &str,
) -> Result<Answer, Refusal> {
    let path = headers::decoded(path);
    let row = find(server, tenant, id).await?;
    let text = row.answer.filter(|_| !row.is_problem);
    let text = text.ok_or_else(|| not_found("its artifacts are not retained"))?;
    let outcome = serde_json::from_str::<Outcome>(&text).map_err(|error| unreadable(&error))?;
    let mut artifacts = outcome.artifacts.into_iter();
    let found = artifacts.find(|artifact| artifact.path == path);
    let content = found.and_then(|artifact| artifact.content);
    let content = content.ok_or_else(|| not_found("it left no artifact of this name"))?;
    Ok(answer::bytes(held(server, content.0)?))
}

async fn find(server: &Server, tenant: &str, id: &str) -> Result<Row, Refusal> {
    let found: Result<_, Error> = server.broker.store.find(Some(tenant), id).await;
    found.map_err(Problem::from)?.ok_or_else(|| not_found("there is no run of this name"))
}

fn unreadable(error: &serde_json::Error) -> Problem {
    Problem::passing("internal", format!("the history is damaged: {error}"))
}
