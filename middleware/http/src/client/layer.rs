use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Method, Request};
use opentelemetry::Context;
use opentelemetry::trace::Tracer;
use tower_layer::Layer;
use towline_propagation::Propagator;
use towline_sampler::Sampler;
use towline_span::{OpenSpan, Spans, Teller};

use super::Trace;
use super::record::{Description, Recorder};
use crate::attributes::AttributeOptions;
use crate::extras::{ClassifyResponse, Extras, extras_options};
use crate::filter::Filters;
use crate::head::{RequestHead, ResponseHead};
use crate::peer::PeerAddr;
use crate::service::Begin;

/// Puts a client span around every HTTP request that is sent. See the
/// [module documentation](super).
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
    pub(crate) template: Option<FindTemplate>,
    pub(crate) peer: FindPeer,
    pub(crate) filters: Filters,
    pub(crate) extras: Extras,
    pub(crate) classify: Option<ClassifyResponse>,
    /// Who tells attributes by these options: another one after each change.
    pub(crate) teller: Teller,
}

type FindPeer = Arc<dyn Fn(ResponseHead<'_>) -> Option<SocketAddr> + Send + Sync>;

type FindTemplate = Arc<dyn for<'a> Fn(RequestHead<'a>) -> Option<Cow<'a, str>> + Send + Sync>;

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

    /// Sets where the template of the target comes from, `/users/{id}` for `/users/42`. Default:
    /// nowhere.
    ///
    /// The function is called for recorded requests only; what it answers must be of low
    /// cardinality.
    #[must_use]
    pub fn with_template<F>(mut self, template: F) -> Self
    where
        F: for<'a> Fn(RequestHead<'a>) -> Option<Cow<'a, str>> + Send + Sync + 'static,
    {
        self.options_mut().template = Some(Arc::new(template));
        self
    }

    /// Sets where the address of the connection's peer comes from. Default: [`PeerAddr`] in the
    /// response's extensions.
    ///
    /// What this crate makes of a reqwest client leaves it there; what hyper-util's clients leave is
    /// read after `with_hyper_util` (feature `hyper-util`).
    #[must_use]
    pub fn with_peer<F>(mut self, peer: F) -> Self
    where
        F: Fn(ResponseHead<'_>) -> Option<SocketAddr> + Send + Sync + 'static,
    {
        self.options_mut().peer = Arc::new(peer);
        self
    }

    /// Sets which requests get no span, such as those to a metadata service. Default: none; see
    /// [`filter`](crate::filter). The context that is current is written into their headers all the
    /// same.
    ///
    /// ```
    /// # use opentelemetry::trace::TracerProvider;
    /// # use opentelemetry_sdk::trace::SdkTracerProvider;
    /// use towline_http::client::TraceLayer;
    /// use towline_http::{Filter, Filters};
    ///
    /// # let tracer = SdkTracerProvider::builder().build().tracer("users");
    /// let metadata = Filter::new(|request| request.uri.host() == Some("169.254.169.254"));
    /// let layer = TraceLayer::new(tracer).with_filters(Filters::new([metadata]));
    /// # drop(layer);
    /// ```
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

    /// Sets how many bytes of a URL are kept. Default:
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

    fn begin<B>(&self, request: &mut Request<B>) -> Option<(OpenSpan, Recorder)> {
        let Self { spans, options } = self;
        let propagator = &options.propagator;
        let base = Context::current();
        if !spans.is_enabled() || options.filters.skips(RequestHead::from(&*request)) {
            propagator.inject(&base, request.headers_mut());
            return None;
        }
        let span = spans.start(&base, &Description::new(options, request));
        propagator.inject(span.context(), request.headers_mut());
        let options = span.is_recording().then(|| Arc::clone(options));
        let mut record = Recorder::new(request.method(), options);
        record.begin(&span, RequestHead::from(&*request));
        Some((span, record))
    }
}

impl<T> TraceLayer<T> {
    fn options_mut(&mut self) -> &mut Options {
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

impl Default for Options {
    fn default() -> Self {
        Self {
            propagator: Propagator::default(),
            attributes: AttributeOptions::default(),
            template: None,
            peer: Arc::new(|response| Some(response.extensions.get::<PeerAddr>()?.0)),
            filters: Filters::default(),
            extras: Extras::default(),
            classify: None,
            teller: Teller::new(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("propagator", &self.propagator)
            .field("attributes", &self.attributes)
            .field("template", &self.template.is_some())
            .field("filters", &self.filters)
            .finish_non_exhaustive()
    }
}
