//! What turns events into entries.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::{Level, Logs};
use crate::json::LogEntry;
use crate::json::time::{now_ms, rfc3339};

/// Of a message, or of the value of a field.
const MOST_BYTES: usize = 2048;
const MOST_FIELDS: usize = 32;

/// Keeps events, each with the fields of the spans that it is in.
#[derive(Debug)]
pub(crate) struct RingLayer {
    logs: Logs,
}

/// The fields of a span, kept beside it.
struct Kept(Map<String, Value>);

#[derive(Default)]
struct Gathered {
    message: String,
    fields: Map<String, Value>,
}

/// Text that stops growing.
struct Short<'a>(&'a mut String);

impl RingLayer {
    pub(super) fn new(logs: Logs) -> Self {
        Self { logs }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for RingLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut gathered = Gathered::default();
        attributes.record(&mut gathered);
        span.extensions_mut().insert(Kept(gathered.fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut gathered = Gathered::default();
        values.record(&mut gathered);
        if let Some(Kept(fields)) = span.extensions_mut().get_mut() {
            fields.extend(gathered.fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut gathered = Gathered::default();
        let spans = context.event_scope(event).into_iter().flat_map(Scope::from_root);
        for span in spans {
            if let Some(Kept(fields)) = span.extensions().get() {
                gathered.fields.extend(fields.clone());
            }
        }
        event.record(&mut gathered);
        let metadata = event.metadata();
        let level = match *metadata.level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => Level::Trace,
        };
        let Gathered { message, fields } = gathered;
        let entry = LogEntry {
            id: 0,
            time: rfc3339(now_ms()),
            level: level.name().into(),
            source: metadata.target().to_owned(),
            message,
            fields,
        };
        self.logs.add(level, entry);
    }
}

impl Gathered {
    fn put(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            self.message = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        } else if self.fields.len() < MOST_FIELDS {
            // As `tracing` names what is no word of Rust.
            let name = field.name().strip_prefix("r#").unwrap_or(field.name());
            self.fields.insert(name.to_owned(), value);
        }
    }
}

impl Visit for Gathered {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // It stops when there is enough.
        write!(Short(&mut text), "{value:?}").unwrap_or_default();
        self.put(field, text.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let mut text = String::new();
        Short(&mut text).write_str(value).unwrap_or_default();
        self.put(field, text.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

impl fmt::Write for Short<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MOST_BYTES.saturating_sub(self.0.len());
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        self.0.push_str(text.get(..text.floor_char_boundary(room)).unwrap_or_default());
        self.0.push('…');
        Err(fmt::Error)
    }
}
