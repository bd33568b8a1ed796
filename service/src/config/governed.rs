//! Which rules and which network whoever runs something may have.

use std::collections::BTreeMap;

use belljar::{Allowed, Egress, Grant, Mode, Rules};

use super::kind::range;
use super::{Mcp, Network, NetworkOf, RulesOf};

/// What the operator decided, for every tenant and runtime.
pub(crate) struct Governed {
    rules: Rules,
    of_runtimes: BTreeMap<String, Rules>,
    of_tenants: BTreeMap<String, Rules>,
    egress: Egress,
    egress_of_tenants: BTreeMap<String, Egress>,
    models: Mode,
    of_tools: BTreeMap<String, Mode>,
}

impl Governed {
    pub(super) fn new(rules: &super::Rules, network: &Network, mcp: &Mcp) -> Self {
        let all = |named: &BTreeMap<String, RulesOf>| {
            let each = named.iter().map(|(name, of)| (name.clone(), made(&of.mode, &of.modules)));
            each.collect()
        };
        let resolver = network.resolver.parse().ok();
        let egress = |allow: &[String], open_ranges: &[String]| Egress {
            resolver,
            ..reached(allow, open_ranges)
        };
        let named = network.tenants.iter();
        let named = named.map(|(name, NetworkOf { allow, open_ranges })| {
            (name.clone(), egress(allow, open_ranges))
        });
        Self {
            rules: made(&rules.mode, &rules.modules),
            of_runtimes: all(&rules.runtimes),
            of_tenants: all(&rules.tenants),
            egress: egress(&network.allow, &network.open_ranges),
            egress_of_tenants: named.collect(),
            models: Mode::from_word(&mcp.mode),
            of_tools: mcp
                .tools
                .iter()
                .map(|(name, of)| (name.clone(), Mode::from_word(&of.mode)))
                .collect(),
        }
    }

    /// The strictest mode of all that are named, and all modules.
    pub(crate) fn rules(&self, tenant: &str, runtime: &str) -> Rules {
        let mut rules = self.rules.clone();
        let more = [self.of_runtimes.get(runtime), self.of_tenants.get(tenant)];
        for more in more.into_iter().flatten() {
            rules.mode = rules.mode.min(more.mode);
            rules.modules.extend(more.modules.iter().cloned());
        }
        rules
    }

    /// The most that what a model wrote may use, if it came through this tool.
    pub(crate) fn mode_of_tool(&self, tool: &str) -> Mode {
        self.of_tools.get(tool).map_or(self.models, |mode| self.models.min(*mode))
    }

    /// What runs of `tenant` may reach.
    pub(crate) fn egress(&self, tenant: &str) -> &Egress {
        self.egress_of_tenants.get(tenant).unwrap_or(&self.egress)
    }
}

fn made(mode: &str, modules: &[String]) -> Rules {
    Rules { mode: Mode::from_word(mode), modules: modules.iter().cloned().collect() }
}

/// Each was read as what it is before.
fn reached(allow: &[String], open_ranges: &[String]) -> Egress {
    let grants: Vec<Grant> = allow.iter().filter_map(|grant| grant.parse().ok()).collect();
    let ranges = open_ranges.iter().filter_map(|word| range(word).ok());
    Egress {
        allowed: if grants.is_empty() { Allowed::Nothing } else { Allowed::These(grants) },
        open_ranges: ranges.flat_map(|egress| egress.open_ranges).collect(),
        resolver: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Tool};

    fn governed(set: impl FnOnce(&mut Config)) -> Governed {
        let mut config = Config::default();
        set(&mut config);
        config.governed()
    }

    fn of(mode: &str, modules: &[&str]) -> RulesOf {
        let modules = modules.iter().map(|name| (*name).to_owned()).collect();
        RulesOf { mode: mode.to_owned(), modules }
    }

    #[test]
    fn the_strictest_mode_counts_and_modules_are_added() {
        let governed = governed(|config| {
            config.rules.mode = "standard".to_owned();
            config.rules.modules = vec!["numpy".to_owned()];
            config.rules.runtimes.insert("python".to_owned(), of("full", &["pandas"]));
            config.rules.runtimes.insert("node".to_owned(), of("restricted", &[]));
            config.rules.tenants.insert("acme".to_owned(), of("strict", &["regex"]));
        });
        let rules = |tenant, runtime| {
            let rules = governed.rules(tenant, runtime);
            (rules.mode, rules.modules.into_iter().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(rules("0", "bash"), (Mode::Standard, "numpy".to_owned()));
        assert_eq!(rules("0", "python"), (Mode::Standard, "numpy pandas".to_owned()));
        assert_eq!(rules("0", "node").0, Mode::Restricted);
        assert_eq!(rules("acme", "python"), (Mode::Off, "numpy pandas regex".to_owned()));
    }

    #[test]
    fn a_tool_has_no_more_than_all_of_them() {
        let governed = governed(|config| {
            config.mcp.mode = "standard".to_owned();
            for (tool, mode) in [("run_code", "restricted"), ("open_session", "full")] {
                config.mcp.tools.insert(tool.to_owned(), Tool { mode: mode.to_owned() });
            }
        });
        assert_eq!(governed.mode_of_tool("run_code"), Mode::Restricted);
        assert_eq!(governed.mode_of_tool("open_session"), Mode::Standard);
        assert_eq!(governed.mode_of_tool("another"), Mode::Standard);
    }

    #[test]
    fn a_tenant_with_places_of_its_own_has_no_others() {
        let governed = governed(|config| {
            config.network.allow = vec!["a.test:1".to_owned()];
            config.network.resolver = "192.0.2.1:53".to_owned();
            let own = NetworkOf { allow: Vec::new(), open_ranges: vec!["10.0.0.0/8".to_owned()] };
            config.network.tenants.insert("acme".to_owned(), own);
        });
        let grant = "a.test:1".parse().unwrap();
        assert!(governed.egress("0").allowed.allows(&grant));
        assert!(!governed.egress("acme").allowed.allows(&grant));
        assert_eq!(governed.egress("acme").open_ranges.len(), 1);
        assert_eq!(governed.egress("acme").resolver, "192.0.2.1:53".parse().ok());
    }
}
