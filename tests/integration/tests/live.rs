//! Everything that can be changed while serving is changed ten thousand times, under requests: no span is
//! recorded in half, none is lost from the accounts, and no trace is cut.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use futures_util::future::join_all;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use opentelemetry::trace::SpanId;
use opentelemetry_sdk::trace::SpanData;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};
use towline::{Filter, Limit, Rate, Towline};
use towline_integration::{
    Body, Protocol, Server, ask, client, empty, proxy, read, scripted, within,
};
use towline_span::Outcome;
use towline_test_support::transport::MemoryTransport;
use towline_test_support::{
    BodyStep, Memory, assert_no_duplicate_attributes, assert_outcome, attribute,
};

const CHANGES: u32 = 10_000;

const CALLERS: u64 = 8;

const REQUESTS_EACH: usize = 150;

/// A program that passes requests on, with an exporter, and what it has recorded.
struct Program {
    tracing: Towline,
    /// What the SDK has recorded, where it does.
    memory: Option<Memory>,
    backend: MemoryTransport,
    proxy: Server,
    _upstream: Server,
}

impl Program {
    async fn start(by_sdk: bool) -> Self {
        let (memory, backend) = (by_sdk.then(Memory::new), MemoryTransport::accepting());
        let mut builder = Towline::builder()
            .with_environment(towline::Environment::empty())
            .with_transport(backend.clone());
        if let Some(memory) = &memory {
            builder = builder.with_span_processor(memory.clone());
        }
        let tracing = builder.build().unwrap();
        // Answers with the context that has arrived.
        let upstream = Server::start(service_fn(|request: Request<Incoming>| {
            let (body, _probe) = scripted([
                BodyStep::Data(said(request.headers()).into()),
                BodyStep::Pending,
                BodyStep::data("."),
            ]);
            async { Ok::<_, Infallible>(Response::new(body)) }
        }))
        .await;
        let forward = tracing.http_client().layer(client(Protocol::Http1));
        let service = proxy(forward, upstream.address(), Protocol::Http1);
        let proxy = Server::start(tracing.http_server().layer(service)).await;
        Self {
            tracing,
            memory,
            backend,
            proxy,
            _upstream: upstream,
        }
    }

    /// One change of something.
    fn change(tracing: &Towline, random: &mut fastrand::Rng) {
        let control = tracing.control();
        match random.u8(..4) {
            0 => control.set_enabled(random.bool()),
            1 => {
                let rates = [
                    Rate::NEVER,
                    Rate::ALWAYS,
                    Rate::per_million(500_000).unwrap(),
                ];
                control.set_rate(rates[random.usize(..3)]);
            }
            2 => {
                let limit = random.bool().then(|| Limit::per_second(random.u32(..50)));
                control.set_remote_limit(limit);
            }
            _ => {
                let filters = random.bool().then(|| Filter::path_prefix("/skipped"));
                tracing.filters().set(filters);
            }
        }
    }

    /// That every span that began is whole and has been exported, once.
    async fn assert_accounted_for(&self) {
        within(self.tracing.flush(Duration::from_secs(30)))
            .await
            .unwrap();
        let stats = self.tracing.stats();
        assert_eq!(stats.exported, stats.ended, "{stats:?}");
        let accepted = self.backend.accepted();
        assert_eq!(accepted.len() as u64, stats.ended);
        assert!(accepted.values().all(|times| *times == 1));
        self.assert_arrived_whole();
        if let Some(memory) = &self.memory {
            let finished = memory.finished();
            assert_eq!(finished.len(), memory.started());
            let ids: HashMap<SpanId, usize> = finished
                .iter()
                .map(|span| (span.span_context.span_id(), 1))
                .collect();
            assert_eq!(accepted, ids);
            finished.iter().for_each(assert_whole);
        }
    }

    /// That each span has the attributes of its start and of its end, each of them once.
    fn assert_arrived_whole(&self) {
        let requests = self.backend.attempts().into_iter();
        for scope in requests
            .flat_map(|attempt| attempt.request().resource_spans)
            .flat_map(|resource| resource.scope_spans)
        {
            for span in scope.spans {
                let keys: Vec<_> = span.attributes.iter().map(|it| &*it.key).collect();
                assert_eq!(
                    keys.len(),
                    keys.iter().collect::<HashSet<_>>().len(),
                    "{span:?}"
                );
                for key in WHOLE.iter().chain(&["http.response.status_code"]) {
                    assert!(keys.contains(key), "{key}: {span:?}");
                }
                assert!(!keys.contains(&"towline.outcome"), "{span:?}");
                assert!(span.start_time_unix_nano > 0, "{span:?}");
                assert!(
                    span.end_time_unix_nano >= span.start_time_unix_nano,
                    "{span:?}"
                );
            }
        }
    }

