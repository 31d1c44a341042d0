//! A reverse proxy, which is our server layer over our client layer: one more hop of the same trace.

use std::convert::Infallible;

use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc;
use tower::{Layer, service_fn};
use towline_integration::{
    Body, Hop, Nobody, Protocol, Server, ask, assert_joined, assert_nested, client, empty,
    exchange_bytes, full, get, proxy, read, within,
};
use towline_span::Outcome;
use towline_test_support::{Caller, assert_outcome, assert_root, attribute};

/// A server that a proxy stands before, and the heads of the requests that it gets.
struct Upstream {
    hop: Hop,
    server: Server,
    heads: mpsc::UnboundedReceiver<http::request::Parts>,
}

impl Upstream {
    async fn start() -> Self {
        let (tell, heads) = mpsc::unbounded_channel();
        let handler = service_fn(move |request: Request<Incoming>| {
            tell.send(request.into_parts().0).unwrap();
            async { Ok::<_, Infallible>(Response::new(full("from upstream"))) }
        });
        let hop = Hop::always();
        let server = Server::start(hop.server_layer().layer(handler)).await;
        Self { hop, server, heads }
    }

    async fn headers(&mut self) -> HeaderMap {
        within(self.heads.recv()).await.unwrap().headers
    }

    /// A proxy before it.
    async fn behind(&self, hop: &Hop, protocol: Protocol) -> Server {
        let forward = hop.client_layer().layer(client(protocol));
        let proxy = proxy(forward, self.server.address(), protocol);
        Server::start(hop.server_layer().layer(proxy)).await
    }
}

/// What a server would have to see in `traceparent` to be a child of this span.
fn traceparent(span: &SpanData, flags: u8) -> String {
    let context = &span.span_context;
    format!(
        "00-{}-{}-{flags:02x}",
        context.trace_id(),
        context.span_id()
    )
}

#[track_caller]
fn assert_one(headers: &HeaderMap, name: &str, expected: &str) {
    let values: Vec<_> = headers.get_all(name).iter().collect();
    assert_eq!(values, [expected], "{name}");
}

/// That all members have come in one field. OpenTelemetry's `Baggage` knows no order.
#[track_caller]
fn assert_baggage(headers: &HeaderMap) {
    let fields: Vec<_> = headers.get_all("baggage").iter().collect();
    let [field] = fields[..] else {
        panic!("one field expected: {fields:?}");
    };
    let mut members: Vec<_> = field.to_str().unwrap().split(',').collect();
    members.sort_unstable();
    assert_eq!(members, ["shop=7;ttl=60", "user=ada"]);
}

fn from(caller: &Caller, proxy: &Server) -> Request<Body> {
    Request::get(proxy.uri("/"))
        .header("traceparent", caller.traceparent())
        .header("tracestate", "a=1")
        .header("tracestate", "tenant@vendor=2")
        .header("baggage", "user=ada")
        .header("baggage", "shop=7;ttl=60")
        .header("x-other", "copied")
        .body(empty())
        .unwrap()
}

#[tokio::test]
async fn every_hop_is_a_child_of_the_one_before_whatever_they_speak() {
    for below in Protocol::ALL {
        for above in Protocol::ALL {
            let (caller, hop) = (Hop::always(), Hop::always());
            let upstream = Upstream::start().await;
            let proxy = upstream.behind(&hop, above).await;
            let client = caller.client_layer().layer(client(below));
            let answer = read(ask(client, get(proxy.uri("/users/42"))).await).await;
            assert_eq!(answer.data, "from upstream");

            let first = caller.only().await;
            let (server, client) = hop.server_and_client().await;
            let last = upstream.hop.only().await;
            assert_root(&first);
            assert_joined(&server, &first);
            assert_nested(&client, &server);
            assert_joined(&last, &client);
            for (span, protocol) in [
                (&first, below),
                (&server, below),
                (&client, above),
                (&last, above),
            ] {
                assert_outcome(span, Outcome::Completed);
                assert_eq!(
                    attribute(span, "network.protocol.version"),
                    Some(protocol.name().into())
                );
            }
            assert!(
                first.start_time <= server.start_time && server.start_time <= client.start_time
            );
        }
    }
}

#[tokio::test]
async fn there_is_one_traceparent_upstream_and_the_rest_is_kept() {
    for below in Protocol::ALL {
        for above in Protocol::ALL {
            let (mut upstream, hop) = (Upstream::start().await, Hop::never());
            let proxy = upstream.behind(&hop, above).await;
            read(ask(client(below), from(&Caller::sampled(), &proxy)).await).await;

            let headers = upstream.headers().await;
            let (_server, client) = hop.server_and_client().await;
            assert_one(&headers, "traceparent", &traceparent(&client, 0x01));
            assert_one(&headers, "tracestate", "a=1,tenant@vendor=2");
            assert_baggage(&headers);
            assert_one(&headers, "x-other", "copied");
        }
    }
}

#[tokio::test]
async fn an_unsampled_caller_s_trace_goes_on_unsampled() {
    let (mut upstream, hop) = (Upstream::start().await, Hop::always());
    let proxy = upstream.behind(&hop, Protocol::Http1).await;
    let caller = Caller::not_sampled();
    read(ask(client(Protocol::Http1), from(&caller, &proxy)).await).await;

    let headers = upstream.headers().await;
    let sent = headers["traceparent"].to_str().unwrap();
    let trace_id = format!("{:032x}", Caller::TRACE_ID);
    assert!(
        sent.starts_with(&format!("00-{trace_id}-")) && sent.ends_with("-00"),
        "{sent}"
    );
    // A hop of its own, though nobody keeps its spans.
    assert_ne!(sent, caller.traceparent());
    assert_eq!(headers.get_all("traceparent").iter().count(), 1);
    assert_one(&headers, "tracestate", "a=1,tenant@vendor=2");
    assert_baggage(&headers);
    hop.ended(0).await;
    upstream.hop.ended(0).await;
}

#[tokio::test]
async fn a_caller_with_two_traceparents_has_none_and_upstream_gets_one() {
    for above in Protocol::ALL {
        let (mut upstream, hop) = (Upstream::start().await, Hop::always());
        let proxy = upstream.behind(&hop, above).await;
        let mut request = from(&Caller::sampled(), &proxy);
        let second = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            .parse()
            .unwrap();
        request.headers_mut().append("traceparent", second);
        read(ask(client(above), request).await).await;

        let headers = upstream.headers().await;
        let (server, client) = hop.server_and_client().await;
        assert_root(&server);
        assert_one(&headers, "traceparent", &traceparent(&client, 0x03));
        assert_eq!(headers.get("tracestate"), None);
        assert_baggage(&headers);
    }
}

#[tokio::test]
async fn what_is_not_answered_upstream_is_a_failed_client_under_a_failed_server() {
    let hop = Hop::always();
    let nobody = Nobody::there();
    let forward = hop.client_layer().layer(client(Protocol::Http1));
    let service = hop
        .server_layer()
        .layer(proxy(forward, nobody.address(), Protocol::Http1));
    let proxy = Server::start(service).await;
    let answer = exchange_bytes(proxy.address(), "GET / HTTP/1.1\r\nhost: proxy\r\n\r\n").await;
    assert_eq!(answer, "");

    let (server, client) = hop.server_and_client().await;
    assert_nested(&client, &server);
    for span in [&server, &client] {
        assert_outcome(span, Outcome::Failed);
        assert_eq!(
            attribute(span, "error.type"),
            Some("hyper_util::client::legacy::client::Error".into())
        );
    }
}
