//! Requests with files beside them, as they are: `multipart/form-data` (RFC 7578).

use std::convert::Infallible;

use futures_util::stream;
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, StatusCode};
use multer::Multipart;

use super::answer::Refusal;
use crate::json::Request;

/// Files of one request.
const MOST_FILES: usize = 4096;

/// The request in `bytes`, which are JSON, or parts of which one, `request`, is.
///
/// # Errors
/// When it is neither.
pub(super) async fn request(headers: &HeaderMap, bytes: Vec<u8>) -> Result<Request, Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let Ok(boundary) = multer::parse_boundary(kind) else { return json(&bytes) };
    let all = stream::iter([Ok::<_, Infallible>(bytes)]);
    let mut parts = Multipart::new(all, boundary);
    let (mut request, mut files) = (None, Vec::new());
    while let Some(part) = parts.next_field().await.map_err(|error| malformed(&error))? {
        let (name, path) =
            (part.name().map(ToOwned::to_owned), part.file_name().map(ToOwned::to_owned));
        let bytes = part.bytes().await.map_err(|error| malformed(&error))?;
        match (name.as_deref(), path) {
            (Some("request"), _) if request.is_none() => request = Some(json(&bytes)?),
            (Some("file"), Some(path)) if files.len() < MOST_FILES => {
                files.push((path, bytes.to_vec()));
            }
            (name, _) => return Err(invalid(&format!("the part {name:?} is not known here"))),
        }
    }
    let mut request = request.ok_or_else(|| invalid("there is no part named request"))?;
    for (path, bytes) in files {
        request.add(path, bytes);
    }
    Ok(request)
}

fn json(bytes: &[u8]) -> Result<Request, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| invalid(&error.to_string()))
}

fn malformed(error: &multer::Error) -> Refusal {
    invalid(&error.to_string())
}

fn invalid(why: &str) -> Refusal {
    Refusal::invalid(StatusCode::BAD_REQUEST, why)
}
