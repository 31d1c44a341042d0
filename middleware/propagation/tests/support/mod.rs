//! What the tests of formats and carriers share.
#![allow(dead_code, reason = "each test binary uses some of it")]

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator},
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use towline_propagation::{PropagationContext, Propagator};

/// Pairs as a header map.
pub(crate) fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name: HeaderName = name.parse().expect("a legal name");
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a legal value");
        headers.append(name, value);
    }
    headers
}

/// Pairs as any other carrier.
pub(crate) fn fields(lines: &[(&str, &str)]) -> PropagationContext {
    lines.iter().copied().collect()
}

/// What both paths of a propagator read, which must be the same.
#[track_caller]
pub(crate) fn read(propagator: &Propagator, lines: &[(&str, &str)]) -> Context {
    let extraction = propagator.extract(&headers(lines), &Context::new());
    let parent = extraction.parent.clone();
    let direct = extraction.into_context();
    let other = propagator.extract_with_context(&Context::new(), &fields(lines));
    assert_eq!(span(&direct), span(&other), "{lines:?}");
    assert_eq!(
        parent.unwrap_or(SpanContext::NONE),
        span(&direct),
        "{lines:?}"
    );
    direct
}

/// What both paths of a propagator write, which must be the same; ordered by name.
#[track_caller]
pub(crate) fn written(propagator: &Propagator, cx: &Context) -> Vec<(String, String)> {
    let mut map = HeaderMap::new();
    propagator.inject(cx, &mut map);
    let mut direct: Vec<_> = map
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    let mut other: Vec<_> = PropagationContext::capture(propagator, cx)
        .into_iter()
        .collect();
    direct.sort();
    other.sort();
    assert_eq!(direct, other);
    direct
}

/// What a hop sends that makes no span of its own.
#[track_caller]
pub(crate) fn passed_on(propagator: &Propagator, lines: &[(&str, &str)]) -> Vec<(String, String)> {
    written(propagator, &read(propagator, lines))
}

pub(crate) fn pairs(lines: &[(&str, &str)]) -> Vec<(String, String)> {
    lines
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

pub(crate) fn span(cx: &Context) -> SpanContext {
    cx.span().span_context().clone()
}

/// A span of ours in the trace of `cx`, as a tracer would make it.
pub(crate) fn child(cx: &Context, flags: u8) -> Context {
    let parent = span(cx);
    cx.with_remote_span_context(SpanContext::new(
        parent.trace_id(),
        SpanId::from(7),
        TraceFlags::new(flags),
        false,
        parent.trace_state().clone(),
    ))
}

/// A local span in a trace of its own.
pub(crate) fn local(trace_id: u128, flags: u8) -> Context {
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from(trace_id),
        SpanId::from(7),
        TraceFlags::new(flags),
        false,
        TraceState::NONE,
    ))
}

/// A carrier that answers for one value only, and does not know its keys.
pub(crate) struct Plain<'a>(pub(crate) &'a [(&'a str, &'a str)]);

impl Extractor for Plain<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find_map(|(name, value)| (*name == key).then_some(*value))
    }

    fn keys(&self) -> Vec<&str> {
        Vec::new()
    }
}
