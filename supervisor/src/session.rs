//! A payload that is asked many things: calls, one after the other, on what they have in common.
//!
//! A session is a run whose code is a guest of ours at the other end of its standard input. It is
//! one trust domain: what a call did, the next one finds, and code that writes to that descriptor
//! can forge answers, of its own session alone.

mod attend;
mod call;
mod talk;

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::judge::Intent;
use crate::live::{Way, live};
use crate::output::Live;
use crate::plan::{Checker, Errand, Plan};
use crate::redact::Redactor;
use crate::run::{Chunk, joined, next};
use crate::watch::{Ask, Begun, Following};
use crate::{Code, Error, Limits, Outcome, Source};

use attend::Attending;
pub use call::{Answer, AnswerStatus, Call, SessionOptions};
pub(crate) use talk::Talk;

/// The longest that a guest takes to be ready.
const START_UP: Duration = Duration::from_secs(30);
/// How long a call that was interrupted, or a session that was closed, has to end by itself.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// A payload that is called again and again, and keeps its state. Dropping it kills the payload and
/// everything it started.
///
/// One trust domain: whoever may call it sees what every call before left, and can change what
/// every later call will find.
///
/// ```no_run
/// # async fn example() -> Result<(), belljar::Error> {
/// let sandbox = belljar::Sandbox::builder("python").build()?;
/// let session = sandbox.open(belljar::SessionOptions::new()).await?;
/// session.call("x = 6 * 7").await?;
/// let answer = session.call("x").await?;
/// assert_eq!(answer.value.map(|value| value.text).as_deref(), Some("42"));
/// session.close().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "dropping a session kills it"]
pub struct Session {
    id: String,
    runtime: String,
    shared: Arc<Shared>,
    /// Dropped with it: nobody is left who could want the outcome.
    _cancel: oneshot::Sender<()>,
}

/// A call that runs. Dropping it interrupts the call, and the state of the session is kept.
#[derive(Debug)]
#[must_use = "dropping a call interrupts it"]
pub struct Calling {
    stdout: Option<Live>,
    stderr: Option<Live>,
    answered: oneshot::Receiver<Result<Answer, Error>>,
}

/// What a session and the call that runs have in common.
struct Shared {
    limits: Limits,
    redactor: Redactor,
    checker: Option<Checker>,
    asks: mpsc::Sender<Ask>,
    work: Arc<OwnedFd>,
    /// The call that was interrupted last, and the one that was begun last.
    interrupted: watch::Sender<u64>,
    current: AtomicU64,
    /// Whether a call told how the session ended.
    is_told: AtomicBool,
    /// Held by the call that runs.
    desk: Arc<Mutex<Desk>>,
    ending: Mutex<Ending>,
}

/// What one call leaves to the next.
struct Desk {
    talk: Talk,
    calls: u64,
    /// Paths below /work that the caller filled.
    placed: HashSet<String>,
}

enum Ending {
    Running(JoinHandle<Result<Outcome, Error>>),
    Ended(Box<Outcome>),
    Failed(String),
}

impl Session {
    pub(crate) async fn start(plan: Plan, mut errand: Errand, way: Way) -> Result<Self, Error> {
        let (id, runtime, limits) = (plan.id.clone(), plan.runtime.clone(), plan.limits.clone());
        let redactor = plan.redactor.fresh();
        let checker = plan.checker.clone();
        let placed = plan.placed.iter().cloned().collect();
        let no_talk = || Error::Protocol("a session has nobody to talk to".to_owned());
        let talk = errand.talk.take().ok_or_else(no_talk)?;
        let (cancel, cancelled) = oneshot::channel();
        let (confined, ready) = oneshot::channel();
        let running = tokio::spawn(live(plan, errand, way, cancelled, confined));
        let Ok(Following { asks: Some((asks, work)), .. }) = ready.await else {
            drop(cancel);
            return Err(joined(running.await).err().unwrap_or_else(no_talk));
        };
        let desk = Arc::new(Mutex::new(Desk { talk, calls: 0, placed }));
        let shared = Arc::new(Shared {
            limits,
            redactor,
            checker,
            asks,
            work: Arc::new(work),
            interrupted: watch::Sender::new(0),
            current: AtomicU64::new(0),
            is_told: AtomicBool::new(false),
            desk,
            ending: Mutex::new(Ending::Running(running)),
        });
        let session = Self { id, runtime, shared, _cancel: cancel };
        session.await_guest().await?;
        Ok(session)
    }

