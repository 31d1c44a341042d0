use opentelemetry::InstrumentationScope;

/// The version of the OpenTelemetry semantic conventions that the layers and the resource follow, as the URL that goes
/// with their spans.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// The scope of a crate's layers. The family shares one version.
pub(crate) fn of_crate(crate_name: &'static str) -> InstrumentationScope {
    InstrumentationScope::builder(crate_name)
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(SCHEMA_URL)
        .build()
}

/// The scope of the HTTP layers.
pub(crate) fn http() -> InstrumentationScope {
    of_crate("towline-http")
}

/// The scope of the gRPC layers, which name their attributes by default as this version does.
#[cfg(feature = "grpc-layers")]
pub(crate) fn grpc() -> InstrumentationScope {
    of_crate("towline-grpc")
}
