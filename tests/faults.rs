//! A wall that cannot be raised, and a worker that is none, end in an error that names them: the
//! payload never runs, and nothing is left.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, and says so"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use belljar::{Error, Outcome, Source};
use belljar_protocol::{Layer, Report};
use belljar_tests::{Before, Need, Suite, run_failing, sandbox, scratch, tests, walls_down_worker};

fn main() -> ExitCode {
    let mut suite = Suite::new("faults").with(tests![
        a_worker_that_is_missing_is_an_error(Alone),
        a_worker_that_is_not_executable_is_an_error(Alone),
        a_worker_that_exits_at_once_is_an_error(Alone),
        the_walls_are_raised_in_the_declared_order(),
        walls_cannot_be_left_out_of_the_worker_that_ships(),
        a_jar_without_namespaces_or_root_cannot_be_had_at_all(),
    ]);
    for wall in Layer::ALL {
        suite = suite
            .test(
                &format!("faults::a_run_is_refused_when_{wall}_fails"),
                &[Need::Alone],
                move || a_run_is_refused_when_it_fails(wall),
            )
            .test(&format!("faults::no_payload_runs_when_{wall}_fails"), &[], move || async move {
                no_payload_runs_when_it_fails(wall);
            })
            .test(
                &format!("faults::a_worker_killed_at_{wall}_leaves_nothing"),
                &[Need::Alone],
                move || a_worker_killed_at_it_leaves_nothing(wall),
            );
    }
    for wall in [Layer::Privileges, Layer::Rlimits, Layer::Seccomp] {
        let name = format!("faults::a_worker_that_left_out_{wall}_is_refused_from_outside");
        suite = suite.test(&name, &[Need::Alone], move || it_is_refused_from_outside(wall));
    }
    suite.run()
}

/// One run of a program that says something, with a worker of the test's choice.
async fn run_by(worker: &Path) -> Result<Outcome, Error> {
    let sandbox = sandbox("native").worker(worker).build().unwrap();
    sandbox.run(Source::program("/bin/echo").arg("the payload ran")).await
}

async fn a_run_is_refused_when_it_fails(wall: Layer) {
    let (_directory, worker) = walls_down_worker("failing", &[wall]);
    let before = Before::look();
    match run_by(&worker).await {
        Err(Error::Unenforceable { what, reason, .. }) => {
            assert_eq!(what, wall.name());
            assert_eq!(reason, "cannot raise the wall: a test made it fail");
        }
        other => panic!("{other:?}"),
    }
    before.unchanged().await;
}

fn no_payload_runs_when_it_fails(wall: Layer) {
    let (report, output) = run_failing(wall, Path::new("/bin/echo"), &["the payload ran"]);
    assert!(matches!(&report, Report::Refused(refusal) if refusal.layer == wall), "{report:?}");
    assert_eq!(output, "");
}

async fn a_worker_killed_at_it_leaves_nothing(wall: Layer) {
    let (_directory, worker) = walls_down_worker("dying", &[wall]);
    let before = Before::look();
    let result = run_by(&worker).await;
    assert!(matches!(result, Err(Error::Worker(..) | Error::Protocol(_))), "{result:?}");
    before.unchanged().await;
}

/// The worker says that everything stands; the supervisor looks for itself.
async fn it_is_refused_from_outside(wall: Layer) {
    let (_directory, worker) = walls_down_worker("without", &[wall]);
    let before = Before::look();
    match run_by(&worker).await {
        Err(Error::Unenforceable { what, reason, .. }) => {
            assert_eq!(what, wall.name());
            assert!(reason.contains("from outside"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    before.unchanged().await;
}

/// The error of a run whose worker is this program or script.
async fn fails_with(worker: PathBuf) -> Error {
    let before = Before::look();
    let error = run_by(&worker).await.expect_err("no worker");
    before.unchanged().await;
    error
}

async fn a_worker_that_is_missing_is_an_error() {
    let error = fails_with("/nonexistent/belljar-worker".into()).await;
    assert!(
        matches!(&error, Error::Worker(_, reason) if reason.kind() == std::io::ErrorKind::NotFound)
    );
    assert!(!error.may_retry());
}

async fn a_worker_that_is_not_executable_is_an_error() {
    let directory = scratch();
    let worker = directory.path().join("belljar-worker");
    fs::write(&worker, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&worker, Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(fails_with(worker).await, Error::Worker(..)));
}

async fn a_worker_that_exits_at_once_is_an_error() {
    assert!(matches!(fails_with("/bin/true".into()).await, Error::Worker(..)));
}

async fn the_walls_are_raised_in_the_declared_order() {
    let sandbox = sandbox("native").build().unwrap();
    let outcome = sandbox.run(Source::program("/bin/true")).await.unwrap();
    let raised: Vec<_> = outcome.receipt.layers.iter().map(|row| row.layer).collect();
    assert_eq!(raised, Layer::ALL);
}

/// The words of the code that leaves walls out are in the one binary and not in the other.
async fn walls_cannot_be_left_out_of_the_worker_that_ships() {
    let marker = b"a test made it fail";
    let has_it = |name: &str| {
        let binary = fs::read(belljar_tests::built(name)).unwrap();
        binary.windows(marker.len()).any(|window| window == marker)
    };
    assert!(has_it("walls-down-worker"));
    assert!(!has_it("belljar-worker"));
}

async fn a_jar_without_namespaces_or_root_cannot_be_had_at_all() {
    for wall in [Layer::Namespaces, Layer::Rootfs] {
        let (_directory, worker) = walls_down_worker("without", &[wall]);
        let result = run_by(&worker).await;
        assert!(matches!(&result, Err(Error::Unenforceable { what, .. }) if what == wall.name()));
    }
}
