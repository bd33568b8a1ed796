//! What tools take and give, as JSON Schema: made of the types that all doors share.

use belljar::Limits;
use rmcp::model::JsonObject;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Value, json};

use super::arguments::{CHECK, Offer, RUN, SESSION};
use crate::json::{
    CallAnswer, CheckAnswer, CheckRequest, Outcome, Problem, Request, RuntimeRow, SessionRequest,
    SessionRow,
};

/// What `list_runtimes` answers. Before 2026-07-28 such an answer had to be an object.
#[derive(Serialize, JsonSchema)]
pub(super) struct RuntimeList {
    pub(super) runtimes: Vec<RuntimeRow>,
}

/// What `list_sessions` answers.
#[derive(Serialize, JsonSchema)]
pub(super) struct SessionList {
    pub(super) sessions: Vec<SessionRow>,
}

/// What `run_code` takes where runs have `usual` limits, and at most `most`.
pub(super) fn run_code(usual: &Limits, most: &Limits) -> JsonObject {
    let mut schema = taken::<Request>(&RUN, usual, most);
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("session".to_owned(), named_session());
    }
    // One of runtime and session, which not every client could be told.
    schema.remove("required");
    schema
}

/// What `check_code` takes.
pub(super) fn check_code(usual: &Limits, most: &Limits) -> JsonObject {
    taken::<CheckRequest>(&CHECK, usual, most)
}

/// And what it answers; or why nothing was checked.
pub(super) fn findings() -> JsonObject {
    let either = [given::<CheckAnswer>(), given::<Problem>()];
    object(json!({ "type": "object", "anyOf": either }))
}

/// What `run_code` answers: an outcome, what came of a call in a session, or why nothing was run.
pub(super) fn outcome() -> JsonObject {
    let either = [given::<Outcome>(), given::<CallAnswer>(), given::<Problem>()];
    object(json!({ "type": "object", "anyOf": either }))
}

/// What `open_session` takes.
pub(super) fn open_session(usual: &Limits, most: &Limits) -> JsonObject {
    taken::<SessionRequest>(&SESSION, usual, most)
}

/// And what it answers; or why none was opened.
pub(super) fn session() -> JsonObject {
    object(json!({ "type": "object", "anyOf": [given::<SessionRow>(), given::<Problem>()] }))
}

/// What a tool takes that is about one session, and answers.
pub(super) fn one_session() -> JsonObject {
    let properties = json!({ "session": named_session() });
    object(json!({
        "type": "object",
        "properties": properties,
        "required": ["session"],
        "additionalProperties": false,
    }))
}

/// What `list_sessions` answers.
pub(super) fn sessions() -> JsonObject {
    given::<SessionList>()
}

/// What a tool takes that takes nothing.
pub(super) fn nothing() -> JsonObject {
    object(json!({ "type": "object", "properties": {}, "additionalProperties": false }))
}

/// What `list_runtimes` answers.
pub(super) fn runtimes() -> JsonObject {
    given::<RuntimeList>()
}

fn named_session() -> Value {
    json!({ "type": "string", "description": "The id of a session that open_session returned." })
}

/// The schema of a request, as far as it is offered.
fn taken<T: JsonSchema>(offers: &[Offer], usual: &Limits, most: &Limits) -> JsonObject {
    let mut schema = made::<T>(SchemaSettings::draft2020_12().for_deserialize());
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return schema;
    };
    properties.retain(|name, _| offers.iter().any(|(offered, _)| offered == name));
    for (name, meaning) in offers {
        if let Some(property) = properties.get_mut(*name) {
            describe(property, meaning);
        }
    }
    if let Some(limits) = properties.get_mut("limits") {
        bound(limits, usual, most);
    }
    schema
}

fn given<T: JsonSchema>() -> JsonObject {
    made::<T>(SchemaSettings::draft2020_12().for_serialize())
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    }
}

fn made<T: JsonSchema>(settings: SchemaSettings) -> JsonObject {
    let settings = settings.with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let settings = settings.with_transform(RecursiveTransform(plain));
    let schema = settings.into_generator().into_root_schema_for::<T>();
    let mut schema = object(schema.to_value());
    schema.remove("title");
    schema.remove("description");
    schema
}

/// Takes out the formats of Rust's numbers: validators that are strict refuse what they do not
/// know.
fn plain(schema: &mut Schema) {
    let is_of_rust = |format: &str| {
        ["int", "uint", "double", "float"].iter().any(|kind| format.starts_with(kind))
    };
    if schema.get("format").and_then(Value::as_str).is_some_and(is_of_rust) {
        schema.remove("format");
    }
}

fn describe(property: &mut Value, meaning: &str) {
    if let Some(property) = property.as_object_mut() {
        property.insert("description".to_owned(), meaning.into());
    }
}

/// Says how much there is of each limit unless it is named, and at most.
fn bound(limits: &mut Value, usual: &Limits, most: &Limits) {
    if let Some(limits) = limits.as_object_mut() {
        limits.remove("default");
    }
    for ((name, usual), (_, most)) in usual.rows().into_iter().zip(most.rows()) {
        let row = limits.get_mut("properties").and_then(|rows| rows.get_mut(name));
        if let Some(row) = row.and_then(Value::as_object_mut) {
            row.insert("default".to_owned(), usual.into());
            row.insert("maximum".to_owned(), most.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [JsonObject; 10] {
        let (usual, most) = (Limits::strict(), Limits::ceiling());
        [
            run_code(&usual, &most),
            open_session(&usual, &most),
            outcome(),
            session(),
            sessions(),
            one_session(),
            runtimes(),
            nothing(),
            check_code(&usual, &most),
            findings(),
        ]
    }

    #[test]
    fn all_that_is_offered_exists_and_is_explained() {
        let [run, open, ..] = all().map(Value::Object);
        for (schema, offers) in [(&run, &RUN[..]), (&open, &SESSION)] {
            for (name, meaning) in offers {
                assert_eq!(schema["properties"][name]["description"], *meaning, "{name}");
            }
            assert_eq!(schema["additionalProperties"], false);
            let memory = &schema["properties"]["limits"]["properties"]["memory_bytes"];
            assert_eq!(memory["default"], Limits::strict().memory_bytes);
            assert_eq!(memory["maximum"], Limits::ceiling().memory_bytes);
        }
        assert_eq!(run["properties"].as_object().unwrap().len(), RUN.len() + 1);
        assert_eq!(open["required"], json!(["runtime"]));
    }

    #[test]
    fn schemas_stand_alone() {
        for schema in all() {
            let text = serde_json::to_string(&schema).unwrap();
            assert!(!text.contains("$ref") && !text.contains("uint"), "{text}");
            assert_eq!(schema["type"], "object");
        }
    }
}
