//! Questions whose answers depend on what the operator lets run, and lets what runs reach.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::OnceLock;
use std::thread;

use serde_json::{Value, json};

use crate::probes::{NOTHING, ask, tenant};
use crate::served::Served;

/// Whether anything runs.
pub(crate) fn let_run(served: &mut Served, key: &str) -> String {
    ask(served, &tenant(key), "POST", "/v1/runs", NOTHING).status.to_string()
}

/// Whether a command is let run that no list has.
pub(crate) fn commands(served: &mut Served, key: &str) -> String {
    let body = r#"{"runtime":"bash","code":"false && frobnicate; true"}"#;
    ask(served, &tenant(key), "POST", "/v1/runs", body).status.to_string()
}

/// Whether a private place is granted. Nobody connects to it.
pub(crate) fn granted(served: &mut Served, key: &str) -> String {
    let body = r#"{"runtime":"bash","code":":","network":["10.1.2.3:9"]}"#;
    ask(served, &tenant(key), "POST", "/v1/runs", body).status.to_string()
}

/// What becomes of a connection to a name.
pub(crate) fn resolved(served: &mut Served, key: &str) -> String {
    let code = "exec 3<>/dev/tcp/a.test/9";
    let body = json!({ "runtime": "bash", "code": code, "network": ["a.test:9"] });
    let outcome = ask(served, &tenant(key), "POST", "/v1/runs", &body.to_string()).json();
    let verdict = &outcome["network"]["connections"][0]["verdict"];
    verdict.as_str().unwrap_or_else(|| panic!("{outcome}")).to_owned()
}

/// Whether what a model writes runs.
pub(crate) fn models_run(served: &mut Served, _: &str) -> String {
    let arguments: Value = serde_json::from_str(NOTHING).unwrap();
    let params = json!({ "name": "run_code", "arguments": arguments });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let body = message.to_string();
    let length = body.len();
    let answer = served.say(
        format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nmcp-session-id: mine\r\n\
             content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .as_bytes(),
    );
    let told = answer.lines().find_map(|line| {
        let line = line.strip_prefix("data: ").unwrap_or(line);
        serde_json::from_str::<Value>(line).ok().filter(Value::is_object)
    });
    let result = told.unwrap_or_else(|| panic!("{answer}"))["result"].take();
    let refused = result["structuredContent"]["code"] == "policy_refused";
    assert_eq!(result["isError"] == true, refused, "{result}");
    if refused { "refused" } else { "ok" }.to_owned()
}

/// Two that resolve names: to a private address, and not at all.
pub(crate) fn resolvers() -> [SocketAddr; 2] {
    static THERE: OnceLock<[SocketAddr; 2]> = OnceLock::new();
    *THERE.get_or_init(|| [Some([10, 9, 8, 7]), None].map(resolver))
}

fn resolver(address: Option<[u8; 4]>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let local = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            if let Ok(answer) = reply(&query[..length], address) {
                drop(socket.send_to(&answer, from));
            }
        }
    });
    local
}

/// The answer to a question (RFC 1035, section 4).
fn reply(query: &[u8], address: Option<[u8; 4]>) -> io::Result<Vec<u8>> {
    const A: [u8; 2] = [0, 1];
    let mut rest = query.get(12..).unwrap_or_default();
    let mut question = Vec::new();
    loop {
        let mut length = [0];
        rest.read_exact(&mut length)?;
        question.write_all(&length)?;
        if length == [0] {
            break;
        }
        let mut label = vec![0; length[0].into()];
        rest.read_exact(&mut label)?;
        question.write_all(&label)?;
    }
    let mut kind = [0; 4];
    rest.read_exact(&mut kind)?;
    question.write_all(&kind)?;
    let answered = address.filter(|_| kind[..2] == A);
    let no_such_name = u8::from(address.is_none()) * 3;
    let mut answer = query[..2].to_vec();
    answer.extend([0x85, 0x80 | no_such_name, 0, 1, 0, u8::from(answered.is_some()), 0, 0, 0, 0]);
    answer.extend(question);
    if let Some(address) = answered {
        // The name of the question, class IN, for a second.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        answer.extend(address);
    }
    Ok(answer)
}
