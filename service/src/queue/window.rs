//! What may be used in a minute, as a bucket that runs empty at an even rate.

use std::time::Duration;

use tokio::time::Instant;

const MINUTE: Duration = Duration::from_mins(1);

/// How full the bucket is, as the time at which it will be empty. It holds a minute's worth; who
/// pays afterwards may owe more than that, and waits for longer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    empty_at: Option<Instant>,
}

impl Window {
    /// How long until there is room for `cost` out of `most` in a minute; nothing when there is.
    pub(super) fn wait(&self, cost: u64, most: u64, now: Instant) -> Duration {
        if most == 0 {
            return Duration::ZERO;
        }
        self.level(now).saturating_add(worth(cost, most)).saturating_sub(MINUTE)
    }

    pub(super) fn charge(&mut self, cost: u64, most: u64, now: Instant) {
        if most > 0 {
            let level = self.level(now).saturating_add(worth(cost, most));
            // Beyond what a clock can say, it is what was owed before.
            self.empty_at = now.checked_add(level).or(self.empty_at);
        }
    }

    /// How long until it is empty.
    pub(super) fn level(&self, now: Instant) -> Duration {
        self.empty_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }
}

/// The part of a minute that `cost` is. Rounded down, so that `most` of them fit into one.
fn worth(cost: u64, most: u64) -> Duration {
    let nanos = MINUTE.as_nanos() * u128::from(cost) / u128::from(most.max(1));
    u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_takes_as_many_as_it_may_and_frees_one_after_the_other() {
        for most in [1, 2, 7, 60, 1000] {
            let now = Instant::now();
            let mut window = Window::default();
            for _ in 0..most {
                assert_eq!(window.wait(1, most, now), Duration::ZERO, "{most}");
                window.charge(1, most, now);
            }
            let wait = window.wait(1, most, now);
            assert!(wait > Duration::ZERO && wait <= MINUTE / u32::try_from(most).unwrap());
            assert_eq!(window.wait(1, most, now + wait), Duration::ZERO);
            assert!(window.level(now + MINUTE).is_zero());
        }
    }

    #[test]
    fn what_is_owed_is_waited_for() {
        let now = Instant::now();
        let mut window = Window::default();
        window.charge(3_000, 1_000, now);
        assert_eq!(window.wait(0, 1_000, now), MINUTE * 2);
        assert_eq!(window.wait(0, 1_000, now + MINUTE), MINUTE);
        assert_eq!(window.wait(0, 0, now), Duration::ZERO);
        window.charge(u64::MAX, 1, now);
        assert!(window.wait(0, 1, now) > MINUTE);
    }
}
