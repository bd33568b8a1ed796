//! Who may not even wait, and when it is worth another try.

use tokio::time::advance;

use super::*;

fn named(name: &str, quota: Quota) -> BTreeMap<String, Quota> {
    BTreeMap::from([(name.to_owned(), quota)])
}

/// That the refusal holds for as long as it says, and not a millisecond longer.
async fn assert_true(queue: &Queue, tenant: &str) {
    let busy = at_once(queue, tenant, 0).unwrap_err();
    assert!(busy.may_retry && busy.retry_after_ms > 0, "{busy:?}");
    advance(Duration::from_millis(u64::from(busy.retry_after_ms) - 1)).await;
    let still = at_once(queue, tenant, 0).unwrap_err();
    assert_eq!(still.retry_after_ms, 1, "{still:?}");
    advance(Duration::from_millis(1)).await;
    drop(at_once(queue, tenant, 0).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_minute_holds_as_many_runs_as_it_may() {
    let queue = Queue::new(caps(8, 8), Quota { runs_per_minute: 7, ..FREE });
    for _ in 0..7 {
        drop(at_once(&queue, "a", 0).unwrap());
    }
    let busy = at_once(&queue, "a", 0).unwrap_err();
    assert_eq!(busy.why, "as many runs of this tenant came within a minute as may: 7");
    drop(at_once(&queue, "b", 0).unwrap());
    assert_true(&queue, "a").await;
    assert_true(&queue, "a").await;
    advance(Duration::from_mins(1)).await;
    for _ in 0..7 {
        drop(at_once(&queue, "a", 0).unwrap());
    }
    assert!(at_once(&queue, "a", 0).is_err());
}

#[tokio::test(start_paused = true)]
async fn processor_time_is_paid_for_afterwards_and_debts_too() {
    let queue = Queue::new(caps(8, 8), Quota { cpu_ms_per_minute: 1000, ..FREE });
    let turn = at_once(&queue, "a", 0).unwrap();
    turn.used(Duration::from_millis(999));
    drop(at_once(&queue, "a", 0).unwrap());
    turn.used(Duration::from_millis(1));
    let busy = at_once(&queue, "a", 0).unwrap_err();
    assert!(busy.why.contains("processor time") && busy.retry_after_ms <= 60, "{busy:?}");
    turn.used(Duration::from_secs(2));
    let busy = at_once(&queue, "a", 0).unwrap_err();
    assert!((120_000..121_000).contains(&busy.retry_after_ms), "{busy:?}");
    drop(turn);
    assert_true(&queue, "a").await;
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_says_so_and_about_when_it_is_not() {
    let queue = Queue::new(caps(2, 2), FREE);
    for _ in 0..100 {
        let turn = at_once(&queue, "a", 0).unwrap();
        advance(Duration::from_secs(8)).await;
        drop(turn);
    }
    let held = [at_once(&queue, "a", 0).unwrap(), at_once(&queue, "a", 0).unwrap()];
    let mut waits: Vec<_> = (0..2).map(|_| Box::pin(queue.admit("b", 0))).collect();
    for place in &mut waits {
        assert!(poll(place.as_mut()).is_pending());
    }
    let busy = at_once(&queue, "c", 0).unwrap_err();
    assert_eq!(busy.why, "as many runs wait as may: 2");
    // Two at a time, eight seconds each.
    assert!((3_900..=4_000).contains(&busy.retry_after_ms), "{busy:?}");
    assert_eq!(queue.shape().queued, 2);
    drop(held);
    for mut place in waits {
        assert!(poll(place.as_mut()).is_ready());
    }
    assert_eq!(queue.shape(), Shape::default());
}

#[test]
fn a_full_tenant_keeps_nobody_else_out() {
    let queue = Queue::new(caps(4, 4), FREE);
    let quota = Quota { running: 1, queued: 2, ..FREE };
    queue.reconfigure(caps(4, 2), FREE, named("a", quota));
    let held = at_once(&queue, "a", 0).unwrap();
    let mut waits: Vec<_> = (0..2).map(|_| Box::pin(queue.admit("a", 0))).collect();
    for place in &mut waits {
        assert!(poll(place.as_mut()).is_pending());
    }
    // As many wait as may, but there is room for whoever need not wait.
    let others: Vec<_> = (0..3).map(|_| at_once(&queue, "b", 0).unwrap()).collect();
    assert!(at_once(&queue, "b", 0).is_err());
    drop(others);
    queue.reconfigure(caps(4, 4), FREE, named("a", quota));
    let busy = at_once(&queue, "a", 0).unwrap_err();
    assert_eq!(busy.why, "as many runs of this tenant wait as may: 2");
    assert!(busy.retry_after_ms >= 50, "{busy:?}");
    drop(held);
    drop(waits);
    assert_eq!(queue.shape(), Shape::default());
}

#[test]
fn what_never_fits_is_refused_for_good() {
    let queue = Queue::new(Caps { memory_bytes: 100, ..caps(4, 4) }, FREE);
    let busy = at_once(&queue, "a", 101).unwrap_err();
    assert!(!busy.may_retry && busy.why.contains("101"), "{busy:?}");
    drop(at_once(&queue, "a", 100).unwrap());
    let boundless = Queue::new(caps(4, 4), FREE);
    let turns = [u64::MAX, u64::MAX].map(|bytes| at_once(&boundless, "a", bytes).unwrap());
    drop(turns);
    assert_eq!(boundless.shape(), Shape::default());
}
