//! Every layer that is compared, made ready for one path.
//!
//! Each has what its documentation says to give it, and nothing that costs and is not needed here: no metrics, and of
//! tracing-opentelemetry no attributes that say where in the source or on which thread a span was made.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum_tracing_opentelemetry::middleware::OtelAxumLayer;
use fastrace::collector::{Config, SpanContext as FastraceContext, SpanId, TraceId};
use fastrace_axum::FastraceLayer;
use fastrace_tower::{FastraceClientLayer, FastraceServerLayer};
use http::{Request, Response};
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState, TracerProvider};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_instrumentation_tower::http::server::LayerBuilder;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler as SdkSampler, SdkTracer, SdkTracerProvider,
    SpanLimits,
};
use tonic_tracing_opentelemetry::middleware::server::OtelGrpcLayer;
use tower_http::trace::TraceLayer;
use tower_otel::trace::{GrpcLayer, HttpLayer};
use towline_otlp::Exporter;
use towline_sampler::{Control, Rate, Sampler};
use towline_span::Spans;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;

use crate::exchange::{Driver, Identity, Seen, Template, axum_driver, driver, grpc_driver};
use crate::floor::{Current, Ending, FloorLayer, Room, Sent};
use crate::path::{Caller, PARENT_ID, Path, Protocol, TRACE_ID};
use crate::plain::PlainLayer;
use crate::recorded::Recorded;
use crate::sinks::{Arrivals, Discard, Encode, Records, Take};

/// All layers for one path, in one process.
///
/// There can be one only: some of the peers take what they need from the process.
pub struct Bench {
    /// The path.
    pub path: &'static Path,
    /// The bare services first.
    pub subjects: Vec<Subject>,
    _ambient: Vec<Box<dyn Any>>,
}

/// One layer, or none.
pub struct Subject {
    /// What it is called in a table.
    pub name: &'static str,
    /// The crate that it is from.
    pub package: &'static str,
    /// Sends requests through it.
    pub driver: Box<dyn Driver>,
    /// Which of the subjects is the same without the layer.
    pub baseline: usize,
    /// Where its spans arrive; nowhere if it makes none.
    pub arrivals: Option<Arrivals>,
    way_out: WayOut,
}

/// How spans get from a layer to where they arrive.
#[derive(Clone)]
enum WayOut {
    None,
    Sdk(SdkTracerProvider),
    Ours(Option<Arc<Exporter>>),
    Fastrace {
        switch: Arc<AtomicBool>,
        encodes: bool,
    },
}

/// What a layer does with one request, found by looking.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What the service inside has seen.
    pub seen: Seen,
    /// What was recorded, if anything was.
    pub recorded: Option<Recorded>,
    /// Whether the span was still open when the head of the answer was there.
    pub ends_with_body: bool,
}

/// The name of ours in every table.
pub const OURS: &str = "towline";

/// The least that is possible where nothing is to be done: looks for W3C's headers, and has room for what would be kept.
pub const ROOM: &str = "floor: looks for the two headers";

/// The same, where what would be kept has to be ended.
pub const ENDING: &str = "floor: the same, with something to end";

/// The least that keeps the caller's context current.
pub const CURRENT: &str = "floor: the caller's context is read and current";

/// The least that a client does where nothing is recorded.
pub const SENT: &str = "floor: a child of the current context is sent and current";

/// The least that makes and delivers a span as well.
pub const LEAST_SPAN: &str = "floor: the same, and a span of as many bytes is delivered";

/// The same, which finds out what the span has to say.
pub const LEAST_TOLD: &str = "floor: the same, and what the span says is read from the request";

/// Ours as well, on the SDK's tracer, as the layers stand alone and wherever somebody has span processors.
pub const OURS_ON_SDK: &str = "towline on the SDK's tracer";

/// The name of the plain layer in every table.
pub const PLAIN: &str = "h";

// === impl Bench ===

