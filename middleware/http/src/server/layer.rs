use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::uri::Scheme;
use http::{Method, Request, Uri};
use opentelemetry::trace::Tracer;
use tower_layer::Layer;
use towline_propagation::Propagator;
use towline_sampler::Sampler;
use towline_span::{OpenSpan, Spans, Teller};

use super::forwarded::TrustedProxies;
use super::query_context::RequestContext;
use super::record::{Description, Recorder};
use super::route::DeferredRoute;
use super::{PeerAddr, Trace};
use crate::attributes::AttributeOptions;
use crate::extras::{ClassifyResponse, Extras, ResponseTraceId, extras_options};
use crate::filter::Filters;
use crate::head::RequestHead;
use crate::service::Begin;
use crate::trust::{Trust, TrustPolicy};

/// Puts a server span around every HTTP request. See the [module documentation](super).
#[derive(Debug)]
pub struct TraceLayer<T> {
    spans: Spans<T>,
    options: Arc<Options>,
}

/// What a user chose, shared by every clone of a service.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) propagator: Propagator,
    pub(crate) attributes: AttributeOptions,
    pub(crate) scheme: Option<Scheme>,
    pub(crate) route: Option<FindRoute>,
    pub(crate) deferred_route: bool,
    pub(crate) target: Option<FindTarget>,
    pub(crate) peer: FindPeer,
    pub(crate) trust: TrustPolicy,
    pub(crate) filters: Filters,
    pub(crate) extras: Extras,
    pub(crate) classify: Option<ClassifyResponse>,
    pub(crate) trace_id: ResponseTraceId,
    pub(crate) proxies: Option<TrustedProxies>,
    pub(crate) query_context: bool,
    /// Who tells attributes by these options: another one after each change.
    pub(crate) teller: Teller,
}

type FindRoute = Arc<dyn for<'a> Fn(RequestHead<'a>) -> Option<Cow<'a, str>> + Send + Sync>;

/// Where the target is that the caller asked for, if a router has changed the request's.
pub(crate) type FindTarget = for<'a> fn(&RequestHead<'a>) -> Option<&'a Uri>;

