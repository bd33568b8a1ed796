//! What runs leave behind: images to look at, and files to be read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use belljar_tests::{Test, tests};
use serde_json::{Value, json};

use crate::client::{Client, everywhere, text};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_picture_is_shown(Python),
        what_is_no_picture_is_a_link(Python),
        a_file_can_be_read_for_a_while(Bash),
        a_figure_needs_no_asking(Venv),
    ]
}

/// One pixel, by the book.
const PICTURE: &str = r"
import struct, zlib
def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
head = chunk(b'IHDR', struct.pack('>IIBBBBB', 1, 1, 8, 2, 0, 0, 0))
png = b'\x89PNG\r\n\x1a\n' + head + chunk(b'IDAT', zlib.compress(b'\0\xff\0\0')) + chunk(b'IEND', b'')
open('dot.png', 'wb').write(png)
";

fn collect(client: &mut Client, runtime: &str, code: &str) -> Value {
    let arguments = json!({ "runtime": runtime, "code": code, "collect": ["**"] });
    let result = client.call("run_code", &arguments);
    assert_eq!(result["isError"], false, "{result}");
    result
}

fn read(client: &mut Client, uri: &Value) -> Value {
    client.ask("resources/read", &json!({ "uri": uri }))
}

async fn a_picture_is_shown() {
    everywhere(|client| {
        let result = collect(client, "python", PICTURE);
        let image = &result["content"][1];
        assert_eq!((&image["type"], &image["mimeType"]), (&"image".into(), &"image/png".into()));
        let bytes = BASE64.decode(image["data"].as_str().unwrap()).unwrap();
        assert!(bytes.starts_with(b"\x89PNG"));
        let row = &result["structuredContent"]["artifacts"][0];
        assert_eq!((&row["path"], &row["bytes"]), (&"dot.png".into(), &bytes.len().into()));
        assert!(row["content"].is_null(), "what is said once is enough");
        assert!(text(&result).contains("- dot.png (image/png, "), "{result}");
    });
}

/// It would end the conversation of whoever shows it to a model.
async fn what_is_no_picture_is_a_link() {
    everywhere(|client| {
        let code = "open('a.png', 'w').write('no picture')\n\
                    open('b.png', 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n' + bytes(1 << 20))";
        let result = collect(client, "python", code);
        let blocks = result["content"].as_array().unwrap();
        let kinds = blocks.iter().map(|block| block["type"].as_str().unwrap());
        assert_eq!(kinds.collect::<Vec<_>>(), ["text", "resource_link", "resource_link"]);
    });
}

async fn a_file_can_be_read_for_a_while() {
    everywhere(|client| {
        let code = "mkdir 'a b'; printf 'x,y\\n' > 'a b/\u{e4}.csv'; printf '\\0\\377' > raw";
        let result = collect(client, "bash", code);
        let links = &result["content"].as_array().unwrap()[1..];
        let id = result["structuredContent"]["id"].as_str().unwrap();
        assert_eq!(links[0]["uri"], format!("belljar://runs/{id}/artifacts/a%20b/%C3%A4.csv"));
        let contents = read(client, &links[0]["uri"])["result"]["contents"][0].clone();
        assert_eq!(contents["text"], "x,y\n", "{contents}");
        assert_eq!(contents["mimeType"], "text/csv", "{contents}");
        let contents = read(client, &links[1]["uri"])["result"]["contents"][0].clone();
        assert_eq!(contents["blob"], "AP8=", "{contents}");
        let listed = client.ask("resources/list", &json!({}))["result"]["resources"].clone();
        assert!(listed.as_array().unwrap().contains(&without_type(&links[0])), "{listed}");
        let none = read(client, &json!(format!("belljar://runs/{id}/artifacts/no")));
        assert_eq!(none["error"]["code"], -32002, "{none}");
        assert_eq!(none["error"]["data"]["code"], "not_found", "{none}");
        let none = read(client, &json!("file:///etc/passwd"));
        assert_eq!(none["error"]["code"], -32002, "{none}");
    });
}

async fn a_figure_needs_no_asking() {
    let venv = std::env::var("BELLJAR_TEST_VENV").unwrap();
    let code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()";
    let mut client = Client::start_with(&[], &format!("{venv}/bin:/usr/bin:/bin"));
    let arguments = json!({ "runtime": "python", "code": code, "rich": true });
    let result = client.call("run_code", &arguments);
    assert_eq!(result["content"][1]["type"], "image", "{result}");
}

fn without_type(link: &Value) -> Value {
    let mut link = link.clone();
    link.as_object_mut().unwrap().remove("type");
    link
}
