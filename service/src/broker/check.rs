//! Code that is checked and not run.

use std::sync::Arc;

use belljar::{Error, Rules};
use tokio::sync::Semaphore;

use super::Broker;
use crate::json::{Check, CheckAnswer, CheckRequest, Problem};

/// At one time: each has a thread, and is done in milliseconds.
const MOST_CHECKS: usize = 2;

/// Places for those that go on.
pub(super) struct Checks(Arc<Semaphore>);

impl Default for Checks {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_CHECKS)))
    }
}

impl Broker {
    /// Where code breaks the rules that would hold if `tenant` ran it.
    ///
    /// # Errors
    /// When the request makes no sense, its runtime has no rules, or nothing may run at all.
    pub(crate) async fn check(
        &self,
        tenant: &str,
        request: CheckRequest,
    ) -> Result<CheckAnswer, Problem> {
        let Check { runtime, source, mode } = request.understand()?;
        let found = self.sandboxes.runtimes.get(&runtime)?.clone();
        let rules = self.policy().governed.rules(tenant, &runtime);
        let rules = Rules { mode: rules.mode.min(mode), ..rules };
        let mode = rules.mode.name();
        let place = Arc::clone(&self.checks.0).acquire_owned().await;
        let place = place.map_err(|_| Problem::torn())?;
        let checked = tokio::task::spawn_blocking(move || {
            // Held until the thread is done, also when nobody waits for it any more.
            let _place = place;
            found.admit(&source, &rules)
        });
        let findings = match checked.await.map_err(|_| Problem::torn())? {
            Ok(()) => Vec::new(),
            Err(Error::Refused { findings, .. }) if !findings.is_empty() => findings,
            Err(error) => return Err(error.into()),
        };
        let findings: Vec<_> = findings.iter().map(Into::into).collect();
        self.metrics.found(&findings);
        Ok(CheckAnswer { mode, findings })
    }
}
