//! What the service tells of itself and of its host.

use std::convert::Infallible;
use std::sync::Arc;

use futures_util::stream::{Stream, unfold};
use hyper::body::{Bytes, Frame};
use hyper::{HeaderMap, StatusCode};
use serde_json::json;

use super::Server;
use super::answer::{Answer, Refusal, not_found, respond, stream, tell};
use super::headers::{self, Form};
use crate::broker::{Caller, Phase};
use crate::json::{self, HostRow, Problem, VersionRow, Whose};
use crate::logs::{Followed, Follower, Level};
use crate::metrics;

/// `GET /healthz`: whether somebody is at home.
pub(super) fn health(server: &Server) -> Answer {
    if server.broker.is(Phase::Draining) {
        return tell(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "stopping" }));
    }
    tell(StatusCode::OK, &json!({ "status": "ok" }))
}

/// `GET /readyz`: whether a run would begin, and what is to be warm is.
pub(super) fn readiness(server: &Server) -> Answer {
    let is_warm = server.broker.sandboxes.is_warm();
    if server.broker.is(Phase::Draining) || !is_warm {
        let status = if is_warm { "stopping" } else { "warming up" };
        return tell(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": status }));
    }
    tell(StatusCode::OK, &json!({ "status": "ready" }))
}

/// `GET /v1/version`.
pub(super) fn version() -> Answer {
    tell(StatusCode::OK, &VersionRow::here())
}

/// `GET /v1/runtimes`.
pub(super) async fn runtimes(server: &Arc<Server>) -> Result<Answer, Refusal> {
    let runtimes = server.broker.sandboxes.runtimes.clone();
    let rows = tokio::task::spawn_blocking(move || json::rows(&runtimes)).await;
    let rows = rows.map_err(|_| Problem::torn())?.map_err(Problem::from)?;
    Ok(tell(StatusCode::OK, &rows))
}

/// `GET /v1/host`: what the host can enforce, found out by raising a jar.
pub(super) async fn inspect() -> Result<Answer, Refusal> {
    let inspection = Box::pin(belljar::inspect()).await.map_err(Problem::from)?;
    Ok(tell(StatusCode::OK, &HostRow::new(&inspection)))
}

/// `GET /metrics`.
pub(super) fn measure(server: &Server, caller: &Caller) -> Result<Answer, Refusal> {
    if !server.tells_metrics {
        return Err(not_found("the operator has it switched off; see `metrics.enabled`"));
    }
    operator_only(caller)?;
    server.broker.metrics.connections.set(server.connections());
    let measured = server.broker.measured();
    Ok(respond(StatusCode::OK, metrics::CONTENT_TYPE, measured.trim_end()))
}

/// `GET /v1/logs`: a page, or entries as they come.
pub(super) fn logs(
    server: &Server,
    caller: &Caller,
    query: Option<&str>,
    head: &HeaderMap,
) -> Result<Answer, Refusal> {
    operator_only(caller)?;
    headers::only(query, &["since_id", "level", "count", "source"])?;
    let level = headers::word(query, "level").map(|word| {
        let unknown = "level: write trace, debug, info, warn or error";
        let level = Level::parse(&word);
        level.ok_or_else(|| Refusal::invalid(StatusCode::BAD_REQUEST, unknown))
    });
    if let Some(form) = headers::events(head) {
        let follower = server.broker.logs.subscribe(headers::number(query, "since_id")?);
        return Ok(stream(form, followed(follower, level.transpose()?, form)));
    }
    let count = headers::number(query, "count")?;
    let source = headers::word(query, "source");
    let page = server.broker.logs.since(
        headers::number(query, "since_id")?,
        level.transpose()?,
        count.map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
        source.as_deref(),
    );
    Ok(tell(StatusCode::OK, &page))
}

/// What tells of all tenants is for those who may know of all tenants.
fn operator_only(caller: &Caller) -> Result<(), Refusal> {
    if caller.is_operator {
        return Ok(());
    }
    Err(Problem::new("unauthorized", Whose::Caller, "this is for the operator").into())
}

/// Entries from a level on, as they come. One who is too slow is told how many are gone.
fn followed(
    follower: Follower,
    level: Option<Level>,
    form: Form,
) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send {
    unfold(follower, move |mut follower| async move {
        loop {
            let (event, text) = match follower.next().await {
                Followed::Entry(entry) => {
                    let has = Level::parse(&entry.level);
                    if level.is_some_and(|level| has.is_some_and(|has| has < level)) {
                        continue;
                    }
                    ("entry", json::line(&entry))
                }
                Followed::Skipped(count) => ("skipped", json!({ "skipped": count }).to_string()),
            };
            let text = match form {
                Form::Lines => format!("{text}\n"),
                Form::Sse => format!("event: {event}\ndata: {text}\n\n"),
            };
            return Some((Ok(Frame::data(Bytes::from(text))), follower));
        }
    })
}
