//! The request of the project's budgets, the service that answers it, and what drives the two as hyper does.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::io::Write;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use axum::extract::{ConnectInfo, MatchedPath};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Empty, Full};
use opentelemetry::trace::TraceContextExt;
use tower::{Layer, Service};
use towline_http::PeerAddr;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::path::{Path, Protocol, STREAM, TRACESTATE};
use crate::pipeline::PEER_PORT;

/// The route of the request, for clients: a server has axum's `MatchedPath`.
#[derive(Clone, Copy, Debug)]
pub struct Template(pub &'static str);

/// The route that the request matches.
pub const ROUTE: &str = "/users/{id}";

/// The service inside of all layers: pending some times, then an answer of one frame.
#[derive(Debug)]
pub struct Bare<R> {
    pending: u8,
    body: PhantomData<fn() -> R>,
}

/// The future of [`Bare`].
#[derive(Debug)]
pub struct Later<R> {
    pending: u8,
    body: PhantomData<fn() -> R>,
}

/// A body of one frame that can be made from nothing.
pub trait Answer: Body<Data = Bytes> + Sized {
    /// The answer.
    fn answer() -> Self;
}

/// So many messages, and then the trailers of a call that went well.
#[derive(Debug, Default)]
pub struct Messages<const N: usize>(usize);

/// [`Bare`] that notes which span is current while it runs.
#[derive(Debug)]
pub struct Watched<R>(Bare<R>, bool);

/// The future of [`Watched`].
#[derive(Debug)]
pub struct WatchedLater<R>(Later<R>, bool);

/// The body of an answer, that notes which span is current while it is read.
#[derive(Debug)]
pub struct WatchedBody {
    is_grpc: bool,
    frames: usize,
}

/// What the service inside has seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The span that was current in `call`.
    pub in_call: Option<u64>,
    /// The span that was current in the last poll of the future.
    pub in_poll: Option<u64>,
    /// The span that was current while the body was read.
    pub in_body: Option<u64>,
    /// The `traceparent` of the request that arrived.
    pub traceparent: Option<String>,
    /// The `tracestate` of the request that arrived.
    pub tracestate: Option<String>,
}

/// A layer around the bare service, whatever its types are.
pub trait Driver {
    /// Makes so many requests ready, which [`run`](Self::run) will send.
    fn prepare(&mut self, requests: usize);

    /// Sends what was made ready, and reads every answer to its end.
    fn run(&mut self);

    /// The same, under a name that a profiler can be told.
    fn run_measured(&mut self);

    /// Sends one request through the layer to a service that looks around.
    fn look(&mut self, between: &mut dyn FnMut()) -> Seen;
}

struct Driven<S, W, B> {
    service: S,
    watched: W,
    path: &'static Path,
    body: fn() -> B,
    ready: Vec<Request<B>>,
}

/// No layer.
#[derive(Clone, Copy, Debug)]
pub struct Identity;

// === impl Bare ===

impl<R> Bare<R> {
    fn new(path: &Path) -> Self {
        Self {
            pending: path.pending,
            body: PhantomData,
        }
    }
}

impl<R> Clone for Bare<R> {
    fn clone(&self) -> Self {
        Self {
            pending: self.pending,
            body: PhantomData,
        }
    }
}

impl<B, R: Answer> Service<Request<B>> for Bare<R> {
    type Response = Response<R>;
    type Error = Infallible;
    type Future = Later<R>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Later<R> {
        drop(black_box(request));
        Later {
            pending: self.pending,
            body: PhantomData,
        }
    }
}

// === impl Later ===

impl<R: Answer> Future for Later<R> {
    type Output = Result<Response<R>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.pending.checked_sub(1) {
            Some(left) => {
                self.pending = left;
                Poll::Pending
            }
            None => Poll::Ready(Ok(Response::new(R::answer()))),
        }
    }
}

// === impl Answer ===

const JSON: &[u8] = b"{\"name\":\"Ada\"}";

impl Answer for Full<Bytes> {
    fn answer() -> Self {
        Self::new(Bytes::from_static(JSON))
    }
}

impl Answer for axum::body::Body {
    fn answer() -> Self {
        Self::new(Full::answer())
    }
}

// === impl Messages ===

