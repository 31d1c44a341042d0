use http::header::{Entry, HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::SpanContext;
use towline_propagation::TraceParent;

/// Tells callers the trace id, in a header of the response: nothing by default.
///
/// A header that the service has set itself stays as it is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ResponseTraceId {
    /// The header that gets the trace id, 32 hexadecimal digits.
    pub name: Option<HeaderName>,
    /// Whether there is a `traceresponse` as well, as a draft of W3C Trace Context has it: the form
    /// of a `traceparent`, with the id of the server's span.
    pub traceresponse: bool,
    /// Whether that is so of traces that are not sampled, too.
    pub unsampled: bool,
}

/// The header of the draft.
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

// === impl ResponseTraceId ===

impl ResponseTraceId {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.name.is_none() && !self.traceresponse
    }

    /// Writes what was asked for into the headers of a response.
    pub fn write(&self, span: &SpanContext, headers: &mut HeaderMap) {
        if !(span.is_sampled() || self.unsampled) {
            return;
        }
        let Some(bytes) = TraceParent::from_span_context(span).map(|parent| parent.to_bytes())
        else {
            return;
        };
        if let Some(name) = &self.name
            && let Some(trace_id) = bytes.get(TRACE_ID)
        {
            add(headers, name.clone(), trace_id);
        }
        if self.traceresponse {
            add(headers, TRACERESPONSE, &bytes);
        }
    }
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: &[u8]) {
    // The only other error is that of a map that is full.
    if let Ok(Entry::Vacant(entry)) = headers.try_entry(name)
        && let Ok(value) = HeaderValue::from_bytes(value)
    {
        let _ = entry.try_insert(value);
    }
}

/// Where a `traceparent` has it.
const TRACE_ID: std::ops::Range<usize> = 3..35;

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    use super::*;

    fn span(flags: u8) -> SpanContext {
        SpanContext::new(
            TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
            SpanId::from(0xb7ad_6b71_6920_3331),
            TraceFlags::new(flags),
            false,
            TraceState::default(),
        )
    }

    fn written(told: &ResponseTraceId, flags: u8) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        told.write(&span(flags), &mut headers);
        let lines = headers.iter();
        lines
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect()
    }

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn each_header_has_its_form() {
        let told = ResponseTraceId {
            name: Some(HeaderName::from_static("x-trace-id")),
            traceresponse: true,
            unsampled: false,
        };
        let response = format!("00-{TRACE}-b7ad6b7169203331-03");
        let expected = [
            ("x-trace-id".to_owned(), TRACE.to_owned()),
            ("traceresponse".to_owned(), response),
        ];
        assert_eq!(written(&told, 3), expected);
    }

    #[test]
    fn what_is_not_sampled_is_told_on_request() {
        let mut told = ResponseTraceId {
            name: Some(HeaderName::from_static("x-trace-id")),
            ..ResponseTraceId::default()
        };
        assert_eq!(written(&told, 0), []);
        told.unsampled = true;
        assert_eq!(
            written(&told, 0),
            [("x-trace-id".to_owned(), TRACE.to_owned())]
        );
    }

    #[test]
    fn what_is_there_stays_and_nothing_is_written_without_a_trace() {
        let told = ResponseTraceId {
            name: Some(HeaderName::from_static("x-trace-id")),
            traceresponse: true,
            unsampled: true,
        };
        let mut headers = HeaderMap::new();
        told.write(&SpanContext::NONE, &mut headers);
        assert!(headers.is_empty());
        headers.insert("x-trace-id", HeaderValue::from_static("mine"));
        told.write(&span(1), &mut headers);
        let ids: Vec<_> = headers.get_all("x-trace-id").iter().collect();
        assert_eq!(ids, ["mine"]);
        assert!(headers.contains_key("traceresponse"));
    }
}
