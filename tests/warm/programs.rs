//! A jar that waits is for one program, as it was installed, and for what of the host it shows.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use belljar::{Sandbox, Source, Start, Warm};
use belljar_tests::{Test, built, expect, limits, read_by_all, sandbox, scratch, stdout, tests};

use crate::faults;
use crate::kinds::{self, JAR};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_keeper_that_was_started_for_another_program_serves_nobody(),
        a_jar_that_is_raised_while_the_program_changes_serves_nobody(),
        programs_that_take_turns_are_never_taken_for_each_other(),
        a_program_that_was_replaced_is_not_run_any_more(),
        a_directory_that_was_replaced_is_not_shown_any_more(Bash),
        a_program_finds_the_files_of_its_runtime(),
    ]
}

/// The same argument, and two answers: which of them ran is seen.
fn echo() -> Source {
    Source::program("/bin/echo").arg("a/b")
}

fn basename() -> Source {
    Source::program("/usr/bin/basename").arg("a/b")
}

const ECHOED: &str = "a/b\n";
const BASENAME: &str = "b\n";

async fn printed(sandbox: &Sandbox, source: Source) -> (String, Start) {
    let outcome = sandbox.run(source).await.unwrap();
    expect(&outcome, "ok");
    (stdout(&outcome), outcome.start)
}

/// Whatever waits, now and once all has settled, is for the program that is asked for.
async fn only_basename_runs(sandbox: &Sandbox) {
    assert_eq!(printed(sandbox, basename()).await.0, BASENAME);
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        sandbox.warm_up().await.unwrap();
        let (said, start) = printed(sandbox, basename()).await;
        assert_eq!(said, BASENAME, "{}: {:?}", start.name(), sandbox.warmth());
        if start == Start::Jar {
            return;
        }
        assert!(Instant::now() < until, "it was never warm: {:?}", sandbox.warmth());
    }
}

/// A worker that tells that it was started, and waits for a word to begin.
struct HeldUp {
    directory: tempfile::TempDir,
    worker: PathBuf,
}

impl HeldUp {
    fn new() -> Self {
        let directory = scratch();
        let [worker, started, word] =
            ["worker", "started", "word"].map(|name| directory.path().join(name));
        let (started, word) = (started.display(), word.display());
        let shipped = built("belljar-worker");
        let text = format!(
            "#!/bin/sh\necho >>{started}\nuntil [ -e {word} ]; do /bin/sleep 0.01; done\nexec {}\n",
            shipped.display()
        );
        faults::install(&worker, text.as_bytes());
        Self { directory, worker }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Waits until so many were started.
    async fn started(&self, count: usize) {
        let until = Instant::now() + Duration::from_secs(8);
        while fs::read(self.at("started")).map_or(0, |lines| lines.len()) < count {
            assert!(Instant::now() < until, "there were never {count} workers");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn let_go(&self) {
        fs::write(self.at("word"), "").unwrap();
    }
}

async fn a_keeper_that_was_started_for_another_program_serves_nobody() {
    let held_up = HeldUp::new();
    let builder = sandbox("native").worker(&held_up.worker).warm(Warm::default().min(2).max(2));
    let sandbox = builder.build().unwrap();
    let start = |source: Source| {
        let sandbox = sandbox.clone();
        tokio::spawn(async move { printed(&sandbox, source).await })
    };
    let first = start(echo());
    // Its own worker, and the keeper that is started for it.
    held_up.started(2).await;
    let second = start(basename());
    held_up.started(3).await;
    held_up.let_go();
    assert_eq!(first.await.unwrap(), (ECHOED.to_owned(), Start::Cold));
    assert_eq!(second.await.unwrap(), (BASENAME.to_owned(), Start::Cold));
    only_basename_runs(&sandbox).await;
    sandbox.close().await;
}

async fn a_jar_that_is_raised_while_the_program_changes_serves_nobody() {
    for _ in 0..4 {
        let sandbox = sandbox("native").warm(Warm::default().min(6).max(6)).build().unwrap();
        let first = sandbox.clone();
        let first = tokio::spawn(async move { printed(&first, echo()).await });
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let warmth = sandbox.warmth().unwrap();
            // All of them may have been raised between two looks: then this round shows less.
            if warmth.raising > 0 || warmth.ready == 6 {
                break;
            }
            assert!(Instant::now() < until, "{warmth:?}");
            tokio::task::yield_now().await;
        }
        only_basename_runs(&sandbox).await;
        assert_eq!(first.await.unwrap().0, ECHOED);
        sandbox.close().await;
    }
}

async fn programs_that_take_turns_are_never_taken_for_each_other() {
    let sandbox = sandbox("native").warm(Warm::default().min(2).max(4)).build().unwrap();
    let turns = (0..48_u64).map(|number| {
        let sandbox = sandbox.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(number * 15)).await;
            // Three of each in a row, so that some find what waits for them.
            let (source, wanted) =
                if number % 6 < 3 { (echo(), ECHOED) } else { (basename(), BASENAME) };
            let (said, start) = printed(&sandbox, source).await;
            (said != wanted).then(|| format!("{number}: {said:?} from {}", start.name()))
        })
    });
    let mut wrong = Vec::new();
    for turn in turns.collect::<Vec<_>>() {
        wrong.extend(turn.await.unwrap());
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    only_basename_runs(&sandbox).await;
    sandbox.close().await;
}

