use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::super::{Bindings, Broken, relay};
use super::{NAME, Stage, VALUE, echo, hear, roots, source};

/// Each is answered with the status beside it, and the place never hears of it.
#[tokio::test]
async fn a_request_that_names_another_place_does_not_reach_this_one() {
    let stage = Stage::plain().await;
    let other = "Host: evil.example.com\r\n";
    let here = format!("Host: {NAME}\r\n");
    for (target, hosts, status) in [
        ("/", other.to_owned(), "421"),
        ("/", format!("Host: {NAME}:8080\r\n"), "421"),
        ("/", format!("Host: {NAME}.evil.com\r\n"), "421"),
        ("/", format!("Host: x{NAME}\r\n"), "421"),
        ("/", format!("Host: {NAME}, evil.example.com\r\n"), "421"),
        ("/", format!("Host: @{NAME}\r\n"), "421"),
        ("/", "Host:\r\n".to_owned(), "421"),
        ("/", String::new(), "400"),
        ("/", format!("{here}{other}"), "400"),
        ("/", format!("{here}{here}"), "400"),
        ("http://evil.example.com/", here.clone(), "421"),
        (&format!("http://{NAME}@evil.example.com/"), here.clone(), "421"),
        (&format!("http://user@{NAME}/"), here.clone(), "421"),
        (&format!("http://{NAME}/"), other.to_owned(), "421"),
    ] {
        let text = format!("GET {target} HTTP/1.1\r\n{hosts}X-Key: @\r\nConnection: close\r\n\r\n");
        let answer = stage.ask(&text).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{text}: {answer}");
    }
    assert!(stage.seen().is_empty(), "{:?}", stage.seen());
}

#[tokio::test]
async fn a_place_is_named_as_the_standard_lets_it_be_named() {
    let stage = Stage::plain().await;
    for (target, host) in [
        ("/x", "API.Example.COM"),
        ("/x", "api.example.com:80"),
        ("/x", "api.example.com."),
        ("http://api.example.com/x", NAME),
        ("http://API.EXAMPLE.COM:80/x", NAME),
    ] {
        let text = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = stage.ask(&text).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{text}: {answer}");
    }
    for seen in stage.seen() {
        assert_eq!((seen.line.as_str(), seen.header("host")), ("GET /x HTTP/1.1", NAME));
    }
}

