//! Real servers on loopback; what would come out of a jar comes from here.

mod answers;
mod hostile;
mod plain;
mod programs;
mod taking;
mod tls;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::authority::Authority;
use super::{Bindings, Bound, Broken, relay};
use crate::{Network, Source};

const NAME: &str = "api.example.com";
/// Holds what base64, URLs and JSON write differently.
const VALUE: &str = "hunter2/+\"hunter2";

/// A request as it arrived at a place.
#[derive(Clone, Debug)]
struct Seen {
    line: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

type Log = Arc<Mutex<Vec<Seen>>>;

/// A place, and one secret that is bound to it.
struct Stage {
    bindings: Bindings,
    bound: Arc<Bound>,
    placeholder: String,
    upstream: SocketAddr,
    seen: Log,
}

/// What a connection came to.
type Verdict = JoinHandle<Result<(), Broken>>;

impl Stage {
    /// A server in the clear that repeats what it was asked.
    async fn plain() -> Self {
        let (upstream, seen) = echo(None).await;
        Self::at(80, upstream, seen, &[])
    }

    /// The same with TLS, its certificate made out to `name`.
    async fn tls(name: &str) -> Self {
        let authority = Authority::new(vec![name.to_owned()]).unwrap();
        let trusted = authority.certificate_pem().to_owned();
        let (upstream, seen) = echo(Some(acceptor(&authority, name))).await;
        Self::at(443, upstream, seen, &[&trusted])
    }

    /// A server that says these bytes as soon as it was asked something, and hangs up.
    async fn that_says(answer: impl Into<Vec<u8>>) -> Self {
        let (answer, listener) = (answer.into(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let upstream = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.windows(4).any(|it| it == b"\r\n\r\n") {
                    stream.read_buf(&mut head).await.unwrap();
                }
                stream.write_all(&answer).await.unwrap();
            }
        });
        Self::at(80, upstream, Log::default(), &[])
    }

    fn at(port: u16, upstream: SocketAddr, seen: Log, trusted: &[&str]) -> Self {
        let (bindings, placeholder) = take(port, trusted);
        let bound = bindings.at(NAME, port).unwrap();
        Self { bindings, bound, placeholder, upstream, seen }
    }

    /// A connection to the place, as a payload has it.
    async fn connect(&self) -> (DuplexStream, Verdict) {
        let (inside, outside) = tokio::io::duplex(64 * 1024);
        let (upstream, bound) = (self.upstream, Arc::clone(&self.bound));
        let upstream = TcpStream::connect(upstream).await.unwrap();
        let relay = tokio::spawn(async move { relay(outside, upstream, &bound).await });
        (inside, relay)
    }

    /// Says `text` on a connection of its own, in which `@` stands for the placeholder, and gives
    /// all that is answered.
    async fn ask(&self, text: &str) -> String {
        let (mut stream, verdict) = self.connect().await;
        let text = text.replace('@', &self.placeholder);
        // Who refuses early does not read to the end.
        drop(stream.write_all(text.as_bytes()).await);
        let answer = hear(&mut stream).await;
        drop(stream);
        let _verdict = verdict.await.unwrap();
        answer
    }

    /// The same, where there is one request without a body and `header` is all that is special.
    async fn get(&self, header: &str) -> String {
        let host = format!("Host: {NAME}\r\nConnection: close\r\n");
        self.ask(&format!("GET / HTTP/1.1\r\n{host}{header}\r\n")).await
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The only request that arrived.
    fn only(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }
}

/// One secret, bound to [`NAME`] at `port`, and its placeholder.
fn take(port: u16, trusted: &[&str]) -> (Bindings, String) {
    let mut source = source(&[("KEY", VALUE, &format!("{NAME}:{port}"))]);
    let bindings = Bindings::take_trusting(&mut source, || roots(trusted)).unwrap();
    let placeholder = String::from_utf8(source.secrets.get("KEY").unwrap().to_vec()).unwrap();
    (bindings, placeholder)
}

fn source(bound: &[(&str, &str, &str)]) -> Source {
    let grants = bound.iter().map(|(.., place)| place.parse().unwrap()).collect();
    let source = Source::code("").network(Network::Gate(grants));
    bound.iter().fold(source, |source, (name, value, place)| {
        source.secret(name, *value).unwrap().bind_secret(*name, place.parse().unwrap())
    })
}

fn roots(trusted: &[&str]) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for pem in trusted {
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    }
    Arc::new(roots)
}

/// All that comes until the other side closes.
async fn hear(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let all = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes));
    // A connection that is cut off says what came before.
    drop(all.await.expect("nobody closed"));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn acceptor(authority: &Authority, name: &str) -> TlsAcceptor {
    let mut resolver = rustls::server::ResolvesServerCertUsingSni::new();
    let mut key = authority.certify(name).unwrap();
    if name != NAME {
        // Shown to whoever asks for the place: a certificate for somebody else.
        key.cert.truncate(1);
    }
    let single = rustls::sign::SingleCertAndKey::from(key.clone());
    drop(resolver.add(name, key));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    TlsAcceptor::from(Arc::new(config.with_cert_resolver(Arc::new(single))))
}

/// A server that repeats the request it got in its answer, header and all, and notes it.
async fn echo(tls: Option<TlsAcceptor>) -> (SocketAddr, Log) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Log::default());
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (log, tls) = (Arc::clone(&log), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => repeat(stream, log).await,
                    // A client may not like the certificate.
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            repeat(stream, log).await;
                        }
                    }
                }
            });
        }
    });
    (address, seen)
}

async fn repeat(stream: impl AsyncRead + AsyncWrite + Unpin, log: Log) {
    let service = service_fn(move |request: Request<Incoming>| {
        let log = Arc::clone(&log);
        async move {
            let (parts, body) = request.into_parts();
            let line = format!("{} {} {:?}", parts.method, parts.uri, parts.version);
            let body = body.collect().await?.to_bytes().to_vec();
            let one = |(name, value): (&HeaderName, &HeaderValue)| {
                format!("{name}: {}", value.to_str().unwrap())
            };
            let said: Vec<_> = parts.headers.iter().map(one).collect();
            let text = format!("{line}\n{}\n\n{}", said.join("\n"), String::from_utf8_lossy(&body));
            let mut response = Response::new(Full::new(Bytes::from(text)));
            if let Some(value) = parts.headers.get("authorization") {
                response.headers_mut().insert("x-you-sent", value.clone());
            }
            log.lock().unwrap().push(Seen { line, headers: parts.headers, body });
            Ok::<_, hyper::Error>(response)
        }
    });
    let serving = hyper::server::conn::http1::Builder::new();
    drop(serving.serve_connection(TokioIo::new(stream), service).await);
}
