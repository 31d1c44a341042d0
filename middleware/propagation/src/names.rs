//! The names of the header fields, ready to look up and to insert.

use http::HeaderName;

/// The name of the [`traceparent`][spec] header.
///
/// [spec]: https://www.w3.org/TR/2024/CRD-trace-context-2-20240328/#traceparent-header
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The name of the [`tracestate`][spec] header.
///
/// [spec]: https://www.w3.org/TR/2024/CRD-trace-context-2-20240328/#tracestate-header
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The name of the [`baggage`][spec] header.
///
/// [spec]: https://www.w3.org/TR/2024/CR-baggage-20240530/#baggage-http-header-format
pub const BAGGAGE: HeaderName = HeaderName::from_static("baggage");
