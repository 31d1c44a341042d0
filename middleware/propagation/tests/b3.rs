//! B3: both forms read, one of them written.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use opentelemetry::{
    Context,
    propagation::TextMapPropagator,
    trace::{SpanContext, TraceContextExt, TraceId},
};
use opentelemetry_propagator_b3::{B3Encoding, Propagator as Upstream};
use proptest::prelude::*;
use support::{Plain, child, fields, headers, local, pairs, passed_on, read, span, written};
use towline_propagation::{B3Propagator, Propagator, PropagatorKind};

fn single() -> Propagator {
    Propagator::of([PropagatorKind::B3])
}

fn multi() -> Propagator {
    Propagator::of([PropagatorKind::B3Multi])
}

/// What a header `b3` says: trace id, span id, and the flags.
#[track_caller]
fn assert_single(value: &str, expected: Option<(u128, u64, u8)>) {
    for propagator in [single(), multi()] {
        assert_parent(&read(&propagator, &[("b3", value)]), expected, value);
    }
}

#[track_caller]
fn assert_multi(lines: &[(&str, &str)], expected: Option<(u128, u64, u8)>) {
    for propagator in [single(), multi()] {
        assert_parent(
            &read(&propagator, lines),
            expected,
            &format!("{propagator:?} {lines:?}"),
        );
    }
}

#[track_caller]
fn assert_parent(cx: &Context, expected: Option<(u128, u64, u8)>, shown: &str) {
    let parent = span(cx);
    let found = parent.is_valid().then(|| {
        assert!(parent.is_remote(), "{shown}");
        (
            u128::from_be_bytes(parent.trace_id().to_bytes()),
            u64::from_be_bytes(parent.span_id().to_bytes()),
            parent.trace_flags().to_u8(),
        )
    });
    assert_eq!(found, expected, "{shown}");
}

#[test]
fn one_header_is_read_by_the_specification() {
    for (value, flags) in [
        ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1", 0),
        ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0", 0),
        ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1", 1),
        ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-d", 1),
        (
            "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90",
            1,
        ),
        (" 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1\t", 1),
    ] {
        assert_single(value, Some((TRACE, SPAN, flags)));
    }
    assert_single(
        "64fe8b2a57d3eff7-e457b5a2e4d86bd1-1",
        Some((TRACE & u128::from(u64::MAX), SPAN, 1)),
    );
}

#[test]
fn what_is_illegal_is_as_good_as_absent() {
    for value in [
        "",
        "-",
        "x",
        "1",
        "d",
        "00",
        "80f198ee56343ba864fe8b2a57d3eff7",
        "80f198ee56343ba864fe8b2a57d3eff7-",
        "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-",
        "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1--",
        "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-",
        "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-2",
        "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-D",
        "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01",
        "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-true",
        "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b9",
        "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90-1",
        "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd-1",
        "80f198ee56343ba864fe8b2a57d3eff-e457b5a2e4d86bd1-1",
        "80f198ee56343ba864fe8b2a57d3eff70-e457b5a2e4d86bd1-1",
        "80F198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1",
        "80f198ee56343ba864fe8b2a57d3eff7-E457b5a2e4d86bd1-1",
        "+0f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1",
        "80f198ee56343ba864fe8b2a57d3eff7-+457b5a2e4d86bd1-1",
        "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-+5e3ac9a4f6e3b90",
        "00000000000000000000000000000000-e457b5a2e4d86bd1-1",
        "80f198ee56343ba864fe8b2a57d3eff7-0000000000000000-1",
        "80f198ee56343ba864fe8b2a57d3eff7_e457b5a2e4d86bd1_1",
        "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1 ?",
    ] {
        assert_single(value, None);
        let extraction = single().extract(&headers(&[("b3", value)]), &Context::new());
        assert_eq!(
            extraction.rejected.b3,
            !matches!(value, "1" | "d"),
            "{value}"
        );
        assert_eq!(extraction.rejected.any(), extraction.rejected.b3);
        // Then the other headers count.
        assert_multi(
            &[("b3", value), TRACE_ID, SPAN_ID, ("x-b3-sampled", "1")],
            Some((TRACE, SPAN, 1)),
        );
    }
}

