//! What can be asked for.

use std::sync::Arc;

use belljar::Limits;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::ACCEPT;
use hyper::{HeaderMap, Method, StatusCode};
use serde_json::json;

use super::answer::{Answer, Refusal, done, stream, tell};
use super::runs::{self, Told};
use super::{MOST_BODY_BYTES, Phase, Service, body};
use crate::json::{self, Problem, Request, Whose};

const RUNS: &str = "/v1/runs";

/// The answer to a request, whatever it asks for.
pub(super) async fn answer(service: &Arc<Service>, request: hyper::Request<Incoming>) -> Answer {
    let answered = match request.uri().path() {
        RUNS if request.method() == Method::POST => run(service, request).await,
        "/v1/runtimes" if request.method() == Method::GET => runtimes(service).await,
        "/healthz" if request.method() == Method::GET => Ok(health(service)),
        RUNS | "/v1/runtimes" | "/healthz" => Err(wrong_method()),
        path => match path.strip_prefix(RUNS).and_then(|rest| rest.strip_prefix('/')) {
            Some(id) if request.method() == Method::DELETE => cancel(service, id),
            _ => Err(not_found("there is no such place")),
        },
    };
    answered.unwrap_or_else(|refusal| refusal.answer())
}

/// The answer to a stranger. What is asked is read first, for nobody: who cannot finish writing
/// does not look for an answer.
pub(super) async fn refuse(request: hyper::Request<Incoming>) -> Answer {
    let mut body = Limited::new(request.into_body(), MOST_BODY_BYTES);
    while let Some(Ok(_)) = body.frame().await {}
    let problem =
        Problem::new("unauthorized", Whose::Caller, "the service belongs to another user");
    Refusal::new(StatusCode::FORBIDDEN, problem).answer()
}

async fn run(service: &Arc<Service>, request: hyper::Request<Incoming>) -> Result<Answer, Refusal> {
    let (head, body) = request.into_parts();
    let (bytes, room) = body::read(body, &service.room).await?;
    if service.is(Phase::Draining) {
        return Err(Refusal::overloaded("the service is stopping"));
    }
    if head.headers.contains_key("idempotency-key") {
        let what = "Idempotency-Key: no run is remembered yet; leave it out";
        return Err(Refusal::invalid(StatusCode::BAD_REQUEST, what));
    }
    let request: Request = serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::invalid(StatusCode::BAD_REQUEST, error.to_string()))?;
    drop(bytes);
    let wish = request.understand(&Limits::strict()).map_err(Problem::from)?;
    let mut told = runs::start(service, wish, room)?;
    // Until it has started, what is wrong has a status of its own.
    let started = match told.recv().await {
        Some(Told::Ended(Err(problem))) => return Err(problem.into()),
        Some(told) => told,
        None => return Err(lost().into()),
    };
    if wants_events(&head.headers) {
        return Ok(stream(started, told));
    }
    while let Some(next) = told.recv().await {
        match next {
            Told::Ended(Ok(outcome)) => return Ok(tell(StatusCode::OK, &*outcome)),
            Told::Ended(Err(problem)) => return Err(problem.into()),
            Told::Started(_) | Told::Output(_) => {}
        }
    }
    Err(lost().into())
}

/// Ends a run. Its outcome is told to whoever waits for it.
fn cancel(service: &Service, id: &str) -> Result<Answer, Refusal> {
    match service.live().get(id) {
        Some(end) => {
            end.notify_one();
            Ok(done())
        }
        None => Err(not_found("no run of this name goes on")),
    }
}

async fn runtimes(service: &Arc<Service>) -> Result<Answer, Refusal> {
    let runtimes = service.sandboxes.runtimes.clone();
    let rows = tokio::task::spawn_blocking(move || json::rows(&runtimes)).await;
    let rows = rows.map_err(|_| lost())?.map_err(Problem::from)?;
    Ok(tell(StatusCode::OK, &rows))
}

fn health(service: &Service) -> Answer {
    if service.is(Phase::Draining) {
        return tell(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "stopping" }));
    }
    tell(StatusCode::OK, &json!({ "status": "ok" }))
}

fn wants_events(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains("application/x-ndjson"))
}

fn wrong_method() -> Refusal {
    Refusal::invalid(StatusCode::METHOD_NOT_ALLOWED, "this cannot be done with it")
}

fn not_found(what: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, Problem::new("not_found", Whose::Caller, what))
}

fn lost() -> Problem {
    Problem::new("internal", Whose::Belljar, "a task was torn down")
}