    async fn await_guest(&self) -> Result<(), Error> {
        let shared = &self.shared;
        let mut desk = shared.desk.lock().await;
        let first = tokio::select! {
            first = timeout(START_UP, desk.talk.exchange()) => first.ok().and_then(Result::ok),
            () = shared.asks.closed() => None,
        };
        if first.is_some_and(|message| message.call == 0) {
            return Ok(());
        }
        shared.end(Intent::Cancelled).await;
        let outcome = shared.outcome().await?;
        let said = String::from_utf8_lossy(&outcome.stderr.bytes).into_owned();
        let why = format!("{} {said}", outcome.verdict.message(&outcome.limits));
        Err(Error::Worker("a session did not get ready".to_owned(), std::io::Error::other(why)))
    }

    /// The session's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The runtime's name.
    pub fn runtime(&self) -> &str {
        &self.runtime
    }

    /// Makes a call, and waits for its answer. Dropping this future interrupts the call.
    ///
    /// # Errors
    /// As for [`Session::begin`], and our own failures. What the code does is an [`Answer`].
    pub async fn call(&self, call: impl Into<Call>) -> Result<Answer, Error> {
        self.begin(call).await?.answer().await
    }

    /// Begins a call, whose output can be followed while it runs.
    ///
    /// # Errors
    /// [`Error::Invalid`] when another call runs, or this one makes no sense; [`Error::Refused`]
    /// when its code breaks a rule.
    pub async fn begin(&self, call: impl Into<Call>) -> Result<Calling, Error> {
        let call = call.into();
        let wanted = attend::check(&call, &self.shared.limits)?;
        if let Some(checker) = &self.shared.checker {
            checker.check(&call)?;
        }
        let mut desk = self.desk()?;
        desk.calls += 1;
        let number = desk.calls;
        self.shared.current.store(number, Ordering::Relaxed);
        if let Err(error) = desk.talk.take_up(number, &call) {
            return Err(Error::Internal("a call cannot be written down".to_owned(), error));
        }
        desk.placed.extend(call.files.iter().map(|file| file.path.clone()));
        let (begun, has_begun) = oneshot::channel();
        let limits = &self.shared.limits;
        let stdout_bytes = call.stdout_bytes.unwrap_or(limits.stdout_bytes);
        let stderr_bytes = call.stderr_bytes.unwrap_or(limits.stderr_bytes);
        // Where nobody answers, the session has ended: the call will tell how.
        drop(self.shared.asks.send(Ask::Begin { stdout_bytes, stderr_bytes, begun }).await);
        let (live, counters) = match has_begun.await {
            Ok(Begun { stdout, stderr, counters }) => (Some((stdout, stderr)), counters),
            Err(_) => (None, crate::cgroup::Counters::default()),
        };
        let (answer, answered) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let wall = call.wall;
        drop(tokio::spawn(
            Attending { shared, desk, number, wall, wanted, before: counters }.attend(answer),
        ));
        let (stdout, stderr) = live.unzip();
        Ok(Calling { stdout, stderr, answered })
    }

    /// Whether a call runs, or one that was interrupted has not come to its end.
    pub fn is_busy(&self) -> bool {
        self.shared.desk.try_lock().is_err()
    }

