//! The service that a command asks.

use std::env;
use std::path::PathBuf;

use belljar::Error;

use super::options::There;
use crate::client::Service;
use crate::http::usual_socket;
use crate::json::Problem;

/// Where it is, whether or not it is.
pub(super) fn socket(there: &There) -> Result<PathBuf, Error> {
    let named = || env::var_os("BELLJAR_SOCKET").filter(|socket| !socket.is_empty());
    let socket = there.socket.clone().or_else(|| named().map(PathBuf::from));
    socket.map_or_else(usual_socket, Ok)
}

/// A connection to it.
///
/// # Errors
/// When nobody answers there.
pub(super) async fn service(there: &There) -> Result<Service, Problem> {
    let socket = socket(there)?;
    let service = Service::at(&socket).await;
    service.map_err(|error| {
        let shown = socket.display();
        Problem::invalid(format!("{shown}: no service answers: {error}"))
    })
}
