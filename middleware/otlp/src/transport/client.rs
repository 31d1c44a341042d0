//! What the HTTP and the gRPC client have in common.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;

use super::{TransportError, TransportErrorKind};
use crate::{Endpoint, ExportError, ExportErrorKind};

/// An error of whatever service a transport stands on.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// Opens plaintext TCP connections.
pub(super) fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_keepalive(Some(TCP_KEEPALIVE));
    // Of several addresses one that swallows packets must not take the time of all.
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector
}

/// `scheme://host:port/path` of an endpoint, once its transport is known to be the right one.
pub(super) fn uri(endpoint: &Endpoint) -> Result<http::Uri, TransportError> {
    if endpoint.is_tls() {
        return Err(TransportError::new(
            TransportErrorKind::Tls,
            format!(
                "{endpoint} asks for TLS, which this version does not have: expected http:// or grpc://"
            ),
        ));
    }
    let unusable = || {
        TransportError::new(
            TransportErrorKind::Scheme,
            format!("{endpoint} is no address of a collector"),
        )
    };
    http::Uri::builder()
        .scheme(http::uri::Scheme::HTTP)
        .authority(endpoint.authority().ok_or_else(unusable)?)
        .path_and_query(endpoint.path().unwrap_or("/"))
        .build()
        .map_err(|_| unusable())
}

/// The connection could not be made, or broke.
pub(super) fn unreachable(peer: &impl fmt::Display, source: impl Into<BoxError>) -> ExportError {
    ExportError::new(
        ExportErrorKind::Unreachable,
        format!("{peer} cannot be reached"),
    )
    .with_source(source)
}

/// [OTLP exporter
/// specification](https://github.com/open-telemetry/opentelemetry-specification/blob/v1.50.0/specification/protocol/exporter.md#user-agent).
pub(super) const USER_AGENT: &str = concat!(
    "towline/",
    env!("CARGO_PKG_VERSION"),
    " OTel-OTLP-Exporter-Rust/",
    env!("CARGO_PKG_VERSION")
);

/// The largest response that is read: [the limit that OTLP
/// recommends](https://github.com/open-telemetry/opentelemetry-proto/blob/v1.10.0/docs/specification.md).
pub(super) const MAX_RESPONSE_BYTES: usize = 4 * 1024 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
