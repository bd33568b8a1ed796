//! Questions about runs.

use rusqlite::{Connection, OptionalExtension as _, ToSql, params, params_from_iter};

use super::{Query, Row};

/// However many are asked for.
const MOST_ROWS: u32 = 1000;

const COLUMNS: &str = "runs.id, tenant, runtime, status, created_ms, started_ms, ended_ms, \
                       wall_ms, labels, is_problem";

/// A run, of this tenant if one is named.
pub(super) fn find(
    connection: &Connection,
    tenant: Option<&str>,
    id: &str,
) -> rusqlite::Result<Option<Row>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, answer FROM runs LEFT JOIN answers USING (seq)
         WHERE runs.id = ?1 AND (?2 IS NULL OR tenant = ?2)",
    ))?;
    select.query_row(params![id, tenant], understand).optional()
}

/// The run of a tenant with this key, and the digest of its request.
pub(super) fn find_by_key(
    connection: &Connection,
    tenant: &str,
    key: &str,
) -> rusqlite::Result<Option<([u8; 32], Row)>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, answer, digest FROM runs LEFT JOIN answers USING (seq)
         WHERE tenant = ?1 AND key = ?2",
    ))?;
    let both = |row: &rusqlite::Row<'_>| Ok((row.get("digest")?, understand(row)?));
    select.query_row(params![tenant, key], both).optional()
}

/// Runs without their answers, the newest first.
pub(super) fn list(connection: &Connection, query: &Query) -> rusqlite::Result<Vec<Row>> {
    let mut wheres = vec!["TRUE"];
    let mut values: Vec<&dyn ToSql> = Vec::new();
    let equal = [
        ("tenant = ?", &query.tenant),
        ("status = ?", &query.status),
        ("runtime = ?", &query.runtime),
    ];
    for (text, value) in equal {
        if let Some(value) = value {
            wheres.push(text);
            values.push(value);
        }
    }
    if let Some(before) = &query.before {
        // A run of another tenant is none that anything could come before.
        wheres.push("seq < (SELECT seq FROM runs WHERE id = ? AND (? IS NULL OR tenant = ?))");
        values.extend([before as &dyn ToSql, &query.tenant, &query.tenant]);
    }
    if let Some((key, value)) = &query.label {
        wheres.push("EXISTS (SELECT 1 FROM json_each(labels) WHERE key = ? AND value = ?)");
        values.extend([key as &dyn ToSql, value]);
    }
    let limit = query.limit.min(MOST_ROWS);
    values.push(&limit);
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, NULL AS answer FROM runs WHERE {} ORDER BY seq DESC LIMIT ?",
        wheres.join(" AND "),
    ))?;
    let rows = select.query_map(params_from_iter(values), understand)?;
    rows.collect()
}

/// Those that nobody has ended, the oldest first.
pub(super) fn open(connection: &Connection) -> rusqlite::Result<Vec<Row>> {
    let mut select = connection.prepare(&format!(
        "SELECT {COLUMNS}, NULL AS answer FROM runs WHERE ended_ms IS NULL ORDER BY seq",
    ))?;
    let rows = select.query_map((), understand)?;
    rows.collect()
}

fn understand(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let labels: String = row.get("labels")?;
    Ok(Row {
        id: row.get("id")?,
        tenant: row.get("tenant")?,
        runtime: row.get("runtime")?,
        status: row.get("status")?,
        created_ms: row.get("created_ms")?,
        started_ms: row.get("started_ms")?,
        ended_ms: row.get("ended_ms")?,
        wall_ms: row.get("wall_ms")?,
        // Written by us.
        labels: serde_json::from_str(&labels).unwrap_or_default(),
        answer: row.get("answer")?,
        is_problem: row.get("is_problem")?,
    })
}
