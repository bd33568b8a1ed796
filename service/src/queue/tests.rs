//! The clock of these tests stands still, and jumps when all wait.

mod bounds;
mod fairness;
mod random;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

const FREE: Quota =
    Quota { running: 0, queued: 0, cpu_ms_per_minute: 0, runs_per_minute: 0, weight: 1 };

fn caps(running: u32, queued: u32) -> Caps {
    Caps { running, queued, memory_bytes: 0 }
}

/// The turn or the refusal that is there at once.
fn at_once(queue: &Queue, tenant: &str, memory_bytes: u64) -> Result<Turn, Busy> {
    match poll(pin!(queue.admit(tenant, memory_bytes))) {
        Poll::Ready(admitted) => admitted,
        Poll::Pending => panic!("{tenant} waits"),
    }
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn who_finds_room_waits_for_nothing_and_hardly_takes_time() {
    const ROUNDS: u32 = 1000;
    let queue = Queue::new(caps(64, 64), Quota { runs_per_minute: u32::MAX, ..FREE });
    // The best of several: others use this machine as well.
    let rounds = (0..20).map(|_| {
        let began = std::time::Instant::now();
        for _ in 0..ROUNDS {
            drop(at_once(&queue, "a", 1 << 20).unwrap());
        }
        began.elapsed() / ROUNDS
    });
    let best = rounds.min().unwrap();
    assert!(best < Duration::from_micros(10), "{best:?}");
    assert_eq!(queue.shape(), Shape::default());
}

#[test]
fn a_turn_counts_until_it_is_dropped() {
    let queue = Queue::new(caps(4, 4), FREE);
    let first = at_once(&queue, "a", 10).unwrap();
    let second = at_once(&queue, "b", 20).unwrap();
    let shape = queue.shape();
    assert_eq!((shape.running, shape.queued, shape.memory_bytes), (2, 0, 30));
    assert_eq!(shape.tenants["b"], Share { running: 1, queued: 0, memory_bytes: 20 });
    drop(first);
    assert_eq!(queue.shape().tenants.keys().collect::<Vec<_>>(), ["b"]);
    drop(second);
    assert_eq!(queue.shape(), Shape::default());
}

#[test]
fn who_stops_waiting_leaves_nothing_behind() {
    let queue = Queue::new(caps(1, 4), FREE);
    let turn = at_once(&queue, "a", 0).unwrap();
    {
        let mut waits = pin!(queue.admit("a", 0));
        assert!(poll(waits.as_mut()).is_pending());
        assert_eq!(queue.shape().queued, 1);
    }
    assert_eq!(queue.shape().queued, 0);
    {
        let mut waits = pin!(queue.admit("b", 7));
        assert!(poll(waits.as_mut()).is_pending());
        drop(turn);
        // It is its turn now, and nobody comes for it.
        assert_eq!(queue.shape().tenants["b"].memory_bytes, 7);
    }
    assert_eq!(queue.shape(), Shape::default());
    drop(at_once(&queue, "c", 0).unwrap());
}

#[test]
fn other_bounds_drop_nobody_and_hold_at_once() {
    let queue = Queue::new(Caps { memory_bytes: 100, ..caps(1, 8) }, FREE);
    let first = at_once(&queue, "a", 90).unwrap();
    let mut waits: Vec<_> = (0..3).map(|_| Box::pin(queue.admit("a", 90))).collect();
    for place in &mut waits {
        assert!(poll(place.as_mut()).is_pending());
    }
    // Fewer than wait, and less memory than each of them asks for.
    queue.reconfigure(Caps { memory_bytes: 50, ..caps(2, 1) }, FREE, BTreeMap::new());
    assert_eq!((queue.shape().running, queue.shape().queued), (1, 3));
    drop(first);
    for mut place in waits {
        let Poll::Ready(turn) = poll(place.as_mut()) else { panic!("it is alone") };
        assert_eq!(queue.shape().running, 1);
        drop(turn.unwrap());
    }
    assert!(!at_once(&queue, "a", 90).unwrap_err().may_retry);

    let held = [at_once(&queue, "a", 1).unwrap(), at_once(&queue, "a", 1).unwrap()];
    let mut waits = pin!(queue.admit("b", 1));
    assert!(poll(waits.as_mut()).is_pending());
    queue.reconfigure(caps(3, 1), FREE, BTreeMap::from([("b".to_owned(), FREE)]));
    assert!(poll(waits.as_mut()).is_ready());
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn names_by_the_thousands_are_not_kept() {
    let queue = Queue::new(caps(4, 4), Quota { runs_per_minute: 10, ..FREE });
    let mine = Quota { runs_per_minute: 1, ..FREE };
    queue.reconfigure(caps(4, 4), FREE, BTreeMap::from([("mine".to_owned(), mine)]));
    drop(at_once(&queue, "mine", 0).unwrap());
    queue.reconfigure(
        caps(4, 4),
        Quota { runs_per_minute: 10, ..FREE },
        BTreeMap::from([("mine".to_owned(), mine)]),
    );
    for number in 0..50_000 {
        drop(at_once(&queue, &format!("tenant {number}"), 0).unwrap());
        assert!(queue.lock().known() <= 8192);
    }
    // Who has a quota of its own is not pushed out by those that have not.
    assert!(at_once(&queue, "mine", 0).is_err());
    tokio::time::advance(Duration::from_mins(1)).await;
    for number in 0..5_000 {
        drop(at_once(&queue, &format!("other {number}"), 0).unwrap());
    }
    assert!(queue.lock().known() <= 5_000, "{}", queue.lock().known());
}
