//! What the program's log hears: as little as possible.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_sdk::trace::SpanProcessor;
use towline_otlp::policy::Backoff;
use towline_otlp::{ExportError, ExportErrorKind, Exporter, PeerStatus, Receipt};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use crate::support::spans::span;
use crate::support::transport::{Answer, Scripted};

const LONG: Duration = Duration::from_secs(60);

/// Keeps each event as one line.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Levels, targets and fields, in order.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Runs `build` with this log as the program's, for as long as the subscriber is kept.
    pub(crate) fn hears<T>(&self, build: impl FnOnce() -> T) -> (tracing::Dispatch, T) {
        let program = tracing::Dispatch::new(self.clone());
        let built = tracing::dispatcher::with_default(&program, build);
        (program, built)
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!(
            "{} {}",
            event.metadata().level(),
            event.metadata().target()
        ));
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Sends `batches` one by one to a transport that answers by a script; gives what the log heard.
fn log(
    batches: u64,
    script: impl Fn(usize) -> Result<Receipt, ExportError> + Send + Sync + 'static,
) -> Vec<String> {
    let log = Log::default();
    let transport =
        Scripted::new(move |call, _| -> Answer { Box::pin(std::future::ready(script(call))) });
    let builder = Exporter::builder()
        .transport(transport)
        .backoff(Backoff::none());
    let (_program, (processor, exporter)) = log.hears(|| builder.build().unwrap());
    for number in 0..batches {
        processor.on_end(span(number));
        let _ = exporter.blocking_flush(LONG);
    }
    let _ = exporter.blocking_shutdown(LONG);
    log.lines()
}

fn unreachable() -> ExportError {
    ExportError::new(
        ExportErrorKind::Unreachable,
        "collector:4317 cannot be reached",
    )
    .with_source(std::io::Error::other("connection\nrefused"))
}

#[test]
fn a_backend_that_works_is_not_worth_a_line() {
    assert_eq!(log(20, |_| Ok(Receipt::accepted())), [""; 0]);
}

#[test]
fn a_backend_that_was_never_there_is_one_line_of_information() {
    let lines = log(20, |_| Err(unreachable()));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("INFO towline_otlp "), "{lines:?}");
    assert!(
        lines[0].contains("error=collector:4317 cannot be reached: connection\\nrefused"),
        "{lines:?}"
    );
}

#[test]
fn a_backend_that_was_lost_is_one_warning_and_one_line_when_it_is_back() {
    let lines = log(20, |call| {
        if (5..15).contains(&call) {
            Err(unreachable())
        } else {
            Ok(Receipt::accepted())
        }
    });
    let levels: Vec<_> = lines
        .iter()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(levels, ["WARN", "INFO"], "{lines:?}");
}

#[test]
fn a_backend_that_comes_and_goes_does_not_flood_the_log() {
    let lines = log(200, |call| {
        if call % 2 == 1 {
            Err(unreachable())
        } else {
            Ok(Receipt::accepted())
        }
    });
    assert!(lines.len() <= 2, "{lines:?}");
}

#[test]
fn a_backend_that_refuses_is_one_warning() {
    let lines = log(20, |_| {
        Err(ExportError::refused(
            "collector:4318",
            PeerStatus::Http(401),
        ))
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("WARN") && lines[0].contains("HTTP status 401"),
        "{lines:?}"
    );
}

#[test]
fn spans_that_are_refused_in_part_are_one_warning_a_reason() {
    let lines = log(20, |_| Ok(Receipt::partial(1, "too old")));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("rejected_spans=1") && lines[0].contains("too old"),
        "{lines:?}"
    );
}

#[test]
fn a_subscriber_that_is_gone_is_not_missed() {
    let transport = Scripted::failing(unreachable());
    let builder = Exporter::builder()
        .transport(transport)
        .backoff(Backoff::none());
    let log = Log::default();
    let (processor, exporter) =
        tracing::subscriber::with_default(log.clone(), || builder.build().unwrap());
    // The exporter keeps no subscriber alive, which may hold its own provider.
    assert_eq!(Arc::strong_count(&log.0), 1);
    processor.on_end(span(0));
    let _ = exporter.blocking_shutdown(LONG);
    assert_eq!(log.lines(), [""; 0]);
}
