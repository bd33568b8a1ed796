//! How a request becomes a run.

use std::sync::Arc;

use belljar::Limits;

use super::{Broker, Phase, Ticket, attend};
use crate::json::{Problem, Request};

/// A request for a run, and whose it is.
pub(crate) struct Submission {
    pub(crate) tenant: Arc<str>,
    pub(crate) request: Request,
    /// What the request takes up, until it is handed to a jar.
    pub(crate) room: Box<dyn Send>,
}

/// A run that was accepted.
pub(crate) enum Submitted {
    /// It is new.
    New(Arc<Ticket>),
}

impl Broker {
    /// Accepts a run, and returns before it begins.
    ///
    /// # Errors
    /// When the request makes no sense, or there is no room for it.
    #[expect(clippy::unused_async, reason = "the history of runs is asked next")]
    pub(crate) async fn submit(
        self: &Arc<Self>,
        submission: Submission,
    ) -> Result<Submitted, Problem> {
        let Submission { tenant, request, room } = submission;
        if self.is(Phase::Draining) {
            return Err(Problem::overloaded("the service is stopping"));
        }
        let mut wish = request.understand(&Limits::strict())?;
        let turn = Arc::clone(&self.turns).try_acquire_owned();
        let turn = turn.map_err(|_| Problem::overloaded("too many runs at one time"))?;
        let id = ulid::Ulid::generate().to_string();
        wish.source.id = Some(id.clone());
        let labels = std::mem::take(&mut wish.labels);
        let ticket = Ticket::new(id.clone(), tenant, wish.runtime.clone(), labels);
        self.tickets().insert(id, Arc::clone(&ticket));
        tokio::spawn(attend::attend(Arc::clone(self), Arc::clone(&ticket), wish, turn, room));
        Ok(Submitted::New(ticket))
    }
}
