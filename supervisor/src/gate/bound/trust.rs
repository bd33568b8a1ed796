use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;

use crate::Error;
use crate::runtime::LaunchFile;

/// What this host trusts, and the authority of the run.
const BUNDLE: &str = "/run/belljar/ca.pem";
/// The authority of the run alone, for what adds to the roots that it brings along.
const ADDED: &str = "/run/belljar/authority.pem";

/// Where programs look for a file of all that they shall trust.
const NAMED: [(&str, &str); 9] = [
    ("SSL_CERT_FILE", BUNDLE), // OpenSSL and what uses it (Python, Ruby, PHP), Go, rustls
    ("REQUESTS_CA_BUNDLE", BUNDLE), // requests, which brings roots of its own
    ("CURL_CA_BUNDLE", BUNDLE), // curl
    ("GIT_SSL_CAINFO", BUNDLE), // git
    ("PIP_CERT", BUNDLE),      // pip
    ("AWS_CA_BUNDLE", BUNDLE), // botocore and the AWS command line
    ("CARGO_HTTP_CAINFO", BUNDLE), // cargo
    ("NODE_EXTRA_CA_CERTS", ADDED), // Node, which reads it beside its own roots
    ("DENO_CERT", ADDED),      // Deno, likewise
];

/// What this host trusts: what `SSL_CERT_FILE` of the supervisor names, or the system's own.
pub(super) static HOST: LazyLock<Vec<CertificateDer<'static>>> = LazyLock::new(|| {
    let loaded = rustls_native_certs::load_native_certs();
    for error in &loaded.errors {
        tracing::debug!(%error, "a root of this host cannot be used");
    }
    loaded.certs
});

static HOST_PEM: LazyLock<String> =
    LazyLock::new(|| HOST.iter().map(|certificate| pem(certificate)).collect());

/// What makes the programs of a jar trust the authority of its run.
#[derive(Default)]
pub(in crate::gate) struct Trust {
    pub(in crate::gate) files: Vec<LaunchFile>,
    pub(in crate::gate) env: Vec<(String, String)>,
}

impl Trust {
    /// # Errors
    /// [`Error::Invalid`] where the caller said what to trust: whichever of the two won, one would be
    /// surprised by certificates that fail.
    pub(super) fn new(authority_pem: &str, env: &[(String, String)]) -> Result<Self, Error> {
        if let Some((name, _)) =
            env.iter().find(|(name, _)| NAMED.iter().any(|(ours, _)| ours == name))
        {
            return Err(Error::Invalid(format!(
                "environment {name}: a secret is bound to a place that speaks TLS, for which {name} \
             has to be {BUNDLE}; leave it out"
            )));
        }
        let file = |path: &str, text: String| LaunchFile {
            path: path.to_owned(),
            mode: 0o444,
            bytes: text.into_bytes(),
        };
        let files = vec![
            file(BUNDLE, format!("{}{authority_pem}", *HOST_PEM)),
            file(ADDED, authority_pem.to_owned()),
        ];
        let env = NAMED.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned()));
        Ok(Self { files, env: env.collect() })
    }
}

/// RFC 7468.
fn pem(certificate: &[u8]) -> String {
    const LINE_BYTES: usize = 64;
    let text = STANDARD.encode(certificate);
    let lines = text.as_bytes().chunks(LINE_BYTES).map(String::from_utf8_lossy);
    let body: String = lines.flat_map(|line| [line, "\n".into()]).collect();
    format!("-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")
}
