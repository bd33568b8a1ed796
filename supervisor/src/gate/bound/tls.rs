use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::ServerName;
use rustls::server::{Acceptor, ResolvesServerCertUsingSni};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector};

use crate::Error;
use crate::gate::hello::plain;

use super::authority::Authority;
use super::bindings::Bound;
use super::{Broken, proxy, trust};

/// Nothing else is spoken here, so nothing else is offered.
const ALPN: &[u8] = b"http/1.1";
/// How long each half may take to begin: a payload that gave up is not seen while a place is
/// waited for, and its connection would count for as long as the run goes on.
const HANDSHAKE: Duration = Duration::from_secs(10);

static HOST_ROOTS: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    let (_, unusable) = roots.add_parsable_certificates(trust::HOST.iter().cloned());
    if roots.is_empty() || unusable > 0 {
        tracing::debug!(roots = roots.len(), unusable, "roots of this host");
    }
    Arc::new(roots)
});

/// The two halves of the TLS of one run.
pub(super) struct Tls {
    authority: Authority,
    /// Of this run alone: what is kept to resume a session is shared with no other.
    upstream: Arc<ClientConfig>,
}

/// Whom this host trusts to vouch for a name.
pub(super) fn host_roots() -> Arc<RootCertStore> {
    Arc::clone(&HOST_ROOTS)
}

impl Tls {
    /// `names` are those that the authority may vouch for, `roots` vouch for upstreams.
    pub(super) fn new(names: Vec<String>, roots: Arc<RootCertStore>) -> Result<Self, Error> {
        let authority = Authority::new(names)?;
        let mut upstream = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        upstream.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { authority, upstream: Arc::new(upstream) })
    }

    pub(super) fn certificate_pem(&self) -> &str {
        self.authority.certificate_pem()
    }

    /// The jar's half for one name: whoever asks for another, or for none, is refused.
    pub(super) fn terminator(&self, name: &str) -> Result<Arc<ServerConfig>, Error> {
        let mut resolver = ResolvesServerCertUsingSni::new();
        resolver.add(name, self.authority.certify(name)?).map_err(unusable)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Arc::new(config))
    }
}

/// Ends the TLS of the jar here, and speaks another one with the place.
///
/// The place goes first: until its certificate was judged, the payload's handshake waits, so that a
/// time limit of the payload on connecting means what it meant.
pub(super) async fn terminate<C, U>(
    client: C,
    upstream: U,
    bound: &Bound,
    tls: &Tls,
) -> Result<(), Broken>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    U: AsyncRead + AsyncWrite + Unpin + Send,
{
    let hello = timeout(HANDSHAKE, LazyConfigAcceptor::new(Acceptor::default(), client)).await;
    let hello = hello.map_err(io::Error::from).flatten().map_err(|_| Broken::ClientTls)?;
    let asked = hello.client_hello().server_name().map(plain);
    let terminator = bound.terminator(tls).ok_or(Broken::ClientTls)?;
    if asked.as_deref() != Some(bound.name()) {
        // Fails, with the alert that says so.
        drop(hello.into_stream(terminator).await);
        return Err(Broken::ServerName(asked));
    }
    let name = ServerName::try_from(bound.name().to_owned()).map_err(|_| Broken::UpstreamTls)?;
    let connector = TlsConnector::from(Arc::clone(&tls.upstream));
    let upstream = timeout(HANDSHAKE, connector.connect(name, upstream)).await;
    let upstream = upstream.map_err(io::Error::from).flatten();
    let client = timeout(HANDSHAKE, hello.into_stream(terminator)).await;
    let client = client.map_err(io::Error::from).flatten().map_err(|_| Broken::ClientTls)?;
    match upstream {
        Ok(upstream) => proxy::serve(client, upstream, bound, proxy::TLS_PORT).await,
        Err(error) => {
            let broken = judge(&error);
            proxy::refuse(client, bound, &format!("TLS with it failed: {error}")).await;
            Err(broken)
        }
    }
}

fn judge(error: &io::Error) -> Broken {
    let cause = error.get_ref().and_then(|it| it.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(_)) => Broken::Certificate,
        Some(_) => Broken::UpstreamTls,
        None if error.kind() == io::ErrorKind::TimedOut => Broken::UpstreamTls,
        None => Broken::Reset,
    }
}

fn unusable(error: rustls::Error) -> Error {
    Error::Internal("cannot set up TLS".to_owned(), io::Error::other(error))
}
