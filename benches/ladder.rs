//! Where the time of a cold run goes: each wall as its receipt tells, and what lies between.

use std::time::{Duration, Instant};

use belljar::{Sandbox, Source};
use belljar_benches::{Effort, Error, Jars, Table};

const NOOP: &str = env!("CARGO_BIN_EXE_belljar-bench-noop");
const TOTAL: &str = "the whole run";

fn main() -> Result<(), Error> {
    let effort = Effort::asked_for(500)?;
    let jars = Jars::new()?;
    let sandbox = Sandbox::builder("native").build()?;
    let source = Source::program(NOOP);
    jars.run(&sandbox, &source)?;

    let mut table = Table::default();
    for _ in 0..effort.rounds {
        let started = Instant::now();
        let outcome = jars.run(&sandbox, &source)?;
        let total = started.elapsed();
        let mut walls = Duration::ZERO;
        for layer in &outcome.receipt.layers {
            table.record(&format!("  wall: {}", layer.layer), layer.cost);
            walls += layer.cost;
        }
        let timings = outcome.timings;
        let told = timings.jar + timings.start + timings.run + timings.collect;
        table.record("all walls", walls);
        table.record(
            "cgroup, spawn, forks and the look from outside",
            timings.jar.saturating_sub(walls),
        );
        table.record("from confined to let go", timings.start);
        table.record("the payload, exec included, until its end is heard", timings.run);
        table.record("counters, removal of the cgroup, artifacts", timings.collect);
        table.record("death of the jar, and what no timer sees", total.saturating_sub(told));
        table.record(TOTAL, total);
    }
    Ok(table.print("The ladder of a native program that does nothing", TOTAL)?)
}
