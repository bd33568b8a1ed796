//! How a request becomes a run.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, Ready, poll_immediate, ready};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::attend::{self, Attending};
use super::{Broker, Held, Phase, Ticket};
use crate::json::{Problem, Request, Whose};
use crate::queue::{Busy, Turn};
use crate::store::{Opened, Opening, Row};

/// How often a run that is known and neither goes on nor is over is looked for, and how long after.
const LOOKS: (u32, Duration) = (200, Duration::from_millis(5));

/// A request for a run, and whose it is.
pub(crate) struct Submission {
    pub(crate) tenant: Arc<str>,
    pub(crate) request: Request,
    /// Asked for again, it is the same run.
    pub(crate) key: Option<Key>,
    /// It goes on when its caller is gone. So does whatever has a key.
    pub(crate) is_detached: bool,
    /// What the request takes up, until it is handed to a jar.
    pub(crate) room: Box<dyn Send>,
}

/// The name that a caller gives to a request, so that it can be made again when no answer came.
pub(crate) struct Key {
    name: String,
    digest: [u8; 32],
}

/// A run that was accepted.
pub(crate) enum Submitted {
    New(Held),
    /// It was accepted before, and goes on.
    Known(Arc<Ticket>),
    /// It was accepted before, and is over.
    Over(Box<Row>),
}

type Place = Either<Pin<Box<dyn Future<Output = Admitted> + Send>>, Ready<Admitted>>;
type Admitted = Result<Turn, Busy>;

/// A run that has not ended, and the broker that waits for it.
pub(super) struct Alive(pub(super) Arc<Broker>);

impl Key {
    /// `request` is what came with the name, byte for byte.
    pub(crate) fn new(name: &str, request: &[u8]) -> Self {
        Self { name: name.to_owned(), digest: Sha256::digest(request).into() }
    }
}

impl Broker {
    /// Accepts a run, and returns before it begins. From then on it is in the history.
    ///
    /// # Errors
    /// When the request makes no sense, there is no room for it, or no record can be made.
    pub(crate) async fn submit(
        self: &Arc<Self>,
        submission: Submission,
    ) -> Result<Submitted, Problem> {
        // A caller that leaves must not leave a record behind that nobody closes.
        let (tell, told) = oneshot::channel();
        tokio::spawn(Arc::clone(self).see_to(submission, tell));
        told.await.unwrap_or_else(|_| Err(Problem::torn()))
    }

    /// All of a run in one task: no other has to be woken before it begins.
    async fn see_to(
        self: Arc<Self>,
        submission: Submission,
        tell: oneshot::Sender<Result<Submitted, Problem>>,
    ) {
        let attending = match self.accept(submission).await {
            Ok((submitted, attending)) => {
                // Held by nobody, it is cancelled.
                drop(tell.send(Ok(submitted)));
                attending
            }
            Err(problem) => return drop(tell.send(Err(problem))),
        };
        if let Some(attending) = attending {
            Box::pin(attend::attend(attending)).await;
        }
    }

    /// What is told of it, and what there is to do then.
    async fn accept(
        self: Arc<Self>,
        submission: Submission,
    ) -> Result<(Submitted, Option<Attending<Place>>), Problem> {
        let Submission { tenant, request, key, is_detached, room } = submission;
        let is_detached = is_detached || key.is_some();
        // Before it is asked whether any begins: an end that comes meanwhile waits for this one.
        let alive = Alive::new(&self);
        if self.is(Phase::Draining) {
            return Err(Problem::overloaded("the service is stopping"));
        }
        let policy = self.policy();
        let mut wish = request.understand(&policy.limits)?;
        wish.limits.check(&policy.ceiling)?;
        policy.admit(&tenant, &wish.source.network)?;
        // Refused here, it is no run.
        self.sandboxes.runtimes.get(&wish.runtime)?;
        let id = ulid::Ulid::generate().to_string();
        wish.source.id = Some(id.clone());
        let labels = std::mem::take(&mut wish.labels);
        let ticket =
            Ticket::new(id, Arc::clone(&tenant), wish.runtime.clone(), labels, is_detached);
        let memory_bytes = wish.limits.memory_bytes;
        // Whoever has a key may have a run already. All others are refused before they cost a write.
        let has_key = key.is_some();
        let place = if has_key { None } else { Some(self.place(&tenant, memory_bytes).await?) };
        if let Some(known) = self.enter(opening(&ticket, key)).await? {
            return Ok((known, None));
        }
        let turn = match place {
            Some(turn) => turn,
            None => match self.place(&tenant, memory_bytes).await {
                Ok(turn) => turn,
                Err(busy) => {
                    self.store.withdraw(&ticket.id).await?;
                    return Err(busy.into());
                }
            },
        };
        self.tickets().insert(ticket.id.clone(), Arc::clone(&ticket));
        let attending = Attending { alive, ticket: Arc::clone(&ticket), wish, turn, room };
        Ok((Submitted::New(Held { ticket }), Some(attending)))
    }

    /// A turn, or a place in the queue that becomes one.
    async fn place(&self, tenant: &Arc<str>, memory_bytes: u64) -> Result<Place, Busy> {
        let (queue, tenant) = (self.queue.clone(), Arc::clone(tenant));
        let mut turn: Pin<Box<dyn Future<Output = _> + Send>> =
            Box::pin(async move { queue.admit(&tenant, memory_bytes).await });
        match poll_immediate(&mut turn).await {
            None => Ok(Either::Left(turn)),
            Some(turn) => turn.map(|turn| Either::Right(ready(Ok(turn)))),
        }
    }

    /// Enters a run in the history; or finds the one that has its key.
    async fn enter(&self, opening: Opening) -> Result<Option<Submitted>, Problem> {
        for _ in 0..LOOKS.0 {
            match self.store.begin(opening.clone()).await? {
                Opened::New => return Ok(None),
                Opened::Known(row) => {
                    if let Some(ticket) = self.ticket(&opening.tenant, &row.id) {
                        return Ok(Some(Submitted::Known(ticket)));
                    }
                    if row.ended_ms.is_some() {
                        return Ok(Some(Submitted::Over(row)));
                    }
                }
                Opened::Different => {
                    let what = "Idempotency-Key: it came with another request before";
                    return Err(Problem::new("key_reused", Whose::Caller, what));
                }
            }
            // It is between two steps: about to have its ticket, to be over, or to be withdrawn.
            sleep(LOOKS.1).await;
        }
        Err(Problem::passing("internal", "how the run with this key ended was not kept"))
    }
}

impl Alive {
    fn new(broker: &Arc<Broker>) -> Self {
        broker.alive.send_modify(|alive| *alive += 1);
        Self(Arc::clone(broker))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.send_modify(|alive| *alive -= 1);
    }
}

fn opening(ticket: &Ticket, key: Option<Key>) -> Opening {
    Opening {
        id: ticket.id.clone(),
        tenant: ticket.tenant.to_string(),
        runtime: ticket.runtime.clone(),
        created_ms: ticket.created_ms,
        labels: ticket.labels.clone(),
        idempotency: key.map(|key| (key.name, key.digest)),
    }
}

impl From<Busy> for Problem {
    fn from(busy: Busy) -> Self {
        let fault = if busy.is_own { Whose::Caller } else { Whose::Host };
        let (retry_after_ms, may_retry) = (Some(busy.retry_after_ms), busy.may_retry);
        Self { fault, may_retry, retry_after_ms, ..Self::overloaded(busy.why) }
    }
}