    /// Interrupts the call that runs, if one does: as an exception where the language has one. A call
    /// that has not ended two seconds later takes the session with it.
    pub fn interrupt(&self) {
        // Means nothing to any other call, should this one be over.
        self.shared.interrupted.send_replace(self.shared.current.load(Ordering::Relaxed));
    }

    /// Ends the session, and waits for its outcome. A call that runs has two seconds.
    ///
    /// # Errors
    /// Our own failures.
    pub async fn close(&self) -> Result<Outcome, Error> {
        let polite = async {
            self.shared.desk.lock().await.talk.finish().await;
            self.shared.asks.closed().await;
        };
        if timeout(GRACE, polite).await.is_err() {
            self.shared.end(Intent::Cancelled).await;
        }
        self.shared.outcome().await
    }

    /// Ends the session at once, and everything that it started.
    ///
    /// # Errors
    /// Our own failures.
    pub async fn kill(&self) -> Result<Outcome, Error> {
        self.shared.end(Intent::Cancelled).await;
        self.shared.outcome().await
    }

    /// Whether the session has ended: by itself, or because somebody wanted it.
    pub fn has_ended(&self) -> bool {
        self.shared.asks.is_closed()
    }

    /// Waits until the session has ended, and tells how. It may be dropped and asked again.
    ///
    /// # Errors
    /// Our own failures.
    pub async fn ended(&self) -> Result<Outcome, Error> {
        self.shared.outcome().await
    }

    fn desk(&self) -> Result<OwnedMutexGuard<Desk>, Error> {
        let desk = Arc::clone(&self.shared.desk).try_lock_owned();
        desk.map_err(|_| Error::Invalid("another call runs in this session".to_owned()))
    }
}

impl Calling {
    /// The next output, redacted, of what is captured; nothing when the call has ended. Cancellation
    /// safe.
    pub async fn output(&mut self) -> Option<Chunk> {
        loop {
            if self.stdout.is_none() && self.stderr.is_none() {
                return None;
            }
            tokio::select! {
                bytes = next(self.stdout.as_mut()) => match bytes {
                    Some(bytes) => return Some(Chunk::Stdout(bytes)),
                    None => self.stdout = None,
                },
                bytes = next(self.stderr.as_mut()) => match bytes {
                    Some(bytes) => return Some(Chunk::Stderr(bytes)),
                    None => self.stderr = None,
                },
            }
        }
    }

    /// Waits for the answer. Dropping this future interrupts the call.
    ///
    /// # Errors
    /// Our own failures.
    pub async fn answer(mut self) -> Result<Answer, Error> {
        (self.stdout, self.stderr) = (None, None);
        let lost = |_| Err(Error::Protocol("a call was lost".to_owned()));
        (&mut self.answered).await.unwrap_or_else(lost)
    }
}

impl Shared {
    async fn end(&self, intent: Intent) {
        // Nobody hears it who has not ended already.
        drop(self.asks.send(Ask::End(intent)).await);
    }

    async fn outcome(&self) -> Result<Outcome, Error> {
        let mut ending = self.ending.lock().await;
        if let Ending::Running(task) = &mut *ending {
            *ending = match joined(task.await) {
                Ok(outcome) => Ending::Ended(Box::new(outcome)),
                Err(error) => Ending::Failed(error.to_string()),
            };
        }
        match &*ending {
            Ending::Ended(outcome) => Ok(Outcome::clone(outcome)),
            Ending::Failed(why) => Err(Error::Protocol(why.clone())),
            Ending::Running(_) => Err(Error::Protocol("a session ended without a word".to_owned())),
        }
    }
}

impl SessionOptions {
    pub(crate) fn into_source(self) -> Source {
        let Self { env, secrets, files, start, network, bound_secrets } = self;
        let mut source = Source::from(String::new());
        source.code = Code::Snippet(String::new());
        source.is_session = true;
        (source.env, source.secrets, source.files, source.start) = (env, secrets, files, start);
        (source.network, source.bound_secrets) = (network, bound_secrets);
        source
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
