use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Request};
use opentelemetry::trace::{SpanBuilder, SpanKind, Tracer};
use opentelemetry::{Context, KeyValue};
use tower_layer::Layer;
use towline_http::attributes::{
    HostAndPort, NETWORK_PEER_ADDRESS, NETWORK_PEER_PORT, SERVER_ADDRESS, SERVER_PORT, shared,
    shared_display,
};
use towline_http::server::PeerAddr;
use towline_http::{Begin, RequestHead};
use towline_propagation::Propagator;
use towline_sampler::Sampler;
use towline_span::{Describe, OpenSpan, Spans};

use super::Trace;
use crate::conventions::Conventions;
use crate::method::Method;
use crate::options::{Capture, Options};
use crate::record::{Recorder, Side};
use crate::timeout::Deadline;

/// Puts a server span around every gRPC call. See the [module documentation](super).
#[derive(Clone)]
pub struct TraceLayer<T> {
    spans: Spans<T>,
    options: Arc<Options>,
    peer: FindPeer,
    timeout: Option<Duration>,
}

type FindPeer = Arc<dyn Fn(RequestHead<'_>) -> Option<SocketAddr> + Send + Sync>;

/// What is known of a call when it arrives.
struct Description<'a, T> {
    layer: &'a TraceLayer<T>,
    request: RequestHead<'a>,
}

// === impl TraceLayer ===

impl<T> TraceLayer<T> {
    /// A layer that starts its spans with this tracer.
    ///
    /// Every span is described in full at its start, since the tracer's sampler may look at
    /// attributes. [`with_sampler`](Self::with_sampler) makes unsampled calls cheap.
    #[must_use]
    pub fn new(tracer: T) -> Self {
        Self::from_spans(Spans::new(tracer))
    }

    /// A layer that starts its spans this way.
    #[must_use]
    pub fn from_spans(spans: Spans<T>) -> Self {
        Self {
            spans,
            options: Arc::default(),
            peer: Arc::new(peer),
            timeout: None,
        }
    }

    /// Names the sampler of the tracer's provider; see [`Spans::with_sampler`].
    #[must_use]
    pub fn with_sampler(mut self, sampler: Sampler) -> Self {
        self.spans = self.spans.with_sampler(sampler);
        self
    }

    /// Sets which metadata carries the context. Default: W3C Trace Context and W3C Baggage.
    #[must_use]
    pub fn with_propagator(mut self, propagator: Propagator) -> Self {
        self.options_mut().propagator = propagator;
        self
    }

    /// Sets how attributes are named. Default: [`Conventions::Candidate`].
    #[must_use]
    pub fn with_conventions(mut self, conventions: Conventions) -> Self {
        self.options_mut().conventions = conventions;
        self
    }

    /// Lists the methods that are served, as `package.Service/Method`; any other is `_OTHER`.
    /// Default: every method is taken for served unless the answer is UNIMPLEMENTED.
    #[must_use]
    pub fn with_methods<M: Into<String>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        self.options_mut().set_methods(methods);
        self
    }

    /// Lists the request metadata to record. Default: none. Credentials are masked even if listed.
    #[must_use]
    pub fn with_request_metadata(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.options_mut().request_metadata = Capture::new("rpc.request.metadata", names);
        self
    }

    /// Lists the response metadata to record. Default: none. Credentials are masked even if listed.
    #[must_use]
    pub fn with_response_metadata(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.options_mut().response_metadata = Capture::new("rpc.response.metadata", names);
        self
    }

    /// Sets where the address of the connection's peer comes from. Default:
    /// [`PeerAddr`] in the extensions, or what tonic leaves there (feature `tonic`).
    #[must_use]
    pub fn with_peer<F>(mut self, peer: F) -> Self
    where
        F: Fn(RequestHead<'_>) -> Option<SocketAddr> + Send + Sync + 'static,
    {
        self.peer = Arc::new(peer);
        self
    }

    /// Names the server's own time limit for a call, such as tonic's `Server::timeout`, so that a
    /// call dropped by it is told from one that the caller gave up. Default: none; `grpc-timeout` is
    /// always known.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    fn options_mut(&mut self) -> &mut Options {
        Arc::make_mut(&mut self.options)
    }
}

impl<T> Begin for TraceLayer<T>
where
    T: Tracer,
    T::Span: Send + Sync + 'static,
{
    type Record = Recorder;

    fn begin<B>(&self, request: &mut Request<B>) -> Option<(OpenSpan, Recorder)> {
        let propagator = &self.options.propagator;
        if !self.spans.is_enabled() && !propagator.fields_present(request.headers()) {
            return None;
        }
        let extraction = propagator.extract(request.headers(), &Context::current());
        let request = RequestHead::from(&*request);
        let description = Description {
            layer: self,
            request,
        };
        let span = match extraction.parent {
            Some(parent) => self
                .spans
                .start_remote(&extraction.base, parent, &description),
            None => self.spans.start(&extraction.base, &description),
        };
        let record = if span.is_recording() {
            let deadline = Deadline::new(request.headers, self.timeout);
            Recorder::new(Side::Server, request, &self.options, deadline)
        } else {
            Recorder::idle()
        };
        Some((span, record))
    }
}

impl<S, T: Clone> Layer<S> for TraceLayer<T> {
    type Service = Trace<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        Trace::new(inner, self.clone())
    }
}

impl<T: fmt::Debug> fmt::Debug for TraceLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceLayer")
            .field("spans", &self.spans)
            .field("options", &self.options)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

// === impl Description ===

impl<T> Describe for Description<'_, T> {
    fn describe(&self) -> SpanBuilder {
        let request = self.request;
        let options = &self.layer.options;
        let method = Method::of_request(request);
        let mut attributes = Vec::with_capacity(CAPACITY);
        attributes.extend(options.conventions.system());
        if let Some(server) = HostAndPort::of_request(request.uri, request.headers) {
            attributes.push(KeyValue::new(SERVER_ADDRESS, shared(server.host)));
            if let Some(port) = server.port {
                attributes.push(KeyValue::new(SERVER_PORT, i64::from(port)));
            }
        }
        if let Some(peer) = (self.layer.peer)(request) {
            attributes.extend([
                KeyValue::new(NETWORK_PEER_ADDRESS, shared_display(peer.ip())),
                KeyValue::new(NETWORK_PEER_PORT, i64::from(peer.port())),
            ]);
        }
        attributes.extend(options.request_metadata.attributes(request.headers));
        let name = method.span_name(options.knows(&method));
        let mut builder = SpanBuilder::from_name(name).with_kind(SpanKind::Server);
        builder.attributes = Some(attributes);
        builder
    }

    fn sketch(&self) -> Option<SpanBuilder> {
        Some(SpanBuilder::from_name("grpc").with_kind(SpanKind::Server))
    }
}

/// The peer as the server has left it in the extensions.
fn peer(request: RequestHead<'_>) -> Option<SocketAddr> {
    if let Some(peer) = request.extensions.get::<PeerAddr>() {
        return Some(peer.0);
    }
    #[cfg(feature = "tonic")]
    {
        use tonic::transport::server::TcpConnectInfo;
        request.extensions.get::<TcpConnectInfo>()?.remote_addr()
    }
    #[cfg(not(feature = "tonic"))]
    None
}

/// Room for what a call usually records, its end included.
const CAPACITY: usize = 12;
