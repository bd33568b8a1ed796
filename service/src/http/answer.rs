//! What goes back: JSON, events, and problems as RFC 9457 has them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use belljar::Chunk;
use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Frame};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use tokio::sync::mpsc::UnboundedReceiver;

use super::runs::Told;
use crate::json::{self, Encoded, Event, Problem};

pub(super) type Answer = Response<Either<Full<Bytes>, Events>>;

/// When somebody who was refused for want of room may come again.
const RETRY_AFTER_MS: u32 = 1000;

/// A problem, and the status that stands for it.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    problem: Problem,
}

/// A run as it happens. Dropping this kills it.
pub(super) struct Events {
    first: Option<Told>,
    told: UnboundedReceiver<Told>,
}

#[derive(Serialize)]
struct Row<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(flatten)]
    problem: &'a Problem,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, problem: Problem) -> Self {
        Self { status, problem }
    }

    pub(super) fn invalid(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, Problem::invalid(message))
    }

    /// There is no room at present.
    pub(super) fn overloaded(message: &str) -> Self {
        let problem = Problem::passing("overloaded", message);
        let problem = Problem { retry_after_ms: Some(RETRY_AFTER_MS), ..problem };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, problem)
    }

    /// The problem as one line of JSON.
    pub(super) fn json(&self) -> String {
        let title = self.status.canonical_reason().unwrap_or_default();
        let (problem, detail) = (&self.problem, self.problem.message.as_str());
        let status = self.status.as_u16();
        json::line(&Row { r#type: "about:blank", title, status, detail, problem })
    }

    pub(super) fn answer(&self) -> Answer {
        respond(self.status, "application/problem+json", &self.json())
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let status = match &*problem.code {
            "invalid_request" => StatusCode::BAD_REQUEST,
            "unknown_runtime" => StatusCode::UNPROCESSABLE_ENTITY,
            "unenforceable" => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, problem)
    }
}

/// `value` as JSON.
pub(super) fn tell(status: StatusCode, value: &impl Serialize) -> Answer {
    respond(status, "application/json", &json::line(value))
}

/// Nothing but a status.
pub(super) fn done() -> Answer {
    let mut answer = Response::new(Either::Left(Full::default()));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

/// Everything that is told of a run, after what was told first.
pub(super) fn stream(first: Told, told: UnboundedReceiver<Told>) -> Answer {
    let events = Events { first: Some(first), told };
    let mut answer = Response::new(Either::Right(events));
    let kind = HeaderValue::from_static("application/x-ndjson");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

fn respond(status: StatusCode, kind: &'static str, text: &str) -> Answer {
    let mut answer = Response::new(Either::Left(Full::from(format!("{text}\n"))));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let told = match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => self.told.poll_recv(context),
        };
        told.map(|told| told.map(|told| Ok(Frame::data(Bytes::from(line(told))))))
    }
}

fn line(told: Told) -> String {
    let event = match told {
        Told::Started(id) => Event::Started { id },
        Told::Output(Chunk::Stdout(bytes)) => Event::Stdout(Encoded::new(&bytes)),
        Told::Output(Chunk::Stderr(bytes)) => Event::Stderr(Encoded::new(&bytes)),
        Told::Output(_) => Event::Unknown,
        Told::Ended(Ok(outcome)) => Event::Outcome { outcome },
        Told::Ended(Err(problem)) => Event::Problem { problem },
    };
    format!("{}\n", json::line(&event))
}
