//! Parts that come after the start: the transport, attributes of the resource.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanProcessor;
use towline_otlp::{
    BuildErrorKind, Exporter, FlushErrorKind, LateErrorKind, LatePart, Processor, ShutdownErrorKind,
};

use crate::support::collector::{GrpcCollector, spans};
use crate::support::spans::{number, span};
use crate::support::transport::Scripted;

const LONG: Duration = Duration::from_secs(60);

fn end_spans(processor: &Processor, numbers: std::ops::Range<u64>) {
    numbers.for_each(|number| processor.on_end(span(number)));
}

fn numbers(requests: &[ExportTraceServiceRequest]) -> Vec<u64> {
    requests
        .iter()
        .flat_map(spans)
        .map(|span| number(&span.span_id))
        .collect()
}

/// The resource's attributes that are texts, by name.
fn attributes(request: &ExportTraceServiceRequest) -> Vec<(String, String)> {
    let mut attributes: Vec<_> = request.resource_spans[0]
        .resource
        .iter()
        .flat_map(|resource| &resource.attributes)
        .map(|attribute| (attribute.key.clone(), format!("{:?}", attribute.value)))
        .collect();
    attributes.sort();
    attributes
}

#[test]
fn spans_wait_for_a_transport_in_their_order() {
    let (processor, exporter) = Exporter::builder()
        .late_transport()
        .flush_interval(Duration::from_millis(1))
        .batch_bytes(1024)
        .build()
        .unwrap();
    end_spans(&processor, 0..500);
    // The flush waits; nothing is sent, nothing lost.
    let error = exporter
        .blocking_flush(Duration::from_millis(50))
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.lost_spans()),
        (FlushErrorKind::Timeout, 0)
    );
    assert_eq!((exporter.stats().held, exporter.stats().ended), (500, 500));

    let transport = Scripted::accepting();
    exporter.set_transport(transport.clone()).unwrap();
    end_spans(&processor, 500..600);
    exporter.blocking_flush(LONG).unwrap();
    assert_eq!(numbers(&transport.requests()), (0..600).collect::<Vec<_>>());
}

#[test]
fn a_flush_that_waits_is_answered_once_the_transport_is_there() {
    let (processor, exporter) = Exporter::builder().late_transport().build().unwrap();
    end_spans(&processor, 0..1);
    let collector = GrpcCollector::accepting();
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| exporter.blocking_flush(LONG));
        exporter.set_url(&collector.url()).unwrap();
        assert_eq!(flush.join().unwrap(), Ok(()));
    });
    assert_eq!(collector.requests().len(), 1);
}

#[test]
fn attributes_that_come_late_are_on_spans_that_ended_before() {
    let transport = Scripted::accepting();
    let (mut processor, exporter) = Exporter::builder()
        .transport(transport.clone())
        .late_resource_attributes()
        .build()
        .unwrap();
    let resource = Resource::builder_empty()
        .with_attributes([KeyValue::new("a", "first"), KeyValue::new("b", "first")])
        .build();
    processor.set_resource(&resource);
    end_spans(&processor, 0..3);
    exporter
        .set_resource_attributes([KeyValue::new("b", "late"), KeyValue::new("c", "late")])
        .unwrap();
    exporter.blocking_flush(LONG).unwrap();
    let requests = transport.requests();
    let found = attributes(&requests[0]);
    let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["a", "b", "c"]);
    assert!(found[0].1.contains("first") && found[1].1.contains("late"));
    // A provider that comes later still does not undo it.
    processor.set_resource(&Resource::builder_empty().with_service_name("s").build());
    end_spans(&processor, 3..4);
    exporter.blocking_flush(LONG).unwrap();
    let found = attributes(&transport.requests()[1]);
    let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["b", "c", "service.name"]);
}

#[test]
fn nothing_goes_before_both_parts_are_there() {
    let (processor, exporter) = Exporter::builder()
        .late_transport()
        .late_resource_attributes()
        .build()
        .unwrap();
    end_spans(&processor, 0..2);
    let transport = Scripted::accepting();
    exporter.set_transport(transport.clone()).unwrap();
    assert!(exporter.blocking_flush(Duration::from_millis(30)).is_err());
    assert_eq!(transport.calls(), 0);
    exporter.set_resource_attributes([]).unwrap();
    exporter.blocking_flush(LONG).unwrap();
    assert_eq!(numbers(&transport.requests()), [0, 1]);
}

#[test]
fn what_waits_too_long_makes_room_for_what_is_newer() {
    let limit = 64 << 10;
    let (processor, exporter) = Exporter::builder()
        .late_transport()
        .buffer_bytes(limit)
        .batch_bytes(4 << 10)
        .build()
        .unwrap();
    const SPANS: u64 = 5_000;
    for number in 0..SPANS {
        processor.on_end(span(number));
        let stats = exporter.stats();
        assert!(stats.buffer_bytes <= limit, "{stats:?}");
        assert_eq!(stats.ended, stats.held + stats.dropped.buffer_full);
    }
    let dropped = exporter.stats().dropped.buffer_full;
    assert!(dropped > 0 && dropped < SPANS - 100);
    let transport = Scripted::accepting();
    exporter.set_transport(transport.clone()).unwrap();
    exporter.blocking_flush(LONG).unwrap();
    // The newest, without a gap.
    assert_eq!(
        numbers(&transport.requests()),
        (dropped..SPANS).collect::<Vec<_>>()
    );
    assert_eq!(exporter.stats().exported, SPANS - dropped);
}

