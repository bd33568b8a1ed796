//! One call, from the moment at which it was begun to its answer.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedMutexGuard, oneshot};
use tokio::time::sleep_until;

use super::talk::Message;
use super::{Desk, GRACE, Shared};
use crate::cgroup::Counters;
use crate::glob::Pattern;
use crate::judge::Intent;
use crate::limits::request;
use crate::rich::{self, Told};
use crate::watch::{Ask, Cut};
use crate::{Answer, AnswerStatus, Call, Error, Limits, Output};

/// A call that runs, and what it needs.
pub(super) struct Attending {
    pub(super) shared: Arc<Shared>,
    pub(super) desk: OwnedMutexGuard<Desk>,
    pub(super) number: u64,
    pub(super) wall: Option<Duration>,
    pub(super) wanted: Vec<Pattern>,
    /// What the session had used before.
    pub(super) before: Counters,
}

/// Why a wait ended.
enum Event {
    Answered(std::io::Result<Message>),
    Interrupted,
    Abandoned,
    TimeIsUp,
    GraceIsOver,
    SessionEnded,
}

/// Why a call was interrupted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    Asked,
    TimeIsUp,
}

/// # Errors
/// [`Error::Invalid`] when a call exceeds a bound or makes no sense.
pub(super) fn check(call: &Call, limits: &Limits) -> Result<Vec<Pattern>, Error> {
    let files: usize = call.files.iter().map(|file| file.bytes.len()).sum();
    for (what, bytes, most) in [
        ("the code", call.code.len(), request::SOURCE_BYTES),
        ("standard input", call.stdin.len(), request::STDIN_BYTES.min(limits.disk_bytes)),
        ("input files", files, request::FILES_BYTES.min(limits.disk_bytes)),
    ] {
        if bytes as u64 > most {
            return Err(Error::Invalid(format!(
                "{what}: {bytes} bytes exceed the limit of {most}"
            )));
        }
    }
    if call.code.contains('\0') {
        return Err(Error::Invalid("the code contains a NUL".to_owned()));
    }
    for file in &call.files {
        let is_plain =
            |part: &str| !part.is_empty() && part != "." && part != ".." && part.len() < 256;
        let path = file.path.as_str();
        if path.len() > 1024 || path.contains(char::is_control) || !path.split('/').all(is_plain) {
            return Err(Error::Invalid(format!("file {path:?}: not a plain relative path")));
        }
    }
    call.collect.iter().map(|glob| Pattern::parse(glob)).collect()
}

impl Attending {
    pub(super) async fn attend(mut self, mut answer: oneshot::Sender<Result<Answer, Error>>) {
        let began = Instant::now();
        let (message, reason) = self.until_answered(began, &mut answer).await;
        let wall = began.elapsed();
        let answered = self.answered(message, reason, wall).await;
        drop(self.desk);
        // Whoever wanted it may be gone.
        drop(answer.send(answered));
    }

    /// Waits for the answer of the guest, and sees to it that there will be one; nothing when the
    /// session ended instead.
    async fn until_answered(
        &mut self,
        began: Instant,
        answer: &mut oneshot::Sender<Result<Answer, Error>>,
    ) -> (Option<Message>, Option<Reason>) {
        let (mut reason, mut grace, mut is_wanted) = (None, None, true);
        let mut interrupted = self.shared.interrupted.subscribe();
        let number = self.number;
        loop {
            let deadline = self.wall.filter(|_| reason.is_none()).map(|wall| began + wall);
            let shared = &self.shared;
            let event = tokio::select! {
                said = self.desk.talk.exchange() => Event::Answered(said),
                _ = interrupted.wait_for(|call| *call == number), if reason.is_none() => Event::Interrupted,
                () = answer.closed(), if is_wanted => Event::Abandoned,
                () = until(deadline) => Event::TimeIsUp,
                () = until(grace) => Event::GraceIsOver,
                () = shared.asks.closed() => Event::SessionEnded,
            };
            match event {
                Event::Answered(Ok(message)) if message.call == self.number => {
                    return (Some(message), reason);
                }
                Event::Answered(said) => {
                    let said = said.map(|message| message.call);
                    tracing::info!(?said, call = self.number, "a session does not answer its call");
                    self.await_end().await;
                    return (None, reason);
                }
                Event::GraceIsOver => {
                    let late = reason == Some(Reason::TimeIsUp);
                    let intent = if late { Intent::Deadline } else { Intent::Cancelled };
                    shared.end(intent).await;
                    grace = None;
                }
                Event::SessionEnded => return (None, reason),
                Event::Interrupted | Event::Abandoned | Event::TimeIsUp => {
                    is_wanted &= !matches!(event, Event::Abandoned);
                    let new = if matches!(event, Event::TimeIsUp) {
                        Reason::TimeIsUp
                    } else {
                        Reason::Asked
                    };
                    reason = reason.or(Some(new));
                    grace = grace.or_else(|| Some(Instant::now() + GRACE));
                    self.desk.talk.interrupt();
                }
            }
        }
    }

