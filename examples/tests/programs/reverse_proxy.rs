use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use towline_examples::spans;

use crate::process::{Program, config};
use crate::upstream::Upstream;

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async fn get(proxy: &Program, headers: &[(&str, &str)]) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::get(format!("http://{}/some/path?q=1", proxy.address()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "hello");
}

#[tokio::test]
async fn the_proxy_is_two_spans_of_a_foreign_trace_and_sends_one_traceparent() {
    let dir = tempfile::tempdir().unwrap();
    let (upstream, address) = Upstream::start().await;
    let proxy = Program::start(
        env!("CARGO_BIN_EXE_reverse-proxy"),
        &[
            "--upstream",
            &address.to_string(),
            "--config",
            &config(dir.path(), "proxy"),
        ],
    );
    get(
        &proxy,
        &[
            ("traceparent", CALLER),
            ("tracestate", "vendor=1"),
            ("tracestate", "other=2"),
            ("baggage", "tenant=7"),
            ("connection", "x-hop"),
            ("x-hop", "for the proxy only"),
            ("x-end", "for the upstream"),
        ],
    )
    .await;
    proxy.stop();

    let spans = spans::read(&dir.path().join("spans")).unwrap();
    let [server, client] = &spans[..] else {
        panic!("{spans:#?}");
    };
    assert_eq!((server.kind, client.kind), ("server", "client"));
    assert_eq!(server.trace_id, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(server.parent_id, "b7ad6b7169203331");
    assert_eq!(client.parent_id, server.span_id);

    assert_eq!(server.attributes["client.address"], "127.0.0.1");
    assert_eq!(client.attributes["network.peer.address"], "127.0.0.1");
    assert_eq!(
        client.attributes["network.peer.port"],
        address.port().to_string()
    );

    let seen = upstream.take();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].path, "/some/path");
    let expected = format!("00-{}-{}-01", client.trace_id, client.span_id);
    assert_eq!(seen[0].header("traceparent"), Some(&*expected));
    assert_eq!(seen[0].header("tracestate"), Some("vendor=1,other=2"));
    assert_eq!(seen[0].header("baggage"), Some("tenant=7"));
    assert_eq!(seen[0].header("x-end"), Some("for the upstream"));
    assert_eq!(seen[0].header("x-hop"), None);
}

#[tokio::test]
async fn a_proxy_without_configuration_passes_the_trace_on() {
    let (upstream, address) = Upstream::start().await;
    let proxy = Program::start(
        env!("CARGO_BIN_EXE_reverse-proxy"),
        &["--upstream", &address.to_string()],
    );
    get(&proxy, &[("traceparent", CALLER)]).await;
    get(&proxy, &[]).await;
    proxy.stop();

    let seen = upstream.take();
    assert_eq!(seen[0].header("traceparent"), Some(CALLER));
    assert_eq!(seen[1].header("traceparent"), None);
}