type FindPeer = Arc<dyn Fn(RequestHead<'_>) -> Option<SocketAddr> + Send + Sync>;

// === impl TraceLayer ===

impl<T> TraceLayer<T> {
    /// A layer that starts its spans with this tracer.
    ///
    /// Every span is described in full at its start, since the tracer's sampler may look at
    /// attributes. [`with_sampler`](Self::with_sampler) makes unsampled requests cheap.
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
        }
    }

    /// Names the sampler of the tracer's provider; see [`Spans::with_sampler`].
    #[must_use]
    pub fn with_sampler(mut self, sampler: Sampler) -> Self {
        self.spans = self.spans.with_sampler(sampler);
        self
    }

    /// Says whether the tracer's trace ids are random. Default: true; see
    /// [`Spans::with_random_trace_ids`].
    #[must_use]
    pub fn with_random_trace_ids(mut self, random: bool) -> Self {
        self.spans = self.spans.with_random_trace_ids(random);
        self
    }

    /// Sets which headers carry the context. Default: W3C Trace Context and W3C Baggage, whatever
    /// the process-global propagator is.
    #[must_use]
    pub fn with_propagator(mut self, propagator: Propagator) -> Self {
        self.options_mut().propagator = propagator;
        self
    }

    /// Reads the caller's trace context from the query of the target as well, for callers that cannot set headers: a
    /// browser opens a websocket with nothing but a URL, `wss://host/path?traceparent=00-…-01`. Default: off.
    ///
    /// `traceparent`, and `tracestate` beside it, by the rules of [`query`](towline_propagation::query), whatever the
    /// [propagator](Self::with_propagator) is. A parent that the headers name comes first: they are written for this
    /// request by the hop that sends it, a URL may be older, copied or cached. The target is not changed, and
    /// `url.query` has both values, which are no secrets.
    ///
    /// ```
    /// # use http::{Request, Response};
    /// # use http_body_util::Empty;
    /// # use opentelemetry::trace::TracerProvider;
    /// # use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
    /// # use tower::{ServiceBuilder, ServiceExt, service_fn};
    /// use towline_http::server::TraceLayer;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let exporter = InMemorySpanExporter::default();
    /// # let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    /// let layer = TraceLayer::new(provider.tracer("terminal")).with_query_context();
    /// # let service = ServiceBuilder::new().layer(layer).service(service_fn(|_: Request<()>| async {
    /// #     Ok::<_, std::convert::Infallible>(Response::new(Empty::<&'static [u8]>::new()))
    /// # }));
    /// let request = Request::get("/connect?traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").body(())?;
    /// service.oneshot(request).await?;
    /// let spans = exporter.get_finished_spans()?;
    /// assert_eq!(spans[0].parent_span_id.to_string(), "b7ad6b7169203331");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_query_context(mut self) -> Self {
        self.options_mut().query_context = true;
        self
    }

    /// Sets the scheme that callers use. Default: the target's if it has one, else `http`.
    ///
    /// A server cannot tell whether a proxy before it speaks TLS; say so here.
    #[must_use]
    pub fn with_scheme(mut self, scheme: Scheme) -> Self {
        self.options_mut().scheme = Some(scheme);
        self
    }

    /// Sets where the route comes from. Default: nowhere.
    ///
    /// The function is called for recorded requests only. It must answer a template of low
    /// cardinality, such as `/users/{id}`, never the path.
    #[must_use]
    pub fn with_route<F>(mut self, route: F) -> Self
    where
        F: for<'a> Fn(RequestHead<'a>) -> Option<Cow<'a, str>> + Send + Sync + 'static,
    {
        self.options_mut().route = Some(Arc::new(route));
        self
    }

    /// Lets a router inside the service name the route: a recorded request whose route is
    /// [not known](Self::with_route) at its start gets a [`DeferredRoute`] in its extensions.
    /// Default: off, since it takes a few allocations.
    #[must_use]
    pub fn with_deferred_route(mut self) -> Self {
        self.options_mut().deferred_route = true;
        self
    }

    /// Sets where the address of the connection's peer comes from. Default: [`PeerAddr`] in the
    /// request's extensions.
    #[must_use]
    pub fn with_peer<F>(mut self, peer: F) -> Self
    where
        F: Fn(RequestHead<'_>) -> Option<SocketAddr> + Send + Sync + 'static,
    {
        self.options_mut().peer = Arc::new(peer);
        self
    }

    /// Sets how far callers' trace context is believed, the same for all of them. Default:
    /// [`Trust::parent`]; see [`trust`](crate::trust).
    ///
    /// ```
    /// # use opentelemetry::trace::TracerProvider;
    /// # use opentelemetry_sdk::trace::SdkTracerProvider;
    /// use towline_http::Trust;
    /// use towline_http::server::TraceLayer;
    ///
    /// # let tracer = SdkTracerProvider::builder().build().tracer("edge");
    /// // A service that only strangers call.
    /// let layer = TraceLayer::new(tracer).with_trust(Trust::link());
    /// # drop(layer);
    /// ```
    #[must_use]
    pub fn with_trust(mut self, trust: Trust) -> Self {
        self.options_mut().trust = TrustPolicy::fixed(trust);
        self
    }

    /// Sets how far each caller's trace context is believed, by the head of its request: its peer's
    /// address, who it has authenticated as, a header. [`trust`](crate::trust) has examples.
    ///
    /// The function is called for every request that is not filtered out without a context.
    #[must_use]
    pub fn with_trust_by<F>(mut self, trust: F) -> Self
    where
        F: Fn(RequestHead<'_>) -> Trust + Send + Sync + 'static,
    {
        self.options_mut().trust = TrustPolicy::by(trust);
        self
    }

    /// Sets which requests get no span. Default: none; see [`filter`](crate::filter).
    #[must_use]
    pub fn with_filters(mut self, filters: Filters) -> Self {
        self.options_mut().filters = filters;
        self
    }

    /// Sets which methods are recorded by name, in place of the default: those of RFC 9110, `PATCH`
    /// and `QUERY`.
    #[must_use]
    pub fn with_known_methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.options_mut().attributes.set_known_methods(methods);
        self
    }

    /// Sets the query keys whose values are replaced by `REDACTED`, in place of
    /// [`DEFAULT_REDACTED_QUERY_KEYS`](crate::DEFAULT_REDACTED_QUERY_KEYS).
    #[must_use]
    pub fn with_redacted_query_keys<K>(mut self, keys: impl IntoIterator<Item = K>) -> Self
    where
        K: Into<Cow<'static, str>>,
    {
        self.options_mut().attributes.set_redacted_query_keys(keys);
        self
    }

    /// Sets how many bytes of a value that a caller chose are kept. Default:
    /// [`DEFAULT_VALUE_LIMIT_BYTES`](crate::DEFAULT_VALUE_LIMIT_BYTES).
    #[must_use]
    pub fn with_value_limit_bytes(mut self, bytes: usize) -> Self {
        self.options_mut().attributes.redaction.value_limit_bytes = bytes;
        self
    }
}