async fn a_program_that_was_replaced_is_not_run_any_more() {
    let directory = scratch();
    let path = directory.path().join("program");
    let put = |original: &Path| faults::install(&path, &fs::read(original).unwrap());
    // The one prints many names, the other the file backwards.
    let source = || Source::program(&path).arg("list").file("list", "one\n");
    put(&built("belljar-attacker"));
    let sandbox = sandbox("native").warm(Warm::default().min(2).max(2)).build().unwrap();
    assert!(printed(&sandbox, source()).await.0.lines().count() > 80);
    sandbox.warm_up().await.unwrap();
    let (said, start) = printed(&sandbox, source()).await;
    assert!(said.lines().count() > 80 && start == Start::Jar, "{}: {said}", start.name());
    // Another jar waits still.
    put(Path::new("/usr/bin/rev"));
    // At once: whoever has built a program runs it in the next moment.
    assert_eq!(printed(&sandbox, source()).await.0, "eno\n");
    sandbox.warm_up().await.unwrap();
    assert_eq!(printed(&sandbox, source()).await, ("eno\n".to_owned(), Start::Jar));
    sandbox.close().await;
}

async fn a_directory_that_was_replaced_is_not_shown_any_more() {
    let place = tempfile::Builder::new().prefix("shown-").tempdir_in("/var/tmp").unwrap();
    let shown = place.path().join("shown");
    let make = |text: &str| {
        fs::create_dir(&shown).unwrap();
        fs::write(shown.join("text"), text).unwrap();
        [place.path(), &shown, &shown.join("text")].into_iter().for_each(read_by_all);
    };
    make("one\n");
    let builder = sandbox("bash").read_only(&shown).warm(Warm::default().min(2).max(2));
    let sandbox = builder.build().unwrap();
    let source = || Source::code("cat $1/text").arg(shown.to_str().unwrap());
    let outcome = JAR.run(&sandbox, source()).await;
    assert_eq!(stdout(&outcome), "one\n");
    // What comes into it is seen, and no reason to start anew.
    fs::write(shown.join("more"), "").unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(printed(&sandbox, source()).await.0, "one\n");
    assert_eq!(sandbox.warmth().unwrap().generation, 1);
    fs::rename(&shown, place.path().join("aside")).unwrap();
    make("two\n");
    tokio::time::sleep(Duration::from_millis(100)).await;
    for _ in 0..3 {
        assert_eq!(printed(&sandbox, source()).await.0, "two\n");
    }
    assert_eq!(stdout(&JAR.run(&sandbox, source()).await), "two\n");
    sandbox.close().await;
}

async fn a_program_finds_the_files_of_its_runtime() {
    let files = "\n[files]\n\"/run/belljar/given\" = { text = 'given' }\n".to_owned();
    let runtime = kinds::described("native", &[("delivery = \"files\"\n", files)]);
    let builder = Sandbox::builder(runtime).limits(limits());
    let sandbox = builder.warm(Warm::default().min(2).max(2)).build().unwrap();
    let source = || Source::program("/bin/cat").arg("/run/belljar/given");
    assert_eq!(printed(&sandbox, source()).await, ("given".to_owned(), Start::Cold));
    sandbox.warm_up().await.unwrap();
    assert_eq!(printed(&sandbox, source()).await, ("given".to_owned(), Start::Jar));
    sandbox.close().await;
}
