//! A payload while it runs: one event loop, one way out.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use belljar_protocol::{Ending, Order, Report, Spent, Tally};
use nix::time::{ClockId, clock_gettime};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout};

use crate::barrier::Seen;
use crate::cgroup::Counters;
use crate::judge::Intent;
use crate::line::Line;
use crate::output::{CaptureEvent, Live};
use crate::plan::{Errand, Plan};
use crate::raise::Raised;
use crate::receipt::Kept;
use crate::{Denied, Error, OnOutputLimit, Start, denial};

mod ask;
mod network;
mod outcome;

use ask::asked;
pub(crate) use ask::{Ask, Begun, Cut};
use network::{Online, next_refused};

/// How long init has to empty the jar by itself, so that the processor time of all is counted.
const POLITE: Duration = Duration::from_millis(100);
/// How long the kernel has to, once everything in the jar is killed.
const IMPOLITE: Duration = Duration::from_secs(2);
/// The longest time between two looks at the counters.
const SLOWEST_TICK: Duration = Duration::from_millis(50);
/// And the shortest: no look is free.
const FASTEST_TICK: Duration = Duration::from_millis(5);
/// One part in so many of the time may be spent looking.
const LOOKING_PART: u32 = 10;
/// And of the time that a look takes, one counts if nothing was done in it.
const WAITING_PART: u32 = 4;

/// Why a wait ended.
enum Event {
    /// The payload says that it is done, with this exit code; or it will not say so.
    Done(Option<u8>),
    Heard(Report),
    Broken(Error),
    JarIsDead,
    DeadlinePassed,
    Cancelled,
    OutputFull,
    OutputClosed,
    Tick,
    Asked(Ask),
    NobodyAsks,
    /// By the gate.
    Refused(Denied),
    NothingIsRefused,
}

/// What can be followed while a payload runs.
pub(crate) struct Following {
    pub(crate) stdout: Live,
    pub(crate) stderr: Live,
    pub(crate) denials: mpsc::Receiver<Denied>,
    /// Of a session: who can be asked about it, and its /work.
    pub(crate) asks: Option<(mpsc::Sender<Ask>, OwnedFd)>,
}

/// What is gathered while a payload runs.
pub(crate) struct Watch {
    pub(crate) raised: Raised,
    /// On which a payload that was primed says that it is done.
    line: Option<Line>,
    done: Option<u8>,
    start: Start,
    pub(crate) kept: Option<Kept>,
    denials: Vec<Denied>,
    /// Hears of each as it is recorded; never more than are.
    told: Option<mpsc::Sender<Denied>>,
    asks: Option<mpsc::Receiver<Ask>>,
    /// What of a network it has.
    online: Option<Box<Online>>,
    fatal_denial: bool,
    tally: Tally,
    ended: Option<(Ending, Spent)>,
    counters: Counters,
    look_cost: Duration,
    pub(crate) started: Instant,
}

impl Watch {
    pub(crate) fn begin(plan: &Plan, mut raised: Raised, line: Option<Line>, start: Start) -> Self {
        raised.stdout.begin(plan.limits.stdout_bytes, plan.redactor.fresh());
        raised.stderr.begin(plan.limits.stderr_bytes, plan.redactor.fresh());
        Self {
            raised,
            line,
            done: None,
            start,
            kept: None,
            denials: Vec::new(),
            told: None,
            asks: None,
            online: None,
            fatal_denial: false,
            tally: Tally::default(),
            ended: None,
            counters: Counters::default(),
            look_cost: Duration::ZERO,
            started: Instant::now(),
        }
    }

    /// For whoever wants to know what happens as it happens.
    pub(crate) fn following(&mut self, plan: &Plan, seen: &Seen) -> Following {
        let (told, denials) = mpsc::channel(2 * Tally::MAX + 1);
        self.told = Some(told);
        let (stdout, stderr) = (self.raised.stdout.live(), self.raised.stderr.live());
        let mut asks = None;
        if plan.is_session
            && let Ok(work) = seen.work.as_fd().try_clone_to_owned()
        {
            let (ask, asked) = mpsc::channel(1);
            self.asks = Some(asked);
            asks = Some((ask, work));
        }
        Following { stdout, stderr, denials, asks }
    }

