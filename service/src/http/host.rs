//! What the service tells of itself and of its host.

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::json;

use super::Server;
use super::answer::{Answer, Refusal, respond, tell};
use super::headers;
use crate::broker::Phase;
use crate::json::{self, HostRow, Problem};
use crate::logs::Level;
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
pub(super) fn measure(server: &Server) -> Answer {
    server.broker.metrics.connections.set(server.connections());
    respond(StatusCode::OK, metrics::CONTENT_TYPE, server.broker.measured().trim_end())
}

/// `GET /v1/logs`.
pub(super) fn logs(server: &Server, query: Option<&str>) -> Result<Answer, Refusal> {
    headers::only(query, &["since_id", "level", "count", "source"])?;
    let level = headers::word(query, "level").map(|word| {
        let unknown = "level: write trace, debug, info, warn or error";
        let level = Level::parse(&word);
        level.ok_or_else(|| Refusal::invalid(StatusCode::BAD_REQUEST, unknown))
    });
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