    /// A guest that is gone, or no longer ours: its session is about to end, or is ended.
    async fn await_end(&self) {
        let closed = tokio::time::timeout(GRACE, self.shared.asks.closed()).await;
        if closed.is_err() {
            self.shared.end(Intent::Cancelled).await;
        }
    }

    async fn answered(
        &mut self,
        message: Option<Message>,
        reason: Option<Reason>,
        wall: Duration,
    ) -> Result<Answer, Error> {
        let told = message.map(|message| Told::parse(&message.body, &self.shared.redactor));
        if let Some(None) = told {
            tracing::info!(call = self.number, "a session answers nonsense");
            self.shared.end(Intent::Cancelled).await;
        }
        let Some(mut told) = told.flatten() else { return self.ended(wall).await };
        let (cut, is_cut) = oneshot::channel();
        drop(self.shared.asks.send(Ask::Cut(cut)).await);
        let Ok(Cut { stdout, stderr, counters }) = is_cut.await else {
            return self.ended(wall).await;
        };
        let figures = std::mem::take(&mut told.figures);
        let (artifacts, artifact_errors) = self.collect(figures).await;
        let status = match (&*told.status, reason) {
            (_, Some(Reason::TimeIsUp)) => AnswerStatus::WallTime,
            ("ok", _) => AnswerStatus::Ok,
            ("interrupted", Some(_)) => AnswerStatus::Interrupted,
            _ => AnswerStatus::Error,
        };
        Ok(Answer {
            call: self.number,
            status,
            stdout,
            stderr,
            value: told.value,
            error: told.error,
            artifacts,
            artifact_errors,
            wall,
            cpu: counters.cpu.saturating_sub(self.before.cpu),
            memory_peak_bytes: counters.memory_peak_bytes,
        })
    }

    /// The answer to a call that took its session with it.
    async fn ended(&self, wall: Duration) -> Result<Answer, Error> {
        let outcome = self.shared.outcome().await?;
        let is_first = !self.shared.is_told.swap(true, Ordering::Relaxed);
        // What later calls are told has been told.
        let rest = |output: &Output| if is_first { output.clone() } else { Output::default() };
        Ok(Answer {
            call: self.number,
            stdout: rest(&outcome.stdout),
            stderr: rest(&outcome.stderr),
            value: None,
            error: None,
            artifacts: Vec::new(),
            artifact_errors: Vec::new(),
            wall,
            cpu: outcome.usage.cpu.saturating_sub(self.before.cpu),
            memory_peak_bytes: outcome.usage.memory_peak_bytes,
            status: AnswerStatus::Ended(Box::new(outcome)),
        })
    }

    /// While the payload lives: what is collected may be anything by the time it is read, as ever.
    async fn collect(&mut self, figures: Vec<Pattern>) -> (Vec<crate::Artifact>, Vec<String>) {
        let (shared, wanted) = (Arc::clone(&self.shared), std::mem::take(&mut self.wanted));
        if wanted.is_empty() && figures.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let placed = self.desk.placed.clone();
        let collected = tokio::task::spawn_blocking(move || {
            use std::os::fd::AsFd as _;
            let placed: HashSet<&str> = placed.iter().map(String::as_str).collect();
            let Shared { work, limits, redactor, .. } = &*shared;
            rich::collect(work.as_fd(), wanted, figures, &placed, limits, redactor)
        });
        collected.await.unwrap_or_else(|error| (Vec::new(), vec![error.to_string()]))
    }
}

async fn until(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when.into()).await,
        None => std::future::pending().await,
    }
}
