use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use belljar::Error;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

const PLENTY: Retention =
    Retention { runs: 1_000_000, age: Duration::from_hours(1000), bytes: 1 << 30 };
const HOUR_MS: i64 = 3_600_000;

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state/history.sqlite");
    (directory, path)
}

fn open(path: &Path, retention: Retention) -> (Store, Vec<Row>) {
    Store::open(Some(path), retention).unwrap()
}

fn opening(id: &str) -> Opening {
    Opening {
        id: id.to_owned(),
        tenant: "ann".to_owned(),
        runtime: "python".to_owned(),
        created_ms: crate::json::time::now_ms(),
        labels: BTreeMap::new(),
        idempotency: None,
    }
}

async fn end(store: &Store, id: &str, ended_ms: i64, answer: &str) -> Result<(), Error> {
    store.end(id, "ok", false, Some(2.5), ended_ms, answer.to_owned()).await
}

async fn run(store: &Store, id: &str, answer: &str) {
    let opening = opening(id);
    let ended_ms = opening.created_ms;
    assert!(matches!(store.begin(opening).await.unwrap(), Opened::New));
    end(store, id, ended_ms, answer).await.unwrap();
}

async fn ids(store: &Store, query: Query) -> Vec<String> {
    let limit = if query.limit == 0 { 100 } else { query.limit };
    let rows = store.list(Query { limit, ..query }).await.unwrap();
    rows.into_iter().map(|row| row.id).collect()
}

/// Until what is behind the answers is done.
async fn eventually(mut is_true: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if is_true().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never happened");
}

#[tokio::test]
async fn a_run_is_found_as_it_was_entered() {
    let (_directory, path) = place();
    for path in [Some(path.as_path()), None] {
        let (store, lost) = Store::open(path, PLENTY).unwrap();
        assert_eq!(lost, []);
        let labels = BTreeMap::from([("team\"'".to_owned(), "ä".to_owned())]);
        store.begin(Opening { labels: labels.clone(), ..opening("one") }).await.unwrap();
        let row = store.find(Some("ann"), "one").await.unwrap().unwrap();
        assert_eq!((row.status.as_str(), row.ended_ms, row.answer), ("queued", None, None));
        store.started("one", 7);
        store.end("one", "memory", true, Some(1.5), 9, "{\"a\":1}".to_owned()).await.unwrap();
        let row = store.find(None, "one").await.unwrap().unwrap();
        assert_eq!((row.status.as_str(), row.is_problem, row.labels), ("memory", true, labels));
        assert_eq!((row.started_ms, row.ended_ms, row.wall_ms), (Some(7), Some(9), Some(1.5)));
        assert_eq!(row.answer.as_deref(), Some("{\"a\":1}"));
        assert_eq!(store.find(Some("bob"), "one").await.unwrap(), None);
        assert_eq!(store.find(None, "two").await.unwrap(), None);
        let error = end(&store, "one", 10, "again").await.unwrap_err();
        assert!(error.to_string().contains("no such open run"), "{error}");
        assert!(end(&store, "two", 10, "never").await.is_err());
        assert!(store.begin(opening("one")).await.is_err(), "an id was used twice");
        store.close().await;
        assert!(store.begin(opening("three")).await.is_err(), "it is closed");
    }
}

#[tokio::test]
async fn lists_are_of_one_tenant_the_newest_first_and_page_by_page() {
    let (store, _) = Store::open(None, PLENTY).unwrap();
    for number in 0..6 {
        let mut opening = opening(&format!("r{number}"));
        if number % 2 == 1 {
            opening.labels.insert("k".to_owned(), "v".to_owned());
            opening.runtime = "node".to_owned();
        }
        if number == 5 {
            opening.tenant = "bob".to_owned();
        }
        store.begin(opening).await.unwrap();
    }
    end(&store, "r1", 5, "{}").await.unwrap();
    let ann = Query { tenant: Some("ann".to_owned()), ..Query::default() };
    assert_eq!(ids(&store, Query::default()).await, ["r5", "r4", "r3", "r2", "r1", "r0"]);
    assert_eq!(ids(&store, Query { limit: 2, ..ann.clone() }).await, ["r4", "r3"]);
    let before = Some("r3".to_owned());
    assert_eq!(ids(&store, Query { limit: 2, before, ..ann.clone() }).await, ["r2", "r1"]);
    let label = Some(("k".to_owned(), "v".to_owned()));
    assert_eq!(ids(&store, Query { label, ..ann.clone() }).await, ["r3", "r1"]);
    let status = Some("ok".to_owned());
    assert_eq!(ids(&store, Query { status, ..ann.clone() }).await, ["r1"]);
    let runtime = Some("node".to_owned());
    assert_eq!(ids(&store, Query { runtime, ..ann.clone() }).await, ["r3", "r1"]);
    let injected = Some("' OR 1=1 --".to_owned());
    assert_eq!(ids(&store, Query { status: injected, ..ann }).await, [""; 0]);
}

