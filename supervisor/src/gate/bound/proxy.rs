use std::pin::pin;

use http_body_util::{Either, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1::{Builder as Client, SendRequest};
use hyper::ext::ReasonPhrase;
use hyper::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderMap, HeaderName,
    HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::http::uri::PathAndQuery;
use hyper::server::conn::http1::Builder as Server;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;

use super::Broken;
use super::bindings::Bound;
use super::echo::{self, Echo};
use super::substitute::substitute;

/// Whose number is left out of `Host`.
pub(super) const PLAIN_PORT: u16 = 80;
/// The same for TLS.
pub(super) const TLS_PORT: u16 = 443;

/// A request line and header, or a status line and header.
const HEAD_MOST_BYTES: usize = 64 * 1024;
const HEADERS_MOST: usize = 128;
/// A header with its secrets: a short placeholder may stand for a long value, many times.
const FILLED_MOST_BYTES: usize = 128 * 1024;
/// What is read ahead of whoever takes it, on either side.
const BUFFER_BYTES: usize = 128 * 1024;

type Body = Either<Full<Bytes>, Echo>;

/// What is answered in the place of an upstream.
struct Refusal(StatusCode, String);

/// Carries requests one after the other, as both sides can, until one of them closes.
pub(super) async fn serve<C, U>(
    client: C,
    upstream: U,
    bound: &Bound,
    usual_port: u16,
) -> Result<(), Broken>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    U: AsyncRead + AsyncWrite + Unpin + Send,
{
    let shaking = Client::new()
        .preserve_header_case(true)
        .max_headers(HEADERS_MOST)
        .max_header_size(HEAD_MOST_BYTES)
        .max_buf_size(BUFFER_BYTES)
        .handshake(TokioIo::new(upstream));
    let (sender, link) = shaking.await.map_err(|_| Broken::Reset)?;
    let proxy = Proxy { bound, usual_port, sender: Mutex::new(sender) };
    let service = service_fn(|request| proxy.answer(request));
    let mut serving = pin!(server().serve_connection(TokioIo::new(client), service));
    let mut link = pin!(link);
    let mut is_linked = true;
    loop {
        tokio::select! {
            done = &mut serving => return done.map_err(|error| judge(&error)),
            // The place closed its side: what it has said is passed on, and no more is asked.
            _ended = &mut link, if is_linked => {
                is_linked = false;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Answers what the payload asks with one reason, and closes.
pub(super) async fn refuse<C>(client: C, bound: &Bound, why: &str)
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
{
    let service = service_fn(|_: Request<Incoming>| {
        let why = format!("{}:{}: {why}", bound.name(), bound.port());
        std::future::ready(Ok::<_, hyper::Error>(
            Refusal(StatusCode::BAD_GATEWAY, why).into_response(),
        ))
    });
    let serving = server().keep_alive(false).serve_connection(TokioIo::new(client), service);
    // The reason that is recorded is the one that is told.
    drop(serving.await);
}

fn server() -> Server {
    let mut server = Server::new();
    server
        .preserve_header_case(true)
        .auto_date_header(false)
        .max_headers(HEADERS_MOST)
        .max_header_size(HEAD_MOST_BYTES)
        .max_buf_size(BUFFER_BYTES);
    server
}

fn judge(error: &hyper::Error) -> Broken {
    if error.is_parse() || error.is_parse_too_large() { Broken::Request } else { Broken::Reset }
}

struct Proxy<'b> {
    bound: &'b Bound,
    usual_port: u16,
    sender: Mutex<SendRequest<Incoming>>,
}

impl Proxy<'_> {
    /// # Errors
    /// Where the place is gone: then the payload's connection ends as well, which is what it would
    /// have seen, and asks again on another.
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
        let is_head = request.method() == Method::HEAD;
        let request = match self.outward(request) {
            Ok(request) => request,
            Err(refusal) => return Ok(refusal.into_response()),
        };
        let mut sender = self.sender.lock().await;
        sender.ready().await?;
        match sender.send_request(request).await {
            Ok(response) => Ok(self.inward(response, is_head)),
            Err(error) if error.is_parse() || error.is_parse_too_large() => {
                Ok(self.bad_gateway("its answer is no HTTP/1.1").into_response())
            }
            Err(error) => Err(error),
        }
    }

    /// What the place is asked.
    fn outward(&self, request: Request<Incoming>) -> Result<Request<Incoming>, Refusal> {
        let (mut parts, body) = request.into_parts();
        if [Method::CONNECT, Method::TRACE].contains(&parts.method) {
            return Err(not_here(&format!("the method {} is not carried", parts.method)));
        }
        self.is_for_here(&parts.headers, &parts.uri)?;
        // An offer of HTTP/2 may be ignored; a program that asks for anything else cannot go on.
        let offers = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"h2c");
        if !parts.headers.get_all(UPGRADE).iter().all(offers) {
            return Err(not_here("upgrades such as WebSocket are not carried"));
        }
        let headers = &mut parts.headers;
        let has_length = headers.contains_key(CONTENT_LENGTH);
        strip_hops(headers);
        // The length is told by how the body was framed here, never by what the header said.
        headers.remove(CONTENT_LENGTH);
        if has_length && body.is_end_stream() {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        // What waits for leave was given it when the body was asked for here.
        headers.remove(EXPECT);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(HOST, self.host()?);
        self.fill(headers)?;
        let path = parts.uri.into_parts().path_and_query;
        parts.version = Version::HTTP_11;
        parts.uri = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        Ok(Request::from_parts(parts, body))
    }

    /// What the payload is answered.
    fn inward(&self, response: Response<Incoming>, is_head: bool) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        if parts.status.is_informational() {
            return self.bad_gateway("it changed the protocol unasked").into_response();
        }
        parts.version = Version::HTTP_11;
        parts.extensions.remove::<ReasonPhrase>();
        strip_hops(&mut parts.headers);
        // Without a body the length is that of one that another request would get.
        if !is_head {
            parts.headers.remove(CONTENT_LENGTH);
        }
        echo::in_headers(&mut parts.headers, self.bound);
        let body = Echo::new(body, self.bound);
        Response::from_parts(parts, Either::Right(body))
    }

    /// # Errors
    /// Where a request names another place, several, or none: a server that has several names would
    /// hand a secret to the wrong one of them.
    fn is_for_here(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Refusal> {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            let why = "a request names one Host".to_owned();
            return Err(Refusal(StatusCode::BAD_REQUEST, why));
        };
        let in_target = uri.authority().map(|authority| authority.as_str().as_bytes());
        if [Some(host.as_bytes()), in_target].into_iter().flatten().all(|it| self.is_here(it)) {
            return Ok(());
        }
        let here = format!("{}:{}", self.bound.name(), self.bound.port());
        let why = format!("this connection leads to {here} alone, and the request names another");
        Err(Refusal(StatusCode::MISDIRECTED_REQUEST, why))
    }

    fn is_here(&self, host: &[u8]) -> bool {
        let host = host.to_ascii_lowercase();
        let rest = host.strip_prefix(self.bound.name().as_bytes());
        let rest = rest.map(|rest| rest.strip_prefix(b".").unwrap_or(rest));
        let port = format!(":{}", self.bound.port());
        rest.is_some_and(|rest| rest.is_empty() || rest == port.as_bytes())
    }

    fn host(&self) -> Result<HeaderValue, Refusal> {
        let (name, port) = (self.bound.name(), self.bound.port());
        let host = if port == self.usual_port { name.to_owned() } else { format!("{name}:{port}") };
        HeaderValue::try_from(host).map_err(|_| self.bad_gateway("it has no usable name"))
    }

    /// Puts secrets in the place of their placeholders.
    fn fill(&self, headers: &mut HeaderMap) -> Result<(), Refusal> {
        let mut filled_bytes = 0;
        for value in headers.values_mut() {
            if let Some(filled) = substitute(value.as_bytes(), self.bound.bindings())
                && let Ok(mut filled) = HeaderValue::from_bytes(&filled)
            {
                filled.set_sensitive(true);
                *value = filled;
            }
            filled_bytes += value.len();
            if filled_bytes > FILLED_MOST_BYTES {
                let why = "with its secrets the header is too large".to_owned();
                return Err(Refusal(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, why));
            }
        }
        Ok(())
    }

    fn bad_gateway(&self, why: &str) -> Refusal {
        let here = format!("{}:{}", self.bound.name(), self.bound.port());
        Refusal(StatusCode::BAD_GATEWAY, format!("{here}: {why}"))
    }
}

impl Refusal {
    fn into_response(self) -> Response<Body> {
        let Self(status, why) = self;
        let text = Bytes::from(format!("belljar: a secret is bound to this place: {why}\n"));
        let mut response = Response::new(Either::Left(Full::new(text)));
        *response.status_mut() = status;
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, plain);
        response
    }
}

fn not_here(why: &str) -> Refusal {
    Refusal(StatusCode::NOT_IMPLEMENTED, why.to_owned())
}

/// Removes what is meant for the next hop alone: RFC 9110, section 7.6.1.
fn strip_hops(headers: &mut HeaderMap) {
    const HOPS: [HeaderName; 9] = [
        CONNECTION,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in named.iter().chain(&HOPS) {
        headers.remove(name);
    }
}
