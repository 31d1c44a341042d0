//! Floors that make a span: copied, and delivered by our exporter.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use axum::extract::{ConnectInfo, MatchedPath, OriginalUri};
use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, Version};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use towline_otlp::Exporter;

use super::ledger::Ledger;
use super::{Current, Keep};

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

impl LeastSpan {
    /// Spans go by the transport of `exporter`, as [`Batch`]es.
    pub fn new(exporter: &Exporter) -> Self {
        Self {
            current: Current::new(true),
            ledger: Arc::new(Ledger::new(exporter)),
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
        self.span.ledger.put_port(&mut begun.span, port);
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
        self.ledger.end(std::mem::take(&mut self.span));
    }
}
