//! TLS goes through end to end, for the name that was granted and no other.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use belljar::Source;
use belljar_tests::{Test, expect, scratch, stdout, tests};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::clients::run_granted;
use crate::places::{Names, Server, answer_request, says};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        tls_reaches_the_granted_name_end_to_end(Python),
        fetch_of_node_does_too(Node),
        another_server_name_does_not_pass(Python),
        a_hello_in_crumbs_is_understood(Python),
        a_server_that_speaks_first_is_heard(Python),
    ]
}

/// Where the authority is that every server of these tests has its certificate from.
const AUTHORITY: &str = "BELLJAR_TEST_AUTHORITY";

/// A process reads once which authorities it trusts. So the suite runs in a child, for which there
/// is one of its own; nothing for the child itself.
pub(crate) fn with_an_authority() -> Option<ExitCode> {
    if std::env::var_os(AUTHORITY).is_some() {
        return None;
    }
    let directory = scratch();
    let key = KeyPair::generate().expect("a key");
    let certificate = an_authority().self_signed(&key).expect("a certificate");
    let (public, private) = (directory.path().join("ca.pem"), directory.path().join("ca.key"));
    std::fs::write(&public, certificate.pem()).expect("a file");
    std::fs::write(private, key.serialize_pem()).expect("a file");
    let status = Command::new(std::env::current_exe().expect("this program"))
        .args(std::env::args_os().skip(1))
        .env(AUTHORITY, directory.path())
        .env("SSL_CERT_FILE", public)
        .status()
        .expect("this program once more");
    Some(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The certificate of the authority, as a payload trusts it.
pub(crate) fn authority_pem() -> String {
    std::fs::read_to_string(authority().join("ca.pem")).expect("its file")
}

/// What is said of it; its key is what makes it the one.
fn an_authority() -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, "an authority of tests");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn authority() -> PathBuf {
    std::env::var_os(AUTHORITY).expect("set for this process").into()
}

/// What a server needs to be `name`; by a stranger's word, if it is not to be trusted.
pub(crate) fn acceptor(name: &str, is_trusted: bool) -> TlsAcceptor {
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let key = KeyPair::generate().expect("a key");
    let certificate = if is_trusted {
        let file = |name| std::fs::read_to_string(authority().join(name)).expect("its file");
        let signer = KeyPair::from_pem(&file("ca.key")).expect("its key");
        let issuer = Issuer::new(an_authority(), signer);
        params.signed_by(&key, &issuer).expect("a certificate")
    } else {
        params.self_signed(&key).expect("a certificate")
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a certificate and its key");
    TlsAcceptor::from(Arc::new(config))
}

/// A server of HTTPS, and how many handshakes it has finished.
async fn secure(name: &str, answer: String) -> (Server, Arc<AtomicUsize>) {
    let (acceptor, shaken) = (acceptor(name, true), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&shaken);
    let server = Server::serving(move |stream| {
        let (acceptor, answer, count) = (acceptor.clone(), answer.clone(), Arc::clone(&count));
        async move {
            let stream = acceptor.accept(stream).await?;
            count.fetch_add(1, Ordering::Relaxed);
            answer_request(stream, answer).await
        }
    });
    (server.await, shaken)
}

/// Code that trusts the authority.
pub(crate) fn trusting(code: impl Into<String>) -> Source {
    Source::code(code)
        .file("ca.pem", authority_pem())
        .env("SSL_CERT_FILE", "/work/ca.pem")
        .env("NODE_EXTRA_CA_CERTS", "/work/ca.pem")
}

async fn tls_reaches_the_granted_name_end_to_end() {
    let names = Names::here(&["api.test"]).await;
    let (server, shaken) = secure("api.test", says("sealed")).await;
    let place = format!("api.test:{}", server.port);
    let code = format!(
        "import urllib.request\nprint(urllib.request.urlopen('https://{place}/').read().decode())"
    );
    let outcome = run_granted("python", &names, &[place], trusting(code)).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "sealed\n");
    assert_eq!(shaken.load(Ordering::Relaxed), 1);
}

async fn fetch_of_node_does_too() {
    let names = Names::here(&["api.test"]).await;
    let (server, _) = secure("api.test", says("sealed")).await;
    let place = format!("api.test:{}", server.port);
    let code = format!("fetch('https://{place}/').then(r => r.text()).then(t => console.log(t))");
    let outcome = run_granted("node", &names, &[place], trusting(code)).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "sealed\n");
}