#[tokio::test]
async fn what_is_not_carried_is_said_so() {
    let stage = Stage::plain().await;
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    for (line, header) in [
        ("GET / HTTP/1.1", upgrade),
        ("GET / HTTP/1.1", "Upgrade: h2c\r\nUpgrade: websocket\r\n"),
        ("TRACE / HTTP/1.1", ""),
        ("CONNECT api.example.com:80 HTTP/1.1", ""),
    ] {
        let text = format!("{line}\r\nHost: {NAME}\r\nConnection: close\r\n{header}\r\n");
        let answer = stage.ask(&text).await;
        assert!(answer.starts_with("HTTP/1.1 501 ") && answer.contains("belljar: "), "{answer}");
    }
    let preface = stage.ask("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(!preface.contains(" 200 "), "{preface}");
    assert!(stage.seen().is_empty(), "{:?}", stage.seen());
}

/// Whatever a request looks like: what the place takes for a request is what was answered here as
/// one, and no secret goes where a header cannot be told from something else.
#[tokio::test]
async fn no_request_hides_in_another() {
    let inner = "GET /inner HTTP/1.1\r\nHost: evil.example.com\r\nX-Key: @\r\n\r\n";
    let host = format!("Host: {NAME}\r\n");
    let long = inner.len() + 32;
    for text in [
        format!(
            "POST / HTTP/1.1\r\n{host}Content-Length: {long}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"
        ),
        format!(
            "POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{inner}"
        ),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{inner}"),
        format!(
            "POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}"
        ),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{inner}"),
        format!("POST / HTTP/1.0\r\n{host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: 5\r\nContent-Length: 0\r\n\r\n{inner}"),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: +5\r\n\r\n{inner}"),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: 0x5\r\n\r\n{inner}"),
        format!(
            "POST / HTTP/1.1\r\n{host}Connection: Content-Length\r\nContent-Length: {}\r\n\r\n{inner}",
            inner.len()
        ),
        format!(
            "POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{inner}"
        ),
        format!(
            "POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n5\rhello\r\n0\r\n\r\n{inner}"
        ),
        format!("GET / HTTP/1.1\r\n{host}X-A: b\r\n {inner}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}X-A: b\0c\r\n\r\n{inner}"),
        format!("GET / HTTP/1.1\r\n{host}X-A\r\n\r\n{inner}"),
        format!("GET / HTTP/1.1\r\n{host}X-A: b\rX-B: c\r\n\r\n{inner}"),
        format!("GET / HTTP/1.1\n{host}X-A: b\n\n{inner}"),
        format!("GET /\r\n\r\n{inner}"),
        format!("GET /a b HTTP/1.1\r\n{host}\r\n{inner}"),
        format!("\r\n\r\nGET / HTTP/1.1\r\n{host}\r\n{inner}"),
    ] {
        let stage = Stage::plain().await;
        let (mut stream, verdict) = stage.connect().await;
        stream.write_all(text.replace('@', &stage.placeholder).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = hear(&mut stream).await;
        let _verdict = verdict.await.unwrap();
        let seen = stage.seen();
        assert!(seen.len() <= 1, "{text:?}: {seen:?}");
        assert_eq!(answer.matches("HTTP/1.1 200 ").count(), seen.len(), "{text:?}: {answer}");
        let line = |text: &str| seen.iter().any(|seen| seen.line.contains(text));
        assert!(!line("/inner"), "{text:?}: {seen:?}");
        let bare = seen.iter().all(|seen| !format!("{:?}", seen.headers).contains("hunter2"));
        assert!(bare, "{text:?}: {seen:?}");
    }
}

#[tokio::test]
async fn a_header_has_a_ceiling_before_and_after_its_secrets() {
    let stage = Stage::plain().await;
    let large = format!("X-A: {}\r\n", "a".repeat(70 * 1024));
    let many = "X-A: 1\r\n".repeat(200);
    let value = "v".repeat(8 * 1024);
    for header in [&large, &many] {
        let answer = stage.get(header).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    let place = format!("{NAME}:80");
    let mut source = source(&[("KEY", &value, &place)]);
    let bindings = Bindings::take(&mut source).unwrap();
    let placeholder = String::from_utf8_lossy(source.secrets.get("KEY").unwrap()).into_owned();
    let (inside, outside) = tokio::io::duplex(64 * 1024);
    let mut inside = inside;
    let upstream = TcpStream::connect(stage.upstream).await.unwrap();
    let bound = bindings.at(NAME, 80).unwrap();
    let verdict = tokio::spawn(async move { relay(outside, upstream, &bound).await });
    let header = format!("X-A: {}\r\n", placeholder.repeat(1000));
    let ask = format!("GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n{header}\r\n");
    inside.write_all(ask.as_bytes()).await.unwrap();
    let answer = hear(&mut inside).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert_eq!(verdict.await.unwrap(), Ok(()));
    assert!(stage.seen().is_empty());
}

#[tokio::test]
async fn secrets_of_two_places_never_cross() {
    let (one, seen_by_one) = echo(None).await;
    let (two, seen_by_two) = echo(None).await;
    let places =
        [("ONE", "value-of-one", "one.example:80"), ("TWO", "value-of-two", "two.example:80")];
    let mut source = source(&places);
    let bindings = Bindings::take_trusting(&mut source, || roots(&[])).unwrap();
    let placeholder =
        |name| String::from_utf8_lossy(source.secrets.get(name).unwrap()).into_owned();
    let (first, second) = (placeholder("ONE"), placeholder("TWO"));
    for (host, address) in [("one.example", one), ("two.example", two)] {
        let bound = bindings.at(host, 80).unwrap();
        let (mut inside, outside) = tokio::io::duplex(64 * 1024);
        let upstream = TcpStream::connect(address).await.unwrap();
        tokio::spawn(async move { relay(outside, upstream, &bound).await });
        let header = format!("Host: {host}\r\nConnection: close\r\nX-A: {first} {second}\r\n");
        inside.write_all(format!("GET / HTTP/1.1\r\n{header}\r\n").as_bytes()).await.unwrap();
        assert!(hear(&mut inside).await.contains(&format!("x-a: {first} {second}\n")));
    }
    let x_a = |log: &super::Log| log.lock().unwrap()[0].header("x-a").to_owned();
    assert_eq!(x_a(&seen_by_one), format!("value-of-one {second}"));
    assert_eq!(x_a(&seen_by_two), format!("{first} value-of-two"));
    assert!(bindings.at("three.example", 80).is_none());
    assert!(bindings.at("one.example", 81).is_none());
}

#[tokio::test]
async fn what_is_said_at_the_wrong_port_ends() {
    let stage = Stage::tls(NAME).await;
    let answer = stage.get("Authorization: Bearer @\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("ask https"), "{answer}");
    let (mut stream, verdict) = Stage::plain().await.connect().await;
    stream.write_all(b"\x16\x03\x01\x00\x05hello").await.unwrap();
    assert_eq!(verdict.await.unwrap(), Err(Broken::TlsUnexpected));
    assert!(stage.seen().is_empty());
    let (stream, verdict) = stage.connect().await;
    drop(stream);
    assert_eq!(verdict.await.unwrap(), Ok(()), "nothing was said");
}

#[tokio::test]
async fn when_a_relay_is_dropped_so_is_all_of_it() {
    let stage = Stage::plain().await;
    let (mut stream, verdict) = stage.connect().await;
    let ask = format!("POST / HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 9\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    assert_eq!(Arc::strong_count(&stage.bound), 3, "the stage, its bindings, the relay");
    verdict.abort();
    assert!(verdict.await.unwrap_err().is_cancelled());
    assert_eq!(Arc::strong_count(&stage.bound), 2);
    assert_eq!(hear(&mut stream).await, "");
    assert!(!VALUE.is_empty() && stage.seen().is_empty());
}
