//! What whoever starts belljar lets run, and lets what runs reach.

use std::collections::{BTreeMap, BTreeSet};

use belljar::{Allowed, Egress, Error, Mode, Rules, Source};
use clap::Args;

use super::words;
use crate::config::Config;
use crate::json;

/// Rules and networks, as options.
#[derive(Debug, Default, Args)]
#[group(id = "grants", multiple = true)]
pub(super) struct GrantOptions {
    /// How much of its language the code may use: off, restricted (no imports), standard (a list of
    /// modules) or full. Rules are advice, and no boundary: the jar is the same [default: full]
    #[arg(long, value_name = "MODE", value_parser = words::mode)]
    pub(super) mode: Option<Mode>,
    /// Modules, or commands of a shell, that mode standard has besides its own
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(super) modules: Vec<String>,
    /// A place that may be connected to: api.example.com:443, *.example.com:443, 192.0.2.7:5432 or
    /// 192.0.2.0/24:443; or loopback, for servers of its own. There is no network without it
    #[arg(long, value_name = "HOST:PORT|loopback", value_parser = words::place)]
    pub(super) allow_net: Vec<String>,
    /// A private range in which places may lie all the same
    #[arg(long, value_name = "CIDR", value_parser = words::range)]
    pub(super) open_range: Vec<Egress>,
}

impl GrantOptions {
    /// The rules of what runs here.
    pub(super) fn rules(&self) -> Rules {
        let modules: BTreeSet<_> = self.modules.iter().cloned().collect();
        Rules { mode: self.mode.unwrap_or_default(), modules }
    }

    /// What may be reached from here: whoever says what they want is who may.
    pub(super) fn egress(&self) -> Egress {
        let ranges = self.open_range.iter().flat_map(|egress| egress.open_ranges.iter().copied());
        let open_ranges = ranges.collect();
        Egress { allowed: Allowed::Anything, open_ranges, resolver: None }
    }

    /// `source` with its mode, its network, and the secrets that stay outside.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what makes no sense.
    pub(super) fn grant(&self, mut source: Source, bound: &[String]) -> Result<Source, Error> {
        source.mode = self.mode.unwrap_or_default();
        source.network = json::network(&self.allow_net)?;
        let mut hosts = BTreeMap::new();
        for pair in bound {
            let (name, place) = pair.split_once('=').ok_or_else(|| {
                Error::Invalid(format!("--bind-secret {pair}: write NAME=HOST:PORT"))
            })?;
            hosts.insert(name.to_owned(), place.to_owned());
        }
        let is_secret = |name: &str| source.secrets.iter().any(|(known, _)| known == name);
        source.bound_secrets = json::bound(&hosts, is_secret, &source.network)
            .map_err(|why| Error::Invalid(format!("--bind-secret {why}")))?;
        Ok(source)
    }

    /// `config` of a service of its own, with what is named here.
    pub(super) fn amend(&self, config: &mut Config) {
        if let Some(mode) = self.mode {
            mode.name().clone_into(&mut config.rules.mode);
        }
        config.rules.modules.extend(self.modules.iter().cloned());
        let places = self.allow_net.iter().filter(|word| *word != "loopback");
        config.network.allow.extend(places.cloned());
        let ranges = self.egress().open_ranges;
        config.network.open_ranges.extend(ranges.iter().map(ToString::to_string));
    }
}
