use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use belljar_protocol::SecretMap;
use rustls::{RootCertStore, ServerConfig};
use zeroize::Zeroizing;

use crate::redact::Redactor;
use crate::{Error, Grant, GrantHost, Network, Source};

use super::tls::{self, Tls};
use super::trust::Trust;

/// What every placeholder begins with.
pub(super) const PREFIX: &[u8] = b"belljar_";
/// Bytes of a placeholder: the prefix, and 128 random bits in hexadecimal.
pub(super) const PLACEHOLDER_BYTES: usize = PREFIX.len() + 32;

/// Shorter values could be guessed: a payload sees what is replaced in an answer that repeats what
/// it sent.
const VALUE_LEAST_BYTES: usize = 8;
/// No server takes a longer line.
const VALUE_MOST_BYTES: usize = 8 * 1024;

/// The secrets of one run that stay outside.
pub(in crate::gate) struct Bindings {
    places: Vec<Arc<Bound>>,
    tls: Option<Arc<Tls>>,
}

/// A place, and the secrets that are replaced on the way to it.
pub(in crate::gate) struct Bound {
    name: String,
    port: u16,
    bindings: Vec<Binding>,
    echo: Redactor,
    tls: Option<Arc<Tls>>,
    terminator: OnceLock<Arc<ServerConfig>>,
}

/// A secret that stays outside, and what stands for it inside.
pub(super) struct Binding {
    pub(super) placeholder: String,
    pub(super) value: Zeroizing<Vec<u8>>,
}

/// What is spoken at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    Plain,
    Tls,
    /// Whatever the payload begins with.
    Either,
}

impl Bindings {
    /// Takes the values of the secrets of `source` that are bound, and leaves placeholders. What
    /// redacts the output of the run is made before, from the values.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a binding of no secret, to no granted place, or of what cannot stand
    /// in a header; [`Error::Internal`] where there is no randomness.
    pub(in crate::gate) fn take(source: &mut Source) -> Result<Self, Error> {
        Self::take_trusting(source, tls::host_roots)
    }

    /// The same, where certificates of upstreams are judged by these roots.
    pub(super) fn take_trusting(
        source: &mut Source,
        roots: impl FnOnce() -> Arc<RootCertStore>,
    ) -> Result<Self, Error> {
        let mut places: Vec<(String, u16, Vec<Binding>)> = Vec::new();
        let mut taken = Vec::new();
        for (secret, place) in std::mem::take(&mut source.bound_secrets) {
            let refused = |why: String| Error::Invalid(format!("secret {secret}: {why}"));
            if taken.contains(&secret) {
                return Err(refused("it is bound twice".to_owned()));
            }
            let (name, port) = granted(&source.network, &place).map_err(refused)?;
            let binding = Binding::take(&mut source.secrets, &secret)?;
            match places.iter_mut().find(|(known, at, _)| *known == name && *at == port) {
                Some((_, _, bindings)) => bindings.push(binding),
                None => places.push((name, port, vec![binding])),
            }
            taken.push(secret);
        }
        let spoken = places.iter().filter(|(_, port, _)| Speech::at(*port) != Speech::Plain);
        let names: Vec<_> = spoken.map(|(name, ..)| name.clone()).collect();
        let tls = if names.is_empty() { None } else { Some(Arc::new(Tls::new(names, roots())?)) };
        let bound =
            |(name, port, bindings)| Arc::new(Bound::new(name, port, bindings, tls.clone()));
        Ok(Self { places: places.into_iter().map(bound).collect(), tls })
    }

    /// What is bound to a place, if anything is. `host` is lower case, without a dot at its end.
    pub(in crate::gate) fn at(&self, host: &str, port: u16) -> Option<Arc<Bound>> {
        self.places.iter().find(|bound| bound.name == host && bound.port == port).cloned()
    }

    /// What the jar needs so that its programs trust the authority of the run, beside everything
    /// that this host trusts. Nothing where no TLS is spoken with a place that has bound secrets.
    ///
    /// # Errors
    /// [`Error::Invalid`] where `env`, which the caller set, says what else to trust.
    pub(in crate::gate) fn trust(&self, env: &[(String, String)]) -> Result<Trust, Error> {
        match &self.tls {
            Some(tls) => Trust::new(tls.certificate_pem(), env),
            None => Ok(Trust::default()),
        }
    }
}

