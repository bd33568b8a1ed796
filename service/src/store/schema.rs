//! What the file looks like, and how one of an earlier belljar comes to look so.

use rusqlite::{Connection, TransactionBehavior};

/// `belj`, in the header of the file: a history, and no other database.
pub(super) const APPLICATION: i64 = 0x6265_6c6a;

/// Each brings a file from the version of its place to the next, and none is ever changed.
const STEPS: [&str; 1] = ["
    CREATE TABLE runs (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        tenant TEXT NOT NULL,
        runtime TEXT NOT NULL,
        status TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        started_ms INTEGER,
        ended_ms INTEGER,
        wall_ms REAL,
        labels TEXT NOT NULL,
        key TEXT,
        digest BLOB,
        is_problem INTEGER NOT NULL DEFAULT 0,
        answer_bytes INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE UNIQUE INDEX runs_by_key ON runs (tenant, key) WHERE key IS NOT NULL;
    CREATE INDEX runs_by_tenant ON runs (tenant, seq);
    CREATE INDEX runs_open ON runs (seq) WHERE ended_ms IS NULL;
    CREATE INDEX runs_answered ON runs (seq) WHERE answer_bytes > 0;
    CREATE TABLE answers (seq INTEGER PRIMARY KEY, answer TEXT NOT NULL) STRICT;
"];

/// What a file is, before anything is done to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Empty,
    History,
    /// Of a belljar to come.
    Newer(i64),
    /// Somebody else's.
    Foreign,
}

pub(super) fn kind(connection: &Connection) -> rusqlite::Result<Kind> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    let (application, version) = (number("application_id")?, number("user_version")?);
    Ok(match (application, version) {
        (0, 0) if objects == 0 => Kind::Empty,
        (APPLICATION, version) if version > newest() => Kind::Newer(version),
        (APPLICATION, _) => Kind::History,
        _ => Kind::Foreign,
    })
}

/// To be called before there is a table, as space that is given back has to be found again.
pub(super) fn mark(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")
}

/// Brings the file to the newest version, all or nothing.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = change.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for step in STEPS.iter().skip(usize::try_from(version).unwrap_or_default()) {
        change.execute_batch(step)?;
    }
    change.pragma_update(None, "application_id", APPLICATION)?;
    change.pragma_update(None, "user_version", newest())?;
    change.commit()
}

fn newest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}
