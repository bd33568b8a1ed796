//! The queue under its lock.
//!
//! Start-time fair queueing: every tenant has a tag, the virtual time at which its next turn is
//! due; a turn moves it on by one step over its weight, and the lowest tag goes next. Who comes
//! back after a while begins at the present, and has saved nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::tenant::{Due, Tenant, Waiter};
use super::{Busy, Caps, Quota, Shape, Share};

/// One turn in virtual time.
const STEP: u64 = 1 << 20;
/// How many go ahead of one whose memory is not free at present, though it is due. Then nobody
/// does until it is: it would never be, with small ones that come and go.
const MOST_OVERTAKEN: u32 = 8;
/// Tenants that do nothing and are known only for what they have used in the last minute. Names
/// cost nothing to whoever makes them up.
const MOST_IDLE: usize = 4096;
/// How long a turn takes before one is over.
const USUAL_TURN: Duration = Duration::from_secs(1);
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_mins(1);
const LONGEST_TURN: Duration = Duration::from_hours(1);

#[derive(Debug)]
pub(super) struct State {
    caps: Caps,
    quota: Quota,
    named: BTreeMap<String, Quota>,
    tenants: HashMap<Arc<str>, Tenant>,
    /// The tenants that wait, by tag.
    order: BTreeSet<Due>,
    /// The tag of the last turn.
    now: u64,
    next_number: u64,
    running: u32,
    queued: u32,
    memory_bytes: u64,
    /// Recent ones count for more.
    turn_length: Duration,
    /// With how many tenants the idle ones are looked for again.
    sweep_at: usize,
}

pub(super) enum Entered {
    Running(Arc<str>),
    Waiting { tenant: Arc<str>, number: u64, told: oneshot::Receiver<()> },
}

impl State {
    pub(super) fn new(caps: Caps, quota: Quota) -> Self {
        Self {
            caps,
            quota,
            named: BTreeMap::new(),
            tenants: HashMap::new(),
            order: BTreeSet::new(),
            now: 0,
            next_number: 0,
            running: 0,
            queued: 0,
            memory_bytes: 0,
            turn_length: USUAL_TURN,
            sweep_at: MOST_IDLE,
        }
    }

    pub(super) fn reconfigure(&mut self, caps: Caps, quota: Quota, named: BTreeMap<String, Quota>) {
        (self.caps, self.quota, self.named) = (caps, quota, named);
        self.order.clear();
        for (name, tenant) in &mut self.tenants {
            if tenant.is_full() {
                tenant.tag = tenant.tag.max(self.now);
            }
            tenant.quota = self.named.get(&**name).copied().unwrap_or(self.quota);
            self.order.extend(tenant.due(name));
        }
        self.dispatch();
    }

    pub(super) fn enter(
        &mut self,
        name: &str,
        memory_bytes: u64,
        now: Instant,
    ) -> Result<Entered, Busy> {
        self.check_memory(memory_bytes)?;
        let name = self.know(name, now);
        let quota = self.named.get(&*name).copied().unwrap_or(self.quota);
        let tenant = self.tenants.entry(Arc::clone(&name));
        let tenant = tenant.or_insert_with(|| Tenant::new(quota));
        tenant.check_windows(now)?;
        if tenant.waiting.is_empty() {
            tenant.tag = tenant.tag.max(self.now);
        }
        let is_free = tenant.waiting.is_empty() && !tenant.is_full();
        let entered = if is_free && self.order.is_empty() && self.has_room(memory_bytes) {
            self.begin(&name, memory_bytes);
            Entered::Running(Arc::clone(&name))
        } else {
            self.line_up(&name, memory_bytes)?
        };
        if let Some(tenant) = self.tenants.get_mut(&name) {
            tenant.charge_run(now);
        }
        Ok(entered)
    }

