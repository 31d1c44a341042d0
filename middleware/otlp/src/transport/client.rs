//! What the HTTP and the gRPC client have in common.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, Uri};

use super::connect::{Connector, Way};
use super::{TransportError, TransportErrorKind, compress, headers};
use crate::{ClientOptions, Compression, Endpoint, ExportError, ExportErrorKind, Scheme};

/// An error of whatever service a transport stands on.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// What a client is made of, all of it known to be usable.
#[derive(Debug)]
pub(super) struct Parts {
    /// `scheme://host:port/path` of requests.
    pub(super) uri: Uri,
    pub(super) connector: Connector,
    pub(super) request: RequestOptions,
}

/// What the options make of each request.
#[derive(Clone, Debug)]
pub(super) struct RequestOptions {
    /// The peer, for errors.
    pub(super) peer: Arc<str>,
    pub(super) headers: HeaderMap,
    pub(super) compression: Option<Compression>,
}

/// The protocol that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    #[cfg(feature = "http")]
    Http1,
    #[cfg(feature = "grpc")]
    Http2,
}

// === impl Parts ===

impl Parts {
    /// For an endpoint whose scheme is known to be the right one.
    pub(super) fn new(
        endpoint: &Endpoint,
        options: &ClientOptions,
        protocol: Protocol,
    ) -> Result<Self, TransportError> {
        if let Some(compression) = options.compression {
            compress::check(endpoint, compression)?;
        }
        let headers = headers::headers(options, endpoint.scheme())?;
        let way = way(endpoint, options, protocol)?;
        let uri = uri(endpoint, way.is_tls())?;
        let peer = match endpoint.scheme() {
            Scheme::Unix => endpoint.to_string(),
            _ => uri.to_string(),
        };
        Ok(Self {
            uri,
            connector: Connector::new(way, options.connect_timeout),
            request: RequestOptions {
                peer: peer.into(),
                headers,
                compression: options.compression,
            },
        })
    }
}

// === impl RequestOptions ===

impl RequestOptions {
    /// For a client that is not ours.
    pub(super) fn plain(peer: &Uri) -> Self {
        let headers = HeaderMap::from_iter([(
            http::header::USER_AGENT,
            http::HeaderValue::from_static(headers::OWN_USER_AGENT),
        )]);
        Self {
            peer: peer.to_string().into(),
            headers,
            compression: None,
        }
    }
}

/// How connections are made.
fn way(
    endpoint: &Endpoint,
    options: &ClientOptions,
    protocol: Protocol,
) -> Result<Way, TransportError> {
    #[cfg(feature = "tls")]
    {
        let tls = match &options.tls {
            Some(_) if endpoint.scheme() == Scheme::Unix => {
                return Err(TransportError::new(
                    TransportErrorKind::Option,
                    format!("{endpoint} is a socket of this machine: expected no TLS for it"),
                )
                .with_option("tls"));
            }
            Some(tls) if !endpoint.is_tls() && !tls.has_certificates() => {
                return Err(TransportError::new(
                    TransportErrorKind::Option,
                    format!(
                        "TLS without certificates for {endpoint}, which is plaintext: expected https:// or grpcs://"
                    ),
                )
                .with_option("tls"));
            }
            Some(tls) => Some(std::borrow::Cow::Borrowed(tls)),
            None if endpoint.is_tls() => Some(std::borrow::Cow::Owned(super::Tls::new())),
            None => None,
        };
        if let Some(tls) = tls {
            return super::tls::Dialer::new(endpoint, &tls, protocol).map(Way::tls);
        }
    }
    #[cfg(not(feature = "tls"))]
    {
        let _ = (options, protocol);
        if endpoint.is_tls() {
            return Err(TransportError::feature(endpoint, "tls"));
        }
    }
    match endpoint.scheme() {
        Scheme::Unix => Way::unix(endpoint),
        _ => Ok(Way::tcp()),
    }
}

fn uri(endpoint: &Endpoint, is_tls: bool) -> Result<Uri, TransportError> {
    let unusable = || {
        TransportError::new(
            TransportErrorKind::Scheme,
            format!("{endpoint} is no address of a collector"),
        )
    };
    Uri::builder()
        .scheme(match is_tls {
            true => http::uri::Scheme::HTTPS,
            false => http::uri::Scheme::HTTP,
        })
        .authority(endpoint.authority().ok_or_else(unusable)?)
        .path_and_query(endpoint.path().unwrap_or("/"))
        .build()
        .map_err(|_| unusable())
}

/// The connection could not be made, or broke.
pub(super) fn unreachable(peer: &impl fmt::Display, source: impl Into<BoxError>) -> ExportError {
    let source = source.into();
    #[cfg(feature = "tls")]
    let kind = match super::tls::is_failure(&*source) {
        true => ExportErrorKind::Tls,
        false => ExportErrorKind::Unreachable,
    };
    #[cfg(not(feature = "tls"))]
    let kind = ExportErrorKind::Unreachable;
    ExportError::new(kind, format!("{peer} cannot be reached")).with_source(source)
}

/// The largest response that is read: [the limit that OTLP
/// recommends](https://github.com/open-telemetry/opentelemetry-proto/blob/v1.10.0/docs/specification.md).
pub(super) const MAX_RESPONSE_BYTES: usize = 4 * 1024 * 1024;
