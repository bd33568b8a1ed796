//! The contract as it is served, and what its examples come to.

use belljar_tests::{Test, tests};
use serde_json::Value;

use crate::served::Served;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        every_example_comes_to_what_is_said_of_it(Python, Bash),
        every_place_of_the_contract_is_there(),
        an_answer_has_the_form_that_is_said_of_it(Python),
    ]
}

fn contract(served: &Served) -> Value {
    let (status, body) = served.ask("GET", "/openapi.json", "");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// Each method of each path.
fn operations(contract: &Value) -> Vec<(String, String, &Value)> {
    let paths = contract["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (method.to_uppercase(), path.clone(), operation))
    });
    all.collect()
}

/// Whether `value` has the form of a schema of the contract.
fn check(contract: &Value, schema: &str, value: &Value) {
    let root = serde_json::json!({
        "$ref": format!("#/components/schemas/{schema}"),
        "components": contract["components"],
    });
    let validator = jsonschema::validator_for(&root).unwrap();
    let errors =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path()));
    let errors = errors.collect::<Vec<_>>();
    assert_eq!(errors, Vec::<String>::new(), "{schema}: {value}");
}

async fn every_example_comes_to_what_is_said_of_it() {
    let served = Served::start(&["--warm", "python"]);
    let contract = contract(&served);
    let mut executed = 0;
    for (method, path, operation) in operations(&contract) {
        let content = &operation["requestBody"]["content"]["application/json"];
        for (name, example) in content["examples"].as_object().into_iter().flatten() {
            let (status, body) = served.ask(&method, &path, &example["value"].to_string());
            let answer: Value = serde_json::from_str(&body).unwrap();
            let said = &operation["responses"][status.to_string()];
            assert!(said.is_object(), "{method} {path} {name}: {status} {body}");
            let schema = said["content"]["application/json"]["schema"]["$ref"].as_str().unwrap();
            check(&contract, schema.rsplit('/').next().unwrap(), &answer);
            if path == "/v1/runs" {
                let ends = if name == "limits" { "cpu_time" } else { "ok" };
                assert_eq!(answer["status"], ends, "{name}: {body}");
            }
            executed += 1;
        }
    }
    assert!(executed > 6, "{executed}");
}

async fn every_place_of_the_contract_is_there() {
    let served = Served::start(&[]);
    let contract = contract(&served);
    for (method, path, operation) in operations(&contract) {
        let place = path.replace("{id}", "01J00000000000000000000000").replace("{path}", "a.txt");
        let (status, body) = served.ask(&method, &place, "");
        assert!(status != 405 && !body.contains("no such place"), "{method} {place}: {body}");
        let problem = &operation["responses"]["default"];
        assert!(problem["content"]["application/problem+json"].is_object(), "{method} {path}");
        let kind = served.say(crate::served::request(&method, &place, "").as_bytes());
        if status >= 400 {
            let told = "content-type: application/problem+json";
            assert!(status == 503 || kind.contains(told), "{method} {place}: {kind}");
            check(&contract, "Problem", &serde_json::from_str(&body).unwrap());
        }
    }
}

async fn an_answer_has_the_form_that_is_said_of_it() {
    let served = Served::start(&[]);
    let contract = contract(&served);
    for (place, schema) in [
        ("/v1/runs", "RunPage"),
        ("/v1/sessions", "SessionPage"),
        ("/v1/runtimes", "Runtimes"),
        ("/v1/host", "Host"),
        ("/v1/logs", "LogPage"),
    ] {
        let (status, body) = served.ask("GET", place, "");
        assert_eq!(status, 200, "{place}: {body}");
        check(&contract, schema, &serde_json::from_str(&body).unwrap());
    }
    let (_, row) = served.ask("POST", "/v1/sessions", r#"{"runtime":"python"}"#);
    let row: Value = serde_json::from_str(&row).unwrap();
    check(&contract, "Session", &row);
    let calls = format!("/v1/sessions/{}/calls", row["id"].as_str().unwrap());
    for code in ["1", "1/0", "import os; os._exit(1)"] {
        let asked = serde_json::json!({ "code": code });
        check(&contract, "CallRequest", &asked);
        let (_, answer) = served.ask("POST", &calls, &asked.to_string());
        check(&contract, "CallAnswer", &serde_json::from_str(&answer).unwrap());
    }
}
