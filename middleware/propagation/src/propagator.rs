//! The direct path between a header map and a context.

use std::{fmt, sync::Arc};

use crate::{
    BAGGAGE, Extraction, TRACEPARENT, TRACESTATE, TraceParent, baggage, text_map, tracestate,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context, baggage::BaggageExt, propagation::TextMapPropagator, trace::TraceContextExt,
};

/// Reads the context of a message from its headers and writes it into others: what every layer holds.
///
/// Unless it is [custom](Self::custom) it works on an [`http::HeaderMap`] directly, without going through
/// strings: it follows a lone `traceparent` without an allocation and writes one with a single allocation.
/// It never consults or changes OpenTelemetry's global propagator. A clone is the same propagator, and cheap.
///
/// ```
/// use http::HeaderMap;
/// use opentelemetry::Context;
/// use towline_propagation::Propagator;
///
/// let mut incoming = HeaderMap::new();
/// incoming.insert("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03".parse()?);
///
/// let propagator = Propagator::w3c();
/// let extraction = propagator.extract(&incoming, &Context::new());
/// let parent = extraction.parent.as_ref().ok_or("no parent")?;
/// assert!(parent.is_remote() && parent.is_sampled());
///
/// let mut outgoing = HeaderMap::new();
/// propagator.inject(&extraction.into_context(), &mut outgoing);
/// assert_eq!(outgoing, incoming);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Propagator(Kind);

#[derive(Clone)]
enum Kind {
    W3c { trace_context: bool, baggage: bool },
    Custom(Arc<dyn TextMapPropagator + Send + Sync>),
}

// === impl Propagator ===

impl Propagator {
    /// W3C Trace Context and W3C Baggage. It is the [default](Self::default), as OpenTelemetry [recommends].
    ///
    /// [recommends]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/context/api-propagators.md#global-propagators
    #[must_use]
    pub const fn w3c() -> Self {
        Self(Kind::W3c {
            trace_context: true,
            baggage: true,
        })
    }

    /// W3C Trace Context alone: `traceparent` and `tracestate`. A `baggage` header is neither read nor
    /// touched.
    #[must_use]
    pub const fn trace_context() -> Self {
        Self(Kind::W3c {
            trace_context: true,
            baggage: false,
        })
    }

    /// W3C Baggage alone. `traceparent` and `tracestate` are neither read nor touched.
    #[must_use]
    pub const fn baggage() -> Self {
        Self(Kind::W3c {
            trace_context: false,
            baggage: true,
        })
    }

    /// Nothing: no header is read, no header is touched.
    #[must_use]
    pub const fn none() -> Self {
        Self(Kind::W3c {
            trace_context: false,
            baggage: false,
        })
    }

    /// Any other format, or a [composition](crate::CompositePropagator) of several, through OpenTelemetry's
    /// interface for carriers.
    ///
    /// What it costs is up to `propagator`; the interface alone takes several allocations a message.
    #[must_use]
    pub fn custom(propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        Self(Kind::Custom(Arc::new(propagator)))
    }

    /// Reads what `headers` carry, on top of `base`.
    ///
    /// Malformed headers are as good as absent and named in [`Extraction::rejected`]: a `traceparent` that is
    /// illegal or present more than once, and its `tracestate` with it; a `tracestate` that is illegal;
    /// members of the baggage that are. See the table in the [crate](crate) documentation.
    ///
    /// Allocates nothing if there is neither `tracestate` nor `baggage`.
    #[must_use]
    pub fn extract(&self, headers: &HeaderMap, base: &Context) -> Extraction {
        let Kind::W3c {
            trace_context,
            baggage,
        } = self.0
        else {
            return self.extract_custom(headers, base);
        };
        let mut extraction = Extraction::new(base.clone());
        if trace_context {
            extract_trace_context(headers, &mut extraction);
        }
        if baggage {
            extract_baggage(headers, &mut extraction);
        }
        extraction
    }

    /// Writes what `cx` carries into `headers`.
    ///
    /// Afterwards there is exactly one `traceparent`, the span context of `cx`, and one `tracestate` or none,
    /// whatever was there before. If the span context is invalid both are left as they are. Likewise there is
    /// one `baggage` or none if `cx` holds baggage, though it be empty, so that what a proxy copied from its
    /// caller does not outlive a change to it; a context without baggage leaves the header as it is.
    ///
    /// Takes one allocation for the `traceparent`, one for a `tracestate`, a few for baggage, and what the
    /// map itself needs to grow. A map that can [hold no more](http::header::MaxSizeReached) stays as it is.
    pub fn inject(&self, cx: &Context, headers: &mut HeaderMap) {
        match &self.0 {
            Kind::W3c {
                trace_context,
                baggage,
            } => {
                if *trace_context {
                    inject_trace_context(cx, headers);
                }
                if *baggage {
                    inject_baggage(cx, headers);
                }
            }
            Kind::Custom(propagator) => {
                propagator.inject_context(cx, &mut text_map::Outgoing(headers))
            }
        }
    }

    /// Whether `headers` have any that this propagator would read, legal or not. Allocates nothing.
    ///
    /// `tracestate` alone does not count, since it means nothing without `traceparent`. A custom propagator
    /// that lists no [fields](TextMapPropagator::fields) cannot be asked, so for it any header counts.
    #[must_use]
    pub fn fields_present(&self, headers: &HeaderMap) -> bool {
        match &self.0 {
            Kind::W3c {
                trace_context,
                baggage,
            } => {
                (*trace_context && headers.contains_key(TRACEPARENT))
                    || (*baggage && headers.contains_key(BAGGAGE))
            }
            Kind::Custom(propagator) => {
                let mut fields = propagator.fields().peekable();
                match fields.peek() {
                    Some(_) => fields.any(|field| headers.contains_key(field)),
                    None => !headers.is_empty(),
                }
            }
        }
    }