#[test]
fn several_headers_are_read_by_the_specification() {
    for (rest, flags) in [
        (&[][..], 0),
        (&[("x-b3-sampled", "0")], 0),
        (&[("x-b3-sampled", "1")], 1),
        (&[("x-b3-sampled", "true")], 1),
        (&[("x-b3-sampled", "false")], 0),
        (&[("x-b3-flags", "1")], 1),
        (&[("x-b3-flags", "1"), ("x-b3-sampled", "0")], 1),
        (&[("x-b3-flags", "1"), ("x-b3-sampled", "junk")], 1),
        // Only one value of it means anything.
        (&[("x-b3-flags", "0"), ("x-b3-sampled", "1")], 1),
        (&[("x-b3-flags", "junk"), ("x-b3-sampled", "1")], 1),
        (&[("x-b3-sampled", "1"), ("x-b3-sampled", "0")], 1),
        (
            &[
                ("x-b3-sampled", "1"),
                ("x-b3-parentspanid", "05e3ac9a4f6e3b90"),
            ],
            1,
        ),
        (
            &[("x-b3-sampled", "1"), ("x-b3-parentspanid", "whatever")],
            1,
        ),
    ] {
        let lines = [&[TRACE_ID, SPAN_ID], rest].concat();
        assert_multi(&lines, Some((TRACE, SPAN, flags)));
    }
    let short = [
        ("x-b3-traceid", "64fe8b2a57d3eff7"),
        SPAN_ID,
        ("x-b3-sampled", "1"),
    ];
    assert_multi(&short, Some((TRACE & u128::from(u64::MAX), SPAN, 1)));
}

#[test]
fn illegal_headers_make_no_parent() {
    for lines in [
        &[TRACE_ID, ("x-b3-sampled", "1")][..],
        &[SPAN_ID, ("x-b3-sampled", "1")],
        &[TRACE_ID, SPAN_ID, ("x-b3-sampled", "2")],
        &[TRACE_ID, SPAN_ID, ("x-b3-sampled", "d")],
        &[TRACE_ID, SPAN_ID, ("x-b3-sampled", "")],
        &[("x-b3-traceid", "80f198ee56343ba8"), ("x-b3-spanid", "1")],
        &[
            ("x-b3-traceid", "00000000000000000000000000000000"),
            SPAN_ID,
        ],
        &[TRACE_ID, ("x-b3-spanid", "0000000000000000")],
        &[("x-b3-traceid", "+0f198ee56343ba8"), SPAN_ID],
        &[
            ("x-b3-traceid", "80F198EE56343BA864FE8B2A57D3EFF7"),
            SPAN_ID,
        ],
        &[TRACE_ID, ("x-b3-spanid", "E457B5A2E4D86BD1")],
        // The first one stands.
        &[("x-b3-traceid", ""), TRACE_ID, SPAN_ID],
        // A decision is none without a legal trace that it is about.
        &[
            ("x-b3-traceid", "x"),
            ("x-b3-spanid", "x"),
            ("x-b3-sampled", "0"),
        ],
    ] {
        assert_multi(lines, None);
        let extraction = multi().extract(&headers(lines), &Context::new());
        assert!(extraction.rejected.b3, "{lines:?}");
    }
    for lines in [
        &[][..],
        &[("x-b3-sampled", "1")],
        &[("x-b3-flags", "1")],
        &[("x-b3-sampled", "0"), ("x-b3-flags", "1")],
        &[("x-b3-parentspanid", "05e3ac9a4f6e3b90")],
    ] {
        assert_multi(lines, None);
        let extraction = multi().extract(&headers(lines), &Context::new());
        assert!(!extraction.rejected.any(), "{lines:?}");
    }
}

#[test]
fn the_one_header_comes_before_the_others() {
    let other = [
        ("x-b3-traceid", "a3ce929d0e0e4736"),
        ("x-b3-spanid", "00f067aa0ba902b7"),
        ("x-b3-sampled", "0"),
    ];
    let lines = [&[("b3", B3)][..], &other].concat();
    assert_multi(&lines, Some((TRACE, SPAN, 1)));
}

#[test]
fn a_denial_without_ids_makes_an_unsampled_trace() {
    for lines in [
        &[("b3", "0")][..],
        &[("b3", "0"), TRACE_ID, SPAN_ID, ("x-b3-sampled", "1")],
        &[("x-b3-sampled", "0")],
        &[("x-b3-sampled", "false"), ("x-b3-flags", "0")],
    ] {
        for propagator in [single(), multi()] {
            let parents = [(); 2].map(|()| {
                let extraction = propagator.extract(&headers(lines), &Context::new());
                assert!(!extraction.rejected.any());
                extraction.parent.unwrap()
            });
            for parent in &parents {
                assert!(parent.is_valid() && parent.is_remote() && !parent.is_sampled());
                assert_ne!(parent.trace_id(), TraceId::from(TRACE));
            }
            assert_ne!(parents[0].trace_id(), parents[1].trace_id());
            let cx = propagator.extract_with_context(&Context::new(), &fields(lines));
            assert!(span(&cx).is_valid() && !span(&cx).is_sampled());
            // It says nothing about a trace that is known.
            let known = local(1, 1);
            let extraction = propagator.extract(&headers(lines), &known);
            assert_eq!(span(&extraction.into_context()), span(&known));
            let cx = propagator.extract_with_context(&known, &fields(lines));
            assert_eq!(span(&cx), span(&known));
        }
    }
}

