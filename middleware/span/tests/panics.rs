//! A panic ends the span as one, wherever it is caught, and is blamed on no other span.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::{FutureExt, StreamExt, stream};
use opentelemetry::trace::Status;
use opentelemetry_sdk::trace::SpanData;
use tower::{Layer, Service, ServiceExt};
use towline_span::{ERROR_TYPE, Outcome, SpanLayer};
use towline_test_support::{
    Probe, ScriptedFuture, ScriptedService, TestTracing, assert_child_of, assert_outcome,
    current_span_context, poll_once, text_attribute,
};

#[track_caller]
fn assert_panicked(span: &SpanData) {
    assert_outcome(span, Outcome::Panicked);
    assert_eq!(text_attribute(span, ERROR_TYPE).as_deref(), Some("panic"));
    assert_eq!(span.status, Status::error(""));
}

#[track_caller]
fn assert_nothing_current() {
    assert!(!current_span_context().is_valid());
}

#[test]
fn a_closure_that_panics() {
    let tracing = TestTracing::always();
    let spans = tracing.spans();
    assert!(
        catch_unwind(AssertUnwindSafe(|| spans
            .span("work")
            .call(|| panic!("no"))))
        .is_err()
    );
    assert_panicked(&tracing.only());
    assert_nothing_current();
}

#[tokio::test]
async fn a_service_that_panics_in_call() {
    let tracing = TestTracing::always();
    let probe = Probe::new();
    let inner = ScriptedService::new(&probe, |(): ()| -> ScriptedFuture<Result<(), String>> {
        panic!("no")
    });
    let mut service = SpanLayer::new(tracing.spans(), "work").layer(inner);
    service.ready().await.unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(service.call(())))).is_err());
    assert_panicked(&tracing.only());
    assert_nothing_current();
}

#[tokio::test]
async fn a_service_whose_future_panics_under_a_catch_unwind() {
    let tracing = TestTracing::always();
    let probe = Probe::new();
    let inner = ScriptedService::new(&probe, |(): ()| {
        ScriptedFuture::<Result<(), String>>::panicking("no").after(1)
    });
    let mut service = SpanLayer::new(tracing.spans(), "work").layer(inner);
    let call = service.ready().await.unwrap().call(());
    assert!(AssertUnwindSafe(call).catch_unwind().await.is_err());
    assert_panicked(&tracing.only());
    assert_nothing_current();
}

#[test]
fn a_future_that_is_dropped_long_after_its_panic_was_caught() {
    let tracing = TestTracing::always();
    let mut work = tracing
        .spans()
        .span("work")
        .run(ScriptedFuture::<()>::panicking("no"));
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(&mut work))).is_err());
    assert!(!std::thread::panicking());
    assert_nothing_current();
    tracing.assert_not_ended();
    drop(work);
    assert_panicked(&tracing.only());
}

#[test]
fn a_stream_that_panics_after_an_item() {
    let tracing = TestTracing::always();
    let items = stream::iter([1, 0]).map(|n| 1 / n);
    let mut work = tracing.spans().span("work").stream(items);
    assert_eq!(work.next().now_or_never(), Some(Some(1)));
    assert!(catch_unwind(AssertUnwindSafe(|| work.next().now_or_never())).is_err());
    tracing.assert_not_ended();
    drop(work);
    assert_panicked(&tracing.only());
}

#[tokio::test]
async fn a_task_that_panics() {
    let tracing = TestTracing::always();
    let work = ScriptedFuture::<()>::panicking("no").after(1);
    let task = tokio::spawn(tracing.spans().span("work").run(work));
    assert!(task.await.unwrap_err().is_panic());
    assert_panicked(&tracing.only());
}

#[tokio::test]
async fn a_panic_goes_through_every_span_around_it() {
    let tracing = TestTracing::always();
    let spans = tracing.spans();
    let inner = spans
        .span("inner")
        .run(ScriptedFuture::<()>::panicking("no"));
    let outer = spans.span("outer").run(inner);
    assert!(AssertUnwindSafe(outer).catch_unwind().await.is_err());
    assert_panicked(&tracing.named("inner"));
    assert_panicked(&tracing.named("outer"));
}

