use std::cell::OnceCell;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Request};
use opentelemetry::trace::{SpanBuilder, SpanKind, Tracer};
use tower_layer::Layer;
use towline_http::trust::TrustPolicy;
use towline_http::{Begin, Filters, RequestHead, Trust};
use towline_propagation::Propagator;
use towline_sampler::Sampler;
use towline_span::{Describe, Described, OpenSpan, Recording, Spans};

use super::Trace;
use super::received::Metadata;
use crate::address;
use crate::call::tell_call;
use crate::conventions::Conventions;
use crate::extras::extras_options;
use crate::method::{Method, Methods};
use crate::options::Options;
use crate::record::{Recorder, Side};
use crate::timeout::Deadline;

/// Puts a server span around every gRPC call. See the [module documentation](super).
pub struct TraceLayer<T> {
    spans: Spans<T>,
    options: Arc<Options>,
    peer: FindPeer,
    timeout: Option<Duration>,
    grpc_trace_bin: bool,
    trust: TrustPolicy,
    filters: Filters,
}

type FindPeer = Arc<dyn Fn(RequestHead<'_>) -> Option<SocketAddr> + Send + Sync>;

/// What is known of a call when it arrives.
struct Description<'a, T> {
    layer: &'a TraceLayer<T>,
    request: RequestHead<'a>,
    /// Only a call that may be recorded needs it.
    method: OnceCell<Method>,
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
            peer: Arc::new(address::peer_of_request),
            timeout: None,
            grpc_trace_bin: false,
            trust: TrustPolicy::default(),
            filters: Filters::default(),
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
    ///
    /// With a list the method is among the attributes from the start, where a sampler sees it. It takes a
    /// list where something before the service answers for it, such as a check of credentials or a proxy:
    /// as long as callers can choose names, they can choose very many.
    #[must_use]
    pub fn with_methods<M: Into<String>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        self.options_mut().methods = Methods::only(methods);
        self
    }

    /// Also reads `grpc-trace-bin`, OpenCensus' binary form of a trace context, where there is no
    /// legal `traceparent`. Default: it is ignored. It is never written.
    ///
    /// It is for the time in which some callers have moved on and others have not.
    #[must_use]
    pub fn with_grpc_trace_bin(mut self) -> Self {
        self.grpc_trace_bin = true;
        self
    }

    /// Sets where the address of the connection's peer comes from. Default:
    /// [`PeerAddr`](towline_http::PeerAddr) in the extensions, or what tonic leaves there (feature `tonic`).
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

    /// Sets how far callers' trace context is believed, the same for all of them. Default:
    /// [`Trust::parent`]; see [`trust`](towline_http::trust).
    #[must_use]
    pub fn with_trust(mut self, trust: Trust) -> Self {
        self.trust = TrustPolicy::fixed(trust);
        self
    }

    /// Sets how far each caller's trace context is believed, by the head of its call.
    ///
    /// ```
    /// # use opentelemetry::trace::TracerProvider;
    /// # use opentelemetry_sdk::trace::SdkTracerProvider;
    /// use towline_grpc::server::TraceLayer;
    /// use towline_http::Trust;
    ///
    /// # let tracer = SdkTracerProvider::builder().build().tracer("greeter");
    /// // What a layer before ours has left there for callers that it knows.
    /// #[derive(Clone)]
    /// struct Authenticated;
    ///
    /// let layer = TraceLayer::new(tracer).with_trust_by(|call| {
    ///     let known = call.extensions.get::<Authenticated>().is_some();
    ///     if known { Trust::parent() } else { Trust::link() }
    /// });
    /// # drop(layer);
    /// ```
    #[must_use]
    pub fn with_trust_by<F>(mut self, trust: F) -> Self
    where
        F: Fn(RequestHead<'_>) -> Trust + Send + Sync + 'static,
    {
        self.trust = TrustPolicy::by(trust);
        self
    }

    /// Sets which calls get no span, by their path `/package.Service/Method`. Default: none; see
    /// [`filter`](towline_http::filter), and [`health_checks`](crate::health_checks) for those that
    /// come every few seconds.
    ///
    /// ```
    /// # use opentelemetry::trace::TracerProvider;
    /// # use opentelemetry_sdk::trace::SdkTracerProvider;
    /// use towline_grpc::server::TraceLayer;
    /// use towline_http::{Filter, Filters};
    ///
    /// # let tracer = SdkTracerProvider::builder().build().tracer("greeter");
    /// let skipped = Filters::new([
    ///     towline_grpc::health_checks(),
    ///     Filter::path("/hello.Greeter/Ping"),
    /// ]);
    /// let layer = TraceLayer::new(tracer).with_filters(skipped);
    /// # drop(layer);
    /// ```
    #[must_use]
    pub fn with_filters(mut self, filters: Filters) -> Self {
        self.filters = filters;
        self
    }

    /// Tells callers the trace id, 32 hexadecimal digits, in this initial metadata of the response: for a
    /// user who reports a failure. Default: it is not told.
    ///
    /// It is written for calls whose trace is sampled, see
    /// [`with_trace_id_of_unsampled`](Self::with_trace_id_of_unsampled), and never where the service has
    /// set that metadata itself. While tracing is switched off there is none.
    #[must_use]
    pub fn with_response_trace_id(mut self, name: HeaderName) -> Self {
        self.options_mut().trace_id.name = Some(name);
        self
    }

    /// Tells callers trace id and span id as `traceresponse`, in the form of a `traceparent`, on the same
    /// terms as [`with_response_trace_id`](Self::with_response_trace_id). Default: not.
    ///
    /// It is of a [draft](https://w3c.github.io/trace-context/#traceresponse-header) and may change.
    #[must_use]
    pub fn with_traceresponse(mut self) -> Self {
        self.options_mut().trace_id.traceresponse = true;
        self
    }

    /// Tells the trace id of calls that are not sampled as well. Default: not, since there is nothing to
    /// look up under it, except in logs.
    #[must_use]
    pub fn with_trace_id_of_unsampled(mut self) -> Self {
        self.options_mut().trace_id.unsampled = true;
        self
    }

    fn options_mut(&mut self) -> &mut Options {
        Options::change(&mut self.options)
    }
}

