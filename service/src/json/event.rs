//! What happens to a run, as it happens: one line of JSON each.

use serde::Deserialize;

use super::data::{Encoded, Encoding};
use super::{Outcome, Problem};

/// One line of `application/x-ndjson`.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Event {
    /// It waits for its turn.
    Queued { id: String },
    /// The payload runs behind walls that were looked at.
    Started { id: String },
    /// It wrote.
    Stdout(Written),
    /// It complained.
    Stderr(Written),
    /// It is over. The last line.
    Outcome { outcome: Box<Outcome> },
    /// belljar failed. The last line.
    Problem { problem: Problem },
    /// Something that a newer service tells.
    #[serde(other)]
    Unknown,
}

/// Some output, among whatever else a service says of it.
#[derive(Deserialize)]
pub(crate) struct Written {
    content: String,
    #[serde(default)]
    encoding: Encoding,
}

impl Written {
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn bytes(self) -> Result<Vec<u8>, String> {
        Encoded { content: self.content, encoding: self.encoding }.bytes()
    }
}
