//! The direct path between a header map and a context.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

#[cfg(feature = "b3")]
use crate::b3;
use crate::{
    BAGGAGE, BaggagePropagator, CompositePropagator, Extraction, PropagatorKind, TRACEPARENT,
    TRACESTATE, TraceContextPropagator, TraceParent, baggage, jaeger, text_map, tracestate,
    w3c_headers::{self, W3cHeaders},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    baggage::BaggageExt,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
    trace::TraceContextExt,
};

/// Reads the context of a message from its headers and writes it into others: what every layer holds.
///
/// Unless it is [custom](Self::custom) it works on an [`http::HeaderMap`] directly, without going through
/// strings: it follows a lone `traceparent` without an allocation and writes one with a single allocation.
/// It never consults or changes OpenTelemetry's global propagator. A clone is the same propagator, and cheap.
///
/// For carriers other than header maps it is a [`TextMapPropagator`].
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
    Several(Arc<Several>),
    Custom(Arc<dyn TextMapPropagator + Send + Sync>),
}

/// Formats that are not W3C's alone.
struct Several {
    kinds: Vec<PropagatorKind>,
    /// The same for other carriers.
    text_map: CompositePropagator,
    /// Those of them that have no way of their own into a header map.
    others: CompositePropagator,
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

    /// These formats: each is read, each is written. A repeated one counts once.
    ///
    /// They are read in their order. One that finds a legal parent takes the place of those before, as in
    /// OpenTelemetry's other languages; one that finds none leaves the others' alone. Where two name the same trace,
    /// the `tracestate` and the random flag of W3C's stay with it, whatever the order. W3C Baggage is read before the
    /// baggage of Jaeger, which is added to it.
    ///
    /// For W3C's alone this is [`w3c`](Self::w3c) or one of its kin.
    ///
    /// ```
    /// use http::HeaderMap;
    /// use opentelemetry::Context;
    /// use towline_propagation::{Propagator, PropagatorKind};
    ///
    /// let propagator = Propagator::of([PropagatorKind::TraceContext, PropagatorKind::Jaeger]);
    /// let mut received = HeaderMap::new();
    /// received.insert("uber-trace-id", "0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331:0:1".parse()?);
    ///
    /// let mut sent = HeaderMap::new();
    /// propagator.inject(&propagator.extract(&received, &Context::new()).into_context(), &mut sent);
    /// assert_eq!(sent["traceparent"], "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    /// assert_eq!(sent["uber-trace-id"], received["uber-trace-id"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn of(kinds: impl IntoIterator<Item = PropagatorKind>) -> Self {
        let kinds = in_order(kinds);
        if kinds.iter().all(|kind| is_w3c(*kind)) {
            return Self(Kind::W3c {
                trace_context: kinds.contains(&PropagatorKind::TraceContext),
                baggage: kinds.contains(&PropagatorKind::Baggage),
            });
        }
        Self(Kind::Several(Arc::new(Several {
            text_map: CompositePropagator::of(kinds.iter().copied()),
            others: CompositePropagator::of(kinds.iter().copied().filter(|kind| !is_w3c(*kind))),
            kinds,
        })))
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
        let mut extraction = Extraction::new(base.clone());
        match &self.0 {
            Kind::W3c {
                trace_context: false,
                baggage: false,
            } => {}
            Kind::W3c {
                trace_context,
                baggage,
            } => {
                let headers = W3cHeaders::of(headers);
                if *trace_context {
                    extract_trace_context(&headers, &mut extraction);
                }
                if *baggage {
                    extract_baggage(&headers, &mut extraction);
                }
            }
            Kind::Several(several) => {
                for kind in &several.kinds {
                    extract_kind(*kind, headers, &mut extraction);
                }
            }
            Kind::Custom(propagator) => {
                extraction.base =
                    propagator.extract_with_context(base, &text_map::Incoming(headers));
            }
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
    /// What is written by other formats takes the place of what was there by their names, in the same way.
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
            Kind::Several(several) => several.inject(cx, headers),
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
    #[inline]
    pub fn fields_present(&self, headers: &HeaderMap) -> bool {
        match &self.0 {
            Kind::W3c {
                trace_context,
                baggage,
            } => w3c_headers::any(headers, *trace_context, *baggage),
            Kind::Several(several) => several.kinds.iter().any(|kind| is_present(*kind, headers)),
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
            Kind::Several(_) => {
                for name in self.names() {
                    if !name.eq_ignore_ascii_case(BAGGAGE.as_str()) {
                        headers.remove(name);
                    }
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

    /// Takes the `baggage` out, if this propagator reads it, and Jaeger's on the same terms.
    pub fn remove_baggage(&self, headers: &mut HeaderMap) {
        let read = match &self.0 {
            Kind::W3c { baggage, .. } => *baggage,
            Kind::Several(several) => {
                if several.kinds.contains(&PropagatorKind::Jaeger) {
                    jaeger::remove_baggage(headers);
                }
                several.kinds.contains(&PropagatorKind::Baggage)
            }
            Kind::Custom(propagator) => propagator
                .fields()
                .any(|field| field.eq_ignore_ascii_case(BAGGAGE.as_str())),
        };
        if read {
            headers.remove(BAGGAGE);
        }
    }

    /// The names of the fields that are read or written, in lower case and each once: what to remove from a carrier
    /// that is used again. Beyond the [fields](TextMapPropagator::fields), which are those that are written, it has
    /// both forms of B3. Those of Jaeger's baggage cannot be named beforehand.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = TextMapPropagator::fields(self)
            .map(str::to_ascii_lowercase)
            .collect();
        #[cfg(feature = "b3")]
        if let Kind::Several(several) = &self.0
            && several
                .kinds
                .iter()
                .any(|kind| matches!(kind, PropagatorKind::B3 | PropagatorKind::B3Multi))
        {
            names.extend(b3::ALL.map(|name| name.to_string()));
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// For carriers that are no header maps: it reads and writes what it does in those, except that an [`Injector`] cannot
/// remove a field. The parent is in the context that is extracted.
///
/// Of a [custom](Self::custom) propagator it is that one's own.
impl TextMapPropagator for Propagator {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        match &self.0 {
            Kind::W3c {
                trace_context,
                baggage,
            } => {
                if *trace_context {
                    TraceContextPropagator::new().inject_context(cx, injector);
                }
                if *baggage {
                    BaggagePropagator::new().inject_context(cx, injector);
                }
            }
            Kind::Several(several) => several.text_map.inject_context(cx, injector),
            Kind::Custom(propagator) => propagator.inject_context(cx, injector),
        }
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        match &self.0 {
            Kind::W3c {
                trace_context,
                baggage,
            } => {
                let mut cx = cx.clone();
                if *trace_context {
                    cx = TraceContextPropagator::new().extract_with_context(&cx, extractor);
                }
                if *baggage {
                    cx = BaggagePropagator::new().extract_with_context(&cx, extractor);
                }
                cx
            }
            Kind::Several(several) => several.text_map.extract_with_context(cx, extractor),
            Kind::Custom(propagator) => propagator.extract_with_context(cx, extractor),
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        match &self.0 {
            Kind::W3c {
                trace_context,
                baggage,
            } => {
                let (parent, entries) = W3C_FIELDS.split_at(2);
                FieldIter::new(match (trace_context, baggage) {
                    (true, true) => &*W3C_FIELDS,
                    (true, false) => parent,
                    (false, true) => entries,
                    (false, false) => &[],
                })
            }
            Kind::Several(several) => several.text_map.fields(),
            Kind::Custom(propagator) => propagator.fields(),
        }
    }
}

/// [`w3c`](Self::w3c).
impl Default for Propagator {
    fn default() -> Self {
        Self::w3c()
    }
}

/// The names that [`OTEL_PROPAGATORS`] has for it, such as `tracecontext,baggage`, or `none`; of a
/// [custom](Propagator::custom) one its fields.
///
/// [`OTEL_PROPAGATORS`]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/configuration/sdk-environment-variables.md#general-sdk-configuration
impl fmt::Display for Propagator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = match &self.0 {
            Kind::W3c {
                trace_context,
                baggage,
            } => &[
                trace_context.then_some(PropagatorKind::TraceContext),
                baggage.then_some(PropagatorKind::Baggage),
            ]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>(),
            Kind::Several(several) => &several.kinds,
            Kind::Custom(propagator) => {
                let fields: Vec<_> = propagator.fields().collect();
                return write!(f, "custom ({})", fields.join(", "));
            }
        };
        if kinds.is_empty() {
            return f.write_str("none");
        }
        for (index, kind) in kinds.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{kind}")?;
        }
        Ok(())
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
            Kind::Several(several) => f.debug_tuple("Propagator").field(&several.kinds).finish(),
            Kind::Custom(propagator) => f.debug_tuple("Propagator").field(propagator).finish(),
        }
    }
}

// === impl Several ===

impl Several {
    fn inject(&self, cx: &Context, headers: &mut HeaderMap) {
        // Before anything is written: two kinds of B3 share their names.
        for kind in &self.kinds {
            match kind {
                #[cfg(feature = "b3")]
                PropagatorKind::B3 | PropagatorKind::B3Multi => {
                    if cx.span().span_context().is_valid() {
                        b3::clear(headers);
                    }
                }
                PropagatorKind::Jaeger => jaeger::clear(cx, headers),
                PropagatorKind::TraceContext => inject_trace_context(cx, headers),
                PropagatorKind::Baggage => inject_baggage(cx, headers),
            }
        }
        self.others
            .inject_context(cx, &mut text_map::Outgoing(headers));
    }
}

const fn is_w3c(kind: PropagatorKind) -> bool {
    matches!(kind, PropagatorKind::TraceContext | PropagatorKind::Baggage)
}

/// Each once, and W3C Baggage not behind Jaeger's: it takes the place of what is there, Jaeger's is added.
fn in_order(kinds: impl IntoIterator<Item = PropagatorKind>) -> Vec<PropagatorKind> {
    let mut ordered = Vec::new();
    for kind in kinds {
        if !ordered.contains(&kind) {
            ordered.push(kind);
        }
    }
    let place = |kind| ordered.iter().position(|other| *other == kind);
    if let (Some(jaeger), Some(baggage)) = (
        place(PropagatorKind::Jaeger),
        place(PropagatorKind::Baggage),
    ) && jaeger < baggage
    {
        ordered.remove(baggage);
        ordered.insert(jaeger, PropagatorKind::Baggage);
    }
    ordered
}

fn extract_kind(kind: PropagatorKind, headers: &HeaderMap, extraction: &mut Extraction) {
    match kind {
        PropagatorKind::TraceContext => {
            extract_trace_context(&W3cHeaders::of(headers), extraction);
        }
        PropagatorKind::Baggage => extract_baggage(&W3cHeaders::of(headers), extraction),
        #[cfg(feature = "b3")]
        PropagatorKind::B3 | PropagatorKind::B3Multi => b3::extract(headers, extraction),
        PropagatorKind::Jaeger => jaeger::extract(headers, extraction),
    }
}

fn is_present(kind: PropagatorKind, headers: &HeaderMap) -> bool {
    match kind {
        PropagatorKind::TraceContext => w3c_headers::any(headers, true, false),
        PropagatorKind::Baggage => w3c_headers::any(headers, false, true),
        #[cfg(feature = "b3")]
        PropagatorKind::B3 | PropagatorKind::B3Multi => b3::is_present(headers),
        PropagatorKind::Jaeger => jaeger::is_present(headers),
    }
}

fn extract_trace_context(headers: &W3cHeaders<'_>, extraction: &mut Extraction) {
    let mut lines = headers.traceparent();
    let Some(line) = lines.next() else { return };
    let parent = match TraceParent::parse(line) {
        Ok(parent) if lines.next().is_none() => parent,
        _ => {
            extraction.rejected.traceparent = true;
            return;
        }
    };
    let incoming = tracestate::incoming(parent.trace_id(), headers.tracestate(), &extraction.base);
    extraction.rejected.tracestate = incoming.rejected;
    if let Some(context) = incoming.context {
        extraction.base = context;
    }
    extraction.parent = Some(parent.into_span_context(incoming.trace_state));
}

fn extract_baggage(headers: &W3cHeaders<'_>, extraction: &mut Extraction) {
    let mut lines = headers.baggage().peekable();
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
    // Not `insert`, which panics when the map is full.
    drop(headers.try_insert(TRACEPARENT, parent.into()));
    match value(tracestate::outgoing(span_context, cx)) {
        Some(value) => drop(headers.try_insert(TRACESTATE, value)),
        None => w3c_headers::remove_tracestate(headers),
    }
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

static W3C_FIELDS: LazyLock<[String; 3]> =
    LazyLock::new(|| [TRACEPARENT, TRACESTATE, BAGGAGE].map(|name| name.to_string()));
