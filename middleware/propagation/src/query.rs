//! Trace context in the query of a URL, for requests whose headers cannot be set.
//!
//! A browser opens a websocket without headers of the page's own, so a page that is traced puts the context into the
//! URL: `wss://host/path?traceparent=00-…-01`, as Teleport's does. Such a URL is read by [`extract`] and written by
//! [`inject`].
//!
//! Only W3C Trace Context is carried: `traceparent`, and `tracestate` beside it. Baggage is not, since URLs stand in
//! logs.
//!
//! # What is accepted
//!
//! | input | answer |
//! |---|---|
//! | keys and values with percent-encoding | decoded; a `+` in a value is a space, as in [forms] |
//! | keys in another case | other keys |
//! | `traceparent` twice, equal or not, or illegal | no parent, and `tracestate` is not read |
//! | `tracestate` twice, or illegal | no `tracestate`; the parent stands |
//! | a query of more than [`MAX_BYTES`] | not looked at |
//!
//! [forms]: https://url.spec.whatwg.org/#application/x-www-form-urlencoded

use std::borrow::Cow;

use opentelemetry::{Context, trace::TraceContextExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use crate::{Extraction, TRACEPARENT, TRACESTATE, TraceParent, tracestate};

/// The most bytes of a query that is looked at: 64 KiB, the most that [`http::Uri`] holds.
pub const MAX_BYTES: usize = 64 * 1024;

/// Reads what a query, without its question mark, says of the caller, on top of `base`.
///
/// Allocates nothing if there is no percent-encoding and no `tracestate`.
///
/// ```
/// use opentelemetry::Context;
/// use towline_propagation::query;
///
/// let found = query::extract(
///     "session=7&traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01&tracestate=a%3D1",
///     &Context::new(),
/// );
/// let parent = found.parent.ok_or("no parent")?;
/// assert!(parent.is_sampled());
/// assert_eq!(parent.trace_state().header(), "a=1");
/// # Ok::<(), &str>(())
/// ```
#[must_use]
pub fn extract(query: &str, base: &Context) -> Extraction {
    let mut extraction = Extraction::new(base.clone());
    let parent = match value_of(TRACEPARENT.as_str(), query) {
        Value::Absent => return extraction,
        Value::Once(value) => TraceParent::parse(&decoded(value)).ok(),
        Value::Repeated => None,
    };
    let Some(parent) = parent else {
        extraction.rejected.traceparent = true;
        return extraction;
    };
    let list = match value_of(TRACESTATE.as_str(), query) {
        Value::Absent => None,
        Value::Once(value) => Some(decoded(value)),
        Value::Repeated => {
            extraction.rejected.tracestate = true;
            None
        }
    };
    let incoming = tracestate::incoming(parent.trace_id(), list.as_deref(), base);
    extraction.rejected.tracestate |= incoming.rejected;
    if let Some(context) = incoming.context {
        extraction.base = context;
    }
    extraction.parent = Some(parent.into_span_context(incoming.trace_state));
    extraction
}

/// Whether a query has a `traceparent`, legal or not. Allocates nothing.
#[must_use]
pub fn is_present(query: &str) -> bool {
    !matches!(value_of(TRACEPARENT.as_str(), query), Value::Absent)
}

/// The part of a query that carries the span of `cx`, without a question mark, or nothing for a context without a span.
///
/// ```
/// use opentelemetry::Context;
/// use towline_propagation::query;
///
/// let query = "traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let cx = query::extract(query, &Context::new()).into_context();
/// assert_eq!(query::inject(&cx).as_deref(), Some(query));
/// assert_eq!(query::inject(&Context::new()), None);
/// ```
#[must_use]
pub fn inject(cx: &Context) -> Option<String> {
    let span = cx.span();
    let span = span.span_context();
    let parent = TraceParent::from_span_context(span)?;
    let mut query = format!("{TRACEPARENT}={parent}");
    if let Some(list) = tracestate::outgoing(span, cx) {
        query.push('&');
        query.push_str(TRACESTATE.as_str());
        query.push('=');
        query.extend(utf8_percent_encode(&list, RESERVED));
    }
    Some(query)
}

enum Value<'a> {
    Absent,
    Once(&'a str),
    Repeated,
}

fn value_of<'a>(key: &str, query: &'a str) -> Value<'a> {
    if query.len() > MAX_BYTES {
        return Value::Absent;
    }
    let mut values = query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        percent_decode(name.as_bytes())
            .eq(key.bytes())
            .then_some(value)
    });
    match (values.next(), values.next()) {
        (None, _) => Value::Absent,
        (Some(value), None) => Value::Once(value),
        (Some(_), Some(_)) => Value::Repeated,
    }
}

fn decoded(value: &str) -> Cow<'_, [u8]> {
    if value.contains('+') {
        // A plus sign that is meant is encoded.
        Cow::Owned(percent_decode(value.replace('+', " ").as_bytes()).collect())
    } else {
        percent_decode(value.as_bytes()).into()
    }
}

/// All bytes but those that [RFC 3986, §2.3](https://www.rfc-editor.org/rfc/rfc3986#section-2.3) calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