#[test]
fn writes_the_form_that_was_asked_for() {
    let (b3, denied) = (B3.to_owned(), format!("{}-0", &B3[..49]));
    for (sent, expected) in [(1, &b3), (0, &denied)] {
        let cx = Context::new().with_remote_span_context(SpanContext::new(
            TraceId::from(TRACE),
            SPAN.into(),
            opentelemetry::trace::TraceFlags::new(sent),
            false,
            Default::default(),
        ));
        assert_eq!(written(&single(), &cx), pairs(&[("b3", expected)]));
        let state = if sent == 1 { "1" } else { "0" };
        let several = [SAMPLED_NAME, SPAN_ID.0, TRACE_ID.0];
        let several = [
            (several[0], state),
            (several[1], SPAN_ID.1),
            (several[2], TRACE_ID.1),
        ];
        assert_eq!(written(&multi(), &cx), pairs(&several));
        let both = Propagator::of([PropagatorKind::B3Multi, PropagatorKind::B3]);
        assert_eq!(
            written(&both, &cx),
            [pairs(&[("b3", expected)]), pairs(&several)].concat()
        );
    }
}

#[test]
fn a_random_trace_id_is_none_that_nobody_has_decided_on() {
    for (flags, state) in [(3, "1"), (2, "0")] {
        let sent = written(&single(), &local(TRACE, flags));
        assert!(sent[0].1.ends_with(&format!("-{state}")), "{sent:?}");
    }
}

#[test]
fn nothing_is_sent_for_a_context_without_a_span() {
    for propagator in [single(), multi()] {
        assert_eq!(written(&propagator, &Context::new()), []);
        let mut map = headers(&[("b3", B3)]);
        propagator.inject(&Context::new(), &mut map);
        assert_eq!(map, headers(&[("b3", B3)]));
    }
}

#[test]
fn debug_is_passed_on_along_the_whole_trace_and_into_no_other() {
    let received = [TRACE_ID, SPAN_ID, ("x-b3-flags", "1")];
    let single = single();
    let cx = read(&single, &received);
    assert!(span(&cx).is_sampled());
    for cx in [cx.clone(), child(&cx, 1), child(&child(&cx, 3), 3)] {
        assert!(written(&single, &cx)[0].1.ends_with("-d"));
        let sent = written(&multi(), &cx);
        assert_eq!(sent[0], ("x-b3-flags".to_owned(), "1".to_owned()));
        assert_eq!(sent.len(), 3, "no state beside it: {sent:?}");
    }
    let other = cx.with_remote_span_context(span(&local(5, 1)));
    assert!(written(&single, &other)[0].1.ends_with("-1"));
}

#[test]
fn what_is_left_to_the_receiver_is_so_until_there_is_a_span() {
    for lines in [&[("b3", &B3[..49])][..], &[TRACE_ID, SPAN_ID]] {
        let cx = read(&single(), lines);
        assert!(!span(&cx).is_sampled());
        assert_eq!(span(&cx).trace_flags().to_u8(), 0, "no random flag");
        assert_eq!(written(&single(), &cx), pairs(&[("b3", &B3[..49])]));
        assert_eq!(written(&multi(), &cx).len(), 2);
        // A tracer decides.
        for (flags, state) in [(0, "-0"), (1, "-1")] {
            let sent = written(&single(), &child(&cx, flags));
            assert!(sent[0].1.ends_with(state), "{sent:?}");
        }
    }
}

#[test]
fn nothing_of_the_caller_s_outlives_what_is_written() {
    let stale = headers(&[
        ("b3", "0"),
        TRACE_ID,
        ("x-b3-parentspanid", "05e3ac9a4f6e3b90"),
        ("x-b3-sampled", "0"),
        ("x-b3-flags", "1"),
        ("x-other", "1"),
    ]);
    for propagator in [
        single(),
        multi(),
        Propagator::of([PropagatorKind::B3, PropagatorKind::B3Multi]),
    ] {
        let mut map = stale.clone();
        propagator.inject(&local(9, 1), &mut map);
        let mut expected = headers(&[("x-other", "1")]);
        propagator.inject(&local(9, 1), &mut expected);
        assert_eq!(map, expected);
        assert_eq!(
            propagator
                .extract(&map, &Context::new())
                .parent
                .unwrap()
                .trace_id(),
            TraceId::from(9)
        );
    }
}

