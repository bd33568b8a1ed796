//! `/v1/check`.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};

use super::answer::{Answer, Refusal, tell};
use super::{Server, body};
use crate::json::CheckRequest;

/// `POST /v1/check`.
pub(super) async fn answer(
    server: &Server,
    tenant: &Arc<str>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let (request, _room) = body::understood::<CheckRequest>(server, tenant, request).await?;
    Ok(tell(StatusCode::OK, &server.broker.check(tenant, request).await?))
}
