//! The life of one run: it outlives whoever asked for it until nothing of it is left.

use std::sync::Arc;
use std::time::{Duration, Instant};

use belljar::Run;
use tokio::time::sleep;

use super::submission::Alive;
use super::ticket::{Answer, Ended};
use super::{Broker, Phase, Ticket, Told};
use crate::json::{Outcome, Problem, Whose, Wish, now_ms, rfc3339};
use crate::queue::{Busy, Turn};
use crate::sandboxes::Wanted;

/// That a run has started is history after this. Most are over by then, and their ends say so.
const LONG: Duration = Duration::from_millis(25);

/// A run that was accepted, and its place in the queue.
pub(super) struct Attending<P> {
    pub(super) alive: Alive,
    pub(super) ticket: Arc<Ticket>,
    pub(super) wish: Wish,
    pub(super) turn: P,
    pub(super) room: Box<dyn Send>,
}

pub(super) async fn attend<P>(attending: Attending<P>)
where
    P: Future<Output = Result<Turn, Busy>> + Unpin,
{
    let Attending { alive, ticket, wish, turn, room } = attending;
    let broker = &*alive.0;
    let accepted = Instant::now();
    let turn = tokio::select! {
        turn = turn => turn.map_err(Problem::from),
        () = ticket.end.notified() => Err(gave_up()),
        () = broker.reaches(Phase::Ending) => Err(Problem::overloaded("the service is stopping")),
    };
    let queued = accepted.elapsed();
    let ended = match &turn {
        Ok(turn) => run(broker, &ticket, wish, room, turn, queued).await,
        Err(problem) => Err(problem.clone()),
    };
    let ended = ended.map(Answer::new).map_err(Arc::new);
    if let Ok(answer) = &ended {
        broker.metrics.run_ended(&answer.outcome);
    }
    if let Err(problem) = &ended {
        broker.metrics.found(&problem.findings);
    }
    audit(&ticket, &ended);
    record(broker, &ticket, &ended).await;
    // Whoever hears of the end may come again at once.
    drop(turn);
    broker.finish(&ticket, ended);
}

async fn run(
    broker: &Broker,
    ticket: &Ticket,
    wish: Wish,
    room: Box<dyn Send>,
    turn: &Turn,
    queued: Duration,
) -> Result<Outcome, Problem> {
    let Wish { runtime, limits, floor, source, .. } = wish;
    // As it is decided now: what waited for its turn has no more than what begins at once.
    let policy = broker.policy();
    let egress = policy.governed.egress(&ticket.tenant);
    let rules = &policy.governed.rules(&ticket.tenant, &runtime);
    let (limits, start) = (&limits, source.start);
    let wanted = Wanted { runtime: &runtime, limits, floor, start, egress, rules };
    let sandbox = broker.sandboxes.find(wanted).await?;
    // Never left halfway: what a start has made is unmade by whoever has its run.
    let mut run = Box::pin(sandbox.start(source)).await?;
    drop(room);
    ticket.give_input(run.input());
    ticket.tell(Told::Started);
    let is_over = watch(broker, ticket, &mut run).await;
    // It keeps standard input open.
    ticket.give_input(None);
    let mut outcome = if is_over { run.wait().await? } else { run.kill().await? };
    turn.used(outcome.usage.cpu);
    outcome.timings.queued = queued;
    let (labels, created_at) = (ticket.labels.clone(), rfc3339(ticket.created_ms));
    Ok(Outcome { labels, created_at, ..outcome.into() })
}

/// Passes on what a run writes; whether it came to its end by itself.
async fn watch(broker: &Broker, ticket: &Ticket, run: &mut Run) -> bool {
    let mut ending = std::pin::pin!(broker.reaches(Phase::Ending));
    let began_ms = now_ms();
    let mut long = std::pin::pin!(sleep(LONG));
    let mut is_long = false;
    loop {
        let chunk = tokio::select! {
            chunk = run.output() => chunk,
            () = ticket.end.notified() => return false,
            () = &mut ending => return false,
            () = &mut long, if !is_long => {
                is_long = true;
                broker.store.started(&ticket.id, began_ms);
                continue;
            }
        };
        match chunk {
            Some(chunk) => ticket.tell(Told::Output(chunk)),
            None => return true,
        }
    }
}

/// Before anybody hears of it: what was told once is never told otherwise.
async fn record(broker: &Broker, ticket: &Ticket, ended: &Ended) {
    let status = word(ended);
    let (wall_ms, text) = match ended {
        Ok(answer) if broker.policy().keeps_outputs => {
            (Some(answer.outcome.wall_ms), answer.text())
        }
        Ok(answer) => (Some(answer.outcome.wall_ms), answer.silent()),
        Err(problem) => (None, crate::json::line(&**problem)),
    };
    let (id, is_problem) = (&*ticket.id, ended.is_err());
    let kept = broker.store.end(id, status, is_problem, wall_ms, now_ms(), text).await;
    if let Err(error) = kept {
        tracing::error!(id, %error, "the end of a run is not in the history");
    }
}

/// One line on who ran what, and whether it spoke to anybody.
fn audit(ticket: &Ticket, ended: &Ended) {
    let (id, runtime, tenant) = (&ticket.id, &ticket.runtime, &ticket.tenant);
    let (status, outcome) = (word(ended), ended.as_ref().map(|answer| &answer.outcome));
    let network = outcome.ok().and_then(|outcome| outcome.network.as_ref());
    let Some(network) = network else {
        tracing::info!(id, runtime, %tenant, status, "ended");
        return;
    };
    let (connections, network) = (network.connections(), &*network.kind);
    tracing::info!(id, runtime, %tenant, status, network, connections, "ended");
}

/// The word for an end.
fn word(ended: &Ended) -> &str {
    match ended {
        Ok(answer) => &answer.outcome.status,
        Err(problem) => &problem.code,
    }
}

/// Nobody wants a run that never began.
fn gave_up() -> Problem {
    Problem::new("cancelled", Whose::Caller, "it was cancelled before it had begun")
}
