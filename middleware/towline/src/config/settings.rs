//! Every setting, in one table: what a file may say, what a value must be, and what the reference says of it.
//!
//! To add a setting, add a row. The parser, the list of keys, precedence, reload and [the
//! page](crate::guide::configuration) follow from it. What it does is then up to [`start`](crate::start).

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use towline_http::CallerContext;
use towline_otlp::{Compression, Endpoint, EndpointError};
use towline_propagation::PropagatorKind;
use towline_sampler::{Limit, Rate};

use super::KeyPair;
use super::origin::Origin;
use super::read::{self, Attributes, Headers};
use super::said::Said;
use super::section::Field;
use super::shown::Shown;

/// A row of the table.
#[derive(Debug)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "what documents a key is for the page alone")
)]
pub(crate) struct Key {
    pub(crate) field: Field,
    /// What a value is, with its unit.
    pub(crate) kind: &'static str,
    pub(crate) default: &'static str,
    /// The environment variables that say the same, the one that wins first.
    pub(crate) variables: &'static [&'static str],
    /// Where the setting, its name or its default comes from.
    pub(crate) source: &'static str,
    pub(crate) meaning: &'static str,
    /// A value, as YAML.
    pub(crate) example: &'static str,
    /// Whether [`Towline::reload`](crate::Towline::reload) can change it.
    pub(crate) is_live: bool,
    /// Whether it has an effect on a provider that somebody brings along.
    pub(crate) is_for_any_provider: bool,
    pub(crate) origin: fn(&Settings) -> Option<&Origin>,
    pub(crate) shown: fn(&Settings) -> Option<String>,
    pub(crate) differs: fn(&Settings, &Settings) -> bool,
    /// Takes the value of another.
    pub(crate) adopt: fn(&mut Settings, &Settings),
}

macro_rules! settings {
    ($(
        $name:ident: $type:ty = $read:expr, {
            names: [$($names:literal),+],
            $($property:ident: $value:expr,)*
        }
    )*) => {
        /// What one source says: a file, the environment, or code.
        #[derive(Clone, Debug, Default)]
        pub(crate) struct Settings {
            $(pub(crate) $name: Option<Said<$type>>,)*
        }

        impl Settings {
            /// What this source leaves out is taken from another.
            pub(crate) fn or(self, other: Self) -> Self {
                Self { $($name: self.$name.or(other.$name),)* }
            }
        }

        /// The table.
        pub(crate) const KEYS: &[Key] = &[$(
            Key {
                field: Field {
                    names: &[$($names),+],
                    read: |settings, entry, problems| settings.$name = $read(entry, problems),
                },
                $($property: $value,)*
                origin: |settings| settings.$name.as_ref().map(|said| &said.origin),
                shown: |settings| settings.$name.as_ref().map(|said| said.value.shown()),
                differs: |one, other| {
                    one.$name.as_ref().map(|said| &said.value) != other.$name.as_ref().map(|said| &said.value)
                },
                adopt: |settings, other| settings.$name.clone_from(&other.$name),
            },
        )*];
    };
}

