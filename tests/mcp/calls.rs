//! What is offered, what is answered, and how refusals look.

use belljar_tests::{Test, tests};
use serde_json::{Value, json};

use crate::client::{Client, everywhere, hello, meta, text};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        the_server_says_what_it_offers(),
        a_client_of_the_current_revision_needs_no_handshake(),
        programs_of_many_languages_run(Python, Bash),
        what_a_payload_does_wrong_is_a_result(Bash),
        what_is_wrong_with_a_request_is_an_error(),
        every_result_is_what_its_schema_says(Python, Bash),
        of_long_output_both_ends_are_shown(),
        a_denial_comes_with_advice(Bash),
        no_secret_is_told(Python),
        no_secret_is_logged(Bash),
        a_request_that_is_no_message_harms_nothing(),
        what_the_operator_gives_is_all_there_is(),
        many_calls_at_one_time(),
    ]
}

async fn the_server_says_what_it_offers() {
    everywhere(|client| {
        let tools = client.ask("tools/list", &json!({}))["result"]["tools"].clone();
        let named = tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap());
        assert_eq!(
            named.collect::<Vec<_>>(),
            [
                "run_code",
                "check_code",
                "list_runtimes",
                "open_session",
                "close_session",
                "list_sessions",
                "interrupt_session",
            ],
        );
        for tool in tools.as_array().unwrap() {
            for schema in ["inputSchema", "outputSchema"] {
                assert!(jsonschema::meta::is_valid(&tool[schema]), "{tool}");
                assert_eq!(tool[schema]["type"], "object", "{tool}");
            }
            let hints = &tool["annotations"];
            let name = tool["name"].as_str().unwrap();
            let reaches_out = ["run_code", "open_session"].contains(&name);
            assert_eq!(hints["openWorldHint"], reaches_out, "{tool}");
            let looks = name.starts_with("list_") || name == "check_code";
            assert_eq!(hints["readOnlyHint"], looks, "{tool}");
            assert!(tool["title"].is_string() && tool["description"].is_string(), "{tool}");
        }
        let templates = client.ask("resources/templates/list", &json!({}));
        let template = &templates["result"]["resourceTemplates"][0]["uriTemplate"];
        assert_eq!(template, "belljar://runs/{id}/artifacts/{+path}");
        let runtimes = client.call("list_runtimes", &json!({}));
        assert!(text(&runtimes).lines().any(|line| line.starts_with("js: ")), "{runtimes}");
    });
    let mut client = Client::silent(&[]);
    let answer = client.ask("initialize", &hello());
    assert_eq!(answer["result"]["serverInfo"]["name"], "belljar");
    assert!(answer["result"]["instructions"].as_str().unwrap().contains("no network"));
}

async fn a_client_of_the_current_revision_needs_no_handshake() {
    let served = crate::served::Served::start(&[]);
    for options in [&[][..], &["--socket", served.socket.to_str().unwrap()]] {
        let mut client = Client::silent(options);
        let found = client.ask("server/discover", &json!({ "_meta": meta() }));
        let versions = found["result"]["supportedVersions"].as_array().unwrap().clone();
        assert!(versions.contains(&crate::client::CURRENT.into()), "{found}");
        let arguments = json!({ "runtime": "js", "code": "console.log('\u{e4}')" });
        let params = json!({ "name": "run_code", "arguments": arguments, "_meta": meta() });
        let answer = client.ask("tools/call", &params);
        assert_eq!(answer["result"]["structuredContent"]["stdout"], "\u{e4}\n", "{answer}");
        assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    }
}

async fn programs_of_many_languages_run() {
    everywhere(|client| {
        for (runtime, code) in
            [("python", "print(6 * 7)"), ("js", "console.log(6 * 7)"), ("bash", "echo $((6 * 7))")]
        {
            let result = client.run(runtime, code);
            assert_eq!(result["isError"], false, "{result}");
            assert_eq!(result["structuredContent"]["stdout"], "42\n", "{result}");
            let text = text(&result);
            assert!(text.starts_with("exited with code 0 in "), "{text}");
            assert!(text.contains("stdout (3 bytes):\n42\n"), "{text}");
        }
        let files = json!([
            { "path": "main.sh", "content": "cat data/in; read line; echo $line $1 $A" },
            { "path": "data/in", "content": "AQI=", "encoding": "base64" },
        ]);
        let result = client.call(
            "run_code",
            &json!({
                "runtime": "bash", "files": files, "entry": "main.sh", "args": ["b"],
                "stdin": "a\n", "env": { "A": "c" }, "labels": { "k": "v" },
            }),
        );
        let outcome = &result["structuredContent"];
        assert_eq!(outcome["stdout"], "\u{1}\u{2}a b c\n", "{outcome}");
        assert_eq!(outcome["labels"]["k"], "v");
    });
}

