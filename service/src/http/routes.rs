//! What can be asked for.

use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, StatusCode};

use super::answer::{Answer, Refusal, not_found, tell};
use super::{Server, USUAL_BODY_BYTES, check, headers, host, mcp, past, runs, sessions};
use crate::broker::{Caller, NotATenant};
use crate::json::{Problem, Whose};
use crate::openapi;

const TENANT: &str = "x-belljar-tenant";

/// The answer to a request of `caller`, whatever it asks for.
pub(super) async fn answer(
    server: &Arc<Server>,
    caller: Caller,
    request: Request<Incoming>,
) -> Answer {
    let caller = match on_behalf(server, caller, request.headers()) {
        Ok(caller) => caller,
        Err(refusal) => return refused(server, &refusal),
    };
    let tenant = &caller.tenant;
    let path = request.uri().path().to_owned();
    let segments = path.trim_start_matches('/').split('/').collect::<Vec<_>>();
    let answered = match (request.method(), &*segments) {
        (&Method::POST, ["v1", "runs"]) => runs::submit(server, Arc::clone(tenant), request).await,
        (&Method::GET, ["v1", "runs", id]) => {
            runs::inspect(server, tenant, id, &request.into_parts().0).await
        }
        (&Method::GET, ["v1", "runs"]) => past::list(server, tenant, request.uri().query()).await,
        (&Method::GET, ["v1", "runs", id, "artifacts", path @ ..]) => {
            past::artifact(server, tenant, id, &path.join("/")).await
        }
        (&Method::DELETE, ["v1", "runs", id]) => runs::cancel(server, tenant, id),
        (&Method::GET, ["v1", "runs", id, "events"]) => {
            runs::follow(server, tenant, id, &request.into_parts().0).await
        }
        (&Method::POST, ["v1", "runs", id, "stdin"]) => {
            runs::feed(server, tenant, id, request).await
        }
        (&Method::POST, ["v1", "check"]) => check::answer(server, tenant, request).await,
        (_, ["v1", "sessions", ..]) => return sessions(server, tenant, request).await,
        (_, ["mcp"]) => mcp::answer(server, tenant, request).await,
        (&Method::GET, ["v1", "runtimes"]) => host::runtimes(server).await,
        (&Method::GET, ["v1", "version"]) => Ok(host::version()),
        (&Method::GET, ["v1", "host"]) => host::inspect().await,
        (&Method::GET, ["v1", "logs"]) => {
            host::logs(server, &caller, request.uri().query(), request.headers())
        }
        (&Method::GET, ["metrics"]) => host::measure(server, &caller),
        (&Method::GET, ["openapi.json"]) => Ok(tell(StatusCode::OK, &openapi::document())),
        (&Method::GET, ["healthz"]) => Ok(host::health(server)),
        (&Method::GET, ["readyz"]) => Ok(host::readiness(server)),
        (
            _,
            ["healthz" | "readyz" | "metrics" | "openapi.json"]
            | ["v1", "runs" | "check" | "runtimes" | "version" | "host" | "logs"]
            | ["v1", "runs", _]
            | ["v1", "runs", _, "events" | "stdin"],
        ) => Err(wrong_method()),
        _ => Err(not_found("there is no such place")),
    };
    answered.unwrap_or_else(|refusal| refused(server, &refusal))
}

async fn sessions(server: &Arc<Server>, tenant: &Arc<str>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let segments = path.split('/').skip(3).collect::<Vec<_>>();
    let answered = match (request.method(), &*segments) {
        (&Method::POST, []) => sessions::open(server, Arc::clone(tenant), request).await,
        (&Method::GET, []) => Ok(sessions::list(server, tenant)),
        (&Method::GET, [id]) => sessions::inspect(server, tenant, id),
        (&Method::DELETE, [id]) => sessions::close(server, tenant, id).await,
        (&Method::POST, [id, "calls"]) => sessions::call(server, tenant, id, request).await,
        (&Method::POST, [id, "interrupt"]) => sessions::interrupt(server, tenant, id),
        (_, [] | [_] | [_, "calls" | "interrupt"]) => Err(wrong_method()),
        _ => Err(not_found("there is no such place")),
    };
    answered.unwrap_or_else(|refusal| refused(server, &refusal))
}

/// Who `caller` is when a request names a tenant.
fn on_behalf(server: &Server, caller: Caller, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let Some(name) = headers::one(headers, TENANT, 256)? else { return Ok(caller) };
    server.broker.policy().on_behalf(&caller, name).map_err(|why| match why {
        NotATenant::NotAllowed => {
            let what = "X-Belljar-Tenant: the operator allows none; see `tenants.header`";
            Problem::new("unauthorized", Whose::Caller, what).into()
        }
        NotATenant::Malformed => {
            let what = "X-Belljar-Tenant: write 1 to 64 of A-Z a-z 0-9 . _ -";
            Refusal::invalid(StatusCode::BAD_REQUEST, what)
        }
    })
}

fn refused(server: &Server, refusal: &Refusal) -> Answer {
    server.broker.metrics.problem(refusal.code());
    refusal.answer()
}

/// The answer to a stranger. What is asked is read first, for nobody: who cannot finish writing
/// does not look for an answer.
pub(super) async fn refuse(request: Request<Incoming>) -> Answer {
    let mut body = Limited::new(request.into_body(), USUAL_BODY_BYTES);
    while let Some(Ok(_)) = body.frame().await {}
    let problem =
        Problem::new("unauthorized", Whose::Caller, "the service belongs to another user");
    Refusal::from(problem).answer()
}

fn wrong_method() -> Refusal {
    Refusal::invalid(StatusCode::METHOD_NOT_ALLOWED, "this cannot be done with it")
}