extras_options! {}

impl<T> Begin for TraceLayer<T>
where
    T: Tracer,
    T::Span: Send + Sync + 'static,
{
    type Record = Recorder;

    #[inline]
    fn begin<B>(&self, request: &mut Request<B>) -> Option<(OpenSpan, Recorder)> {
        if self.passes(request) {
            return None;
        }
        self.begin_exchange(request)
    }
}

impl<T> TraceLayer<T> {
    /// Whether there is nothing to do, since it is off and nobody has sent a context. This is all that
    /// a request without one costs then.
    #[inline]
    fn passes<B>(&self, request: &Request<B>) -> bool {
        !self.spans.is_enabled()
            && !self.options.query_context
            && !self.options.propagator.fields_present(request.headers())
    }
}

impl<T> TraceLayer<T>
where
    T: Tracer,
    T::Span: Send + Sync + 'static,
{
    #[inline(never)]
    fn begin_exchange<B>(&self, request: &mut Request<B>) -> Option<(OpenSpan, Recorder)> {
        let Self { spans, options } = self;
        let context =
            RequestContext::new(&options.propagator, options.query_context, request.uri());
        // While it is off nothing gets a span anyway, and there is a context, unless it is in the query. What the
        // filters have not seen must not get one either because it has been switched on in between.
        let enabled = spans.is_enabled();
        let skipped = !enabled || options.skips(RequestHead::from(&*request));
        if skipped && (enabled || options.query_context) && !context.is_present(request.headers()) {
            return None;
        }
        let caller = options.trust.receive(request, &context);
        if skipped {
            return Some((caller.pass(), Recorder::new(request.method(), None)));
        }
        let description = Description::new(options, request);
        let span = caller.start(spans, &description);
        let routed = description.is_routed();
        let held = span.is_recording() || options.trace_id.unsampled;
        let mut record = Recorder::new(request.method(), held.then(|| Arc::clone(options)));
        record.begin(&span, RequestHead::from(&*request));
        if options.deferred_route && span.is_recording() && !routed {
            let route = DeferredRoute::new();
            record.defer_route(route.clone(), request.method());
            request.extensions_mut().insert(route);
        }
        Some((span, record))
    }
}

impl<T> TraceLayer<T> {
    #[cfg(feature = "axum")]
    pub(crate) fn with_target(mut self, target: FindTarget) -> Self {
        self.options_mut().target = Some(target);
        self
    }

    pub(super) fn options_mut(&mut self) -> &mut Options {
        let options = Arc::make_mut(&mut self.options);
        options.teller = Teller::new();
        options
    }
}

impl<T> Clone for TraceLayer<T> {
    fn clone(&self) -> Self {
        Self {
            spans: self.spans.clone(),
            options: Arc::clone(&self.options),
        }
    }
}

impl<S, T> Layer<S> for TraceLayer<T> {
    type Service = Trace<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        Trace::new(inner, self.clone())
    }
}

// === impl Options ===

impl Options {
    /// Whether a request gets no span, by the target that the caller asked for.
    fn skips(&self, mut request: RequestHead<'_>) -> bool {
        if self.filters.is_empty() {
            return false;
        }
        if let Some(target) = self.target.and_then(|target| target(&request)) {
            request.uri = target;
        }
        self.filters.skips(request)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            propagator: Propagator::default(),
            attributes: AttributeOptions::default(),
            scheme: None,
            route: None,
            deferred_route: false,
            target: None,
            peer: Arc::new(|request| Some(request.extensions.get::<PeerAddr>()?.0)),
            trust: TrustPolicy::default(),
            filters: Filters::default(),
            extras: Extras::default(),
            classify: None,
            trace_id: ResponseTraceId::default(),
            proxies: None,
            query_context: false,
            teller: Teller::new(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("propagator", &self.propagator)
            .field("attributes", &self.attributes)
            .field("scheme", &self.scheme)
            .field("route", &self.route.is_some())
            .field("deferred_route", &self.deferred_route)
            .field("trust", &self.trust)
            .field("filters", &self.filters)
            .field("query_context", &self.query_context)
            .finish_non_exhaustive()
    }
}
