//! Two that speak differently find out before either misunderstands the other.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::thread;

use belljar_tests::{Test, tests};
use serde_json::Value;

use crate::served::{Served, belljar, request};

pub(crate) fn tests() -> Vec<Test> {
    tests![every_answer_says_what_it_speaks(), another_contract_is_refused_by_name()]
}

async fn every_answer_says_what_it_speaks() {
    let served = Served::start(&[]);
    let (status, body) = served.ask("GET", "/v1/version", "");
    let version: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &version["api"]), (200, &1.into()), "{body}");
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(version["protocol"], belljar::PROTOCOL_VERSION);
    assert_eq!(served.ask("POST", "/v1/version", "").0, 405);
    for (method, place, body) in [
        ("GET", "/v1/version", ""),
        ("GET", "/no/such/place", ""),
        ("DELETE", "/v1/runs", ""),
        ("POST", "/v1/runs", "{}"),
        ("POST", "/v1/runs", r#"{"runtime":"js","code":"1"}"#),
        ("DELETE", "/v1/sessions/none", ""),
    ] {
        let answer = served.say(request(method, place, body).as_bytes()).to_lowercase();
        assert!(answer.contains("\r\nbelljar-api: 1\r\n"), "{method} {place}: {answer}");
        assert!(answer.contains("\r\nbelljar-version: "), "{method} {place}: {answer}");
    }
}

async fn another_contract_is_refused_by_name() {
    for (headers, mentions) in [
        ("belljar-api: 2\r\nbelljar-version: 7.0.0\r\n", "belljar 7.0.0 with Api 2"),
        ("belljar-api: 2\r\n", "belljar ? with Api 2"),
        ("server: another\r\n", "something without an Api of belljar"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let answer = format!("HTTP/1.1 200 OK\r\n{headers}content-length: 2\r\n\r\n{{}}");
        let asked = thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        for args in [&["run", "-r", "js", "-c", "1"][..], &["runs"]] {
            let mut command = belljar(args);
            let output = command.arg("--socket").arg(&socket).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(125), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
            let own = concat!("belljar ", env!("CARGO_PKG_VERSION"), " with Api 1");
            assert!(said.contains(own) && said.contains(mentions), "{said}");
            assert!(said.contains("same version on both sides"), "{said}");
        }
        asked.join().unwrap();
    }
}
