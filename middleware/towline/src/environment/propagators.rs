use towline_propagation::PropagatorKind;

#[cfg(feature = "clap")]
use super::Environment;
use super::reader::Reader;
use crate::config::{Origin, Said};

/// What the environment says about the headers that carry the context.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NamedPropagators {
    /// None at all is something to say, too.
    pub(crate) kinds: Option<Vec<PropagatorKind>>,
    /// What is wrong with it. It is told apart from the others, since it matters also where nothing is recorded.
    pub(crate) complaint: Option<String>,
}

// === impl NamedPropagators ===

impl NamedPropagators {
    /// The same as a setting.
    pub(super) fn said(&self) -> Option<Said<Vec<PropagatorKind>>> {
        let kinds = self.kinds.clone()?;
        Some(Said::new(kinds, Origin::variable(PROPAGATORS)))
    }

    /// What the variable says, and no other is looked at.
    #[cfg(feature = "clap")]
    pub(crate) fn read(environment: &Environment) -> Self {
        propagators(&mut Reader::new(environment))
    }
}

/// The formats that [`OTEL_PROPAGATORS`] names, each once.
///
/// What is no format, or is not compiled in, is left out; where nothing else is named that is as if the variable were
/// unset.
///
/// [`OTEL_PROPAGATORS`]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/configuration/sdk-environment-variables.md#general-sdk-configuration
pub(super) fn propagators(read: &mut Reader<'_>) -> NamedPropagators {
    let Some(text) = read.text(PROPAGATORS) else {
        return NamedPropagators::default();
    };
    let mut kinds = Vec::new();
    let mut wrong = Vec::new();
    let mut is_none = false;
    for name in text.split(',').map(str::trim) {
        if name.is_empty() {
            continue;
        }
        if name.eq_ignore_ascii_case("none") {
            is_none = true;
            continue;
        }
        match name.parse::<PropagatorKind>() {
            Ok(kind) if kinds.contains(&kind) => {}
            Ok(kind) => kinds.push(kind),
            Err(error) if wrong.len() < MAX_TOLD => wrong.push(error.to_string()),
            Err(_) => {}
        }
    }
    if is_none && !kinds.is_empty() {
        wrong.push("`none` stands beside others".to_owned());
    }
    NamedPropagators {
        kinds: (is_none || !kinds.is_empty()).then_some(kinds),
        complaint: (!wrong.is_empty())
            .then(|| format!("{PROPAGATORS}: ignored: {}", wrong.join("; "))),
    }
}

const PROPAGATORS: &str = "OTEL_PROPAGATORS";

/// How many mistakes one line tells.
const MAX_TOLD: usize = 4;

#[cfg(test)]
mod tests {
    use super::super::Environment;
    use super::*;
    use PropagatorKind::{Baggage, Jaeger, TraceContext};

    fn read(text: &str) -> NamedPropagators {
        let environment = Environment::from_iter([(PROPAGATORS, text)]);
        let mut reader = Reader::new(&environment);
        let named = propagators(&mut reader);
        assert!(reader.into_complaints().is_empty());
        named
    }

    #[track_caller]
    fn says(text: &str, kinds: Option<&[PropagatorKind]>, complaint: Option<&str>) {
        let named = read(text);
        assert_eq!(named.kinds.as_deref(), kinds, "{text}");
        assert_eq!(named.complaint.as_deref(), complaint, "{text}");
    }

    #[test]
    fn formats_are_named_in_order_each_once() {
        says("tracecontext,baggage", Some(&[TraceContext, Baggage]), None);
        says("baggage", Some(&[Baggage]), None);
        says(
            " Jaeger , tracecontext,,JAEGER",
            Some(&[Jaeger, TraceContext]),
            None,
        );
    }

    #[test]
    fn nothing_is_said_by_an_empty_variable_and_nothing_at_all_by_none() {
        for text in ["", " ", ",", " , "] {
            says(text, None, None);
        }
        for text in ["none", "None", "none,none", " none ,"] {
            says(text, Some(&[]), None);
        }
    }

    #[test]
    fn what_is_unknown_is_told_once_and_ignored() {
        let expected = "expected tracecontext, baggage, b3, b3multi or jaeger";
        says(
            "xray,jaeger",
            Some(&[Jaeger]),
            Some(&format!(
                "OTEL_PROPAGATORS: ignored: unknown propagator \"xray\": {expected}"
            )),
        );
        says(
            "xray,ottrace",
            None,
            Some(&format!(
                "OTEL_PROPAGATORS: ignored: unknown propagator \"xray\": {expected}; unknown propagator \"ottrace\": {expected}"
            )),
        );
        says(
            "none,jaeger",
            Some(&[Jaeger]),
            Some("OTEL_PROPAGATORS: ignored: `none` stands beside others"),
        );
    }

    #[test]
    fn a_long_list_of_mistakes_is_a_short_line() {
        let text = "?".repeat(200) + ",";
        let named = read(&text.repeat(500));
        assert_eq!(named.kinds, None);
        assert!(named.complaint.unwrap().len() < 1024);
    }

    #[cfg(feature = "b3")]
    #[test]
    fn b3_has_two_names() {
        use PropagatorKind::{B3, B3Multi};
        says(
            "b3multi,b3,tracecontext",
            Some(&[B3Multi, B3, TraceContext]),
            None,
        );
    }

    #[cfg(not(feature = "b3"))]
    #[test]
    fn b3_is_told_with_the_feature_that_is_missing() {
        says(
            "b3,tracecontext",
            Some(&[TraceContext]),
            Some("OTEL_PROPAGATORS: ignored: the propagator \"b3\" needs the feature `b3`"),
        );
    }
}
