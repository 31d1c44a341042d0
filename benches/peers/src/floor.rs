//! The least that a layer can take, piece by piece: each of these keeps a little more from the head of a request to the end
//! of its answer, and does nothing else.
//!
//! They are no layers that anybody could use: they say the same of every request.

use std::cell::RefCell;
use std::future::Future;
use std::hint::black_box;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{self, Poll, ready};
use std::time::{Duration, SystemTime};

use axum::extract::{ConnectInfo, MatchedPath, OriginalUri};
use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use opentelemetry::Context;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer, TracerProvider,
};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, SdkTracerProvider, Span, SpanData, SpanProcessor,
};
use pin_project_lite::pin_project;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower::{Layer, Service};
use towline_otlp::{Batch, Exporter};
use towline_propagation::Propagator;

use crate::path::{PARENT_ID, TRACE_ID};
use crate::pipeline::{PEER_PORT, attributes, resource};

/// A layer that keeps something for as long as an exchange lasts.
#[derive(Clone, Debug)]
pub struct FloorLayer<K>(pub K);

/// What is kept.
pub trait Keep: Clone {
    /// For one exchange.
    type Kept;

    /// A request is there.
    fn begin<B>(&self, request: &mut Request<B>) -> Option<Self::Kept>;

    /// Runs what is inside: in `call`, in each poll of the future and of the body.
    fn enter<R>(_kept: &Self::Kept, work: impl FnOnce() -> R) -> R {
        work()
    }
}

/// Nothing but room, and only for a request that has one of two headers.
#[derive(Clone, Copy, Debug)]
pub struct Room;

/// The same for something that has to be ended if it is dropped.
#[derive(Clone, Copy, Debug)]
pub struct Ending;

/// What is to be ended.
#[derive(Debug)]
pub struct Unended([usize; 8]);

/// The caller's context, read by our propagator, made once and current wherever ours is.
#[derive(Clone, Debug)]
pub struct Current {
    propagator: Propagator,
    /// What is current where no caller has said anything.
    root: SpanContext,
}

/// A child of what is current, written into the request by our propagator and current wherever ours is; its id is always the
/// same.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    propagator: Propagator,
}

/// [`Current`] with a span of as many bytes as ours: copied, its times and ids written over it, and delivered.
#[derive(Clone, Debug)]
pub struct LeastSpan {
    current: Current,
    ledger: Arc<Ledger>,
}

/// The same, where what the span says is read from the request: all but the peer's port, which is written, is found to be what
/// the first request has said, and nothing of it is written.
#[derive(Clone, Debug)]
pub struct LeastTold {
    span: LeastSpan,
    /// What the first request has said.
    expected: Arc<OnceLock<Expected>>,
}

/// What a request says of itself.
struct Told<'a> {
    method: &'a Method,
    version: Version,
    path: &'a str,
    query: Option<&'a str>,
    route: Option<&'a str>,
    host: Option<&'a [u8]>,
    user_agent: Option<&'a [u8]>,
    ip: IpAddr,
    port: u16,
}

/// What every request says.
#[derive(Debug)]
struct Expected {
    method: Method,
    version: Version,
    path: String,
    query: Option<String>,
    route: Option<String>,
    host: Option<Vec<u8>>,
    user_agent: Option<Vec<u8>>,
    ip: IpAddr,
}

/// A span that has begun.
#[derive(Debug)]
pub struct Begun {
    context: Context,
    span: Vec<u8>,
    ledger: Arc<Ledger>,
}

/// Puts spans of one shape side by side, and sends them on when there are enough.
#[derive(Debug)]
struct Ledger {
    /// What stands before the first span of a batch.
    head: Vec<u8>,
    /// A span, and where in it the parts are that differ.
    span: Vec<u8>,
    trace_id: usize,
    span_id: usize,
    parent_id: usize,
    start: usize,
    end: usize,
    port: usize,
    ids: RandomIdGenerator,
    filling: Mutex<Vec<u8>>,
    batches: UnboundedSender<Batch>,
}

/// The service of [`FloorLayer`].
#[derive(Clone, Debug)]
pub struct Floor<S, K> {
    inner: S,
    keep: K,
}

