//! Carriers without headers: environments, queries, maps.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    collections::{BTreeMap, HashMap},
    process::Command,
};

use opentelemetry::{
    Context, KeyValue,
    baggage::BaggageExt,
    propagation::{Extractor, Injector, TextMapPropagator},
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use support::{local, span};
use towline_propagation::{
    PropagationContext, Propagator, PropagatorKind,
    environment::{CommandInjector, EnvironmentCarrier, variable_name},
    query,
};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";

fn everything() -> Propagator {
    Propagator::of(PropagatorKind::ALL.iter().copied())
}

fn environment(variables: &[(&str, &str)]) -> EnvironmentCarrier {
    variables.iter().copied().collect()
}

/// What a process is told.
fn told(command: &Command) -> Vec<(String, Option<String>)> {
    let text = |text: &std::ffi::OsStr| text.to_str().unwrap().to_owned();
    let variables = command.get_envs();
    variables
        .map(|(name, value)| (text(name), value.map(text)))
        .collect()
}

// === environments ===

#[test]
fn variables_are_named_after_fields() {
    for (field, expected) in [
        ("traceparent", "TRACEPARENT"),
        ("TRACEPARENT", "TRACEPARENT"),
        ("X-B3-TraceId", "X_B3_TRACEID"),
        ("uber_trace.id", "UBER_TRACE_ID"),
        ("3d", "_3D"),
        ("_3d", "_3D"),
        ("", "_"),
        ("\u{e4}b\0c=", "_B_C_"),
    ] {
        assert_eq!(variable_name(field), expected, "{field:?}");
        assert_eq!(variable_name(expected), expected, "it stays as it is");
    }
}

#[test]
fn only_normalized_variables_are_read() {
    let carrier = environment(&[
        ("TRACEPARENT", "1"),
        ("tracestate", "2"),
        ("Baggage", "3"),
        ("X-B3-TRACEID", "4"),
        ("3D", "5"),
        ("", "6"),
        ("_3D", "7"),
    ]);
    assert_eq!(carrier.keys(), ["TRACEPARENT", "_3D"]);
    assert_eq!(Extractor::get(&carrier, "traceparent"), Some("1"));
    assert_eq!(Extractor::get(&carrier, "3d"), Some("7"));
    for name in ["tracestate", "baggage", "x-b3-traceid", ""] {
        assert_eq!(Extractor::get(&carrier, name), None, "{name}");
    }
    assert_eq!(
        format!("{carrier:?}"),
        r#"{"TRACEPARENT", "_3D"}"#,
        "no values"
    );
}

#[test]
fn the_process_has_an_environment() {
    let carrier = EnvironmentCarrier::from_process();
    let path = std::env::var("PATH").unwrap();
    assert_eq!(Extractor::get(&carrier, "path"), Some(path.as_str()));
    assert!(!carrier.is_empty() && EnvironmentCarrier::new().is_empty());
}

#[test]
fn a_value_that_no_header_can_hold_is_not_set() {
    let (mut carrier, mut command) = (EnvironmentCarrier::new(), Command::new("tool"));
    let mut on_command = CommandInjector::new(&mut command);
    for value in ["a\0b", "a\nb", "a\u{7f}"] {
        carrier.set("x-a", value.to_owned());
        on_command.set("x-a", value.to_owned());
    }
    carrier.set("x-b", "a\tb \u{e9}".to_owned());
    on_command.set("x-b", "a\tb \u{e9}".to_owned());
    let expected = ("X_B".to_owned(), "a\tb \u{e9}".to_owned());
    assert_eq!(
        told(&command),
        [(expected.0.clone(), Some(expected.1.clone()))]
    );
    assert_eq!(carrier.into_iter().collect::<Vec<_>>(), [expected]);
}

#[test]
fn every_format_goes_through_an_environment() {
    for kind in PropagatorKind::ALL {
        let propagator = Propagator::of([*kind]);
        let cx = local(9, 1).with_baggage([KeyValue::new("a", "1")]);
        let (mut carrier, mut command) = (EnvironmentCarrier::new(), Command::new("tool"));
        propagator.inject_context(&cx, &mut carrier);
        propagator.inject_context(&cx, &mut CommandInjector::new(&mut command));
        let expected: Vec<_> = carrier
            .iter()
            .map(|(name, value)| (name.clone(), Some(value.clone())))
            .collect();
        assert_eq!(told(&command), expected, "{kind}");
        let back = propagator.extract_with_context(&Context::new(), &carrier);
        if *kind == PropagatorKind::Baggage {
            assert_eq!(back.baggage().len(), 1);
        } else {
            assert_eq!(span(&back).trace_id(), TraceId::from(9), "{kind}");
            assert!(
                span(&back).is_sampled() && span(&back).is_remote(),
                "{kind}"
            );
        }
    }
}

// === queries ===

#[track_caller]
fn assert_query(query: &str, expected: Option<&str>, tracestate: &str) {
    let extraction = query::extract(query, &Context::new());
    let parent = extraction.parent.clone();
    assert_eq!(
        parent.as_ref().map(|parent| parent.span_id().to_string()),
        expected.map(str::to_owned),
        "{query}"
    );
    if let Some(parent) = parent {
        assert!(parent.is_remote() && parent.is_valid());
    }
    let mut sent = PropagationContext::new();
    Propagator::w3c().inject_context(&extraction.into_context(), &mut sent);
    assert_eq!(
        Extractor::get(&sent, "tracestate").unwrap_or_default(),
        tracestate,
        "{query}"
    );
}

#[test]
fn a_query_is_read() {
    let id = Some("b7ad6b7169203331");
    for (query, tracestate) in [
        (format!("traceparent={PARENT}"), ""),
        (format!("a=1&traceparent={PARENT}&b"), ""),
        (format!("&&traceparent={PARENT}&="), ""),
        (format!("tr%61ceparent={}", PARENT.replace('-', "%2D")), ""),
        (format!("traceparent=+{PARENT}%20"), ""),
        (
            format!("traceparent={PARENT}&tracestate=a=1,b=2"),
            "a=1,b=2",
        ),
        (
            format!("tracestate=a%3D1%2Cb%3D2&traceparent={PARENT}"),
            "a=1,b=2",
        ),
        (format!("traceparent={PARENT}&tracestate=a=x+y"), "a=x y"),
        (format!("traceparent={PARENT}&tracestate=a=x%2By"), "a=x+y"),
        (
            format!("traceparent={PARENT}&tracestate=foo@@bar=1,a=2"),
            "foo@@bar=1,a=2",
        ),
        // Illegal, empty, and twice.
        (format!("traceparent={PARENT}&tracestate=A=1"), ""),
        (format!("traceparent={PARENT}&tracestate"), ""),
        (
            format!("traceparent={PARENT}&tracestate=a=1&tracestate=b=2"),
            "",
        ),
        (
            format!("Traceparent=x&traceparent={PARENT}&TRACESTATE=a=1"),
            "",
        ),
    ] {
        assert_query(&query, id, tracestate);
        assert!(query::is_present(&query));
    }
}

#[test]
fn what_is_illegal_in_a_query_is_as_good_as_absent() {
    for query in [
        "traceparent".to_owned(),
        "traceparent=".to_owned(),
        "traceparent=x".to_owned(),
        "traceparent=%".to_owned(),
        "traceparent=%ff%fe".to_owned(),
        format!("traceparent={PARENT}&traceparent={PARENT}"),
        format!("traceparent={PARENT}&tr%61ceparent=x"),
        format!("traceparent={PARENT}&traceparent"),
        format!("traceparent={PARENT}x&tracestate=a=1"),
        format!("traceparent={}", PARENT.to_uppercase()),
    ] {
        assert_query(&query, None, "");
        assert!(query::is_present(&query), "{query}");
        assert!(query::extract(&query, &Context::new()).rejected.traceparent);
    }
    for query in [
        String::new(),
        "&".to_owned(),
        format!("Traceparent={PARENT}"),
        format!("xtraceparent={PARENT}"),
        format!("q=traceparent={PARENT}"),
        "tracestate=a=1&baggage=a=1".to_owned(),
        format!("traceparent={PARENT}&q={}", "x".repeat(query::MAX_BYTES)),
    ] {
        assert_query(&query, None, "");
        assert!(!query::is_present(&query));
        assert!(!query::extract(&query, &Context::new()).rejected.any());
    }
}

#[test]
fn a_query_says_what_was_wrong_with_it() {
    for list in ["tracestate=A=1", "tracestate=a=1&tracestate=a=1"] {
        let query = format!("traceparent={PARENT}&{list}");
        let rejected = query::extract(&query, &Context::new()).rejected;
        assert!(rejected.tracestate && !rejected.traceparent, "{list}");
    }
}

#[test]
fn looking_for_nothing_in_a_query_allocates_nothing() {
    let base = Context::new();
    let long = "a=%41&".repeat(10_000);
    for (query, allocations) in [
        ("", 0),
        ("a=1&b=%20&c=+", 0),
        (&long, 0),
        (
            "traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            0,
        ),
    ] {
        let info = allocation_counter::measure(|| {
            let extraction = query::extract(query, &base);
            assert_eq!(extraction.parent.is_some(), query.starts_with('t'));
            assert_eq!(query::is_present(query), query.starts_with('t'));
        });
        assert_eq!(info.count_total, allocations);
    }
}

#[test]
fn a_hostile_query_takes_a_bounded_number_of_bytes() {
    for unit in [
        "traceparent=%41&",
        "traceparent=",
        "tracestate=a%3D1,",
        "%",
        "+",
        "&",
        "=",
    ] {
        let mut query = format!("traceparent={PARENT}&tracestate=");
        query.extend(std::iter::repeat_n(unit, 60_000 / unit.len()));
        let info = allocation_counter::measure(|| {
            let _ = std::hint::black_box(query::extract(&query, &Context::new()));
        });
        assert!(
            info.bytes_max < 200 * 1024,
            "{unit}: {} bytes",
            info.bytes_max
        );
        assert!(
            info.count_total < 100,
            "{unit}: {} allocations",
            info.count_total
        );
    }
}

// === maps ===

#[test]
fn a_context_goes_into_any_map_and_comes_out_of_it() {
    let propagator = everything();
    let cx = local(9, 1).with_baggage([KeyValue::new("a", "1")]);
    let captured = PropagationContext::capture(&propagator, &cx);
    let hash: HashMap<String, String> = captured.clone().into_iter().collect();
    let tree: BTreeMap<String, String> = captured.clone().into_iter().collect();
    let mut vec = vec![("content-type".to_owned(), "text/plain".to_owned())];
    vec.extend(captured);
    for restored in [
        PropagationContext::from_iter(hash),
        PropagationContext::from_iter(tree.clone()),
        tree.iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect(),
        PropagationContext::from_iter(vec),
    ] {
        let back = restored.restore(&propagator, &Context::new());
        assert_eq!(span(&back).trace_id(), TraceId::from(9));
        assert!(span(&back).is_remote());
        assert_eq!(
            back.baggage().get("a").map(|value| value.as_str()),
            Some("1")
        );
    }
    assert!(PropagationContext::capture(&propagator, &Context::new()).is_empty());
}

#[test]
fn names_of_a_map_that_differ_by_case_are_one_name() {
    let twice = PropagationContext::from_iter([("traceparent", PARENT), ("TraceParent", PARENT)]);
    assert_eq!(twice.get_all("TRACEPARENT"), Some(vec![PARENT; 2]));
    assert_eq!(twice.get_all("tracestate"), None);
    assert!(!span(&twice.restore(&Propagator::w3c(), &Context::new())).is_valid());
    let mut once = PropagationContext::from_iter([("TraceParent", PARENT)]);
    assert!(span(&once.restore(&Propagator::w3c(), &Context::new())).is_valid());
    once.set("TRACEPARENT", "new".to_owned());
    assert_eq!(once.iter().collect::<Vec<_>>(), [("traceparent", "new")]);
    assert_eq!(format!("{once:?}"), r#"{"traceparent"}"#, "no values");
}

// === properties ===

fn any_span() -> impl Strategy<Value = Context> {
    (
        1_u128..,
        1_u64..,
        0_u8..4,
        proptest::collection::btree_map("[a-z][a-z0-9_]{0,5}", "[!-+.-<>-~]{1,9}", 0..4),
    )
        .prop_map(|(trace_id, span_id, flags, members)| {
            Context::new().with_remote_span_context(SpanContext::new(
                TraceId::from(trace_id),
                SpanId::from(span_id),
                TraceFlags::new(flags),
                true,
                TraceState::from_key_value(members).unwrap(),
            ))
        })
}

proptest! {
    #[test]
    fn w3c_comes_back_from_every_carrier(
        cx in any_span(),
        baggage in proptest::collection::btree_map("[a-z]{1,5}", any::<String>(), 0..4),
    ) {
        let propagator = Propagator::w3c();
        let cx = cx.with_baggage(baggage.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())));
        let mut carrier = EnvironmentCarrier::new();
        propagator.inject_context(&cx, &mut carrier);
        let by_environment = propagator.extract_with_context(&Context::new(), &carrier);
        let by_map = PropagationContext::capture(&propagator, &cx).restore(&propagator, &Context::new());
        for back in [&by_environment, &by_map] {
            prop_assert_eq!(span(back), span(&cx));
            for (key, value) in &baggage {
                prop_assert_eq!(back.baggage().get(key).map(|value| value.as_str()), Some(value.as_str()));
            }
        }
        let query = query::inject(&cx).unwrap();
        prop_assert!(!query.contains(['+', ' ', '#']));
        let uri: http::Uri = format!("wss://host/path?a=1&{query}").parse().unwrap();
        let back = query::extract(uri.query().unwrap(), &Context::new());
        prop_assert_eq!(back.parent, Some(span(&cx)));
    }

    #[test]
    fn garbage_in_a_query_never_makes_an_invalid_parent(
        pairs in proptest::collection::vec(
            (prop_oneof![Just("traceparent"), Just("tracestate"), Just("a")], prop_oneof![".{0,60}", "00-0{31}[01]-0{15}[01]-0[01]", Just(PARENT.to_owned())]),
            0..5,
        ),
        encode in any::<bool>(),
    ) {
        let pairs: Vec<String> = pairs
            .into_iter()
            .map(|(key, value)| if encode {
                format!("{key}={}", utf8_percent_encode(&value, NON_ALPHANUMERIC))
            } else {
                format!("{key}={value}")
            })
            .collect();
        let extraction = query::extract(&pairs.join("&"), &Context::new());
        if let Some(parent) = extraction.parent {
            prop_assert!(parent.is_valid() && parent.is_remote());
            prop_assert!(!extraction.rejected.traceparent);
        }
    }

    #[test]
    fn garbage_in_a_map_never_makes_an_invalid_parent(
        fields in proptest::collection::vec(
            (prop_oneof![Just("traceparent".to_owned()), Just("b3".to_owned()), Just("uber-trace-id".to_owned()), Just("uberctx-a".to_owned()), ".{0,9}"], ".{0,60}"),
            0..6,
        ),
    ) {
        let back = PropagationContext::from_iter(fields).restore(&everything(), &Context::new());
        prop_assert!(span(&back).is_valid() || span(&back) == SpanContext::NONE);
    }
}