impl<const N: usize> Answer for Messages<N> {
    fn answer() -> Self {
        Self(0)
    }
}

impl<const N: usize> Body for Messages<N> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0 += 1;
        Poll::Ready(match self.0 {
            sent if sent <= N => Some(Ok(Frame::data(Bytes::from_static(b"\0\0\0\0\x05hello")))),
            sent if sent == N + 1 => Some(Ok(Frame::trailers(trailers()))),
            _ => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0 > N
    }
}

fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(
        HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    );
    trailers
}

// === impl Watched ===

thread_local! {
    static SEEN: Cell<Option<Seen>> = const { Cell::new(None) };
}

fn note(write: impl FnOnce(&mut Seen)) {
    let mut seen = SEEN.take().unwrap_or_default();
    write(&mut seen);
    SEEN.set(Some(seen));
}

/// The span that is current: OpenTelemetry's, `tracing`'s, or fastrace's.
fn current_span() -> Option<u64> {
    let in_context = |context: &opentelemetry::Context| {
        let span = context.span();
        let span = span.span_context();
        span.is_valid()
            .then(|| u64::from_be_bytes(span.span_id().to_bytes()))
    };
    in_context(&opentelemetry::Context::current())
        .or_else(|| in_context(&tracing::Span::current().context()))
        .or_else(|| {
            let parent = fastrace::collector::SpanContext::current_local_parent()?;
            Some(parent.span_id.0)
        })
}

impl<R> Clone for Watched<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), self.1)
    }
}

impl<B, R: Answer> Service<Request<B>> for Watched<R>
where
    WatchedBody: Into<R>,
{
    type Response = Response<R>;
    type Error = Infallible;
    type Future = WatchedLater<R>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        note(|seen| {
            let header = |name| Some(request.headers().get(name)?.to_str().ok()?.to_owned());
            seen.in_call = current_span();
            seen.traceparent = header("traceparent");
            seen.tracestate = header("tracestate");
        });
        WatchedLater(self.0.call(request), self.1)
    }
}

