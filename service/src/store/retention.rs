//! What is kept: a little is dropped after every change, so that it never takes long.

use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior, params};

use super::apply::Done;
use super::{Opened, Retention};
use crate::json::time::now_ms;

/// Twice what one transaction adds, so that dropping catches up.
const MOST_AT_ONCE: u64 = 128;
/// Age is looked at no more often.
const AGE_EVERY: Duration = Duration::from_secs(1);
/// Free pages of the file that are kept for what comes next.
const SPARE_PAGES: i64 = 1024;
const GIVEN_BACK_PAGES: i64 = 512;

/// What is kept, and how much of it there is.
#[derive(Debug)]
pub(super) struct Keeping {
    pub(super) retention: Retention,
    runs: u64,
    bytes: u64,
    /// When age was last looked at; not where there is more that is too old.
    looked: Option<Instant>,
    /// It is said once that nothing can be dropped.
    has_complained: bool,
}

#[derive(Default)]
struct Dropped {
    runs: u64,
    bytes: u64,
    is_more_too_old: bool,
}

impl Keeping {
    pub(super) fn new(connection: &Connection, retention: Retention) -> Self {
        let totals = "SELECT count(*), coalesce(sum(answer_bytes), 0) FROM runs";
        let totals = connection
            .query_row(totals, (), |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
        let (runs, bytes) = totals.unwrap_or_default();
        let (runs, bytes) = (runs.cast_unsigned(), bytes.cast_unsigned());
        Self { retention, runs, bytes, looked: None, has_complained: false }
    }

    pub(super) fn count(&mut self, done: &Done) {
        match done {
            Done::Begun(Opened::New) => self.runs += 1,
            Done::Ended(bytes) => self.bytes += bytes,
            _ => {}
        }
    }

    /// Whether there may be something to drop.
    pub(super) fn is_due(&self) -> bool {
        self.looks_at_age() || self.is_beyond()
    }

    fn looks_at_age(&self) -> bool {
        self.looked.is_none_or(|looked| looked.elapsed() >= AGE_EVERY)
    }

    fn is_beyond(&self) -> bool {
        self.runs > self.retention.runs || self.bytes > self.retention.bytes
    }

    /// Drops some of what is beyond retention; whether there is more.
    pub(super) fn trim(&mut self, connection: &mut Connection) -> bool {
        let trimmed =
            self.drop_some(connection).and_then(|is_more| Ok(give_back(connection)? || is_more));
        match trimmed {
            Ok(is_more) => {
                self.has_complained = false;
                is_more
            }
            Err(error) => {
                if !self.has_complained {
                    tracing::warn!(%error, "old runs stay in the history");
                }
                self.has_complained = true;
                false
            }
        }
    }

    fn drop_some(&mut self, connection: &mut Connection) -> rusqlite::Result<bool> {
        let looks_at_age = self.looks_at_age();
        if !self.is_due() {
            return Ok(false);
        }
        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut dropped = Dropped::default();
        if looks_at_age {
            drop_old(&change, self.retention.age, &mut dropped)?;
        }
        let excess = self.runs.saturating_sub(dropped.runs).saturating_sub(self.retention.runs);
        drop_oldest(&change, excess, &mut dropped)?;
        let excess = self.bytes.saturating_sub(dropped.bytes).saturating_sub(self.retention.bytes);
        drop_answers(&change, excess, &mut dropped)?;
        change.commit()?;
        if looks_at_age {
            self.looked = (!dropped.is_more_too_old).then(Instant::now);
        }
        self.runs = self.runs.saturating_sub(dropped.runs);
        self.bytes = self.bytes.saturating_sub(dropped.bytes);
        // Where everything that is left is open, there is nothing to drop.
        let did_something = dropped.runs > 0 || dropped.bytes > 0;
        Ok(dropped.is_more_too_old || self.is_beyond() && did_something)
    }
}

/// Among the oldest: who is younger than they began later as well, and ends later but for a few.
fn drop_old(change: &Connection, age: Duration, dropped: &mut Dropped) -> rusqlite::Result<()> {
    let before_ms = now_ms().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let before = dropped.runs;
    for (seq, bytes, ended_ms) in oldest(change, MOST_AT_ONCE)? {
        if ended_ms < before_ms {
            forget(change, seq)?;
            dropped.runs += 1;
            dropped.bytes += bytes;
        }
    }
    dropped.is_more_too_old = dropped.runs - before == MOST_AT_ONCE;
    Ok(())
}

fn drop_oldest(change: &Connection, excess: u64, dropped: &mut Dropped) -> rusqlite::Result<()> {
    if excess == 0 {
        return Ok(());
    }
    for (seq, bytes, _) in oldest(change, excess.min(MOST_AT_ONCE))? {
        forget(change, seq)?;
        dropped.runs += 1;
        dropped.bytes += bytes;
    }
    Ok(())
}

fn drop_answers(change: &Connection, excess: u64, dropped: &mut Dropped) -> rusqlite::Result<()> {
    if excess == 0 {
        return Ok(());
    }
    let mut select = change.prepare_cached(
        "SELECT seq, answer_bytes FROM runs WHERE answer_bytes > 0 ORDER BY seq LIMIT ?1",
    )?;
    let found = select.query_map([MOST_AT_ONCE.cast_signed()], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
    })?;
    let mut gone = 0;
    for found in found.collect::<rusqlite::Result<Vec<_>>>()? {
        if gone >= excess {
            break;
        }
        let (seq, bytes) = found;
        change.prepare_cached("DELETE FROM answers WHERE seq = ?1")?.execute([seq])?;
        change.prepare_cached("UPDATE runs SET answer_bytes = 0 WHERE seq = ?1")?.execute([seq])?;
        gone += bytes;
    }
    dropped.bytes += gone;
    Ok(())
}

/// The oldest runs that have ended: place, bytes of the answer, when they ended.
fn oldest(change: &Connection, limit: u64) -> rusqlite::Result<Vec<(i64, u64, i64)>> {
    let mut select = change.prepare_cached(
        "SELECT seq, answer_bytes, ended_ms FROM runs WHERE ended_ms IS NOT NULL
         ORDER BY seq LIMIT ?1",
    )?;
    let rows = select.query_map(params![limit.cast_signed()], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned(), row.get(2)?))
    })?;
    rows.collect()
}

fn forget(change: &Connection, seq: i64) -> rusqlite::Result<()> {
    change.prepare_cached("DELETE FROM answers WHERE seq = ?1")?.execute([seq])?;
    change.prepare_cached("DELETE FROM runs WHERE seq = ?1")?.execute([seq])?;
    Ok(())
}

/// Makes the file smaller by some of what is free in it; whether there is more.
fn give_back(connection: &Connection) -> rusqlite::Result<bool> {
    let free: i64 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free <= SPARE_PAGES {
        return Ok(false);
    }
    // One page for each step of the statement, so it has to be read to its end.
    let pages = (free - SPARE_PAGES).min(GIVEN_BACK_PAGES);
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut rows = vacuum.query(())?;
    while rows.next()?.is_some() {}
    Ok(free - pages > SPARE_PAGES)
}
