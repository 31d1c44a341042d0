use super::reader::Reader;
use crate::config::{Said, Settings};

/// Reads the [limits] of attributes, events and links. One for spans wins over the general one.
///
/// [limits]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/configuration/sdk-environment-variables.md#attribute-limits
pub(super) fn limits(read: &mut Reader<'_>, settings: &mut Settings) {
    let length = [SPAN_VALUE_LENGTH, VALUE_LENGTH].map(|name| read.said(name, Reader::limit));
    settings.attribute_value_length_limit = first(length);
    let general = read.said(COUNT, Reader::limit);
    let mut count = |name| read.said(name, Reader::limit);
    settings.attribute_count_limit = first([count(SPAN_COUNT), general.clone()]);
    settings.event_attribute_count_limit = first([count(EVENT_ATTRIBUTES), general.clone()]);
    settings.link_attribute_count_limit = first([count(LINK_ATTRIBUTES), general]);
    settings.event_count_limit = count(EVENTS);
    settings.link_count_limit = count(LINKS);
}

fn first<T>([one, other]: [Option<Said<T>>; 2]) -> Option<Said<T>> {
    one.or(other)
}

const VALUE_LENGTH: &str = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT";
const SPAN_VALUE_LENGTH: &str = "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT";
const COUNT: &str = "OTEL_ATTRIBUTE_COUNT_LIMIT";
const SPAN_COUNT: &str = "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT";
const EVENTS: &str = "OTEL_SPAN_EVENT_COUNT_LIMIT";
const LINKS: &str = "OTEL_SPAN_LINK_COUNT_LIMIT";
const EVENT_ATTRIBUTES: &str = "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT";
const LINK_ATTRIBUTES: &str = "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT";

#[cfg(test)]
mod tests {
    use super::super::Environment;
    use super::*;

    fn read(variables: &[(&str, &str)]) -> ([Option<usize>; 6], Vec<String>) {
        let environment = variables.iter().copied().collect::<Environment>();
        let mut reader = Reader::new(&environment);
        let mut settings = Settings::default();
        limits(&mut reader, &mut settings);
        let read = [
            settings.attribute_value_length_limit,
            settings.attribute_count_limit,
            settings.event_count_limit,
            settings.link_count_limit,
            settings.event_attribute_count_limit,
            settings.link_attribute_count_limit,
        ];
        let values = read.map(|said| said.map(|said| said.value));
        (values, reader.into_complaints())
    }

    #[test]
    fn each_variable_has_its_limit_and_the_general_ones_fill_what_is_left() {
        assert_eq!(read(&[]), ([None; 6], vec![]));
        let general = [(VALUE_LENGTH, "9"), (COUNT, "8")];
        assert_eq!(
            read(&general).0,
            [Some(9), Some(8), None, None, Some(8), Some(8)]
        );
        let all = [
            (SPAN_VALUE_LENGTH, "1"),
            (SPAN_COUNT, "2"),
            (EVENTS, "3"),
            (LINKS, "4"),
            (EVENT_ATTRIBUTES, "5"),
            (LINK_ATTRIBUTES, "0"),
        ];
        let expected = [Some(1), Some(2), Some(3), Some(4), Some(5), Some(0)];
        assert_eq!(read(&all).0, expected);
        assert_eq!(read(&[&general[..], &all].concat()).0, expected);
    }

    #[test]
    fn junk_is_told_and_ignored() {
        let (limits, complaints) = read(&[(SPAN_VALUE_LENGTH, "long"), (VALUE_LENGTH, "7")]);
        assert_eq!(limits[0], Some(7));
        assert_eq!(
            complaints,
            [format!(
                "{SPAN_VALUE_LENGTH} is \"long\": expected a whole number, at least 0"
            )]
        );
    }
}
