//! Several formats at once.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use http::HeaderMap;
use opentelemetry::{
    Context, KeyValue, baggage::BaggageExt, propagation::TextMapPropagator, trace::TraceId,
};
use proptest::prelude::*;
use support::{headers, local, pairs, passed_on, read, span, written};
use towline_propagation::{Propagator, PropagatorKind};

const ALL: &[PropagatorKind] = PropagatorKind::ALL;

fn of(kinds: &[PropagatorKind]) -> Propagator {
    Propagator::of(kinds.iter().copied())
}

#[test]
fn everything_is_written() {
    let cx = local(9, 1).with_baggage([KeyValue::new("a", "1")]);
    let mut expected = vec![
        ("baggage", "a=1"),
        (
            "traceparent",
            "00-00000000000000000000000000000009-0000000000000007-01",
        ),
        (
            "uber-trace-id",
            "00000000000000000000000000000009:0000000000000007:0:1",
        ),
        ("uberctx-a", "1"),
    ];
    if cfg!(feature = "b3") {
        expected.extend([
            ("b3", "00000000000000000000000000000009-0000000000000007-1"),
            ("x-b3-sampled", "1"),
            ("x-b3-spanid", "0000000000000007"),
            ("x-b3-traceid", "00000000000000000000000000000009"),
        ]);
    }
    expected.sort_unstable();
    assert_eq!(written(&of(ALL), &cx), pairs(&expected));
    let reversed: Vec<_> = ALL.iter().rev().copied().collect();
    assert_eq!(written(&of(&reversed), &cx), pairs(&expected));
    assert_eq!(written(&of(&[]), &cx), []);
}

#[test]
fn any_of_them_is_read_and_the_others_do_not_wipe_it_out() {
    let reversed: Vec<_> = ALL.iter().rev().copied().collect();
    for kinds in [ALL, &reversed] {
        for kind in ALL {
            let propagator = of(kinds);
            let alone = written(&Propagator::of([*kind]), &local(9, 1));
            let mut lines: Vec<(&str, &str)> = alone
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            if lines.is_empty() {
                continue; // baggage
            }
            let parent = span(&read(&propagator, &lines));
            assert_eq!(parent.trace_id(), TraceId::from(9), "{kind}");
            // Nor do they if they are illegal.
            for name in ["traceparent", "b3", "x-b3-traceid", "uber-trace-id"] {
                if lines.iter().all(|(known, _)| *known != name) {
                    lines.push((name, "junk"));
                }
            }
            let parent = span(&read(&propagator, &lines));
            assert_eq!(parent.trace_id(), TraceId::from(9), "{kind}: {lines:?}");
        }
    }
}

#[test]
fn the_later_one_wins_if_both_are_legal() {
    let lines = [
        (
            "traceparent",
            "00-00000000000000000000000000000001-0000000000000001-01",
        ),
        ("uber-trace-id", "2:2:0:1"),
    ];
    for (kinds, expected) in [
        ([PropagatorKind::TraceContext, PropagatorKind::Jaeger], 2),
        ([PropagatorKind::Jaeger, PropagatorKind::TraceContext], 1),
    ] {
        let parent = span(&read(&of(&kinds), &lines));
        assert_eq!(parent.trace_id(), TraceId::from(expected));
    }
}

#[test]
fn what_only_one_can_say_of_a_trace_stays_with_it() {
    let w3c = [
        (
            "traceparent",
            "00-00000000000000000000000000000009-0000000000000001-03",
        ),
        ("tracestate", "congo=1,foo@@bar=2"),
    ];
    for kinds in [
        [PropagatorKind::TraceContext, PropagatorKind::Jaeger],
        [PropagatorKind::Jaeger, PropagatorKind::TraceContext],
    ] {
        let propagator = of(&kinds);
        let lines = [&w3c[..], &[("uber-trace-id", "9:1:0:1")]].concat();
        let sent = passed_on(&propagator, &lines);
        assert_eq!(sent[..2], pairs(&w3c), "{kinds:?}");
        // Another trace has nothing to do with it.
        let lines = [&w3c[..], &[("uber-trace-id", "8:1:0:1")]].concat();
        let parent = span(&read(&propagator, &lines));
        if parent.trace_id() == TraceId::from(8) {
            assert_eq!(parent.trace_flags().to_u8(), 1);
            assert_eq!(parent.trace_state().header(), "");
            assert_eq!(passed_on(&propagator, &lines).len(), 2, "no tracestate");
        }
    }
}

