//! An exporter in the process costs the program's own `tracing` nothing: what its subscriber always
//! wants, it is not asked about at each event.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry_sdk::trace::SpanProcessor;
use towline_otlp::{Discard, Exporter};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber, span};

use crate::support::spans::span;

static ASKED: AtomicUsize = AtomicUsize::new(0);
static HEARD: AtomicUsize = AtomicUsize::new(0);

/// Wants everything, always.
struct Eager;

impl Subscriber for Eager {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::always()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        ASKED.fetch_add(1, Ordering::SeqCst);
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        HEARD.fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn what_the_program_always_wants_it_is_not_asked_about() {
    let (processor, exporter) = Exporter::builder()
        .transport(Discard::new())
        .build()
        .unwrap();
    let export = |number| {
        processor.on_end(span(number));
        exporter.blocking_flush(Duration::from_secs(60)).unwrap();
    };
    // The export thread has been awake before there is a subscriber, and once more with it.
    export(0);
    tracing::subscriber::set_global_default(Eager).unwrap();
    export(1);
    let (asked, heard) = (ASKED.load(Ordering::SeqCst), HEARD.load(Ordering::SeqCst));
    for number in 0..100 {
        tracing::info!(number);
    }
    assert_eq!(HEARD.load(Ordering::SeqCst) - heard, 100);
    assert_eq!(ASKED.load(Ordering::SeqCst) - asked, 0);
}
