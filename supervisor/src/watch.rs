//! One run, from a decided job to an outcome: one event loop, one way out.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use belljar_protocol::{Confinement, Ending, Order, Report, Spent, Tally, Waiting};
use tokio::sync::oneshot;
use tokio::time::{sleep_until, timeout};

use crate::artifacts;
use crate::barrier::Seen;
use crate::cgroup::Counters;
use crate::judge::{self, Evidence, Intent};
use crate::keeper::Ready;
use crate::line::Line;
use crate::output::{CaptureEvent, Live};
use crate::plan::{Errand, Plan, Site};
use crate::raise::{self, Raised};
use crate::receipt::{Kept, Receipt, Standing};
use crate::{Denied, Error, OnOutputLimit, Outcome, Start, Timings, Usage, denial};

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

/// Where a run takes place.
pub(crate) enum Way {
    /// In a jar that is built for it.
    Cold(Box<Site>),
    /// In one that waits.
    Warm(Box<Ready>),
}

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
}

/// What is gathered while a payload runs.
struct Watch {
    raised: Raised,
    /// On which a payload that was primed says that it is done.
    line: Option<Line>,
    done: Option<u8>,
    start: Start,
    kept: Option<Kept>,
    denials: Vec<Denied>,
    fatal_denial: bool,
    tally: Tally,
    ended: Option<(Ending, Spent)>,
    counters: Counters,
    look_cost: Duration,
    started: Instant,
}

/// A run from its start to its outcome. `confined` hears when the payload begins.
#[tracing::instrument(name = "run", skip_all, fields(id = %plan.id, runtime = %plan.runtime))]
pub(crate) async fn live(
    plan: Plan,
    errand: Errand,
    way: Way,
    cancelled: oneshot::Receiver<()>,
    confined: oneshot::Sender<(Live, Live)>,
) -> Result<Outcome, Error> {
    match way {
        Way::Cold(site) => cold(plan, errand, *site, cancelled, confined).await,
        Way::Warm(ready) => warm(plan, errand, *ready, cancelled, confined).await,
    }
}

async fn cold(
    plan: Plan,
    errand: Errand,
    site: Site,
    mut cancelled: oneshot::Receiver<()>,
    confined: oneshot::Sender<(Live, Live)>,
) -> Result<Outcome, Error> {
    let (host, limits) = (plan.host, &plan.limits);
    let (mut raised, orders) = raise::spawn(host, limits, &plan.id, site, errand).await?;
    let (confinement, seen) = tokio::select! {
        confined = raise::confine(host, limits, &mut raised, orders) => match confined {
            Ok(confined) => confined,
            Err(error) => {
                raised.tear_down().await;
                return Err(error);
            }
        },
        _ = &mut cancelled => {
            raised.tear_down().await;
            return Err(Error::Invalid("the run was dropped before it had started".to_owned()));
        }
    };
    let mut watch = Watch::begin(&plan, raised, None, Start::Cold);
    // Nobody may be interested in live output.
    drop(confined.send((watch.raised.stdout.live(), watch.raised.stderr.live())));
    let jar_time = plan.accepted.elapsed();
    if let Err(error) = watch.raised.channel.send(&Order::Proceed, &[]).await {
        watch.raised.tear_down().await;
        return Err(error);
    }
    watch.started = Instant::now();
    tracing::debug!(jar_us = jar_time.as_micros(), "started");

    let intent = watch.until_over(&plan, &mut cancelled).await;
    let wall = watch.started.elapsed();
    watch.empty_the_jar(intent.is_some()).await;
    let outcome = watch.outcome(&plan, intent, wall, jar_time, &confinement, &seen);
    watch.raised.remove().await;
    // Nobody waits for this one, and nothing can be done in what it holds.
    drop(tokio::task::spawn_blocking(move || drop(seen)));
    outcome
}

