//! What is told of a payload when it is over.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use belljar_protocol::{Confinement, Ending};

use super::Watch;
use crate::barrier::Seen;
use crate::judge::{self, Evidence, Intent};
use crate::plan::Plan;
use crate::receipt::{Receipt, Standing};
use crate::rich::{self, Told};
use crate::{Artifact, Error, NetworkUse, OnOutputLimit, Outcome, Timings, Usage};

impl Watch {
    pub(crate) fn outcome(
        &mut self,
        plan: &Plan,
        mut intent: Option<Intent>,
        wall: Duration,
        jar_time: Duration,
        confinement: &Confinement,
        seen: &Seen,
    ) -> Result<Outcome, Error> {
        let collecting = Instant::now();
        self.told = None;
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
        let (told, artifacts, artifact_errors) = collect(plan, seen);
        let (host, authority) = (plan.host, self.raised.lent.authority);
        let (connected, kept) = (self.connected(), self.kept);
        let (network, unrecorded_denials) = self.settle_denials();
        let standing = Standing { host, authority, sampling, unrecorded_denials, kept, connected };
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
            value: told.value,
            error: told.error,
            denials: std::mem::take(&mut self.denials),
            network,
            mode: plan.mode,
            limits: plan.limits.clone(),
            receipt: Receipt::new(plan.floor, confinement, &standing),
        };
        tracing::info!(status = verdict.status(), ?evidence, wall_us = wall.as_micros(), "ended");
        Ok(outcome)
    }
}

impl Watch {
    /// Puts together who refused what and how often: what there was of a network, and how many
    /// denials are not listed.
    fn settle_denials(&mut self) -> (Option<NetworkUse>, u64) {
        for (denial, count) in self.denials.iter_mut().zip(&self.tally.counts) {
            denial.count = *count;
        }
        let (network, refused, unrecorded) = self.told_of_network();
        self.denials.extend(refused);
        (network, self.tally.unrecorded.saturating_add(unrecorded))
    }
}

fn collect(plan: &Plan, seen: &Seen) -> (Told, Vec<Artifact>, Vec<String>) {
    let placed: HashSet<&str> = plan.placed.iter().map(String::as_str).collect();
    let work = seen.work.as_fd();
    let told = plan.rich.then(|| Told::read(work, &plan.redactor)).flatten();
    let mut told = told.unwrap_or_default();
    let figures = std::mem::take(&mut told.figures);
    let wanted = plan.collect.iter().cloned();
    let (artifacts, errors) =
        rich::collect(work, wanted, figures, &placed, &plan.limits, &plan.redactor);
    (told, artifacts, errors)
}
