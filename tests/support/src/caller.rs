use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

/// A caller on the other side of the wire: the parts of its span context, in every form in which a
/// test may need them.
///
/// The ids are those of the examples in [W3C Trace Context].
///
/// ```
/// use towline_test_support::Caller;
///
/// let caller = Caller::sampled().with_random_flag();
/// assert_eq!(caller.traceparent(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03");
/// assert!(caller.span_context().is_remote());
/// ```
///
/// [W3C Trace Context]: https://www.w3.org/TR/2024/CRD-trace-context-2-20240328/
#[derive(Clone, Debug)]
pub struct Caller {
    flags: u8,
    tracestate: Vec<(String, String)>,
}

impl Caller {
    /// The trace id of every caller.
    pub const TRACE_ID: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;

    /// The span id of every caller.
    pub const SPAN_ID: u64 = 0xb7ad_6b71_6920_3331;

    /// A caller that records its trace.
    #[must_use]
    pub const fn sampled() -> Self {
        Self::with_flags(0x01)
    }

    /// A caller that does not record its trace.
    #[must_use]
    pub const fn not_sampled() -> Self {
        Self::with_flags(0x00)
    }

    /// A caller with these trace flags.
    #[must_use]
    pub const fn with_flags(flags: u8) -> Self {
        Self {
            flags,
            tracestate: Vec::new(),
        }
    }

    /// Adds the random flag of W3C Trace Context level 2.
    #[must_use]
    pub const fn with_random_flag(mut self) -> Self {
        self.flags |= 0x02;
        self
    }

    /// Adds a list-member to the end of its `tracestate`.
    #[must_use]
    pub fn with_tracestate(mut self, key: &str, value: &str) -> Self {
        self.tracestate.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Its span context, as an extractor would give it: remote.
    ///
    /// # Panics
    ///
    /// If the `tracestate` is not a legal one.
    #[must_use]
    #[track_caller]
    pub fn span_context(&self) -> SpanContext {
        SpanContext::new(
            TraceId::from(Self::TRACE_ID),
            SpanId::from(Self::SPAN_ID),
            TraceFlags::new(self.flags),
            true,
            TraceState::from_key_value(self.tracestate.iter().cloned())
                .expect("the test gives a legal tracestate"),
        )
    }

    /// An otherwise empty context in which its span is the current one.
    #[must_use]
    #[track_caller]
    pub fn context(&self) -> Context {
        Context::new().with_remote_span_context(self.span_context())
    }

    /// Its `traceparent` field.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!(
            "00-{:032x}-{:016x}-{:02x}",
            Self::TRACE_ID,
            Self::SPAN_ID,
            self.flags
        )
    }

    /// Its `tracestate` field; empty if it has no list-members.
    #[must_use]
    pub fn tracestate(&self) -> String {
        let members: Vec<_> = self
            .tracestate
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        members.join(",")
    }
}
