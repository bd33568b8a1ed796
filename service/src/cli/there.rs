//! The service that a command asks.

use std::env;
use std::path::PathBuf;

use belljar::Error;

use super::options::There;
use crate::client::{Address, Host, Service};
use crate::http::usual_socket;
use crate::json::Problem;

/// A connection to it.
///
/// # Errors
/// When nobody answers there.
pub(super) async fn service(there: &There) -> Result<Service, Problem> {
    let address = address(there)?;
    let service = Service::at(&address).await;
    service.map_err(|error| Problem::invalid(format!("{address}: no service answers: {error}")))
}

/// Where one of this host is, whether or not it is.
pub(super) fn socket(named: Option<&PathBuf>) -> Result<PathBuf, Error> {
    let usual = || env::var_os("BELLJAR_SOCKET").filter(|socket| !socket.is_empty());
    named.cloned().or_else(|| usual().map(PathBuf::from)).map_or_else(usual_socket, Ok)
}

/// The host that the environment names, if it names one.
pub(super) fn usual_host() -> Result<Option<Host>, Error> {
    let invalid = |what: &str| Error::Invalid(format!("BELLJAR_HOST: {what}"));
    match env::var_os("BELLJAR_HOST").filter(|host| !host.is_empty()) {
        None => Ok(None),
        Some(host) => {
            let host = host.to_str().ok_or_else(|| invalid("it is no UTF-8"))?;
            host.parse().map(Some).map_err(|why: String| invalid(&why))
        }
    }
}

fn address(there: &There) -> Result<Address, Error> {
    if let Some(host) = &there.host {
        return Ok(Address::Host(host.clone()));
    }
    if there.socket.is_none()
        && let Some(host) = usual_host()?
    {
        return Ok(Address::Host(host));
    }
    socket(there.socket.as_ref()).map(Address::Socket)
}