#[tokio::test]
async fn a_key_stands_for_one_request_of_one_tenant_while_the_run_is_kept() {
    let one = Retention { runs: 1, ..PLENTY };
    let (store, _) = Store::open(None, PLENTY).unwrap();
    let keyed = |id: &str, digest: u8| Opening {
        idempotency: Some(("key".to_owned(), [digest; 32])),
        ..opening(id)
    };
    assert!(matches!(store.begin(keyed("a", 1)).await.unwrap(), Opened::New));
    // Both at once, and before anything is written.
    let (again, other) = tokio::join!(store.begin(keyed("b", 1)), store.begin(keyed("c", 2)));
    assert!(matches!(again.unwrap(), Opened::Known(row) if row.id == "a"));
    assert!(matches!(other.unwrap(), Opened::Different));
    let bob = Opening { tenant: "bob".to_owned(), ..keyed("d", 2) };
    assert!(matches!(store.begin(bob).await.unwrap(), Opened::New));
    end(&store, "a", 5, "{\"ok\":1}").await.unwrap();
    let known = store.begin(keyed("e", 1)).await.unwrap();
    assert!(
        matches!(known, Opened::Known(row) if row.answer.as_deref() == Some("{\"ok\":1}")),
        "an answer comes with the run"
    );
    store.retain(one);
    eventually(async || store.find(None, "a").await.unwrap().is_none()).await;
    assert!(matches!(store.begin(keyed("f", 2)).await.unwrap(), Opened::New));
}

#[tokio::test]
async fn of_many_that_come_at_once_with_one_key_one_is_new() {
    let (_directory, path) = place();
    let (store, _) = open(&path, PLENTY);
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..400 {
        let store = store.clone();
        let idempotency = Some((format!("k{}", number % 4), [1; 32]));
        let opening = Opening { idempotency, ..opening(&format!("r{number}")) };
        asking.spawn(async move { store.begin(opening).await.unwrap() });
    }
    let opened = asking.join_all().await;
    let new = opened.iter().filter(|opened| matches!(opened, Opened::New)).count();
    assert_eq!((opened.len(), new, ids(&store, Query::default()).await.len()), (400, 4, 4));
}

#[tokio::test]
async fn two_services_never_share_a_file() {
    let (_directory, path) = place();
    let (first, _) = open(&path, PLENTY);
    run(&first, "one", "{}").await;
    let error = Store::open(Some(&path), PLENTY).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    assert!(error.to_string().contains("another service has the history"), "{error}");
    first.close().await;
    assert_eq!(fs::metadata(path.with_extension("sqlite-wal")).map_or(0, |it| it.len()), 0);
    let (second, lost) = open(&path, PLENTY);
    assert_eq!((lost.len(), ids(&second, Query::default()).await.len()), (0, 1));
}

