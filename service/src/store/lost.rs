//! Runs whose supervisor died.

use rusqlite::{Connection, TransactionBehavior, params};
use serde_json::json;

use super::{Row, read};
use crate::json::time::{now_ms, rfc3339};

const LOST: &str = "lost";

/// Closes every run that is open. Nobody but who has the lock of the file may call this.
pub(super) fn close_open(connection: &mut Connection) -> rusqlite::Result<Vec<Row>> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut rows = read::open(&change)?;
    let ended_ms = now_ms();
    for row in &mut rows {
        let answer = answer(row);
        let bytes = i64::try_from(answer.len()).unwrap_or(i64::MAX);
        change.execute(
            "UPDATE runs SET status = ?2, ended_ms = ?3, answer_bytes = ?4 WHERE id = ?1",
            params![row.id, LOST, ended_ms, bytes],
        )?;
        change.execute(
            "INSERT INTO answers (seq, answer) SELECT seq, ?2 FROM runs WHERE id = ?1",
            params![row.id, answer],
        )?;
        (row.status, row.ended_ms, row.answer) = (LOST.to_owned(), Some(ended_ms), Some(answer));
    }
    change.commit()?;
    Ok(rows)
}

/// An outcome as far as anything is known. What nobody measured is zero or nothing, and the notes
/// of the receipt say so: it vouches for no wall.
fn answer(row: &Row) -> String {
    let message = if row.started_ms.is_some() {
        "the supervisor died while it ran"
    } else {
        "the supervisor died before it is known to have started"
    };
    let notes = ["the supervisor died: nothing was measured, and nothing is vouched for"];
    let outcome = json!({
        "id": row.id,
        "runtime": row.runtime,
        "status": LOST,
        "exit_code": null,
        "signal": null,
        "message": message,
        "stdout": "",
        "stderr": "",
        "stdout_dropped_bytes": 0,
        "stderr_dropped_bytes": 0,
        "encoding": "utf-8",
        "wall_ms": 0.0,
        "cpu_ms": 0.0,
        "memory_peak_bytes": 0,
        "processes_peak": 0,
        "timings_ms": {"queued": 0.0, "jar": 0.0, "start": 0.0, "run": 0.0, "collect": 0.0},
        "start": "unknown",
        "artifacts": [],
        "artifact_errors": [],
        "denials": [],
        "limits": {},
        "receipt": {
            "floor": "unknown", "level": "unknown", "layers": [], "limits": [], "notes": notes,
        },
        "labels": row.labels,
        "created_at": rfc3339(row.created_ms),
    });
    crate::json::line(&outcome)
}
