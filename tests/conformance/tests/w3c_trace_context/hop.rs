//! A service between two others.

use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use towline_propagation::{CompositePropagator, Propagator, TRACEPARENT, TRACESTATE};

/// The headers of one request, in the order in which they stand on the wire.
pub(crate) type Lines<'a> = &'a [(&'a str, &'a str)];

/// The trace, the caller and a legal `traceparent` of both, as the cases use them.
pub(crate) const TRACE: &str = "5a1e06b7c3d94f8281f0a9b4c7d2e365";
pub(crate) const CALLER: &str = "9c0d4f71a2b86e53";
pub(crate) const PARENT: &str = "00-5a1e06b7c3d94f8281f0a9b4c7d2e365-9c0d4f71a2b86e53-01";

/// What a service sends after it has received a request.
pub(crate) struct Sent {
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    pub(crate) flags: String,
    /// The `tracestate`, if one was sent.
    pub(crate) tracestate: Option<String>,
}

/// Receives `lines` and sends one request, on each path of the codec.
#[track_caller]
pub(crate) fn hop(lines: Lines<'_>) -> [Sent; 2] {
    hop_on_each_path(lines, 1).map(|mut sent| sent.remove(0))
}

/// Receives `lines` and sends `count` requests, on each path of the codec.
#[track_caller]
pub(crate) fn hop_on_each_path(lines: Lines<'_>, count: usize) -> [Vec<Sent>; 2] {
    [
        Propagator::w3c(),
        Propagator::custom(CompositePropagator::w3c()),
    ]
    .map(|propagator| {
        let context = propagator
            .extract(&headers(lines), &Context::new())
            .into_context();
        (0..count)
            .map(|_| send(&propagator, &child(&context)))
            .collect()
    })
}

/// The trace goes on.
#[track_caller]
pub(crate) fn assert_continued(name: &str, lines: Lines<'_>) {
    for sent in hop(lines) {
        assert_eq!(sent.trace_id, TRACE, "{name}: {lines:?}");
        assert_ne!(sent.span_id, CALLER, "{name}: {lines:?}");
    }
}

/// A new trace begins, without a `tracestate`.
#[track_caller]
pub(crate) fn assert_restarted(name: &str, lines: Lines<'_>) {
    for sent in hop(lines) {
        assert!(
            !lines
                .iter()
                .any(|(_, value)| value.contains(&sent.trace_id)),
            "{name}: {lines:?}"
        );
        assert_eq!(sent.tracestate, None, "{name}: {lines:?}");
    }
}

/// The trace goes on, and `tracestate` with it.
#[track_caller]
pub(crate) fn assert_tracestate(name: &str, lines: Lines<'_>, tracestate: &str) {
    for sent in hop(lines) {
        assert_eq!(sent.trace_id, TRACE, "{name}: {lines:?}");
        assert_eq!(
            sent.tracestate.as_deref(),
            Some(tracestate),
            "{name}: {lines:?}"
        );
    }
}

/// The trace goes on without a `tracestate`.
#[track_caller]
pub(crate) fn assert_no_tracestate(name: &str, lines: Lines<'_>) {
    for sent in hop(lines) {
        assert_eq!(sent.trace_id, TRACE, "{name}: {lines:?}");
        assert_eq!(sent.tracestate, None, "{name}: {lines:?}");
    }
}

/// A legal `traceparent`, and `lines` of `tracestate`.
pub(crate) fn with_parent<'a>(lines: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let tracestate = lines.iter().map(|line| ("tracestate", *line));
    std::iter::once(("traceparent", PARENT))
        .chain(tracestate)
        .collect()
}

fn headers(lines: Lines<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        headers.append(
            name,
            HeaderValue::from_bytes(value.as_bytes()).expect("a header value"),
        );
    }
    headers
}

/// The span of the work in between: a child of the caller's if there is one, otherwise the root of a trace.
fn child(context: &Context) -> Context {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let (trace_id, flags, trace_state) = match context.span().span_context() {
        parent if parent.is_valid() => (
            parent.trace_id(),
            parent.trace_flags(),
            parent.trace_state().clone(),
        ),
        _ => (
            TraceId::from(u128::from(id)),
            TraceFlags::SAMPLED,
            TraceState::NONE,
        ),
    };
    let span = SpanContext::new(trace_id, SpanId::from(id), flags, false, trace_state);
    context.with_remote_span_context(span)
}

#[track_caller]
fn send(propagator: &Propagator, context: &Context) -> Sent {
    let mut headers = HeaderMap::new();
    propagator.inject(context, &mut headers);
    let lines = |name| {
        let lines = headers.get_all(name).iter();
        lines
            .map(|line| line.to_str().expect("ASCII").to_owned())
            .collect::<Vec<_>>()
    };

    let [traceparent] = lines(TRACEPARENT).try_into().expect("one traceparent");
    let fields: Vec<&str> = traceparent.split('-').collect();
    let [version, trace_id, span_id, flags] = fields.try_into().expect("four fields");
    for (field, len) in [(version, 2), (trace_id, 32), (span_id, 16), (flags, 2)] {
        assert!(
            field.len() == len && field.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')),
            "{traceparent}"
        );
    }
    assert_eq!(version, "00");
    assert_ne!(trace_id, "0".repeat(32));
    assert_ne!(span_id, "0".repeat(16));

    let mut tracestate = lines(TRACESTATE);
    assert!(tracestate.len() <= 1, "{tracestate:?}");
    Sent {
        trace_id: trace_id.to_owned(),
        span_id: span_id.to_owned(),
        flags: flags.to_owned(),
        tracestate: tracestate.pop(),
    }
}
