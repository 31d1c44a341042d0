//! The direct path: header maps to contexts and back.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context, KeyValue,
    baggage::BaggageExt,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use towline_propagation::{BAGGAGE, Extraction, Propagator, TRACEPARENT, TRACESTATE};

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name: HeaderName = name.parse().expect("a legal name");
        headers.append(
            name,
            HeaderValue::from_bytes(value.as_bytes()).expect("a legal value"),
        );
    }
    headers
}

fn extract(lines: &[(&str, &str)]) -> Extraction {
    Propagator::w3c().extract(&headers(lines), &Context::new())
}

/// What every hop does: read, and send what was read.
fn pass_on(lines: &[(&str, &str)]) -> HeaderMap {
    let mut sent = HeaderMap::new();
    Propagator::w3c().inject(&extract(lines).into_context(), &mut sent);
    sent
}

fn local_span() -> Context {
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from(7),
        SpanId::from(8),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    ))
}

#[test]
fn everything_comes_out_as_it_went_in() {
    let lines = [
        ("traceparent", PARENT),
        (
            "tracestate",
            "rojo=00f067aa0ba902b7,foo@@bar=1,congo=t61rcWkgMzE",
        ),
        ("baggage", "tenant=a=b,user=Am%C3%A9lie;ttl=5"),
    ];
    assert_eq!(pass_on(&lines), headers(&lines));
    assert!(!extract(&lines).rejected.any());
}

#[test]
fn the_parent_is_remote_and_apart_from_the_context() {
    let extraction = extract(&[("traceparent", PARENT), ("tracestate", "a=1")]);
    let parent = extraction.parent.clone().unwrap();
    assert!(parent.is_remote() && parent.is_valid() && parent.is_sampled());
    assert_eq!(parent.trace_state().header(), "a=1");
    assert!(!extraction.base.has_active_span());
    assert_eq!(*extraction.parent_span_context(), parent);
    assert_eq!(extraction.into_context().span().span_context(), &parent);
}

#[test]
fn without_a_parent_the_span_of_the_base_is_the_parent() {
    let extraction = Propagator::w3c().extract(&HeaderMap::new(), &local_span());
    assert_eq!(extraction.parent, None);
    let local = local_span();
    assert_eq!(
        &*extraction.parent_span_context(),
        local.span().span_context()
    );
    assert_eq!(
        extraction.into_context().span().span_context(),
        local.span().span_context()
    );
    assert!(!extract(&[]).parent_span_context().is_valid());
}

#[test]
fn two_traceparents_are_none_even_if_they_are_equal() {
    for other in [
        PARENT,
        "00-12345678901234567890123456789011-1234567890123456-01",
        "",
        "x",
    ] {
        let extraction = extract(&[
            ("traceparent", PARENT),
            ("traceparent", other),
            ("tracestate", "a=1"),
        ]);
        assert_eq!(extraction.parent, None, "{other:?}");
        assert!(
            extraction.rejected.traceparent && !extraction.rejected.tracestate,
            "{other:?}"
        );
    }
}

#[test]
fn names_what_it_rejects() {
    for (lines, traceparent, tracestate, baggage) in [
        (&[][..], false, false, false),
        (&[("traceparent", "x")], true, false, false),
        (
            &[("traceparent", PARENT), ("tracestate", "x")],
            false,
            true,
            false,
        ),
        (
            &[("traceparent", PARENT), ("tracestate", "")],
            false,
            false,
            false,
        ),
        (&[("tracestate", "x")], false, false, false),
        (&[("baggage", "a=1,x")], false, false, true),
        (&[("baggage", "")], false, false, false),
    ] {
        let rejected = extract(lines).rejected;
        assert_eq!(rejected.traceparent, traceparent, "{lines:?}");
        assert_eq!(rejected.tracestate, tracestate, "{lines:?}");
        assert_eq!(rejected.baggage, baggage, "{lines:?}");
        assert_eq!(
            rejected.any(),
            traceparent || tracestate || baggage,
            "{lines:?}"
        );
    }
}

