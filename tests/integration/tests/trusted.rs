//! Strangers and peers that are known, at a proxy before a server: what each can have recorded, and what
//! of theirs arrives behind it.

use std::collections::HashSet;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use opentelemetry::trace::{SpanKind, TraceState};
use opentelemetry_sdk::trace::{SdkTracer, SpanData};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tower::service_fn;
use towline_examples::proxy;
use towline_http::server::{PeerAddr, TraceLayer, TrustedProxies};
use towline_http::{SampledFlag, Trust};
use towline_integration::{Hop, Server, assert_nested, full, within};
use towline_sampler::{Limit, Limiter};
use towline_test_support::{Caller, assert_child_of, assert_root};

type ServerLayer = TraceLayer<SdkTracer>;

/// The proxy of the examples, which copies headers, before a server that tells what it gets.
struct Edge {
    hop: Hop,
    known: Arc<Mutex<HashSet<SocketAddr>>>,
    address: SocketAddr,
    heads: mpsc::UnboundedReceiver<HeaderMap>,
    _upstream: Server,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Edge {
    /// Peers that are known are trusted, others so.
    async fn start(hop: Hop, strangers: Trust) -> Self {
        Self::start_with(hop, strangers, |layer| layer).await
    }

    /// The same, with more options of its layer.
    async fn start_with(
        hop: Hop,
        strangers: Trust,
        options: impl FnOnce(ServerLayer) -> ServerLayer,
    ) -> Self {
        let (tell, heads) = mpsc::unbounded_channel();
        let upstream = Server::start(service_fn(move |request: Request<Incoming>| {
            tell.send(request.headers().clone()).unwrap();
            async { Ok::<_, Infallible>(Response::new(full("from upstream"))) }
        }))
        .await;
        let known = Arc::<Mutex<HashSet<SocketAddr>>>::default();
        let peers = Arc::clone(&known);
        let server = hop.server_layer().with_trust_by(move |request| {
            let peer = request.extensions.get::<PeerAddr>();
            if peer.is_some_and(|peer| peers.lock().unwrap().contains(&peer.0)) {
                Trust::parent()
            } else {
                strangers.clone()
            }
        });
        let authority = upstream.address().to_string().parse().unwrap();
        let server = options(server);
        let service = proxy::service(authority, Some(server), Some(hop.client_layer()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            proxy::serve(listener, service, stopped).await.unwrap();
        });
        Self {
            hop,
            known,
            address,
            heads,
            _upstream: upstream,
            stop,
            serving,
        }
    }

    /// Sends a request from a socket of its own, and answers what arrives upstream.
    async fn ask(&mut self, known: bool, headers: &[(&str, String)]) -> HeaderMap {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let own = socket.local_addr().unwrap();
        let is_known = &self.known;
        if known {
            is_known.lock().unwrap().insert(own);
        } else {
            // The port may have been that of a known one.
            is_known.lock().unwrap().remove(&own);
        }
        let mut request = "GET /users HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n".to_owned();
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let exchange = async {
            let mut stream = socket.connect(self.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut response = String::new();
            stream.read_to_string(&mut response).await.unwrap();
            response
        };
        let response = within(exchange).await;
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        assert!(response.contains("from upstream"), "{response}");
        within(self.heads.recv()).await.unwrap()
    }

    async fn stop(self) {
        let Self { stop, serving, .. } = self;
        stop.send(()).unwrap();
        within(serving).await.unwrap();
    }
}

/// A sampled caller of this trace, with more than anybody needs: 16 KB of `tracestate`, which is all that
/// is legal, and 60 KB of baggage.
fn greedy(trace: u128) -> Vec<(&'static str, String)> {
    let members: Vec<_> = (0..32)
        .map(|n| format!("k{n:0>200}={}", "v".repeat(250)))
        .collect();
    let baggage: Vec<_> = (0..60)
        .map(|n| format!("b{n}={}", "x".repeat(1_000)))
        .collect();
    let (state, more) = members.split_at(16);
    vec![
        (
            "traceparent",
            format!("00-{trace:032x}-b7ad6b7169203331-01"),
        ),
        ("tracestate", state.join(",")),
        ("tracestate", more.join(",")),
        ("baggage", baggage.join(",")),
    ]
}

fn trace_id(headers: &HeaderMap) -> u128 {
    let sent = headers["traceparent"].to_str().unwrap();
    u128::from_str_radix(&sent[3..35], 16).unwrap()
}

fn is_sampled(headers: &HeaderMap) -> bool {
    headers["traceparent"].to_str().unwrap().ends_with('1')
        || headers["traceparent"].to_str().unwrap().ends_with('3')
}

fn len(headers: &HeaderMap, name: &str) -> usize {
    headers.get_all(name).iter().map(|value| value.len()).sum()
}

fn of_kind(spans: &[SpanData], kind: SpanKind) -> Vec<SpanData> {
    let of_kind = spans.iter().filter(|span| span.span_kind == kind);
    of_kind.cloned().collect()
}

#[tokio::test]
async fn a_stranger_has_nothing_recorded_and_nothing_passed_on() {
    for strangers in [Trust::link(), Trust::ignore()] {
        let mut edge = Edge::start(Hop::never(), strangers).await;
        let upstream = edge.ask(false, &greedy(Caller::TRACE_ID)).await;
        assert_ne!(trace_id(&upstream), Caller::TRACE_ID);
        assert!(!is_sampled(&upstream));
        assert_eq!(
            (len(&upstream, "tracestate"), len(&upstream, "baggage")),
            (0, 0)
        );
        // The same from one that is known is recorded, at rate 0.
        edge.ask(true, &greedy(Caller::TRACE_ID)).await;
        let (server, _client) = edge.hop.server_and_client().await;
        assert_child_of(&server, &Caller::sampled().span_context());
        edge.stop().await;
    }
}

#[tokio::test]
async fn a_stranger_that_is_linked_to_is_recorded_as_the_rate_says_without_its_list() {
    let mut edge = Edge::start(Hop::always(), Trust::link()).await;
    let upstream = edge.ask(false, &greedy(Caller::TRACE_ID)).await;
    let (server, client) = edge.hop.server_and_client().await;
    assert_root(&server);
    assert_nested(&client, &server);
    assert_eq!(upstream.get_all("traceparent").iter().count(), 1);
    assert_eq!(
        trace_id(&upstream).to_be_bytes(),
        server.span_context.trace_id().to_bytes()
    );
    let link = &server.links[0].span_context;
    let caller = Caller::sampled().span_context();
    assert_eq!(
        (link.trace_id(), link.span_id()),
        (caller.trace_id(), caller.span_id())
    );
    assert_eq!(link.trace_state(), &TraceState::NONE);
    assert!(client.links.is_empty());
    edge.stop().await;
}

#[tokio::test]
async fn who_is_known_joins_its_trace_and_brings_along_what_the_limits_allow() {
    let mut edge = Edge::start(Hop::never(), Trust::ignore()).await;
    let upstream = edge.ask(true, &greedy(Caller::TRACE_ID)).await;
    let (server, client) = edge.hop.server_and_client().await;
    assert_child_of(&server, &Caller::sampled().span_context());
    assert!(server.parent_span_is_remote && server.links.is_empty());
    assert_nested(&client, &server);
    assert_eq!(trace_id(&upstream), Caller::TRACE_ID);
    assert!(is_sampled(&upstream));
    for (name, limit) in [("tracestate", 4096), ("baggage", 8192)] {
        assert_eq!(upstream.get_all(name).iter().count(), 1, "{name}");
        let len = len(&upstream, name);
        assert!((1..=limit).contains(&len), "{name}: {len}");
    }
    edge.stop().await;
}

#[tokio::test]
async fn a_stranger_may_join_its_trace_and_yet_force_nothing() {
    let strangers = Trust::parent()
        .with_sampled(SampledFlag::Ignore)
        .with_baggage(false);
    let mut edge = Edge::start(Hop::never(), strangers).await;
    let upstream = edge.ask(false, &greedy(Caller::TRACE_ID)).await;
    assert_eq!(trace_id(&upstream), Caller::TRACE_ID);
    assert!(!is_sampled(&upstream));
    assert_eq!(len(&upstream, "baggage"), 0);
    edge.hop.ended(0).await;
    // Nor hide anything.
    edge.hop.control().set_rate(towline_sampler::Rate::ALWAYS);
    let hidden = Caller::not_sampled().traceparent();
    let upstream = edge.ask(false, &[("traceparent", hidden)]).await;
    assert!(is_sampled(&upstream));
    let (server, _client) = edge.hop.server_and_client().await;
    assert_child_of(&server, &Caller::not_sampled().span_context());
    edge.stop().await;
}

#[tokio::test]
async fn strangers_together_have_so_many_traces_recorded_and_the_known_as_many_as_they_want() {
    let limiter = Limiter::with_clock(Limit::per_second(3), || Duration::ZERO);
    let strangers = Trust::parent().with_sampled(SampledFlag::Limit(limiter));
    let mut edge = Edge::start(Hop::never(), strangers).await;
    let mut admitted = Vec::new();
    for trace in 1..=10 {
        let upstream = edge.ask(false, &greedy(trace)).await;
        assert_eq!(trace_id(&upstream), trace);
        if is_sampled(&upstream) {
            admitted.push(trace);
        }
        assert!(is_sampled(&edge.ask(true, &greedy(100 + trace)).await));
    }
    assert_eq!(admitted, [1, 2, 3]);
    // What was admitted goes on, and what was not does not.
    assert!(is_sampled(&edge.ask(false, &greedy(2)).await));
    assert!(!is_sampled(&edge.ask(false, &greedy(9)).await));
    let spans = edge.hop.ended(2 * (3 + 10 + 1)).await;
    assert_eq!(of_kind(&spans, SpanKind::Server).len(), 14);
    edge.stop().await;
}

#[tokio::test]
async fn a_limit_of_the_control_holds_for_everybody() {
    let mut edge = Edge::start(Hop::never(), Trust::parent()).await;
    let control = edge.hop.control();
    control.set_remote_limit(Some(Limit::per_second(0)));
    for known in [true, false] {
        let upstream = edge.ask(known, &greedy(1)).await;
        assert!(!is_sampled(&upstream));
        assert_eq!(trace_id(&upstream), 1);
    }
    edge.hop.ended(0).await;
    control.set_remote_limit(None);
    assert!(is_sampled(&edge.ask(false, &greedy(2)).await));
    edge.hop.ended(2).await;
    edge.stop().await;
}

#[tokio::test]
async fn a_proxy_that_is_off_passes_on_who_is_known_and_nothing_of_a_stranger() {
    let mut edge = Edge::start(Hop::off(), Trust::link()).await;
    let upstream = edge.ask(false, &greedy(1)).await;
    for name in ["traceparent", "tracestate", "baggage"] {
        assert_eq!(upstream.get(name), None);
    }
    let sent = greedy(2);
    let upstream = edge.ask(true, &sent).await;
    assert_eq!(upstream["traceparent"], sent[0].1);
    edge.hop.ended(0).await;
    edge.stop().await;
}

/// What a caller writes about itself counts only where it comes from a proxy that is named.
#[tokio::test]
async fn forged_forwarded_headers_are_a_stranger_s_word_and_a_named_proxy_s_are_believed() {
    let forged = [
        ("traceparent", Caller::sampled().traceparent()),
        (
            "forwarded",
            "for=203.0.113.9;proto=https;host=bank.example".to_owned(),
        ),
        ("x-forwarded-for", "203.0.113.9".to_owned()),
        ("x-forwarded-proto", "https".to_owned()),
        ("x-forwarded-host", "bank.example".to_owned()),
    ];
    for (proxies, is_believed) in [
        (None, false),
        (Some("10.0.0.0/8"), false),
        (Some("127.0.0.0/8"), true),
    ] {
        let mut edge = Edge::start_with(Hop::never(), Trust::parent(), |layer| match proxies {
            Some(network) => {
                layer.with_trusted_proxies(TrustedProxies::networks([network]).unwrap())
            }
            None => layer,
        })
        .await;
        let upstream = edge.ask(true, &forged).await;
        // It is for whoever is behind to believe it or not.
        assert_eq!(upstream["x-forwarded-for"], "203.0.113.9");
        let (server, _client) = edge.hop.server_and_client().await;
        let attribute = |key: &str| {
            let found = server.attributes.iter().find(|one| one.key.as_str() == key);
            found.map(|one| one.value.to_string())
        };
        let own = (
            attribute("network.peer.address"),
            attribute("client.address"),
        );
        assert_eq!(own.0.as_deref(), Some("127.0.0.1"));
        let expected = match is_believed {
            true => ["203.0.113.9", "https", "bank.example"],
            false => ["127.0.0.1", "http", "edge"],
        };
        assert_eq!(own.1.as_deref(), Some(expected[0]), "{proxies:?}");
        assert_eq!(attribute("url.scheme").as_deref(), Some(expected[1]));
        assert_eq!(attribute("server.address").as_deref(), Some(expected[2]));
        edge.stop().await;
    }
}
