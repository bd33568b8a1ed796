//! The body of a request, read as far as there is room for it.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::{Request, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::Server;
use super::answer::Refusal;
use super::headers;
use super::room::Taken;

/// The largest request, unless the operator says otherwise.
pub(crate) const USUAL_BODY_BYTES: usize = 24 << 20;
/// How long it may take to arrive.
const PATIENCE: Duration = Duration::from_mins(1);

/// All of `body`, and the room that it takes up.
///
/// # Errors
/// When it is too large, too slow or cut off, or when others take up all the room.
pub(super) async fn read(
    server: &Server,
    tenant: &Arc<str>,
    body: Incoming,
) -> Result<(Vec<u8>, Taken), Refusal> {
    let late = || Refusal::invalid(StatusCode::REQUEST_TIMEOUT, "the body came too slowly");
    timeout(PATIENCE, gather(server, tenant, body)).await.unwrap_or_else(|_| Err(late()))
}

/// What the body of `request` says as JSON, and the room that it takes up.
///
/// # Errors
/// As for [`read`], and when it is something else.
pub(super) async fn understood<T: DeserializeOwned>(
    server: &Server,
    tenant: &Arc<str>,
    request: Request<Incoming>,
) -> Result<(T, Taken), Refusal> {
    headers::only(request.uri().query(), &[])?;
    let (bytes, room) = read(server, tenant, request.into_body()).await?;
    let invalid =
        |error: serde_json::Error| Refusal::invalid(StatusCode::BAD_REQUEST, error.to_string());
    Ok((serde_json::from_slice(&bytes).map_err(invalid)?, room))
}

async fn gather(
    server: &Server,
    tenant: &Arc<str>,
    mut body: Incoming,
) -> Result<(Vec<u8>, Taken), Refusal> {
    let most = server.most_body_bytes;
    let (mut bytes, mut taken) = (Vec::new(), Some(server.room.enter(tenant)));
    let mut length = 0;
    if body.size_hint().lower() > most as u64 {
        return Err(too_large(most));
    }
    while let Some(frame) = body.frame().await {
        let cut = |error| {
            Refusal::invalid(StatusCode::BAD_REQUEST, format!("the body is cut off: {error}"))
        };
        let Ok(data) = frame.map_err(cut)?.into_data() else { continue };
        length += data.len();
        if length > most {
            return Err(too_large(most));
        }
        if taken.as_mut().is_some_and(|taken| taken.grow(data.len())) {
            bytes.extend_from_slice(&data);
        } else {
            // The rest is read for nobody: who cannot finish writing does not look for an answer.
            (bytes, taken) = (Vec::new(), None);
        }
    }
    let taken =
        taken.ok_or_else(|| Refusal::overloaded("too many requests are being read at one time"));
    Ok((bytes, taken?))
}

fn too_large(most: usize) -> Refusal {
    let what = format!("the body is larger than {most} bytes");
    Refusal::invalid(StatusCode::PAYLOAD_TOO_LARGE, what)
}
