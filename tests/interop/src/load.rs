//! The same spans, over and over, for as long as it takes to measure what they cost.

use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc;
use tower::{Service, ServiceExt};
use towline_otlp::policy::Backoff;
use towline_otlp::{Batch, Exporter};

use crate::hard;

/// Requests of the same number of spans.
#[derive(Debug)]
pub struct Load {
    batch: Batch,
    requests: usize,
}

// === impl Load ===

impl Load {
    /// So many requests of so many spans of a server, with all the attributes that OpenTelemetry
    /// wants of one.
    #[must_use]
    pub fn new(requests: usize, spans: usize) -> Self {
        let spans: Vec<_> = hard::plain(spans as u64)
            .into_iter()
            .map(span_of_server)
            .collect();
        let resource = Resource::builder().with_service_name("users").build();
        Self {
            batch: Batch::encode(&resource, &spans),
            requests,
        }
    }

    /// How many requests those are.
    #[must_use]
    pub const fn requests(&self) -> usize {
        self.requests
    }

    /// All spans of it.
    #[must_use]
    pub const fn spans(&self) -> u64 {
        (self.requests * self.batch.spans()) as u64
    }

    /// What one request takes, uncompressed.
    #[must_use]
    pub const fn request_bytes(&self) -> usize {
        self.batch.len_bytes()
    }

    /// Sends it over one connection, [`AT_A_TIME`] requests at a time, and waits until all of them
    /// are acknowledged and `arrived` says that so many spans are where they should be.
    ///
    /// # Panics
    ///
    /// When a request is not acknowledged, or spans do not arrive.
    pub fn send(&self, url: &str, arrived: impl Fn() -> u64) {
        let before = arrived();
        let (_processor, exporter) = Exporter::builder()
            .url(url)
            .backoff(Backoff::none())
            .attempt_timeout(DEADLINE)
            .build()
            .expect("an exporter");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            // A request may go when one of those before it is back.
            let (free, mut freed) = mpsc::channel(AT_A_TIME);
            for _ in 0..AT_A_TIME {
                free.try_send(()).expect("room for all of them");
            }
            for _ in 0..self.requests {
                freed.recv().await.expect("a place");
                let (mut service, free) = (exporter.service(), free.clone());
                let answer = service
                    .ready()
                    .await
                    .expect("ready")
                    .call(self.batch.clone());
                tokio::spawn(async move {
                    answer.await.expect("an acknowledgement");
                    free.send(()).await.expect("somebody who waits");
                });
            }
            for _ in 0..AT_A_TIME {
                freed.recv().await.expect("a place");
            }
        });
        let (started, expected) = (Instant::now(), before + self.spans());
        while arrived() < expected {
            assert!(
                started.elapsed() < DEADLINE,
                "{} of {expected} spans",
                arrived()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(arrived(), expected, "spans that were never sent");
    }
}

fn span_of_server(span: SpanData) -> SpanData {
    let id = span.span_context.span_id();
    let trace_id = TraceId::from_bytes([7; 16]);
    SpanData {
        span_context: SpanContext::new(trace_id, id, TraceFlags::SAMPLED, false, TraceState::NONE),
        parent_span_id: SpanId::from_bytes([9; 8]),
        parent_span_is_remote: true,
        name: "GET /users/{id}".into(),
        attributes: vec![
            KeyValue::new("http.request.method", "GET"),
            KeyValue::new("url.scheme", "https"),
            KeyValue::new("url.path", "/users/42"),
            KeyValue::new("url.query", "q=abc"),
            KeyValue::new("http.route", "/users/{id}"),
            KeyValue::new("server.address", "users.example.com"),
            KeyValue::new("server.port", 443),
            KeyValue::new("client.address", "192.0.2.17"),
            KeyValue::new("network.peer.address", "192.0.2.17"),
            KeyValue::new("network.peer.port", 54_321),
            KeyValue::new("network.protocol.version", "2"),
            KeyValue::new("user_agent.original", "curl/8.5.0"),
            KeyValue::new("http.response.status_code", 200),
        ],
        ..span
    }
}

/// Requests that are under way: as of many clients, and enough of them that what is held back for a moment has company.
pub const AT_A_TIME: usize = 128;

/// Generous: it is the machine's CPU time that is looked at.
const DEADLINE: Duration = Duration::from_secs(120);
