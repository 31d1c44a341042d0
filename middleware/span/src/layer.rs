use std::task::{self, Poll};

use opentelemetry::Context;
use opentelemetry::trace::{SpanBuilder, Tracer};
use tower_layer::Layer;
use tower_service::Service;

use crate::classify::{Classify, ErrorText};
use crate::future::SpanFuture;
use crate::spans::Spans;

/// Puts a span around every call of a [`tower::Service`](tower_service::Service), whatever its
/// request is.
///
/// What it does to a request, in order:
///
/// 1. Under the span that is current in `call` it starts a span that `M` describes from the
///    request. Under a parent that is not sampled, and while tracing is off, the request is not
///    looked at; at the root of a trace it is, since only a tracer can make the trace id that
///    decides.
/// 2. The span's context is current in the inner `call` and in every poll of its future.
/// 3. The span ends when the future is ready, is dropped, or panics. `C` says from the result
///    whether it failed; by default an `Err` did, and its text is the status description.
///
/// Readiness, the response and the error pass through untouched.
///
/// # Examples
///
/// A cache whose every call is one operation:
///
/// ```
/// # use opentelemetry::trace::TracerProvider;
/// # use opentelemetry_sdk::trace::SdkTracerProvider;
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
/// use towline_span::{SpanLayer, Spans};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), std::io::Error> {
/// # let exporter = opentelemetry_sdk::trace::InMemorySpanExporter::default();
/// # let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
/// let spans = Spans::new(provider.tracer("users"));
/// let mut cache = ServiceBuilder::new()
///     .layer(SpanLayer::new(spans, "cache/Get"))
///     .service(service_fn(|_key: u32| async { Ok::<_, std::io::Error>(Some("Ada")) }));
///
/// assert_eq!(cache.ready().await?.call(42).await?, Some("Ada"));
/// # assert_eq!(exporter.get_finished_spans().unwrap()[0].name, "cache/Get");
/// # Ok(())
/// # }
/// ```
///
/// A backend whose span takes its name and attributes from the request, and for which "not found"
/// is an answer:
///
/// ```
/// # use opentelemetry::trace::TracerProvider;
/// # use opentelemetry_sdk::trace::SdkTracerProvider;
/// use opentelemetry::KeyValue;
/// use opentelemetry::trace::{SpanBuilder, SpanKind, Status};
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
/// use towline_span::{Failure, SpanLayer, Spans};
///
/// struct GetRange { start: u64, limit: i64 }
/// enum BackendError { NotFound, Lost }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let exporter = opentelemetry_sdk::trace::InMemorySpanExporter::default();
/// # let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
/// let spans = Spans::new(provider.tracer("users"));
/// let layer = SpanLayer::new(spans, |range: &GetRange| {
///     SpanBuilder::from_name("backend/GetRange")
///         .with_kind(SpanKind::Client)
///         .with_attributes([KeyValue::new("limit", range.limit)])
/// })
/// .with_classify(|result: &Result<Vec<u64>, BackendError>| match result {
///     Ok(_) | Err(BackendError::NotFound) => None,
///     Err(BackendError::Lost) => Some(Failure::new("lost").with_description("connection lost")),
/// });
///
/// let mut backend = ServiceBuilder::new().layer(layer).service(service_fn(
///     |range: GetRange| async move {
///         if range.start == 0 { Err(BackendError::NotFound) } else { Err(BackendError::Lost) }
///     },
/// ));
/// for start in [0, 1] {
///     let _ = backend.call(GetRange { start, limit: 10 }).await;
/// }
/// # let recorded = exporter.get_finished_spans().unwrap();
/// assert_eq!(recorded[0].status, Status::Unset);
/// assert_eq!(recorded[1].status, Status::error("connection lost"));
/// # }
/// ```
#[derive(Debug)]
pub struct SpanLayer<T, M, C = ErrorText> {
    spans: Spans<T>,
    make_span: M,
    classify: C,
}

/// The service of [`SpanLayer`].
#[derive(Debug)]
pub struct SpanService<S, T, M, C = ErrorText> {
    inner: S,
    spans: Spans<T>,
    make_span: M,
    classify: C,
}

/// Describes the span of a request.
///
/// Implemented for a fixed name and for closures `Fn(&Req) -> SpanBuilder`.
pub trait MakeSpan<Req> {
    /// The name, the kind (default: internal) and the attributes.
    ///
    /// The name must be of low cardinality: no keys, no ids.
    fn make_span(&self, request: &Req) -> SpanBuilder;
}

impl<Req> MakeSpan<Req> for &'static str {
    fn make_span(&self, _request: &Req) -> SpanBuilder {
        SpanBuilder::from_name(*self)
    }
}

impl<F, Req> MakeSpan<Req> for F
where
    F: Fn(&Req) -> SpanBuilder,
{
    fn make_span(&self, request: &Req) -> SpanBuilder {
        self(request)
    }
}

// === impl SpanLayer ===

impl<T, M> SpanLayer<T, M> {
    /// A layer whose spans are started by `spans` and described by `make_span`.
    pub const fn new(spans: Spans<T>, make_span: M) -> Self {
        Self {
            spans,
            make_span,
            classify: ErrorText,
        }
    }
}

impl<T, M, C> SpanLayer<T, M, C> {
    /// Says which results are failures. Default: [`ErrorText`], every `Err`.
    #[must_use]
    pub fn with_classify<D>(self, classify: D) -> SpanLayer<T, M, D> {
        SpanLayer {
            spans: self.spans,
            make_span: self.make_span,
            classify,
        }
    }
}

impl<T, M: Clone, C: Clone> Clone for SpanLayer<T, M, C> {
    fn clone(&self) -> Self {
        Self {
            spans: self.spans.clone(),
            make_span: self.make_span.clone(),
            classify: self.classify.clone(),
        }
    }
}

impl<S, T, M: Clone, C: Clone> Layer<S> for SpanLayer<T, M, C> {
    type Service = SpanService<S, T, M, C>;

    fn layer(&self, inner: S) -> Self::Service {
        SpanService {
            inner,
            spans: self.spans.clone(),
            make_span: self.make_span.clone(),
            classify: self.classify.clone(),
        }
    }
}

// === impl SpanService ===

impl<S: Clone, T, M: Clone, C: Clone> Clone for SpanService<S, T, M, C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            spans: self.spans.clone(),
            make_span: self.make_span.clone(),
            classify: self.classify.clone(),
        }
    }
}

impl<S, T, M, C> SpanService<S, T, M, C> {
    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service, unwrapped.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, T, M, C, Req> Service<Req> for SpanService<S, T, M, C>
where
    S: Service<Req>,
    T: Tracer,
    T::Span: Send + Sync + 'static,
    M: MakeSpan<Req>,
    C: Classify<Result<S::Response, S::Error>> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = SpanFuture<S::Future, C>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let mut span = self
            .spans
            .start(&Context::current(), &|| self.make_span.make_span(&request));
        let future = span.enter(|| self.inner.call(request));
        SpanFuture::new(future, span, self.classify.clone())
    }
}
