use std::ops::Range;

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;

use super::{Envelope, put_span};
use crate::Batch;
use crate::wire::{nested_len, put_len};

/// The spans of one scope.
struct Group<'a> {
    scope: &'a InstrumentationScope,
    envelope: Envelope,
    spans: Vec<Range<usize>>,
    span_bytes: usize,
}

/// One request of all the spans: each scope once, in the order of its first span.
pub(crate) fn request<'a>(
    resource: &Resource,
    spans: impl IntoIterator<Item = &'a SpanData>,
) -> Batch {
    let spans = spans.into_iter();
    let (expected, _) = spans.size_hint();
    let (mut encoded, mut groups, mut count) = (Vec::new(), Vec::new(), 0);
    for span in spans {
        let start = encoded.len();
        put_span(&mut encoded, span);
        let index = group_index(&mut groups, &span.instrumentation_scope);
        if let Some(group) = groups.get_mut(index) {
            group.add(start..encoded.len());
        }
        if count == 0 {
            // The others will be about as long.
            encoded.reserve(encoded.len().saturating_mul(expected.min(MAX_EXPECTED)));
        }
        count += 1;
    }
    if count == 0 {
        return Batch::default();
    }
    let resource = Envelope::of_resource(resource);
    let scope_spans: usize = groups.iter().map(|group| nested_len(group.len())).sum();
    let resource_spans = resource.len() + scope_spans;
    let mut request = Vec::with_capacity(nested_len(resource_spans));
    put_len(&mut request, 1, resource_spans);
    resource.put_around(&mut request, |out| {
        for group in &groups {
            put_len(out, 2, group.len());
            group.envelope.put_around(out, |out| {
                for span in &group.spans {
                    put_len(out, 2, span.len());
                    out.extend_from_slice(encoded.get(span.clone()).unwrap_or_default());
                }
            });
        }
    });
    Batch::from_encoded(request.into(), count)
}

/// The index of the group of a scope, an old one or a new one.
fn group_index<'a>(groups: &mut Vec<Group<'a>>, scope: &'a InstrumentationScope) -> usize {
    groups
        .iter()
        .position(|group| group.scope == scope)
        .unwrap_or_else(|| {
            let envelope = Envelope::of_scope(scope);
            groups.push(Group {
                scope,
                envelope,
                spans: Vec::new(),
                span_bytes: 0,
            });
            groups.len() - 1
        })
}

// === impl Group ===

impl Group<'_> {
    fn add(&mut self, span: Range<usize>) {
        self.span_bytes += nested_len(span.len());
        self.spans.push(span);
    }

    const fn len(&self) -> usize {
        self.envelope.len() + self.span_bytes
    }
}

/// Spans that room is made for before they are seen.
const MAX_EXPECTED: usize = 10_000;