async fn what_a_payload_does_wrong_is_a_result() {
    everywhere(|client| {
        let limits = json!({ "wall_ms": 300 });
        for (arguments, status, reason) in [
            (json!({ "code": "echo no >&2; exit 3" }), "nonzero_exit", "exited with code 3 in "),
            (json!({ "code": "kill -9 $$" }), "signalled", "ended by SIGKILL, after "),
            (json!({ "code": "sleep 9", "limits": limits }), "wall_time", "did not finish"),
        ] {
            let mut arguments = arguments.clone();
            arguments["runtime"] = "bash".into();
            let result = client.call("run_code", &arguments);
            assert_eq!(result["isError"], true, "{result}");
            assert_eq!(result["structuredContent"]["status"], status, "{result}");
            assert!(text(&result).starts_with(reason), "{result}");
        }
    });
}

async fn what_is_wrong_with_a_request_is_an_error() {
    everywhere(|client| {
        for (tool, arguments, mentions) in [
            ("run_code", json!({}), "runtime"),
            ("run_code", json!({ "runtime": "js" }), "nothing to run"),
            ("run_code", json!({ "runtime": "js", "code": 1 }), "string"),
            ("run_code", json!({ "runtime": "js", "code": "1", "floor": "L1" }), "floor"),
            ("run_code", json!({ "runtime": "cobol", "code": "1" }), "cobol"),
            ("run_code", json!({ "session": "1", "code": "1" }), "session"),
            ("list_runtimes", json!({ "a": 1 }), "\"a\""),
            ("fly", json!({}), "fly"),
        ] {
            let answer = client.try_call(tool, &arguments);
            let error = &answer["error"];
            assert_eq!(error["code"], -32602, "{arguments}: {answer}");
            assert!(error["message"].as_str().unwrap().contains(mentions), "{answer}");
            assert_eq!(error["data"]["message"], error["message"], "{answer}");
            assert_eq!(error["data"]["may_retry"], false, "{answer}");
        }
        let limits = json!({ "memory_bytes": 1_u64 << 50 });
        let arguments = json!({ "runtime": "js", "code": "1", "limits": limits });
        let answer = client.try_call("run_code", &arguments);
        assert!(answer["error"]["message"].as_str().unwrap().contains("memory_bytes"), "{answer}");
        assert_eq!(client.ask("no/such", &json!({}))["error"]["code"], -32601);
    });
}

async fn every_result_is_what_its_schema_says() {
    everywhere(|client| {
        let tools = client.ask("tools/list", &json!({}))["result"]["tools"].clone();
        let schema = |name: &str| {
            let mut tools = tools.as_array().unwrap().iter();
            let tool = tools.find(|tool| tool["name"] == name).unwrap();
            jsonschema::validator_for(&tool["outputSchema"]).unwrap()
        };
        let check = |tool: &str, result: &Value| {
            let told = &result["structuredContent"];
            let schema = schema(tool);
            let wrong = schema.iter_errors(told).map(|error| error.to_string());
            assert_eq!(wrong.collect::<Vec<_>>(), Vec::<String>::new(), "{told}");
        };
        for arguments in [
            json!({ "runtime": "js", "code": "console.log(1)" }),
            json!({ "runtime": "js", "code": "throw 1" }),
            json!({ "runtime": "bash", "code": "printf '\\377'; mkdir /x; kill $$" }),
            json!({ "runtime": "bash", "code": "echo 1 > a.txt", "collect": ["*", "no/../x"] }),
            json!({ "runtime": "python", "code": "{'a': [1]}", "rich": true }),
            json!({ "runtime": "python", "code": "1/0", "rich": true, "labels": { "a": "b" } }),
        ] {
            let answer = client.try_call("run_code", &arguments);
            if answer["error"].is_null() {
                check("run_code", &answer["result"]);
            }
        }
        let runtimes = client.call("list_runtimes", &json!({}));
        check("list_runtimes", &runtimes);
        let session = client.call("open_session", &json!({ "runtime": "python" }));
        check("open_session", &session);
        let one = json!({ "session": session["structuredContent"]["id"] });
        for code in ["1", "x", "import os; os._exit(3)"] {
            let asked = json!({ "session": one["session"], "code": code });
            let result = client.call("run_code", &asked);
            check("run_code", &result);
        }
        let listed = client.call("list_sessions", &json!({}));
        check("list_sessions", &listed);
    });
}

async fn of_long_output_both_ends_are_shown() {
    everywhere(|client| {
        let code = "console.log('BEGIN' + 'x'.repeat(500000) + 'END'); console.error('y')";
        let result = client.run("js", code);
        let shown = text(&result);
        assert!(shown.len() < 10_000, "{}", shown.len());
        assert!(shown.contains("stdout (500009 bytes):\nBEGINx"), "{shown}");
        assert!(shown.contains("[... 491817 bytes of stdout left out here ...]"), "{shown}");
        assert!(shown.contains("xEND\n") && shown.contains("stderr (2 bytes):\ny\n"), "{shown}");
        let told = result["structuredContent"]["stdout"].as_str().unwrap();
        assert_eq!(told.len(), 500_009, "nothing is left out of what is for machines");
        let limits = json!({ "stdout_bytes": 100 });
        let arguments = json!({ "runtime": "js", "code": code, "limits": limits });
        let result = client.call("run_code", &arguments);
        assert!(text(&result).contains("[499909 more bytes of stdout"), "{result}");
    });
}