#[test]
fn baggage_needs_no_parent() {
    let extraction = extract(&[
        ("baggage", "a=1"),
        ("baggage", "broken"),
        ("baggage", "b=2"),
    ]);
    assert_eq!(extraction.parent, None);
    assert_eq!(extraction.base.baggage().len(), 2);
    assert_eq!(
        pass_on(&[("baggage", "a=1")]),
        headers(&[("baggage", "a=1")])
    );
}

#[test]
fn received_baggage_replaces_that_of_the_base_and_absent_baggage_does_not() {
    let base = Context::new().with_baggage([KeyValue::new("old", "1")]);
    let baggage = |lines| {
        let extraction = Propagator::w3c().extract(&headers(lines), &base);
        extraction.base.baggage().to_string()
    };
    assert_eq!(baggage(&[("baggage", "new=2")]), "new=2");
    for lines in [&[][..], &[("baggage", "")], &[("baggage", "broken")]] {
        assert_eq!(baggage(lines), "old=1");
    }
}

#[test]
fn injecting_leaves_one_traceparent_and_no_stale_companion() {
    let mut map = headers(&[
        ("traceparent", PARENT),
        ("traceparent", "x"),
        ("tracestate", "stale=1"),
        ("tracestate", "stale=2"),
        ("baggage", "stale=1"),
        ("baggage", "stale=2"),
        ("x-other", "stays"),
    ]);
    Propagator::w3c().inject(&local_span().with_cleared_baggage(), &mut map);
    let written = "00-00000000000000000000000000000007-0000000000000008-01";
    assert_eq!(
        map,
        headers(&[("traceparent", written), ("x-other", "stays")])
    );
}

#[test]
fn an_invalid_span_context_leaves_the_headers_of_the_trace_alone() {
    let lines = [
        ("traceparent", "x"),
        ("traceparent", "y"),
        ("tracestate", "z"),
        ("baggage", "stale=1"),
    ];
    for context in [
        Context::new(),
        Context::new().with_remote_span_context(SpanContext::NONE),
    ] {
        let mut map = headers(&lines);
        Propagator::w3c().inject(&context.with_cleared_baggage(), &mut map);
        assert_eq!(map, headers(&lines[..3]));
        Propagator::w3c().inject(&context.with_baggage([KeyValue::new("a", "1")]), &mut map);
        assert_eq!(map, headers(&[&lines[..3], &[("baggage", "a=1")]].concat()));
    }
}

#[test]
fn a_context_that_never_held_baggage_leaves_the_users_header_alone() {
    let mut map = headers(&[("baggage", "by=hand")]);
    Propagator::w3c().inject(&Context::new(), &mut map);
    assert_eq!(map, headers(&[("baggage", "by=hand")]));
    Propagator::w3c().inject(&local_span(), &mut map);
    assert_eq!(map[BAGGAGE], "by=hand");
    Propagator::w3c().inject(&local_span().with_cleared_baggage(), &mut map);
    assert!(!map.contains_key(BAGGAGE));
}

#[test]
fn an_empty_tracestate_is_never_sent() {
    for state in ["", " ", ",", "x", "a=", "A=1"] {
        let sent = pass_on(&[("traceparent", PARENT), ("tracestate", state)]);
        assert_eq!(sent, headers(&[("traceparent", PARENT)]), "{state:?}");
    }
}

#[test]
fn a_full_header_map_stays_as_it_is() {
    let mut map = HeaderMap::new();
    let name = |n: i32| HeaderName::try_from(format!("x-{n}")).unwrap();
    let empty = HeaderValue::from_static("");
    let full = (0..).find(|n| map.try_append(name(*n), empty.clone()).is_err());
    assert!(full.is_some());
    let before = map.len();
    Propagator::w3c().inject(&local_span(), &mut map);
    assert_eq!(map.len(), before);
}

