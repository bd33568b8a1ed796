use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{Log, NAME, Stage, VALUE, hear};

#[tokio::test]
async fn a_placeholder_in_a_header_becomes_the_value_and_comes_back_as_it_was() {
    let stage = Stage::plain().await;
    let answer = stage.get("Authorization: Bearer @\r\nX-Key: a@b, @\r\nCookie: k=@\r\n").await;
    let seen = stage.only();
    assert_eq!(seen.header("authorization"), format!("Bearer {VALUE}"));
    assert_eq!(seen.header("x-key"), format!("a{VALUE}b, {VALUE}"));
    assert_eq!(seen.header("cookie"), format!("k={VALUE}"));
    let placeholder = &stage.placeholder;
    assert!(answer.contains(&format!("x-you-sent: Bearer {placeholder}\r\n")), "{answer}");
    assert!(answer.contains(&format!("x-key: a{placeholder}b, {placeholder}\n")), "{answer}");
    assert!(!answer.contains("hunter2"), "{answer}");
}

#[tokio::test]
async fn credentials_of_the_scheme_basic_are_opened() {
    let stage = Stage::plain().await;
    let credentials = |password: &str| STANDARD.encode(format!("me:{password}"));
    let sent = credentials(&stage.placeholder);
    let unpadded = sent.trim_end_matches('=');
    let answer =
        stage.get(&format!("Authorization: bASIC {unpadded}\r\nX-Other: {sent}\r\n")).await;
    let seen = stage.only();
    assert_eq!(seen.header("authorization"), format!("bASIC {}", credentials(VALUE)));
    assert_eq!(seen.header("x-other"), sent, "no scheme, no base64");
    assert!(!answer.contains(&credentials(VALUE)[8..20]), "{answer}");
    assert!(answer.contains(&stage.placeholder), "{answer}");
}

#[tokio::test]
async fn nothing_but_the_value_of_a_header_is_touched() {
    let stage = Stage::plain().await;
    let p = &stage.placeholder;
    let head =
        format!("POST /{p}?k={p} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n{p}: x\r\n");
    let cut = format!("X-Cut: {} {}\r\nX-Part: {}\r\n", &p[..20], &p[20..], &p[..39]);
    let upper = format!("X-Upper: {}\r\n", p.to_uppercase());
    let text = format!("{head}{cut}{upper}Content-Length: {}\r\n\r\n{p}", p.len());
    stage.ask(&text).await;
    let seen = stage.only();
    assert_eq!(seen.line, format!("POST /{p}?k={p} HTTP/1.1"));
    assert_eq!(seen.body, p.as_bytes());
    assert!(!format!("{seen:?}").contains("hunter2"), "{seen:?}");
}

#[tokio::test]
async fn requests_that_follow_each_other_are_answered_in_order() {
    let stage = Stage::plain().await;
    let one = |path: &str, end: &str| format!("GET /{path} HTTP/1.1\r\nHost: {NAME}\r\n{end}\r\n");
    let post = format!(
        "POST /b HTTP/1.1\r\nHost: {NAME}\r\nTransfer-Encoding: chunked\r\nX-Key: @\r\n\r\n\
         5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Trailer: @\r\n\r\n"
    );
    let last = one("c", "Connection: close\r\n");
    let answer = stage.ask(&format!("{}{post}{last}", one("a", ""))).await;
    let lines: Vec<_> = stage.seen().iter().map(|seen| seen.line.clone()).collect();
    assert_eq!(lines, ["GET /a HTTP/1.1", "POST /b HTTP/1.1", "GET /c HTTP/1.1"]);
    let [_, post, _] = stage.seen().try_into().unwrap();
    assert_eq!((post.body.as_slice(), post.header("x-key")), (&b"hello world"[..], VALUE));
    assert_eq!(post.header("transfer-encoding"), "chunked");
    let at = |text: &str| answer.find(text).unwrap_or_else(|| panic!("no {text} in {answer}"));
    assert!(at("GET /a") < at("POST /b") && at("POST /b") < at("GET /c"));
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
}

