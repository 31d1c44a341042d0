//! Enabled with no backend: a developer's machine. The log is not about that.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod support;

use std::convert::Infallible;
use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use support::Log;
use tower::{Layer, Service, ServiceExt, service_fn};
use towline::{Config, Environment, Rate, Towline};

const REQUESTS: u64 = 10_000;
const LONG: Duration = Duration::from_secs(60);

/// Batches are sent all along, each fails, and few spans find room; all of it is in the counts.
#[test]
fn ten_thousand_requests_without_a_backend_are_the_line_at_start_and_one_more() {
    for scheme in ["grpc", "http"] {
        // Nobody listens there any more.
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let config = Config::new()
            .with_enabled(true)
            .with_exporter_url(format!("{scheme}://{address}"))
            .with_sampling_rate(Rate::ALWAYS)
            .with_flush_interval(Duration::from_millis(1))
            .with_retry_initial_delay(Duration::from_millis(1))
            .with_retry_max_delay(Duration::from_millis(2))
            .with_retry_max_elapsed(Duration::from_millis(20))
            .with_buffer_spans(1000);
        let (stats, lines) = Log::of(|| {
            let tracing = Towline::builder()
                .with_environment(Environment::empty())
                .with_config(config)
                .build()
                .unwrap();
            serve(&tracing);
            // At least one batch has failed for good.
            drop(tracing.blocking_flush(LONG));
            match tracing.blocking_shutdown(LONG) {
                Ok(stats) => stats,
                Err(error) => error.stats(),
            }
        });
        assert_eq!((stats.ended, stats.exported), (REQUESTS, 0));
        assert!(stats.failed_attempts > 0, "{stats:?}");
        assert!(lines[0].contains("tracing is on exporter="), "{lines:?}");
        assert!(lines.len() <= 2, "{lines:?}");
    }
}

fn serve(tracing: &Towline) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut service =
            tracing
                .http_server()
                .layer(service_fn(|_: Request<Empty<Bytes>>| async {
                    Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
                }));
        for _ in 0..REQUESTS {
            let request = Request::get("http://users.example.com/users/42?q=a");
            let request = request.body(Empty::new()).unwrap();
            let response = service.ready().await.unwrap().call(request).await.unwrap();
            response.into_body().collect().await.unwrap();
        }
    });
}