pin_project! {
    /// The future of [`Floor`].
    pub struct FloorFuture<F, K: Keep> {
        #[pin]
        inner: F,
        kept: Option<K::Kept>,
    }
}

pin_project! {
    /// The body of [`Floor`].
    pub struct FloorBody<B, K: Keep> {
        #[pin]
        inner: B,
        kept: Option<K::Kept>,
    }
}

thread_local! {
    /// Memory for spans that are open, as ours has it.
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Spans of a batch.
const BATCH: usize = 512;

static BAGGAGE: HeaderName = HeaderName::from_static("baggage");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

// === impl Keep ===

impl Keep for Room {
    type Kept = [usize; 9];

    fn begin<B>(&self, request: &mut Request<B>) -> Option<Self::Kept> {
        has_context(request.headers()).then_some([0; 9])
    }
}

impl Keep for Ending {
    type Kept = Unended;

    fn begin<B>(&self, request: &mut Request<B>) -> Option<Unended> {
        has_context(request.headers()).then_some(Unended([0; 8]))
    }
}

impl Drop for Unended {
    fn drop(&mut self) {
        black_box(self.0);
    }
}

impl Current {
    /// With a trace of this kind where no caller has said anything.
    pub fn new(is_sampled: bool) -> Self {
        Self {
            propagator: Propagator::w3c(),
            root: SpanContext::new(
                TraceId::from(TRACE_ID),
                SpanId::from(PARENT_ID),
                TraceFlags::default().with_sampled(is_sampled),
                false,
                TraceState::NONE,
            ),
        }
    }

    fn context(&self, headers: &HeaderMap) -> Context {
        let base = Context::current();
        let caller = self.propagator.extract(headers, &base);
        match caller.parent {
            Some(_) => caller.into_context(),
            None => base.with_remote_span_context(self.root.clone()),
        }
    }
}

impl Keep for Current {
    type Kept = Context;

    fn begin<B>(&self, request: &mut Request<B>) -> Option<Context> {
        Some(self.context(request.headers()))
    }

    fn enter<R>(kept: &Context, work: impl FnOnce() -> R) -> R {
        let attached = kept.clone().attach();
        let result = work();
        drop(attached);
        result
    }
}

impl Keep for Sent {
    type Kept = Context;

    fn begin<B>(&self, request: &mut Request<B>) -> Option<Context> {
        let base = Context::current();
        let parent = base.span().span_context().clone();
        let child = SpanContext::new(
            parent.trace_id(),
            SpanId::from(PARENT_ID),
            parent.trace_flags(),
            false,
            parent.trace_state().clone(),
        );
        let context = base.with_remote_span_context(child);
        self.propagator.inject(&context, request.headers_mut());
        Some(context)
    }

    fn enter<R>(kept: &Context, work: impl FnOnce() -> R) -> R {
        Current::enter(kept, work)
    }
}

impl LeastSpan {
    /// Spans go by the transport of `exporter`, as [`Batch`]es.
    pub fn new(exporter: &Exporter) -> Self {
        let (batches, sent) = unbounded_channel();
        deliver(exporter, sent);
        Self {
            current: Current::new(true),
            ledger: Arc::new(Ledger::new(batches)),
        }
    }
}

impl Keep for LeastSpan {
    type Kept = Begun;

    fn begin<B>(&self, request: &mut Request<B>) -> Option<Begun> {
        let context = self.current.context(request.headers());
        Some(Begun {
            span: self.ledger.begin(context.span().span_context()),
            context,
            ledger: Arc::clone(&self.ledger),
        })
    }

    fn enter<R>(kept: &Begun, work: impl FnOnce() -> R) -> R {
        Current::enter(&kept.context, work)
    }
}

impl LeastTold {
    /// Spans go by the transport of `exporter`, as [`Batch`]es.
    pub fn new(exporter: &Exporter) -> Self {
        Self {
            span: LeastSpan::new(exporter),
            expected: Arc::default(),
        }
    }
}

impl Keep for LeastTold {
    type Kept = Begun;

    fn begin<B>(&self, request: &mut Request<B>) -> Option<Begun> {
        let told = Told::of(request);
        let expected = self.expected.get_or_init(|| told.to_expected());
        assert!(
            *expected == told,
            "a floor that knows one request has got another"
        );
        let port = told.port;
        let mut begun = self.span.begin(request)?;
        let ledger = &self.span.ledger;
        put(&mut begun.span, ledger.port, varint(port));
        Some(begun)
    }

    fn enter<R>(kept: &Begun, work: impl FnOnce() -> R) -> R {
        LeastSpan::enter(kept, work)
    }
}

impl<'a> Told<'a> {
    fn of<B>(request: &'a Request<B>) -> Self {
        let extensions = request.extensions();
        let header = |name| request.headers().get(name).map(HeaderValue::as_bytes);
        // Below a nested router a request has another target than it came with.
        let uri = extensions.get::<OriginalUri>();
        let uri = uri.map_or(request.uri(), |uri| &uri.0);
        let peer = extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.expect("there is a peer").0;
        Self {
            method: request.method(),
            version: request.version(),
            path: uri.path(),
            query: uri.query(),
            route: extensions.get::<MatchedPath>().map(MatchedPath::as_str),
            host: header(HOST),
            user_agent: header(USER_AGENT),
            ip: peer.ip(),
            port: peer.port(),
        }
    }

    fn to_expected(&self) -> Expected {
        Expected {
            method: self.method.clone(),
            version: self.version,
            path: self.path.to_owned(),
            query: self.query.map(str::to_owned),
            route: self.route.map(str::to_owned),
            host: self.host.map(<[u8]>::to_vec),
            user_agent: self.user_agent.map(<[u8]>::to_vec),
            ip: self.ip,
        }
    }
}

impl PartialEq<Told<'_>> for Expected {
    fn eq(&self, told: &Told<'_>) -> bool {
        self.method == *told.method
            && self.version == told.version
            && self.path == told.path
            && self.query.as_deref() == told.query
            && self.route.as_deref() == told.route
            && self.host.as_deref() == told.host
            && self.user_agent.as_deref() == told.user_agent
            && self.ip == told.ip
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut span = std::mem::take(&mut self.span);
        self.ledger.end(&mut span);
        span.clear();
        POOL.with_borrow_mut(|pool| pool.push(span));
    }
}

