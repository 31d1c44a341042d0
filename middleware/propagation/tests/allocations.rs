//! What the direct path allocates. Reallocations count.

use allocation_counter::measure;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{Context, trace::TraceContextExt};
use towline_propagation::{Propagator, TraceParent};

/// Eight ordinary headers, with room for ours, and `lines`.
fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    for name in [
        "host",
        "accept",
        "user-agent",
        "cookie",
        "x-a",
        "x-b",
        "x-c",
        "x-d",
    ] {
        headers.insert(name, HeaderValue::from_static("value"));
    }
    for (name, value) in lines {
        headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    headers
}

fn extracting(lines: &[(&'static str, &'static str)]) -> u64 {
    let (propagator, headers, base) = (Propagator::w3c(), headers(lines), Context::new());
    measure(|| {
        let _ = std::hint::black_box(propagator.extract(&headers, &base));
    })
    .count_total
}

fn injecting(lines: &[(&'static str, &'static str)]) -> u64 {
    let propagator = Propagator::w3c();
    let context = propagator
        .extract(&headers(lines), &Context::new())
        .into_context();
    let mut outgoing = headers(&[]);
    measure(|| propagator.inject(&context, &mut outgoing)).count_total
}

#[test]
fn reallocations_count() {
    let mut grows = Vec::with_capacity(1);
    grows.push(0_u8);
    assert_eq!(measure(|| grows.reserve(1000)).count_total, 1);
}

#[test]
fn reading_a_lone_traceparent_allocates_nothing() {
    assert_eq!(extracting(&[("traceparent", PARENT)]), 0);
}

/// What the API's `TraceState` consists of: a list, and two strings for each member.
#[test]
fn reading_a_tracestate_takes_what_the_api_takes_to_hold_it() {
    let congo = ("tracestate", "congo=t61rcWkgMzE");
    let rojo = ("tracestate", "rojo=00f067aa0ba902b7");
    let both = ("tracestate", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7");
    for (lines, allocations) in [
        (&[("traceparent", PARENT), congo][..], 3),
        (&[("traceparent", PARENT), both], 5),
        (&[congo, ("traceparent", PARENT), rojo], 5),
    ] {
        assert_eq!(extracting(lines), allocations, "{lines:?}");
    }
}

#[test]
fn reading_nothing_allocates_nothing() {
    assert_eq!(extracting(&[]), 0);
}

#[test]
fn refusing_allocates_nothing() {
    for lines in [
        &[("traceparent", "garbage")][..],
        &[("traceparent", PARENT), ("traceparent", PARENT)],
        &[("traceparent", PARENT), ("tracestate", "Garbage=1")],
        &[("traceparent", PARENT), ("tracestate", "")],
        &[("tracestate", "a=1")],
        &[("baggage", "garbage")],
    ] {
        assert_eq!(extracting(lines), 0, "{lines:?}");
    }
}

#[test]
fn following_a_lone_traceparent_takes_one_allocation() {
    let (propagator, headers) = (Propagator::w3c(), headers(&[("traceparent", PARENT)]));
    let base = Context::new();
    let info = measure(|| {
        let context = propagator.extract(&headers, &base).into_context();
        assert!(context.span().span_context().is_valid());
    });
    assert_eq!(info.count_total, 1);
}

#[test]
fn sending_a_lone_traceparent_takes_one_allocation() {
    assert_eq!(injecting(&[("traceparent", PARENT)]), 1);
}

#[test]
fn sending_nothing_allocates_nothing() {
    assert_eq!(injecting(&[]), 0);
}

#[test]
fn sending_a_tracestate_takes_one_allocation_more() {
    assert_eq!(
        injecting(&[("traceparent", PARENT), ("tracestate", "a=1,b=2,c=3")]),
        2
    );
}

#[test]
fn asking_whether_there_is_anything_to_read_allocates_nothing() {
    for lines in [&[][..], &[("traceparent", PARENT)], &[("baggage", "a=1")]] {
        let (propagator, headers) = (Propagator::w3c(), headers(lines));
        let info = measure(|| {
            assert_eq!(propagator.fields_present(&headers), !lines.is_empty());
        });
        assert_eq!(info.count_total, 0, "{lines:?}");
    }
}

#[test]
fn parsing_and_writing_a_traceparent_allocates_nothing() {
    let info = measure(|| {
        let parent = TraceParent::parse(PARENT.as_bytes()).unwrap();
        assert_eq!(&parent.to_bytes(), PARENT.as_bytes());
    });
    assert_eq!(info.count_total, 0);
}

#[test]
fn hostile_headers_take_a_bounded_number_of_bytes() {
    let line = |unit: &str| unit.repeat(64 * 1024 / unit.len());
    for unit in [
        "a",
        ",",
        "a=1,",
        "a=,",
        " ",
        "=",
        ";",
        "a=%ff;b=c,",
        "a=1;b;b;b;b;b;b;b,",
    ] {
        let mut headers = headers(&[("traceparent", PARENT)]);
        for name in ["tracestate", "baggage"] {
            headers.append(name, line(unit).try_into().unwrap());
        }
        let base = Context::new();
        let info = measure(|| {
            let _ = std::hint::black_box(Propagator::w3c().extract(&headers, &base));
        });
        assert!(
            info.bytes_max < 48 * 1024,
            "{unit:?}: {} bytes",
            info.bytes_max
        );
        assert!(
            info.count_total < 1000,
            "{unit:?}: {} allocations",
            info.count_total
        );
    }
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
