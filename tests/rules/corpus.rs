//! The programs of the corpora, and how many of them did what.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use belljar::{Mode, Outcome, Rules, Sandbox, Source, Warm};
use belljar_tests::sandbox;

/// A program, whose first line says what is expected of it.
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) first: String,
    pub(crate) text: String,
}

pub(crate) const STRICT: [Mode; 2] = [Mode::Restricted, Mode::Standard];
/// As many run at once.
const AT_ONCE: usize = 4;

static TABLE: Mutex<BTreeMap<(&str, &str, &str), usize>> = Mutex::new(BTreeMap::new());

pub(crate) fn programs(corpus: &str) -> Vec<Program> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules").join(corpus);
    let entries = fs::read_dir(&directory).expect("a corpus");
    let mut programs: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let text = fs::read_to_string(&path).expect("a program");
            let first = text.lines().next().unwrap_or_default().to_owned();
            let name = path.file_stem().and_then(|it| it.to_str()).expect("a name").to_owned();
            Program { name, first, text }
        })
        .collect();
    programs.sort_by(|a, b| a.name.cmp(&b.name));
    programs
}

pub(crate) fn rules(mode: Mode) -> Rules {
    Rules { mode, ..Rules::default() }
}

/// A sandbox that forks, without rules of its own: a run asks for its mode.
pub(crate) async fn warm() -> Sandbox {
    let warm = Warm::default().min(AT_ONCE).max(2 * AT_ONCE);
    let sandbox = sandbox("python").warm(warm).build().expect("a sandbox");
    sandbox.warm_up().await.expect("a pool");
    sandbox
}

/// What came of each, some at a time.
pub(crate) async fn run_all<F, T>(work: impl IntoIterator<Item = F>) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let room = std::sync::Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let tasks: Vec<_> = work
        .into_iter()
        .map(|work| {
            let room = std::sync::Arc::clone(&room);
            tokio::spawn(async move {
                let _room = room.acquire().await.expect("room");
                work.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.expect("a run"));
    }
    results
}

pub(crate) async fn run(sandbox: Sandbox, source: Source) -> Outcome {
    sandbox.run(source).await.expect("an outcome")
}

pub(crate) fn count(corpus: &'static str, mode: Mode, what: &'static str) {
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    *table.entry((corpus, mode.name(), what)).or_default() += 1;
}

pub(crate) fn print_table() {
    let table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    for ((corpus, mode, what), number) in table.iter() {
        println!("{corpus:<10} {mode:<12} {what:<28} {number:>5}");
    }
}