impl Bench {
    /// Sets all of it up.
    pub fn new(path: &'static Path) -> Self {
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let (sdk, sdk_arrivals) = sdk_provider(path);
        let sdk_way_out = WayOut::Sdk(sdk.clone());
        let tracer = sdk.tracer("peers");
        if path.is_on {
            opentelemetry::global::set_tracer_provider(sdk);
            subscribe(tracer.clone());
        }
        let fastrace_arrivals = Arrivals::default();
        let switch = Arc::new(AtomicBool::new(false));
        if path.is_on {
            let reporter = Records::reporter(fastrace_arrivals.clone(), Arc::clone(&switch));
            fastrace::set_reporter(reporter, Config::default());
        }
        let fastrace_way_out = |encodes| WayOut::Fastrace {
            switch: Arc::clone(&switch),
            encodes,
        };
        let mut bench = Self {
            path,
            subjects: Vec::new(),
            _ambient: ambient(path),
        };

        let subject = |name, package, driver| Subject {
            name,
            package,
            driver,
            baseline: 0,
            arrivals: None,
            way_out: WayOut::None,
        };
        let by_sdk = |name, package, driver| Subject {
            arrivals: Some(sdk_arrivals.clone()),
            way_out: sdk_way_out.clone(),
            ..subject(name, package, driver)
        };
        let by_fastrace = |name, package, driver| Subject {
            arrivals: Some(fastrace_arrivals.clone()),
            way_out: fastrace_way_out(path.is_exported),
            ..subject(name, package, driver)
        };

        if path.protocol != Protocol::Http {
            bench.subjects.extend([
                subject("bare", "", grpc_driver(path, &Identity)),
                ours(path, true),
                ours(path, false),
                by_sdk(
                    PLAIN,
                    "opentelemetry_sdk",
                    grpc_driver(path, &PlainLayer::grpc_server(tracer)),
                ),
                by_sdk(
                    "tonic-tracing-opentelemetry",
                    "tonic-tracing-opentelemetry",
                    grpc_driver(path, &OtelGrpcLayer::default()),
                ),
                by_sdk(
                    "tower-otel",
                    "tower-otel",
                    grpc_driver(path, &GrpcLayer::server(tracing::Level::INFO)),
                ),
                by_fastrace(
                    "fastrace-tonic",
                    "fastrace-tonic",
                    grpc_driver(path, &fastrace_tonic(path)),
                ),
            ]);
            return bench;
        }
        bench
            .subjects
            .push(subject("bare", "", driver(path, &Identity)));
        bench.subjects.push(Subject {
            baseline: 1,
            ..subject("bare, axum's bodies", "", axum_driver(path, &Identity))
        });
        bench.subjects.push(ours(path, true));
        bench.subjects.push(ours(path, false));
        if !path.is_on && path.caller == Caller::Unknown {
            bench.subjects.extend([
                subject(ROOM, "tower", driver(path, &FloorLayer(Room))),
                subject(ENDING, "tower", driver(path, &FloorLayer(Ending))),
            ]);
        } else if !path.is_client && !path.is_recorded() {
            let layer = FloorLayer(Current::new(false));
            bench
                .subjects
                .push(subject(CURRENT, "opentelemetry", driver(path, &layer)));
        }
        if path.is_client {
            bench.subjects.extend([
                by_sdk(
                    PLAIN,
                    "opentelemetry_sdk",
                    driver(path, &PlainLayer::client(tracer)),
                ),
                by_sdk(
                    "tower-otel",
                    "tower-otel",
                    driver(path, &HttpLayer::client(tracing::Level::INFO).trace_body()),
                ),
                subject(
                    "fastrace-tower",
                    "fastrace-tower",
                    driver(path, &FastraceClientLayer),
                ),
            ]);
            if !path.is_recorded() {
                let layer = FloorLayer(Sent::default());
                bench
                    .subjects
                    .push(subject(SENT, "opentelemetry", driver(path, &layer)));
            }
            return bench;
        }
        let contrib = LayerBuilder::builder()
            .with_tracing(path.is_on)
            .with_metrics(false)
            .build()
            .expect("its defaults are valid");
        bench.subjects.extend([
            by_sdk(
                PLAIN,
                "opentelemetry_sdk",
                driver(path, &PlainLayer::server(tracer)),
            ),
            by_sdk(
                "opentelemetry-instrumentation-tower",
                "opentelemetry-instrumentation-tower",
                driver(path, &contrib),
            ),
            by_sdk(
                "tower-otel",
                "tower-otel",
                driver(path, &HttpLayer::server(tracing::Level::INFO).trace_body()),
            ),
            by_sdk(
                "axum-tracing-opentelemetry",
                "axum-tracing-opentelemetry",
                driver(path, &OtelAxumLayer::default()),
            ),
            by_sdk(
                "tower-http + tracing-opentelemetry",
                "tower-http",
                driver(
                    path,
                    &TraceLayer::new_for_http()
                        .make_span_with(MakeSpan)
                        .on_request(())
                        .on_response(OnResponse),
                ),
            ),
            Subject {
                baseline: 1,
                ..by_fastrace(
                    "fastrace-axum",
                    "fastrace-axum",
                    axum_driver(path, &fastrace_axum(path)),
                )
            },
            by_fastrace(
                "fastrace-tower",
                "fastrace-tower",
                driver(path, &fastrace_tower(path)),
            ),
        ]);
        if path.is_exported {
            bench.subjects.push(Subject {
                way_out: fastrace_way_out(false),
                ..by_fastrace(
                    "fastrace-tower, records dropped",
                    "fastrace-tower",
                    driver(path, &fastrace_tower(path)),
                )
            });
        }
        bench
    }

