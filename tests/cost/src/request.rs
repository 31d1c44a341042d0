//! The request of the project's budgets, as hyper leaves it: all texts are slices of what was read.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Waker};

use axum::extract::{ConnectInfo, MatchedPath};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri, Version};
use http_body_util::Empty;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use tower::Service;
use towline_http::PeerAddr;

/// The body of every request.
pub type NoBody = Empty<Bytes>;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `GET /users/42?q=abc`, which has arrived and was routed.
    HttpServer,
    /// The same, on its way out.
    HttpClient,
    /// A call of `hello.Greeter/SayHello`, which has arrived.
    GrpcServer,
}

/// Who asks: what stands in the headers of a request that arrived, or which context is current when one is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody without trace context.
    Unknown,
    /// A trace that is not sampled.
    NotSampled,
    /// A trace that is sampled.
    Sampled,
    /// The same with a `tracestate` of two members.
    SampledWithState,
}

/// The route of an outgoing request, which a client layer is told to look for.
#[derive(Clone, Copy, Debug)]
pub struct Template(pub &'static str);

// === impl Caller ===

impl Caller {
    /// What it sends.
    #[must_use]
    pub const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Unknown => &[],
            Self::NotSampled => &[(
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            )],
            Self::Sampled => &[SAMPLED],
            Self::SampledWithState => &[
                SAMPLED,
                ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
            ],
        }
    }

    /// The span that it asks from.
    #[must_use]
    pub fn span_context(self) -> Option<SpanContext> {
        let flags = match self {
            Self::Unknown => return None,
            Self::NotSampled => TraceFlags::default(),
            Self::Sampled | Self::SampledWithState => TraceFlags::SAMPLED,
        };
        Some(SpanContext::new(
            TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
            SpanId::from(0xb7ad_6b71_6920_3331),
            flags,
            true,
            TraceState::NONE,
        ))
    }
}

/// Such a request.
///
/// # Panics
///
/// Never: all that it is made of is legal.
#[must_use]
pub fn request(target: Target, caller: Caller) -> Request<NoBody> {
    let (method, version, uri) = match target {
        Target::HttpServer => (Method::GET, Version::HTTP_11, "/users/42?q=abc"),
        Target::HttpClient => (
            Method::GET,
            Version::HTTP_11,
            "http://users.example:8080/users/42?q=abc",
        ),
        Target::GrpcServer => (
            Method::POST,
            Version::HTTP_2,
            "http://users.example:8080/hello.Greeter/SayHello",
        ),
    };
    let sent = match target {
        Target::HttpClient => &[],
        Target::HttpServer | Target::GrpcServer => caller.headers(),
    };
    let headers = || fixed_headers(target).iter().chain(sent);
    let mut read = uri.as_bytes().to_vec();
    headers().for_each(|(_, value)| read.extend_from_slice(value.as_bytes()));
    let mut read = Bytes::from(read);

    let mut request = Request::new(Empty::new());
    *request.method_mut() = method;
    *request.version_mut() = version;
    *request.uri_mut() =
        Uri::from_maybe_shared(read.split_to(uri.len())).expect("the target is a URI");
    let mut map = HeaderMap::with_capacity(headers().count());
    for (name, value) in headers() {
        let value = HeaderValue::from_maybe_shared(read.split_to(value.len()));
        map.insert(
            HeaderName::from_static(name),
            value.expect("the value is legal"),
        );
    }
    *request.headers_mut() = map;
    let peer = SocketAddr::from(([198, 51, 100, 7], 54321));
    let extensions = request.extensions_mut();
    extensions.insert(ConnectInfo(peer));
    match target {
        Target::HttpServer => drop(extensions.insert(matched_path().clone())),
        Target::HttpClient => drop(extensions.insert(Template(ROUTE))),
        Target::GrpcServer => drop(extensions.insert(PeerAddr(peer))),
    }
    request
}

/// The eight that are there whoever asks.
const fn fixed_headers(target: Target) -> &'static [(&'static str, &'static str)] {
    match target {
        Target::HttpServer | Target::HttpClient => &[
            ("host", "users.example:8080"),
            ("user-agent", "curl/8.7.1"),
            ("accept", "*/*"),
            ("accept-encoding", "gzip, br"),
            ("accept-language", "en"),
            ("cache-control", "no-cache"),
            ("cookie", "session=1"),
            ("x-request-id", "7f3c"),
        ],
        Target::GrpcServer => &[
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "tonic/0.14.9"),
            ("grpc-accept-encoding", "gzip"),
            ("grpc-timeout", "10S"),
            ("authorization", "Bearer token"),
            ("x-request-id", "7f3c"),
            ("x-tenant", "a"),
        ],
    }
}

/// What axum's router leaves in a request. It cannot be made by hand, so a router makes it.
fn matched_path() -> &'static MatchedPath {
    static MATCHED: OnceLock<MatchedPath> = OnceLock::new();
    MATCHED.get_or_init(|| {
        let found = Arc::new(OnceLock::new());
        let keep = Arc::clone(&found);
        let handler = axum::routing::get(async move |path: MatchedPath| drop(keep.set(path)));
        let mut router = axum::Router::new().route(ROUTE, handler);
        let request = Request::get("/users/42").body(axum::body::Body::empty());
        let mut future = pin!(router.call(request.expect("the path is one")));
        let mut cx = Context::from_waker(Waker::noop());
        while future.as_mut().poll(&mut cx).is_pending() {}
        found.get().expect("the handler has run").clone()
    })
}

const ROUTE: &str = "/users/{id}";

const SAMPLED: (&str, &str) = (
    "traceparent",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
);
