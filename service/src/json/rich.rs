//! What a payload says of itself, in JSON.

use belljar::{Exception, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The value of the last expression.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct ResultRow {
    pub(crate) text: String,
    pub(crate) html: Option<String>,
    #[schemars(with = "Option<serde_json::Value>")]
    pub(crate) json: Option<Box<RawValue>>,
}

/// What ended the code.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct ErrorRow {
    pub(crate) r#type: String,
    pub(crate) message: String,
    pub(crate) traceback: Vec<FrameRow>,
}

/// A line on the way to it.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct FrameRow {
    pub(crate) file: String,
    pub(crate) line: u64,
    pub(crate) function: String,
    pub(crate) code: String,
}

impl From<Value> for ResultRow {
    fn from(value: Value) -> Self {
        // What is no JSON after all is a text only.
        let json = value.json.and_then(|json| RawValue::from_string(json).ok());
        Self { text: value.text, html: value.html, json }
    }
}

impl From<Exception> for ErrorRow {
    fn from(exception: Exception) -> Self {
        let frames = exception.traceback.into_iter().map(|frame| FrameRow {
            file: frame.file,
            line: frame.line,
            function: frame.function,
            code: frame.code,
        });
        Self { r#type: exception.kind, message: exception.message, traceback: frames.collect() }
    }
}
