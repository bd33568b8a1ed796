//! cgroup v2 with delegation, and kernels other than the one of this host: tested in virtual
//! machines that hold nothing but a kernel, this program, and what belljar is made of.
//!
//! `BELLJAR_TEST_VM` names a directory with unpacked kernel packages, each of which is booted
//! (`boot/vmlinuz-*`); `.ci/run` makes one from Debian's. Emulated throughout, as a host that is a
//! machine of somebody's own seldom lends its virtualisation on.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and the machine tells the host by its console"
)]

mod checks;
mod guest;
mod image;
mod machine;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use belljar_tests::{Need, Suite};

use self::guest::Caller;
use self::machine::{Machine, PATIENCE_OF_A_TEST};

fn main() -> ExitCode {
    if std::process::id() == 1 {
        guest::boot();
    }
    if let Some(part) = std::env::args().nth(1).and_then(|word| guest::Part::named(&word)) {
        return part.play();
    }
    let kernels = kernels();
    let mut suite = Suite::new("vm").patience(PATIENCE_OF_A_TEST);
    if kernels.is_empty() {
        suite = suite.test("cgroup v2, delegated", &[Need::Vm], || async {
            Err::<(), _>("BELLJAR_TEST_VM has no kernel: boot/vmlinuz-*")
        });
    }
    for kernel in kernels {
        let name = kernel.file_name().unwrap_or_default().to_string_lossy();
        let version = name.trim_start_matches("vmlinuz-").to_owned();
        let machine = Arc::new(Machine::new(kernel));
        for caller in Caller::ALL {
            for check in caller.checks() {
                let machine = Arc::clone(&machine);
                let name = format!("vm::{version}::{}::{}", caller.name(), check.name);
                let told = async move || machine.told(caller.name(), check.name).await;
                suite = suite.test(&name, &[Need::Vm], told);
            }
        }
    }
    suite.run()
}

fn kernels() -> Vec<PathBuf> {
    let Some(directory) = std::env::var_os("BELLJAR_TEST_VM") else { return Vec::new() };
    let entries = std::fs::read_dir(Path::new(&directory).join("boot")).into_iter().flatten();
    let is_kernel = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))
    };
    let mut kernels: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_kernel).collect();
    kernels.sort();
    kernels
}
