//! How many runs arrive at once, lately.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Runs that arrive within this time need a jar each: it is what raising one takes under load.
const SLOT: Duration = Duration::from_millis(100);

/// Arrivals in the recent past, by the slot in which they fell.
#[derive(Debug, Default)]
pub(super) struct Demand {
    slots: VecDeque<(Instant, usize)>,
    most: usize,
}

impl Demand {
    pub(super) fn arrived(&mut self, now: Instant) {
        match self.slots.back_mut() {
            Some((start, count)) if now.duration_since(*start) < SLOT => {
                *count += 1;
                self.most = self.most.max(*count);
            }
            _ => self.slots.push_back((now, 1)),
        }
    }

    /// The most that arrived in one slot, of those that were remembered lately.
    pub(super) fn seen(&self) -> usize {
        self.most
    }

    /// Forgets what is older than `memory`.
    pub(super) fn forget(&mut self, now: Instant, memory: Duration) {
        while self.slots.front().is_some_and(|(start, _)| now.duration_since(*start) > memory) {
            self.slots.pop_front();
        }
        self.most = self.slots.iter().map(|(_, count)| *count).max().unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_counts_as_what_it_was_and_is_forgotten_in_time() {
        let (mut demand, start) = (Demand::default(), Instant::now());
        let memory = Duration::from_secs(10);
        for _ in 0..7 {
            demand.arrived(start);
        }
        for second in 1..5 {
            demand.arrived(start + Duration::from_secs(second));
        }
        for (seconds, most) in [(5, 7), (11, 1), (60, 0)] {
            demand.forget(start + Duration::from_secs(seconds), memory);
            assert_eq!(demand.seen(), most, "after {seconds} s");
        }
    }
}
