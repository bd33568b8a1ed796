//! Where a run takes place: in this process, or in a service.

use std::env;
use std::path::PathBuf;

use belljar::{Chunk, Code, Error, Run, Source};

use super::options::RunOptions;
use super::there;
use crate::client::{Address, Attended, Service};
use crate::json::{Outcome, Problem};

/// A run that goes on, wherever. Dropping this kills it.
pub(super) enum Live {
    Here(Run),
    There(Box<Attended>),
}

impl Live {
    /// The next output; nothing when the run has ended. Cancellation safe.
    pub(super) async fn output(&mut self) -> Option<Chunk> {
        match self {
            Self::Here(run) => run.output().await,
            Self::There(attended) => attended.output().await,
        }
    }

    pub(super) async fn wait(self) -> Result<Box<Outcome>, Problem> {
        match self {
            Self::Here(run) => Ok(Box::new(run.wait().await?.into())),
            Self::There(attended) => attended.wait().await,
        }
    }

    pub(super) async fn kill(self) -> Result<Box<Outcome>, Problem> {
        match self {
            Self::Here(run) => Ok(Box::new(run.kill().await?.into())),
            Self::There(attended) => attended.kill().await,
        }
    }
}

/// The service that is to run this, if one is: the one that `--socket` or `--host` names, that of
/// `BELLJAR_HOST`, or that of `BELLJAR_SOCKET` if it answers and can do it.
///
/// # Errors
/// [`Error::Invalid`] when the named one does not answer, or could not do what is asked.
pub(super) async fn service(
    options: &RunOptions,
    source: &Source,
) -> Result<Option<Service>, Error> {
    if options.cold {
        return Ok(None);
    }
    let local = only_here(options, source);
    if let Some((address, named)) = named(options)? {
        if let Some(what) = local {
            let what = format!("{what} cannot be done through a service: leave {named} out");
            return Err(Error::Invalid(what));
        }
        let service = Service::at(&address).await;
        let unreached =
            |error| Error::Invalid(format!("{named} {address}: no service answers: {error}"));
        return service.map(Some).map_err(unreached);
    }
    let socket = env::var_os("BELLJAR_SOCKET").filter(|socket| !socket.is_empty());
    match socket.map(PathBuf::from).filter(|_| local.is_none()) {
        Some(socket) => Ok(Service::at(&Address::Socket(socket)).await.ok()),
        None => Ok(None),
    }
}

/// The one that is used or nothing is, and what names it.
fn named(options: &RunOptions) -> Result<Option<(Address, &'static str)>, Error> {
    if let Some(socket) = &options.socket {
        return Ok(Some((Address::Socket(socket.clone()), "--socket")));
    }
    if let Some(host) = &options.host {
        return Ok(Some((Address::Host(host.clone()), "--host")));
    }
    let host = there::usual_host()?;
    Ok(host.map(|host| (Address::Host(host), "BELLJAR_HOST")))
}

/// What only the process that was asked can do: a service that looked at files which a caller
/// names would look with its own eyes.
fn only_here(options: &RunOptions, source: &Source) -> Option<&'static str> {
    if options.program.is_some() {
        return Some("--program");
    }
    if options.runtimes.is_some() {
        return Some("--runtimes");
    }
    if !options.read_only.is_empty() {
        return Some("--read-only");
    }
    if !options.grants.modules.is_empty() {
        return Some("--modules");
    }
    if !options.grants.open_range.is_empty() {
        return Some("--open-range");
    }
    matches!(source.code, Code::Program(_)).then_some("running an executable")
}
