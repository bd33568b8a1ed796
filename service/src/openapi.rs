//! The contract of the service as a document of `OpenAPI` 3.1: made of the types that it speaks, and of
//! one table of places.

mod places;
mod schemas;

use serde_json::{Map, Value, json};

use places::{Body, PLACES, Place};

/// The document, which is checked in as `docs/openapi.json`.
pub(crate) fn document() -> Value {
    let mut paths = Map::new();
    for place in PLACES {
        let methods = paths.entry(place.path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(place.method.to_owned(), operation(place));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "belljar",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Runs untrusted code in throwaway processes that the kernel confines.",
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        // Over a Unix socket there is no name: whatever is said here is not looked up.
        "servers": [{ "url": "http://localhost" }],
        "paths": paths,
        "components": { "schemas": schemas::all() },
    })
}

fn operation(place: &Place) -> Value {
    let mut operation = json!({
        "operationId": place.id,
        "summary": place.summary,
        "responses": responses(place),
    });
    let parameters = parameters(place);
    if let Some(operation) = operation.as_object_mut() {
        if !parameters.is_empty() {
            operation.insert("parameters".to_owned(), Value::Array(parameters));
        }
        if let Some(body) = body(place) {
            operation.insert("requestBody".to_owned(), body);
        }
    }
    operation
}

fn parameters(place: &Place) -> Vec<Value> {
    let in_path = place.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        let schema = json!({ "type": "string", "minLength": 1 });
        Some(json!({ "name": name, "in": "path", "required": true, "schema": schema }))
    });
    let in_query = place.query.iter().map(|(name, schema, meaning)| {
        let schema = serde_json::from_str::<Value>(schema).unwrap_or_default();
        json!({ "name": name, "in": "query", "description": meaning, "schema": schema })
    });
    let in_head = place.headers.iter().map(|(name, meaning)| {
        let schema = json!({ "type": "string" });
        json!({ "name": name, "in": "header", "description": meaning, "schema": schema })
    });
    in_path.chain(in_query).chain(in_head).collect()
}

fn body(place: &Place) -> Option<Value> {
    let content = match place.body {
        Body::None => return None,
        Body::Bytes => json!({ "application/octet-stream": {} }),
        Body::Json(schema) => {
            let examples = place.examples.iter().map(|(name, text)| {
                let value = serde_json::from_str::<Value>(text).unwrap_or_default();
                ((*name).to_owned(), json!({ "value": value }))
            });
            let examples = examples.collect::<Map<_, _>>();
            json!({ "application/json": { "schema": reference(schema), "examples": examples } })
        }
    };
    Some(json!({ "required": true, "content": content }))
}

fn responses(place: &Place) -> Value {
    let mut responses = Map::new();
    for (status, kind, schema) in place.answers {
        let described = json!({ "description": reason(*status) });
        let response = responses.entry(status.to_string()).or_insert(described);
        let Some(response) = response.as_object_mut().filter(|_| !kind.is_empty()) else {
            continue;
        };
        let schema = if schema.is_empty() { json!({}) } else { reference(schema) };
        let content = response.entry("content").or_insert_with(|| json!({}));
        if let Some(content) = content.as_object_mut() {
            content.insert((*kind).to_owned(), json!({ "schema": schema }));
        }
    }
    let problem = json!({ "application/problem+json": { "schema": reference("Problem") } });
    let described = "A refusal or failure, with a stable code (RFC 9457).";
    responses.insert("default".to_owned(), json!({ "description": described, "content": problem }));
    Value::Object(responses)
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn reason(status: u16) -> &'static str {
    hyper::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Answered")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKED_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");

    #[test]
    fn what_is_checked_in_is_what_is_served() {
        let text = format!("{}\n", serde_json::to_string_pretty(&document()).unwrap());
        if std::env::var_os("BELLJAR_TEST_WRITE").is_some() {
            std::fs::write(CHECKED_IN, &text).unwrap();
        }
        let found = std::fs::read_to_string(CHECKED_IN).unwrap();
        assert!(found == text, "docs/openapi.json is old: set BELLJAR_TEST_WRITE=1 and run again");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str).map(ToOwned::to_owned));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(all) => all.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 30, "{found:?}");
        for reference in found {
            let place = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(place).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_name_is_its_own_and_every_example_is_json() {
        let mut names = PLACES.iter().map(|place| place.id).collect::<Vec<_>>();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PLACES.len());
        for place in PLACES {
            for (name, text) in place.examples {
                let example = serde_json::from_str::<Value>(text);
                assert!(example.is_ok_and(|value| value.is_object()), "{} {name}", place.id);
            }
            for (name, schema, _) in place.query {
                assert!(serde_json::from_str::<Value>(schema).is_ok(), "{} {name}", place.id);
            }
        }
    }
}
