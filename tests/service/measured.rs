//! How much a test is asked to do, and what it says of it then.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// The number in a variable of the environment.
pub(crate) fn asked_for(variable: &str, usual: u64) -> u64 {
    let asked = std::env::var(variable).ok();
    asked.map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

/// A number below `most` that nobody foresees.
pub(crate) fn chance(most: u64) -> u64 {
    RandomState::new().hash_one(most) % most
}

/// What so many percent are not above.
pub(crate) fn quantile(samples: &mut [Duration], percent: usize) -> Duration {
    samples.sort_unstable();
    let at = (samples.len() * percent / 100).min(samples.len().saturating_sub(1));
    samples.get(at).copied().unwrap_or_default()
}

/// Figures, for one who asked for more than usual.
pub(crate) struct Report(bool);

impl Report {
    pub(crate) fn of(variable: &str) -> Self {
        Self(std::env::var_os(variable).is_some())
    }

    pub(crate) fn say(&self, text: &str) {
        if self.0 {
            eprintln!("    {text}");
        }
    }
}
