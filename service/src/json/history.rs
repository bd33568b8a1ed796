//! Runs as the history has them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::time::rfc3339;
use crate::store::Row;

/// The answer to `GET /v1/runs`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct HistoryPage {
    pub(crate) runs: Vec<HistoryRow>,
    /// What to ask for next, as `before`.
    pub(crate) next: Option<String>,
}

/// A run that has not ended.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PendingRow<'a> {
    pub(crate) id: &'a str,
    pub(crate) runtime: &'a str,
    pub(crate) status: String,
    pub(crate) created_at: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: &'a BTreeMap<String, String>,
}

/// One of them; also the answer to `GET /v1/runs/{id}` while it is open, or when its outcome is
/// kept no longer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct HistoryRow {
    pub(crate) id: String,
    pub(crate) runtime: String,
    pub(crate) status: String,
    pub(crate) created_at: String,
    pub(crate) ended_at: Option<String>,
    pub(crate) wall_ms: Option<f64>,
    pub(crate) labels: BTreeMap<String, String>,
}

impl HistoryPage {
    /// Of what was found when so many were asked for: where there are as many, there may be more.
    pub(crate) fn new(rows: Vec<Row>, limit: u32) -> Self {
        let is_full = u32::try_from(rows.len()).is_ok_and(|found| found >= limit.max(1));
        let next = rows.last().filter(|_| is_full).map(|row| row.id.clone());
        Self { runs: rows.into_iter().map(HistoryRow::from).collect(), next }
    }
}

impl From<Row> for HistoryRow {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            runtime: row.runtime,
            status: row.status,
            created_at: rfc3339(row.created_ms),
            ended_at: row.ended_ms.map(rfc3339),
            wall_ms: row.wall_ms,
            labels: row.labels,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_the_next_one_unless_it_is_the_last() {
        let row = |id: &str| Row {
            id: id.to_owned(),
            tenant: "secret".to_owned(),
            runtime: "js".to_owned(),
            status: "ok".to_owned(),
            created_ms: 0,
            started_ms: None,
            ended_ms: Some(1500),
            wall_ms: Some(1.5),
            labels: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
            answer: Some("{}".to_owned()),
            is_problem: false,
        };
        let page = HistoryPage::new(vec![row("b"), row("a")], 2);
        assert_eq!(page.next.as_deref(), Some("a"));
        let expected = r#"{"id":"b","runtime":"js","status":"ok","created_at":"1970-01-01T00:00:00.000Z","ended_at":"1970-01-01T00:00:01.500Z","wall_ms":1.5,"labels":{"k":"v"}}"#;
        assert_eq!(crate::json::line(&page.runs[0]), expected);
        assert_eq!(HistoryPage::new(vec![row("b")], 2).next, None);
        assert_eq!(HistoryPage::new(Vec::new(), 0).next, None);
    }
}