    /// Waits until so many spans have ended in all; those that are too many are found by the next one at the
    /// latest.
    async fn until_ended(&self, spans: u64) {
        let ended = || self.tracing.stats().ended;
        within(async {
            while ended() < spans {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(ended(), spans);
    }
}

/// `traceparent`, as often as it has arrived, and `baggage`.
fn said(headers: &HeaderMap) -> String {
    let values = |name| {
        let values = headers.get_all(name).iter();
        let values: Vec<_> = values.map(|value| value.to_str().unwrap()).collect();
        values.join("+")
    };
    format!("{} {}", values("traceparent"), values("baggage"))
}

#[track_caller]
fn assert_whole(span: &SpanData) {
    assert_no_duplicate_attributes(span);
    assert_outcome(span, Outcome::Completed);
    for key in WHOLE {
        assert!(attribute(span, key).is_some(), "{key}: {span:?}");
    }
    let status = attribute(span, "http.response.status_code");
    assert_eq!(status, Some(200.into()));
}

/// What every span has, beside its status.
const WHOLE: &[&str] = &[
    "http.request.method",
    "server.address",
    "server.port",
    "network.protocol.version",
];

type Client = BoxCloneSyncService<Request<Body>, Response<Incoming>, String>;

/// Sends a request of this trace, and sees that it arrives as part of it. Answers whether it arrived
/// sampled.
async fn send(client: Client, uri: &str, trace: u128, sampled: bool) -> bool {
    let request = Request::get(uri)
        .header(
            "traceparent",
            format!("00-{trace:032x}-00000000000000ff-0{}", u8::from(sampled)),
        )
        .header("baggage", "user=ada")
        .body(empty())
        .unwrap();
    let answer = read(ask(client, request).await).await;
    let answer = String::from_utf8(answer.data.to_vec()).unwrap();
    let expected = format!("00-{trace:032x}-");
    assert!(answer.starts_with(&expected), "{answer}: {expected}");
    assert_eq!(
        answer.len(),
        "00-".len() + 32 + 1 + 16 + 3 + " user=ada.".len()
    );
    assert!(answer.ends_with(" user=ada."), "{answer}");
    &answer[54..55] == "1"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_changed_under_requests_is_seen_whole_and_loses_nothing() {
    change_under_requests(Program::start(false).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_where_the_sdk_records() {
    change_under_requests(Program::start(true).await).await;
}

async fn change_under_requests(program: Program) {
    let new_client = || -> Client {
        BoxCloneSyncService::new(client::<Body>(Protocol::Http1).map_err(|error| error.to_string()))
    };
    let client = new_client();

    let served = Arc::new(AtomicBool::new(false));
    let changing = thread::spawn({
        let (tracing, served) = (program.tracing.clone(), Arc::clone(&served));
        move || {
            let mut random = fastrand::Rng::with_seed(17);
            let mut changes = 0;
            while changes < CHANGES || !served.load(Ordering::Acquire) {
                Program::change(&tracing, &mut random);
                changes += 1;
                thread::yield_now();
            }
        }
    });
    let callers = (0..CALLERS).map(|caller| {
        let client = client.clone();
        let uris = ["/users", "/skipped/healthz"].map(|path| program.proxy.uri(path).to_string());
        tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(caller);
            let mut arrived = HashSet::new();
            for _ in 0..REQUESTS_EACH {
                let trace = random.u128(1..);
                let uri = &uris[random.usize(..2)];
                let sampled = random.bool();
                arrived.insert(send(client.clone(), uri, trace, sampled).await);
            }
            arrived
        })
    });
    let arrived: HashSet<_> = join_all(callers)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    served.store(true, Ordering::Release);
    changing.join().unwrap();
    assert_eq!(arrived.len(), 2, "all sampled, or none");
    assert!(program.tracing.stats().ended > 0);

    drop(client);
    within(program.proxy.idle()).await;

    // The next request does as it was said last.
    let client = new_client();
    let mut ended = program.tracing.stats().ended;
    let tracing = &program.tracing;
    let control = tracing.control();
    control.set_enabled(true);
    control.set_rate(Rate::NEVER);
    control.set_remote_limit(None);
    tracing.filters().set([]);
    let uri = program.proxy.uri("/users").to_string();
    for (enabled, limit, filters, spans) in [
        (true, None, None, 2),
        (false, None, None, 0),
        (true, None, None, 2),
        (true, Some(Limit::per_second(0)), None, 0),
        (true, None, None, 2),
        // The server's is left out; the client's is not.
        (true, None, Some(Filter::path("/users")), 1),
        (true, None, None, 2),
    ] {
        control.set_enabled(enabled);
        control.set_remote_limit(limit);
        tracing.filters().set(filters);
        let arrived = send(client.clone(), &uri, 7, true).await;
        assert_eq!(arrived, limit.is_none());
        ended += spans;
        program.until_ended(ended).await;
    }
    control.set_rate(Rate::ALWAYS);
    control.set_remote_limit(Some(Limit::per_second(0)));
    assert!(
        send(client.clone(), &uri, 7, true).await,
        "the rate decides"
    );
    program.until_ended(ended + 2).await;

    drop(client);
    within(program.proxy.idle()).await;
    program.assert_accounted_for().await;
}
