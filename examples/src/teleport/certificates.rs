use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};
use tower::BoxError;

/// The cluster's certificate authority, made at run time.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// Who somebody is in the cluster, and whom they believe: all in PEM.
#[derive(Clone)]
pub(crate) struct Credentials {
    authority: String,
    certificate: String,
    key: String,
}

// === impl Authority ===

impl Authority {
    pub(crate) fn new() -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let name = DnType::CommonName;
        params.distinguished_name.push(name, "example");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self { issuer, pem })
    }

    /// A certificate with a user's or a server's name and roles; a server has a DNS name as well, by which it is called.
    ///
    /// The name is the subject's common name and the roles are its organisation, as with Teleport. That has one
    /// organisation for each role; rcgen writes one at most, so here they stand in it with commas between.
    pub(crate) fn issue(
        &self,
        name: &str,
        roles: &[&str],
        server: Option<&str>,
    ) -> Result<Credentials, rcgen::Error> {
        let dns: Vec<String> = server.map(str::to_owned).into_iter().collect();
        let mut params = CertificateParams::new(dns)?;
        params.distinguished_name = DistinguishedName::new();
        let subject = &mut params.distinguished_name;
        subject.push(DnType::CommonName, name);
        subject.push(DnType::OrganizationName, roles.join(","));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if server.is_some() {
            let purpose = ExtendedKeyUsagePurpose::ServerAuth;
            params.extended_key_usages.push(purpose);
        }
        let key = KeyPair::generate()?;
        Ok(Credentials {
            authority: self.pem.clone(),
            certificate: params.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }
}

// === impl Credentials ===

impl Credentials {
    /// Writes them where `tsh` looks for them, as `tsh login` would have.
    pub(crate) fn write(&self, home: &Path, user: &str) -> io::Result<()> {
        std::fs::write(home.join("ca.pem"), &self.authority)?;
        std::fs::write(home.join(format!("{user}.pem")), &self.certificate)?;
        std::fs::write(home.join(format!("{user}-key.pem")), &self.key)
    }

    /// Reads what [`write`](Self::write) has written.
    pub(crate) fn read(home: &Path, user: &str) -> io::Result<Self> {
        Ok(Self {
            authority: std::fs::read_to_string(home.join("ca.pem"))?,
            certificate: std::fs::read_to_string(home.join(format!("{user}.pem")))?,
            key: std::fs::read_to_string(home.join(format!("{user}-key.pem")))?,
        })
    }

    /// For a gRPC server: shows the certificate, and asks every client for one.
    pub(crate) fn grpc_server(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(Identity::from_pem(&self.certificate, &self.key))
            .client_ca_root(Certificate::from_pem(&self.authority))
    }

    /// For a gRPC client of the server of that name.
    pub(crate) fn grpc_client(&self, server: &str) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .identity(Identity::from_pem(&self.certificate, &self.key))
            .ca_certificate(Certificate::from_pem(&self.authority))
            .domain_name(server)
    }

    /// The same for a server of another protocol.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, BoxError> {
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::new(self.roots()?);
        let clients =
            WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build()?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(self.chain()?, self.key()?)?;
        Ok(Arc::new(config).into())
    }

    /// The same for a client of another protocol.
    pub(crate) fn connector(&self) -> Result<TlsConnector, BoxError> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(self.chain()?, self.key()?)?;
        Ok(Arc::new(config).into())
    }

    #[cfg(test)]
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    fn roots(&self) -> Result<RootCertStore, BoxError> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.as_bytes())?)?;
        Ok(roots)
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, BoxError> {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes())?;
        Ok(vec![certificate])
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, BoxError> {
        Ok(PrivateKeyDer::from_pem_slice(self.key.as_bytes())?)
    }
}
