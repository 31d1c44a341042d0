//! Whose trace context a server believes, and how far.
//!
//! Whoever can send a request can send a `traceparent` with it: join traces that are none of his, have
//! every request of his recorded, or none, and send kilobytes of `tracestate` and `baggage` along
//! through everything behind. W3C Trace Context [leaves it] to the participants what they make of that.
//! [`Trust`] is the answer for one caller; a layer has one for all, or a function that looks at the
//! request:
//!
//! | | [`Trust::parent`] | [`Trust::link`] | [`Trust::ignore`] |
//! |---|---|---|---|
//! | the span of the request | is a child of the caller's | is a root with a link to the caller's | is a root |
//! | it is recorded | as the caller says | at the local rate | at the local rate |
//! | `tracestate` | goes on | ends here | ends here |
//! | `baggage` | goes on | ends here | ends here |
//!
//! [`Trust::with_sampled`] and [`Trust::with_baggage`] are for what lies between. Where a caller's
//! context ends its headers are taken out of the request, so that a proxy, or a program that copies
//! headers, does not pass them on behind our back; that goes for a switched-off layer as well. A root
//! goes under the span that is current in the process, if there is one, as it would without a caller.
//!
//! # Examples
//!
//! Kubernetes' rule for its API server: a caller's context is the parent for users of two groups; for
//! everybody else it is a link, and the local rate decides.
//!
//! ```
//! use http::Request;
//! use http_body_util::Empty;
//! use opentelemetry::trace::{SpanId, TracerProvider};
//! use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use towline_http::Trust;
//! use towline_http::server::TraceLayer;
//!
//! // What a layer before ours, the authentication, has left in the extensions.
//! #[derive(Clone)]
//! struct User { groups: Vec<&'static str> }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let exporter = InMemorySpanExporter::default();
//! # let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
//! let layer = TraceLayer::new(provider.tracer("apiserver")).with_trust_by(|request| {
//!     let groups = request.extensions.get::<User>().map_or(&[][..], |user| &user.groups);
//!     let trusted = groups.contains(&"system:masters") || groups.contains(&"system:monitoring");
//!     if trusted { Trust::parent() } else { Trust::link() }
//! });
//! # let service = ServiceBuilder::new().layer(layer).service(service_fn(|_request: Request<()>| async {
//! #     Ok::<_, std::convert::Infallible>(http::Response::new(Empty::<&'static [u8]>::new()))
//! # }));
//! for group in ["system:masters", "system:authenticated"] {
//!     let request = Request::get("/api/v1/pods")
//!         .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
//!         .extension(User { groups: vec![group] })
//!         .body(())?;
//!     service.clone().oneshot(request).await?;
//! }
//! let spans = exporter.get_finished_spans()?;
//! assert_eq!(spans[0].parent_span_id, SpanId::from(0xb7ad6b7169203331));
//! assert_eq!(spans[1].parent_span_id, SpanId::INVALID);
//! assert_eq!(spans[1].links[0].span_context.span_id(), SpanId::from(0xb7ad6b7169203331));
//! # Ok(())
//! # }
//! ```
//!
//! By the address of the peer, for a service behind proxies of one's own; what comes from elsewhere may
//! join a trace but have ten traces a second recorded at most:
//!
//! ```
//! # use opentelemetry::trace::TracerProvider;
//! # use opentelemetry_sdk::trace::SdkTracerProvider;
//! use towline_http::server::{PeerAddr, TraceLayer};
//! use towline_http::{SampledFlag, Trust};
//! use towline_sampler::{Limit, Limiter};
//!
//! let strangers = Limiter::new(Limit::per_second(10));
//! # let tracer = SdkTracerProvider::builder().build().tracer("users");
//! let layer = TraceLayer::new(tracer).with_trust_by(move |request| {
//!     match request.extensions.get::<PeerAddr>() {
//!         Some(peer) if peer.0.ip().is_loopback() => Trust::parent(),
//!         _ => Trust::parent()
//!             .with_sampled(SampledFlag::Limit(strangers.clone()))
//!             .with_baggage(false),
//!     }
//! });
//! # drop(layer);
//! ```
//!
//! # What it needs
//!
//! The local rate is that of the layer's [sampler]. Without one, a flag that does not count is one that
//! is not set; a root is up to the tracer either way. `Forwarded` and `X-Forwarded-For` are a caller's
//! own words: ask the connection, or who has authenticated.
//!
//! Limits of size hold for everybody, trusted or not: those of the
//! [propagator](towline_propagation::Propagator).
//!
//! [leaves it]: https://www.w3.org/TR/2024/CRD-trace-context-2-20240328/#security-considerations
//! [sampler]: crate::server::TraceLayer::with_sampler

