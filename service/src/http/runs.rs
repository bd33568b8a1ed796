//! Runs: each is a task of its own, which outlives whoever asked for it until nothing is left.

use std::sync::Arc;

use belljar::{Chunk, Error, Run};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::answer::Refusal;
use super::{Phase, Service};
use crate::json::{Outcome, Problem, Wish};

/// What happens to a run.
pub(super) enum Told {
    /// It has this name.
    Started(String),
    Output(Chunk),
    /// The last that is told.
    Ended(Result<Box<Outcome>, Problem>),
}

/// Takes a run out of the list of those that go on.
struct Listed<'a> {
    service: &'a Service,
    id: String,
}

/// Starts a run. When nobody listens any more, it is killed.
///
/// What waits to be heard is never more than the captured output, which the outcome has as well.
///
/// # Errors
/// When as many go on as may.
pub(super) fn start(
    service: &Arc<Service>,
    wish: Wish,
    room: OwnedSemaphorePermit,
) -> Result<UnboundedReceiver<Told>, Refusal> {
    let turn = Arc::clone(&service.turns).try_acquire_owned();
    let turn = turn.map_err(|_| Refusal::overloaded("too many runs at one time"))?;
    let (tell, told) = unbounded_channel();
    let service = Arc::clone(service);
    tokio::spawn(async move {
        let ended = attend(&service, wish, room, &tell).await;
        // The caller may be gone.
        drop(tell.send(Told::Ended(ended.map_err(Problem::from))));
        drop(turn);
    });
    Ok(told)
}

async fn attend(
    service: &Service,
    wish: Wish,
    room: OwnedSemaphorePermit,
    tell: &UnboundedSender<Told>,
) -> Result<Box<Outcome>, Error> {
    let sandbox = service.sandboxes.find(&wish).await?;
    // Never left halfway: what a start has made is unmade by whoever has its run.
    let mut run = Box::pin(sandbox.start(wish.source)).await?;
    drop(room);
    let end = Arc::new(Notify::new());
    let id = run.id().to_owned();
    service.live().insert(id.clone(), Arc::clone(&end));
    let _listed = Listed { service, id: id.clone() };
    drop(tell.send(Told::Started(id)));
    let is_over = watch(service, &mut run, &end, tell).await;
    let outcome = if is_over { run.wait().await? } else { run.kill().await? };
    Ok(Box::new(outcome.into()))
}

/// Passes on what a run writes; whether it came to its end by itself.
async fn watch(
    service: &Service,
    run: &mut Run,
    end: &Notify,
    tell: &UnboundedSender<Told>,
) -> bool {
    let mut phase = service.phase.subscribe();
    loop {
        let chunk = tokio::select! {
            chunk = run.output() => chunk,
            () = end.notified() => return false,
            () = tell.closed() => return false,
            _ = phase.wait_for(|phase| *phase == Phase::Ending) => return false,
        };
        match chunk {
            // What was refused is in the outcome.
            Some(Chunk::Denial(_)) => {}
            Some(chunk) => drop(tell.send(Told::Output(chunk))),
            None => return true,
        }
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.service.live().remove(&self.id);
    }
}