async fn warm(
    plan: Plan,
    errand: Errand,
    ready: Ready,
    mut cancelled: oneshot::Receiver<()>,
    confined: oneshot::Sender<(Live, Live)>,
) -> Result<Outcome, Error> {
    let Ready { raised, confinement, seen, line, waiting, kept } = ready;
    let start = match waiting {
        Waiting::Empty => Start::Jar,
        Waiting::Primed => Start::Primed,
        Waiting::Forked => Start::Forked,
    };
    let jar_time = plan.accepted.elapsed();
    let mut watch = Leash(Some((
        Watch { kept: Some(kept), ..Watch::begin(&plan, raised, Some(line), start) },
        seen,
    )));
    // The answer does not wait for the death of the jar.
    watch.run(&plan, errand, &mut cancelled, confined, jar_time, &confinement).await
}

/// A jar whose end is seen to, in the background, when this is dropped.
struct Leash(Option<(Watch, Seen)>);

impl Drop for Leash {
    fn drop(&mut self) {
        if let Some((watch, seen)) = self.0.take() {
            watch.raised.tear_down_behind(Some(seen));
        }
    }
}

impl Leash {
    async fn run(
        &mut self,
        plan: &Plan,
        errand: Errand,
        cancelled: &mut oneshot::Receiver<()>,
        confined: oneshot::Sender<(Live, Live)>,
        jar_time: Duration,
        confinement: &Confinement,
    ) -> Result<Outcome, Error> {
        let Some((watch, seen)) = &mut self.0 else {
            return Err(Error::Protocol("a run was started twice".to_owned()));
        };
        drop(confined.send((watch.raised.stdout.live(), watch.raised.stderr.live())));
        watch.started = Instant::now();
        watch.hand_over(errand).await?;
        let intent = watch.until_over(plan, cancelled).await;
        let wall = watch.started.elapsed();
        watch.hear_what_waits();
        if !watch.can_be_answered(plan, intent.as_ref()) {
            watch.empty_the_jar(intent.is_some()).await;
        }
        watch.outcome(plan, intent, wall, jar_time, confinement, seen)
    }
}

impl Watch {
    fn begin(plan: &Plan, mut raised: Raised, line: Option<Line>, start: Start) -> Self {
        raised.stdout.begin(plan.limits.stdout_bytes, plan.redactor.fresh());
        raised.stderr.begin(plan.limits.stderr_bytes, plan.redactor.fresh());
        Self {
            raised,
            line,
            done: None,
            start,
            kept: None,
            denials: Vec::new(),
            fatal_denial: false,
            tally: Tally::default(),
            ended: None,
            counters: Counters::default(),
            look_cost: Duration::ZERO,
            started: Instant::now(),
        }
    }