#[tokio::test]
async fn a_flush_that_waits_says_what_has_made_room_since() {
    let (processor, exporter) = Exporter::builder()
        .late_transport()
        .buffer_bytes(64 << 10)
        .batch_bytes(4 << 10)
        .build()
        .unwrap();
    end_spans(&processor, 0..50);
    let mut flush = Box::pin(exporter.flush(LONG));
    assert!(poll_once(&mut flush).is_none());
    // Commands are read in their order: once this one is answered, the first is known.
    exporter.blocking_flush(Duration::ZERO).unwrap_err();
    end_spans(&processor, 50..5_000);
    assert!(exporter.stats().dropped.buffer_full > 50);
    exporter.set_transport(Scripted::accepting()).unwrap();
    let error = flush.await.unwrap_err();
    assert_eq!(
        (error.kind(), error.lost_spans()),
        (FlushErrorKind::Lost, 50)
    );
}

/// Polls once.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut cx) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[test]
fn what_has_waited_goes_at_once() {
    let (processor, exporter) = Exporter::builder()
        .late_transport()
        .flush_interval(LONG * 60)
        .build()
        .unwrap();
    end_spans(&processor, 0..3);
    exporter.set_transport(Scripted::accepting()).unwrap();
    let started = std::time::Instant::now();
    while exporter.stats().exported < 3 {
        assert!(started.elapsed() < LONG, "{:?}", exporter.stats());
        std::thread::yield_now();
    }
}

#[test]
fn once_it_is_drained_what_came_first_stays() {
    let (processor, exporter) = Exporter::builder()
        .late_transport()
        .buffer_bytes(64 << 10)
        .batch_bytes(4 << 10)
        .build()
        .unwrap();
    let transport = Scripted::hanging();
    exporter.set_transport(transport.clone()).unwrap();
    // The export thread has taken note once it has sent something.
    end_spans(&processor, 0..100);
    let started = std::time::Instant::now();
    while transport.calls() == 0 {
        assert!(started.elapsed() < LONG);
        std::thread::yield_now();
    }
    end_spans(&processor, 100..5_000);
    let held = exporter.stats();
    end_spans(&processor, 5_000..6_000);
    let stats = exporter.stats();
    assert_eq!((stats.held, stats.in_flight), (held.held, held.in_flight));
    assert_eq!(stats.dropped.buffer_full, held.dropped.buffer_full + 1_000);
}

#[test]
fn each_part_is_taken_once_and_only_if_it_was_asked_for() {
    let (_processor, exporter) = Exporter::builder()
        .transport(Scripted::accepting())
        .build()
        .unwrap();
    let error = exporter.set_transport(Scripted::accepting()).unwrap_err();
    assert_eq!(
        (error.kind(), error.part()),
        (LateErrorKind::NotAwaited, LatePart::Transport)
    );
    assert_eq!(
        error.to_string(),
        "a transport cannot be supplied late: expected `late_transport` when the exporter was built"
    );
    let error = exporter.set_resource_attributes([]).unwrap_err();
    assert_eq!(
        (error.kind(), error.part()),
        (LateErrorKind::NotAwaited, LatePart::ResourceAttributes)
    );

    let (_processor, exporter) = Exporter::builder()
        .late_transport()
        .late_resource_attributes()
        .build()
        .unwrap();
    // What cannot be used does not count.
    let error = exporter.set_url("tcp://nobody").unwrap_err();
    assert_eq!(error.kind(), LateErrorKind::Endpoint);
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .to_string()
            .contains("tcp://nobody")
    );
    exporter.set_url("grpc://localhost:4317").unwrap();
    exporter.set_resource_attributes([]).unwrap();
    for error in [
        exporter.set_url("grpc://localhost:4317").unwrap_err(),
        exporter.set_transport(Scripted::accepting()).unwrap_err(),
        exporter.set_resource_attributes([]).unwrap_err(),
    ] {
        assert_eq!(error.kind(), LateErrorKind::AlreadySupplied);
        assert!(
            error
                .to_string()
                .ends_with("cannot be supplied a second time")
        );
    }
}

#[test]
fn a_shutdown_does_not_wait_for_what_never_came() {
    for deadline in [LONG * 60, Duration::MAX] {
        let (processor, exporter) = Exporter::builder().late_transport().build().unwrap();
        end_spans(&processor, 0..7);
        let error = exporter.blocking_shutdown(deadline).unwrap_err();
        assert_eq!(
            (error.kind(), error.lost_spans()),
            (ShutdownErrorKind::NotReady, 7)
        );
        assert_eq!(error.stats().dropped.shutdown, 7);
        // Too late: it is taken and comes to nothing.
        exporter.set_transport(Scripted::accepting()).unwrap();
        assert_eq!(exporter.stats().exported, 0);
    }
    // Without spans nothing is lost.
    let (_processor, exporter) = Exporter::builder().late_transport().build().unwrap();
    exporter.blocking_shutdown(LONG).unwrap();
}

#[test]
fn somewhere_or_later_is_said_once() {
    // The last word counts, as with any option.
    let (processor, exporter) = Exporter::builder()
        .late_transport()
        .transport(Scripted::accepting())
        .build()
        .unwrap();
    end_spans(&processor, 0..1);
    exporter.blocking_flush(LONG).unwrap();
    let error = Exporter::builder()
        .late_resource_attributes()
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), BuildErrorKind::NoTransport);
}
