//! Whatever comes in whatever order: nothing is above a bound, and nobody is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::{sleep, timeout};

use super::*;

/// Small, and the same on every machine (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32;
        high % most
    }
}

#[derive(Default)]
struct Ends {
    served: AtomicU32,
    gone: AtomicU32,
    refused: AtomicU32,
}

fn assert_within(queue: &Queue, caps: Caps, quota: Quota) {
    let shape = queue.shape();
    assert!(shape.running <= caps.running && shape.queued <= caps.queued, "{shape:?}");
    assert!(shape.memory_bytes <= caps.memory_bytes, "{shape:?}");
    let sum = |of: fn(&Share) -> u64| shape.tenants.values().map(of).sum::<u64>();
    assert_eq!(sum(|share| share.running.into()), u64::from(shape.running));
    assert_eq!(sum(|share| share.queued.into()), u64::from(shape.queued));
    assert_eq!(sum(|share| share.memory_bytes), shape.memory_bytes);
    for share in shape.tenants.values() {
        assert!(share.running <= quota.running && share.queued <= quota.queued, "{shape:?}");
    }
}

async fn one(queue: Queue, ends: Arc<Ends>, mut dice: Dice, caps: Caps, quota: Quota) {
    sleep(Duration::from_millis(dice.below(2000).into())).await;
    let tenant = format!("tenant {}", dice.below(5));
    let most = if dice.below(10) == 0 { 100 } else { 20 };
    let memory = u64::from(1 + dice.below(most));
    let patience = match dice.below(4) {
        0 => Duration::from_millis(dice.below(300).into()),
        _ => Duration::from_hours(1),
    };
    match timeout(patience, queue.admit(&tenant, memory)).await {
        Err(_elapsed) => {
            assert!(patience < Duration::from_hours(1), "{tenant} waits for ever");
            ends.gone.fetch_add(1, Ordering::Relaxed)
        }
        Ok(Err(busy)) => {
            assert!(busy.may_retry && (50..=60_000).contains(&busy.retry_after_ms), "{busy:?}");
            ends.refused.fetch_add(1, Ordering::Relaxed)
        }
        Ok(Ok(turn)) => {
            assert_within(&queue, caps, quota);
            sleep(Duration::from_millis(dice.below(60).into())).await;
            turn.used(Duration::from_millis(1));
            drop(turn);
            ends.served.fetch_add(1, Ordering::Relaxed)
        }
    };
    assert_within(&queue, caps, quota);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_above_its_bound_and_nobody_is_lost() {
    const RUNS: u32 = 400;
    let mut totals = [0; 3];
    for seed in 1..=40 {
        let mut dice = Dice(seed);
        let caps =
            Caps { running: 1 + dice.below(8), queued: 20 + dice.below(200), memory_bytes: 100 };
        let quota = Quota { running: 1 + dice.below(8), queued: 10 + dice.below(100), ..FREE };
        let queue = Queue::new(caps, quota);
        let ends = Arc::new(Ends::default());
        let runs = (0..RUNS).map(|number| {
            let dice = Dice((seed << 32) | (u64::from(number) + 1));
            tokio::spawn(one(queue.clone(), Arc::clone(&ends), dice, caps, quota))
        });
        let runs: Vec<_> = runs.collect();
        for run in runs {
            run.await.unwrap();
        }
        assert_eq!(queue.shape(), Shape::default(), "seed {seed}");
        let ends =
            [&ends.served, &ends.gone, &ends.refused].map(|count| count.load(Ordering::Relaxed));
        assert_eq!(ends.iter().sum::<u32>(), RUNS, "seed {seed}");
        for (total, count) in totals.iter_mut().zip(ends) {
            *total += count;
        }
    }
    // All three ends were tried.
    assert!(totals.iter().all(|total| *total > 100), "{totals:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_lost_while_bounds_change() {
    for seed in 1..=20 {
        let queue = Queue::new(caps(2, 1000), FREE);
        let mut dice = Dice(seed);
        let runs = (0..300).map(|_| {
            let (queue, tenant) = (queue.clone(), format!("tenant {}", dice.below(5)));
            let (memory, length) = (u64::from(dice.below(50)), u64::from(dice.below(40)));
            tokio::spawn(async move {
                let _turn = queue.admit(&tenant, memory).await.unwrap();
                sleep(Duration::from_millis(length)).await;
            })
        });
        let runs: Vec<_> = runs.collect();
        for _ in 0..50 {
            sleep(Duration::from_millis(20)).await;
            let memory_bytes = u64::from(10 + dice.below(100));
            let caps = Caps { running: dice.below(6), queued: dice.below(20), memory_bytes };
            let quota = Quota { running: dice.below(3), weight: dice.below(3), ..FREE };
            let named = (0..dice.below(5)).map(|number| (format!("tenant {number}"), FREE));
            queue.reconfigure(caps, quota, named.collect());
        }
        for run in runs {
            timeout(Duration::from_mins(5), run).await.expect("it waits for ever").unwrap();
        }
        assert_eq!(queue.shape(), Shape::default(), "seed {seed}");
    }
}
