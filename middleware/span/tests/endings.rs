//! A span ends exactly once, and says how.

use std::fmt;
use std::time::Duration;

use opentelemetry::trace::Status;
use opentelemetry::{Context, KeyValue};
use tower::{Layer, Service, ServiceExt};
use towline_span::{ERROR_TYPE, Failure, OUTCOME, Outcome, SpanLayer};
use towline_test_support::{
    Probe, ScriptedFuture, ScriptedService, TestTracing, assert_outcome, assert_root, attribute,
    error_description, poll_once, text_attribute,
};

#[derive(Debug, PartialEq)]
struct Missing(&'static str);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {}", self.0)
    }
}

/// The one span, which must have ended with this outcome and, if it is a failure, this error.
#[track_caller]
fn assert_ended(tracing: &TestTracing, outcome: Outcome, error: Option<(&str, &str)>) {
    let span = tracing.only();
    assert_eq!(tracing.started(), 1);
    assert_outcome(&span, outcome);
    assert_eq!(
        text_attribute(&span, ERROR_TYPE).as_deref(),
        error.map(|(error_type, _)| error_type)
    );
    assert_eq!(error_description(&span), error.map(|(_, text)| text));
    // Never `Ok`, which would refuse the application's own error.
    assert_eq!(span.status == Status::Unset, error.is_none());
    assert!(span.end_time >= span.start_time);
    assert_root(&span);
}

const MISSING: Option<(&str, &str)> = Some(("endings::Missing", "no key"));

#[tokio::test]
async fn a_future_that_is_ready_has_completed() {
    let tracing = TestTracing::always();
    let work = tracing
        .spans()
        .span("work")
        .run(ScriptedFuture::ready(1).after(2));
    tracing.assert_not_ended();
    assert_eq!(work.await, 1);
    assert_ended(&tracing, Outcome::Completed, None);
}

#[tokio::test]
async fn a_result_is_an_error_only_where_it_is_tried() {
    let tracing = TestTracing::always();
    let spans = tracing.spans();
    let work = || ScriptedFuture::ready(Err::<u8, _>(Missing("key"))).after(1);
    assert_eq!(spans.span("work").run(work()).await, Err(Missing("key")));
    assert_ended(&tracing, Outcome::Completed, None);
    tracing.reset();
    assert_eq!(
        spans.span("work").try_run(work()).await,
        Err(Missing("key"))
    );
    assert_ended(&tracing, Outcome::Failed, MISSING);
    tracing.reset();
    let ok = ScriptedFuture::ready(Ok::<u8, Missing>(1));
    assert_eq!(spans.span("work").try_run(ok).await, Ok(1));
    assert_ended(&tracing, Outcome::Completed, None);
}

#[test]
fn a_closure_ends_its_span_before_it_gives_back() {
    let tracing = TestTracing::always();
    let spans = tracing.spans();
    assert_eq!(
        spans.span("work").call(|| Err::<u8, _>(Missing("key"))),
        Err(Missing("key"))
    );
    assert_ended(&tracing, Outcome::Completed, None);
    tracing.reset();
    assert_eq!(
        spans.span("work").try_call(|| Err::<u8, _>(Missing("key"))),
        Err(Missing("key"))
    );
    assert_ended(&tracing, Outcome::Failed, MISSING);
    tracing.reset();
    assert_eq!(spans.span("work").try_call(|| Ok::<_, Missing>(1)), Ok(1));
    assert_ended(&tracing, Outcome::Completed, None);
}

#[tokio::test]
async fn a_service_call_is_an_error_if_its_result_is() {
    let tracing = TestTracing::always();
    let probe = Probe::new();
    let mut service = SpanLayer::new(tracing.spans(), "work")
        .layer(ScriptedService::new(&probe, |ok: bool| {
            ScriptedFuture::ready(ok.then_some(1).ok_or(Missing("key"))).after(1)
        }));
    assert_eq!(service.ready().await.unwrap().call(true).await, Ok(1));
    assert_ended(&tracing, Outcome::Completed, None);
    tracing.reset();
    let failed = service.ready().await.unwrap().call(false).await;
    assert_eq!(failed, Err(Missing("key")));
    assert_ended(&tracing, Outcome::Failed, MISSING);
}

#[tokio::test]
async fn a_classifier_of_ones_own_may_find_a_failure_in_an_ok_and_none_in_an_error() {
    let tracing = TestTracing::always();
    let layer =
        SpanLayer::new(tracing.spans(), "work").with_classify(|result: &Result<u32, Missing>| {
            match result {
                Ok(0) => Some(Failure::new("empty")),
                Ok(_) | Err(Missing(_)) => None,
            }
        });
    let mut service = layer.layer(tower::service_fn(async |n: Option<u32>| {
        n.ok_or(Missing("key"))
    }));
    assert_eq!(service.call(Some(0)).await, Ok(0));
    assert_ended(&tracing, Outcome::Failed, Some(("empty", "")));
    tracing.reset();
    assert_eq!(service.call(None).await, Err(Missing("key")));
    assert_ended(&tracing, Outcome::Completed, None);
}

#[tokio::test]
async fn a_boxed_error_has_no_type_but_its_text() {
    let tracing = TestTracing::always();
    let error = || Err::<(), tower::BoxError>("backend is away".into());
    let _ = tracing.spans().span("work").try_call(error);
    assert_ended(
        &tracing,
        Outcome::Failed,
        Some(("_OTHER", "backend is away")),
    );
}

#[test]
fn a_future_dropped_before_its_first_poll_was_cancelled() {
    let tracing = TestTracing::always();
    let probe = Probe::new();
    drop(
        tracing
            .spans()
            .span("work")
            .run(probe.observe(ScriptedFuture::ready(()))),
    );
    assert_eq!((probe.polls(), probe.drops()), (0, 1));
    assert_ended(&tracing, Outcome::CancelledBeforeResponse, None);
}

