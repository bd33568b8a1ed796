//! How much passes, and how fast.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What all connections of one run share.
pub(super) struct Meter {
    left: AtomicU64,
    rate: Pace,
}

/// So many in a second on average, and some at once.
pub(super) struct Pace {
    per_second: u64,
    at_once: Duration,
    /// When everything that was let through would have come at the even pace.
    even: Mutex<Instant>,
}

impl Meter {
    pub(super) fn new(bytes: u64, bytes_per_second: u64) -> Self {
        let rate = Pace::new(bytes_per_second, Duration::from_millis(250));
        Self { left: AtomicU64::new(bytes), rate }
    }

    /// How many of `bytes` may pass, which counts them.
    pub(super) fn take(&self, bytes: usize) -> usize {
        let wanted = u64::try_from(bytes).unwrap_or(u64::MAX);
        let rest = |left: u64| Some(left.saturating_sub(wanted));
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest);
        let left = left.unwrap_or_else(|left| left);
        usize::try_from(left).unwrap_or(usize::MAX).min(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    /// How long whoever let `bytes` through waits before more.
    pub(super) fn wait(&self, bytes: usize) -> Duration {
        self.rate.wait(u64::try_from(bytes).unwrap_or(u64::MAX))
    }
}

impl Pace {
    pub(super) fn new(per_second: u64, at_once: Duration) -> Self {
        Self { per_second: per_second.max(1), at_once, even: Mutex::new(Instant::now()) }
    }

    /// How long to wait after `count` more.
    pub(super) fn wait(&self, count: u64) -> Duration {
        let nanos = u128::from(count) * 1_000_000_000 / u128::from(self.per_second);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let now = Instant::now();
        let mut even = self.even.lock().unwrap_or_else(PoisonError::into_inner);
        // A cost of centuries is as good as one that the clock cannot show.
        *even = (*even).max(now).checked_add(cost).unwrap_or(*even);
        even.saturating_duration_since(now).saturating_sub(self.at_once)
    }

    /// Waits until one more may come.
    pub(super) async fn one(&self) {
        let wait = self.wait(1);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}
