use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

/// The version of the OpenTelemetry semantic conventions that the layers and the resource follow, as the URL that goes
/// with their spans.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// The tracer of a crate's layers. The family shares one version.
pub(crate) fn tracer(provider: &SdkTracerProvider, crate_name: &'static str) -> SdkTracer {
    provider.tracer_with_scope(
        InstrumentationScope::builder(crate_name)
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(SCHEMA_URL)
            .build(),
    )
}

/// The tracer of the HTTP layers.
pub(crate) fn http_tracer(provider: &SdkTracerProvider) -> SdkTracer {
    tracer(provider, "towline-http")
}

/// The tracer of the gRPC layers, which name their attributes by default as this version does.
#[cfg(feature = "grpc-layers")]
pub(crate) fn grpc_tracer(provider: &SdkTracerProvider) -> SdkTracer {
    tracer(provider, "towline-grpc")
}
