use std::io;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints,
    date_time_ymd,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use crate::Error;

/// Clocks are read in this process and in its jars alone: they agree.
const EARLIER: Duration = Duration::from_hours(1);
/// Longer than runs go on, and of no use to anybody later: the key is gone with the run.
const LATER: Duration = Duration::from_hours(7 * 24);

/// A certificate authority for one run, whose key is nowhere but in this memory.
///
/// Whoever had the key could still pose as the granted names only: its certificate is constrained
/// to them, and may sign no other authority.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    certificate_pem: String,
}

impl Authority {
    pub(super) fn new(names: Vec<String>) -> Result<Self, Error> {
        Self::make(names).map_err(|error| failed("cannot make an authority", error))
    }

    pub(super) fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A certificate for one name, with a key of its own.
    pub(super) fn certify(&self, name: &str) -> Result<CertifiedKey, Error> {
        let (certificate, key) =
            self.leaf(name).map_err(|error| failed("cannot make a certificate", error))?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        CertifiedKey::from_der(vec![certificate.der().clone()], key, &default_provider())
            .map_err(|error| failed("cannot use a certificate", error))
    }

    fn make(names: Vec<String>) -> Result<Self, rcgen::Error> {
        let mut params = params("belljar, for one run");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: names.into_iter().map(GeneralSubtree::DnsName).collect(),
            excluded_subtrees: Vec::new(),
        });
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let certificate_pem = issuer.pem();
        Ok(Self { issuer, certificate_pem })
    }

    fn leaf(&self, name: &str) -> Result<(rcgen::Certificate, KeyPair), rcgen::Error> {
        let mut params = params("belljar, for one name");
        params.subject_alt_names = vec![rcgen::SanType::DnsName(name.try_into()?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, &self.issuer)?, key))
    }
}

fn params(title: &str) -> CertificateParams {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let epoch = date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::default();
    params.not_before = epoch + now.saturating_sub(EARLIER);
    params.not_after = epoch + now.saturating_add(LATER);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, title);
    params
}

fn failed(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Internal(what.to_owned(), io::Error::other(error))
}
