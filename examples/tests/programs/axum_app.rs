use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use towline_examples::spans;

use crate::process::{Program, config};

#[tokio::test]
async fn the_app_joins_a_foreign_trace_at_rate_0() {
    let dir = tempfile::tempdir().unwrap();
    let app = Program::start(
        env!("CARGO_BIN_EXE_axum-app"),
        &["--config", &config(dir.path(), "hello")],
    );
    let client = Client::builder(TokioExecutor::new()).build_http();
    for traceparent in [
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        Some("00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-00"),
        None,
    ] {
        let mut request = Request::get(format!("http://{}/hello/Ada", app.address()));
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
        let response = client.request(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "Hello, Ada!\n");
    }
    drop(client);
    app.stop();

    // Only the caller that was sampled has its trace recorded.
    let spans = spans::read(&dir.path().join("spans")).unwrap();
    assert_eq!(spans.len(), 1);
    let span = &spans[0];
    assert_eq!(span.service, "hello");
    assert_eq!(span.name, "GET /hello/{name}");
    assert_eq!(span.kind, "server");
    assert_eq!(span.trace_id, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(span.parent_id, "b7ad6b7169203331");
    assert_eq!(span.attributes["client.address"], "127.0.0.1");
}
