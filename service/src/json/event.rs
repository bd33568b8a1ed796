//! What happens to a run, as it happens: one line of JSON each.

use serde::{Deserialize, Serialize};

use super::data::Encoded;
use super::{Outcome, Problem};

/// One line of `application/x-ndjson`.
#[derive(Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Event {
    /// The payload runs behind walls that were looked at.
    Started { id: String },
    /// It wrote.
    Stdout(Encoded),
    /// It complained.
    Stderr(Encoded),
    /// It is over. The last line.
    Outcome { outcome: Box<Outcome> },
    /// belljar failed. The last line.
    Problem { problem: Problem },
    /// Something that a newer service tells.
    #[serde(other)]
    Unknown,
}
