use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use belljar::{Chunk, Limits, Outcome, Run, Sandbox, SandboxBuilder, Source, State, Verdict, Warm};

/// A sandbox with the worker that was built with the tests.
pub fn sandbox(runtime: &str) -> SandboxBuilder {
    Sandbox::builder(runtime).limits(limits())
}

/// The default limits, but a test that hangs ends sooner.
pub fn limits() -> Limits {
    Limits { wall: Duration::from_secs(20), cpu: Duration::from_secs(20), ..Limits::strict() }
}

/// Runs a source to its end.
pub async fn run(runtime: &str, source: impl Into<Source>) -> Outcome {
    run_with(runtime, limits(), source).await
}

/// Runs a source to its end under limits of its own.
pub async fn run_with(runtime: &str, limits: Limits, source: impl Into<Source>) -> Outcome {
    let sandbox = sandbox(runtime).limits(limits).build().expect("a sandbox");
    sandbox.run(source).await.expect("an outcome")
}

/// Runs a source that its wall clock cuts off after it said `ready`. Where that did not come in
/// time it is run once more, and given ten times as much.
pub async fn run_out(runtime: &str, wall: Duration, source: impl Into<Source>) -> Outcome {
    let source = source.into();
    for wall in [wall, 10 * wall] {
        let limits = Limits { wall, cpu: Duration::from_mins(1), ..limits() };
        let outcome = run_with(runtime, limits, source.clone()).await;
        expect(&outcome, "wall_time");
        if stdout(&outcome) == "ready\n" {
            return outcome;
        }
    }
    panic!("it was never ready");
}

/// Runs Python code that must succeed; what it printed.
pub async fn python(source: impl Into<Source>) -> String {
    let outcome = run("python", source).await;
    expect(&outcome, "ok");
    stdout(&outcome)
}

/// Runs a script of bash that must succeed; what it printed.
pub async fn bash(source: impl Into<Source>) -> String {
    let outcome = run("bash", source).await;
    expect(&outcome, "ok");
    stdout(&outcome)
}

/// Starts code, and waits until it says `ready` on a line of its own.
pub async fn ready(sandbox: &Sandbox, source: impl Into<Source>) -> Run {
    let mut run = sandbox.start(source).await.expect("a run");
    let mut said = Vec::new();
    while !said.ends_with(b"ready\n") {
        match run.output().await {
            Some(Chunk::Stdout(bytes)) => said.extend(bytes),
            other => panic!("{other:?} before it was ready"),
        }
    }
    run
}

/// Standard output as text.
pub fn stdout(outcome: &Outcome) -> String {
    String::from_utf8_lossy(&outcome.stdout.bytes).into_owned()
}

/// Standard error as text.
pub fn stderr(outcome: &Outcome) -> String {
    String::from_utf8_lossy(&outcome.stderr.bytes).into_owned()
}

/// Fails, with all there is to know, unless the run ended with this status.
pub fn expect(outcome: &Outcome, status: &str) {
    let shown = |text: String| text.chars().take(2000).collect::<String>();
    assert!(
        outcome.verdict.status() == status,
        "expected {status}, got {:?}\nusage: {:?}\ndenials: {:?}\nstdout: {}\nstderr: {}",
        outcome.verdict,
        outcome.usage,
        outcome.denials,
        shown(stdout(outcome)),
        shown(stderr(outcome)),
    );
}

/// Fails unless the run ended for want of memory.
///
/// Where no cgroup counts it, a program that outruns the looks at it meets `RLIMIT_DATA` first, and
/// ends as its interpreter does then: the receipt calls such a limit degraded.
pub fn expect_memory(outcome: &Outcome) {
    let refused = match outcome.verdict {
        Verdict::Signalled { signal } => signal == nix::libc::SIGABRT,
        Verdict::Exited { .. } => {
            let said = stderr(outcome);
            ["MemoryError", "memory exhausted", "annot allocate memory"]
                .iter()
                .any(|end| said.contains(end))
        }
        _ => false,
    };
    if !refused || is_memory_counted(outcome) {
        expect(outcome, "memory");
    }
}

/// Whether a cgroup counted the memory of a run.
pub fn is_memory_counted(outcome: &Outcome) -> bool {
    let row = outcome.receipt.limits.iter().find(|row| row.limit == "memory_bytes");
    row.expect("every limit in the receipt").state == State::Enforced
}

/// A program that was built with the tests.
pub fn built(name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("the running test");
    let places = here.ancestors().skip(1).take(2).map(|place| place.join(name));
    let mut found = places.filter(|place| place.is_file());
    found.next().unwrap_or_else(|| panic!("{name} is not built: run cargo build first"))
}

/// A directory for the files of a test, that every user can enter. Removed when dropped.
pub fn scratch() -> tempfile::TempDir {
    let scratch = tempfile::Builder::new().prefix("scratch-").tempdir().expect("a directory");
    read_by_all(scratch.path());
    scratch
}

/// Lets the user id of a run read a file, or enter a directory.
pub fn read_by_all(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("its own file");
}

/// The virtual environment that `BELLJAR_TEST_VENV` names.
pub(crate) fn venv() -> Option<PathBuf> {
    let venv = PathBuf::from(std::env::var_os("BELLJAR_TEST_VENV")?);
    venv.join("pyvenv.cfg").is_file().then_some(venv)
}

/// Whether a program is installed.
pub(crate) fn in_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
}

/// Where the programs of a `PostgreSQL` server are: Debian keeps them out of the path.
pub fn postgres() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = versions.map(|version| version.path().join("bin"));
    let mut places = places.chain(std::env::split_paths(&path));
    places.find(|place| place.join("postgres").is_file() && place.join("initdb").is_file())
}

/// Whether a server of ssh could be started, and would log in without a word: it complains about
/// users without a home. Root's needs an empty directory that is nobody else's.
pub(crate) fn sshd(root: bool) -> bool {
    let is_installed = in_path("ssh") && Path::new("/usr/sbin/sshd").is_file();
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid());
    let is_at_home = user.is_ok_and(|user| user.is_some_and(|user| user.dir.is_dir()));
    is_installed && is_at_home && (!root || Path::new("/run/sshd").is_dir())
}

/// One run, so that later ones find open what all of them share.
pub(crate) async fn warm_up() {
    if let Ok(sandbox) = sandbox("native").build() {
        // A failure is for the tests to run into.
        drop(sandbox.run(Source::program("/bin/true")).await);
    }
    if let Ok(sandbox) = sandbox("js").warm(Warm::default().min(1)).build() {
        drop(sandbox.warm_up().await);
        sandbox.close().await;
    }
}
