//! The span is current in `call` and in every poll, nowhere else, and what is made there goes under
//! it.

use futures_util::{StreamExt, stream};
use opentelemetry::trace::{Span, SpanBuilder, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use towline_span::SpanLayer;
use towline_test_support::{
    Caller, Probe, ScriptedFuture, ScriptedService, TestTracing, assert_child_of, assert_root,
    attribute, current_span_context, poll_once,
};

#[track_caller]
fn assert_nothing_current() {
    assert!(!current_span_context().is_valid());
}

#[tokio::test]
async fn in_call_and_in_every_poll_of_a_service_but_not_in_its_readiness() {
    let (tracing, probe) = (TestTracing::always(), Probe::new());
    let inner = ScriptedService::new(&probe, |(): ()| {
        ScriptedFuture::ready(Ok::<_, String>(())).after(3)
    });
    let mut service = SpanLayer::new(tracing.spans(), "work").layer(inner);
    let mut call = service.ready().await.unwrap().call(());
    assert_nothing_current();
    while poll_once(&mut call).is_pending() {
        assert_nothing_current();
    }
    assert_nothing_current();
    assert_eq!((probe.calls(), probe.polls()), (1, 4));
    probe.assert_inside(&tracing.only().span_context);
    assert!(!probe.seen_in_ready()[0].is_valid());
}

#[tokio::test]
async fn in_every_poll_of_a_future_and_of_a_stream() {
    let (tracing, probe) = (TestTracing::always(), Probe::new());
    let spans = tracing.spans();
    spans
        .span("work")
        .run(probe.observe(ScriptedFuture::ready(()).after(2)))
        .await;
    assert_eq!(probe.polls(), 3);
    probe.assert_inside(&tracing.only().span_context);

    tracing.reset();
    let probe = Probe::new();
    let items = probe.observe(stream::iter([1, 2]));
    let _: Vec<_> = spans.span("work").stream(items).collect().await;
    assert_eq!(probe.polls(), 3);
    probe.assert_inside(&tracing.only().span_context);
    assert_nothing_current();
}

#[test]
fn in_a_closure() {
    let tracing = TestTracing::always();
    let inside = tracing.spans().span("work").call(current_span_context);
    assert_eq!(inside.span_id(), tracing.only().span_context.span_id());
    assert_nothing_current();
}

#[tokio::test]
async fn what_was_current_outside_is_current_again() {
    let tracing = TestTracing::always();
    let outside = Caller::sampled().context();
    let _attached = outside.clone().attach();
    let mut work = tracing
        .spans()
        .span("work")
        .run(ScriptedFuture::ready(()).after(1));
    assert_eq!(&current_span_context(), outside.span().span_context());
    assert!(poll_once(&mut work).is_pending());
    assert_eq!(&current_span_context(), outside.span().span_context());
    assert!(poll_once(&mut work).is_ready());
    assert_eq!(&current_span_context(), outside.span().span_context());
}

#[derive(Debug, PartialEq)]
struct Tenant(u8);

#[test]
fn other_values_of_the_context_stay_with_it() {
    for tracing in [
        TestTracing::always(),
        TestTracing::never(),
        TestTracing::off(),
    ] {
        let _attached = Context::new().with_value(Tenant(7)).attach();
        let work = tracing
            .spans()
            .span("work")
            .run(async { Context::map_current(|cx| cx.get::<Tenant>().map(|tenant| tenant.0)) });
        drop(_attached);
        let mut work = Box::pin(work);
        assert_eq!(poll_once(&mut work), std::task::Poll::Ready(Some(7)));
    }
}

#[test]
fn the_parent_is_what_is_current_when_the_work_is_given() {
    let tracing = TestTracing::always();
    let spans = tracing.spans();
    let (made, called) = (Caller::sampled().context(), Context::new());
    let work = {
        let _attached = made.clone().attach();
        spans.span("work").run(ScriptedFuture::ready(()))
    };
    let _attached = called.attach();
    drop(work);
    assert_child_of(&tracing.only(), made.span().span_context());
    assert!(tracing.only().parent_span_is_remote);
}

#[tokio::test]
async fn nested_spans_are_children_of_each_other() {
    let tracing = TestTracing::always();
    let spans = tracing.spans();
    let mut service = ServiceBuilder::new()
        .layer(SpanLayer::new(tracing.spans(), "cache"))
        .layer(SpanLayer::new(tracing.spans(), "backend"))
        .service(tower::service_fn(async |(): ()| {
            tokio::task::yield_now().await;
            Ok::<_, String>(tracing.spans().span("decode").call(|| 1))
        }));
    let call = async { service.ready().await.unwrap().call(()).await };
    assert_eq!(spans.span("request").try_run(call).await, Ok(1));
    let chain = ["request", "cache", "backend", "decode"].map(|name| tracing.named(name));
    assert_root(&chain[0]);
    for pair in chain.windows(2) {
        assert_child_of(&pair[1], &pair[0].span_context);
        assert!(!pair[1].parent_span_is_remote);
    }
}

#[tokio::test]
async fn siblings_are_siblings_one_after_the_other_and_side_by_side() {
    let tracing = TestTracing::always();
    let spans = tracing.spans();
    spans
        .span("request")
        .run(async {
            spans
                .span("first")
                .run(ScriptedFuture::ready(()).after(1))
                .await;
            let left = spans.span("left").run(ScriptedFuture::ready(()).after(3));
            let right = spans.span("right").run(ScriptedFuture::ready(()).after(2));
            tokio::join!(left, right);
            spans.span("last").call(|| ());
        })
        .await;
    let request = tracing.named("request");
    for name in ["first", "left", "right", "last"] {
        assert_child_of(&tracing.named(name), &request.span_context);
    }
    assert_nothing_current();
}

#[tokio::test]
async fn a_span_after_an_ended_one_is_a_root_again() {
    let tracing = TestTracing::always();
    let spans = tracing.spans();
    spans
        .span("first")
        .run(ScriptedFuture::ready(()).after(1))
        .await;
    spans.span("second").call(|| ());
    let (first, second) = (tracing.named("first"), tracing.named("second"));
    assert_root(&second);
    assert_ne!(
        first.span_context.trace_id(),
        second.span_context.trace_id()
    );
}

#[tokio::test]
async fn a_span_of_the_plain_api_goes_under_ours_and_ours_under_it() {
    let tracing = TestTracing::always();
    let (spans, tracer) = (tracing.spans(), tracing.tracer());
    spans
        .span("request")
        .run(async {
            tokio::task::yield_now().await;
            tracer.in_span("handler", |_| spans.span("cache").call(|| ()));
            tracer.start("other").end();
        })
        .await;
    let request = tracing.named("request");
    assert_root(&request);
    assert_child_of(&tracing.named("handler"), &request.span_context);
    assert_child_of(&tracing.named("other"), &request.span_context);
    assert_child_of(
        &tracing.named("cache"),
        &tracing.named("handler").span_context,
    );
}

#[tokio::test]
async fn the_work_can_add_to_its_own_span() {
    let tracing = TestTracing::always();
    let work = async {
        tokio::task::yield_now().await;
        Context::map_current(|cx| cx.span().set_attribute(KeyValue::new("hit", true)));
        let cx = Context::current();
        cx.span().update_name("renamed");
        cx.span().add_event("found", vec![]);
        cx.span().record_error(&std::fmt::Error);
        cx.span().add_link(Caller::sampled().span_context(), vec![]);
        assert!(cx.span().is_recording());
    };
    tracing.spans().span("work").run(work).await;
    let span = tracing.only();
    assert_eq!(span.name, "renamed");
    assert_eq!(attribute(&span, "hit"), Some(true.into()));
    let events: Vec<_> = span.events.iter().map(|event| &event.name).collect();
    assert_eq!(events, ["found", "exception"]);
    assert_eq!(span.links[0].span_context, Caller::sampled().span_context());
}

#[tokio::test]
async fn a_span_that_the_work_ended_early_stays_as_it_ended() {
    let tracing = TestTracing::always();
    let end = opentelemetry::time::now() - std::time::Duration::from_secs(3600);
    let work = async {
        Context::current().span().end_with_timestamp(end);
        Err::<(), _>("too late")
    };
    assert_eq!(
        tracing.spans().span("work").try_run(work).await,
        Err("too late")
    );
    let span = tracing.only();
    assert_eq!((span.end_time, span.attributes), (end, vec![]));
}

#[tokio::test]
async fn a_layer_takes_name_kind_and_attributes_from_the_request() {
    use opentelemetry::trace::SpanKind;
    let tracing = TestTracing::always();
    let layer = SpanLayer::new(tracing.spans(), |key: &u32| {
        SpanBuilder::from_name("backend/Get")
            .with_kind(SpanKind::Client)
            .with_attributes([KeyValue::new("key", i64::from(*key))])
    });
    let mut service = layer.layer(tower::service_fn(async |key: u32| Ok::<_, String>(key)));
    assert_eq!(service.call(42).await, Ok(42));
    let span = tracing.only();
    assert_eq!(
        (span.name.as_ref(), span.span_kind.clone()),
        ("backend/Get", SpanKind::Client)
    );
    assert_eq!(attribute(&span, "key"), Some(42.into()));

    tracing.reset();
    let spans = tracing.spans();
    let call = spans
        .span("cache/Get")
        .with_kind(SpanKind::Producer)
        .with_attribute(KeyValue::new("a", 1))
        .with_attribute(KeyValue::new("b", 2));
    call.call(|| ());
    let span = tracing.only();
    assert_eq!(span.span_kind, SpanKind::Producer);
    assert_eq!(attribute(&span, "a"), Some(1.into()));
    assert_eq!(attribute(&span, "b"), Some(2.into()));
}