#[test]
fn each_propagator_reads_and_writes_its_own_headers_only() {
    let lines = [
        ("traceparent", PARENT),
        ("tracestate", "a=1"),
        ("baggage", "b=1"),
    ];
    let context = extract(&lines).into_context();
    for (propagator, trace, baggage) in [
        (Propagator::default(), true, true),
        (Propagator::w3c(), true, true),
        (Propagator::trace_context(), true, false),
        (Propagator::baggage(), false, true),
        (Propagator::none(), false, false),
    ] {
        let extraction = propagator.extract(&headers(&lines), &Context::new());
        assert_eq!(extraction.parent.is_some(), trace, "{propagator:?}");
        assert_eq!(
            extraction.base.baggage().is_empty(),
            !baggage,
            "{propagator:?}"
        );

        let mut map = headers(&[("traceparent", "1"), ("tracestate", "2"), ("baggage", "3")]);
        propagator.inject(&context, &mut map);
        assert_eq!(
            map[TRACEPARENT],
            if trace { PARENT } else { "1" },
            "{propagator:?}"
        );
        assert_eq!(
            map[TRACESTATE],
            if trace { "a=1" } else { "2" },
            "{propagator:?}"
        );
        assert_eq!(
            map[BAGGAGE],
            if baggage { "b=1" } else { "3" },
            "{propagator:?}"
        );
    }
}

#[test]
fn knows_whether_its_headers_are_present() {
    for (propagator, names) in [
        (Propagator::w3c(), &["traceparent", "baggage"][..]),
        (Propagator::trace_context(), &["traceparent"]),
        (Propagator::baggage(), &["baggage"]),
        (Propagator::none(), &[]),
    ] {
        assert!(!propagator.fields_present(&HeaderMap::new()));
        for name in ["traceparent", "tracestate", "baggage", "x-trace"] {
            let present = propagator.fields_present(&headers(&[(name, "")]));
            assert_eq!(present, names.contains(&name), "{propagator:?}: {name}");
        }
    }
}

#[test]
fn is_what_a_layer_can_hold() {
    fn assert<T: Clone + Send + Sync + Unpin + 'static>() {}
    assert::<Propagator>();
    assert::<Extraction>();
    assert_eq!(
        format!("{:?}", Propagator::default()),
        "Propagator { trace_context: true, baggage: true }"
    );
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";

#[test]
fn what_a_propagator_reads_it_takes_out_and_nothing_else() {
    const ALL: [&str; 4] = ["traceparent", "tracestate", "baggage", "x-other"];
    let left = |propagator: &Propagator, remove: fn(&Propagator, &mut HeaderMap)| {
        let mut headers = HeaderMap::new();
        for name in ALL {
            headers.append(name, "1".parse().unwrap());
            headers.append(name, "2".parse().unwrap());
        }
        remove(propagator, &mut headers);
        ALL.into_iter()
            .filter(|name| headers.contains_key(*name))
            .collect::<Vec<_>>()
    };
    let custom = || Propagator::custom(towline_propagation::CompositePropagator::w3c());
    for propagator in [Propagator::w3c(), custom()] {
        assert_eq!(
            left(&propagator, Propagator::remove_trace_context),
            ["baggage", "x-other"]
        );
        assert_eq!(
            left(&propagator, Propagator::remove_baggage),
            ["traceparent", "tracestate", "x-other"]
        );
    }
    let trace_context = Propagator::custom(towline_propagation::TraceContextPropagator::new());
    for propagator in [Propagator::trace_context(), trace_context] {
        assert_eq!(left(&propagator, Propagator::remove_baggage), ALL);
    }
    let baggage = Propagator::custom(towline_propagation::BaggagePropagator::new());
    for propagator in [Propagator::baggage(), baggage, Propagator::none()] {
        assert_eq!(left(&propagator, Propagator::remove_trace_context), ALL);
    }
}
