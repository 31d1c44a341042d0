//! A span around a stream lasts as long as the stream.

use futures_util::stream::{self, StreamExt};
use futures_util::{FutureExt, Stream};
use opentelemetry::trace::Status;
use towline_span::{ERROR_TYPE, Outcome};
use towline_test_support::{
    Probe, TestTracing, assert_outcome, current_span_context, error_description, poll_once,
    text_attribute,
};

#[tokio::test]
async fn a_stream_that_runs_to_its_end_has_completed() {
    let (tracing, probe) = (TestTracing::always(), Probe::new());
    let items = probe.observe(stream::iter([1, 2, 3]));
    let mut work = tracing.spans().span("work").stream(items);
    for expected in [1, 2, 3] {
        assert_eq!(work.next().await, Some(expected));
        tracing.assert_not_ended();
        assert!(!current_span_context().is_valid());
    }
    assert_eq!(work.next().await, None);
    let span = tracing.only();
    assert_outcome(&span, Outcome::Completed);
    assert_eq!(span.status, Status::Unset);
    assert_eq!(probe.polls(), 4);
    probe.assert_inside(&span.span_context);
    drop(work);
    tracing.only();
}

#[tokio::test]
async fn an_empty_stream_has_completed() {
    let tracing = TestTracing::always();
    let items: Vec<u8> = tracing
        .spans()
        .span("work")
        .stream(stream::empty::<u8>())
        .collect()
        .await;
    assert!(items.is_empty());
    assert_outcome(&tracing.only(), Outcome::Completed);
}

#[test]
fn a_stream_dropped_before_its_first_item_was_cancelled_before_the_response() {
    let tracing = TestTracing::always();
    drop(tracing.spans().span("unpolled").stream(stream::iter([1])));
    let mut pending = tracing
        .spans()
        .span("pending")
        .stream(stream::pending::<u8>());
    assert!(poll_once(&mut pending.next()).is_pending());
    drop(pending);
    for name in ["unpolled", "pending"] {
        let span = tracing.named(name);
        assert_outcome(&span, Outcome::CancelledBeforeResponse);
        assert_eq!(span.status, Status::Unset);
    }
}

#[test]
fn a_stream_dropped_after_an_item_was_cancelled_during_the_body() {
    let tracing = TestTracing::always();
    let mut work = tracing.spans().span("work").stream(stream::iter([1, 2]));
    assert_eq!(work.next().now_or_never(), Some(Some(1)));
    drop(work);
    let span = tracing.only();
    assert_outcome(&span, Outcome::CancelledDuringBody);
    assert_eq!(span.status, Status::Unset);
}

#[tokio::test]
async fn the_first_error_of_a_tried_stream_ends_the_span_and_not_the_stream() {
    let tracing = TestTracing::always();
    let items = [Ok(1), Err("torn page"), Ok(2), Err("lost"), Ok(3)];
    let mut work = tracing.spans().span("work").try_stream(stream::iter(items));
    assert_eq!(work.next().await, Some(Ok(1)));
    assert_eq!(work.next().await, Some(Err("torn page")));
    let span = tracing.only();
    assert_outcome(&span, Outcome::Failed);
    assert_eq!(error_description(&span), Some("torn page"));
    assert_eq!(text_attribute(&span, ERROR_TYPE).as_deref(), Some("&str"));
    let rest: Vec<_> = work.collect().await;
    assert_eq!(rest, [Ok(2), Err("lost"), Ok(3)]);
    assert_eq!(error_description(&tracing.only()), Some("torn page"));
}

#[tokio::test]
async fn an_error_is_an_item_like_others_where_it_is_not_tried() {
    let tracing = TestTracing::always();
    let items = stream::iter([Err::<u8, _>("no"), Ok(1)]);
    let items: Vec<_> = tracing.spans().span("work").stream(items).collect().await;
    assert_eq!(items, [Err("no"), Ok(1)]);
    assert_outcome(&tracing.only(), Outcome::Completed);
    assert_eq!(tracing.only().status, Status::Unset);
}

#[test]
fn the_size_hint_is_that_of_the_stream() {
    let tracing = TestTracing::always();
    let mut work = tracing.spans().span("work").stream(stream::iter([1, 2, 3]));
    assert_eq!(work.size_hint(), (3, Some(3)));
    let _ = work.next().now_or_never();
    assert_eq!(work.size_hint(), (2, Some(2)));
    let unknown = tracing
        .spans()
        .span("work")
        .stream(stream::iter([1]).filter(|_| std::future::ready(true)));
    assert_eq!(unknown.size_hint(), (0, Some(1)));
}

#[tokio::test]
async fn a_stream_that_is_not_recorded_gives_the_same_items() {
    for tracing in [TestTracing::never(), TestTracing::off()] {
        let items: Vec<_> = tracing
            .spans()
            .span("work")
            .try_stream(stream::iter([Ok(1), Err("no"), Ok(2)]))
            .collect()
            .await;
        assert_eq!(items, [Ok(1), Err("no"), Ok(2)]);
        tracing.assert_none();
    }
}
