//! How much a span may hold.

use opentelemetry_sdk::trace::SpanLimits;

use crate::config::Settings;

/// The longest text of an attribute, in characters; see [`Exporter::set_attribute_value_length_limit`].
///
/// [`Exporter::set_attribute_value_length_limit`]: towline_otlp::Exporter::set_attribute_value_length_limit
pub(crate) fn value_chars(settings: &Settings) -> Option<usize> {
    settings
        .attribute_value_length_limit
        .as_ref()
        .map(|said| said.value)
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

/// [The specification's](https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/trace/sdk.md#span-limits).
const DEFAULT: u32 = 128;
