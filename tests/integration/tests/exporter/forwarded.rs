//! From clients through a forwarder to a collector that fails: what a client counts as exported has
//! arrived, with the client's name on it, and what has not arrived the client counts as dropped.
//!
//! `TOWLINE_SEED` runs one seed alone, as in `accounted_for`.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderValue, header};
use opentelemetry::trace::SpanId;
use opentelemetry_sdk::trace::SpanProcessor;
use tokio::net::TcpListener;
use tower::Layer;
use towline_forwarder::stamp::FORWARDED_FOR;
use towline_forwarder::{BearerTokens, CoalesceLayer, Forwarder, Identity};
use towline_otlp::policy::Backoff;
use towline_otlp::{ClientOptions, Exporter, Stats};
use towline_test_support::collector::{Answer, Collector, Refusal};
use towline_test_support::{Mix, number_of, numbered_span};

use crate::accounted_for::for_seeds;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const CLIENTS: [&str; 3] = ["alice", "bob", "carol"];

/// Of each client; the numbers of the first one begin with 1.
const SPANS: u64 = 60;

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

#[test]
fn what_a_client_counts_as_exported_has_arrived_under_its_name() {
    for_seeds(0..60, 8, |seed| {
        let collector = Collector::builder().mix(mix(seed)).start();
        let url = match seed % 2 {
            0 => collector.grpc_url(),
            _ => collector.http_url(),
        };
        let (_processor, exporter) = Exporter::builder()
            .url(url)
            .backoff(backoff(Duration::from_millis(300)))
            .build()
            .unwrap();
        let merges = seed % 4 == 3;
        // Over HTTP/2 all requests share a connection, and a reset takes the answers of all: what had
        // arrived is sent again. So is what was merged, where the answer to the whole is not one for each.
        let exactly = seed % 2 == 1 && !merges;
        let builder = Forwarder::builder().authorize(tokens());
        let forwarder = match merges {
            true => {
                let coalesce = CoalesceLayer::new().max_delay(Duration::from_millis(2));
                builder.exporter(coalesce.layer(exporter.service())).build()
            }
            false => builder.exporter(exporter.service()).build(),
        };
        let server = Server::start(forwarder.clone());

        let stats = std::thread::scope(|scope| {
            let address = server.address;
            let clients = CLIENTS.iter().enumerate();
            let clients = clients.map(|(index, name)| {
                scope.spawn(move || client(seed + index as u64, index as u64, name, address))
            });
            let clients: Vec<_> = clients.collect();
            if seed.is_multiple_of(3) {
                collector.restart();
            }
            let stats = clients.into_iter().map(|client| client.join().unwrap());
            stats.collect::<Vec<_>>()
        });

        assert!(collector.unusable_requests().is_empty());
        assert_stamped(&collector);
        assert_told(&collector.accepted(), &stats, exactly);
        let spans = forwarder.stats().spans;
        assert_eq!(spans.in_flight, 0);
        let settled = spans.forwarded + spans.rejected + spans.failed + spans.cancelled;
        assert_eq!(spans.received, settled, "{spans:?}");
        assert_eq!(forwarder.held_bytes(), 0);
    });
}

fn mix(seed: u64) -> Mix<Answer> {
    Mix::new(seed)
        .weight(14, Answer::ok())
        .weight(3, Answer::status(Refusal::Unavailable))
        .weight(2, Answer::status(Refusal::InvalidArgument))
        .weight(2, Answer::status(Refusal::Unauthenticated))
        .weight(2, Answer::partial(1, "one is old"))
        .weight(1, Answer::reset())
        .weight(1, Answer::close())
        .weight(1, Answer::reset_mid_body())
        .weight(1, Answer::garbage(vec![0xff; 300]))
}

fn backoff(in_all: Duration) -> Backoff {
    Backoff::new()
        .initial(Duration::from_millis(2))
        .max_delay(Duration::from_millis(20))
        .max_elapsed(in_all)
}

fn tokens() -> BearerTokens {
    CLIENTS.iter().fold(BearerTokens::new(), |tokens, name| {
        tokens.token(format!("of-{name}"), Identity::new(*name).unwrap())
    })
}

/// A program with an exporter of its own, whose backend is the forwarder.
fn client(seed: u64, index: u64, name: &str, forwarder: SocketAddr) -> Stats {
    let token = HeaderValue::try_from(format!("Bearer of-{name}")).unwrap();
    let scheme = if seed.is_multiple_of(2) {
        "grpc"
    } else {
        "http"
    };
    let (processor, exporter) = Exporter::builder()
        .url(format!("{scheme}://{forwarder}"))
        .client(ClientOptions::new().header(header::AUTHORIZATION, token))
        .batch_spans(1 + seed as usize % 9)
        .concurrency(1 + seed as usize % 3)
        .backoff(backoff(Duration::from_secs(2)))
        .build()
        .unwrap();
    for number in 1..=SPANS {
        processor.on_end(numbered_span(index * SPANS + number));
        if number % 8 == 0 {
            let _ = exporter.blocking_flush(DAY);
        }
    }
    match exporter.blocking_shutdown(DAY) {
        Ok(summary) => summary.stats,
        Err(error) => error.stats(),
    }
}

/// Each span that arrived says whose it is, and nothing else does.
#[track_caller]
fn assert_stamped(collector: &Collector) {
    for request in collector.requests() {
        for span in request.spans() {
            let id = <[u8; 8]>::try_from(&span.span_id[..]).unwrap();
            let owner = (number_of(SpanId::from_bytes(id)) - 1) / SPANS;
            let stamps = span
                .attributes
                .iter()
                .filter(|one| one.key == FORWARDED_FOR);
            let stamps: Vec<_> = stamps.map(|one| format!("{:?}", one.value)).collect();
            assert_eq!(stamps.len(), 1, "{stamps:?}");
            assert!(stamps[0].contains(CLIENTS[owner as usize]), "{stamps:?}");
        }
    }
}

#[track_caller]
fn assert_told(accepted: &HashMap<SpanId, usize>, stats: &[Stats], exactly: bool) {
    for (index, stats) in stats.iter().enumerate() {
        let name = CLIENTS[index];
        assert_eq!(stats.ended, SPANS, "{name}: {stats:?}");
        assert_eq!(
            stats.ended,
            stats.exported + stats.dropped.total(),
            "{name}"
        );
        let mine = |id: &&SpanId| (number_of(**id) - 1) / SPANS == index as u64;
        let arrived: HashSet<_> = accepted.keys().filter(mine).collect();
        assert!(stats.exported <= arrived.len() as u64, "{name}: {stats:?}");
        if exactly {
            assert_eq!(stats.exported, arrived.len() as u64, "{name}: {stats:?}");
            assert!(arrived.iter().all(|id| accepted[*id] == 1), "{name}");
        }
    }
}

/// A forwarder behind a socket of both protocols.
struct Server {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start(forwarder: Forwarder) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new()
            .route_service(EXPORT, forwarder.grpc())
            .route_service("/v1/traces", forwarder.http());
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            address,
            _runtime: runtime,
        }
    }
}
