use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::util::BoxCloneService;
use tower_service::Service;

use super::{TransportError, TransportErrorKind};
use crate::{Batch, Endpoint, ExportError, Receipt, Scheme};

/// Any transport, chosen at run time.
///
/// # Examples
///
/// ```
/// use towline_otlp::{BoxTransport, Endpoint, TransportErrorKind};
///
/// // TLS is not built yet, and nothing is ever sent in plaintext in its place.
/// let error = BoxTransport::connect(&Endpoint::parse("https://collector")?).unwrap_err();
/// assert_eq!(error.kind(), TransportErrorKind::Tls);
/// # Ok::<(), towline_otlp::EndpointError>(())
/// ```
#[derive(Clone)]
pub struct BoxTransport {
    inner: BoxCloneService<Batch, Receipt, ExportError>,
    /// Where it leads to, if it was made for an endpoint.
    peer: Option<Arc<str>>,
}

/// The future of [`BoxTransport`].
pub type BoxTransportFuture = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

// === impl BoxTransport ===

impl BoxTransport {
    /// Boxes a transport.
    #[must_use]
    pub fn new<S>(transport: S) -> Self
    where
        S: Service<Batch, Response = Receipt, Error = ExportError> + Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        Self {
            inner: BoxCloneService::new(transport),
            peer: None,
        }
    }

    /// The transport for an endpoint: `Grpc`, `Http` or `File`, each behind the feature of its
    /// name.
    ///
    /// Nothing is connected yet; a directory is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`TransportError`] when the transport is not compiled in, when the endpoint asks for TLS,
    /// and when a directory cannot be made or written to.
    pub fn connect(endpoint: &Endpoint) -> Result<Self, TransportError> {
        if endpoint.is_tls() {
            return Err(TransportError::new(
                TransportErrorKind::Tls,
                format!(
                    "{endpoint} asks for TLS, which this version does not have: expected http:// or grpc://"
                ),
            ));
        }
        let transport = match endpoint.scheme() {
            #[cfg(feature = "file")]
            Scheme::File => super::File::connect(endpoint).map(Self::new),
            #[cfg(feature = "grpc")]
            Scheme::Grpc | Scheme::Grpcs => super::Grpc::new(endpoint).map(Self::new),
            #[cfg(feature = "http")]
            Scheme::Http | Scheme::Https => super::Http::new(endpoint).map(Self::new),
            #[allow(
                unreachable_patterns,
                reason = "with every feature there is no scheme left"
            )]
            scheme => Err(TransportError::new(
                TransportErrorKind::Feature,
                format!(
                    "{endpoint} needs the feature `{}` of towline-otlp, which is not compiled in",
                    feature(scheme)
                ),
            )),
        }?;
        Ok(Self {
            peer: Some(endpoint.to_string().into()),
            ..transport
        })
    }

    /// Where it leads to, if that is known.
    pub(crate) fn peer(&self) -> Option<Arc<str>> {
        self.peer.clone()
    }
}

impl Service<Batch> for BoxTransport {
    type Response = Receipt;
    type Error = ExportError;
    type Future = BoxTransportFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        self.inner.call(batch)
    }
}

/// The feature that has the transport for a scheme.
const fn feature(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::File => "file",
        Scheme::Grpc | Scheme::Grpcs => "grpc",
        Scheme::Http | Scheme::Https => "http",
    }
}

impl fmt::Debug for BoxTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxTransport")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
