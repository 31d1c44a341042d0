use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::util::BoxCloneService;
use tower_service::Service;

use super::{TransportError, TransportErrorKind};
use crate::{Batch, ClientOptions, Endpoint, ExportError, Receipt, Scheme};

/// Any transport, chosen at run time.
///
/// # Examples
///
/// ```
/// use towline_otlp::{BoxTransport, ClientOptions, Compression, Endpoint, TransportErrorKind};
///
/// // Files are not compressed: whoever asks for it means something else.
/// let endpoint = Endpoint::parse("file:///var/traces")?;
/// let options = ClientOptions::new().compression(Compression::Gzip);
/// let error = BoxTransport::connect_with(&endpoint, &options).unwrap_err();
/// assert_eq!(error.kind(), TransportErrorKind::Option);
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

    /// The transport for an endpoint, with the default options: see
    /// [`connect_with`](Self::connect_with).
    ///
    /// # Errors
    ///
    /// [`TransportError`], as for [`connect_with`](Self::connect_with).
    pub fn connect(endpoint: &Endpoint) -> Result<Self, TransportError> {
        Self::connect_with(endpoint, &ClientOptions::new())
    }

    /// The transport for an endpoint: `Grpc`, `Http`, `File` or `Console`, each behind the feature of its
    /// name.
    ///
    /// Nothing is connected yet; certificates and keys are read, and a directory is made if it is
    /// not there.
    ///
    /// # Errors
    ///
    /// [`TransportError`] when the transport, TLS or a compression is not compiled in, when a
    /// certificate or a key cannot be used, when an option makes no sense for the endpoint, and
    /// when a directory cannot be made or written to.
    pub fn connect_with(
        endpoint: &Endpoint,
        options: &ClientOptions,
    ) -> Result<Self, TransportError> {
        let transport = match endpoint.scheme() {
            Scheme::File => Self::file(endpoint, options),
            Scheme::Console => Self::console(endpoint, options),
            #[cfg(feature = "grpc")]
            Scheme::Grpc | Scheme::Grpcs | Scheme::Unix => {
                super::Grpc::with_options(endpoint, options).map(Self::new)
            }
            #[cfg(feature = "http")]
            Scheme::Http | Scheme::Https => {
                super::Http::with_options(endpoint, options).map(Self::new)
            }
            #[cfg(not(all(feature = "grpc", feature = "http")))]
            scheme => Err(TransportError::feature(endpoint, feature(scheme))),
        }?;
        Ok(Self {
            peer: Some(endpoint.to_string().into()),
            ..transport
        })
    }

    fn console(endpoint: &Endpoint, options: &ClientOptions) -> Result<Self, TransportError> {
        check_local(endpoint, options)?;
        #[cfg(feature = "console")]
        return Ok(Self::new(super::Console::stdout()));
        #[cfg(not(feature = "console"))]
        return Err(TransportError::feature(endpoint, "console"));
    }

    fn file(endpoint: &Endpoint, options: &ClientOptions) -> Result<Self, TransportError> {
        check_local(endpoint, options)?;
        #[cfg(feature = "file")]
        return super::File::connect(endpoint).map(Self::new);
        #[cfg(not(feature = "file"))]
        return Err(TransportError::feature(endpoint, "file"));
    }

    /// Whether [`connect_with`](Self::connect_with) would do, without making anything.
    pub(crate) fn check(
        endpoint: &Endpoint,
        options: &ClientOptions,
    ) -> Result<(), TransportError> {
        #[cfg(feature = "file")]
        if endpoint.scheme() == Scheme::File {
            check_local(endpoint, options)?;
            return super::File::check(endpoint);
        }
        Self::connect_with(endpoint, options).map(drop)
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

/// Refuses options that would have no effect.
fn check_local(endpoint: &Endpoint, options: &ClientOptions) -> Result<(), TransportError> {
    match options.of_connections() {
        None => Ok(()),
        Some(option) => Err(TransportError::new(
            TransportErrorKind::Option,
            format!("{endpoint} is on this machine: expected no {option} for it"),
        )
        .with_option(match option {
            "TLS" => "tls",
            option => option,
        })),
    }
}

/// The feature that has the transport for a scheme.
#[cfg(not(all(feature = "grpc", feature = "http")))]
const fn feature(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::File => "file",
        Scheme::Console => "console",
        Scheme::Grpc | Scheme::Grpcs | Scheme::Unix => "grpc",
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