#[tokio::test]
async fn what_is_meant_for_the_next_hop_ends_here() {
    let stage = Stage::plain().await;
    let hops = "Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n\
                Proxy-Authorization: Basic eDp5\r\nProxy-Connection: close\r\nUpgrade: h2c\r\n\
                Accept-Encoding: gzip, br\r\nX-Stays: 1\r\n";
    stage.ask(&format!("GET / HTTP/1.1\r\nHost: {NAME}\r\n{hops}\r\n")).await;
    let seen = stage.only();
    let mut names: Vec<_> = seen.headers.keys().map(hyper::header::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept-encoding", "host", "x-stays"]);
    assert_eq!(seen.header("accept-encoding"), "identity");
}

#[tokio::test]
async fn a_body_waits_for_leave_and_gets_it() {
    let stage = Stage::plain().await;
    let (mut stream, _verdict) = stage.connect().await;
    let head =
        format!("POST / HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 5\r\nConnection: close\r\n");
    stream.write_all(format!("{head}Expect: 100-continue\r\n\r\n").as_bytes()).await.unwrap();
    let mut leave = [0; 25];
    stream.read_exact(&mut leave).await.unwrap();
    assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").await.unwrap();
    assert!(hear(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
    assert_eq!(stage.only().body, b"hello");
}

#[tokio::test]
async fn an_empty_body_keeps_its_length_and_an_old_client_its_version() {
    let stage = Stage::plain().await;
    let post = format!("POST / HTTP/1.0\r\nHost: {NAME}:80\r\nContent-Length: 0\r\n\r\n");
    let answer = stage.ask(&post).await;
    assert!(answer.starts_with("HTTP/1.0 200 OK"), "{answer}");
    assert!(!answer.to_lowercase().contains("transfer-encoding"), "{answer}");
    let seen = stage.only();
    assert_eq!((seen.header("content-length"), seen.header("host")), ("0", NAME));
}

/// Sends 32 MiB both ways, and finds that they arrived as they were.
#[tokio::test]
async fn large_bodies_stream_both_ways() {
    const BYTES: usize = 32 * 1024 * 1024;
    let stage = Stage::plain().await;
    let (stream, _verdict) = stage.connect().await;
    let (mut from, mut to) = tokio::io::split(stream);
    let body: Vec<u8> = (0..BYTES).map(|at| b'a' + u8::try_from(at / 7 % 26).unwrap()).collect();
    let head = format!("POST / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n");
    let text = format!("{head}Content-Length: {BYTES}\r\n\r\n").into_bytes();
    let sent = body.clone();
    let sending = tokio::spawn(async move {
        to.write_all(&text).await.unwrap();
        to.write_all(&sent).await.unwrap();
        to
    });
    let mut answer = Vec::new();
    from.read_to_end(&mut answer).await.unwrap();
    drop(sending.await.unwrap());
    assert!(stage.only().body == body, "what was sent is not what arrived");
    assert!(answer.len() > BYTES, "{}", answer.len());
}

/// Without room at the place there is none here: 64 MiB do not fit into this process.
#[tokio::test]
async fn a_place_that_does_not_read_stops_who_writes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stage = Stage::at(80, listener.local_addr().unwrap(), Log::default(), &[]);
    let (mut stream, _verdict) = stage.connect().await;
    let (_deaf, _) = listener.accept().await.unwrap();
    let head = format!("POST / HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 99999999\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut taken = 0;
    let chunk = vec![0; 64 * 1024];
    let flood = async {
        loop {
            stream.write_all(&chunk).await.unwrap();
            taken += chunk.len();
        }
    };
    let flooded: Result<(), _> = tokio::time::timeout(Duration::from_secs(2), flood).await;
    assert!(flooded.is_err());
    assert!(taken < 16 * 1024 * 1024, "{taken} bytes were taken");
}