    /// Takes the headers out that name the caller's trace, legal or not: what [`extract`](Self::extract) would
    /// make the parent and its `tracestate` of. For a caller whose context is not to be passed on.
    ///
    /// Of a custom propagator these are all its [fields](TextMapPropagator::fields) but `baggage`; one that lists
    /// none keeps its headers.
    ///
    /// ```
    /// use http::HeaderMap;
    /// use towline_propagation::Propagator;
    ///
    /// let mut headers = HeaderMap::new();
    /// for name in ["traceparent", "tracestate", "baggage", "x-other"] {
    ///     headers.insert(name, "whatever".parse()?);
    /// }
    /// Propagator::w3c().remove_trace_context(&mut headers);
    /// assert_eq!(headers.len(), 2);
    /// Propagator::w3c().remove_baggage(&mut headers);
    /// assert_eq!(headers.keys().next().map(|name| name.as_str()), Some("x-other"));
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn remove_trace_context(&self, headers: &mut HeaderMap) {
        match &self.0 {
            Kind::W3c { trace_context, .. } => {
                if *trace_context {
                    headers.remove(TRACEPARENT);
                    headers.remove(TRACESTATE);
                }
            }
            Kind::Custom(propagator) => {
                for field in propagator.fields() {
                    if !field.eq_ignore_ascii_case(BAGGAGE.as_str()) {
                        headers.remove(field);
                    }
                }
            }
        }
    }

    /// Takes the `baggage` out, if this propagator reads it.
    pub fn remove_baggage(&self, headers: &mut HeaderMap) {
        let read = match &self.0 {
            Kind::W3c { baggage, .. } => *baggage,
            Kind::Custom(propagator) => propagator
                .fields()
                .any(|field| field.eq_ignore_ascii_case(BAGGAGE.as_str())),
        };
        if read {
            headers.remove(BAGGAGE);
        }
    }

    fn extract_custom(&self, headers: &HeaderMap, base: &Context) -> Extraction {
        match &self.0 {
            Kind::Custom(propagator) => {
                Extraction::new(propagator.extract_with_context(base, &text_map::Incoming(headers)))
            }
            Kind::W3c { .. } => Extraction::new(base.clone()),
        }
    }
}

/// [`w3c`](Self::w3c).
impl Default for Propagator {
    fn default() -> Self {
        Self::w3c()
    }
}

impl fmt::Debug for Propagator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::W3c {
                trace_context,
                baggage,
            } => f
                .debug_struct("Propagator")
                .field("trace_context", trace_context)
                .field("baggage", baggage)
                .finish(),
            Kind::Custom(propagator) => f.debug_tuple("Propagator").field(propagator).finish(),
        }
    }
}

fn extract_trace_context(headers: &HeaderMap, extraction: &mut Extraction) {
    let mut lines = headers.get_all(TRACEPARENT).iter();
    let Some(line) = lines.next() else { return };
    let parent = match TraceParent::parse(line.as_bytes()) {
        Ok(parent) if lines.next().is_none() => parent,
        _ => {
            extraction.rejected.traceparent = true;
            return;
        }
    };
    let lines = headers
        .get_all(TRACESTATE)
        .iter()
        .map(HeaderValue::as_bytes);
    let incoming = tracestate::incoming(parent.trace_id(), lines, &extraction.base);
    extraction.rejected.tracestate = incoming.rejected;
    if let Some(context) = incoming.context {
        extraction.base = context;
    }
    extraction.parent = Some(parent.into_span_context(incoming.trace_state));
}

fn extract_baggage(headers: &HeaderMap, extraction: &mut Extraction) {
    let mut lines = headers
        .get_all(BAGGAGE)
        .iter()
        .map(HeaderValue::as_bytes)
        .peekable();
    if lines.peek().is_none() {
        return;
    }
    let incoming = baggage::incoming(lines);
    extraction.rejected.baggage = incoming.rejected;
    if !incoming.baggage.is_empty() {
        extraction.base = extraction.base.with_baggage(incoming.baggage);
    }
}

fn inject_trace_context(cx: &Context, headers: &mut HeaderMap) {
    let span = cx.span();
    let span_context = span.span_context();
    let Some(parent) = TraceParent::from_span_context(span_context) else {
        return;
    };
    set(headers, TRACEPARENT, Some(parent.into()));
    set(
        headers,
        TRACESTATE,
        value(tracestate::outgoing(span_context, cx)),
    );
}

fn inject_baggage(cx: &Context, headers: &mut HeaderMap) {
    let baggage = cx.baggage();
    // A context that never held any has nothing to say about a header that the user set. The API does not
    // tell, but lends one and the same empty value wherever there is none.
    if std::ptr::eq(baggage, Context::new().baggage()) {
        return;
    }
    let text = Some(baggage::encode(baggage)).filter(|text| !text.is_empty());
    set(headers, BAGGAGE, value(text));
}

/// The codecs write nothing that is illegal in a header; if they did, it would not be sent.
fn value(text: Option<String>) -> Option<HeaderValue> {
    text.and_then(|text| HeaderValue::try_from(text).ok())
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    match value {
        // Not `insert`, which panics when the map is full.
        Some(value) => drop(headers.try_insert(name, value)),
        None => drop(headers.remove(name)),
    }
}
