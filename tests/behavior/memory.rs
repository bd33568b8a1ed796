//! Memory: whatever holds it is counted, and running out of it is told by name.

use std::time::{Duration, Instant};

use belljar::{Limits, Outcome};
use belljar_tests::{Test, expect, expect_memory, limits, run_with, stdout, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_byte_array_that_is_too_large_is_memory(Python),
        memory_taken_bit_by_bit_is_memory(Python),
        memory_of_children_is_counted_together(Python),
        a_shared_mapping_is_memory(Python, Cgroup),
        a_shared_mapping_that_nobody_counts_is_refused(Python, NoCgroup),
        a_file_in_scratch_is_memory(Python, Cgroup),
        a_file_in_shared_memory_is_memory(Python, Cgroup),
        a_file_in_memory_is_memory(Python, Cgroup),
        a_child_without_memory_ends_the_run_as_memory(Python, Cgroup),
        a_payload_that_stays_below_its_limit_is_left_alone(Python),
        the_peak_is_told(Python),
        a_limit_of_memory_is_reached_in_time(Python, Alone),
    ]
}

const MIB: u64 = 1 << 20;

fn small() -> Limits {
    Limits { memory_bytes: 96 * MIB, disk_bytes: 512 * MIB, file_bytes: 512 * MIB, ..limits() }
}

async fn spent(code: &str) -> Outcome {
    let outcome = run_with("python", small(), code).await;
    expect_memory(&outcome);
    outcome
}

/// Written to page by page: what nobody has touched is no memory yet.
const TOUCH: &str = "def touch(held):\n    \
                         for at in range(0, len(held), 4096): held[at] = 1\n    \
                         return held\n";

async fn a_byte_array_that_is_too_large_is_memory() {
    spent("import time\nheld = bytearray(b'x') * (180 << 20)\ntime.sleep(10)").await;
}

async fn memory_taken_bit_by_bit_is_memory() {
    spent("held = []\nwhile True: held.append(bytearray(b'x') * (1 << 20))").await;
}

async fn memory_of_children_is_counted_together() {
    let code = "import os, time\n\
                for _ in range(6):\n    \
                    if os.fork() == 0:\n        \
                        held = bytearray(b'x') * (30 << 20)\n        \
                        time.sleep(10)\n        \
                        os._exit(0)\n\
                time.sleep(10)\n";
    spent(code).await;
}

async fn a_shared_mapping_is_memory() {
    spent(&format!("import mmap, time\n{TOUCH}touch(mmap.mmap(-1, 200 << 20))\ntime.sleep(10)"))
        .await;
}

/// It would outlive the process that was counted for it.
async fn a_shared_mapping_that_nobody_counts_is_refused() {
    let code = "import mmap\n\
                try: mmap.mmap(-1, 4096)\n\
                except PermissionError: print('refused')\n";
    let outcome = run_with("python", small(), code).await;
    assert_eq!(stdout(&outcome), "refused\n");
}

async fn fills(path: &str) {
    let code = format!(
        "with open({path:?}, 'wb') as file:\n    \
             for _ in range(400): file.write(b'x' * (1 << 20))\n"
    );
    spent(&code).await;
}

async fn a_file_in_scratch_is_memory() {
    fills("/work/large").await;
    fills("/tmp/large").await;
}

async fn a_file_in_shared_memory_is_memory() {
    fills("/dev/shm/large").await;
}

async fn a_file_in_memory_is_memory() {
    let code = "import os\n\
                file = os.memfd_create('large', 8)\n\
                for _ in range(400): os.write(file, b'x' * (1 << 20))\n";
    spent(code).await;
}

async fn a_child_without_memory_ends_the_run_as_memory() {
    let code = "import os\n\
                if os.fork() == 0:\n    \
                    held = []\n    \
                    while True: held.append(bytearray(b'x') * (1 << 20))\n\
                os.wait()\n\
                print('survived')\n";
    // Whether its parent lived on or was killed with it, nobody may take this for a good end.
    spent(code).await;
}

async fn a_payload_that_stays_below_its_limit_is_left_alone() {
    let code = "held = bytearray(b'x') * (60 << 20)\nprint(len(held) >> 20)";
    let outcome = run_with("python", small(), code).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "60\n");
}

async fn the_peak_is_told() {
    let code = "import time\nheld = bytearray(b'x') * (60 << 20)\ntime.sleep(0.2)";
    let outcome = run_with("python", small(), code).await;
    expect(&outcome, "ok");
    let peak = outcome.usage.memory_peak_bytes;
    assert!(peak > 60 * MIB && peak < 96 * MIB, "{} MiB", peak / MIB);
}

async fn a_limit_of_memory_is_reached_in_time() {
    let began = Instant::now();
    spent("held = []\nwhile True: held.append(bytearray(b'x') * (8 << 20))").await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}
