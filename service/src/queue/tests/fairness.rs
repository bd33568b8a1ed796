//! Who goes next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::{sleep, timeout};

use super::*;

/// The tenants by the order of their turns, when `wishes` come at the same time and each has its
/// turn for `length`.
async fn order(
    queue: &Queue,
    wishes: &[(&'static str, usize)],
    length: impl Fn(&str) -> Duration,
) -> Vec<(&'static str, usize)> {
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut runs = Vec::new();
    for &(tenant, count) in wishes {
        for number in 0..count {
            let (queue, served, length) = (queue.clone(), Arc::clone(&served), length(tenant));
            runs.push(tokio::spawn(async move {
                let _turn = queue.admit(tenant, 1).await.unwrap();
                served.lock().unwrap().push((tenant, number));
                sleep(length).await;
            }));
        }
    }
    for run in runs {
        run.await.unwrap();
    }
    Arc::into_inner(served).unwrap().into_inner().unwrap()
}

fn count(order: &[(&str, usize)], tenant: &str) -> u32 {
    u32::try_from(order.iter().filter(|(name, _)| *name == tenant).count()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_longer_queue_gets_no_more_turns() {
    for running in [1, 3, 16] {
        let queue = Queue::new(caps(running, 2000), FREE);
        let wishes = [("many", 1000), ("few", 100)];
        let order = order(&queue, &wishes, |_| Duration::from_millis(10)).await;
        assert_eq!(order.len(), 1100);
        // From when both wait to when one has no more to do.
        let both = &order[running as usize..];
        let last = both.iter().rposition(|(tenant, _)| *tenant == "few").unwrap();
        let (many, few) = (count(&both[..last], "many"), count(&both[..last], "few"));
        assert!(many.abs_diff(few) <= few / 10, "{many} and {few} with {running}");
        for tenant in ["many", "few"] {
            let of_one: Vec<_> = order.iter().filter(|(name, _)| *name == tenant).collect();
            assert!(of_one.is_sorted_by_key(|(_, number)| *number), "{tenant}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn weights_are_shares() {
    let queue = Queue::new(caps(2, 2000), FREE);
    let heavy = Quota { weight: 3, ..FREE };
    queue.reconfigure(caps(2, 2000), FREE, BTreeMap::from([("heavy".to_owned(), heavy)]));
    let wishes = [("light", 500), ("heavy", 300)];
    let order = order(&queue, &wishes, |_| Duration::from_millis(1)).await;
    let (light, heavy) = (count(&order[2..302], "light"), count(&order[2..302], "heavy"));
    assert!(heavy.abs_diff(3 * light) <= 6, "{light} and {heavy}");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_oneself_saves_up_nothing() {
    let queue = Queue::new(caps(4, 2000), FREE);
    let one = Quota { running: 1, ..FREE };
    queue.reconfigure(caps(4, 2000), FREE, BTreeMap::from([("one".to_owned(), one)]));
    let wishes = [("many", 600), ("other", 600), ("one", 300)];
    let length = |tenant: &str| Duration::from_millis(if tenant == "one" { 500 } else { 10 });
    let freed = {
        let queue = queue.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(905)).await;
            queue.reconfigure(caps(4, 2000), FREE, BTreeMap::new());
        })
    };
    let order = order(&queue, &wishes, length).await;
    freed.await.unwrap();
    // From when it is free to have more than one turn, it has no more of them than the others.
    let second = order.iter().position(|row| *row == ("one", 2)).unwrap();
    let after = &order[second..second + 60];
    let (one, many) = (count(after, "one"), count(after, "many"));
    assert!(one.abs_diff(many) <= 2, "{one} and {many}");
}

#[tokio::test(start_paused = true)]
async fn a_large_run_is_not_starved_by_small_ones() {
    let queue = Queue::new(Caps { running: 64, queued: 512, memory_bytes: 100 }, FREE);
    let is_over = Arc::new(AtomicBool::new(false));
    let small = (0..40).map(|number| {
        let (queue, is_over) = (queue.clone(), Arc::clone(&is_over));
        tokio::spawn(async move {
            let mut turns = 0;
            while !is_over.load(Ordering::Relaxed) {
                let turn = queue.admit(&format!("small {}", number % 4), 5).await.unwrap();
                sleep(Duration::from_millis(10 + number)).await;
                drop(turn);
                turns += 1;
            }
            turns
        })
    });
    let small: Vec<_> = small.collect();
    sleep(Duration::from_millis(100)).await;
    for _ in 0..10 {
        let large = timeout(Duration::from_millis(250), queue.admit("large", 100)).await;
        let turn = large.expect("it is overtaken for ever").unwrap();
        assert_eq!(queue.shape().running, 1);
        drop(turn);
    }
    is_over.store(true, Ordering::Relaxed);
    for run in small {
        let turns = run.await.unwrap();
        assert!(turns > 3, "{turns}");
    }
}

#[test]
fn only_others_go_ahead_of_a_large_run_and_not_for_ever() {
    let queue = Queue::new(Caps { running: 64, queued: 64, memory_bytes: 100 }, FREE);
    let held = at_once(&queue, "other", 50).unwrap();
    let mut large = pin!(queue.admit("a", 60));
    assert!(poll(large.as_mut()).is_pending());
    let mut small = pin!(queue.admit("a", 1));
    assert!(poll(small.as_mut()).is_pending());
    let mut ahead = Vec::new();
    while let Poll::Ready(turn) = poll(Box::pin(queue.admit("b", 1)).as_mut()) {
        ahead.push(turn.unwrap());
        assert!(ahead.len() < 20);
    }
    assert_eq!(ahead.len(), 8);
    drop(ahead);
    assert!(poll(large.as_mut()).is_pending());
    drop(held);
    assert!(poll(large.as_mut()).is_ready());
    assert!(poll(small.as_mut()).is_ready());
}
