//! The receipt says what was in force, and the floor what has to be.

use std::time::Duration;

use belljar::{Error, Fault, Floor, Limits, Source, Start, State};
use belljar_protocol::Layer;
use belljar_tests::{Test, run, sandbox, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        every_layer_is_on_the_receipt_in_its_order(),
        every_limit_is_on_the_receipt_under_its_name(),
        as_root_everything_is_enforced(Root, Cgroup),
        without_a_cgroup_the_receipt_says_what_is_lost(NoCgroup),
        without_an_id_of_its_own_the_receipt_says_so(User),
        with_subordinate_ids_the_namespaces_are_enforced(SubordinateIds),
        a_floor_above_the_host_is_refused_with_the_way_up(User, NoCgroup),
        a_floor_within_reach_is_repeated_on_the_receipt(),
        floors_are_ordered(),
        the_parts_of_a_run_take_their_time(),
        ids_of_runs_are_unique_and_sorted_by_time(),
    ]
}

fn nothing() -> Source {
    Source::program("/bin/true")
}

async fn every_layer_is_on_the_receipt_in_its_order() {
    let receipt = run("native", nothing()).await.receipt;
    let layers: Vec<_> = receipt.layers.iter().map(|row| row.layer).collect();
    assert_eq!(layers, Layer::ALL);
    let cost: Duration = receipt.layers.iter().map(|row| row.cost).sum();
    assert!(cost > Duration::from_micros(100) && cost < Duration::from_secs(10), "{cost:?}");
    for row in &receipt.layers {
        assert!(matches!(row.state, State::Enforced | State::Degraded), "{row:?}");
        assert!(!row.how.is_empty(), "{row:?}");
    }
}

async fn every_limit_is_on_the_receipt_under_its_name() {
    let receipt = run("native", nothing()).await.receipt;
    let mut rows: Vec<_> = receipt.limits.iter().map(|row| row.limit).collect();
    let mut known: Vec<_> = Limits::strict().rows().map(|(name, _)| name).to_vec();
    rows.sort_unstable();
    known.sort_unstable();
    assert_eq!(rows, known);
    for row in &receipt.limits {
        let of_a_gate = row.limit == "connections" || row.limit.starts_with("network_");
        assert_eq!(row.state == State::NotApplicable, of_a_gate, "{row:?}");
        assert_ne!(row.state, State::Missing, "{row:?}");
        assert!(!row.how.is_empty(), "{row:?}");
    }
}

async fn as_root_everything_is_enforced() {
    let receipt = run("native", nothing()).await.receipt;
    assert_eq!(receipt.level, Floor::L5);
    for row in &receipt.layers {
        assert_eq!(row.state, State::Enforced, "{row:?}");
    }
    for row in receipt.limits.iter().filter(|row| row.state != State::NotApplicable) {
        assert_eq!(row.state, State::Enforced, "{row:?}");
    }
}

async fn without_a_cgroup_the_receipt_says_what_is_lost() {
    let receipt = run("native", nothing()).await.receipt;
    assert_eq!(receipt.level, Floor::L3);
    for limit in ["memory_bytes", "cpu_ms"] {
        let row = receipt.limits.iter().find(|row| row.limit == limit).unwrap();
        assert_eq!(row.state, State::Degraded, "{row:?}");
        assert!(row.how.contains("sampled") && row.how.contains("no cgroup"), "{row:?}");
    }
}

async fn without_an_id_of_its_own_the_receipt_says_so() {
    let receipt = run("native", nothing()).await.receipt;
    let row = receipt.layers.iter().find(|row| row.layer == Layer::Namespaces).unwrap();
    let own = row.how.contains("a subordinate user id of its own");
    assert_eq!(row.state, if own { State::Enforced } else { State::Degraded }, "{row:?}");
    assert_eq!(own, !receipt.notes.iter().any(|note| note.contains("subordinate")), "{receipt:?}");
}

async fn with_subordinate_ids_the_namespaces_are_enforced() {
    let receipt = run("native", nothing()).await.receipt;
    let row = receipt.layers.iter().find(|row| row.layer == Layer::Namespaces).unwrap();
    assert_eq!(row.state, State::Enforced, "{row:?}");
}

async fn a_floor_above_the_host_is_refused_with_the_way_up() {
    for floor in [Floor::L4, Floor::L5] {
        let error = sandbox("native").floor(floor).build().unwrap_err();
        assert!(matches!(&error, Error::Unenforceable { .. }), "{error:?}");
        assert_eq!((error.code(), error.fault()), ("unenforceable", Fault::Host));
        assert!(!error.may_retry());
        assert!(error.to_string().contains(floor.name()), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.len() > 10), "{error:?}");
    }
}

async fn a_floor_within_reach_is_repeated_on_the_receipt() {
    for floor in [Floor::L1, Floor::L2, Floor::L3, Floor::STRICT] {
        let sandbox = sandbox("native").floor(floor).build().unwrap();
        let receipt = sandbox.run(nothing()).await.unwrap().receipt;
        assert_eq!(receipt.floor, floor);
        assert!(receipt.level >= floor);
        // A weak floor is a permission, not a wish.
        assert!(receipt.level >= Floor::L3);
    }
    assert_eq!(run("native", nothing()).await.receipt.floor, Floor::STRICT);
}

async fn floors_are_ordered() {
    let floors = [Floor::L1, Floor::L2, Floor::L3, Floor::L4, Floor::L5];
    assert!(floors.is_sorted());
    assert_eq!(floors.map(Floor::name), ["L1", "L2", "strict", "L4", "L5"]);
}

async fn the_parts_of_a_run_take_their_time() {
    let began = std::time::Instant::now();
    let sandbox = sandbox("native").build().unwrap();
    let outcome = sandbox.run(Source::program("/bin/sleep").arg("0.2")).await.unwrap();
    let all = began.elapsed();
    let timings = outcome.timings;
    assert_eq!(outcome.start, Start::Cold);
    assert_eq!(timings.queued, Duration::ZERO);
    assert!(
        timings.jar > Duration::ZERO && timings.run >= Duration::from_millis(200),
        "{timings:?}"
    );
    assert!(timings.jar + timings.start + timings.run + timings.collect <= all, "{timings:?}");
}

async fn ids_of_runs_are_unique_and_sorted_by_time() {
    let sandbox = sandbox("native").build().unwrap();
    let mut ids = Vec::new();
    for _ in 0..5 {
        let run = sandbox.start(nothing()).await.unwrap();
        let id = run.id().to_owned();
        assert_eq!(run.wait().await.unwrap().id, id);
        ids.push(id);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(ids.is_sorted());
    ids.dedup();
    assert_eq!(ids.len(), 5);
}