impl Bound {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    pub(super) fn speech(&self) -> Speech {
        Speech::at(self.port)
    }

    pub(super) fn tls(&self) -> Option<&Tls> {
        self.tls.as_deref()
    }

    /// Puts placeholders for values, in one stream.
    pub(super) fn echo(&self) -> Redactor {
        self.echo.fresh()
    }

    /// How the jar's half of TLS is spoken; made when it is first needed.
    pub(super) fn terminator(&self, tls: &Tls) -> Option<Arc<ServerConfig>> {
        if let Some(made) = self.terminator.get() {
            return Some(Arc::clone(made));
        }
        let made = tls.terminator(&self.name).ok()?;
        Some(Arc::clone(self.terminator.get_or_init(|| made)))
    }

    /// The least length of a stream in which a value could stand.
    pub(super) const fn echo_least_bytes() -> u64 {
        VALUE_LEAST_BYTES as u64
    }

    fn new(name: String, port: u16, bindings: Vec<Binding>, tls: Option<Arc<Tls>>) -> Self {
        let pairs = bindings.iter().map(|it| (it.placeholder.clone(), it.value.as_slice()));
        let echo = Redactor::with_replacements(pairs);
        let tls = tls.filter(|_| Speech::at(port) != Speech::Plain);
        Self { name, port, bindings, echo, tls, terminator: OnceLock::new() }
    }
}

impl Binding {
    /// Takes the value of `name`, and leaves a placeholder.
    fn take(secrets: &mut SecretMap, name: &str) -> Result<Self, Error> {
        let refused = |why: &str| Error::Invalid(format!("secret {name}: {why}"));
        let value = secrets.get(name).ok_or_else(|| refused("it is bound, but there is none"))?;
        let value = Zeroizing::new(in_a_header(value).map_err(|why| refused(&why))?.to_vec());
        let placeholder = placeholder()?;
        secrets
            .insert(name, placeholder.clone().into_bytes())
            .map_err(|invalid| Error::Invalid(invalid.to_string()))?;
        Ok(Self { placeholder, value })
    }
}

/// Names the placeholder only.
impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding").field("placeholder", &self.placeholder).finish_non_exhaustive()
    }
}

impl Speech {
    /// At the ports of HTTPS nothing is said in the clear: a payload could have a secret sent where
    /// whoever carries the bytes reads it.
    fn at(port: u16) -> Self {
        match port {
            80 => Self::Plain,
            443 | 8443 => Self::Tls,
            _ => Self::Either,
        }
    }
}

/// The one place that `place` names, if it is granted.
fn granted(network: &Network, place: &Grant) -> Result<(String, u16), String> {
    let GrantHost::Name(name) = &place.host else {
        return Err(format!("it can be bound to one exact name only, and {place} is none"));
    };
    let Network::Gate(grants) = network else {
        return Err(format!("it is bound to {place}, but there is no gate"));
    };
    if !grants.iter().any(|grant| grant.covers(place)) {
        return Err(format!("it is bound to {place}, which is not granted"));
    }
    Ok((name.clone(), place.port))
}

/// The value as a header carries it: a secret from a file ends in a newline that nobody means.
fn in_a_header(value: &[u8]) -> Result<&[u8], String> {
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    if !(VALUE_LEAST_BYTES..=VALUE_MOST_BYTES).contains(&value.len()) {
        return Err(format!(
            "it has {} bytes; what is bound has {VALUE_LEAST_BYTES} to {VALUE_MOST_BYTES}",
            value.len()
        ));
    }
    if value.iter().any(u8::is_ascii_control) || value.trim_ascii() != value {
        return Err(
            "it holds what cannot stand in a header: a control or an outer space".to_owned()
        );
    }
    Ok(value)
}

fn placeholder() -> Result<String, Error> {
    let mut bytes = [0; 16];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| {
        let reason = io::Error::other("the kernel gave none");
        Error::Internal("cannot draw random bytes".to_owned(), reason)
    })?;
    Ok(format!("{}{:032x}", String::from_utf8_lossy(PREFIX), u128::from_be_bytes(bytes)))
}
