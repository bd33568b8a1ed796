//! The programs of the corpora, and how many of them did what.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use belljar::{Language, Mode, Outcome, Rules, Sandbox, Source, SourceFile, Warm};
use belljar_tests::sandbox;
use tokio::sync::Semaphore;

/// A program, and what is expected of it.
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) language: Language,
    /// The strict modes that admit it; of an attack, those whose check refuses it.
    pub(crate) modes: Vec<Mode>,
    pub(crate) runtimes: Vec<&'static str>,
    pub(crate) text: String,
}

pub(crate) const STRICT: [Mode; 2] = [Mode::Restricted, Mode::Standard];
/// As many run at once.
const AT_ONCE: usize = 4;

type Row = (&'static str, String, &'static str, &'static str);

static TABLE: Mutex<BTreeMap<Row, usize>> = Mutex::new(BTreeMap::new());

impl Program {
    pub(crate) fn source(&self) -> Source {
        match self.language {
            Language::TypeScript => {
                let bytes = self.text.clone().into_bytes();
                Source::files(vec![SourceFile { path: "main.ts".into(), bytes }], "main.ts")
            }
            _ => Source::code(self.text.as_str()),
        }
    }
}

/// The programs of one language: Python's are files, the others stand in one.
pub(crate) fn programs(corpus: &str, language: Language) -> Vec<Program> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules").join(corpus);
    match language {
        Language::Python => files(&corpus.join("python")),
        Language::JavaScript => {
            parts(&corpus.join("javascript.js"), Language::JavaScript, &["node", "js"])
        }
        Language::TypeScript => {
            parts(&corpus.join("typescript.ts"), Language::TypeScript, &["node", "js"])
        }
        Language::Bash => parts(&corpus.join("bash.sh"), Language::Bash, &["bash"]),
    }
}

/// The first line of each says which modes admit it, `# modes: standard`, or who refuses it:
/// `# caught: static`, `# caught: running`, or, where it is one in mode restricted and the other in
/// mode standard, `# caught: static running`.
fn files(directory: &Path) -> Vec<Program> {
    let entries = fs::read_dir(directory).expect("a corpus");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let program = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a program");
        let first = text.lines().next().unwrap_or_default();
        let modes = match first.split_once("caught:") {
            Some((_, words)) => {
                let words: Vec<_> = words.split_whitespace().collect();
                let by = [words.first(), words.last()];
                let of = STRICT.into_iter().zip(by);
                of.filter(|(_, by)| *by == Some(&"static")).map(|(mode, _)| mode).collect()
            }
            None => modes(first.strip_prefix("# modes:").expect("modes")),
        };
        let name = path.file_stem().and_then(|it| it.to_str()).expect("a name").to_owned();
        Program { name, language: Language::Python, modes, runtimes: vec!["python"], text }
    };
    paths.into_iter().map(program).collect()
}

/// Each begins behind a line with its name; what that leaves open holds for all of the language.
fn parts(path: &Path, language: Language, known: &[&'static str]) -> Vec<Program> {
    let all = fs::read_to_string(path).expect("a corpus");
    let program = |part: &str| {
        let (first, text) = part.split_once('\n').expect("a program");
        let (first, runtimes) = first.split_once(" runtimes:").unwrap_or((first, ""));
        let (name, words) = first.split_once(" modes:").unwrap_or((first, "restricted standard"));
        let runs = |runtime: &&str| runtimes.is_empty() || has(runtimes, runtime);
        Program {
            name: name.to_owned(),
            language,
            modes: modes(words),
            runtimes: known.iter().copied().filter(runs).collect(),
            text: text.to_owned(),
        }
    };
    all.strip_prefix("//// ").expect("a first line").split("\n//// ").map(program).collect()
}

fn modes(words: &str) -> Vec<Mode> {
    STRICT.into_iter().filter(|mode| has(words, mode.name())).collect()
}

fn has(words: &str, word: &str) -> bool {
    words.split_whitespace().any(|it| it == word)
}

pub(crate) fn rules(mode: Mode) -> Rules {
    Rules { mode, ..Rules::default() }
}

/// A sandbox of Python that forks, without rules of its own: a run asks for its mode.
pub(crate) async fn warm() -> Sandbox {
    let warm = Warm::default().min(AT_ONCE).max(2 * AT_ONCE);
    let sandbox = sandbox("python").warm(warm).build().expect("a sandbox");
    sandbox.warm_up().await.expect("a pool");
    sandbox
}

/// What came of each, some at a time.
pub(crate) async fn run_all<F, T>(work: Vec<F>) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let tasks: Vec<_> = work
        .into_iter()
        .map(|work| {
            let room = Arc::clone(&room);
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

pub(crate) fn count(corpus: &'static str, program: &Program, mode: Mode, what: &'static str) {
    let language = format!("{:?}", program.language);
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    *table.entry((corpus, language, mode.name(), what)).or_default() += 1;
}

#[expect(clippy::print_stdout, reason = "a table is for people who read what a test says")]
pub(crate) fn print_table() {
    let table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    for ((corpus, language, mode, what), number) in table.iter() {
        println!("{corpus:<10} {language:<12} {mode:<12} {what:<28} {number:>5}");
    }
}
