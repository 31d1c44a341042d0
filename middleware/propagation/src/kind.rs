//! The propagators by their names.

use std::{error::Error, fmt, str::FromStr};

/// One of the formats that carry a context, by the name that `OTEL_PROPAGATORS` has for it.
///
/// [`Propagator::of`](crate::Propagator::of) makes a propagator of several.
///
/// | name | format | feature |
/// |---|---|---|
/// | `tracecontext` | W3C Trace Context: [`TraceContextPropagator`](crate::TraceContextPropagator) | |
/// | `baggage` | W3C Baggage: [`BaggagePropagator`](crate::BaggagePropagator) | |
/// | `b3` | B3, read in either form, written in one header: `B3Propagator::single` | `b3` |
/// | `b3multi` | B3, read in either form, written in several headers: `B3Propagator::multi` | `b3` |
/// | `jaeger` | Jaeger's `uber-trace-id` and `uberctx-…`: [`JaegerPropagator`](crate::JaegerPropagator) | |
///
/// The names are those of the [specification], which has more: what is not here is an error when it is parsed.
///
/// ```
/// use towline_propagation::PropagatorKind;
///
/// let kind: PropagatorKind = "TraceContext".parse()?;
/// assert_eq!(kind, PropagatorKind::TraceContext);
/// assert_eq!(kind.to_string(), "tracecontext");
///
/// let error = "xray".parse::<PropagatorKind>().unwrap_err();
/// assert!(error.to_string().starts_with("unknown propagator \"xray\": expected tracecontext, baggage"));
/// # Ok::<(), towline_propagation::ParsePropagatorKindError>(())
/// ```
///
/// [specification]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/configuration/sdk-environment-variables.md#general-sdk-configuration
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PropagatorKind {
    /// W3C Trace Context: `traceparent` and `tracestate`.
    TraceContext,
    /// W3C Baggage: `baggage`.
    Baggage,
    /// B3 in one header: `b3`.
    #[cfg(feature = "b3")]
    #[cfg_attr(docsrs, doc(cfg(feature = "b3")))]
    B3,
    /// B3 in several headers: `x-b3-traceid` and others.
    #[cfg(feature = "b3")]
    #[cfg_attr(docsrs, doc(cfg(feature = "b3")))]
    B3Multi,
    /// Jaeger: `uber-trace-id`, and `uberctx-…` for baggage.
    Jaeger,
}

/// A text that names no propagator of this crate, or none that is compiled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsePropagatorKindError {
    /// The beginning of the text, in lower case.
    text: String,
    kind: ParsePropagatorKindErrorKind,
}

/// What is wrong with the name of a propagator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParsePropagatorKindErrorKind {
    /// There is none of that name here.
    Unknown,
    /// It is behind a feature that is off, the one that the text of the error names.
    NeedsFeature,
}

// === impl PropagatorKind ===

impl PropagatorKind {
    /// All that are compiled in.
    pub const ALL: &'static [Self] = &[
        Self::TraceContext,
        Self::Baggage,
        #[cfg(feature = "b3")]
        Self::B3,
        #[cfg(feature = "b3")]
        Self::B3Multi,
        Self::Jaeger,
    ];

    /// What is used where nobody says otherwise: W3C Trace Context and W3C Baggage, as OpenTelemetry [recommends].
    ///
    /// [recommends]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/configuration/sdk-environment-variables.md#general-sdk-configuration
    pub const DEFAULT: &'static [Self] = &[Self::TraceContext, Self::Baggage];

    /// The name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TraceContext => "tracecontext",
            Self::Baggage => "baggage",
            #[cfg(feature = "b3")]
            Self::B3 => "b3",
            #[cfg(feature = "b3")]
            Self::B3Multi => "b3multi",
            Self::Jaeger => "jaeger",
        }
    }
}

impl fmt::Display for PropagatorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// By its [name](Self::name), in any case and with white space around it.
impl FromStr for PropagatorKind {
    type Err = ParsePropagatorKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text: String = text
            .trim()
            .chars()
            .take(MAX_SHOWN_CHARS)
            .collect::<String>()
            .to_ascii_lowercase();
        if let Some(kind) = Self::ALL.iter().find(|kind| kind.name() == text) {
            return Ok(*kind);
        }
        let kind = if BEHIND_B3.contains(&text.as_str()) {
            ParsePropagatorKindErrorKind::NeedsFeature
        } else {
            ParsePropagatorKindErrorKind::Unknown
        };
        Err(ParsePropagatorKindError { text, kind })
    }
}

// === impl ParsePropagatorKindError ===

impl ParsePropagatorKindError {
    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> ParsePropagatorKindErrorKind {
        self.kind
    }
}

impl fmt::Display for ParsePropagatorKindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        match self.kind {
            ParsePropagatorKindErrorKind::NeedsFeature => {
                write!(f, "the propagator {text:?} needs the feature `b3`")
            }
            ParsePropagatorKindErrorKind::Unknown => {
                write!(
                    f,
                    "unknown propagator {text:?}: expected tracecontext, baggage, b3, b3multi or jaeger"
                )
            }
        }
    }
}

impl Error for ParsePropagatorKindError {}

/// The names that the feature `b3` brings.
const BEHIND_B3: [&str; 2] = ["b3", "b3multi"];

/// How much of a text an error shows.
const MAX_SHOWN_CHARS: usize = 64;

#[cfg(test)]
mod tests {
    use super::{ParsePropagatorKindErrorKind as Kind, PropagatorKind};

    #[test]
    fn each_name_is_read_as_it_is_written_and_in_any_case() {
        for kind in PropagatorKind::ALL {
            let name = kind.to_string();
            assert_eq!(name.parse(), Ok(*kind));
            assert_eq!(format!(" {} ", name.to_uppercase()).parse(), Ok(*kind));
        }
    }

    #[test]
    fn the_names_are_those_of_the_specification() {
        let names: Vec<_> = PropagatorKind::ALL
            .iter()
            .map(ToString::to_string)
            .collect();
        let all = ["tracecontext", "baggage", "b3", "b3multi", "jaeger"];
        let expected = all
            .iter()
            .filter(|name| cfg!(feature = "b3") || !name.starts_with("b3"));
        assert!(names.iter().eq(expected), "{names:?}");
    }

    #[test]
    fn what_is_no_name_is_told() {
        for (text, expected) in [
            (
                "XRay",
                "unknown propagator \"xray\": expected tracecontext, baggage, b3, b3multi or jaeger",
            ),
            (
                "",
                "unknown propagator \"\": expected tracecontext, baggage, b3, b3multi or jaeger",
            ),
        ] {
            let error = text.parse::<PropagatorKind>().unwrap_err();
            assert_eq!(
                (error.kind(), error.to_string().as_str()),
                (Kind::Unknown, expected)
            );
        }
        let error = "b".repeat(1000).parse::<PropagatorKind>().unwrap_err();
        assert!(error.to_string().len() < 200);
        let error = "b3-multi".parse::<PropagatorKind>().unwrap_err();
        assert_eq!(error.kind(), Kind::Unknown);
    }

    #[cfg(not(feature = "b3"))]
    #[test]
    fn what_is_not_compiled_in_is_told_with_its_feature() {
        for name in ["b3", "B3Multi"] {
            let error = name.parse::<PropagatorKind>().unwrap_err();
            assert_eq!(error.kind(), Kind::NeedsFeature);
            assert!(error.to_string().ends_with("needs the feature `b3`"));
        }
    }
}
