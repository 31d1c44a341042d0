//! The current span goes along to other tasks and threads where it is carried.

use opentelemetry::context::FutureExt;
use tower::buffer::Buffer;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use towline_span::carry::{CarryLayer, ResumeLayer, carry};
use towline_span::{Outcome, SpanLayer};
use towline_test_support::{
    Probe, ScriptedFuture, ScriptedService, TestTracing, assert_child_of, assert_outcome,
    assert_root, current_span_context,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn across_a_spawned_task() {
    let tracing = TestTracing::always();
    let spans = tracing.spans();
    let inner = tracing.spans();
    let request = spans.span("request").run(async move {
        let task = async move {
            tokio::task::yield_now().await;
            inner
                .span("task")
                .run(ScriptedFuture::ready(()).after(3))
                .await;
        };
        tokio::spawn(task.with_current_context()).await
    });
    tokio::spawn(request).await.unwrap().unwrap();
    assert_root(&tracing.named("request"));
    assert_child_of(
        &tracing.named("task"),
        &tracing.named("request").span_context,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn across_a_blocking_thread() {
    let tracing = TestTracing::always();
    let inner = tracing.spans();
    let request = tracing.spans().span("request").run(async move {
        let hash = carry(move || inner.span("hash").call(|| 42));
        tokio::task::spawn_blocking(hash).await
    });
    assert_eq!(request.await.unwrap(), 42);
    assert_child_of(
        &tracing.named("hash"),
        &tracing.named("request").span_context,
    );
    let left = tokio::task::spawn_blocking(current_span_context)
        .await
        .unwrap();
    assert!(!left.is_valid());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_span_around_a_spawned_future_needs_no_carrying() {
    let (tracing, probe) = (TestTracing::always(), Probe::new());
    let work = probe.observe(ScriptedFuture::ready(()).after(5));
    tokio::spawn(tracing.spans().span("work").run(work))
        .await
        .unwrap();
    probe.assert_inside(&tracing.only().span_context);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn across_a_buffer() {
    let (tracing, probe) = (TestTracing::always(), Probe::new());
    let backend = ScriptedService::new(&probe, |n: u32| {
        ScriptedFuture::ready(Ok::<_, std::io::Error>(n + 1)).after(2)
    });
    let service = ServiceBuilder::new()
        .layer(SpanLayer::new(tracing.spans(), "request"))
        .layer(CarryLayer::new())
        .buffer(4)
        .layer(ResumeLayer::new())
        .layer(SpanLayer::new(tracing.spans(), "backend"))
        .service(backend);
    let calls = (0..8).map(|n| {
        let mut service = service.clone();
        tokio::spawn(async move { service.ready().await?.call(n).await })
    });
    for (n, call) in futures_util::future::join_all(calls)
        .await
        .into_iter()
        .enumerate()
    {
        assert_eq!(call.unwrap().unwrap(), n as u32 + 1);
    }
    let (requests, backends): (Vec<_>, Vec<_>) = tracing
        .finished()
        .into_iter()
        .partition(|span| span.name == "request");
    assert_eq!((requests.len(), backends.len()), (8, 8));
    for request in &requests {
        assert_root(request);
        assert_outcome(request, Outcome::Completed);
        let children = backends
            .iter()
            .filter(|backend| backend.parent_span_id == request.span_context.span_id());
        for child in children.clone() {
            assert_child_of(child, &request.span_context);
        }
        assert_eq!(children.count(), 1);
    }
}

#[tokio::test]
async fn a_buffer_without_carrying_loses_the_parent() {
    let tracing = TestTracing::always();
    let backend =
        SpanLayer::new(tracing.spans(), "backend").layer(tower::service_fn(async |(): ()| {
            Ok::<_, std::io::Error>(())
        }));
    let mut service = SpanLayer::new(tracing.spans(), "request").layer(Buffer::new(backend, 4));
    service.ready().await.unwrap().call(()).await.unwrap();
    assert_root(&tracing.named("backend"));
}

#[tokio::test]
async fn resume_is_current_in_call_and_in_every_poll_and_nowhere_else() {
    let (tracing, probe) = (TestTracing::always(), Probe::new());
    let inner = ScriptedService::new(&probe, |(): ()| {
        ScriptedFuture::ready(Ok::<_, String>(())).after(2)
    });
    let mut service = ServiceBuilder::new()
        .layer(SpanLayer::new(tracing.spans(), "work"))
        .layer(CarryLayer::new())
        .layer(ResumeLayer::new())
        .service(inner);
    let call = service.ready().await.unwrap().call(());
    call.await.unwrap();
    assert!(!current_span_context().is_valid());
    assert_eq!((probe.readies(), probe.calls(), probe.polls()), (1, 1, 3));
    probe.assert_inside(&tracing.only().span_context);
}

#[test]
fn carry_gives_back_what_was_current_before() {
    let tracing = TestTracing::always();
    let carried = tracing
        .spans()
        .span("a")
        .call(|| carry(current_span_context));
    let inside = tracing.spans().span("b").call(|| {
        let before = current_span_context();
        let inside = carried();
        assert_eq!(current_span_context(), before);
        inside
    });
    assert_eq!(inside.span_id(), tracing.named("a").span_context.span_id());
}