    /// Looks at what every layer does, and makes sure that it is what is to be measured.
    ///
    /// # Panics
    ///
    /// When a layer does not do what it is measured for.
    pub fn check(&mut self) -> Vec<Facts> {
        let path = self.path;
        let all: Vec<_> = self.subjects.iter_mut().map(|it| it.check(path)).collect();
        let of = |name| {
            let found = self
                .subjects
                .iter()
                .zip(&all)
                .find(|(subject, _)| subject.name == name);
            found.map(|(_, facts)| facts).expect("it is one of them")
        };
        let (ours, on_sdk, plain) = (of(OURS), of(OURS_ON_SDK), of(PLAIN));
        if path.is_recorded() {
            for facts in [ours, on_sdk, plain] {
                let Seen {
                    in_call,
                    in_poll,
                    in_body,
                    ..
                } = facts.seen;
                let is_its_own = in_call.is_some_and(|span| span != PARENT_ID);
                assert!(is_its_own, "its span is not current in `call`: {facts:?}");
                assert_eq!(
                    (in_call, in_call),
                    (in_poll, in_body),
                    "the current span changes"
                );
                assert!(
                    facts.ends_with_body,
                    "its span ends with the head: {facts:?}"
                );
            }
        }
        for ours in [ours, on_sdk] {
            let (Some(ours), Some(plain)) = (&ours.recorded, &plain.recorded) else {
                continue;
            };
            assert_eq!(
                ours.name, plain.name,
                "names of ours and of the plain layer"
            );
            let attributes = |recorded: &Recorded| {
                let mut attributes = recorded.sorted();
                attributes.retain(|(key, _)| !path.is_varied || *key != "user_agent.original");
                attributes
            };
            assert_eq!(
                attributes(ours),
                attributes(plain),
                "attributes of ours and of the plain layer"
            );
            let expected = match (path.protocol, path.is_client) {
                (Protocol::Http, false) => 13,
                _ => 7,
            };
            assert_eq!(ours.attributes.len(), expected, "attributes of ours");
        }
        all
    }
}

// === impl Subject ===

impl Subject {
    /// Whether this is no layer at all.
    pub fn is_bare(&self) -> bool {
        self.package.is_empty()
    }

    /// To be called before a measurement that spans are counted for.
    pub fn select(&self) {
        if let WayOut::Fastrace { switch, encodes } = &self.way_out {
            switch.store(*encodes, Ordering::SeqCst);
        }
    }

    /// Waits until every span that has ended has arrived.
    ///
    /// # Panics
    ///
    /// When that takes more than half a minute.
    pub fn flush(&self) {
        match &self.way_out {
            WayOut::None | WayOut::Ours(None) => {}
            WayOut::Sdk(provider) => provider.force_flush().expect("the provider flushes"),
            WayOut::Ours(Some(exporter)) => {
                let flushed = exporter.blocking_flush(Duration::from_secs(30));
                flushed.expect("the exporter flushes");
            }
            WayOut::Fastrace { .. } => fastrace::flush(),
        }
    }