extras_options! {}

impl<T> Begin for TraceLayer<T>
where
    T: Tracer,
    T::Span: Send + Sync + 'static,
{
    type Record = Recorder;

    fn begin<B>(&self, request: &mut Request<B>) -> Option<(OpenSpan, Recorder)> {
        let skipped = self.filters.skips(RequestHead::from(&*request));
        let metadata = Metadata {
            propagator: &self.options.propagator,
            grpc_trace_bin: self.grpc_trace_bin,
        };
        if (skipped || !self.spans.is_enabled()) && !metadata.is_present(request.headers()) {
            return None;
        }
        let caller = self.trust.receive(request, &metadata);
        if skipped {
            return Some((caller.pass(), Recorder::idle()));
        }
        let request = RequestHead::from(&*request);
        let description = Description {
            layer: self,
            request,
            method: OnceCell::new(),
        };
        let span = caller.start(&self.spans, &description);
        let record = if span.is_recording() {
            let deadline = Deadline::new(request.headers, self.timeout);
            Recorder::new(
                Side::Server,
                description.method().clone(),
                &self.options,
                deadline,
            )
        } else {
            Recorder::idle()
        };
        let mut record = record.telling(&span, self.spans.is_enabled(), &self.options);
        record.begin(&span, request);
        Some((span, record))
    }
}

impl<T> Clone for TraceLayer<T> {
    fn clone(&self) -> Self {
        Self {
            spans: self.spans.clone(),
            options: Arc::clone(&self.options),
            peer: Arc::clone(&self.peer),
            timeout: self.timeout,
            grpc_trace_bin: self.grpc_trace_bin,
            trust: self.trust.clone(),
            filters: self.filters.clone(),
        }
    }
}

impl<S, T> Layer<S> for TraceLayer<T> {
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
            .field("grpc_trace_bin", &self.grpc_trace_bin)
            .field("trust", &self.trust)
            .field("filters", &self.filters)
            .finish_non_exhaustive()
    }
}

// === impl Description ===

impl<T> Description<'_, T> {
    fn method(&self) -> &Method {
        self.method
            .get_or_init(|| Method::of_request(self.request, &self.layer.options.methods))
    }

    /// Tells what is known so far.
    fn tell<R: Recording + ?Sized>(&self, into: &mut R) {
        let request = self.request;
        let options = &self.layer.options;
        into.kind(SpanKind::Server);
        tell_call(options, self.method(), request, into);
        if let Some(peer) = (self.layer.peer)(request) {
            address::tell_peer(peer, into);
        }
        let captured = &options.extras.request;
        captured.tell(request.headers, &options.redaction, into);
    }
}

impl<T> Describe for Description<'_, T> {
    fn describe(&self) -> SpanBuilder {
        let mut told = Described::with_capacity(CAPACITY);
        self.tell(&mut told);
        told.into_builder()
    }

    fn sketch(&self) -> Option<SpanBuilder> {
        Some(SpanBuilder::from_name("grpc").with_kind(SpanKind::Server))
    }

    fn record(&self, into: &mut dyn Recording) {
        self.tell(into);
    }
}

/// Room for what a call usually records, its end included.
const CAPACITY: usize = 12;