    /// Whether it still waited.
    pub(super) fn leave(&mut self, name: &Arc<str>, number: u64) -> bool {
        let Some(tenant) = self.tenants.get_mut(name) else { return false };
        let Ok(at) = tenant.waiting.binary_search_by_key(&number, |waiter| waiter.number) else {
            return false;
        };
        if let Some(due) = tenant.due(name) {
            self.order.remove(&due);
        }
        tenant.waiting.remove(at);
        self.order.extend(tenant.due(name));
        self.queued -= 1;
        // All others may have waited for the one that leaves.
        self.dispatch();
        true
    }

    /// Takes back a turn; of `length`, if it was one at all.
    pub(super) fn release(&mut self, name: &Arc<str>, memory_bytes: u64, length: Option<Duration>) {
        if let Some(length) = length {
            self.turn_length = (self.turn_length * 7 + length.min(LONGEST_TURN)) / 8;
        }
        self.running -= 1;
        self.memory_bytes = self.memory_bytes.saturating_sub(memory_bytes);
        if let Some(tenant) = self.tenants.get_mut(name) {
            if let Some(due) = tenant.due(name) {
                self.order.remove(&due);
                // Who waited for itself has not saved up turns.
                if tenant.is_full() {
                    tenant.tag = tenant.tag.max(self.now);
                }
            }
            tenant.running -= 1;
            tenant.memory_bytes = tenant.memory_bytes.saturating_sub(memory_bytes);
            self.order.extend(tenant.due(name));
        }
        self.dispatch();
    }

    pub(super) fn charge(&mut self, name: &Arc<str>, cpu: Duration, now: Instant) {
        if let Some(tenant) = self.tenants.get_mut(name) {
            tenant.charge_cpu(cpu, now);
        }
    }

    pub(super) fn shape(&self) -> Shape {
        let busy = self.tenants.iter().filter(|(_, tenant)| tenant.is_busy());
        let share = |tenant: &Tenant| Share {
            running: tenant.running,
            queued: tenant.queued(),
            memory_bytes: tenant.memory_bytes,
        };
        Shape {
            running: self.running,
            queued: self.queued,
            memory_bytes: self.memory_bytes,
            tenants: busy.map(|(name, tenant)| ((**name).to_owned(), share(tenant))).collect(),
        }
    }

    /// How many tenants are known.
    #[cfg(test)]
    pub(super) fn known(&self) -> usize {
        self.tenants.len()
    }

    /// Lets those begin who may.
    fn dispatch(&mut self) {
        while let Some(name) = self.next() {
            let Some(tenant) = self.tenants.get_mut(&name) else { break };
            if let Some(due) = tenant.due(&name) {
                self.order.remove(&due);
            }
            let Some(waiter) = tenant.waiting.pop_front() else { break };
            self.queued -= 1;
            self.begin(&name, waiter.memory_bytes);
            self.order.extend(self.tenants.get(&name).and_then(|tenant| tenant.due(&name)));
            // A place that nobody holds any more is not in the queue.
            let _was_heard = waiter.tell.send(());
        }
    }

    /// Who has the next turn, if there is one.
    fn next(&mut self) -> Option<Arc<str>> {
        if self.running >= self.caps.running.max(1) {
            return None;
        }
        let mut overtaken = Vec::new();
        let mut chosen = None;
        for (_, _, name) in &self.order {
            let tenant = self.tenants.get(name).filter(|tenant| !tenant.is_full());
            let Some(first) = tenant.and_then(|tenant| tenant.waiting.front()) else { continue };
            if self.has_room(first.memory_bytes) {
                chosen = Some(Arc::clone(name));
                break;
            }
            if first.overtaken >= MOST_OVERTAKEN {
                break;
            }
            overtaken.push(Arc::clone(name));
        }
        if chosen.is_some() {
            for name in overtaken {
                let tenant = self.tenants.get_mut(&name);
                if let Some(first) = tenant.and_then(|tenant| tenant.waiting.front_mut()) {
                    first.overtaken += 1;
                }
            }
        }
        chosen
    }