settings! {
    enabled: bool = read::boolean, {
        names: ["enabled"],
        kind: "yes or no (true, false, on, off, in any case)",
        default: "yes if code or the environment names an exporter, otherwise no",
        variables: &["OTEL_SDK_DISABLED"],
        source: "Teleport `tracing_service`; the variable, which switches off whatever else is said: OpenTelemetry SDK",
        meaning: "Whether spans are recorded. While it is no, the rest of the section is read, and files are not looked for.",
        example: "yes",
        is_live: true,
        is_for_any_provider: true,
    }
    exporter_url: Result<Endpoint, EndpointError> = read::exporter_url, {
        names: ["exporter_url"],
        kind: "URL: grpc, grpcs, http, https, file, unix, console; without a scheme grpc",
        default: "none: must be given if tracing is enabled",
        variables: &["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_EXPORTER"],
        source: "Teleport `tracing_service`",
        meaning: "Where spans go: see [`Endpoint`](crate::Endpoint).",
        example: "grpc://collector.example.com:4317",
        is_live: false,
        is_for_any_provider: false,
    }
    sampling_rate_per_million: Rate = read::rate, {
        names: ["sampling_rate_per_million"],
        kind: "whole number of traces in a million, 0 to 1000000",
        default: "0: what a sampled caller asks for, and nothing else",
        variables: &["OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"],
        source: "Teleport `tracing_service`; Kubernetes `samplingRatePerMillion`",
        meaning: "How many of the traces that begin here are recorded. What a sampled caller sends is recorded at any rate.",
        example: "10000",
        is_live: true,
        is_for_any_provider: true,
    }
    ca_certs: Vec<PathBuf> = read::files, {
        names: ["ca_certs"],
        kind: "list of PEM files",
        default: "the system's roots",
        variables: &["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"],
        source: "Teleport `tracing_service`",
        meaning: "The authorities that the collector's certificate is checked against. They make TLS of `http` and `grpc` URLs, too; the variables do not.",
        example: "[/etc/app/exporter_ca.pem]",
        is_live: false,
        is_for_any_provider: false,
    }
    https_keypairs: Vec<KeyPair> = read::key_pairs, {
        names: ["https_keypairs", "keypairs"],
        kind: "list of mappings of `key_file` and `cert_file`, each a PEM file",
        default: "none",
        variables: &["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"],
        source: "Teleport `tracing_service`: `https_keypairs` in its documentation, `keypairs` in its code",
        meaning: "Certificates that the exporter shows to the collector (mTLS).",
        example: "[{ key_file: /etc/app/exporter.key, cert_file: /etc/app/exporter.crt }]",
        is_live: false,
        is_for_any_provider: false,
    }
    service_name: String = read::text, {
        names: ["service_name"],
        kind: "text",
        default: "`unknown_service:<executable>`",
        variables: &["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"],
        source: "OpenTelemetry resource conventions, `service.name`",
        meaning: "The name of the service that the spans come from.",
        example: "users",
        is_live: false,
        is_for_any_provider: false,
    }
    resource_attributes: Attributes = read::attributes, {
        names: ["resource_attributes"],
        kind: "mapping of names to texts, numbers, true, false or lists of texts",
        default: "what is detected, see [Resource](crate#resource)",
        variables: &["OTEL_RESOURCE_ATTRIBUTES"],
        source: "OpenTelemetry resource conventions",
        meaning: "More about where the spans come from. Each attribute wins over one of the same name that is detected or stands in the variable.",
        example: "{ deployment.environment.name: production }",
        is_live: false,
        is_for_any_provider: false,
    }
    headers: Headers = read::headers, {
        names: ["headers"],
        kind: "mapping of header names to texts",
        default: "none",
        variables: &["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"],
        source: "OTLP exporter specification",
        meaning: "Sent with every batch to a collector. Values are secrets, and never shown. They take the place of those in the variable as a whole.",
        example: "{ authorization: Bearer 6f1c }",
        is_live: false,
        is_for_any_provider: false,
    }
    compression: Option<Compression> = read::compression, {
        names: ["compression"],
        kind: "gzip, zstd or none",
        default: "none",
        variables: &["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"],
        source: "OTLP exporter specification; zstd: the Collector",
        meaning: "How batches are compressed on their way to a collector. Each is behind the feature of its name.",
        example: "gzip",
        is_live: false,
        is_for_any_provider: false,
    }
    user_agent: String = read::text, {
        names: ["user_agent"],
        kind: "text: a product such as users/1.0",
        default: "the exporter's own",
        variables: &[],
        source: "OTLP exporter specification",
        meaning: "Put before the `User-Agent` that the collector sees.",
        example: "users/1.0",
        is_live: false,
        is_for_any_provider: false,
    }
    connect_timeout: Duration = read::some_duration, {
        names: ["connect_timeout"],
        kind: "time above 0",
        default: "5s",
        variables: &[],
        source: "Teleport's dial timeout",
        meaning: "How long it may take until a connection stands: name, TCP and TLS.",
        example: "5s",
        is_live: false,
        is_for_any_provider: false,
    }
    attempt_timeout: Duration = read::some_duration, {
        names: ["attempt_timeout"],
        kind: "time above 0",
        default: "10s",
        variables: &["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"],
        source: "OTLP exporter specification",
        meaning: "How long one attempt to send a batch may take, connecting included.",
        example: "10s",
        is_live: false,
        is_for_any_provider: false,
    }
    flush_interval: Duration = read::some_duration, {
        names: ["flush_interval"],
        kind: "time above 0",
        default: "5s",
        variables: &["OTEL_BSP_SCHEDULE_DELAY"],
        source: "OpenTelemetry batch span processor",
        meaning: "The longest that a span waits until it is sent, while the collector keeps up.",
        example: "1s",
        is_live: false,
        is_for_any_provider: false,
    }
    buffer_bytes: usize = read::bytes::<2048>, {
        names: ["buffer_bytes"],
        kind: "size in bytes, from 2048; at least twice `batch_bytes` times `concurrency`",
        default: "16MiB",
        variables: &[],
        source: "about 30,000 spans of 500 bytes",
        meaning: "The memory that spans may take until they are exported. A full buffer refuses new spans and counts them.",
        example: "64MiB",
        is_live: false,
        is_for_any_provider: false,
    }
    buffer_spans: usize = read::count::<1>, {
        names: ["buffer_spans"],
        kind: "number of spans, from 1",
        default: "no limit but `buffer_bytes`",
        variables: &["OTEL_BSP_MAX_QUEUE_SIZE"],
        source: "OpenTelemetry batch span processor",
        meaning: "How many spans may wait or be on their way at a time.",
        example: "20000",
        is_live: false,
        is_for_any_provider: false,
    }
    batch_bytes: usize = read::bytes::<1024>, {
        names: ["batch_bytes"],
        kind: "size in bytes, from 1024",
        default: "512KiB",
        variables: &[],
        source: "far below the 4 MiB that gRPC servers take by default",
        meaning: "The largest batch, in bytes; one is sent before its time once half of that waits. A single larger span goes alone.",
        example: "512KiB",
        is_live: false,
        is_for_any_provider: false,
    }
    batch_spans: usize = read::count::<1>, {
        names: ["batch_spans"],
        kind: "number of spans, from 1; at most `buffer_spans`",
        default: "no limit but `batch_bytes`",
        variables: &["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"],
        source: "OpenTelemetry batch span processor",
        meaning: "The largest batch, in spans; one is sent before its time once so many wait.",
        example: "512",
        is_live: false,
        is_for_any_provider: false,
    }
    max_message_bytes: usize = read::bytes::<1024>, {
        names: ["max_message_bytes"],
        kind: "size in bytes, from 1024",
        default: "learned from refusals; for gRPC 4MiB is assumed",
        variables: &[],
        source: "what gRPC servers take by default",
        meaning: "The largest message that the collector takes, before compression. Larger batches are split, a larger span is dropped and counted.",
        example: "4MiB",
        is_live: false,
        is_for_any_provider: false,
    }
    forward_bytes: usize = read::bytes::<1024>, {
        names: ["forward_bytes"],
        kind: "size in bytes, from 1024",
        default: "64MiB",
        variables: &[],
        source: "the largest request that OTLP recommends to take",
        meaning: "How much batches of others may take that are forwarded at a time. One always may.",
        example: "64MiB",
        is_live: false,
        is_for_any_provider: false,
    }
    concurrency: usize = read::count::<1>, {
        names: ["concurrency"],
        kind: "number of batches, from 1",
        default: "1",
        variables: &["OTEL_BSP_MAX_CONCURRENT_EXPORTS"],
        source: "OpenTelemetry SDK for Rust",
        meaning: "How many batches may be on their way at a time. More are of use when the way is long.",
        example: "4",
        is_live: false,
        is_for_any_provider: false,
    }
    retry_initial_delay: Duration = read::some_duration, {
        names: ["retry_initial_delay"],
        kind: "time above 0",
        default: "1s",
        variables: &[],
        source: "the Collector's exporters, with 1 s in place of 5 s",
        meaning: "About how long to wait until a batch that failed is sent again; each further delay is half as long again.",
        example: "1s",
        is_live: false,
        is_for_any_provider: false,
    }
    retry_max_delay: Duration = read::some_duration, {
        names: ["retry_max_delay"],
        kind: "time above 0",
        default: "30s",
        variables: &[],
        source: "the Collector's exporters",
        meaning: "The longest such delay, also where the collector asks for a longer one.",
        example: "30s",
        is_live: false,
        is_for_any_provider: false,
    }
    retry_max_elapsed: Duration = read::duration, {
        names: ["retry_max_elapsed"],
        kind: "time; 0s: no retries",
        default: "60s",
        variables: &["OTEL_BSP_EXPORT_TIMEOUT"],
        source: "OpenTelemetry-Go's exporters, which Teleport has",
        meaning: "How long after its first attempt the last attempt of a batch may begin.",
        example: "60s",
        is_live: false,
        is_for_any_provider: false,
    }
    propagators: Vec<PropagatorKind> = read::propagators, {
        names: ["propagators"],
        kind: "list of tracecontext, baggage, b3, b3multi, jaeger; empty: none",
        default: "[tracecontext, baggage]",
        variables: &["OTEL_PROPAGATORS"],
        source: "OpenTelemetry SDK",
        meaning: "The headers that carry the context: [`PropagatorKind`](crate::PropagatorKind). They count also where tracing is off. Those of B3 need the feature `b3`.",
        example: "[tracecontext, baggage, jaeger]",
        is_live: false,
        is_for_any_provider: true,
    }
    trust: CallerContext = read::trust, {
        names: ["trust"],
        kind: "parent, link or ignore",
        default: "parent",
        variables: &[],
        source: "Teleport: parent; Kubernetes for callers it does not know: link",
        meaning: "What a caller's trace context is to the server layers: the parent, a link of a new trace, or nothing. By caller it is a function in code: [`with_trust_by`](crate::http::server::TraceLayer::with_trust_by).",
        example: "link",
        is_live: false,
        is_for_any_provider: true,
    }
    remote_sampled_limit_per_second: Limit = read::limit, {
        names: ["remote_sampled_limit_per_second"],
        kind: "whole number of traces",
        default: "no limit",
        variables: &[],
        source: "W3C Trace Context, section 4.5, denial of service",
        meaning: "How many traces a second are recorded because a caller asks for it, and how many at once; above, the sampling rate decides. See [`Control::set_remote_limit`](crate::Control::set_remote_limit).",
        example: "100",
        is_live: true,
        is_for_any_provider: true,
    }
    skip_paths: Vec<String> = read::paths, {
        names: ["skip_paths"],
        kind: "list of paths that begin with /; one that ends with /* is for all below",
        default: "none",
        variables: &[],
        source: "what health checks and scrapers ask for",
        meaning: "Requests that get no span from the server layers, by their path; of gRPC `/package.Service/Method`. Their callers' context is passed on. See [`Towline::filters`](crate::Towline::filters), whose filters it takes the place of.",
        example: "[/healthz, /metrics, /grpc.health.v1.Health/*]",
        is_live: true,
        is_for_any_provider: true,
    }
    capture_request_headers: Vec<HeaderName> = read::header_names, {
        names: ["capture_request_headers"],
        kind: "list of header names",
        default: "none",
        variables: &[],
        source: "OpenTelemetry HTTP conventions, `http.request.header.<key>`",
        meaning: "Headers of requests that become attributes, of HTTP servers and clients, and metadata of gRPC. Credentials among them are masked.",
        example: "[x-request-id]",
        is_live: false,
        is_for_any_provider: true,
    }
    capture_response_headers: Vec<HeaderName> = read::header_names, {
        names: ["capture_response_headers"],
        kind: "list of header names",
        default: "none",
        variables: &[],
        source: "OpenTelemetry HTTP conventions, `http.response.header.<key>`",
        meaning: "The same of responses.",
        example: "[retry-after]",
        is_live: false,
        is_for_any_provider: true,
    }
    redacted_query_keys: Vec<String> = read::query_keys, {
        names: ["redacted_query_keys"],
        kind: "list of texts",
        default: "those of [`DEFAULT_REDACTED_QUERY_KEYS`](crate::http::DEFAULT_REDACTED_QUERY_KEYS), which always count",
        variables: &[],
        source: "OpenTelemetry URL conventions",
        meaning: "More keys of queries whose values are redacted, wherever a URL becomes an attribute.",
        example: "[token, access_token]",
        is_live: false,
        is_for_any_provider: true,
    }
    response_trace_id_header: HeaderName = read::header_name, {
        names: ["response_trace_id_header"],
        kind: "header name",
        default: "none: callers are not told",
        variables: &[],
        source: "what support asks users for",
        meaning: "The header in which server layers tell callers the id of a sampled trace.",
        example: "x-trace-id",
        is_live: false,
        is_for_any_provider: true,
    }
    attribute_value_length_limit: usize = read::count::<0>, {
        names: ["attribute_value_length_limit"],
        kind: "number of characters",
        default: "no limit",
        variables: &["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"],
        source: "OpenTelemetry SDK",
        meaning: "The longest text in an attribute of a span, an event or a link; a longer one is cut before it is exported.",
        example: "4096",
        is_live: true,
        is_for_any_provider: false,
    }
    attribute_count_limit: usize = read::count::<0>, {
        names: ["attribute_count_limit"],
        kind: "number of attributes",
        default: "128",
        variables: &["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"],
        source: "OpenTelemetry SDK",
        meaning: "How many attributes a span may have; further ones are dropped and counted in the span.",
        example: "64",
        is_live: false,
        is_for_any_provider: false,
    }
    event_count_limit: usize = read::count::<0>, {
        names: ["event_count_limit"],
        kind: "number of events",
        default: "128",
        variables: &["OTEL_SPAN_EVENT_COUNT_LIMIT"],
        source: "OpenTelemetry SDK",
        meaning: "How many events a span may have.",
        example: "64",
        is_live: false,
        is_for_any_provider: false,
    }
    link_count_limit: usize = read::count::<0>, {
        names: ["link_count_limit"],
        kind: "number of links",
        default: "128",
        variables: &["OTEL_SPAN_LINK_COUNT_LIMIT"],
        source: "OpenTelemetry SDK",
        meaning: "How many links a span may have.",
        example: "64",
        is_live: false,
        is_for_any_provider: false,
    }
    event_attribute_count_limit: usize = read::count::<0>, {
        names: ["event_attribute_count_limit"],
        kind: "number of attributes",
        default: "128",
        variables: &["OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"],
        source: "OpenTelemetry SDK",
        meaning: "How many attributes an event may have.",
        example: "16",
        is_live: false,
        is_for_any_provider: false,
    }
    link_attribute_count_limit: usize = read::count::<0>, {
        names: ["link_attribute_count_limit"],
        kind: "number of attributes",
        default: "128",
        variables: &["OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"],
        source: "OpenTelemetry SDK",
        meaning: "How many attributes a link may have.",
        example: "16",
        is_live: false,
        is_for_any_provider: false,
    }
}

/// What keys of other formats are called here.
pub(super) const OTHERS: &[(&str, &str)] = &[
    ("endpoint", "exporter_url"),
    ("url", "exporter_url"),
    ("exporter", "exporter_url"),
    ("timeout", "attempt_timeout"),
    ("interval", "flush_interval"),
    ("schedule_delay", "flush_interval"),
    ("ratio", "sampling_rate_per_million"),
    ("sampler", "sampling_rate_per_million"),
    ("ca_file", "ca_certs"),
    ("name", "service_name"),
    ("propagator", "propagators"),
    ("exclude_paths", "skip_paths"),
    ("capture_headers", "capture_request_headers"),
    ("attributes", "resource_attributes"),
];
