use std::borrow::Cow;
use std::fmt;
use std::future::Future;

use futures_core::Stream;
use opentelemetry::trace::{SpanBuilder, SpanKind, Tracer};
use opentelemetry::{Context, KeyValue};

use crate::classify::{Classify, ErrorText, NoFailure};
use crate::future::{SpanFuture, finish};
use crate::open::OpenSpan;
use crate::spans::Spans;
use crate::stream::SpanStream;

/// A span about to be put around something by hand, from [`Spans::span`].
///
/// The span starts when one of the methods that take the work is called, under the span that is
/// current then. The `try_` forms record an `Err` as the span's error; with the others nothing that
/// the work gives back is one. A panic or a drop is recorded by both, see
/// [`Outcome`](crate::Outcome).
///
/// # Examples
///
/// ```
/// use opentelemetry::KeyValue;
/// # use opentelemetry::trace::TracerProvider;
/// # use opentelemetry_sdk::trace::SdkTracerProvider;
/// # use towline_span::Spans;
/// # async fn load(key: u32) -> Result<String, std::io::Error> { Ok(key.to_string()) }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), std::io::Error> {
/// # let spans = Spans::new(SdkTracerProvider::default().tracer("example"));
/// let user = spans
///     .span("backend/Get")
///     .with_attribute(KeyValue::new("key", 42))
///     .try_run(load(42))
///     .await?;
/// assert_eq!(user, "42");
/// # Ok(())
/// # }
/// ```
#[must_use = "a span starts when it is given something to run"]
pub struct SpanCall<'a, T> {
    spans: &'a Spans<T>,
    builder: SpanBuilder,
}

impl<'a, T> SpanCall<'a, T>
where
    T: Tracer,
    T::Span: Send + Sync + 'static,
{
    pub(crate) fn new(spans: &'a Spans<T>, name: Cow<'static, str>) -> Self {
        Self {
            spans,
            builder: SpanBuilder::from_name(name),
        }
    }

    /// Sets the kind. Default: [`SpanKind::Internal`].
    pub fn with_kind(mut self, kind: SpanKind) -> Self {
        self.builder.span_kind = Some(kind);
        self
    }

    /// Adds an attribute.
    pub fn with_attribute(mut self, attribute: KeyValue) -> Self {
        self.builder
            .attributes
            .get_or_insert_default()
            .push(attribute);
        self
    }

    /// Runs a closure inside the span.
    ///
    /// # Panics
    ///
    /// When the closure does.
    pub fn call<R>(self, work: impl FnOnce() -> R) -> R {
        self.call_with(NoFailure, work)
    }

    /// Runs a closure inside the span; its `Err` is the span's error.
    ///
    /// # Errors
    ///
    /// The closure's own, untouched.
    ///
    /// # Panics
    ///
    /// When the closure does.
    pub fn try_call<R, E: fmt::Display>(self, work: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
        self.call_with(ErrorText, work)
    }

    /// Puts a future inside the span, which starts now.
    pub fn run<F: Future>(self, work: F) -> SpanFuture<F, NoFailure> {
        SpanFuture::new(work, self.start(), NoFailure)
    }

    /// Puts a future inside the span, which starts now; its `Err` is the span's error.
    pub fn try_run<F, R, E>(self, work: F) -> SpanFuture<F, ErrorText>
    where
        F: Future<Output = Result<R, E>>,
        E: fmt::Display,
    {
        SpanFuture::new(work, self.start(), ErrorText)
    }

    /// Puts a stream inside the span, which starts now and lasts until the stream is over.
    pub fn stream<St: Stream>(self, work: St) -> SpanStream<St, NoFailure> {
        SpanStream::new(work, self.start(), NoFailure)
    }

    /// Puts a stream inside the span, which starts now; the first `Err` ends it as the span's error.
    pub fn try_stream<St, R, E>(self, work: St) -> SpanStream<St, ErrorText>
    where
        St: Stream<Item = Result<R, E>>,
        E: fmt::Display,
    {
        SpanStream::new(work, self.start(), ErrorText)
    }

    fn call_with<R>(self, classify: impl Classify<R>, work: impl FnOnce() -> R) -> R {
        let mut span = self.start();
        let output = span.enter(work);
        finish(&mut span, &classify, &output);
        output
    }

    fn start(&self) -> OpenSpan {
        self.spans
            .start(&Context::current(), &|| self.builder.clone())
    }
}

impl<T> fmt::Debug for SpanCall<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanCall")
            .field("name", &self.builder.name)
            .finish_non_exhaustive()
    }
}
