//! Single changes, within somebody else's transaction.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::work::Work;
use super::{Ending, Opened, Opening, read};

/// What a change came to, once it is in the log.
pub(super) enum Done {
    Nothing,
    Begun(Opened),
    /// An answer of so many bytes is kept.
    Ended(u64),
    /// There is no such open run.
    Missing,
}

/// Answers of more than `most_bytes` are left out.
pub(super) fn apply(
    connection: &Connection,
    work: &Work,
    most_bytes: u64,
) -> rusqlite::Result<Done> {
    match work {
        Work::Begin(opening, _) => begin(connection, opening).map(Done::Begun),
        Work::Withdraw(id, _) => withdraw(connection, id),
        Work::Started(id, started_ms) => start(connection, id, *started_ms),
        Work::End(ending, _) => end(connection, ending, most_bytes),
        _ => Ok(Done::Nothing),
    }
}

pub(super) fn end(
    connection: &Connection,
    ending: &Ending,
    most_bytes: u64,
) -> rusqlite::Result<Done> {
    let bytes = u64::try_from(ending.answer.len()).unwrap_or(u64::MAX);
    let kept_bytes = if bytes > most_bytes { 0 } else { bytes };
    // To the millisecond, if nobody said when it started.
    #[expect(clippy::cast_possible_truncation, reason = "a cast from float saturates")]
    let started_ms = ending.wall_ms.map(|wall_ms| ending.ended_ms.saturating_sub(wall_ms as i64));
    let mut update = connection.prepare_cached(
        // A key stands for an outcome: where there is none, whoever asks again is not told of
        // a reason that has passed.
        "UPDATE runs SET status = ?2, is_problem = ?3, wall_ms = ?4, ended_ms = ?5,
             started_ms = coalesce(started_ms, ?6), answer_bytes = ?7,
             key = CASE WHEN ?3 THEN NULL ELSE key END
         WHERE id = ?1 AND ended_ms IS NULL RETURNING seq",
    )?;
    let Ending { id, status, is_problem, wall_ms, ended_ms, .. } = ending;
    let row =
        params![id, status, is_problem, wall_ms, ended_ms, started_ms, kept_bytes.cast_signed()];
    let seq: Option<i64> = update.query_row(row, |row| row.get(0)).optional()?;
    let Some(seq) = seq else { return Ok(Done::Missing) };
    if kept_bytes > 0 {
        let mut insert =
            connection.prepare_cached("INSERT INTO answers (seq, answer) VALUES (?1, ?2)")?;
        insert.execute(params![seq, ending.answer])?;
    }
    Ok(Done::Ended(kept_bytes))
}

fn begin(connection: &Connection, opening: &Opening) -> rusqlite::Result<Opened> {
    if let Some((key, digest)) = &opening.idempotency
        && let Some((known, row)) = read::find_by_key(connection, &opening.tenant, key)?
    {
        return Ok(if known == *digest { Opened::Known(Box::new(row)) } else { Opened::Different });
    }
    let (key, digest) =
        opening.idempotency.as_ref().map(|(key, digest)| (key, digest.as_slice())).unzip();
    // A map of strings is always JSON.
    let labels = serde_json::to_string(&opening.labels).unwrap_or_default();
    let mut insert = connection.prepare_cached(
        "INSERT INTO runs (id, tenant, runtime, status, created_ms, labels, key, digest)
         VALUES (?1, ?2, ?3, 'queued', ?4, ?5, ?6, ?7)",
    )?;
    let Opening { id, tenant, runtime, created_ms, .. } = opening;
    insert.execute(params![id, tenant, runtime, created_ms, labels, key, digest])?;
    Ok(Opened::New)
}

fn start(connection: &Connection, id: &str, started_ms: i64) -> rusqlite::Result<Done> {
    let mut update = connection.prepare_cached(
        "UPDATE runs SET status = 'running', started_ms = ?2 WHERE id = ?1 AND ended_ms IS NULL",
    )?;
    update.execute(params![id, started_ms])?;
    Ok(Done::Nothing)
}

fn withdraw(connection: &Connection, id: &str) -> rusqlite::Result<Done> {
    connection.execute("DELETE FROM runs WHERE id = ?1 AND ended_ms IS NULL", [id])?;
    Ok(Done::Nothing)
}
