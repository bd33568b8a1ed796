use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{Log, NAME, Stage, VALUE};

#[tokio::test]
async fn every_usual_form_of_a_value_comes_back_as_the_placeholder() {
    let url: String = url_encoded(VALUE);
    let forms = [
        VALUE.to_owned(),
        VALUE.replace('"', "\\\""),
        url,
        STANDARD.encode(VALUE).trim_end_matches('=').to_owned(),
    ];
    for form in forms {
        let text = format!("<{form}>");
        let length = text.len();
        let answer =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nX-It: {form}\r\n\r\n{text}");
        let stage = Stage::that_says(answer).await;
        let told = stage.get("").await;
        assert!(!told.contains(&form) && !told.contains("hunter2"), "{form}: {told}");
        assert_eq!(told.matches(&stage.placeholder).count(), 2, "{form}: {told}");
    }
}

#[tokio::test]
async fn a_value_in_pieces_is_one_value() {
    let letters = format!("<{VALUE}>");
    let pieces: Vec<_> = letters.split("").filter(|it| !it.is_empty()).collect();
    let pieces = format!("1\r\n{}\r\n", pieces.join("\r\n1\r\n"));
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n";
    let stage = Stage::that_says(format!("{head}{pieces}0\r\nX-End: {VALUE}\r\n\r\n")).await;
    let told = stage.get("TE: trailers\r\n").await;
    assert!(told.contains(&stage.placeholder), "{told}");
    assert!(!told.contains("hunter2") && !told.contains("X-End"), "{told}");
}

#[tokio::test]
async fn a_reason_and_a_name_of_a_place_say_nothing() {
    let stage =
        Stage::that_says(format!("HTTP/1.1 401 no {VALUE}\r\nContent-Length: 0\r\n\r\n")).await;
    let told = stage.get("").await;
    assert!(told.starts_with("HTTP/1.1 401 ") && !told.contains("hunter2"), "{told}");
}

#[tokio::test]
async fn what_cannot_hold_a_value_keeps_its_length() {
    for (head, request, wanted) in [
        ("200 OK\r\nContent-Length: 2\r\n\r\nok", "GET", "content-length: 2"),
        ("200 OK\r\nContent-Length: 0\r\n\r\n", "GET", "content-length: 0"),
        ("200 OK\r\nContent-Length: 123456\r\n\r\n", "HEAD", "content-length: 123456"),
    ] {
        let stage = Stage::that_says(format!("HTTP/1.1 {head}")).await;
        let ask = format!("{request} / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n");
        let told = stage.ask(&ask).await.to_lowercase();
        assert!(told.contains(wanted), "{head}: {told}");
        assert!(!told.contains("chunked"), "{head}: {told}");
    }
    let stage = Stage::that_says("HTTP/1.1 204 No Content\r\n\r\n").await;
    let told = stage.get("").await.to_lowercase();
    assert!(!told.contains("content-length") && !told.contains("chunked"), "{told}");
}

/// In the clear, whatever it says of its coding.
#[tokio::test]
async fn a_false_coding_hides_nothing() {
    for coding in ["gzip", "foo", "identity, br"] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\n");
        let stage = Stage::that_says(format!("{head}Content-Length: 99\r\n\r\n{VALUE:>99}")).await;
        let told = stage.get("").await;
        assert!(told.contains("200 OK") && !told.contains(VALUE), "{coding}: {told}");
    }
}

#[tokio::test]
async fn an_event_arrives_when_it_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stage = Stage::at(80, listener.local_addr().unwrap(), Log::default(), &[]);
    let (mut stream, _verdict) = stage.connect().await;
    let (mut place, _) = listener.accept().await.unwrap();
    let ask = format!("GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    place.write_all(format!("{head}data: one\n\n").as_bytes()).await.unwrap();
    let mut told = Vec::new();
    let hearing = async {
        while !String::from_utf8_lossy(&told).contains("data: one\n\n") {
            assert!(stream.read_buf(&mut told).await.unwrap() > 0);
        }
    };
    tokio::time::timeout(Duration::from_secs(10), hearing).await.expect("it was held back");
    // The place is still there, and has said nothing more.
    drop(place);
}

#[tokio::test]
async fn an_answer_that_is_none_is_told_as_such() {
    let giant = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\n\r\n", "a".repeat(80 * 1024));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-A: 1\r\n".repeat(200));
    let switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
    for said in ["220 mail ESMTP\r\n\r\n", "hunter2\r\n\r\n", switched, &giant, &many] {
        let stage = Stage::that_says(said).await;
        let told = stage.get("").await;
        assert!(told.starts_with("HTTP/1.1 502 "), "{said:.40}: {told}");
        assert!(told.contains("api.example.com:80"), "{said:.40}: {told}");
    }
}

#[tokio::test]
async fn informational_answers_do_not_count() {
    let said = "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let told = Stage::that_says(said).await.get("").await;
    assert!(told.starts_with("HTTP/1.1 200 OK") && told.ends_with("ok"), "{told}");
}

#[tokio::test]
async fn a_place_that_goes_away_takes_the_connection_along() {
    assert_eq!(Stage::that_says("").await.get("").await, "", "as if nobody stood between");
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nonly so far";
    let told = Stage::that_says(cut).await.get("").await;
    assert!(told.contains("only so far") && !told.ends_with("0\r\n\r\n"), "{told}");
    // Between two requests.
    let stage = Stage::that_says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let told = stage.ask(&format!("GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n")).await;
    assert!(told.ends_with("ok"), "{told}");
}

fn url_encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect::<Vec<_>>().concat()
}

/// Without room in the jar there is none here.
#[tokio::test]
async fn a_payload_that_does_not_read_stops_the_place() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stage = Stage::at(80, listener.local_addr().unwrap(), Log::default(), &[]);
    let (mut deaf, _verdict) = stage.connect().await;
    let (mut place, _) = listener.accept().await.unwrap();
    let ask = format!("GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n");
    deaf.write_all(ask.as_bytes()).await.unwrap();
    place.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n").await.unwrap();
    let mut taken = 0;
    let chunk = vec![b'x'; 64 * 1024];
    let flood = async {
        loop {
            place.write_all(&chunk).await.unwrap();
            taken += chunk.len();
        }
    };
    let flooded: Result<(), _> = tokio::time::timeout(Duration::from_secs(2), flood).await;
    assert!(flooded.is_err());
    assert!(taken < 16 * 1024 * 1024, "{taken} bytes were taken");
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_is_heard() {
    let stage = Stage::that_says("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno").await;
    let (mut stream, _verdict) = stage.connect().await;
    let ask = format!("POST / HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 99999999\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut told = Vec::new();
    while !told.ends_with(b"no") {
        assert!(stream.read_buf(&mut told).await.unwrap() > 0, "{told:?}");
    }
    assert!(told.starts_with(b"HTTP/1.1 413 "));
}

#[tokio::test]
async fn an_old_place_does_not_make_the_payload_old() {
    let old = "HTTP/1.0 200 OK\r\n\r\nuntil the end";
    let told = Stage::that_says(old).await.get("").await;
    assert!(told.starts_with("HTTP/1.1 200 OK") && told.contains("until the end"), "{told}");
}