#[test]
fn a_future_dropped_half_way_was_cancelled() {
    let tracing = TestTracing::always();
    let mut work = tracing
        .spans()
        .span("work")
        .run(ScriptedFuture::<()>::hanging());
    assert!(poll_once(&mut work).is_pending());
    assert!(poll_once(&mut work).is_pending());
    tracing.assert_not_ended();
    drop(work);
    assert_ended(&tracing, Outcome::CancelledBeforeResponse, None);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_timeout_gives_up_on_was_cancelled() {
    let tracing = TestTracing::always();
    let probe = Probe::new();
    let mut service = SpanLayer::new(tracing.spans(), "work")
        .layer(ScriptedService::new(&probe, |(): ()| {
            ScriptedFuture::<Result<(), Missing>>::hanging()
        }));
    let call = service.ready().await.unwrap().call(());
    assert!(
        tokio::time::timeout(Duration::from_secs(9), call)
            .await
            .is_err()
    );
    assert!(probe.is_dropped());
    assert_ended(&tracing, Outcome::CancelledBeforeResponse, None);
}

#[test]
fn a_call_dropped_before_its_first_poll_was_cancelled() {
    let tracing = TestTracing::always();
    let mut service = SpanLayer::new(tracing.spans(), "work")
        .layer(tower::service_fn(async |(): ()| Ok::<_, Missing>(())));
    drop(service.call(()));
    assert_ended(&tracing, Outcome::CancelledBeforeResponse, None);
}

#[test]
fn the_work_is_dropped_before_its_span_ends() {
    let tracing = TestTracing::always();
    /// Ends as a child span of its own when it is dropped.
    struct Tidies(TestTracing);
    impl Drop for Tidies {
        fn drop(&mut self) {
            self.0.assert_not_ended();
            self.0.spans().span("tidy").call(|| ());
        }
    }
    let tidies = Tidies(tracing.clone());
    drop(tracing.spans().span("work").run(async move {
        let _tidies = tidies;
    }));
    let names: Vec<_> = tracing
        .finished()
        .into_iter()
        .map(|span| span.name)
        .collect();
    assert_eq!(names, ["tidy", "work"]);
}

#[test]
fn a_span_ends_once_although_it_is_polled_ended_and_dropped() {
    let tracing = TestTracing::always();
    let mut work = tracing.spans().span("work").run(ScriptedFuture::ready(()));
    assert!(poll_once(&mut work).is_ready());
    assert_ended(&tracing, Outcome::Completed, None);
    drop(work);
    assert_ended(&tracing, Outcome::Completed, None);
}

#[test]
fn of_several_ends_the_first_counts() {
    let tracing = TestTracing::always();
    let spans = tracing.spans();
    let describe = || opentelemetry::trace::SpanBuilder::from_name("work");
    let mut span = spans.start(&Context::new(), &describe);
    assert!(span.is_recording());
    span.end(
        Outcome::Failed,
        Some(Failure::new("lost").with_description("connection lost")),
        [KeyValue::new("size", 3)],
    );
    assert!(!span.is_recording());
    span.or_else(Outcome::CancelledDuringBody);
    span.end(Outcome::Panicked, None, [KeyValue::new("late", true)]);
    drop(span);
    assert_ended(&tracing, Outcome::Failed, Some(("lost", "connection lost")));
    assert_eq!(attribute(&tracing.only(), "size"), Some(3.into()));
    assert_eq!(attribute(&tracing.only(), "late"), None);
}

#[test]
fn what_a_drop_means_can_be_said_beforehand() {
    let tracing = TestTracing::always();
    let describe = || opentelemetry::trace::SpanBuilder::from_name("work");
    let mut span = tracing.spans().start(&Context::new(), &describe);
    assert_eq!(span.outcome_on_drop(), Outcome::CancelledBeforeResponse);
    span.or_else(Outcome::CancelledDuringBody);
    span.enter(|| ());
    assert_eq!(span.outcome_on_drop(), Outcome::CancelledDuringBody);
    drop(span);
    assert_ended(&tracing, Outcome::CancelledDuringBody, None);
}

#[test]
fn plain_completion_leaves_no_mark() {
    let tracing = TestTracing::always();
    tracing.spans().span("work").call(|| ());
    assert_eq!(attribute(&tracing.only(), OUTCOME), None);
    assert_eq!(tracing.only().attributes, []);
}

thread_local! {
    static LEFT_BEHIND: std::cell::RefCell<Option<Box<dyn std::any::Any>>> =
        const { std::cell::RefCell::new(None) };
}

#[test]
fn a_span_left_in_a_thread_local_ends_with_its_thread() {
    let tracing = TestTracing::always();
    let spans = tracing.spans();
    std::thread::spawn(move || {
        // The context's own thread-local is made after ours, so it is gone when ours is dropped.
        LEFT_BEHIND.with_borrow_mut(|left| *left = None);
        let mut work = spans.span("work").run(ScriptedFuture::<()>::hanging());
        assert!(poll_once(&mut work).is_pending());
        LEFT_BEHIND.with_borrow_mut(|left| *left = Some(Box::new(work)));
    })
    .join()
    .unwrap();
    assert_ended(&tracing, Outcome::CancelledBeforeResponse, None);
}

#[test]
fn a_span_may_end_while_the_current_context_is_borrowed() {
    let tracing = TestTracing::always();
    let work = tracing.spans().span("work").run(ScriptedFuture::ready(()));
    Context::map_current(|_| drop(work));
    assert_ended(&tracing, Outcome::CancelledBeforeResponse, None);
}
