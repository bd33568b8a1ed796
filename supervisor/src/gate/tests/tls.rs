use super::*;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// How a client of TLS that wants `name` greets.
pub(super) fn greeting(name: &'static str) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from(name).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut said = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut said).unwrap();
    }
    said
}

/// The same greeting in records of `size` bytes.
fn in_records(greeting: &[u8], size: usize) -> Vec<u8> {
    let (version, body) = (&greeting[1..3], &greeting[5..]);
    let record = |part: &[u8]| {
        let length = u16::try_from(part.len()).unwrap().to_be_bytes();
        [&[22], version, &length, part].concat()
    };
    body.chunks(size).flat_map(record).collect()
}

/// What reaches the server `tls.test` of this, said in pieces, and the verdict.
async fn heard(said: &[u8], piece: usize) -> (Vec<u8>, &'static str) {
    let (port, mut heard) = recorder().await;
    let opened = Opened::new(&grants(&["tls.test"], port), &Limits::strict()).await;
    let mut stream = connect(port).await;
    stream.set_nodelay(true).unwrap();
    for part in said.chunks(piece) {
        if stream.write_all(part).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    // It may be broken already.
    drop(stream.shutdown().await);
    rest(&mut stream).await;
    let all = tokio::time::timeout(Duration::from_secs(20), heard.recv()).await.unwrap().unwrap();
    until(|| {
        let used = opened.gate.shared.audit.close(Vec::new());
        used.connections[0].verdict != "run_ended"
    })
    .await;
    let (used, denied) = opened.close();
    let verdict = used.connections[0].verdict;
    let is_told = denied.iter().any(|denial| denial.rule == "network/server-name");
    assert_eq!(verdict == "server_name", is_told, "{verdict} {denied:?}");
    (all, verdict)
}

#[tokio::test]
async fn tls_for_the_granted_name_passes_unchanged_however_it_is_cut() {
    let said = greeting("tls.test");
    for (said, piece) in [
        (said.clone(), usize::MAX),
        (said.clone(), 1),
        (in_records(&said, 7), usize::MAX),
        (in_records(&said, 1), 3),
        ([said, b"and more".to_vec()].concat(), 64),
        (greeting("TLS.Test"), usize::MAX),
    ] {
        assert_eq!(heard(&said, piece).await, (said, "closed"));
    }
}

#[tokio::test]
async fn tls_for_another_name_or_for_none_does_not_pass() {
    for said in [
        greeting("evil.example"),
        greeting("sub.tls.test"),
        greeting("tls.test.evil.example"),
        greeting("192.0.2.1"),
        in_records(&greeting("evil.example"), 5),
    ] {
        for piece in [1, usize::MAX] {
            assert_eq!(heard(&said, piece).await, (Vec::new(), "server_name"));
        }
    }
}

#[tokio::test]
async fn what_begins_as_tls_and_goes_on_as_nothing_does_not_pass() {
    let mut endless = Vec::new();
    for _ in 0..20 {
        endless.extend([&[22, 3, 1, 0x40, 0][..], &[1, 0xff, 0xff, 0xff], &[0; 0x3ffc]].concat());
    }
    for said in [[22, 3, 1, 0, 4, 9, 9, 9, 9].to_vec(), [22, 3, 3, 0xff, 0xff].repeat(99), endless]
    {
        assert_eq!(heard(&said, 4096).await, (Vec::new(), "server_name"));
    }
}

#[tokio::test]
async fn what_is_no_tls_passes() {
    for said in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[22, 9, 9], &[22], &[], &[0; 100]] {
        assert_eq!(heard(said, 1).await, (said.to_vec(), "closed"));
    }
}