    /// Tells what waits in the jar what to do.
    pub(crate) async fn hand_over(&mut self, errand: Errand) -> Result<(), Error> {
        let Errand { task, contents, stdin, .. } = errand;
        let deadline_ms = task.deadline_ms;
        let order = Order::Run(Box::new(task));
        let fds: Vec<_> = contents.iter().chain(&stdin).map(AsFd::as_fd).collect();
        if let Some(line) = &self.line {
            line.send(&order, &fds).await?;
        }
        if let Some(place) = self.raised.place() {
            place.began(deadline_ms);
        }
        if self.start == Start::Jar {
            // A program that is executed does not have it, and ends by itself.
            self.line = None;
        }
        Ok(())
    }

    /// What was reported before the payload said that it is done.
    pub(crate) fn hear_what_waits(&mut self) {
        if self.done.is_some() {
            while let Ok(Some(report)) = self.raised.channel.take_waiting() {
                self.hear(report);
            }
        }
    }

    /// Whether everything is known that the outcome tells while the jar may still be dying: not
    /// how often something was refused, and not what files it leaves.
    pub(crate) fn can_be_answered(&self, plan: &Plan, intent: Option<&Intent>) -> bool {
        intent.is_none()
            && self.denials.is_empty()
            && self.raised.failure.is_none()
            && plan.collect.is_empty()
            && !plan.rich
            && (self.done.is_some() || self.ended.is_some())
    }

    /// Waits until the payload has ended, or there is a reason to end it. Nothing is answered then.
    pub(crate) async fn until_over(
        &mut self,
        plan: &Plan,
        cancelled: &mut oneshot::Receiver<()>,
    ) -> Option<Intent> {
        let intent = self.until_reason(plan, cancelled).await;
        self.asks = None;
        intent
    }

    async fn until_reason(
        &mut self,
        plan: &Plan,
        cancelled: &mut oneshot::Receiver<()>,
    ) -> Option<Intent> {
        let deadline = self.started + plan.limits.wall;
        let kill_when_full = plan.limits.on_output_limit == OnOutputLimit::Kill;
        let mut tick = self.started + self.pause(plan);
        loop {
            match self.next_event(deadline, tick, cancelled).await {
                Event::Heard(report) => {
                    if self.hear(report) {
                        return self.over();
                    }
                }
                Event::JarIsDead => return self.over(),
                Event::Done(None) => self.line = None,
                Event::NobodyAsks => self.asks = None,
                Event::Refused(denied) => self.refused(denied),
                Event::NothingIsRefused => self.nothing_is_refused(),
                Event::Asked(ask) => {
                    if let Some(intent) = self.answer(ask, plan) {
                        return Some(intent);
                    }
                }
                Event::Done(code) => {
                    self.done = code;
                    return None;
                }
                Event::Broken(error) => {
                    self.raised.failure = Some(error);
                    return None;
                }
                Event::DeadlinePassed => return Some(Intent::Deadline),
                Event::Cancelled => return Some(Intent::Cancelled),
                Event::OutputFull if kill_when_full => return Some(Intent::OutputFull),
                Event::OutputFull | Event::OutputClosed => {}
                Event::Tick => {
                    if let Some(intent) = self.look(plan) {
                        return Some(intent);
                    }
                    tick = Instant::now() + self.pause(plan);
                }
            }
        }
    }

    /// It has ended; what it said before may be heard after that.
    fn over(&mut self) -> Option<Intent> {
        self.done = self.line.as_mut().and_then(Line::done_already);
        None
    }

    async fn next_event(
        &mut self,
        deadline: Instant,
        tick: Instant,
        cancelled: &mut oneshot::Receiver<()>,
    ) -> Event {
        let captured = |event| match event {
            CaptureEvent::LimitReached => Event::OutputFull,
            CaptureEvent::Closed => Event::OutputClosed,
        };
        tokio::select! {
            done = done(self.line.as_mut()) => Event::Done(done),
            heard = self.raised.channel.receive() => match heard {
                Ok(Some(heard)) => Event::Heard(heard.report),
                Ok(None) => Event::JarIsDead,
                Err(error) => Event::Broken(error),
            },
            () = sleep_until(deadline.into()) => Event::DeadlinePassed,
            // Asked for, or nobody is left who could want the outcome.
            _ = cancelled => Event::Cancelled,
            event = self.raised.stdout.next() => captured(event),
            event = self.raised.stderr.next() => captured(event),
            () = sleep_until(tick.into()) => Event::Tick,
            ask = asked(self.asks.as_mut()) => ask.map_or(Event::NobodyAsks, Event::Asked),
            refused = next_refused(self.online.as_deref_mut()) => {
                refused.map_or(Event::NothingIsRefused, Event::Refused)
            }
        }
    }

