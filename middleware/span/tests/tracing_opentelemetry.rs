//! Spans of `tracing`, by way of tracing-opentelemetry, nest with ours in both directions.

use opentelemetry::trace::Tracer;
use towline_test_support::{ScriptedFuture, TestTracing, assert_child_of, assert_root};
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

fn subscriber(tracing: &TestTracing) -> tracing::Dispatch {
    let layer = tracing_opentelemetry::layer().with_tracer(tracing.tracer());
    tracing_subscriber::registry().with(layer).into()
}

#[tokio::test]
async fn a_span_of_tracing_goes_under_ours_and_ours_under_it() {
    let kit = TestTracing::always();
    let _default = tracing::dispatcher::set_default(&subscriber(&kit));
    let spans = kit.spans();
    spans
        .span("request")
        .run(async {
            tokio::task::yield_now().await;
            spans
                .span("cache")
                .run(ScriptedFuture::ready(()).after(1))
                .instrument(tracing::info_span!("handler"))
                .await;
            let handler = tracing::info_span!("other");
            handler.in_scope(|| spans.span("backend").call(|| ()));
        })
        .await;
    let request = kit.named("request");
    assert_root(&request);
    assert_child_of(&kit.named("handler"), &request.span_context);
    assert_child_of(&kit.named("other"), &request.span_context);
    assert_child_of(&kit.named("backend"), &kit.named("other").span_context);
}

#[tokio::test]
async fn the_plain_api_sees_ours_inside_an_instrumented_future() {
    let kit = TestTracing::always();
    let _default = tracing::dispatcher::set_default(&subscriber(&kit));
    let (spans, tracer) = (kit.spans(), kit.tracer());
    async {
        tokio::task::yield_now().await;
        let work = async {
            tokio::task::yield_now().await;
            tracer.in_span("plain", |_| ());
        };
        spans.span("work").run(work).await;
    }
    .instrument(tracing::info_span!("task"))
    .await;
    assert_child_of(&kit.named("plain"), &kit.named("work").span_context);
    assert_child_of(&kit.named("work"), &kit.named("task").span_context);
}
