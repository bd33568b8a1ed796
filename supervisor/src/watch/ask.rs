//! What a session asks of the loop that watches its payload.

use tokio::sync::{mpsc, oneshot};

use super::Watch;
use crate::Output;
use crate::cgroup::Counters;
use crate::judge::Intent;
use crate::output::Live;
use crate::plan::Plan;

/// One question, or one order.
pub(crate) enum Ask {
    /// A call begins: so much of what is written from here on is captured.
    Begin { stdout_bytes: u64, stderr_bytes: u64, begun: oneshot::Sender<Begun> },
    /// It is over: what was written so far is its.
    Cut(oneshot::Sender<Cut>),
    /// Everything is.
    End(Intent),
}

/// The output of a call while it runs, and what was used before it.
pub(crate) struct Begun {
    pub(crate) stdout: Live,
    pub(crate) stderr: Live,
    pub(crate) counters: Counters,
}

/// The output of a call, and what was used when it ended.
pub(crate) struct Cut {
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
    pub(crate) counters: Counters,
}

impl Watch {
    /// Answers; whether that is a reason to end the run. Whoever asked may be gone.
    pub(super) fn answer(&mut self, ask: Ask, plan: &Plan) -> Option<Intent> {
        match ask {
            Ask::Begin { stdout_bytes, stderr_bytes, begun } => {
                let (stdout, stderr) = (&mut self.raised.stdout, &mut self.raised.stderr);
                stdout.set_limit(stdout_bytes);
                stderr.set_limit(stderr_bytes);
                let (stdout, stderr) = (stdout.live(), stderr.live());
                drop(begun.send(Begun { stdout, stderr, counters: self.raised.counters() }));
                None
            }
            Ask::Cut(cut) => {
                let limits = &plan.limits;
                let (stdout, stderr) = (&mut self.raised.stdout, &mut self.raised.stderr);
                let stdout = stdout.cut(limits.stdout_bytes);
                let stderr = stderr.cut(limits.stderr_bytes);
                drop(cut.send(Cut { stdout, stderr, counters: self.raised.counters() }));
                None
            }
            Ask::End(intent) => Some(intent),
        }
    }
}

pub(super) async fn asked(asks: Option<&mut mpsc::Receiver<Ask>>) -> Option<Ask> {
    match asks {
        Some(asks) => asks.recv().await,
        None => std::future::pending().await,
    }
}