// === impl Ledger ===

impl Ledger {
    fn new(batches: UnboundedSender<Batch>) -> Self {
        let [start, end] = [1, 2].map(|seconds| SystemTime::UNIX_EPOCH + Duration::new(seconds, 7));
        let template = template(start, end);
        let trace_id = template.span_context.trace_id().to_bytes();
        let span_id = template.span_context.span_id().to_bytes();
        let bytes = Batch::encode(&resource(), std::iter::repeat_n(&template, BATCH)).into_bytes();
        let at = |bytes: &[u8], part: &[u8]| {
            let found = bytes.windows(part.len()).position(|it| it == part);
            found.expect("a span has it")
        };
        let first = at(&bytes, &trace_id);
        let length = at(&bytes[first + 1..], &trace_id) + 1;
        // Every span is as long as the first, and the last one is at the end.
        let head = bytes.len() - BATCH * length;
        let span = bytes[head..head + length].to_vec();
        let nanos = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            nanos_of(since.expect("it is after it")).to_le_bytes()
        };
        Self {
            trace_id: at(&span, &trace_id),
            span_id: at(&span, &span_id),
            parent_id: at(&span, &PARENT_ID.to_be_bytes()),
            start: at(&span, &nanos(start)),
            end: at(&span, &nanos(end)),
            port: at(&span, &varint(PEER_PORT)),
            head: bytes[..head].to_vec(),
            span,
            ids: RandomIdGenerator::default(),
            filling: Mutex::default(),
            batches,
        }
    }

    fn begin(&self, caller: &SpanContext) -> Vec<u8> {
        let mut span = POOL.with_borrow_mut(Vec::pop).unwrap_or_default();
        span.extend_from_slice(&self.span);
        put(&mut span, self.trace_id, caller.trace_id().to_bytes());
        put(&mut span, self.parent_id, caller.span_id().to_bytes());
        put(&mut span, self.span_id, self.ids.new_span_id().to_bytes());
        put(&mut span, self.start, now());
        span
    }

    fn end(&self, span: &mut [u8]) {
        put(span, self.end, now());
        let full = self.head.len() + BATCH * self.span.len();
        let mut filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        if filling.is_empty() {
            filling.reserve_exact(full);
            filling.extend_from_slice(&self.head);
        }
        filling.extend_from_slice(span);
        if filling.len() == full {
            let batch = Batch::from_encoded(std::mem::take(&mut *filling).into(), BATCH);
            // Once nobody takes them any more the program is about to end.
            let _ = self.batches.send(batch);
        }
    }
}

