//! Secrets that stay outside of a jar.
//!
//! A secret that is bound to one place never enters: inside is a placeholder, and what connects to
//! that place speaks HTTP/1.1 with this module, which puts the value where the placeholder stands
//! in the header of a request, and the placeholder where the value stands in an answer. Both sides
//! are read and written anew, so that what the payload sent and what the place receives cannot
//! mean different things. For TLS the two halves of a connection are two connections: that of the
//! jar ends at a certificate of the run's own authority, which nothing but that jar trusts.
//!
//! It holds against code that looks for a secret in order to take it elsewhere. It does not hold
//! against the place itself: one that tells a value in another form than those that are looked for
//! (compressed, encrypted, in parts) tells it to the payload.

mod authority;
mod bindings;
mod echo;
mod proxy;
mod substitute;
mod tls;
mod trust;

#[cfg(test)]
mod tests;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, BufReader};

pub(super) use bindings::{Bindings, Bound};
pub(super) use trust::Trust;

use bindings::Speech;

/// Why a connection to a place with bound secrets came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The payload spoke TLS at a port for plain HTTP.
    TlsUnexpected,
    /// The payload spoke in the clear at a port for TLS, where its secret would be seen.
    TlsMissing,
    /// The name in the payload's `ClientHello` is this or none, and not that of the place.
    ServerName(Option<String>),
    /// The payload's half of TLS failed: it does not trust the run's authority, or gave up.
    ClientTls,
    /// The certificate of the place is not one for its name, or nobody known vouches for it.
    Certificate,
    /// The other half of TLS failed otherwise.
    UpstreamTls,
    /// What the payload sent is no HTTP/1.1.
    Request,
    /// One of the two went away in the middle.
    Reset,
}

impl Broken {
    /// In one word, for a record.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::TlsUnexpected => "tls_unexpected",
            Self::TlsMissing => "tls_missing",
            Self::ServerName(_) => "server_name",
            Self::ClientTls => "client_tls_failed",
            Self::Certificate => "certificate_refused",
            Self::UpstreamTls => "upstream_tls_failed",
            Self::Request => "not_http",
            Self::Reset => "reset",
        }
    }
}

/// Carries HTTP between `client`, which came out of a jar, and `upstream`, which was judged and
/// connected to, until one of them is done.
///
/// Everything that it starts ends with its future.
pub(super) async fn relay<C, U>(client: C, upstream: U, bound: &Bound) -> Result<(), Broken>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    U: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// The first byte of a TLS record that shakes hands; none that begins a method of HTTP.
    const HANDSHAKE: u8 = 0x16;
    let mut client = BufReader::new(client);
    let first = client.fill_buf().await.map_err(|_| Broken::Reset)?.first().copied();
    match (first, bound.speech(), bound.tls()) {
        (None, ..) => Ok(()),
        (Some(HANDSHAKE), Speech::Tls | Speech::Either, Some(tls)) => {
            tls::terminate(client, upstream, bound, tls).await
        }
        (Some(HANDSHAKE), ..) => Err(Broken::TlsUnexpected),
        (Some(_), Speech::Tls, _) => {
            proxy::refuse(client, bound, "this port is for TLS: ask https").await;
            Err(Broken::TlsMissing)
        }
        (Some(_), ..) => proxy::serve(client, upstream, bound, proxy::PLAIN_PORT).await,
    }
}