impl<R: Answer> Future for WatchedLater<R>
where
    WatchedBody: Into<R>,
{
    type Output = Result<Response<R>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        note(|seen| seen.in_poll = current_span());
        let is_grpc = self.1;
        let body = WatchedBody { is_grpc, frames: 0 };
        let polled = Pin::new(&mut self.0).poll(cx);
        polled.map_ok(|response| response.map(|_| body.into()))
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        note(|seen| seen.in_body = current_span());
        self.frames += 1;
        Poll::Ready(match (self.frames, self.is_grpc) {
            (1, _) => Some(Ok(Frame::data(Bytes::from_static(JSON)))),
            (2, true) => Some(Ok(Frame::trailers(trailers()))),
            _ => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.frames > usize::from(self.is_grpc)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(if self.frames > 0 {
            0
        } else {
            JSON.len() as u64
        })
    }
}

impl Answer for WatchedBody {
    fn answer() -> Self {
        Self {
            is_grpc: false,
            frames: 0,
        }
    }
}

impl From<WatchedBody> for axum::body::Body {
    fn from(body: WatchedBody) -> Self {
        Self::new(body)
    }
}

// === impl Identity ===

impl<S> Layer<S> for Identity {
    type Service = S;

    fn layer(&self, inner: S) -> S {
        inner
    }
}

// === impl Driven ===

/// A layer, around bodies that are what hyper or a test has: nothing boxed.
pub fn driver<L, S, W, D, E>(path: &'static Path, layer: &L) -> Box<dyn Driver>
where
    L: Layer<Bare<Full<Bytes>>, Service = S> + Layer<Watched<WatchedBody>, Service = W>,
    S: Service<Request<Empty<Bytes>>, Response = Response<D>, Error = Infallible> + 'static,
    W: Service<Request<Empty<Bytes>>, Response = Response<E>, Error = Infallible> + 'static,
    D: Body,
    E: Body,
{
    Box::new(Driven {
        service: layer.layer(Bare::new(path)),
        watched: layer.layer(Watched(Bare::new(path), path.protocol != Protocol::Http)),
        path,
        body: Empty::new,
        ready: Vec::new(),
    })
}

/// A layer around a gRPC service.
pub fn grpc_driver<L, S1, S2, W, D1, D2, E>(path: &'static Path, layer: &L) -> Box<dyn Driver>
where
    L: Layer<Bare<Messages<1>>, Service = S1>
        + Layer<Bare<Messages<STREAM>>, Service = S2>
        + Layer<Watched<WatchedBody>, Service = W>,
    S1: Service<Request<Empty<Bytes>>, Response = Response<D1>, Error = Infallible> + 'static,
    S2: Service<Request<Empty<Bytes>>, Response = Response<D2>, Error = Infallible> + 'static,
    W: Service<Request<Empty<Bytes>>, Response = Response<E>, Error = Infallible> + 'static,
    D1: Body,
    D2: Body,
    E: Body,
{
    let watched = layer.layer(Watched(Bare::new(path), true));
    if path.protocol == Protocol::GrpcStream {
        let service: S2 = layer.layer(Bare::<Messages<STREAM>>::new(path));
        return Box::new(Driven {
            service,
            watched,
            path,
            body: Empty::new,
            ready: Vec::new(),
        });
    }
    let service: S1 = layer.layer(Bare::<Messages<1>>::new(path));
    Box::new(Driven {
        service,
        watched,
        path,
        body: Empty::new,
        ready: Vec::new(),
    })
}

/// A layer that is made for axum's bodies, which are boxed.
pub fn axum_driver<L, S, W, D>(path: &'static Path, layer: &L) -> Box<dyn Driver>
where
    L: Layer<Bare<axum::body::Body>, Service = S> + Layer<Watched<axum::body::Body>, Service = W>,
    S: Service<Request<axum::body::Body>, Response = Response<D>, Error = Infallible> + 'static,
    W: Service<Request<axum::body::Body>, Response = Response<D>, Error = Infallible> + 'static,
    D: Body,
{
    Box::new(Driven {
        service: layer.layer(Bare::new(path)),
        watched: layer.layer(Watched(Bare::new(path), path.protocol != Protocol::Http)),
        path,
        body: axum::body::Body::empty,
        ready: Vec::new(),
    })
}

impl<S, W, B, D, E> Driver for Driven<S, W, B>
where
    S: Service<Request<B>, Response = Response<D>, Error = Infallible>,
    W: Service<Request<B>, Response = Response<E>, Error = Infallible>,
    D: Body,
    E: Body,
{
    fn prepare(&mut self, requests: usize) {
        self.ready.clear();
        self.ready
            .extend((0..requests).map(|_| request(self.path, (self.body)())));
    }

    fn run(&mut self) {
        for request in self.ready.drain(..) {
            exchange(&mut self.service, request, &mut || ());
        }
    }

    fn run_measured(&mut self) {
        measured_exchanges(&mut self.service, &mut self.ready);
    }

    fn look(&mut self, between: &mut dyn FnMut()) -> Seen {
        SEEN.set(None);
        exchange(
            &mut self.watched,
            request(self.path, (self.body)()),
            between,
        );
        SEEN.take().unwrap_or_default()
    }
}

/// Callgrind counts what happens in here.
#[inline(never)]
fn measured_exchanges<S, B, D>(service: &mut S, ready: &mut Vec<Request<B>>)
where
    S: Service<Request<B>, Response = Response<D>, Error = Infallible>,
    D: Body,
{
    for request in ready.drain(..) {
        exchange(service, request, &mut || ());
    }
}

/// One exchange, as hyper drives it: it stops when the body says that it is over.
fn exchange<S, B, D>(service: &mut S, request: Request<B>, between: &mut dyn FnMut())
where
    S: Service<Request<B>, Response = Response<D>, Error = Infallible>,
    D: Body,
{
    let mut cx = Context::from_waker(Waker::noop());
    assert!(
        service.poll_ready(&mut cx).is_ready(),
        "a layer holds a ready service back"
    );
    let response = {
        let mut future = pin!(service.call(request));
        loop {
            if let Poll::Ready(response) = future.as_mut().poll(&mut cx) {
                break response;
            }
        }
    };
    between();
    let Ok(response) = response;
    let mut body = pin!(response.into_body());
    while !body.is_end_stream() {
        match body.as_mut().poll_frame(&mut cx) {
            Poll::Ready(Some(frame)) => drop(black_box(frame)),
            Poll::Ready(None) => break,
            Poll::Pending => unreachable!("the body is there"),
        }
    }
}

/// As many bytes of a `user-agent` are another number each time.
const VARIED: usize = 4;

static MADE: AtomicUsize = AtomicUsize::new(0);

/// `GET /users/42?q=abc`, or a call of `hello.Greeter/SayHello`, with eight headers, as hyper leaves it: all texts are
/// slices of what was read from the connection.
fn request<B>(path: &Path, body: B) -> Request<B> {
    let (method, version, target, fixed) = match (path.protocol, path.is_client) {
        (Protocol::Http, false) => (Method::GET, Version::HTTP_11, "/users/42?q=abc", &HEADERS),
        (Protocol::Http, true) => (
            Method::GET,
            Version::HTTP_11,
            "http://users.example:8080/users/42?q=abc",
            &HEADERS,
        ),
        _ => (
            Method::POST,
            Version::HTTP_2,
            "http://users.example:8080/hello.Greeter/SayHello",
            &METADATA,
        ),
    };
    let traceparent = path.caller.traceparent().filter(|_| !path.is_client);
    let context = [
        ("traceparent", traceparent.as_deref()),
        ("tracestate", Some(TRACESTATE).filter(|_| path.tracestate)),
    ];
    let context = context
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let headers: Vec<_> = fixed.iter().copied().chain(context).collect();
    let mut read = target.as_bytes().to_vec();
    for (name, value) in &headers {
        read.extend_from_slice(value.as_bytes());
        if path.is_varied && *name == "user-agent" {
            let start = read.len() - VARIED;
            read.truncate(start);
            let _ = write!(
                read,
                "{:0VARIED$}",
                MADE.fetch_add(1, Ordering::Relaxed) % 10_000
            );
        }
    }
    let mut read = Bytes::from(read);

    let uri = Uri::from_maybe_shared(read.split_to(target.len())).expect("the target is one");
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let value = HeaderValue::from_maybe_shared(read.split_to(value.len()));
        map.insert(
            HeaderName::from_static(name),
            value.expect("the value is one"),
        );
    }

    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.version_mut() = version;
    *request.uri_mut() = uri;
    *request.headers_mut() = map;
    let peer = SocketAddr::from(([198, 51, 100, 7], PEER_PORT));
    let extensions = request.extensions_mut();
    extensions.insert(ConnectInfo(peer));
    match (path.protocol, path.is_client) {
        (Protocol::Http, false) => drop(extensions.insert(matched_path().clone())),
        (Protocol::Http, true) => drop(extensions.insert(Template(ROUTE))),
        _ => drop(extensions.insert(PeerAddr(peer))),
    }
    request
}

/// What a request has beside the context of its caller.
pub const HEADERS: [(&str, &str); 8] = [
    ("host", "users.example:8080"),
    ("user-agent", "curl/8.7.1"),
    ("accept", "*/*"),
    ("accept-encoding", "gzip, br"),
    ("accept-language", "en"),
    ("cache-control", "no-cache"),
    ("cookie", "session=1"),
    ("x-request-id", "7f3c"),
];

const METADATA: [(&str, &str); 8] = [
    ("te", "trailers"),
    ("content-type", "application/grpc"),
    ("user-agent", "tonic/0.14.9"),
    ("grpc-accept-encoding", "gzip"),
    ("grpc-timeout", "10S"),
    ("authorization", "Bearer token"),
    ("x-request-id", "7f3c"),
    ("x-tenant", "a"),
];

/// What axum's router leaves in a request. It cannot be made by hand, so a router makes it.
fn matched_path() -> &'static MatchedPath {
    static MATCHED: OnceLock<MatchedPath> = OnceLock::new();
    MATCHED.get_or_init(|| {
        let found = std::sync::Arc::new(OnceLock::new());
        let keep = found.clone();
        let handler = axum::routing::get(async move |path: MatchedPath| {
            let _ = keep.set(path);
        });
        let mut router = axum::Router::new().route(ROUTE, handler);
        let request = Request::get("/users/42")
            .body(axum::body::Body::empty())
            .expect("a request");
        let mut future = pin!(router.call(request));
        let mut cx = Context::from_waker(Waker::noop());
        while future.as_mut().poll(&mut cx).is_pending() {}
        found.get().expect("the handler has run").clone()
    })
}