/// Sends what comes, from a thread of its own, one at a time; what is left over when it ends is lost.
fn deliver(exporter: &Exporter, mut sent: UnboundedReceiver<Batch>) {
    let mut service = exporter.service();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime starts");
    std::thread::spawn(move || {
        runtime.block_on(async {
            while let Some(batch) = sent.recv().await {
                // The collector says how many have arrived.
                let _ = service.call(batch).await;
            }
        });
    });
}

/// A span with all that ours has of the same request.
fn template(start: SystemTime, end: SystemTime) -> SpanData {
    let ended = Ended::default();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(ended.clone())
        .build();
    let tracer = provider.tracer("load");
    let builder = tracer
        .span_builder("GET /users/{id}")
        .with_kind(SpanKind::Server)
        .with_start_time(start)
        .with_attributes(attributes());
    let mut span =
        builder.start_with_context(&tracer, &Current::new(true).context(&HeaderMap::new()));
    span.end_with_timestamp(end);
    let mut ended = ended.0.lock().unwrap_or_else(PoisonError::into_inner);
    ended.take().expect("it has ended")
}

/// The last span that has ended.
#[derive(Clone, Debug, Default)]
struct Ended(Arc<Mutex<Option<SpanData>>>);

impl SpanProcessor for Ended {
    fn on_start(&self, _span: &mut Span, _cx: &Context) {}

    fn on_end(&self, span: SpanData) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn put<const N: usize>(span: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(place) = span.get_mut(at..at + N) {
        place.copy_from_slice(&bytes);
    }
}

/// As a number is written down if it takes three bytes.
fn varint(port: u16) -> [u8; 3] {
    assert!(port >> 14 > 0, "a port that the system chooses is higher");
    [
        port as u8 | 0x80,
        (port >> 7) as u8 | 0x80,
        (port >> 14) as u8,
    ]
}

fn now() -> [u8; 8] {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    nanos_of(since.unwrap_or_default()).to_le_bytes()
}

fn nanos_of(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn has_context(headers: &HeaderMap) -> bool {
    headers.contains_key(&TRACEPARENT) || headers.contains_key(&BAGGAGE)
}

// === impl Floor ===

impl<S, K: Clone> Layer<S> for FloorLayer<K> {
    type Service = Floor<S, K>;

    fn layer(&self, inner: S) -> Floor<S, K> {
        Floor {
            inner,
            keep: self.0.clone(),
        }
    }
}

impl<S, K, B, R> Service<Request<B>> for Floor<S, K>
where
    S: Service<Request<B>, Response = Response<R>>,
    K: Keep,
{
    type Response = Response<FloorBody<R, K>>;
    type Error = S::Error;
    type Future = FloorFuture<S::Future, K>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let kept = self.keep.begin(&mut request);
        FloorFuture {
            inner: enter::<K, _>(&kept, || self.inner.call(request)),
            kept,
        }
    }
}

impl<F, K, B, E> Future for FloorFuture<F, K>
where
    F: Future<Output = Result<Response<B>, E>>,
    K: Keep,
{
    type Output = Result<Response<FloorBody<B, K>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(enter::<K, _>(this.kept, || this.inner.poll(cx)));
        let kept = this.kept.take();
        Poll::Ready(response.map(|response| response.map(|inner| FloorBody { inner, kept })))
    }
}

impl<B: Body, K: Keep> Body for FloorBody<B, K> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        enter::<K, _>(this.kept, || this.inner.poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn enter<K: Keep, R>(kept: &Option<K::Kept>, work: impl FnOnce() -> R) -> R {
    match kept {
        Some(kept) => K::enter(kept, work),
        None => work(),
    }
}