    fn line_up(&mut self, name: &Arc<str>, memory_bytes: u64) -> Result<Entered, Busy> {
        let (tell, told) = oneshot::channel();
        let number = self.next_number;
        self.next_number += 1;
        if let Some(tenant) = self.tenants.get_mut(name) {
            tenant.waiting.push_back(Waiter { number, memory_bytes, overtaken: 0, tell });
            if tenant.waiting.len() == 1 {
                self.order.extend(tenant.due(name));
            }
            self.queued += 1;
        }
        // The others may wait for what this one does not need.
        self.dispatch();
        if let Err(busy) = self.check_places(name, number) {
            self.leave(name, number);
            return Err(busy);
        }
        Ok(Entered::Waiting { tenant: Arc::clone(name), number, told })
    }

    fn begin(&mut self, name: &Arc<str>, memory_bytes: u64) {
        if let Some(tenant) = self.tenants.get_mut(name) {
            self.now = self.now.max(tenant.tag);
            tenant.tag += (STEP / u64::from(tenant.quota.weight.max(1))).max(1);
            tenant.running += 1;
            tenant.memory_bytes = tenant.memory_bytes.saturating_add(memory_bytes);
        }
        self.running += 1;
        self.memory_bytes = self.memory_bytes.saturating_add(memory_bytes);
    }

    fn has_room(&self, memory_bytes: u64) -> bool {
        let most = self.caps.memory_bytes;
        // Who asked for more than there is meanwhile goes alone rather than never.
        let has_memory = most == 0
            || self.running == 0
            || self.memory_bytes.saturating_add(memory_bytes) <= most;
        has_memory && self.running < self.caps.running.max(1)
    }

    fn check_memory(&self, memory_bytes: u64) -> Result<(), Busy> {
        let most = self.caps.memory_bytes;
        if most > 0 && memory_bytes > most {
            let why = format!("a run of {memory_bytes} bytes never fits into the {most} of all");
            return Err(Busy::never(why));
        }
        Ok(())
    }

    /// Whether one that waits may go on doing so.
    fn check_places(&self, name: &Arc<str>, number: u64) -> Result<(), Busy> {
        let tenant = self.tenants.get(name).filter(|tenant| tenant.has(number));
        let Some(tenant) = tenant else { return Ok(()) };
        let each = self.turn_length / self.running.max(1);
        if self.queued > self.caps.queued {
            let why = format!("as many runs wait as may: {}", self.caps.queued);
            return Err(Busy::later(why, each.clamp(SHORTEST_WAIT, LONGEST_WAIT)));
        }
        let most = tenant.quota.queued;
        if most > 0 && tenant.queued() > most {
            let why = format!("as many runs of this tenant wait as may: {most}");
            let others = u32::try_from(self.order.len()).unwrap_or(u32::MAX);
            let wait = each.saturating_mul(others).clamp(SHORTEST_WAIT, LONGEST_WAIT);
            return Err(Busy::own(why, wait));
        }
        Ok(())
    }

    /// Its name as it is known; with room for one more if it is not.
    fn know(&mut self, name: &str, now: Instant) -> Arc<str> {
        if let Some((known, _)) = self.tenants.get_key_value(name) {
            return Arc::clone(known);
        }
        if self.tenants.len() >= self.sweep_at {
            self.sweep(now);
        }
        Arc::from(name)
    }

    /// Forgets who does nothing and owes nothing; of the others that do nothing, those who owe
    /// least, as far as they are too many.
    fn sweep(&mut self, now: Instant) {
        self.tenants.retain(|_, tenant| tenant.is_busy() || !tenant.owes(now).is_zero());
        let is_idle = |(name, tenant): &(&Arc<str>, &Tenant)| {
            !tenant.is_busy() && !self.named.contains_key(&***name)
        };
        let idle = self.tenants.iter().filter(is_idle);
        let mut idle: Vec<_> =
            idle.map(|(name, tenant)| (tenant.owes(now), Arc::clone(name))).collect();
        idle.sort_unstable();
        let too_many = idle.len().saturating_sub(MOST_IDLE / 2);
        for (_, name) in idle.into_iter().take(too_many) {
            self.tenants.remove(&name);
        }
        self.sweep_at = self.tenants.len() + MOST_IDLE / 2;
    }
}