#[test]
fn a_switched_off_hop_sees_all_that_can_be_read() {
    for propagator in [single(), multi()] {
        for (name, present) in [
            ("b3", true),
            ("x-b3-traceid", true),
            ("x-b3-sampled", true),
            ("x-b3-spanid", false),
            ("traceparent", false),
        ] {
            assert_eq!(
                propagator.fields_present(&headers(&[(name, "")])),
                present,
                "{name}"
            );
        }
        assert_eq!(
            propagator.names(),
            [
                "b3",
                "x-b3-flags",
                "x-b3-parentspanid",
                "x-b3-sampled",
                "x-b3-spanid",
                "x-b3-traceid"
            ]
        );
    }
}

#[test]
fn lists_the_fields_that_it_writes() {
    assert!(B3Propagator::default().fields().eq(["b3"]));
    assert!(B3Propagator::multi().fields().eq([
        "x-b3-traceid",
        "x-b3-spanid",
        "x-b3-sampled",
        "x-b3-flags"
    ]));
}

#[test]
fn works_on_a_carrier_that_answers_for_one_value_only() {
    let cx = B3Propagator::single().extract_with_context(&Context::new(), &Plain(&[("b3", B3)]));
    assert_parent(&cx, Some((TRACE, SPAN, 1)), B3);
}

#[test]
fn hostile_headers_are_not_looked_at() {
    for unit in ["-", "a-", "0", "80f198ee56343ba864fe8b2a57d3eff7-"] {
        let long = unit.repeat(64 * 1024 / unit.len()) + "a";
        let map = headers(&[
            ("b3", &long),
            ("x-b3-traceid", &long),
            ("x-b3-spanid", &long),
            ("x-b3-sampled", &long),
        ]);
        let info = allocation_counter::measure(|| {
            let extraction = single().extract(&map, &Context::new());
            assert!(extraction.parent.is_none() && extraction.rejected.b3);
        });
        assert!(info.bytes_max < 4096, "{unit}: {} bytes", info.bytes_max);
    }
}

fn garbage() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,80}",
        "[0-9a-fA-F+-]{0,80}",
        "([0-9a-f]{32}|[0-9a-f]{16})-[0-9a-f]{16}(-[01d]?)?(-[0-9a-f]{16})?",
        "[01d]|true|false",
        "[0-9a-f]{16}|[0-9a-f]{32}",
    ]
}

proptest! {
    #[test]
    fn garbage_never_makes_an_invalid_parent(
        lines in proptest::collection::vec(
            (
                prop_oneof![Just("b3"), Just("x-b3-traceid"), Just("x-b3-spanid"), Just("x-b3-sampled"), Just("x-b3-flags")],
                garbage(),
            ),
            0..7,
        ),
    ) {
        let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
        for propagator in [single(), multi()] {
            let extraction = propagator.extract(&headers(&lines), &Context::new());
            let parent = extraction.parent.clone();
            prop_assert!(parent.as_ref().is_none_or(|parent| parent.is_valid() && parent.is_remote()));
            prop_assert!(parent.is_none() || !extraction.rejected.b3);
            let sent = written(&propagator, &extraction.into_context());
            prop_assert_eq!(sent.is_empty(), parent.is_none());
        }
    }

    #[test]
    fn what_is_written_is_read(trace_id in 1_u128.., span_id in 1_u64.., flags in 0_u8..4) {
        let cx = Context::new().with_remote_span_context(SpanContext::new(
            trace_id.into(), span_id.into(), opentelemetry::trace::TraceFlags::new(flags), false, Default::default(),
        ));
        for propagator in [single(), multi()] {
            let sent = written(&propagator, &cx);
            let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_parent(&read(&propagator, &sent), Some((trace_id, span_id, flags & 1)), "there and back");
            prop_assert_eq!(passed_on(&propagator, &sent), pairs(&sent));
            // Others read the same.
            let upstream = Upstream::with_encoding(B3Encoding::SingleAndMultiHeader);
            let read = span(&upstream.extract_with_context(&Context::new(), &fields(&sent)));
            prop_assert_eq!((read.trace_id(), read.span_id()), (trace_id.into(), span_id.into()));
            prop_assert_eq!(read.trace_flags().to_u8(), flags & 1);
        }
    }
}

const TRACE: u128 = 0x80f198ee56343ba864fe8b2a57d3eff7;
const SPAN: u64 = 0xe457b5a2e4d86bd1;
const B3: &str = "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1";
const TRACE_ID: (&str, &str) = ("x-b3-traceid", "80f198ee56343ba864fe8b2a57d3eff7");
const SPAN_ID: (&str, &str) = ("x-b3-spanid", "e457b5a2e4d86bd1");
const SAMPLED_NAME: &str = "x-b3-sampled";
