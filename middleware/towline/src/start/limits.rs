//! The longest text of an attribute, which the SDK does not limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanLimits, SpanProcessor};
use towline_otlp::Processor;

use crate::config::Settings;

/// The limit, live. Without one a span costs a load and a branch.
#[derive(Clone, Debug)]
pub(crate) struct LengthLimit(Arc<AtomicUsize>);

/// The exporter's processor behind the limit.
#[derive(Debug)]
pub(super) struct Limited {
    exporter: Processor,
    limit: LengthLimit,
}

/// Counts, which are the provider's.
pub(super) fn counts(settings: &Settings) -> SpanLimits {
    // The SDK's own defaults read the variables of the process, whatever environment was given.
    let mut limits = SpanLimits {
        max_attributes_per_span: DEFAULT,
        max_events_per_span: DEFAULT,
        max_links_per_span: DEFAULT,
        max_attributes_per_event: DEFAULT,
        max_attributes_per_link: DEFAULT,
    };
    for (said, limit) in [
        (
            &settings.attribute_count_limit,
            &mut limits.max_attributes_per_span,
        ),
        (&settings.event_count_limit, &mut limits.max_events_per_span),
        (&settings.link_count_limit, &mut limits.max_links_per_span),
        (
            &settings.event_attribute_count_limit,
            &mut limits.max_attributes_per_event,
        ),
        (
            &settings.link_attribute_count_limit,
            &mut limits.max_attributes_per_link,
        ),
    ] {
        if let Some(said) = said {
            *limit = u32::try_from(said.value).unwrap_or(u32::MAX);
        }
    }
    limits
}

// === impl LengthLimit ===

impl LengthLimit {
    pub(crate) fn of(settings: &Settings) -> Self {
        let limit = Self(Arc::default());
        limit.set(settings);
        limit
    }

    pub(crate) fn set(&self, settings: &Settings) {
        let said = settings.attribute_value_length_limit.as_ref();
        let chars = said.map_or(usize::MAX, |said| said.value);
        self.0.store(chars, Ordering::Relaxed);
    }

    fn chars(&self) -> Option<usize> {
        Some(self.0.load(Ordering::Relaxed)).filter(|chars| *chars != usize::MAX)
    }
}

// === impl Limited ===

impl Limited {
    pub(super) const fn new(exporter: Processor, limit: LengthLimit) -> Self {
        Self { exporter, limit }
    }
}

impl SpanProcessor for Limited {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.exporter.on_start(span, cx);
    }

    fn on_end(&self, mut span: SpanData) {
        if let Some(chars) = self.limit.chars() {
            shorten(&mut span.attributes, chars);
            for event in &mut span.events.events {
                shorten(&mut event.attributes, chars);
            }
            for link in &mut span.links.links {
                shorten(&mut link.attributes, chars);
            }
        }
        self.exporter.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// [Counts characters](https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/common/README.md#attribute-limits),
/// in a text and in each text of a list.
fn shorten(attributes: &mut [KeyValue], chars: usize) {
    for attribute in attributes {
        match &mut attribute.value {
            Value::String(text) => shorten_text(text, chars),
            Value::Array(Array::String(texts)) => {
                for text in texts {
                    shorten_text(text, chars);
                }
            }
            _ => {}
        }
    }
}

fn shorten_text(text: &mut StringValue, chars: usize) {
    // As many bytes cannot be more characters.
    if text.as_str().len() <= chars {
        return;
    }
    if let Some((end, _)) = text.as_str().char_indices().nth(chars) {
        let short = text.as_str().get(..end).unwrap_or_default().to_owned();
        *text = short.into();
    }
}

/// [The specification's](https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/trace/sdk.md#span-limits).
const DEFAULT: u32 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_a_character_and_nothing_else_is_touched() {
        let long = "äöü€😀abc";
        for (chars, expected) in [(0, ""), (1, "ä"), (5, "äöü€😀"), (8, long), (100, long)]
        {
            let mut attributes = [
                KeyValue::new("text", long),
                KeyValue::new("number", 1_234_567),
                KeyValue::new(
                    "texts",
                    Value::Array(Array::String(vec![long.into(), "".into()])),
                ),
            ];
            shorten(&mut attributes, chars);
            assert_eq!(
                attributes,
                [
                    KeyValue::new("text", expected),
                    KeyValue::new("number", 1_234_567),
                    KeyValue::new(
                        "texts",
                        Value::Array(Array::String(vec![expected.into(), "".into()])),
                    ),
                ],
                "{chars}"
            );
        }
    }
}
