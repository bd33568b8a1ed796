//! The body of a request, read as far as there is room for it.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Server;
use super::answer::Refusal;

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
    body: Incoming,
) -> Result<(Vec<u8>, OwnedSemaphorePermit), Refusal> {
    let late = || Refusal::invalid(StatusCode::REQUEST_TIMEOUT, "the body came too slowly");
    timeout(PATIENCE, gather(server, body)).await.unwrap_or_else(|_| Err(late()))
}

async fn gather(
    server: &Server,
    mut body: Incoming,
) -> Result<(Vec<u8>, OwnedSemaphorePermit), Refusal> {
    let (room, most) = (&server.room, server.most_body_bytes);
    let (mut bytes, mut taken) = (Vec::new(), take(room, 0));
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
        if let (Some(taken), Some(more)) = (&mut taken, take(room, data.len())) {
            taken.merge(more);
            bytes.extend_from_slice(&data);
        } else {
            // The rest is read for nobody: who cannot finish writing does not look for an answer.
            (bytes, taken) = (Vec::new(), None);
        }
    }
    let taken = taken.ok_or_else(|| Refusal::overloaded("too many large requests at one time"));
    Ok((bytes, taken?))
}

fn take(room: &Arc<Semaphore>, bytes: usize) -> Option<OwnedSemaphorePermit> {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    Arc::clone(room).try_acquire_many_owned(bytes).ok()
}

fn too_large(most: usize) -> Refusal {
    let what = format!("the body is larger than {most} bytes");
    Refusal::invalid(StatusCode::PAYLOAD_TOO_LARGE, what)
}
