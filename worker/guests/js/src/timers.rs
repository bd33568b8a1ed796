//! `setTimeout` and `setInterval`: callbacks ordered by when they are due, then by age.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use rquickjs::{Function, Persistent};

type Callback = Persistent<Function<'static>>;

#[derive(Default)]
pub(crate) struct Timers(RefCell<Schedule>);

#[derive(Default)]
struct Schedule {
    queue: BTreeMap<(Instant, u32), Timer>,
    due: HashMap<u32, Instant>,
    last_id: u32,
}

struct Timer {
    callback: Callback,
    repeats_every: Option<Duration>,
}

impl Timers {
    /// Schedules `callback` and returns the id that cancels it.
    pub(crate) fn set(&self, callback: Callback, delay_ms: u32, repeats: bool) -> u32 {
        let schedule = &mut *self.0.borrow_mut();
        let delay = Duration::from_millis(delay_ms.into());
        schedule.last_id = schedule.last_id.wrapping_add(1);
        let timer = Timer { callback, repeats_every: repeats.then_some(delay) };
        schedule.add(schedule.last_id, delay, timer);
        schedule.last_id
    }

    /// Forgets a timer; unknown ids are ignored, as on the web.
    pub(crate) fn clear(&self, id: u32) {
        let schedule = &mut *self.0.borrow_mut();
        if let Some(due) = schedule.due.remove(&id) {
            schedule.queue.remove(&(due, id));
        }
    }

    /// When the next callback is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.0.borrow().queue.keys().next().map(|(due, _)| *due)
    }

    /// The next callback. A repeating one is scheduled again first, so that it can cancel itself.
    pub(crate) fn take_next(&self) -> Option<Callback> {
        let schedule = &mut *self.0.borrow_mut();
        let ((_, id), timer) = schedule.queue.pop_first()?;
        schedule.due.remove(&id);
        let callback = timer.callback.clone();
        if let Some(period) = timer.repeats_every {
            schedule.add(id, period, timer);
        }
        Some(callback)
    }
}

impl Schedule {
    fn add(&mut self, id: u32, delay: Duration, timer: Timer) {
        let due = Instant::now() + delay;
        self.queue.insert((due, id), timer);
        self.due.insert(id, due);
    }
}