    fn check(&mut self, path: &Path) -> Facts {
        let Some(arrivals) = self.arrivals.clone() else {
            let seen = self.driver.look(&mut || ());
            return Facts {
                seen,
                recorded: None,
                ends_with_body: false,
            };
        };
        self.select();
        self.flush();
        arrivals.watch(true);
        let mut with_head = 0;
        let (before, way_out) = (arrivals.spans(), self.way_out.clone());
        let flush = Self {
            name: self.name,
            package: self.package,
            driver: driver(Path::by_id("off"), &Identity),
            baseline: 0,
            arrivals: None,
            way_out,
        };
        let seen = self.driver.look(&mut || {
            flush.flush();
            with_head = arrivals.spans() - before;
        });
        self.flush();
        arrivals.watch(false);
        let mut spans = arrivals.take();
        let expected = usize::from(path.is_recorded());
        assert_eq!(
            spans.len(),
            expected,
            "spans of {} on {}: {spans:?}",
            self.name,
            path.id
        );
        assert_eq!(arrivals.spans() - before, expected);
        let recorded = spans.pop();
        if let Some(span) = &recorded {
            let kind = match (self.package.starts_with("fastrace"), path.is_client) {
                (true, _) => "internal",
                (false, true) => "client",
                (false, false) => "server",
            };
            assert_eq!(
                (span.kind, span.is_error),
                (kind, false),
                "{}: {span:?}",
                self.name
            );
            if path.caller == Caller::Sampled {
                let context = (span.trace_id, span.parent_id);
                assert_eq!(
                    context,
                    (TRACE_ID, PARENT_ID),
                    "the parent of {}",
                    self.name
                );
            }
        }
        Facts {
            seen,
            recorded,
            ends_with_body: with_head == 0,
        }
    }
}

// === the way out ===

/// The SDK's provider for all that is built on it but ours, with the SDK's sampler.
fn sdk_provider(path: &Path) -> (SdkTracerProvider, Arrivals) {
    let arrivals = Arrivals::default();
    let root = if path.roots {
        SdkSampler::AlwaysOn
    } else {
        SdkSampler::AlwaysOff
    };
    let builder = SdkTracerProvider::builder().with_sampler(match path.is_on {
        true => SdkSampler::ParentBased(Box::new(root)),
        false => SdkSampler::AlwaysOff,
    });
    let provider = match path.is_exported {
        true => builder.with_span_processor(batch_processor(Encode::new(arrivals.clone()))),
        false => builder.with_span_processor(Discard(arrivals.clone())),
    };
    (provider.build(), arrivals)
}

/// The SDK's, as it is by default, whatever the environment says.
pub fn batch_processor<E>(exporter: E) -> BatchSpanProcessor
where
    E: opentelemetry_sdk::trace::SpanExporter + 'static,
{
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(2048)
        .with_max_export_batch_size(512)
        .with_scheduled_delay(Duration::from_secs(5))
        .build();
    BatchSpanProcessor::builder(exporter)
        .with_batch_config(config)
        .build()
}

/// As the facade sets it up, recording by itself, or on the SDK's tracer.
fn ours(path: &'static Path, records: bool) -> Subject {
    let arrivals = Arrivals::default();
    let control = Control::new(if path.roots {
        Rate::ALWAYS
    } else {
        Rate::NEVER
    });
    control.set_enabled(path.is_on);
    let sampler = Sampler::new(control);
    let builder = SdkTracerProvider::builder().with_sampler(sampler.clone());
    let (provider, exporter) = if path.is_exported || records {
        let (processor, exporter) = Exporter::builder()
            .transport(Take(arrivals.clone()))
            .build()
            .expect("a transport is given");
        (
            builder.with_span_processor(processor).build(),
            Some(Arc::new(exporter)),
        )
    } else {
        (
            builder
                .with_span_processor(Discard(arrivals.clone()))
                .build(),
            None,
        )
    };
    let mut spans = Spans::new(provider.tracer("peers")).with_sampler(sampler);
    if let Some(exporter) = exporter.as_ref().filter(|_| records) {
        let scope = InstrumentationScope::builder("peers").build();
        spans = spans.with_recorder(Arc::new(exporter.recorder(scope, SpanLimits::default())));
    }
    let driver = if path.protocol != Protocol::Http {
        grpc_driver(path, &towline_grpc::server::TraceLayer::from_spans(spans))
    } else if path.is_client {
        let layer = towline_http::client::TraceLayer::from_spans(spans)
            .with_template(|request| Some(request.extensions.get::<Template>()?.0.into()));
        driver(path, &layer)
    } else {
        driver(
            path,
            &towline_http::server::TraceLayer::from_spans(spans).with_axum(),
        )
    };
    Subject {
        name: if records { OURS } else { OURS_ON_SDK },
        package: if path.protocol == Protocol::Http {
            "towline-http"
        } else {
            "towline-grpc"
        },
        driver,
        baseline: 0,
        arrivals: Some(arrivals),
        way_out: WayOut::Ours(exporter),
    }
}