    /// Takes in a report; whether it was the last one of the payload.
    fn hear(&mut self, report: Report) -> bool {
        match report {
            Report::Denied(denial) => {
                self.fatal_denial |= denial.errno == 0;
                // One more than is recorded otherwise: the one that ended the run.
                if self.denials.len() <= Tally::MAX {
                    let denied = denial::explain(&denial);
                    if let Some(told) = &self.told {
                        // Nobody may be interested.
                        drop(told.try_send(denied.clone()));
                    }
                    self.denials.push(denied);
                }
            }
            Report::Tally(tally) => self.tally = tally,
            Report::Ended(ending, spent) => self.ended = Some((ending, spent)),
            Report::Refused(refusal) => {
                tracing::warn!(%refusal, "the payload could not be executed");
                self.raised.failure = Some(Error::refused(&refusal));
            }
            _ => {}
        }
        self.ended.is_some()
    }

    /// Reads the counters; whether one of them is a reason to end the run.
    fn look(&mut self, plan: &Plan) -> Option<Intent> {
        let (began, worked) = (Instant::now(), thread_time());
        self.counters = self.raised.counters();
        // What the host did meanwhile is no cost of ours; but a payload may make us wait for it.
        self.look_cost = thread_time().saturating_sub(worked).max(began.elapsed() / WAITING_PART);
        if self.counters.oom_kills > 0
            || (self.raised.group.is_none()
                && self.counters.memory_bytes > plan.limits.memory_bytes)
        {
            return Some(Intent::MemorySpent);
        }
        (self.counters.cpu >= plan.limits.cpu).then_some(Intent::CpuSpent)
    }

    /// Until the next look: no longer than all processors need to use up what is left, and much
    /// longer than a look takes, which a payload with many processes can make expensive.
    fn pause(&self, plan: &Plan) -> Duration {
        let left = plan.limits.cpu.saturating_sub(self.counters.cpu);
        let slowest =
            if self.raised.group.is_some() { SLOWEST_TICK } else { FASTEST_TICK.saturating_mul(2) };
        (left / processors()).clamp(FASTEST_TICK, slowest).max(self.look_cost * LOOKING_PART)
    }

    /// Kills everything in the jar, and returns when the kernel has: politely first, as a killed
    /// init takes with it what its processes used (getrusage(2)).
    pub(crate) async fn empty_the_jar(&mut self, by_force: bool) {
        if by_force {
            self.look_for_peaks();
            if self.raised.channel.send(&Order::End, &[]).await.is_ok() {
                drop(timeout(POLITE, self.hear_out()).await);
            }
        }
        // The warden, who counted the denials, may get its turn late.
        if self.ended.is_none() || timeout(IMPOLITE, self.hear_out()).await.is_err() {
            self.raised.hang_up();
            self.raised.kill_group();
            drop(timeout(IMPOLITE, self.hear_out()).await);
        }
        self.raised.bury(IMPOLITE).await;
    }

    /// What runs without a cgroup is counted by looking: not after it is dead.
    fn look_for_peaks(&mut self) {
        if self.raised.group.is_none() {
            self.counters = self.raised.counters();
        }
    }

    /// Hears reports until the last process of the worker is gone.
    async fn hear_out(&mut self) {
        while let Ok(Some(heard)) = self.raised.channel.receive().await {
            self.hear(heard.report);
        }
    }
}

async fn done(line: Option<&mut Line>) -> Option<u8> {
    match line {
        Some(line) => line.done().await,
        None => std::future::pending().await,
    }
}

/// Processor time of this thread.
fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// Asked for once: the answer is read from cgroup files each time.
fn processors() -> u32 {
    static PROCESSORS: LazyLock<u32> = LazyLock::new(|| {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        u32::try_from(processors).unwrap_or(1)
    });
    *PROCESSORS
}