mod caller;
mod policy;

pub use self::caller::{Caller, CallerHeaders};
pub use self::policy::TrustPolicy;

use std::fmt;

use towline_sampler::Limiter;

/// How far the trace context of one caller is believed. See the [module documentation](self).
///
/// ```
/// use towline_http::{CallerContext, SampledFlag, Trust};
///
/// let trust = Trust::parent().with_sampled(SampledFlag::Ignore).with_baggage(false);
/// assert!(matches!(trust.context, CallerContext::Parent));
/// assert!(!trust.baggage);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trust {
    /// What the caller's span is to ours.
    pub context: CallerContext,
    /// Whether the caller's *sampled* flag counts; of a [parent](CallerContext::Parent) only, since
    /// roots are decided here.
    pub sampled: SampledFlag,
    /// Whether the caller's baggage is kept, and passed on.
    pub baggage: bool,
}

/// What the span of a caller is to the span of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallerContext {
    /// Its parent: the request is part of the caller's trace.
    Parent,
    /// A link from a new root, without its `tracestate`.
    Link,
    /// Nothing, as if it had not been sent.
    Ignore,
}

/// Whether the *sampled* flag of a caller decides what is recorded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SampledFlag {
    /// It does, as the [sampler](towline_sampler::Sampler) has it.
    Honour,
    /// It does while this limiter admits the trace; else the local rate decides, by the trace id. A
    /// flag that is not set is honoured.
    Limit(Limiter),
    /// It does not, be it set or not: the local rate decides, by the trace id. So a caller can neither
    /// have a request recorded nor hide it.
    Ignore,
}

// === impl Trust ===

impl Trust {
    /// Believes the caller: its span is the parent, its flag counts, its baggage goes on. The default.
    #[must_use]
    pub const fn parent() -> Self {
        Self {
            context: CallerContext::Parent,
            sampled: SampledFlag::Honour,
            baggage: true,
        }
    }

    /// Begins a new trace that is linked to the caller's span.
    #[must_use]
    pub const fn link() -> Self {
        Self {
            context: CallerContext::Link,
            sampled: SampledFlag::Ignore,
            baggage: false,
        }
    }

    /// Begins a new trace, as if the caller had sent no context.
    #[must_use]
    pub const fn ignore() -> Self {
        Self {
            context: CallerContext::Ignore,
            sampled: SampledFlag::Ignore,
            baggage: false,
        }
    }

    /// Says whether the caller's *sampled* flag counts.
    #[must_use]
    pub fn with_sampled(mut self, sampled: SampledFlag) -> Self {
        self.sampled = sampled;
        self
    }

    /// Says whether the caller's baggage is kept.
    #[must_use]
    pub const fn with_baggage(mut self, kept: bool) -> Self {
        self.baggage = kept;
        self
    }
}

/// With what goes with it by default: [`parent`](Trust::parent), [`link`](Trust::link) or
/// [`ignore`](Trust::ignore).
impl From<CallerContext> for Trust {
    fn from(context: CallerContext) -> Self {
        match context {
            CallerContext::Parent => Self::parent(),
            CallerContext::Link => Self::link(),
            CallerContext::Ignore => Self::ignore(),
        }
    }
}

// === impl CallerContext ===

/// `parent`, `link` or `ignore`.
impl fmt::Display for CallerContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Parent => "parent",
            Self::Link => "link",
            Self::Ignore => "ignore",
        })
    }
}

impl Default for Trust {
    fn default() -> Self {
        Self::parent()
    }
}
