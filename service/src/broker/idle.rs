//! Whether anybody uses something, and since when nobody does.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The use that is made of something.
pub(super) struct Use {
    state: watch::Sender<State>,
}

#[derive(Clone, Copy)]
struct State {
    users: usize,
    /// When the last of them left.
    rests_since: Instant,
}

/// One who uses it, until this is dropped.
pub(super) struct User {
    of: Arc<Use>,
}

impl Use {
    pub(super) fn new() -> Arc<Self> {
        let state = State { users: 0, rests_since: Instant::now() };
        Arc::new(Self { state: watch::Sender::new(state) })
    }

    pub(super) fn begin(self: &Arc<Self>) -> User {
        self.state.send_modify(|state| state.users += 1);
        User { of: Arc::clone(self) }
    }

    pub(super) fn is_made(&self) -> bool {
        self.state.borrow().users > 0
    }

    /// Returns when nobody has used it for as long as `idle`.
    pub(super) async fn rests_for(&self, idle: Duration) {
        let mut changes = self.state.subscribe();
        loop {
            let State { users, rests_since } = *changes.borrow_and_update();
            tokio::select! {
                // Whoever came before this was looked at came in time, even if it was late.
                biased;
                // Its sender is ours.
                _ = changes.changed() => {}
                () = sleep_until(rests_since + idle), if users == 0 => return,
            }
        }
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.of.state.send_modify(|state| {
            state.users -= 1;
            state.rests_since = Instant::now();
        });
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::future::poll_immediate;
    use tokio::time::{advance, timeout};

    use super::*;

    const IDLE: Duration = Duration::from_secs(1);
    const LONG: Duration = Duration::from_hours(1);

    #[tokio::test(start_paused = true)]
    async fn it_rests_from_its_beginning_and_from_the_end_of_its_last_use() {
        let subject = Use::new();
        let began = Instant::now();
        subject.rests_for(IDLE).await;
        assert!(began.elapsed() >= IDLE && !subject.is_made());
        let user = subject.begin();
        assert!(timeout(LONG, subject.rests_for(IDLE)).await.is_err());
        assert!(subject.is_made());
        let left = Instant::now();
        drop(user);
        subject.rests_for(IDLE).await;
        assert!(left.elapsed() >= IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_leaves_late_ends_nobody_elses_use() {
        let subject = Use::new();
        let (late, next) = (subject.begin(), subject.begin());
        drop(late);
        assert!(subject.is_made());
        assert!(timeout(LONG, subject.rests_for(IDLE)).await.is_err());
        drop(next);
        assert!(timeout(LONG, subject.rests_for(IDLE)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_before_it_is_given_up_keeps_it() {
        // Which of two events is looked at first would be random.
        for _ in 0..32 {
            let subject = Use::new();
            let mut resting = pin!(subject.rests_for(IDLE));
            assert!(poll_immediate(&mut resting).await.is_none());
            advance(2 * IDLE).await;
            let user = subject.begin();
            assert!(poll_immediate(&mut resting).await.is_none(), "it was given up in use");
            drop(user);
        }
    }
}
