//! `Send`, `Sync`, `Unpin` and `Clone` are kept where the things inside have them, and not asked for
//! where they do not.

use std::rc::Rc;

use opentelemetry_sdk::trace::SdkTracer;
use towline_span::carry::{Carried, Carry, CarryLayer, Resume, ResumeLayer};
use towline_span::{
    ErrorText, Failure, NoFailure, OpenSpan, SpanCall, SpanFuture, SpanLayer, SpanService,
    SpanStream, Spans,
};
use towline_test_support::{ScriptedFuture, TestTracing};

fn assert_send<T: Send>() {}
fn assert_sync<T: Sync>() {}
fn assert_unpin<T: Unpin>() {}
fn assert_clone<T: Clone>() {}
fn assert_static<T: 'static>() {}

#[test]
fn everything_is_send_and_sync_and_static_if_the_inside_is() {
    macro_rules! check {
        ($($type:ty),* $(,)?) => {$(
            assert_send::<$type>();
            assert_sync::<$type>();
            assert_static::<$type>();
        )*};
    }
    check!(
        Spans<SdkTracer>,
        OpenSpan,
        Failure,
        SpanLayer<SdkTracer, &'static str>,
        SpanService<(), SdkTracer, &'static str>,
        SpanFuture<ScriptedFuture<()>, ErrorText>,
        SpanStream<ScriptedFuture<()>, NoFailure>,
        SpanCall<'static, SdkTracer>,
        Carried<String>,
        CarryLayer,
        Carry<()>,
        ResumeLayer,
        Resume<()>,
    );
}

#[test]
fn futures_and_streams_are_unpin_if_the_inside_is() {
    assert_unpin::<SpanFuture<ScriptedFuture<()>, ErrorText>>();
    assert_unpin::<SpanStream<ScriptedFuture<()>, ErrorText>>();
}

#[test]
fn what_is_set_up_once_can_be_cloned() {
    assert_clone::<Spans<SdkTracer>>();
    assert_clone::<SpanLayer<SdkTracer, &'static str>>();
    assert_clone::<SpanService<(), SdkTracer, &'static str>>();
    assert_clone::<Carry<()>>();
    assert_clone::<Resume<()>>();
    assert_clone::<Carried<()>>();
}

#[tokio::test(flavor = "current_thread")]
async fn a_future_that_is_not_send_runs_inside_a_span() {
    let tracing = TestTracing::always();
    let shared = Rc::new(3);
    let inner = shared.clone();
    let sum = tracing
        .spans()
        .span("local")
        .run(async move {
            tokio::task::yield_now().await;
            *inner + 1
        })
        .await;
    assert_eq!((sum, Rc::strong_count(&shared)), (4, 1));
    tracing.only();
}

#[test]
fn what_is_public_can_be_debugged() {
    let tracing = TestTracing::always();
    let spans = tracing.spans();
    assert_eq!(
        format!("{:?}", spans.span("cache/Get")),
        "SpanCall { name: \"cache/Get\", .. }"
    );
    for text in [
        format!("{spans:?}"),
        format!("{:?}", SpanLayer::new(spans.clone(), "x")),
        format!("{:?}", spans.span("x").run(ScriptedFuture::ready(()))),
        format!("{:?}", CarryLayer::new()),
    ] {
        assert!(!text.is_empty());
    }
}