async fn a_denial_comes_with_advice() {
    everywhere(|client| {
        let result = client
            .run("bash", "mount -t tmpfs none /work; unshare -n; exec 3<>/dev/tcp/1.1.1.1/53");
        let denials = result["structuredContent"]["denials"].as_array().unwrap().clone();
        let text = text(&result);
        for denial in &denials {
            let what = denial["what"].as_str().unwrap();
            let hint = denial["hint"].as_str().unwrap();
            assert!(text.contains(what) && text.contains(hint), "{denial}: {text}");
        }
        assert!(!denials.is_empty(), "{result}");
    });
}

async fn no_secret_is_told() {
    everywhere(|client| {
        let secret = "correct horse battery staple";
        let code =
            "import belljar\ns = belljar.secrets['KEY']\nprint(len(s), s)\nraise ValueError(s)";
        let arguments = json!({
            "runtime": "python", "code": code, "secrets": { "KEY": secret }, "rich": true,
        });
        let result = client.call("run_code", &arguments);
        assert!(text(&result).contains("28 "), "{result}");
        assert!(!result.to_string().contains(secret), "{result}");
        for secrets in
            [json!(secret), json!({ "KEY": { "content": secret, "a": 1 } }), json!({ secret: 1 })]
        {
            let arguments = json!({ "runtime": "js", "code": "1", "secrets": secrets });
            let answer = client.try_call("run_code", &arguments);
            assert_eq!(answer["error"]["code"], -32602, "{answer}");
            assert!(!answer.to_string().contains(secret), "{answer}");
        }
    });
}

/// The protocol's own library would tell whole messages.
async fn no_secret_is_logged() {
    let served = crate::served::Served::start(&[]);
    for options in [&[][..], &["--socket", served.socket.to_str().unwrap()]] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut client = Client::start_logging(options, std::fs::File::create(&path).unwrap());
        let secret = "correct horse battery staple";
        let code = "wc -c < /run/secrets/KEY";
        let arguments = json!({ "runtime": "bash", "code": code, "secrets": { "KEY": secret } });
        let result = client.call("run_code", &arguments);
        assert!(text(&result).contains("\n28\n"), "{result}");
        assert!(client.end().success());
        let log = std::fs::read_to_string(&path).unwrap();
        assert!(!log.contains(secret) && !log.contains("rmcp"), "{log}");
        assert!(!options.is_empty() || log.contains("belljar"), "{log}");
    }
}

async fn a_request_that_is_no_message_harms_nothing() {
    everywhere(|client| {
        for line in ["garbage", "{", "\u{0}\u{1}", "[]", "null", "\"x\"", "{\"jsonrpc\":\"1.0\"}"] {
            client.write(&format!("{line}\n"));
        }
        client.say(&json!({ "jsonrpc": "2.0", "method": "notifications/nonsense" }));
        let missing = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled" });
        client.say(&missing);
        let result = client.run("js", "console.log(1)");
        assert_eq!(result["structuredContent"]["stdout"], "1\n");
    });
    // Nor before anybody was welcomed.
    let mut client = Client::silent(&[]);
    client.write("garbage\n{}\n");
    client.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    client.say(&json!({ "jsonrpc": "2.0", "id": 9, "result": {} }));
    assert_eq!(client.ask("initialize", &hello())["result"]["serverInfo"]["name"], "belljar");
}

async fn what_the_operator_gives_is_all_there_is() {
    let mut client = Client::start(&["--memory", "100M", "--wall", "3s"]);
    let outcome = client.run("js", "1")["structuredContent"].clone();
    assert_eq!(outcome["limits"]["memory_bytes"], 100 << 20, "{outcome}");
    assert_eq!(outcome["limits"]["wall_ms"], 3000, "{outcome}");
    let tools = client.ask("tools/list", &json!({}))["result"]["tools"].clone();
    let limits = &tools[0]["inputSchema"]["properties"]["limits"]["properties"];
    assert_eq!(limits["memory_bytes"]["maximum"], 100 << 20, "{limits}");
    for (bytes, is_granted) in [(50 << 20, true), (101 << 20, false)] {
        let limits = json!({ "memory_bytes": bytes });
        let arguments = json!({ "runtime": "js", "code": "1", "limits": limits });
        let answer = client.try_call("run_code", &arguments);
        assert_eq!(answer["error"].is_null(), is_granted, "{answer}");
    }
}

async fn many_calls_at_one_time() {
    everywhere(|client| {
        let sent = (0..50).map(|number| {
            let arguments = json!({ "runtime": "js", "code": format!("console.log({number})") });
            let params = json!({ "name": "run_code", "arguments": arguments });
            (client.send("tools/call", &params), number)
        });
        let mut sent = sent.collect::<std::collections::BTreeMap<_, _>>();
        while !sent.is_empty() {
            let answer = client.hear();
            let number = sent.remove(&answer["id"].as_u64().unwrap()).expect("one answer each");
            let outcome = &answer["result"]["structuredContent"];
            assert_eq!(outcome["stdout"], format!("{number}\n"), "{answer}");
        }
    });
}
