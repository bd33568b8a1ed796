//! What of a network a run has, as far as it is decided before anything starts.

use belljar_protocol::{Authority, Network as InJar};

use crate::gate::Layout;
use crate::redact::Redactor;
use crate::runtime::Launch;
use crate::sandbox::Settings;
use crate::{Error, Network, Source};

/// The network of a run that has not begun.
#[derive(Default)]
pub(crate) enum Wiring {
    #[default]
    None,
    Loopback,
    Gate(Box<Layout>),
}

/// A socket that travels with others in one datagram, in so many datagrams as a socket of the
/// kernel's defaults holds: a worker hands all of them out before anybody takes one.
const MOST_DOORS: usize = 640;

impl Wiring {
    /// The files and variables that a payload needs for its gate are added to `launch`; secrets that
    /// are bound to a place are replaced in `source`, and `redactor` knows both forms of them.
    ///
    /// # Errors
    /// [`Error::Unenforceable`] where a jar can have no network of its own; otherwise as for
    /// [`Layout::new`].
    pub(crate) fn new(
        authority: Authority,
        settings: &Settings,
        source: &mut Source,
        launch: &mut Launch,
        redactor: &mut Redactor,
    ) -> Result<Self, Error> {
        if source.network.is_none() {
            return Ok(Self::None);
        }
        if !authority.makes_namespaces() {
            return Err(no_network());
        }
        if source.network == Network::Loopback {
            return Ok(Self::Loopback);
        }
        let real = (!source.bound_secrets.is_empty()).then(|| source.secrets.clone());
        let mut layout = Layout::new(source, &settings.egress, settings.limits.memory_bytes)?;
        if let Some(real) = real {
            *redactor = Redactor::of(&[&real, &source.secrets]);
        }
        let doors = layout.gateway.doors.len();
        if doors > MOST_DOORS {
            let refused =
                format!("network: the grants need {doors} sockets, and {MOST_DOORS} is the most");
            return Err(Error::Invalid(refused));
        }
        launch.files.append(&mut layout.files);
        for (name, value) in std::mem::take(&mut layout.env) {
            // What a caller says is what holds.
            if launch.env.iter().all(|(known, _)| *known != name) {
                launch.env.push((name, value));
            }
        }
        Ok(Self::Gate(Box::new(layout)))
    }

    /// What its worker has to make.
    pub(crate) fn in_jar(&self) -> InJar {
        match self {
            Self::None => InJar::None,
            Self::Loopback => InJar::Loopback,
            Self::Gate(layout) => InJar::Gate(layout.gateway.clone()),
        }
    }
}

fn no_network() -> Error {
    Error::Unenforceable {
        what: "network".to_owned(),
        reason: "without a network namespace of its own, a run would have the host's network"
            .to_owned(),
        errno: 0,
        hint: "run it on a host with namespaces, or without a network: belljar doctor says why \
               there are none",
    }
}
