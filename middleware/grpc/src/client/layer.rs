use std::cell::OnceCell;
use std::sync::Arc;

use http::Request;
use opentelemetry::Context;
use opentelemetry::trace::{SpanBuilder, SpanKind, Tracer};
use tower_layer::Layer;
use towline_http::{Begin, RequestHead};
use towline_propagation::Propagator;
use towline_sampler::Sampler;
use towline_span::{Describe, Described, OpenSpan, Recording, Spans};

use super::Trace;
use crate::call::tell_call;
use crate::conventions::Conventions;
use crate::extras::extras_options;
use crate::method::{Method, Methods};
use crate::options::Options;
use crate::record::{Recorder, Side};
use crate::timeout::Deadline;

/// Puts a client span around every gRPC call. See the [module documentation](super).
#[derive(Debug)]
pub struct TraceLayer<T> {
    spans: Spans<T>,
    options: Arc<Options>,
}

/// What is known of a call when it is made.
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

    /// Lists the methods that there are, as `package.Service/Method`; any other is `_OTHER`. Default: what
    /// a client names that tonic has generated (feature `tonic`), and any other unless the answer is
    /// UNIMPLEMENTED.
    ///
    /// It is for proxies, which send on whatever they are asked for: as long as callers can choose names,
    /// they can choose very many.
    #[must_use]
    pub fn with_methods<M: Into<String>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        self.options_mut().methods = Methods::only(methods);
        self
    }

    /// Names the server that is called: the target of the channel, not the address it resolves to.
    ///
    /// tonic's `Channel` adds the target below its layers, which see a path only; without this the
    /// required attribute `server.address` is missing there. Default: the authority of the request's
    /// target.
    #[must_use]
    pub fn with_server(mut self, address: impl Into<Arc<str>>, port: u16) -> Self {
        self.options_mut().server = Some((address.into(), port));
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
        let propagator = &self.options.propagator;
        let base = Context::current();
        if !self.spans.is_enabled() {
            propagator.inject(&base, request.headers_mut());
            return None;
        }
        let description = Description {
            layer: self,
            request: RequestHead::from(&*request),
            method: OnceCell::new(),
        };
        let span = self.spans.start(&base, &description);
        let mut record = if span.is_recording() {
            let deadline = Deadline::new(request.headers(), None);
            Recorder::new(
                Side::Client,
                description.method().clone(),
                &self.options,
                deadline,
            )
        } else {
            Recorder::idle()
        };
        propagator.inject(span.context(), request.headers_mut());
        record.begin(&span, RequestHead::from(&*request));
        Some((span, record))
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
        into.kind(SpanKind::Client);
        tell_call(options, self.method(), request, into);
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
        Some(SpanBuilder::from_name("grpc").with_kind(SpanKind::Client))
    }

    fn record(&self, into: &mut dyn Recording) {
        self.tell(into);
    }
}

/// Room for what a call usually records, its end included.
const CAPACITY: usize = 12;