#[tokio::test]
async fn nobody_else_reads_a_history() {
    let (_directory, path) = place();
    let (store, _) = open(&path, PLENTY);
    run(&store, "one", "{}").await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

/// This test is its own victim: started with a place, it enters runs until it is killed.
#[tokio::test]
async fn what_was_begun_survives_a_kill_and_is_lost() {
    const VICTIM: &str = "BELLJAR_TEST_HISTORY";
    const NAME: &str = "store::tests::what_was_begun_survives_a_kill_and_is_lost";
    if let Some(path) = std::env::var_os(VICTIM) {
        let (store, _) = open(Path::new(&path), PLENTY);
        for number in 0.. {
            let id = format!("r{number}");
            store.begin(opening(&id)).await.unwrap();
            if number == 0 {
                store.started(&id, 1);
            }
            if number == 1 {
                end(&store, &id, crate::json::now_ms(), "{}").await.unwrap();
            }
            writeln!(io::stderr(), "begun {id}").unwrap();
        }
    }
    let (_directory, path) = place();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(VICTIM, &path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stderr.take().unwrap()).lines();
    let begun = |line: &String| line.starts_with("begun ");
    let mut seen = lines.by_ref().map(Result::unwrap).filter(begun).take(300).count();
    victim.kill().unwrap();
    seen += lines.map_while(Result::ok).filter(begun).count();
    victim.wait().unwrap();

    let (store, lost) = open(&path, PLENTY);
    // One more may have been entered than was told.
    assert!(seen >= 300 && (seen - 1..=seen).contains(&lost.len()), "{seen} {}", lost.len());
    assert!(lost.iter().all(|row| row.status == "lost" && row.id != "r1"));
    let told = |id: &str| lost.iter().find(|row| row.id == id).unwrap().answer.clone().unwrap();
    assert!(told("r0").contains("died while it ran"));
    let outcome: crate::json::Outcome = serde_json::from_str(&told("r2")).unwrap();
    assert_eq!((outcome.status.as_ref(), outcome.id.as_str()), ("lost", "r2"));
    assert!(outcome.receipt.layers.is_empty());
    let row = store.find(None, "r2").await.unwrap().unwrap();
    assert_eq!(Some(told("r2")), row.answer);
    assert_eq!(store.find(None, "r1").await.unwrap().unwrap().status, "ok");
    store.close().await;
    assert_eq!(open(&path, PLENTY).1, [], "they were lost twice");
}

#[test]
fn what_is_no_history_is_refused_and_left_alone() {
    let refusal = |make: &dyn Fn(&Path)| {
        let (_directory, path) = place();
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::set_permissions(path.parent().unwrap(), Permissions::from_mode(0o700)).unwrap();
        make(&path);
        let before = fs::read(&path).ok();
        let error = Store::open(Some(&path), PLENTY).unwrap_err().to_string();
        assert_eq!(fs::read(&path).ok(), before);
        error
    };
    let sql = |path: &Path, sql: &str| Connection::open(path).unwrap().execute_batch(sql).unwrap();
    let error = refusal(&|path| fs::write(path, [b'x'; 5000]).unwrap());
    assert!(error.contains("it is no database"), "{error}");
    let error = refusal(&|path| sql(path, "CREATE TABLE contacts (name)"));
    assert!(error.contains("another program"), "{error}");
    let newer = format!("PRAGMA application_id={}; PRAGMA user_version=99", schema::APPLICATION);
    let error = refusal(&|path| sql(path, &newer));
    assert!(error.contains("newer belljar (version 99)"), "{error}");
    let error = refusal(&|path| {
        fs::set_permissions(path.parent().unwrap(), Permissions::from_mode(0o777)).unwrap();
    });
    assert!(error.contains("others may write"), "{error}");
    let unwritable = Store::open(Some(Path::new("/proc/nowhere/h.sqlite")), PLENTY);
    let error = unwritable.unwrap_err().to_string();
    assert!(error.contains("cannot make the directory /proc/nowhere"), "{error}");
    let error = refusal(&|path| fs::create_dir(path).unwrap());
    assert!(error.contains("cannot open the history"), "{error}");
    let error = refusal(&|path| std::os::unix::fs::symlink("/dev/null", path).unwrap());
    assert!(error.contains("cannot open the history"), "{error}");
}

#[tokio::test]
async fn a_damaged_history_is_refused_with_what_to_do() {
    let (_directory, path) = place();
    let (store, _) = open(&path, PLENTY);
    for number in 0..200 {
        run(&store, &format!("r{number}"), &"{}".repeat(2000)).await;
    }
    store.close().await;
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 8192 * 4096;
    bytes[middle..middle + 40_960].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let error = Store::open(Some(&path), PLENTY).unwrap_err().to_string();
    assert!(error.contains("it is damaged: move it"), "{error}");
}

#[tokio::test]
async fn where_there_is_no_room_no_run_begins_and_ends_are_kept() {
    let (_directory, path) = place();
    let file = file::open(&path).unwrap();
    // What a full disk is to a database: it gets no more pages.
    file.connection.pragma_update_and_check(None, "max_page_count", 40, |_| Ok(())).unwrap();
    let writer = Shared::new(file, PLENTY);
    let changes = Line::new("full", writer.clone()).unwrap();
    let store = Store { writer, questions: changes.clone(), changes };
    store.begin(opening("early")).await.unwrap();
    let mut begun = 0;
    let error = loop {
        match store.begin(opening(&format!("{begun:0>1000}"))).await {
            Ok(_) => begun += 1,
            Err(error) => break error,
        }
    };
    assert!(begun > 10, "{begun}");
    assert!(error.to_string().contains("the run was refused"), "{error}");
    let is_full = |reason: &io::Error| reason.kind() == io::ErrorKind::StorageFull;
    assert!(matches!(&error, Error::Internal(_, reason) if is_full(reason)), "{error:?}");
    // There is no room for the answer, but for the status.
    end(&store, "early", 1, &"x".repeat(100_000)).await.unwrap();
    let row = store.find(None, "early").await.unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.answer), ("ok", None));
}

