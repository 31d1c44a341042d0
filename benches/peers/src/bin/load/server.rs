//! The servers under load.

use std::fmt::Write;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::Path as UserId;
use axum::routing::get;
use axum::serve::ListenerExt;
use axum_tracing_opentelemetry::middleware::OtelAxumLayer;
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider;
use opentelemetry_instrumentation_tower::http::server::LayerBuilder;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SpanLimits;
use tokio::net::TcpListener;
use tower_otel::trace::HttpLayer;
use towline_http::server::TraceLayer;
use towline_peers::floor::{Current, FloorLayer, LeastSpan, LeastTold, Room};
use towline_peers::peers::{CURRENT, LEAST_SPAN, LEAST_TOLD, OURS, PLAIN, subscribe};
use towline_peers::pipeline::{Pipeline, Protocol};
use towline_peers::plain::PlainLayer;
use towline_span::Spans;

/// No layer at all.
pub const BARE: &str = "bare";

/// The same, to see by how much two of a kind differ.
pub const BARE_AGAIN: &str = "bare, once more";

/// A future and a body of its own.
pub const ROOM: &str = "floor: a layer that does nothing";

/// Those that one would pick otherwise.
pub const PEERS: [&str; 4] = [
    PLAIN,
    "opentelemetry-instrumentation-tower",
    "axum-tracing-opentelemetry",
    "tower-otel",
];

/// So many users are on a page.
const PAGE: u32 = 400;

/// So often a score is changed: 65 to 100 µs, by the machine.
const STEPS: u64 = 60_000;

/// Says its port, and ends with its standard input, when all spans are delivered. One worker: the load generator has the other
/// core.
pub fn serve(name: &str, collector: SocketAddr) {
    let pipeline = match name {
        BARE | BARE_AGAIN | ROOM | CURRENT => Pipeline::nothing(),
        OURS | LEAST_SPAN | LEAST_TOLD => Pipeline::ours(Protocol::Grpc, collector),
        _ => Pipeline::sdk(Protocol::Grpc, collector),
    };
    let router = traced(routes(), name, &pipeline);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        pipeline.flush();
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.expect("a runtime starts").block_on(async move {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port is free");
        println!("{}", listener.local_addr().expect("it is bound").port());
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let app = router.into_make_service_with_connect_info::<SocketAddr>();
        // In a task: a worker has it, and not the thread that waits.
        let served = tokio::spawn(async move { axum::serve(listener, app).await });
        served
            .await
            .expect("the server does not panic")
            .expect("the server serves");
    });
}

fn traced(router: Router, name: &str, pipeline: &Pipeline) -> Router {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let tracer = pipeline.provider().tracer("load");
    match (name, pipeline) {
        (BARE | BARE_AGAIN, _) => router,
        (ROOM, _) => router.layer(FloorLayer(Room)),
        (CURRENT, _) => router.layer(FloorLayer(Current::new(false))),
        (LEAST_SPAN, Pipeline::Ours(_, exporter, _)) => {
            router.layer(FloorLayer(LeastSpan::new(exporter)))
        }
        (LEAST_TOLD, Pipeline::Ours(_, exporter, _)) => {
            router.layer(FloorLayer(LeastTold::new(exporter)))
        }
        (OURS, Pipeline::Ours(_, exporter, sampler)) => {
            let scope = InstrumentationScope::builder("load").build();
            let recorder = exporter.recorder(scope, SpanLimits::default());
            let spans = Spans::new(tracer)
                .with_sampler(sampler.clone())
                .with_recorder(Arc::new(recorder));
            router.layer(TraceLayer::from_spans(spans).with_axum())
        }
        (PLAIN, _) => router.layer(PlainLayer::server(tracer)),
        ("opentelemetry-instrumentation-tower", _) => {
            opentelemetry::global::set_tracer_provider(pipeline.provider().clone());
            let layer = LayerBuilder::builder().with_metrics(false).build();
            router.layer(layer.expect("its defaults are valid"))
        }
        ("axum-tracing-opentelemetry", _) => {
            subscribe(tracer);
            router.layer(OtelAxumLayer::default())
        }
        ("tower-otel", _) => {
            subscribe(tracer);
            router.layer(HttpLayer::server(tracing::Level::INFO).trace_body())
        }
        (other, _) => panic!("there is no server {other:?}"),
    }
}

/// One path for each amount of work.
fn routes() -> Router {
    Router::new()
        .route(
            "/users/{id}",
            get(async |UserId(id): UserId<u32>| format!("{{\"id\":{id},\"name\":\"Ada\"}}")),
        )
        .route("/pages/{id}", get(async |UserId(id): UserId<u32>| page(id)))
        .route(
            "/scores/{id}",
            get(async |UserId(id): UserId<u64>| score(id).to_string()),
        )
}

fn page(page: u32) -> String {
    let mut text = String::from("[");
    for user in page * PAGE..(page + 1) * PAGE {
        let comma = if text.len() > 1 { "," } else { "" };
        let _ = write!(text, "{comma}{{\"id\":{user},\"name\":\"Ada {user:06}\"}}");
    }
    text.push(']');
    text
}

/// Takes as long wherever in memory anything stands: processes of one program differ by more than a layer takes otherwise.
fn score(id: u64) -> u64 {
    (0..STEPS).fold(id, |score, step| {
        (score ^ step).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}
