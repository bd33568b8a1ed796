//! One run, from a decided job to an outcome: one event loop, one way out.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use belljar_protocol::{Confinement, Ending, Order, Report, Spent, Tally};
use tokio::sync::oneshot;
use tokio::time::{sleep_until, timeout};

use crate::artifacts;
use crate::barrier::Seen;
use crate::cgroup::Counters;
use crate::judge::{self, Evidence, Intent};
use crate::output::{Capture, CaptureEvent, Live};
use crate::plan::Plan;
use crate::raise::{self, Raised};
use crate::receipt::{Receipt, Standing};
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

/// Why a wait ended.
enum Event {
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
    stdout: Capture,
    stderr: Capture,
    denials: Vec<Denied>,
    fatal_denial: bool,
    tally: Tally,
    ended: Option<(Ending, Spent)>,
    counters: Counters,
    look_cost: Duration,
    started: Instant,
}

#[tracing::instrument(name = "run", skip_all, fields(id = %plan.id, runtime = %plan.runtime))]
pub(crate) async fn live(
    plan: Plan,
    mut cancelled: oneshot::Receiver<()>,
    confined: oneshot::Sender<(Live, Live)>,
) -> Result<Outcome, Error> {
    let mut raised = raise::spawn(&plan).await?;
    let (confinement, seen) = tokio::select! {
        confined = raise::confine(&plan, &mut raised) => match confined {
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
    let mut watch = Watch::begin(&plan, raised)?;
    // Nobody may be interested in live output.
    drop(confined.send((watch.stdout.live(), watch.stderr.live())));
    let jar_time = plan.accepted.elapsed();
    if let Err(error) = watch.raised.worker.channel.send(&Order::Proceed, &[]).await {
        watch.raised.tear_down().await;
        return Err(error);
    }
    watch.started = Instant::now();
    tracing::debug!(jar_us = jar_time.as_micros(), "started");

    let intent = watch.until_over(&plan, &mut cancelled).await;
    let wall = watch.started.elapsed();
    watch.empty_the_jar(intent.is_some()).await;
    let outcome = watch.finish(&plan, intent, wall, jar_time, &confinement, &seen).await;
    // Nobody waits for this one, and nothing can be done in what it holds.
    drop(tokio::task::spawn_blocking(move || drop(seen)));
    plan.discard().await;
    outcome
}

impl Watch {
    fn begin(plan: &Plan, mut raised: Raised) -> Result<Self, Error> {
        let capture = |pipe, limit| {
            Capture::new(pipe, limit, plan.redactor.fresh())
                .map_err(|error| Error::Internal("cannot capture output".to_owned(), error))
        };
        let (stdout, stderr) = raised
            .worker
            .streams
            .take()
            .ok_or_else(|| Error::Protocol("the output of a worker was taken".to_owned()))?;
        Ok(Self {
            stdout: capture(stdout, plan.limits.stdout_bytes)?,
            stderr: capture(stderr, plan.limits.stderr_bytes)?,
            raised,
            denials: Vec::new(),
            fatal_denial: false,
            tally: Tally::default(),
            ended: None,
            counters: Counters::default(),
            look_cost: Duration::ZERO,
            started: Instant::now(),
        })
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
            heard = self.raised.worker.channel.receive() => match heard {
                Ok(Some(heard)) => Event::Heard(heard.report),
                Ok(None) => Event::JarIsDead,
                Err(error) => Event::Broken(error),
            },
            () = sleep_until(deadline.into()) => Event::DeadlinePassed,
            // Asked for, or nobody is left who could want the outcome.
            _ = cancelled => Event::Cancelled,
            event = self.stdout.next() => captured(event),
            event = self.stderr.next() => captured(event),
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
            Report::Confined(_) | Report::LotFounded => {}
        }
        self.ended.is_some()
    }

    /// Reads the counters; whether one of them is a reason to end the run.
    fn look(&mut self, plan: &Plan) -> Option<Intent> {
        let looked = Instant::now();
        self.counters = self.raised.counters();
        self.look_cost = looked.elapsed();
        if self.counters.oom_kills > 0
            || (self.raised.jar.is_none() && self.counters.memory_bytes > plan.limits.memory_bytes)
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
            if self.raised.jar.is_some() { SLOWEST_TICK } else { FASTEST_TICK.saturating_mul(2) };
        (left / processors()).clamp(FASTEST_TICK, slowest).max(self.look_cost * LOOKING_PART)
    }

    /// Kills everything in the jar, and returns when the kernel has: politely first, as a killed
    /// init takes with it what its processes used (getrusage(2)).
    async fn empty_the_jar(&mut self, by_force: bool) {
        if by_force {
            self.look_for_peaks();
            if self.raised.worker.channel.send(&Order::End, &[]).await.is_ok() {
                drop(timeout(POLITE, self.hear_out()).await);
            }
        }
        if self.ended.is_none() || timeout(POLITE, self.hear_out()).await.is_err() {
            self.raised.worker.channel.hang_up();
            self.raised.kill_group();
            drop(timeout(POLITE, self.hear_out()).await);
        }
        self.raised.bury(IMPOLITE).await;
    }

    /// What runs without a cgroup is counted by looking: not after it is dead.
    fn look_for_peaks(&mut self) {
        if self.raised.jar.is_none() {
            self.counters = self.raised.counters();
        }
    }

    /// Hears reports until the last process of the worker is gone.
    async fn hear_out(&mut self) {
        while let Ok(Some(heard)) = self.raised.worker.channel.receive().await {
            self.hear(heard.report);
        }
    }

    async fn finish(
        mut self,
        plan: &Plan,
        mut intent: Option<Intent>,
        wall: Duration,
        jar_time: Duration,
        confinement: &Confinement,
        seen: &Seen,
    ) -> Result<Outcome, Error> {
        let collecting = Instant::now();
        if let Some(failure) = self.raised.failure.take() {
            self.raised.remove_group().await;
            return Err(failure);
        }
        let counters = self.raised.final_counters(self.ended.map(|(_, spent)| spent));
        let sampling = self.raised.sampling_note();
        self.raised.remove_group().await;
        let (stdout, stderr) = (self.stdout.finish(), self.stderr.finish());
        let overfull = stdout.dropped_bytes + stderr.dropped_bytes > 0;
        if overfull && plan.limits.on_output_limit == OnOutputLimit::Kill {
            intent = intent.or(Some(Intent::OutputFull));
        }
        let evidence = Evidence {
            intent,
            ending: self.ended.map(|(ending, _)| ending),
            fatal_denial: self.fatal_denial,
            oom_kills: counters.oom_kills,
            cpu: counters.cpu,
        };
        let verdict = judge::verdict(&evidence, &plan.limits);
        let (artifacts, artifact_errors) = collect(plan, seen);
        for (denial, count) in self.denials.iter_mut().zip(&self.tally.counts) {
            denial.count = *count;
        }
        let (host, authority) = (plan.host, plan.lent.authority);
        let unrecorded_denials = self.tally.unrecorded;
        let standing = Standing { host, authority, sampling, unrecorded_denials };
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
            start: Start::Cold,
            artifacts,
            artifact_errors,
            denials: self.denials,
            limits: plan.limits.clone(),
            receipt: Receipt::new(plan.floor, confinement, &standing),
        };
        tracing::info!(status = verdict.status(), ?evidence, wall_us = wall.as_micros(), "ended");
        Ok(outcome)
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