async fn another_server_name_does_not_pass() {
    let names = Names::here(&["api.test"]).await;
    let (server, shaken) = secure("front.test", says("fronted")).await;
    let place = format!("api.test:{}", server.port);
    let code = format!(
        "import socket, ssl\ncontext = ssl.create_default_context()\n\
         context.check_hostname = False\ncontext.verify_mode = ssl.CERT_NONE\n\
         for name in ['front.test', None]:\n    \
         s = socket.create_connection(('api.test', {port}), 10)\n    try:\n        \
         context.wrap_socket(s, server_hostname=name)\n        print('passed', name)\n    \
         except OSError as e:\n        print('refused')\n",
        port = server.port
    );
    let outcome = run_granted("python", &names, &[place], trusting(code)).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "refused\nrefused\n");
    assert_eq!(shaken.load(Ordering::Relaxed), 0);
    let network = outcome.network.expect("it had one");
    let verdicts: Vec<_> = network.connections.iter().map(|it| it.verdict).collect();
    assert_eq!(verdicts, ["server_name", "server_name"]);
    let told = outcome.denials.iter().any(|denial| denial.rule == "network/server-name");
    assert!(told, "{:?}", outcome.denials);
}

/// One byte after the other, each in a segment of its own.
async fn a_hello_in_crumbs_is_understood() {
    let names = Names::here(&["api.test"]).await;
    let (server, shaken) = secure("api.test", says("sealed")).await;
    let place = format!("api.test:{}", server.port);
    let code = format!(
        "import socket, ssl\ncontext = ssl.create_default_context(cafile='/work/ca.pem')\n\
         into, out = ssl.MemoryBIO(), ssl.MemoryBIO()\n\
         tls = context.wrap_bio(into, out, server_hostname='api.test')\n\
         s = socket.create_connection(('api.test', {port}), 10)\n\
         s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)\n\
         while True:\n    try:\n        tls.do_handshake()\n        break\n    \
         except ssl.SSLWantReadError:\n        \
         for byte in out.read():\n            s.sendall(bytes([byte]))\n        \
         into.write(s.recv(65536))\n\
         print('shaken')\nfor byte in out.read(): s.sendall(bytes([byte]))\n\
         tls.write(b'GET / HTTP/1.0\\r\\n\\r\\n')\ns.sendall(out.read())\n\
         while s.recv(65536): pass\n",
        port = server.port
    );
    let outcome = run_granted("python", &names, &[place], trusting(code)).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "shaken\n");
    assert_eq!(shaken.load(Ordering::Relaxed), 1);
}

async fn a_server_that_speaks_first_is_heard() {
    let names = Names::here(&["mail.test"]).await;
    let server = Server::serving(|mut stream| async move {
        stream.write_all(b"220 ready\r\n").await?;
        let mut said = [0; 4];
        stream.read_exact(&mut said).await?;
        stream.write_all(&said).await
    })
    .await;
    let place = format!("mail.test:{}", server.port);
    let code = format!(
        "import socket\ns = socket.create_connection(('mail.test', {}), 10)\n\
         print(s.recv(99)); s.sendall(b'QUIT'); print(s.recv(99))",
        server.port
    );
    let outcome = run_granted("python", &names, &[place], code).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "b'220 ready\\r\\n'\nb'QUIT'\n");
}
