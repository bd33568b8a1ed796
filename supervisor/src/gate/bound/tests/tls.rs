use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::Broken;
use super::super::authority::Authority;
use super::{NAME, Stage, VALUE, acceptor, echo, hear, roots};

/// A client as it is in a jar: it trusts what it is told to.
fn client(trusted: &Arc<RootCertStore>) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(Arc::clone(trusted))
        .with_no_client_auth()
}

fn trusting(stage: &Stage) -> ClientConfig {
    let files = stage.bindings.trust(&[]).unwrap().files;
    client(&roots(&[str::from_utf8(&files[1].bytes).unwrap()]))
}

/// Shakes hands as `name`, and gives the stream, or why there is none, and what became of it.
async fn shake(
    stage: &Stage,
    config: ClientConfig,
    name: &str,
) -> Result<(TlsStream<tokio::io::DuplexStream>, super::Verdict), (String, Broken)> {
    let (stream, verdict) = stage.connect().await;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
        Ok(stream) => Ok((stream, verdict)),
        Err(error) => Err((error.to_string(), verdict.await.unwrap().unwrap_err())),
    }
}

async fn get(stage: &Stage) -> (String, Result<(), Broken>) {
    let (mut stream, verdict) = shake(stage, trusting(stage), NAME).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n");
    let text = format!("{head}Authorization: Bearer {}\r\n\r\n", stage.placeholder);
    stream.write_all(text.as_bytes()).await.unwrap();
    let answer = hear(&mut stream).await;
    drop(stream);
    (answer, verdict.await.unwrap())
}

#[tokio::test]
async fn a_value_goes_out_under_tls_and_comes_back_as_its_placeholder() {
    let stage = Stage::tls(NAME).await;
    for _ in 0..2 {
        let (answer, verdict) = get(&stage).await;
        assert_eq!(verdict, Ok(()));
        assert!(answer.contains(&stage.placeholder) && !answer.contains("hunter2"), "{answer}");
    }
    for seen in stage.seen() {
        assert_eq!(seen.header("authorization"), format!("Bearer {VALUE}"));
        assert_eq!(seen.header("host"), NAME);
    }
    assert_eq!(stage.seen().len(), 2);
}

#[tokio::test]
async fn whoever_asks_for_another_name_or_none_is_refused() {
    let stage = Stage::tls(NAME).await;
    let others = ["evil.example.com", "example.com", "x.api.example.com"].map(Some);
    for asked in others.into_iter().chain([None]) {
        // A client sends no address as the name of a server.
        let name = asked.unwrap_or("192.0.2.7");
        let (said, broken) = shake(&stage, trusting(&stage), name).await.unwrap_err();
        assert_eq!(broken, Broken::ServerName(asked.map(str::to_owned)), "{name}: {said}");
        assert!(said.contains("alert"), "{name}: {said}");
    }
    assert!(stage.seen().is_empty());
}

#[tokio::test]
async fn only_http_1_1_is_offered() {
    let stage = Stage::tls(NAME).await;
    let mut config = trusting(&stage);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (_, broken) = shake(&stage, config, NAME).await.unwrap_err();
    assert_eq!(broken, Broken::ClientTls);
    let mut config = trusting(&stage);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let (stream, _) = shake(&stage, config, NAME).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn whoever_does_not_trust_the_authority_sends_nothing() {
    let stage = Stage::tls(NAME).await;
    let (said, broken) = shake(&stage, client(&roots(&[])), NAME).await.unwrap_err();
    assert_eq!(broken, Broken::ClientTls);
    assert!(said.contains("certificate"), "{said}");
    // The authority of another run.
    let other = Stage::tls(NAME).await;
    let (_, broken) = shake(&stage, trusting(&other), NAME).await.unwrap_err();
    assert_eq!(broken, Broken::ClientTls);
}

#[tokio::test]
async fn a_place_that_cannot_show_who_it_is_gets_nothing() {
    let for_another_name = Stage::tls("other.example.com").await;
    let authority = Authority::new(vec![NAME.to_owned()]).unwrap();
    let (upstream, seen) = echo(Some(acceptor(&authority, NAME))).await;
    let vouched_for_by_nobody = Stage::at(443, upstream, seen, &[]);
    for stage in [for_another_name, vouched_for_by_nobody] {
        let (answer, verdict) = get(&stage).await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
        assert!(answer.contains("api.example.com:443: TLS with it failed"), "{answer}");
        assert_eq!(verdict, Err(Broken::Certificate));
        assert!(stage.seen().is_empty());
    }
}

#[tokio::test]
async fn a_place_without_tls_gets_nothing_where_tls_was_asked() {
    let (upstream, seen) = echo(None).await;
    let stage = Stage::at(443, upstream, seen, &[]);
    let (answer, verdict) = get(&stage).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_eq!(verdict, Err(Broken::UpstreamTls));
    assert!(stage.seen().is_empty());
}

/// The key never leaves this process; if it did, it could pose as nobody else.
#[tokio::test]
async fn an_authority_vouches_for_its_names_alone() {
    let authority = Authority::new(vec![NAME.to_owned()]).unwrap();
    for (name, is_trusted) in [(NAME, true), ("bank.example.org", false)] {
        let (inside, outside) = tokio::io::duplex(64 * 1024);
        let accepting = acceptor(&authority, name);
        tokio::spawn(async move { accepting.accept(outside).await.map(drop) });
        let config = client(&roots(&[authority.certificate_pem()]));
        let server_name = ServerName::try_from(name).unwrap();
        let shaken = TlsConnector::from(Arc::new(config)).connect(server_name, inside).await;
        assert_eq!(shaken.is_ok(), is_trusted, "{name}: {shaken:?}");
    }
}
