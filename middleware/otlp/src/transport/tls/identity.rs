use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::sign::CertifiedKey;

use super::KeyPair;
use super::certificate::Fields;
use super::config::{CERTIFICATE, KEY, UNREADABLE, fault};
use super::pem;
use crate::transport::TransportError;

/// Who the client can be.
#[derive(Debug)]
pub(super) struct Identities {
    list: Vec<Identity>,
    asked: Asked,
}

/// Whether a server has ever asked who we are.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<AtomicBool>);

#[derive(Debug)]
struct Identity {
    key: Arc<CertifiedKey>,
    /// Of each certificate in the chain, as it stands there.
    issuers: Vec<Box<[u8]>>,
}

// === impl Identities ===

impl Identities {
    pub(super) fn load(
        key_pairs: &[KeyPair],
        provider: &CryptoProvider,
        now: SystemTime,
    ) -> Result<Self, TransportError> {
        let list = key_pairs
            .iter()
            .map(|key_pair| Identity::load(key_pair, provider, now))
            .collect::<Result<_, _>>()?;
        let asked = Asked::default();
        Ok(Self { list, asked })
    }

    pub(super) const fn asked(&self) -> &Asked {
        &self.asked
    }

    fn first(&self, fits: impl Fn(&Identity) -> bool) -> Option<Arc<CertifiedKey>> {
        let identity = self.list.iter().find(|identity| fits(identity))?;
        Some(Arc::clone(&identity.key))
    }
}

impl ResolvesClientCert for Identities {
    fn resolve(
        &self,
        acceptable_issuers: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.asked.0.store(true, Ordering::Relaxed);
        self.first(|identity| {
            identity.signs(schemes)
                && (acceptable_issuers.is_empty() || identity.is_from(acceptable_issuers))
        })
        // The list is a hint: a server may know the certificate between, or the one itself. If it
        // does not, it says so, and more clearly than if it had got none.
        .or_else(|| self.first(|identity| identity.signs(schemes)))
    }

    fn has_certs(&self) -> bool {
        !self.list.is_empty()
    }
}

// === impl Asked ===

impl Asked {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl Identity ===

impl Identity {
    fn load(
        key_pair: &KeyPair,
        provider: &CryptoProvider,
        now: SystemTime,
    ) -> Result<Self, TransportError> {
        let of_certificate = |found| fault(CERTIFICATE, &key_pair.certificates, found);
        let of_key = |found| fault(KEY, &key_pair.key, found);

        let chain = pem::certificates(&key_pair.certificates).map_err(of_certificate)?;
        let mut issuers = Vec::new();
        for (index, certificate) in chain.iter().enumerate() {
            let fields =
                Fields::read(certificate).map_err(|_| of_certificate(UNREADABLE.into()))?;
            // Those behind the first may well be of use to somebody with an older root.
            let wrong = fields.fault_at(now).filter(|_| index == 0);
            if let Some(wrong) = wrong {
                return Err(of_certificate(
                    format!("{wrong}: expected one that is valid").into(),
                ));
            }
            issuers.push(fields.issuer.into());
        }
        let key = pem::private_key(&key_pair.key).map_err(of_key)?;
        let key = provider
            .key_provider
            .load_private_key(key)
            .map_err(|_| of_key(UNUSABLE.into()))?;
        let key = CertifiedKey::new(chain, key);
        // With this provider there is no key of which it could not be said.
        key.keys_match().map_err(|_| {
            of_key(
                format!(
                    "does not belong to the certificate {}: expected the key of the first \
                     certificate there",
                    key_pair.certificates
                )
                .into(),
            )
        })?;
        Ok(Self {
            key: Arc::new(key),
            issuers,
        })
    }

    fn signs(&self, schemes: &[SignatureScheme]) -> bool {
        self.key.key.choose_scheme(schemes).is_some()
    }

    fn is_from(&self, acceptable: &[&[u8]]) -> bool {
        self.issuers
            .iter()
            .any(|issuer| acceptable.contains(&&**issuer))
    }
}

const UNUSABLE: &str = "is of a kind that cannot be used: expected ECDSA on P-256 or P-384, Ed25519, or RSA from 2048 \
                        to 8192 bits";
