//! The tables of OTLP, answer by answer: what is sent again, and what is not.

use std::time::Duration;

use opentelemetry_sdk::trace::SpanProcessor;
use towline_otlp::policy::Backoff;
use towline_otlp::{Exporter, Processor};
use towline_test_support::collector::{Answer, Collector};
use towline_test_support::numbered_span;

const LONG: Duration = Duration::from_secs(60);

fn exporter(url: String) -> (Processor, Exporter) {
    Exporter::builder()
        .url(url)
        .backoff(Backoff::new().initial(Duration::from_millis(1)))
        .build()
        .unwrap()
}

/// How often a span is sent to a collector that answers so once, and takes it then.
fn attempts(
    collector: &Collector,
    (processor, exporter): &(Processor, Exporter),
    answer: Answer,
) -> usize {
    let before = (collector.request_count(), exporter.stats());
    collector.set_sequence([answer, Answer::ok()]);
    processor.on_end(numbered_span(1));
    let flushed = exporter.blocking_flush(LONG);
    let attempts = collector.request_count() - before.0;
    let exported = exporter.stats().exported - before.1.exported;
    let refused = exporter.stats().dropped.refused - before.1.dropped.refused;
    assert_eq!(flushed.is_ok(), attempts == 2);
    assert_eq!(
        (exported, refused),
        if attempts == 2 { (1, 0) } else { (0, 1) }
    );
    attempts
}

#[test]
fn grpc_statuses_are_retried_as_otlp_says() {
    let collector = Collector::start();
    let exporter = exporter(collector.grpc_url());
    // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS.
    let retried = [1, 4, 10, 11, 14, 15];
    for code in 1..=16 {
        let again = attempts(&collector, &exporter, Answer::grpc_status(code, "no"));
        assert_eq!(again == 2, retried.contains(&code), "{code}");
        let delayed = Answer::grpc_status(code, "no").retry_info(Duration::from_millis(1));
        let again = attempts(&collector, &exporter, delayed);
        // RESOURCE_EXHAUSTED only where the server says when.
        assert_eq!(again == 2, code == 8 || retried.contains(&code), "{code}");
    }
}

#[test]
fn http_statuses_are_retried_as_otlp_says() {
    let collector = Collector::start();
    let exporter = exporter(collector.http_url());
    for status in [
        300, 301, 304, 400, 401, 403, 404, 405, 408, 409, 415, 422, 429, 431, 500, 501, 502, 503,
        504, 505, 507, 511,
    ] {
        let expected = [429, 502, 503, 504].contains(&status);
        let again = attempts(&collector, &exporter, Answer::http_status(status));
        assert_eq!(again == 2, expected, "{status}");
        let delayed = Answer::http_status(status).retry_after_seconds(0);
        let again = attempts(&collector, &exporter, delayed);
        assert_eq!(again == 2, expected, "{status} with Retry-After");
    }
}

#[test]
fn what_breaks_is_sent_again() {
    let collector = Collector::start();
    for url in [collector.grpc_url(), collector.http_url()] {
        let exporter = exporter(url);
        for answer in [
            Answer::reset(),
            Answer::close(),
            Answer::reset_mid_body(),
            Answer::garbage(vec![0xff; 300]),
        ] {
            assert_eq!(attempts(&collector, &exporter, answer), 2);
        }
    }
}

#[test]
fn a_partial_success_is_not_sent_again() {
    let collector = Collector::start();
    for url in [collector.grpc_url(), collector.http_url()] {
        let (processor, exporter) = exporter(url);
        collector.set_always(Answer::partial(1, "too old"));
        let before = collector.request_count();
        processor.on_end(numbered_span(1));
        exporter.blocking_flush(LONG).unwrap_err();
        assert_eq!(collector.request_count(), before + 1);
        assert_eq!(exporter.stats().dropped.refused, 1);
    }
}
