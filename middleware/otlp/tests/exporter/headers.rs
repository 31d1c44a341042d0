//! Headers that go along, and who says that it is us.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanProcessor;
use tower::ServiceExt;
use towline_otlp::policy::Backoff;
use towline_otlp::{
    Batch, BoxTransport, ClientOptions, Endpoint, Exporter, Grpc, Http, TransportErrorKind,
};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::SubscriberExt;

use crate::support::collector::{GrpcCollector, HttpCollector, nobody};
use crate::support::spans::span;

fn batch() -> Batch {
    Batch::encode(&Resource::builder_empty().build(), [&span(0)])
}

fn options() -> ClientOptions {
    let mut more = HeaderMap::new();
    more.append("x-team", HeaderValue::from_static("hunter2-a"));
    more.append("x-team", HeaderValue::from_static("hunter2-b"));
    ClientOptions::new()
        .header(AUTHORIZATION, HeaderValue::from_static("Bearer hunter2"))
        .headers(more)
        .user_agent("users/1.0")
}

#[tokio::test]
async fn headers_arrive_and_a_product_stands_before_ours() {
    let (grpc, http) = (GrpcCollector::accepting(), HttpCollector::accepting());
    for url in [grpc.url(), http.url()] {
        let endpoint = Endpoint::parse(&url).unwrap();
        let transport = BoxTransport::connect_with(&endpoint, &options()).unwrap();
        // Every time, not only the first.
        for _ in 0..2 {
            transport.clone().oneshot(batch()).await.unwrap();
        }
    }
    let metadata = grpc.metadata().into_iter().map(|map| map.into_headers());
    let headers = http
        .requests()
        .into_iter()
        .map(|request| request.headers().clone());
    let all: Vec<_> = metadata.chain(headers).collect();
    assert_eq!(all.len(), 4);
    for headers in all {
        assert_eq!(headers[AUTHORIZATION], "Bearer hunter2");
        let team: Vec<_> = headers.get_all("x-team").iter().collect();
        assert_eq!(team, ["hunter2-a", "hunter2-b"]);
        let agent = headers["user-agent"].to_str().unwrap();
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!("users/1.0 towline/{version} OTel-OTLP-Exporter-Rust/{version}");
        assert_eq!(agent, expected);
    }
}

#[test]
fn a_header_of_the_protocol_is_refused_at_once_and_named() {
    for url in ["grpc://host", "http://host", "unix:///socket"] {
        for name in [
            "content-type",
            "te",
            "host",
            "content-length",
            "grpc-timeout",
        ] {
            let options = ClientOptions::new().header(
                HeaderName::from_static(name),
                HeaderValue::from_static("hunter2"),
            );
            let endpoint = Endpoint::parse(url).unwrap();
            let error = BoxTransport::connect_with(&endpoint, &options).unwrap_err();
            assert_eq!(error.kind(), TransportErrorKind::Option);
            assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}

/// Every field of every event.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Log {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Fields<'a>(&'a mut String);
        impl Visit for Fields<'_> {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                let _ = writeln!(self.0, "{field}={value:?}");
            }
        }
        event.record(&mut Fields(&mut self.0.lock().unwrap()));
    }
}

#[test]
fn values_are_shown_nowhere() {
    let endpoint = |scheme| Endpoint::parse(&format!("{scheme}://{}", nobody())).unwrap();
    let grpc = Grpc::with_options(&endpoint("grpc"), &options()).unwrap();
    let http = Http::with_options(&endpoint("http"), &options()).unwrap();
    let mut shown = format!("{:?} {grpc:?} {http:?}", options());
    assert!(shown.contains("authorization"), "{shown}");

    let log = Log::default();
    let program = tracing::Dispatch::new(tracing_subscriber::registry().with(log.clone()));
    for scheme in ["grpc", "http"] {
        let builder = Exporter::builder()
            .endpoint(endpoint(scheme))
            .client(options())
            .backoff(Backoff::none());
        write!(shown, "{builder:?}").unwrap();
        let (processor, exporter) =
            tracing::dispatcher::with_default(&program, || builder.build().unwrap());
        processor.on_end(span(0));
        let error = exporter
            .blocking_shutdown(Duration::from_secs(30))
            .unwrap_err();
        write!(shown, "{error:?} {exporter:?} {processor:?}").unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let error = runtime.block_on(grpc.oneshot(batch())).unwrap_err();
    write!(shown, "{error} {error:?} {:?}", error.source()).unwrap();
    let error = runtime.block_on(http.oneshot(batch())).unwrap_err();
    write!(shown, "{error} {error:?} {:?}", error.source()).unwrap();

    let log = log.0.lock().unwrap().clone();
    assert!(log.contains("cannot be reached"), "{log}");
    assert!(!format!("{shown}{log}").contains("hunter2"), "{shown}{log}");
}
