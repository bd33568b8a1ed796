//! Whoever does not wait for an answer any more ends the run; and what is told until then.

use std::time::{Duration, Instant};

use belljar_tests::{Test, tests};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::client::{Client, everywhere};
use crate::served::{PATIENCE, Served, lives, mark, soon};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        progress_is_told_to_those_who_ask(Bash),
        a_cancelled_call_is_killed(Bash),
        a_client_that_hangs_up_ends_everything(Bash),
        a_client_that_only_wrote_hears_what_became_of_it(Bash),
        no_service_is_an_error_and_no_hang(),
    ]
}

/// From the word to the end of a payload.
const AT_ONCE: Duration = Duration::from_secs(10);

fn sleep(client: &mut Client, mark: &str) -> u64 {
    let arguments = json!({ "runtime": "bash", "code": format!("sleep {mark}") });
    let id = client.send("tools/call", &json!({ "name": "run_code", "arguments": arguments }));
    assert!(soon(PATIENCE, || lives(mark)), "it does not begin");
    id
}

async fn progress_is_told_to_those_who_ask() {
    everywhere(|client| {
        let arguments = json!({ "runtime": "bash", "code": "echo 12345; sleep 1.3" });
        let meta = json!({ "progressToken": "mine" });
        let params = json!({ "name": "run_code", "arguments": arguments, "_meta": meta });
        let began = Instant::now();
        let id = client.send("tools/call", &params);
        let (mut told, mut last) = (Vec::new(), -1.0);
        loop {
            let message = client.hear();
            if message["id"] == id {
                break;
            }
            assert_eq!(message["method"], "notifications/progress", "{message}");
            assert_eq!(message["params"]["progressToken"], "mine", "{message}");
            let now = message["params"]["progress"].as_f64().unwrap();
            assert!(now > last, "{message}");
            last = now;
            told.push(message["params"]["message"].as_str().unwrap().to_owned());
        }
        // One each half a second, and one more at either end.
        let most = began.elapsed().as_millis() / 500 + 2;
        assert!(told.len() >= 2 && told.len() as u128 <= most, "{told:?}");
        assert!(told.last().unwrap().contains("6 bytes of output"), "{told:?}");
    });
}

async fn a_cancelled_call_is_killed() {
    everywhere(|client| {
        let mark = mark();
        let id = sleep(client, &mark);
        let params = json!({ "requestId": id, "reason": "enough" });
        let method = "notifications/cancelled";
        client.say(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
        assert!(soon(AT_ONCE, || !lives(&mark)), "it outlives its cancellation");
        // And nobody else is harmed.
        assert_eq!(client.run("js", "console.log(1)")["isError"], false);
    });
}

async fn a_client_that_hangs_up_ends_everything() {
    let served = Served::start(&[]);
    for options in [&[][..], &["--socket", served.socket.to_str().unwrap()]] {
        let mark = mark();
        let mut client = Client::start(options);
        sleep(&mut client, &mark);
        assert!(client.end().success());
        assert!(soon(AT_ONCE, || !lives(&mark)), "it outlives its client: {options:?}");
    }
    assert!(served.is_well());
    let mut client = Client::start(&[]);
    let mark = mark();
    sleep(&mut client, &mark);
    client.kill(Signal::SIGTERM);
    assert!(soon(AT_ONCE, || !lives(&mark)), "it outlives the server");
}

async fn a_client_that_only_wrote_hears_what_became_of_it() {
    let mut client = Client::start(&[]);
    let id = sleep(&mut client, &mark());
    client.hang_up();
    let answer = client.answer(id);
    assert_eq!(answer["result"]["structuredContent"]["status"], "cancelled", "{answer}");
    assert_eq!(answer["result"]["isError"], true);
    assert!(client.is_deaf());
}

async fn no_service_is_an_error_and_no_hang() {
    let mut client = Client::silent(&["--socket", "/no/such/socket"]);
    assert_eq!(client.end().code(), Some(125));
    let served = Served::start(&[]);
    let mut client = Client::start(&["--socket", served.socket.to_str().unwrap()]);
    drop(served);
    let arguments = json!({ "runtime": "js", "code": "1" });
    let answer = client.try_call("run_code", &arguments);
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    assert_ne!(answer["error"]["data"]["message"], Value::Null);
}