/// What a client is called under.
fn ambient(path: &Path) -> Vec<Box<dyn Any>> {
    if !path.is_client {
        return Vec::new();
    }
    let is_sampled = path.caller == Caller::Sampled;
    let flags = TraceFlags::default().with_sampled(is_sampled);
    let parent = SpanContext::new(
        TRACE_ID.into(),
        PARENT_ID.into(),
        flags,
        false,
        TraceState::NONE,
    );
    let attached = opentelemetry::Context::new()
        .with_remote_span_context(parent)
        .attach();
    let parent = FastraceContext::new(TraceId(TRACE_ID), SpanId(PARENT_ID)).sampled(is_sampled);
    let span = fastrace::Span::root("caller", parent);
    let entered = span.set_local_parent();
    vec![Box::new(attached), Box::new(entered), Box::new(span)]
}

/// Makes `tracing` spans the spans of this tracer, for the whole process.
///
/// # Panics
///
/// When that has been done before.
pub fn subscribe(tracer: SdkTracer) {
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_target(false)
        .with_threads(false)
        .with_tracked_inactivity(false);
    let subscriber = tracing_subscriber::registry()
        .with(LevelFilter::INFO)
        .with(layer);
    tracing::subscriber::set_global_default(subscriber).expect("there is no other");
}

// === the peers ===

/// It has no sampler: whoever wants one writes it into this function.
fn extract(
    path: &Path,
) -> impl Fn(&http::HeaderMap) -> Option<FastraceContext> + Send + Sync + 'static {
    let (is_on, roots) = (path.is_on, path.roots);
    move |headers| {
        if !is_on {
            return None;
        }
        headers
            .get("traceparent")
            .and_then(|value| FastraceContext::decode_w3c_traceparent(value.to_str().ok()?))
            .or_else(|| Some(FastraceContext::random().sampled(roots)))
    }
}

fn fastrace_tower(path: &Path) -> FastraceServerLayer {
    FastraceServerLayer::default().with_span_context_extractor(extract(path))
}

fn fastrace_tonic(path: &Path) -> fastrace_tonic::FastraceServerLayer {
    fastrace_tonic::FastraceServerLayer::default().with_span_context_extractor(extract(path))
}

fn fastrace_axum(path: &Path) -> FastraceLayer {
    let extract = extract(path);
    FastraceLayer::default().with_span_context_extractor(move |request| extract(request.headers()))
}

/// What one writes to have tower-http's spans go to OpenTelemetry.
#[derive(Clone, Copy, Debug)]
struct MakeSpan;

#[derive(Clone, Copy, Debug)]
struct OnResponse;

impl<B> tower_http::trace::MakeSpan<B> for MakeSpan {
    fn make_span(&mut self, request: &Request<B>) -> tracing::Span {
        let route = request.extensions().get::<axum::extract::MatchedPath>();
        let span = tracing::info_span!(
            "request",
            otel.name = Empty,
            otel.kind = "server",
            otel.status_code = Empty,
            http.request.method = %request.method(),
            http.route = Empty,
            url.path = request.uri().path(),
            url.query = request.uri().query(),
            http.response.status_code = Empty,
        );
        if let Some(route) = route {
            span.record("http.route", route.as_str());
            span.record(
                "otel.name",
                format!("{} {}", request.method(), route.as_str()),
            );
        }
        let parent = opentelemetry::global::get_text_map_propagator(|propagator| {
            propagator.extract(&HeaderExtractor(request.headers()))
        });
        // Says so if there is no subscriber; nothing else can be done about it.
        let _ = span.set_parent(parent);
        span
    }
}

impl<B> tower_http::trace::OnResponse<B> for OnResponse {
    fn on_response(self, response: &Response<B>, _latency: Duration, span: &tracing::Span) {
        span.record(
            "http.response.status_code",
            i64::from(response.status().as_u16()),
        );
        if response.status().is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
    }
}
