//! What goes back: JSON, events, and problems as RFC 9457 has them.

use std::convert::Infallible;

use futures_util::stream::Stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

use super::headers::Form;
use crate::json::{self, Problem, Whose};

pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

const API: (HeaderName, HeaderValue) =
    (HeaderName::from_static("belljar-api"), HeaderValue::from_static(json::API));
const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("belljar-version"), HeaderValue::from_static(json::VERSION));

/// A problem, and the status that stands for it.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    problem: Problem,
}

/// The same as it is told.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ProblemRow<'a> {
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
        Problem::overloaded(message).into()
    }

    /// Its stable word.
    pub(super) fn code(&self) -> &str {
        &self.problem.code
    }

    /// The problem as one line of JSON.
    pub(super) fn json(&self) -> String {
        let title = self.status.canonical_reason().unwrap_or_default();
        let (problem, detail) = (&self.problem, self.problem.message.as_str());
        let status = self.status.as_u16();
        json::line(&ProblemRow { r#type: "about:blank", title, status, detail, problem })
    }

    pub(super) fn answer(&self) -> Answer {
        let mut answer = respond(self.status, "application/problem+json", &self.json());
        if let Some(millis) = self.problem.retry_after_ms {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(millis.div_ceil(1000)));
        }
        answer
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let status = match &*problem.code {
            "invalid_request" => StatusCode::BAD_REQUEST,
            "cancelled" | "session_busy" => StatusCode::CONFLICT,
            "unauthorized" | "policy_refused" => StatusCode::FORBIDDEN,
            "not_found" => StatusCode::NOT_FOUND,
            "unknown_runtime" | "key_reused" => StatusCode::UNPROCESSABLE_ENTITY,
            "overloaded" if problem.fault == Whose::Caller => StatusCode::TOO_MANY_REQUESTS,
            "overloaded" => StatusCode::SERVICE_UNAVAILABLE,
            "unenforceable" => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, problem)
    }
}

impl From<&Problem> for Refusal {
    fn from(problem: &Problem) -> Self {
        problem.clone().into()
    }
}

/// There is nothing of this name.
pub(super) fn not_found(what: &str) -> Refusal {
    Problem::new("not_found", Whose::Caller, what).into()
}

/// `value` as JSON.
pub(super) fn tell(status: StatusCode, value: &impl Serialize) -> Answer {
    respond(status, "application/json", &json::line(value))
}

/// Nothing but a status.
pub(super) fn done() -> Answer {
    bare(StatusCode::NO_CONTENT, Full::default().boxed_unsync())
}

/// Events, one after the other, as they happen.
pub(super) fn stream(
    form: Form,
    events: impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + 'static,
) -> Answer {
    let mut answer = bare(StatusCode::OK, StreamBody::new(events).boxed_unsync());
    let kind = match form {
        Form::Lines => "application/x-ndjson",
        Form::Sse => "text/event-stream",
    };
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// Bytes as they are. No browser is to take them for a page.
pub(super) fn bytes(content: Bytes) -> Answer {
    let mut answer = bare(StatusCode::OK, Full::new(content).boxed_unsync());
    let plain = HeaderValue::from_static("application/octet-stream");
    answer.headers_mut().insert(CONTENT_TYPE, plain);
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// JSON that is held once, whoever reads it.
pub(super) fn shared(line: Bytes) -> Answer {
    let mut answer = bare(StatusCode::OK, Full::new(line).boxed_unsync());
    let kind = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// A line of text.
pub(super) fn respond(status: StatusCode, kind: &'static str, text: &str) -> Answer {
    let mut answer = bare(status, Full::from(format!("{text}\n")).boxed_unsync());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

fn bare(status: StatusCode, body: UnsyncBoxBody<Bytes, Infallible>) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    sign(answer)
}

/// Says which version of which contract this is.
pub(super) fn sign(mut answer: Answer) -> Answer {
    for (name, value) in [API, VERSION] {
        answer.headers_mut().insert(name, value);
    }
    answer
}