#[test]
fn neither_baggage_is_lost() {
    let lines = [
        ("baggage", "a=1,b=2"),
        ("uberctx-b", "3"),
        ("uberctx-c", "4"),
    ];
    for kinds in [
        [PropagatorKind::Baggage, PropagatorKind::Jaeger],
        [PropagatorKind::Jaeger, PropagatorKind::Baggage],
    ] {
        let sent = passed_on(&of(&kinds), &lines);
        let expected = [
            ("baggage", "a=1,b=3,c=4"),
            ("uberctx-a", "1"),
            ("uberctx-b", "3"),
            ("uberctx-c", "4"),
        ];
        assert_eq!(sent, pairs(&expected), "{kinds:?}");
    }
}

#[cfg(feature = "b3")]
#[test]
fn a_decision_that_b3_leaves_open_is_the_one_of_the_other_format() {
    let ids = "00000000000000000000000000000009-0000000000000001";
    for (flags, state) in [("01", "-1"), ("03", "-1"), ("00", "")] {
        let traceparent = format!("00-{ids}-{flags}");
        let lines = [("b3", ids), ("traceparent", &traceparent)];
        for kinds in [
            [PropagatorKind::TraceContext, PropagatorKind::B3],
            [PropagatorKind::B3, PropagatorKind::TraceContext],
        ] {
            let expected = [
                ("b3", &*format!("{ids}{state}")),
                ("traceparent", &traceparent),
            ];
            assert_eq!(
                passed_on(&of(&kinds), &lines),
                pairs(&expected),
                "{kinds:?}"
            );
        }
    }
}

#[cfg(feature = "b3")]
#[test]
fn a_debug_flag_of_jaeger_alone_is_none_of_b3() {
    let propagator = of(&[PropagatorKind::Jaeger, PropagatorKind::B3]);
    let sent = passed_on(&propagator, &[("uber-trace-id", "9:8:0:2")]);
    assert!(
        sent[0].1.ends_with("-0") && sent[1].1.ends_with(":0"),
        "{sent:?}"
    );
}

#[cfg(feature = "b3")]
#[test]
fn a_denial_without_ids_leaves_the_trace_of_another_format_alone() {
    let lines = [
        ("b3", "0"),
        (
            "traceparent",
            "00-00000000000000000000000000000009-0000000000000001-01",
        ),
    ];
    for kinds in [
        [PropagatorKind::TraceContext, PropagatorKind::B3],
        [PropagatorKind::B3, PropagatorKind::TraceContext],
    ] {
        let parent = span(&read(&of(&kinds), &lines));
        assert_eq!(
            (parent.trace_id(), parent.span_id()),
            (TraceId::from(9), opentelemetry::trace::SpanId::from(1))
        );
        assert!(parent.is_sampled());
    }
}