    /// Tells what waits in the jar what to do.
    async fn hand_over(&mut self, errand: Errand) -> Result<(), Error> {
        let Errand { task, contents, stdin } = errand;
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
    fn hear_what_waits(&mut self) {
        if self.done.is_some() {
            while let Ok(Some(report)) = self.raised.channel.take_waiting() {
                self.hear(report);
            }
        }
    }

    /// Whether everything is known that the outcome tells while the jar may still be dying: not
    /// how often something was refused, and not what files it leaves.
    fn can_be_answered(&self, plan: &Plan, intent: Option<&Intent>) -> bool {
        intent.is_none()
            && self.denials.is_empty()
            && self.raised.failure.is_none()
            && plan.collect.is_empty()
            && (self.done.is_some() || self.ended.is_some())
    }

    /// Waits until the payload has ended, or there is a reason to end it.
    async fn until_over(
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
                        return None;
                    }
                }
                Event::JarIsDead => return None,
                Event::Done(None) => self.line = None,
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
        }
    }

    /// Takes in a report; whether it was the last one of the payload.
    fn hear(&mut self, report: Report) -> bool {
        match report {
            Report::Denied(denial) => {
                self.fatal_denial |= denial.errno == 0;
                // One more than is recorded otherwise: the one that ended the run.
                if self.denials.len() <= Tally::MAX {
                    self.denials.push(denial::explain(&denial));
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
        let looked = Instant::now();
        self.counters = self.raised.counters();
        self.look_cost = looked.elapsed();
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
    async fn empty_the_jar(&mut self, by_force: bool) {
        if by_force {
            self.look_for_peaks();
            if self.raised.channel.send(&Order::End, &[]).await.is_ok() {
                drop(timeout(POLITE, self.hear_out()).await);
            }
        }
        if self.ended.is_none() || timeout(POLITE, self.hear_out()).await.is_err() {
            self.raised.hang_up();
            self.raised.kill_group();
            drop(timeout(POLITE, self.hear_out()).await);
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

    fn outcome(
        &mut self,
        plan: &Plan,
        mut intent: Option<Intent>,
        wall: Duration,
        jar_time: Duration,
        confinement: &Confinement,
        seen: &Seen,
    ) -> Result<Outcome, Error> {
        let collecting = Instant::now();
        if let Some(failure) = self.raised.failure.take() {
            return Err(failure);
        }
        let counters = self.raised.final_counters(self.ended.map(|(_, spent)| spent));
        let sampling = self.raised.sampling_note();
        let (stdout, stderr) = (self.raised.stdout.finish(), self.raised.stderr.finish());
        let overfull = stdout.dropped_bytes + stderr.dropped_bytes > 0;
        if overfull && plan.limits.on_output_limit == OnOutputLimit::Kill {
            intent = intent.or(Some(Intent::OutputFull));
        }
        // What the payload says of its exit is as good as exiting: both are its own choice.
        let said = self.done.map(|code| Ending::Exited(code.into()));
        let evidence = Evidence {
            intent,
            ending: said.or(self.ended.map(|(ending, _)| ending)),
            fatal_denial: self.fatal_denial,
            oom_kills: counters.oom_kills,
            cpu: counters.cpu,
        };
        let verdict = judge::verdict(&evidence, &plan.limits);
        let (artifacts, artifact_errors) = collect(plan, seen);
        for (denial, count) in self.denials.iter_mut().zip(&self.tally.counts) {
            denial.count = *count;
        }
        let (host, authority) = (plan.host, self.raised.lent.authority);
        let unrecorded_denials = self.tally.unrecorded;
        let kept = self.kept;
        let standing = Standing { host, authority, sampling, unrecorded_denials, kept };
        let outcome = Outcome {
            id: plan.id.clone(),
            runtime: plan.runtime.clone(),
            verdict,
            stdout,
            stderr,
            usage: Usage {
                wall,
                cpu: counters.cpu,
                memory_peak_bytes: counters.memory_peak_bytes,
                processes_peak: counters.processes_peak,
            },
            timings: Timings {
                queued: Duration::ZERO,
                jar: jar_time,
                start: self.started.duration_since(plan.accepted).saturating_sub(jar_time),
                run: wall,
                collect: collecting.elapsed(),
            },
            start: self.start,
            artifacts,
            artifact_errors,
            denials: std::mem::take(&mut self.denials),
            limits: plan.limits.clone(),
            receipt: Receipt::new(plan.floor, confinement, &standing),
        };
        tracing::info!(status = verdict.status(), ?evidence, wall_us = wall.as_micros(), "ended");
        Ok(outcome)
    }
}

async fn done(line: Option<&mut Line>) -> Option<u8> {
    match line {
        Some(line) => line.done().await,
        None => std::future::pending().await,
    }
}

/// Asked for once: the answer is read from cgroup files each time.
fn processors() -> u32 {
    static PROCESSORS: LazyLock<u32> = LazyLock::new(|| {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        u32::try_from(processors).unwrap_or(1)
    });
    *PROCESSORS
}

fn collect(plan: &Plan, seen: &Seen) -> (Vec<crate::Artifact>, Vec<String>) {
    let placed: HashSet<&str> = plan.placed.iter().map(String::as_str).collect();
    let limits = &plan.limits;
    let work = seen.work.as_fd();
    let (artifacts, errors) =
        artifacts::collect(work, &plan.collect, &placed, limits.artifacts, limits.artifact_bytes);
    (artifacts, errors.iter().map(|error| plan.redactor.text(error)).collect())
}
