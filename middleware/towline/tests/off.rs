//! Off is off: alone in its process, so that threads, sockets and log lines can be counted.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod support;

use std::convert::Infallible;
use std::fs;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use support::Log;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use towline::otlp::Stats;
use towline::{Config, Environment, Towline};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn off_has_no_thread_no_socket_and_no_log_line_and_passes_contexts_on() {
    let environment = || Environment::from_iter([("OTEL_BSP_MAX_QUEUE_SIZE", "junk")]);
    let ways: [fn() -> Towline; 4] = [
        Towline::off,
        || Towline::from_config(Config::new().with_enabled(false)).unwrap(),
        || {
            let config = Config::from_yaml(
                "tracing_service: { enabled: no, exporter_url: 'grpc://collector' }",
            );
            Towline::from_config(config.unwrap()).unwrap()
        },
        || {
            let builder = Towline::builder().with_config(
                Config::new()
                    .with_exporter_url("grpc://collector")
                    .with_ca_certs(["/nowhere"]),
            );
            builder
                .with_environment(Environment::empty())
                .build()
                .unwrap()
        },
    ];
    let before = (count("/proc/self/task"), sockets());
    let ((), lines) = Log::of(|| {
        let tracing = Towline::builder().with_environment(environment()).build();
        use_it(&tracing.unwrap());
        let report = Towline::builder()
            .with_environment(Environment::empty())
            .with_transport(towline::otlp::Discard::new())
            .check();
        assert!(report.is_ok() && report.is_enabled());
        for make in ways {
            use_it(&make());
        }
    });
    assert_eq!(lines, Vec::<String>::new());
    assert_eq!((count("/proc/self/task"), sockets()), before);
}

fn use_it(tracing: &Towline) {
    assert!(!tracing.is_enabled());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let app = || {
            ServiceBuilder::new()
                .layer(tracing.http_server())
                .layer(tracing.span_layer("test", "handler"))
                .layer(tracing.http_client())
                .service(service_fn(|request: Request<()>| async move {
                    let sent = request.headers().get("traceparent").cloned();
                    let body = sent.map_or(Bytes::new(), |value| {
                        Bytes::copy_from_slice(value.as_bytes())
                    });
                    Ok::<_, Infallible>(Response::new(Full::new(body)))
                }))
        };
        let mut service = app();
        let request = Request::get("/")
            .header("traceparent", TRACEPARENT)
            .body(());
        let response = service.ready().await.unwrap().call(request.unwrap());
        let body = response.await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), TRACEPARENT);

        let response = app()
            .oneshot(Request::get("/").body(()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "");

        let deadline = std::time::Duration::from_secs(1);
        tracing.flush(deadline).await.unwrap();
        assert_eq!(tracing.shutdown(deadline).await.unwrap(), Stats::default());
        assert_eq!(tracing.shutdown(deadline).await.unwrap(), Stats::default());
    });
    assert_eq!(tracing.stats(), Stats::default());
}

fn count(directory: &str) -> usize {
    fs::read_dir(directory).unwrap().count()
}

fn sockets() -> usize {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
    targets
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}