#[tokio::test]
async fn the_oldest_go_first_and_open_runs_stay() {
    let (store, _) = Store::open(None, Retention { runs: 10, ..PLENTY }).unwrap();
    store.begin(opening("open")).await.unwrap();
    for number in 0..500 {
        run(&store, &format!("r{number}"), "{}").await;
    }
    eventually(async || ids(&store, Query::default()).await.len() == 10).await;
    let left = ids(&store, Query::default()).await;
    assert_eq!((left[0].as_str(), left[8].as_str(), left[9].as_str()), ("r499", "r491", "open"));

    store.retain(Retention { runs: 10, bytes: 1000, ..PLENTY });
    for number in 500..505 {
        run(&store, &format!("r{number}"), &"x".repeat(400)).await;
    }
    let answered = async |id: &str| store.find(None, id).await.unwrap().unwrap().answer.is_some();
    eventually(async || !answered("r502").await).await;
    assert!(answered("r504").await && answered("r503").await);
    run(&store, "large", &"x".repeat(1001)).await;
    assert!(!answered("large").await && answered("r504").await, "it would drive out all others");

    run(&store, "new", "{}").await;
    let old = Opening { created_ms: 0, ..opening("old") };
    store.begin(old).await.unwrap();
    end(&store, "old", crate::json::time::now_ms() - 2 * HOUR_MS, "{}").await.unwrap();
    store.retain(Retention { age: Duration::from_hours(1), ..PLENTY });
    tokio::time::sleep(Duration::from_millis(1100)).await;
    run(&store, "newer", "{}").await;
    eventually(async || store.find(None, "old").await.unwrap().is_none()).await;
    assert!(answered("new").await);
    assert!(store.find(None, "open").await.unwrap().is_some());
}

#[tokio::test]
async fn the_file_becomes_no_larger_than_what_is_kept() {
    const MIB: u64 = 1 << 20;
    let (_directory, path) = place();
    let (store, _) = open(&path, Retention { runs: 1000, bytes: 8 * MIB, ..PLENTY });
    for number in 0..300 {
        run(&store, &format!("r{number}"), &"x".repeat(200_000)).await;
    }
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    let most = 8 * MIB + 6 * MIB;
    assert!(bytes(&path) < 2 * most, "{}", bytes(&path));
    store.retain(Retention { runs: 10, bytes: MIB, ..PLENTY });
    run(&store, "last", "{}").await;
    let watcher = file::reader(&path).unwrap().connection;
    let free = || watcher.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0));
    eventually(async || free().unwrap() <= 1024 && bytes(&path) > 0).await;
    eventually(async || ids(&store, Query::default()).await.len() == 10).await;
    drop(watcher);
    store.close().await;
    assert!(bytes(&path) < 8 * MIB, "{}", bytes(&path));
}
