//! `belljar runs`.

use std::process::ExitCode;

use serde_json::Value;

use super::options::RunsOptions;
use super::{event_loop, say, there};
use crate::client::{escape, with_query};
use crate::json::{self, HistoryPage, HistoryRow, Problem};

/// Rows that a service gives at one time.
const PAGE: u32 = 200;

pub(super) fn main(options: &RunsOptions) -> Result<ExitCode, Problem> {
    let events = event_loop()?;
    let text = events.block_on(async {
        match &options.id {
            Some(id) => one(options, id).await,
            None => all(options).await,
        }
    })?;
    say::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

async fn one(options: &RunsOptions, id: &str) -> Result<String, Problem> {
    let mut service = there::service(&options.there).await?;
    let run: Value = service.get(&format!("/v1/runs/{}", escape(id))).await?;
    if options.json {
        return Ok(format!("{}\n", json::line(&run)));
    }
    Ok(describe(&run))
}

async fn all(options: &RunsOptions) -> Result<String, Problem> {
    let mut rows: Vec<HistoryRow> = Vec::new();
    let mut before = None;
    let mut service = there::service(&options.there).await?;
    loop {
        let left = options.limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        if left == 0 {
            break;
        }
        let query = [
            ("status", options.status.clone()),
            ("limit", Some(left.min(PAGE).to_string())),
            ("before", before),
        ];
        let page: HistoryPage = service.get(&with_query("/v1/runs", &query)).await?;
        let is_last = page.runs.is_empty() || page.next.is_none();
        rows.extend(page.runs);
        if is_last {
            break;
        }
        before = page.next;
    }
    if options.json {
        return Ok(format!("{}\n", json::line(&rows)));
    }
    Ok(say::table(&rows.into_iter().map(cells).collect::<Vec<_>>()))
}

fn cells(row: HistoryRow) -> [String; 6] {
    let wall = row.wall_ms.map_or_else(|| "-".to_owned(), |wall_ms| format!("{wall_ms:.1} ms"));
    let labels: Vec<_> = row.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    [row.id, row.created_at, row.runtime, row.status, wall, labels.join(" ")]
}

/// What stands beside a name in one line; its output is in the JSON.
fn describe(run: &Value) -> String {
    const NAMES: [&str; 11] = [
        "id",
        "runtime",
        "status",
        "code",
        "message",
        "created_at",
        "ended_at",
        "wall_ms",
        "cpu_ms",
        "memory_peak_bytes",
        "start",
    ];
    let shown = |name: &&str| {
        let text = match run.get(name)? {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some([(*name).to_owned(), text])
    };
    let mut rows: Vec<_> = NAMES.iter().filter_map(shown).collect();
    let labels = run.get("labels").and_then(Value::as_object).into_iter().flatten();
    rows.extend(labels.map(|(key, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        [format!("label {key}"), value]
    }));
    for stream in ["stdout", "stderr"] {
        let bytes = run.get(stream).and_then(Value::as_str).map_or(0, str::len);
        if bytes > 0 {
            rows.push([stream.to_owned(), format!("{bytes} bytes (--json shows them)")]);
        }
    }
    say::table(&rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_is_described_without_what_it_wrote() {
        let run = json!({
            "id": "01J", "status": "ok", "exit_code": 0, "message": "\u{1b}[2Jdone", "wall_ms": 1.5,
            "signal": null, "stdout": "secret\n", "stderr": "", "labels": {"team": "a"},
        });
        let expected = concat!(
            "  id          01J\n",
            "  status      ok\n",
            "  message     \u{fffd}[2Jdone\n",
            "  wall_ms     1.5\n",
            "  label team  a\n",
            "  stdout      7 bytes (--json shows them)\n",
        );
        assert_eq!(describe(&run), expected);
    }
}
