//! What the service says about itself.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The answer to `GET /v1/logs`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct LogPage {
    pub(crate) entries: Vec<LogEntry>,
    /// What to ask for next time, as `since_id`.
    pub(crate) next_id: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct LogEntry {
    pub(crate) id: u64,
    pub(crate) time: String,
    pub(crate) level: Cow<'static, str>,
    /// The module that says it.
    pub(crate) source: String,
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) fields: Map<String, Value>,
}
