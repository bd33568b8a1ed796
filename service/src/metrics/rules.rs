//! Where code broke the rules of its language.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{Labels, OTHER};

/// More than the library has. Should it ever make a rule of what a payload wrote, that is no label.
const MOST_RULES: usize = 128;

#[derive(Debug, Default)]
pub(super) struct Rules {
    found: Family<Labels<1>, Counter>,
    seen: Mutex<BTreeSet<String>>,
}

impl Rules {
    pub(super) fn count(&self, rule: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = seen.contains(rule);
        if !is_known && seen.len() < MOST_RULES {
            seen.insert(rule.to_owned());
        }
        let is_label = seen.contains(rule);
        drop(seen);
        let label = if is_label { rule } else { OTHER };
        self.found.get_or_create(&[("rule", label.to_owned())]).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Where code broke the rules of its language";
        registry.register("rule_findings", help, self.found.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_labels_than_rules() {
        let rules = Rules::default();
        for number in 0..500 {
            rules.count(&format!("python/{number}"));
        }
        rules.count("python/0");
        let count = |rule: &str| rules.found.get_or_create(&[("rule", rule.to_owned())]).get();
        assert_eq!((count("python/0"), count(OTHER)), (2, 500 - MOST_RULES as u64));
    }
}
