mod codec;
mod dialer;
mod guard;
mod status;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use http::uri::PathAndQuery;
use http_body::Body;
use tonic::client;
#[cfg(any(feature = "gzip", feature = "zstd"))]
use tonic::codec::CompressionEncoding;
use tower_service::Service;

use self::codec::BatchCodec;
pub use self::dialer::GrpcClient;
use self::guard::Guard;
use super::client::{
    self as common, BoxError, MAX_RESPONSE_BYTES, Parts, Protocol, RequestOptions,
};
use super::{TransportError, TransportErrorKind};
use crate::{Batch, ClientOptions, Compression, Endpoint, ExportError, Receipt, Scheme};

/// OTLP/gRPC, over HTTP/2: in plaintext, over TLS, or over a unix socket.
///
/// - Each batch is one unary call of `TraceService/Export`; the encoded bytes go out as they are.
/// - One connection serves all calls. It is made with the first batch, made anew when it breaks,
///   and also when a call is given up before its answer came: a connection that has gone silent is
///   not asked twice.
/// - A status other than OK is [`Refused`](crate::ExportErrorKind::Refused), with the text that the
///   collector gave as its source and the delay from `RetryInfo`; one that says that the message is
///   too large is [`TooLarge`](crate::ExportErrorKind::TooLarge), also where it comes as
///   OUT_OF_RANGE.
/// - Answers of more than 4 MiB are refused, and so are compressed ones, which are not asked for.
/// - [`ClientOptions`]: TLS, headers, compression and the rest, for
///   [`with_options`](Self::with_options).
///
/// It must be called within a Tokio runtime, which the export thread is. Section:
/// [OTLP/gRPC](https://github.com/open-telemetry/opentelemetry-proto/blob/v1.10.0/docs/specification.md#otlpgrpc).
///
/// # Examples
///
/// ```
/// use towline_otlp::{Endpoint, Exporter, Grpc};
///
/// let grpc = Grpc::new(&Endpoint::parse("localhost:4317")?)?;
/// assert_eq!(grpc.origin(), "http://localhost:4317/");
/// let (processor, exporter) = Exporter::builder().transport(grpc).build()?;
/// # drop((processor, exporter));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Grpc<C = GrpcClient> {
    client: C,
    origin: Uri,
    method: PathAndQuery,
    options: Arc<RequestOptions>,
}

/// The future of [`Grpc`].
pub type GrpcFuture = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

// === impl Grpc ===

impl Grpc {
    /// A transport to an endpoint with the scheme `grpc`, `grpcs`, `unix` or `unix-abstract`, with
    /// the default options.
    ///
    /// # Errors
    ///
    /// [`TransportError`], as for [`with_options`](Self::with_options).
    pub fn new(endpoint: &Endpoint) -> Result<Self, TransportError> {
        Self::with_options(endpoint, &ClientOptions::new())
    }

    /// A transport to an endpoint with the scheme `grpc`, `grpcs`, `unix` or `unix-abstract`.
    ///
    /// Certificates and keys are read here; nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`TransportError`] for any other scheme, when TLS or a compression is not compiled in, when
    /// an option or one of its files cannot be used, and when the platform has no such sockets.
    pub fn with_options(
        endpoint: &Endpoint,
        options: &ClientOptions,
    ) -> Result<Self, TransportError> {
        if !matches!(
            endpoint.scheme(),
            Scheme::Grpc | Scheme::Grpcs | Scheme::Unix
        ) {
            return Err(TransportError::new(
                TransportErrorKind::Scheme,
                format!("{endpoint} is not for gRPC: expected grpc://, grpcs:// or unix:"),
            ));
        }
        let parts = Parts::new(endpoint, options, Protocol::Http2)?;
        Ok(Self {
            client: GrpcClient::new(parts.connector),
            origin: parts.uri,
            method: EXPORT,
            options: Arc::new(parts.request),
        })
    }
}

impl<C> Grpc<C> {
    /// A transport over a connection of your own, such as a `tonic::transport::Channel` that is
    /// authenticated already, with layers or without. `origin` is `scheme://authority`, or `/`
    /// where the client knows it by itself.
    #[must_use]
    pub fn with_client(client: C, origin: Uri) -> Self {
        Self {
            client,
            options: Arc::new(RequestOptions::plain(&origin)),
            origin,
            method: EXPORT,
        }
    }

    /// Sets the method that is called, as `/package.Service/Method`, for a server that takes OTLP's
    /// request by another name. Default:
    /// `/opentelemetry.proto.collector.trace.v1.TraceService/Export`.
    #[must_use]
    pub fn with_method(mut self, method: PathAndQuery) -> Self {
        self.method = method;
        self
    }

    /// The scheme and authority of calls.
    #[must_use]
    pub fn origin(&self) -> &Uri {
        &self.origin
    }
}

impl<C, B> Service<Batch> for Grpc<C>
where
    C: Service<http::Request<tonic::body::Body>, Response = http::Response<B>>
        + Clone
        + Send
        + 'static,
    C::Error: Into<BoxError>,
    C::Future: Send,
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Receipt;
    type Error = ExportError;
    type Future = GrpcFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.client
            .poll_ready(cx)
            .map_err(|error| common::unreachable(&self.options.peer, error))
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        // The one that is ready goes, the clone stays.
        let next = self.client.clone();
        let ready = std::mem::replace(&mut self.client, next);
        let (origin, method) = (self.origin.clone(), self.method.clone());
        let options = Arc::clone(&self.options);
        let guarded = Guard::new(ready, Arc::clone(&options.peer));
        Box::pin(async move {
            let codec = BatchCodec::new(batch.len_bytes());
            let mut request = tonic::Request::new(batch.into_bytes());
            *request.metadata_mut().as_mut() = options.headers.clone();
            let client = client::Grpc::with_origin(guarded, origin)
                .max_decoding_message_size(MAX_RESPONSE_BYTES);
            compressing(client, options.compression)
                .unary(request, method, codec)
                .await
                .map(tonic::Response::into_inner)
                .map_err(|status| status::error(&options.peer, &status))
        })
    }
}

/// Has tonic compress what is sent; that it is compiled in was checked before.
fn compressing<C>(client: client::Grpc<C>, compression: Option<Compression>) -> client::Grpc<C> {
    match compression {
        #[cfg(feature = "gzip")]
        Some(Compression::Gzip) => client.send_compressed(CompressionEncoding::Gzip),
        #[cfg(feature = "zstd")]
        Some(Compression::Zstd) => client.send_compressed(CompressionEncoding::Zstd),
        _ => client,
    }
}

const EXPORT: PathAndQuery =
    PathAndQuery::from_static("/opentelemetry.proto.collector.trace.v1.TraceService/Export");
