//! Certificates of the moment.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, PKCS_ED25519, SignatureAlgorithm, date_time_ymd,
};

/// An authority of its own.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Identity {
    pub cert: String,
    pub key: String,
}

/// When a certificate is valid, by years.
pub type Years = (i32, i32);

pub const NOW: Years = (2000, 4000);
pub const PAST: Years = (2000, 2001);
pub const FUTURE: Years = (3999, 4000);

// === impl Authority ===

impl Authority {
    pub fn new(name: &str) -> Self {
        Self::valid(name, NOW)
    }

    pub fn valid(name: &str, years: Years) -> Self {
        let mut params = params(name, &[], years);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for hosts and addresses.
    pub fn issue(&self, hosts: &[&str]) -> Identity {
        self.issue_valid(hosts, NOW)
    }

    pub fn issue_valid(&self, hosts: &[&str], years: Years) -> Identity {
        self.issue_signing(hosts, years, &rcgen::PKCS_ECDSA_P256_SHA256)
    }

    /// With a key that signs by Ed25519, which not every server takes.
    pub fn issue_ed25519(&self, hosts: &[&str]) -> Identity {
        self.issue_signing(hosts, NOW, &PKCS_ED25519)
    }

    fn issue_signing(
        &self,
        hosts: &[&str],
        years: Years,
        algorithm: &'static SignatureAlgorithm,
    ) -> Identity {
        let mut params = params("leaf", hosts, years);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            cert: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

fn params(name: &str, hosts: &[&str], (from, to): Years) -> CertificateParams {
    let hosts: Vec<_> = hosts.iter().map(|&host| host.to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    params
}
