use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

/// The version of the OpenTelemetry semantic conventions that the layers and the resource follow, as the URL that goes
/// with their spans.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// The tracer of the HTTP layers. The family shares one version.
pub(crate) fn http_tracer(provider: &SdkTracerProvider) -> SdkTracer {
    provider.tracer_with_scope(
        InstrumentationScope::builder("towline-http")
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(SCHEMA_URL)
            .build(),
    )
}