#[test]
fn a_repeated_one_counts_once_and_w3c_s_alone_are_the_direct_path() {
    use PropagatorKind::{Baggage, TraceContext};
    for (kinds, same) in [
        (
            &[TraceContext, Baggage, TraceContext][..],
            Propagator::w3c(),
        ),
        (&[Baggage, TraceContext], Propagator::w3c()),
        (&[TraceContext], Propagator::trace_context()),
        (&[Baggage, Baggage], Propagator::baggage()),
        (&[], Propagator::none()),
    ] {
        assert_eq!(format!("{:?}", of(kinds)), format!("{same:?}"));
        assert!(of(kinds).fields().eq(same.fields()));
        assert_eq!(
            of(kinds).names(),
            {
                let mut names: Vec<_> = same.fields().map(str::to_owned).collect();
                names.sort();
                names
            },
            "{kinds:?}"
        );
    }
    assert_eq!(
        format!(
            "{:?}",
            of(&[PropagatorKind::Jaeger, Baggage, PropagatorKind::Jaeger])
        ),
        "Propagator([Baggage, Jaeger])"
    );
    assert!(
        Propagator::w3c()
            .fields()
            .eq(["traceparent", "tracestate", "baggage"])
    );
    assert!(
        Propagator::trace_context()
            .fields()
            .eq(["traceparent", "tracestate"])
    );
    assert!(Propagator::baggage().fields().eq(["baggage"]));
    assert!(Propagator::none().fields().eq([""; 0]));
}

#[test]
fn w3c_s_work_on_any_carrier() {
    let lines = [
        ("baggage", "a=1"),
        (
            "traceparent",
            "00-00000000000000000000000000000009-0000000000000001-03",
        ),
        ("tracestate", "congo=1"),
    ];
    for (propagator, sent) in [
        (Propagator::w3c(), &lines[..]),
        (Propagator::trace_context(), &lines[1..]),
        (Propagator::baggage(), &lines[..1]),
        (Propagator::none(), &[]),
    ] {
        assert_eq!(
            passed_on(&propagator, &lines),
            pairs(sent),
            "{propagator:?}"
        );
    }
}

#[test]
fn off_asks_each_of_them() {
    let propagator = of(ALL);
    assert!(!propagator.fields_present(&HeaderMap::new()));
    for name in ["traceparent", "baggage", "uber-trace-id", "uberctx-a"] {
        assert!(propagator.fields_present(&headers(&[(name, "")])), "{name}");
    }
    assert!(!propagator.fields_present(&headers(&[("tracestate", "a=1"), ("x-a", "")])));
}

#[test]
fn a_custom_one_is_asked_on_any_carrier() {
    let custom = Propagator::custom(of(&[PropagatorKind::Jaeger]));
    assert!(custom.fields().eq(["uber-trace-id"]));
    assert_eq!(custom.names(), ["uber-trace-id"]);
    let cx = custom.extract_with_context(
        &Context::new(),
        &support::fields(&[("uber-trace-id", "1:2:0:1")]),
    );
    assert!(span(&cx).is_valid());
    assert_eq!(written(&custom, &cx).len(), 1);
}

fn kinds() -> impl Strategy<Value = Vec<PropagatorKind>> {
    proptest::collection::vec(proptest::sample::select(ALL), 0..6)
}

proptest! {
    #[test]
    fn both_paths_agree_whatever_is_received(
        kinds in kinds(),
        lines in proptest::collection::vec(
            (
                prop_oneof![Just("traceparent"), Just("tracestate"), Just("baggage"), Just("b3"), Just("x-b3-traceid"), Just("x-b3-spanid"), Just("x-b3-sampled"), Just("uber-trace-id"), Just("uberctx-a")],
                prop_oneof![
                    "[ -~]{0,20}",
                    "00-0{31}[1-3]-0{15}[1-3]-0[0-3]",
                    "0{31}[1-3]-0{15}[1-3](-[1d])?",
                    "[1-3]:[1-3]:0:[0-3]",
                    "[ab]=[12](,[ab]=[12])?",
                    "0{31}[1-3]",
                    "0{15}[1-3]",
                ],
            ),
            0..8,
        ),
    ) {
        let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
        // A denial without ids makes them up.
        prop_assume!(!lines.iter().any(|(name, value)| *name == "x-b3-sampled" && value.trim() == "0" || *name == "b3" && value.trim() == "0"));
        let cx = read(&of(&kinds), &lines);
        let parent = span(&cx);
        prop_assert!(parent.is_valid() || parent == opentelemetry::trace::SpanContext::NONE);
        written(&of(&kinds), &cx);
    }
}