#[tokio::test]
async fn a_panic_caught_inside_is_not_the_outer_spans() {
    let tracing = TestTracing::always();
    let spans = tracing.spans();
    let inner = spans.span("outer").run(async {
        let inner = spans
            .span("inner")
            .run(ScriptedFuture::<()>::panicking("no"));
        AssertUnwindSafe(inner).catch_unwind().await.is_err()
    });
    assert!(inner.await);
    assert_panicked(&tracing.named("inner"));
    assert_outcome(&tracing.named("outer"), Outcome::Completed);
    assert_child_of(
        &tracing.named("inner"),
        &tracing.named("outer").span_context,
    );
}

#[test]
fn a_future_that_another_panic_sweeps_away_was_cancelled() {
    let tracing = TestTracing::always();
    let spans = tracing.spans();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut bystander = spans.span("bystander").run(ScriptedFuture::<()>::hanging());
        assert!(poll_once(&mut bystander).is_pending());
        let _unpolled = spans.span("unpolled").run(ScriptedFuture::ready(()));
        panic!("something else");
    }));
    assert!(result.is_err());
    for name in ["bystander", "unpolled"] {
        let span = tracing.named(name);
        assert_outcome(&span, Outcome::CancelledBeforeResponse);
        assert_eq!(span.status, Status::Unset);
    }
}

#[test]
fn a_span_opened_and_completed_while_unwinding_has_completed() {
    struct Tidies(TestTracing);
    impl Drop for Tidies {
        fn drop(&mut self) {
            assert!(std::thread::panicking());
            self.0.spans().span("tidy").call(|| ());
            drop(self.0.spans().span("drop").run(ScriptedFuture::ready(())));
        }
    }
    let tracing = TestTracing::always();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _tidies = Tidies(tracing.clone());
        panic!("something else");
    }));
    assert!(result.is_err());
    assert_outcome(&tracing.named("tidy"), Outcome::Completed);
    assert_outcome(&tracing.named("drop"), Outcome::CancelledBeforeResponse);
}

#[test]
fn a_future_that_panicked_and_was_polled_on_ends_as_its_last_poll_did() {
    let tracing = TestTracing::always();
    let mut polls = 0;
    let work = std::future::poll_fn(move |_| {
        polls += 1;
        assert_ne!(polls, 1, "the first poll panics");
        std::task::Poll::Ready(())
    });
    let mut work = tracing.spans().span("work").run(work);
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(&mut work))).is_err());
    assert!(poll_once(&mut work).is_ready());
    assert_outcome(&tracing.only(), Outcome::Completed);
}

#[test]
fn work_that_panics_in_its_own_drop_was_cancelled_and_its_span_ends() {
    struct Explodes;
    impl Drop for Explodes {
        fn drop(&mut self) {
            panic!("no");
        }
    }
    let tracing = TestTracing::always();
    let explodes = Explodes;
    let work = tracing.spans().span("work").run(async move {
        let _explodes = explodes;
    });
    assert!(catch_unwind(AssertUnwindSafe(|| drop(work))).is_err());
    assert_outcome(&tracing.only(), Outcome::CancelledBeforeResponse);
}

/// An error whose text cannot be had.
#[derive(Debug)]
struct Unspeakable;

impl std::fmt::Display for Unspeakable {
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("no text")
    }
}

#[test]
fn an_error_whose_text_panics_is_a_panic_of_the_work() {
    let tracing = TestTracing::always();
    let spans = tracing.spans();
    let work = || spans.span("work").try_call(|| Err::<(), _>(Unspeakable));
    assert!(catch_unwind(AssertUnwindSafe(work)).is_err());
    assert_panicked(&tracing.only());
    tracing.reset();
    let mut work = spans
        .span("work")
        .try_stream(stream::iter([Err::<(), _>(Unspeakable)]));
    assert!(catch_unwind(AssertUnwindSafe(|| work.next().now_or_never())).is_err());
    drop(work);
    assert_panicked(&tracing.only());
}

#[test]
fn a_panic_without_a_span_is_just_a_panic() {
    for tracing in [TestTracing::never(), TestTracing::off()] {
        let mut work = tracing
            .spans()
            .span("work")
            .run(ScriptedFuture::<()>::panicking("no"));
        assert!(catch_unwind(AssertUnwindSafe(|| poll_once(&mut work))).is_err());
        drop(work);
        tracing.assert_none();
        assert_nothing_current();
    }
}
