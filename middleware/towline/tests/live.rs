//! What is changed while the program serves.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod support;

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::Empty;
use support::Log;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use towline::otlp::Discard;
use towline::{Environment, Filter, Limit, Rate, Towline};

fn started() -> Towline {
    let builder = Towline::builder()
        .with_environment(Environment::empty())
        .with_sampling_rate(Rate::ALWAYS)
        .with_transport(Discard::new());
    builder.build().unwrap()
}

async fn ask(tracing: &Towline, path: &str) {
    let service = ServiceBuilder::new()
        .layer(tracing.http_server())
        .service(service_fn(async |_: Request<()>| {
            Ok::<_, Infallible>(Response::new(Empty::<&[u8]>::new()))
        }));
    let request = Request::get(path).body(()).unwrap();
    service.oneshot(request).await.unwrap();
}

#[test]
fn each_change_is_told_once_and_the_end_is_none() {
    let tracing = started();
    let ((), lines) = Log::of(|| {
        for _ in 0..2 {
            let control = tracing.control();
            control.set_rate(Rate::per_million(10_000).unwrap());
            control.set_remote_limit(Some(Limit::per_second(5).with_burst(7)));
            control.set_enabled(false);
        }
        tracing.control().set_enabled(true);
        tracing.control().set_remote_limit(None);
        tracing.filters().set([Filter::path("/healthz")]);
        // Layers and clones are the same tracing.
        drop(tracing.clone().http_server());
        tracing.blocking_shutdown(Duration::from_secs(10)).unwrap();
        tracing.control().set_rate(Rate::NEVER);
        tracing.filters().set([]);
    });
    for (line, part) in lines.iter().zip([
        "sampling_rate_per_million=10000",
        "limit=5 per second, 7 at once",
        "recording is switched off",
        "recording is switched on",
        "are not limited",
        "filters=1",
    ]) {
        assert!(
            line.contains("INFO") && line.contains(part),
            "{line}: {part}"
        );
    }
    assert_eq!(lines.len(), 6, "{lines:?}");
}

#[tokio::test]
async fn the_filters_of_the_handle_are_those_of_its_servers() {
    let tracing = started();
    ask(&tracing, "/healthz").await;
    tracing.filters().set([Filter::path("/healthz")]);
    ask(&tracing, "/healthz").await;
    ask(&tracing, "/users").await;
    let stats = tracing.shutdown(Duration::from_secs(10)).await.unwrap();
    assert_eq!((stats.ended, stats.exported), (2, 2));
}
