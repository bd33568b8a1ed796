//! The harness of the tests that run real payloads in real jars.
//!
//! Nothing of the kernel is imitated. What a test needs and the host lacks is printed as *ignored*
//! with the need by name, and is a failure where `BELLJAR_TEST_REQUIRE=all` is set.

#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking, and says so"
)]

mod guard;
mod help;
mod need;
mod suite;
mod walls_down;

pub use guard::Before;
pub use help::{
    bash, built, expect, expect_memory, is_memory_counted, limits, postgres, python, read_by_all,
    ready, run, run_out, run_with, sandbox, scratch, stderr, stdout,
};
pub use libtest_mimic::Completion;
pub use need::Need;
pub use suite::{Passes, Suite, Test};
pub use walls_down::{Fallen, run_failing, run_without, walls_down_worker};

/// Lists tests by the names of their functions, each with what it needs: `tests![one(), two(Python)]`.
#[macro_export]
macro_rules! tests {
    ($($name:ident ($($need:ident),*)),* $(,)?) => {
        vec![$($crate::Test::new(
            concat!(module_path!(), "::", stringify!($name)),
            &[$($crate::Need::$need),*],
            $name,
        )),*]
    };
}
