//! Sandboxes that keep their state, in the hands of a model.

use std::time::Duration;

use belljar_tests::{Test, tests};
use serde_json::{Value, json};

use crate::client::{Client, everywhere, text};
use crate::served::{PATIENCE, lives, mark, soon};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_session_keeps_its_state_and_shows_values(Python),
        a_call_in_a_session_can_be_interrupted(Bash),
        a_session_ends_with_its_client(Bash),
    ]
}

fn open(client: &mut Client, runtime: &str) -> Value {
    let opened = client.call("open_session", &json!({ "runtime": runtime }));
    let row = &opened["structuredContent"];
    assert_eq!((&opened["isError"], &row["status"]), (&false.into(), &"ready".into()), "{opened}");
    row["id"].clone()
}

fn call(client: &mut Client, session: &Value, code: &str) -> Value {
    client.call("run_code", &json!({ "session": session, "code": code }))
}

async fn a_session_keeps_its_state_and_shows_values() {
    everywhere(|client| {
        let session = open(client, "python");
        assert_eq!(call(client, &session, "x = [1]; print('a')")["isError"], false);
        let result = call(client, &session, "x.append(2); open('f.csv', 'w').write('1'); x");
        assert!(text(&result).contains("value (6 bytes):\n[1, 2]\n"), "{result}");
        let wrong = call(client, &session, "x['no']");
        assert_eq!(wrong["isError"], true, "{wrong}");
        assert!(text(&wrong).starts_with("TypeError: "), "{wrong}");
        let asked = json!({ "session": session, "code": "len(x)", "collect": ["*.csv"] });
        let result = client.call("run_code", &asked);
        assert!(text(&result).contains("\n2\n"), "{result}");
        let uri = result["content"][1]["uri"].clone();
        let read = client.ask("resources/read", &json!({ "uri": uri }));
        assert_eq!(read["result"]["contents"][0]["text"], "1", "{read}");
        let listed = client.call("list_sessions", &json!({}));
        assert_eq!(listed["structuredContent"]["sessions"][0]["id"], session, "{listed}");
        let one = json!({ "session": session });
        client.call("close_session", &one);
        let gone = client.try_call("run_code", &json!({ "session": session, "code": "1" }));
        assert_eq!(gone["error"]["data"]["code"], "not_found", "{gone}");
        let gone = client.try_call("close_session", &one);
        assert_eq!(gone["error"]["data"]["code"], "not_found", "{gone}");
    });
}

async fn a_call_in_a_session_can_be_interrupted() {
    everywhere(|client| {
        let session = open(client, "bash");
        assert_eq!(call(client, &session, "x=1")["isError"], false);
        let mark = mark();
        let arguments = json!({ "session": session, "code": format!("sleep {mark}") });
        let params = json!({ "name": "run_code", "arguments": arguments });
        let id = client.send("tools/call", &params);
        assert!(soon(PATIENCE, || lives(&mark)), "it does not begin");
        let asked = client.send(
            "tools/call",
            &json!({ "name": "interrupt_session", "arguments": { "session": session } }),
        );
        let (mut answers, mut interrupted) = (0, Value::Null);
        while answers < 2 {
            let message = client.hear();
            answers += 1;
            if message["id"] == id {
                interrupted = message;
            } else {
                assert_eq!(message["id"], asked, "{message}");
            }
        }
        let told = &interrupted["result"]["structuredContent"];
        assert_eq!(told["status"], "interrupted", "{interrupted}");
        let result = call(client, &session, "echo $x");
        assert!(text(&result).contains("\n1\n"), "{result}");
    });
}

async fn a_session_ends_with_its_client() {
    let mut client = Client::start(&[]);
    let session = open(&mut client, "bash");
    let mark = mark();
    call(&mut client, &session, &format!("sleep {mark} &"));
    assert!(client.end().success());
    assert!(soon(Duration::from_secs(2), || !lives(&mark)), "it outlives its client");
}
