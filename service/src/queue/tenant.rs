//! One tenant: what it has, what waits for it, and what it used of late.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::window::Window;
use super::{Busy, Quota};

#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) quota: Quota,
    pub(super) running: u32,
    pub(super) memory_bytes: u64,
    /// By their numbers.
    pub(super) waiting: VecDeque<Waiter>,
    /// When its next turn is due, in virtual time.
    pub(super) tag: u64,
    cpu: Window,
    runs: Window,
}

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) number: u64,
    pub(super) memory_bytes: u64,
    pub(super) overtaken: u32,
    pub(super) tell: oneshot::Sender<()>,
}

/// A tenant's tag, the number of the first that waits for it, and its name.
pub(super) type Due = (u64, u64, Arc<str>);

impl Tenant {
    pub(super) fn new(quota: Quota) -> Self {
        Self {
            quota,
            running: 0,
            memory_bytes: 0,
            waiting: VecDeque::new(),
            tag: 0,
            cpu: Window::default(),
            runs: Window::default(),
        }
    }

    /// Its place among the others, if something waits.
    pub(super) fn due(&self, name: &Arc<str>) -> Option<Due> {
        self.waiting.front().map(|first| (self.tag, first.number, Arc::clone(name)))
    }

    pub(super) fn is_busy(&self) -> bool {
        self.running > 0 || !self.waiting.is_empty()
    }

    /// Whether it has as many turns as it may.
    pub(super) fn is_full(&self) -> bool {
        self.quota.running > 0 && self.running >= self.quota.running
    }

    pub(super) fn queued(&self) -> u32 {
        u32::try_from(self.waiting.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn has(&self, number: u64) -> bool {
        self.waiting.binary_search_by_key(&number, |waiter| waiter.number).is_ok()
    }

    pub(super) fn check_windows(&self, now: Instant) -> Result<(), Busy> {
        let most = self.quota.cpu_ms_per_minute;
        let wait = self.cpu.wait(1, micros(most), now);
        if !wait.is_zero() {
            let why = format!("this tenant's processor time of a minute is used up: {most} ms");
            return Err(Busy::own(why, wait));
        }
        let most = self.quota.runs_per_minute;
        let wait = self.runs.wait(1, most.into(), now);
        if !wait.is_zero() {
            let why = format!("as many runs of this tenant came within a minute as may: {most}");
            return Err(Busy::own(why, wait));
        }
        Ok(())
    }

    pub(super) fn charge_run(&mut self, now: Instant) {
        self.runs.charge(1, self.quota.runs_per_minute.into(), now);
    }

    pub(super) fn charge_cpu(&mut self, cpu: Duration, now: Instant) {
        let cost = u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX);
        self.cpu.charge(cost, micros(self.quota.cpu_ms_per_minute), now);
    }

    /// For how long what it used counts.
    pub(super) fn owes(&self, now: Instant) -> Duration {
        self.cpu.level(now).max(self.runs.level(now))
    }
}

fn micros(millis: u64) -> u64 {
    millis.saturating_mul(1000)
}
