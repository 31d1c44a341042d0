use std::error::Error as StdError;
use std::fmt;
use std::io;

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

use super::identity::Asked;
use crate::transport::connect::Cause;

/// Says in words for people why a TLS connection failed.
#[derive(Clone, Debug, Default)]
pub(super) struct Observer {
    pub(super) has_own_roots: bool,
    pub(super) has_identity: bool,
    pub(super) asked: Asked,
}

/// Why a TLS connection failed; the source has rustls' words.
#[derive(Debug)]
struct Failure {
    text: &'static str,
    source: Box<dyn StdError + Send + Sync>,
}

/// Whether TLS is what an error goes back to.
pub(in crate::transport) fn is_failure(error: &(dyn StdError + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source()).any(|error| {
        // An `io::Error` passes over what it holds.
        let held = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        let cause = error.downcast_ref::<Cause>();
        error.is::<Failure>()
            || held.is_some_and(|held| held.is::<Failure>())
            || cause.is_some_and(Cause::is_tls)
    })
}

// === impl Observer ===

impl Observer {
    /// While the connection was made.
    pub(super) fn in_handshake(&self, error: io::Error) -> io::Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof if !self.asked.get() => {
                io::Error::new(error.kind(), HUNG_UP)
            }
            _ => self.before_use(error),
        }
    }

    /// Before the server has sent data.
    ///
    /// With TLS 1.3 it has yet to look at the client's certificate then. If it hangs up at once,
    /// what it said of that may be lost on the way.
    pub(super) fn before_use(&self, error: io::Error) -> io::Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
                if self.asked.get() =>
            {
                let text = match self.has_identity {
                    true => HUNG_UP_ON_IDENTITY,
                    false => HUNG_UP_WITHOUT_IDENTITY,
                };
                let source = error.to_string().into();
                io::Error::new(error.kind(), Failure { text, source })
            }
            _ => self.in_use(error),
        }
    }

    /// Of the connection, whenever it was.
    pub(super) fn in_use(&self, error: io::Error) -> io::Error {
        let kind = error.kind();
        let source = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Error>())
            .cloned();
        let failure = source.and_then(|source| {
            let text = self.text(&source)?;
            Some(Failure {
                text,
                source: source.into(),
            })
        });
        match failure {
            Some(failure) => io::Error::new(kind, failure),
            None => error,
        }
    }

    fn text(&self, error: &Error) -> Option<&'static str> {
        match error {
            Error::InvalidCertificate(error) => Some(self.certificate_text(error)),
            Error::AlertReceived(alert) => Some(self.alert_text(*alert)),
            Error::InvalidMessage(_) => Some(NO_TLS),
            Error::PeerIncompatible(_) => Some(NOTHING_IN_COMMON),
            _ => None,
        }
    }

    fn certificate_text(&self, error: &CertificateError) -> &'static str {
        use CertificateError as E;
        match error {
            E::UnknownIssuer if self.has_own_roots => {
                "the server's certificate is not from one of the CAs that were given"
            }
            E::UnknownIssuer => "the server's certificate is not from a CA that the system trusts",
            E::Expired | E::ExpiredContext { .. } => "the server's certificate has expired",
            E::NotValidYet | E::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet"
            }
            E::NotValidForName | E::NotValidForNameContext { .. } => {
                "the server's certificate is for another host"
            }
            _ => "the server's certificate cannot be trusted",
        }
    }

    fn alert_text(&self, alert: AlertDescription) -> &'static str {
        use AlertDescription as A;
        match alert {
            A::CertificateRequired if self.has_identity => {
                "the server demands a client certificate, and cannot use those that were given"
            }
            A::CertificateRequired => "the server demands a client certificate, and none was given",
            A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::AccessDenied
            | A::DecryptError
                if self.has_identity =>
            {
                "the server does not accept the client certificate"
            }
            // TLS 1.2 has no word for it.
            A::HandshakeFailure | A::BadCertificate | A::CertificateUnknown | A::AccessDenied
                if !self.has_identity =>
            {
                "the server refuses the connection; it may demand a client certificate, and none \
                 was given"
            }
            A::HandshakeFailure | A::ProtocolVersion | A::InsufficientSecurity => NOTHING_IN_COMMON,
            A::NoApplicationProtocol => "the server does not speak this protocol on this port",
            A::UnrecognisedName => "the server does not know the host of the url",
            _ => "the server ends the connection",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

const HUNG_UP_WITHOUT_IDENTITY: &str =
    "the server hung up; it demands a client certificate, and none was given";

const HUNG_UP_ON_IDENTITY: &str = "the server hung up; it may not accept the client certificate";

const HUNG_UP: &str = "the server hung up during the TLS handshake";

const NO_TLS: &str = "the server does not speak TLS on this port";

const NOTHING_IN_COMMON: &str = "the server accepts no TLS version or cipher of this client";
