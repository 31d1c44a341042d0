use std::fmt;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
#[cfg(feature = "clap")]
use towline_propagation::{BAGGAGE, TRACEPARENT, TRACESTATE};
use towline_propagation::{CompositePropagator, Propagator};

/// Which headers carry the context: for the layers, and for whoever uses OpenTelemetry's global propagator.
#[derive(Clone, Debug, Default)]
pub(crate) enum Format {
    /// W3C Trace Context and W3C Baggage.
    #[default]
    W3c,
    Custom(Shared),
}

/// A propagator in several places.
#[derive(Clone)]
pub(crate) struct Shared(Arc<dyn TextMapPropagator + Send + Sync>);

// === impl Format ===

impl Format {
    pub(crate) fn custom(propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        Self::Custom(Shared(Arc::new(propagator)))
    }

    /// For the layers.
    pub(crate) fn propagator(&self) -> Propagator {
        match self {
            Self::W3c => Propagator::w3c(),
            Self::Custom(shared) => Propagator::custom(shared.clone()),
        }
    }

    /// The names of the headers, in lower case.
    #[cfg(feature = "clap")]
    pub(crate) fn fields(&self) -> Vec<String> {
        match self {
            Self::W3c => [TRACEPARENT, TRACESTATE, BAGGAGE]
                .map(|name| name.to_string())
                .into(),
            Self::Custom(shared) => shared.fields().map(str::to_ascii_lowercase).collect(),
        }
    }

    /// Makes it the global one of this process.
    pub(crate) fn install(&self) {
        match self {
            Self::W3c => opentelemetry::global::set_text_map_propagator(CompositePropagator::w3c()),
            Self::Custom(shared) => opentelemetry::global::set_text_map_propagator(shared.clone()),
        }
    }
}

/// The names that [`OTEL_PROPAGATORS`] has for them, or the headers of one that code brings.
///
/// [`OTEL_PROPAGATORS`]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/configuration/sdk-environment-variables.md#general-sdk-configuration
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::W3c => f.write_str("tracecontext,baggage"),
            Self::Custom(shared) => {
                let fields: Vec<_> = shared.fields().collect();
                write!(f, "custom ({})", fields.join(", "))
            }
        }
    }
}

// === impl Shared ===

impl TextMapPropagator for Shared {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        self.0.inject_context(cx, injector);
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        self.0.extract_with_context(cx, extractor)
    }

    fn fields(&self) -> FieldIter<'_> {
        self.0.fields()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
