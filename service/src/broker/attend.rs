//! The life of one run: it outlives whoever asked for it until nothing of it is left.

use std::sync::Arc;

use belljar::{Error, Run};
use tokio::sync::OwnedSemaphorePermit;

use super::ticket::Answer;
use super::{Broker, Phase, Ticket, Told};
use crate::json::{Outcome, Problem, Wish, rfc3339};

pub(super) async fn attend(
    broker: Arc<Broker>,
    ticket: Arc<Ticket>,
    wish: Wish,
    turn: OwnedSemaphorePermit,
    room: Box<dyn Send>,
) {
    let ended = run(&broker, &ticket, wish, room).await;
    let ended = match ended {
        Ok(outcome) => Ok(Answer::new(Outcome {
            labels: ticket.labels.clone(),
            created_at: rfc3339(ticket.created),
            ..outcome.into()
        })),
        Err(error) => Err(Arc::new(Problem::from(error))),
    };
    ticket.tell(Told::Ended(ended));
    broker.tickets().remove(&ticket.id);
    drop(turn);
}

async fn run(
    broker: &Broker,
    ticket: &Ticket,
    wish: Wish,
    room: Box<dyn Send>,
) -> Result<belljar::Outcome, Error> {
    let sandbox = broker.sandboxes.find(&wish).await?;
    // Never left halfway: what a start has made is unmade by whoever has its run.
    let mut run = Box::pin(sandbox.start(wish.source)).await?;
    drop(room);
    ticket.give_input(run.input());
    ticket.tell(Told::Started);
    let is_over = watch(broker, ticket, &mut run).await;
    // It keeps standard input open.
    ticket.give_input(None);
    if is_over { run.wait().await } else { run.kill().await }
}

/// Passes on what a run writes; whether it came to its end by itself.
async fn watch(broker: &Broker, ticket: &Ticket, run: &mut Run) -> bool {
    let mut ending = std::pin::pin!(broker.reaches(Phase::Ending));
    loop {
        let chunk = tokio::select! {
            chunk = run.output() => chunk,
            () = ticket.end.notified() => return false,
            () = &mut ending => return false,
        };
        match chunk {
            Some(chunk) => ticket.tell(Told::Output(chunk)),
            None => return true,
        }
    }
}
