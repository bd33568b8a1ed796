//! What a client that asked for it is told while a run goes on.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use belljar::Chunk;
use rmcp::RoleServer;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::RequestContext;
use tokio::time::{MissedTickBehavior, interval};

use crate::broker::{Ticket, Told};

/// How often.
const EVERY: Duration = Duration::from_millis(500);

/// How far a run is.
#[derive(Default)]
pub(super) struct Pulse {
    runs: AtomicBool,
    bytes: AtomicUsize,
}

impl Pulse {
    pub(super) fn begin(&self) {
        self.runs.store(true, Ordering::Relaxed);
    }

    pub(super) fn count(&self, chunk: &Chunk) {
        if let Chunk::Stdout(bytes) | Chunk::Stderr(bytes) = chunk {
            self.bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        }
    }
}

/// Notes what happens to `ticket`.
pub(super) async fn follow(ticket: &Arc<Ticket>, pulse: &Pulse) -> Infallible {
    let mut follower = ticket.follow();
    while let Some((_, told)) = follower.next().await {
        match &*told {
            Told::Started => pulse.begin(),
            Told::Output(chunk) => pulse.count(chunk),
            _ => {}
        }
    }
    pending().await
}

/// Tells how far it is, until this is dropped.
pub(super) async fn report(pulse: &Pulse, context: &RequestContext<RoleServer>) -> Infallible {
    let Some(token) = context.meta.get_progress_token() else { return pending().await };
    let began = Instant::now();
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let seconds = began.elapsed().as_secs_f64();
        let message = if pulse.runs.load(Ordering::Relaxed) {
            let bytes = pulse.bytes.load(Ordering::Relaxed);
            format!("running for {seconds:.1} s, {bytes} bytes of output so far")
        } else {
            format!("waiting for {seconds:.1} s")
        };
        let row = ProgressNotificationParam::new(token.clone(), seconds).with_message(message);
        // Who does not hear it hears the answer, or is gone.
        drop(context.peer.notify_progress(row).await);
    }
}
