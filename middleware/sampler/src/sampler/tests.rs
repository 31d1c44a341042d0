use opentelemetry::trace::{Span, SpanId, TraceFlags, Tracer, TracerProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use proptest::prelude::*;

use super::*;
use crate::limit::Limit;
use crate::rate::Rate;

fn parent(remote: bool, sampled: bool) -> SpanContext {
    SpanContext::new(
        TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
        SpanId::from(0xb7ad_6b71_6920_3331),
        TraceFlags::default().with_sampled(sampled),
        remote,
        TraceState::from_key_value([("vendor", "kept")]).unwrap(),
    )
}

fn sample(sampler: &Sampler, parent: SpanContext) -> SamplingResult {
    let trace_id = parent.trace_id();
    let cx = Context::new().with_remote_span_context(parent);
    sampler.should_sample(Some(&cx), trace_id, "", &SpanKind::Server, &[], &[])
}

#[track_caller]
fn assert_decision(sampler: &Sampler, parent: SpanContext, expected: bool) {
    let result = sample(sampler, parent.clone());
    let (decision, predecision) = if expected {
        (SamplingDecision::RecordAndSample, Predecision::Yes)
    } else {
        (SamplingDecision::Drop, Predecision::No)
    };
    assert_eq!(result.decision, decision);
    if sampler.control().is_enabled() {
        assert_eq!(sampler.predecide(&parent), Some(predecision));
    }
    assert_eq!(result.trace_state.get("vendor"), Some("kept"));
}

#[test]
fn each_parent_keeps_its_decision_at_any_rate() {
    for rate in [Rate::NEVER, Rate::ALWAYS] {
        let sampler = Sampler::new(Control::new(rate));
        for remote in [true, false] {
            for sampled in [true, false] {
                assert_decision(&sampler, parent(remote, sampled), sampled);
            }
        }
    }
}

#[test]
fn each_branch_is_its_own_option() {
    type BranchOption = fn(Sampler, Branch) -> Sampler;
    let options: [(BranchOption, bool, bool); 4] = [
        (Sampler::with_remote_parent_sampled, true, true),
        (Sampler::with_remote_parent_not_sampled, true, false),
        (Sampler::with_local_parent_sampled, false, true),
        (Sampler::with_local_parent_not_sampled, false, false),
    ];
    for (option, remote, sampled) in options {
        let turned = if sampled {
            Branch::Drop
        } else {
            Branch::Record
        };
        let sampler = option(Sampler::default(), turned);
        for other_remote in [true, false] {
            for other_sampled in [true, false] {
                let same = (other_remote, other_sampled) == (remote, sampled);
                let expected = other_sampled != same;
                assert_decision(&sampler, parent(other_remote, other_sampled), expected);
            }
        }
    }
}

#[test]
fn a_branch_can_fall_back_to_the_rate() {
    let control = Control::new(Rate::NEVER);
    let sampler = Sampler::new(control.clone()).with_remote_parent_sampled(Branch::Rate);
    assert_decision(&sampler, parent(true, true), false);
    control.set_rate(Rate::ALWAYS);
    assert_decision(&sampler, parent(true, true), true);
}

#[test]
fn an_invalid_parent_is_no_parent() {
    let sampler = Sampler::new(Control::new(Rate::ALWAYS));
    let invalid = SpanContext::new(
        TraceId::from(1),
        SpanId::INVALID,
        TraceFlags::NOT_SAMPLED,
        true,
        TraceState::NONE,
    );
    assert_eq!(
        sample(&sampler, invalid.clone()).decision,
        SamplingDecision::RecordAndSample
    );
    for none in [&invalid, &SpanContext::NONE] {
        // Whatever its trace id will be.
        assert_eq!(sampler.predecide(none), Some(Predecision::Yes));
        for rate in [0, 1, 999_999] {
            sampler.control().set_rate(Rate::per_million(rate).unwrap());
            assert_eq!(sampler.predecide(none), Some(Predecision::Ask));
        }
        sampler.control().set_rate(Rate::ALWAYS);
    }
}

#[test]
fn a_root_with_an_id_is_decided_as_the_sdk_would_have_it() {
    for rate in [0, 1, 250_000, 999_999, 1_000_000] {
        for told in [false, true] {
            let sampler = Sampler::new(Control::new(Rate::per_million(rate).unwrap()))
                .with_probability_tracestate(told);
            for id in [1, u128::MAX, 0x00c0_0000_0000_0000, 1 << 55] {
                for entry in ["rv:ffffffffffffff", "rv:00000000000000", "th:8"] {
                    let trace_id = TraceId::from(id);
                    let beside = with_entry(0, false, entry);
                    assert!(!beside.is_valid());
                    let cx = Context::new().with_remote_span_context(beside.clone());
                    let sampled =
                        sampler.should_sample(Some(&cx), trace_id, "", &SpanKind::Server, &[], &[]);
                    let decided = sampler.decide_root(trace_id, &beside).unwrap();
                    assert_eq!(
                        decided.predecision() == Predecision::Yes,
                        sampled.decision == SamplingDecision::RecordAndSample
                    );
                    assert_eq!(
                        sampler.root_trace_state(&decided, trace_id, &beside),
                        sampled.trace_state
                    );
                }
            }
            sampler.control().set_enabled(false);
            assert!(
                sampler
                    .decide_root(TraceId::from(1), &SpanContext::NONE)
                    .is_none()
            );
        }
    }
}

#[test]
fn a_child_has_the_tracestate_that_the_sdk_would_give_it() {
    for told in [false, true] {
        let sampler = Sampler::new(Control::new(Rate::NEVER)).with_probability_tracestate(told);
        for sampled in [true, false] {
            for entry in ["th:8", "th:8;rv:ffffffffffffff", "other:1"] {
                let parent = with_entry(1, sampled, entry);
                let decided = sampler.decide(&parent).unwrap();
                assert_eq!(
                    sampler.child_trace_state(&decided, parent.trace_id(), parent.trace_state()),
                    sample(&sampler, parent.clone()).trace_state
                );
            }
        }
    }
}

#[test]
fn off_drops_everything_and_on_records_at_the_next_span() {
    let control = Control::new(Rate::ALWAYS);
    let sampler = Sampler::new(control.clone());
    control.set_enabled(false);
    assert_decision(&sampler, parent(true, true), false);
    assert_eq!(sampler.predecide(&SpanContext::NONE), None);
    assert_eq!(sampler.predecide(&parent(true, true)), None);
    control.set_enabled(true);
    assert_decision(&sampler, parent(true, true), true);
}

#[test]
fn the_sdk_records_a_remote_sampled_trace_at_rate_0_with_its_flags_and_state() {
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::default())
        .build();
    let tracer = provider.tracer("test");
    let cx = Context::new().with_remote_span_context(parent(true, true));
    let span = tracer.start_with_context("child", &cx);
    assert!(span.is_recording());
    assert!(span.span_context().is_sampled());
    assert_eq!(
        span.span_context().trace_state().get("vendor"),
        Some("kept")
    );
    assert!(
        !tracer
            .start_with_context("root", &Context::new())
            .is_recording()
    );
}

/// The share that an honest rate gives differs from it by less than five standard deviations: one
/// chance in 1.7 million for a true sampler, and the ids are the same in every run.
#[test]
fn the_share_of_sampled_roots_is_the_rate() {
    const IDS: u64 = 1_000_000;
    // splitmix64, so that the ids are spread and the run is repeatable
    let mut state = 0x5851_f42d_4c95_7f2d_u64;
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    for per_million in [1_000, 10_000, 250_000, 500_000, 999_000] {
        let sampler = Sampler::new(Control::new(Rate::per_million(per_million).unwrap()));
        let sampled = (0..IDS)
            .filter(|_| {
                let id = TraceId::from((u128::from(next()) << 64) | u128::from(next()));
                let result = sampler.should_sample(
                    Some(&Context::new()),
                    id,
                    "",
                    &SpanKind::Internal,
                    &[],
                    &[],
                );
                result.decision == SamplingDecision::RecordAndSample
            })
            .count() as f64;
        let p = f64::from(per_million) / 1e6;
        let deviation = (IDS as f64 * p * (1.0 - p)).sqrt();
        let expected = IDS as f64 * p;
        assert!(
            (sampled - expected).abs() < 5.0 * deviation,
            "{per_million}: {sampled} of {IDS}"
        );
    }
}

proptest! {
    #[test]
    fn a_higher_rate_samples_a_superset(id: u128, low in 0..=1_000_000u32, high in 0..=1_000_000u32) {
        let (low, high) = (low.min(high), low.max(high));
        let samples = |rate| Rate::per_million(rate).unwrap().threshold().samples(TraceId::from(id));
        prop_assert!(!samples(low) || samples(high));
    }

    #[test]
    fn the_predecision_agrees_with_the_sdk(id in 1..u128::MAX, remote: bool, flags: u8, rate in 0..=1_000_000u32) {
        let sampler = Sampler::new(Control::new(Rate::per_million(rate).unwrap()))
            .with_remote_parent_sampled(Branch::Rate)
            .with_local_parent_not_sampled(Branch::Rate);
        let parent = SpanContext::new(
            TraceId::from(id), SpanId::from(1), TraceFlags::new(flags), remote, TraceState::NONE,
        );
        let predecision = sampler.predecide(&parent).unwrap();
        let decision = sample(&sampler, parent).decision;
        prop_assert_eq!(predecision == Predecision::Yes, decision == SamplingDecision::RecordAndSample);
        prop_assert_ne!(predecision, Predecision::Ask);
    }
}

// The limit on what remote callers ask for.

/// A sampler under a limit whose clock stands still.
fn limited(rate: Rate, limit: Limit) -> Sampler {
    let control = Control::with_clock(rate, || std::time::Duration::ZERO);
    control.set_remote_limit(Some(limit));
    Sampler::new(control)
}

fn caller(trace_id: u128, remote: bool, sampled: bool) -> SpanContext {
    let flags = TraceFlags::default().with_sampled(sampled);
    let state = TraceState::from_key_value([("vendor", "kept")]).unwrap();
    SpanContext::new(
        TraceId::from(trace_id),
        SpanId::from(1),
        flags,
        remote,
        state,
    )
}

#[test]
fn above_the_limit_the_rate_decides_about_what_remote_callers_ask_for() {
    // Ids above the threshold are sampled.
    let half = Rate::per_million(500_000).unwrap();
    let (high, low) = (1 << 55, 1);
    let sampler = limited(half, Limit::per_second(2));
    assert_decision(&sampler, caller(low, true, true), true);
    // It is the same trace, and has been answered.
    assert_decision(&sampler, caller(low, true, true), true);
    assert_decision(&sampler, caller(low + 1, true, true), true);
    for n in 2..50 {
        assert_decision(&sampler, caller(low + n, true, true), false);
        assert_decision(&sampler, caller(high + n, true, true), true);
    }
    sampler.control().set_remote_limit(None);
    assert_decision(&sampler, caller(low + 2, true, true), true);
}

#[test]
fn the_limit_is_for_remote_sampled_parents_alone() {
    let sampler = limited(Rate::NEVER, Limit::per_second(0));
    assert_decision(&sampler, caller(1, true, true), false);
    assert_decision(&sampler, caller(1, false, true), true);
    assert_decision(&sampler, caller(1, true, false), false);
    let always = sampler.with_remote_parent_not_sampled(Branch::Record);
    assert_decision(&always, caller(1, true, false), true);
    // What the others ask for takes no token.
    let sampler = limited(Rate::NEVER, Limit::per_second(1));
    for n in 2..100 {
        assert_decision(&sampler, caller(n, false, true), true);
        assert_decision(&sampler, caller(n, true, false), false);
    }
    assert_decision(&sampler, caller(100, true, true), true);
}

#[test]
fn a_settled_decision_is_not_made_again() {
    let sampler = limited(Rate::NEVER, Limit::per_second(1));
    let decided = |n| sampler.decide(&caller(n, true, true)).unwrap();
    let yes = decided(1);
    assert_eq!(yes.predecision(), Predecision::Yes);
    assert_eq!(decided(2).predecision(), Predecision::No);
    // Whatever has become of the limit since.
    sampler
        .control()
        .set_remote_limit(Some(Limit::per_second(0)));
    let base = |n| Context::new().with_remote_span_context(caller(n, true, true));
    let asked = |cx: &Context| {
        let id = cx.span().span_context().trace_id();
        sampler
            .should_sample(Some(cx), id, "", &SpanKind::Server, &[], &[])
            .decision
    };
    for _ in 0..1_000 {
        let settled = yes.settle(&base(1)).unwrap();
        assert_eq!(asked(&settled), SamplingDecision::RecordAndSample);
        // It stands for the children of that span and of no other.
        let other = settled.with_remote_span_context(caller(3, true, true));
        assert_eq!(asked(&other), SamplingDecision::Drop);
    }
    sampler.control().set_enabled(false);
    assert_eq!(
        asked(&yes.settle(&base(1)).unwrap()),
        SamplingDecision::Drop
    );
}

#[test]
fn what_would_be_decided_the_same_again_needs_no_settling() {
    let sampler = Sampler::new(Control::new(Rate::ALWAYS));
    for (remote, sampled) in [(true, true), (true, false), (false, true), (false, false)] {
        let parent = caller(1, remote, sampled);
        let base = Context::new().with_remote_span_context(parent.clone());
        assert!(sampler.decide(&parent).unwrap().settle(&base).is_none());
        let by_rate = sampler.decide_by_rate(&parent).unwrap();
        assert_eq!(by_rate.predecision(), Predecision::Yes);
        assert!(by_rate.settle(&base).is_some());
    }
    let root = sampler.decide(&SpanContext::NONE).unwrap();
    assert!(root.settle(&Context::new()).is_none());
}

#[test]
fn by_the_rate_a_parents_flag_does_not_count() {
    for (rate, expected) in [
        (Rate::NEVER, Predecision::No),
        (Rate::ALWAYS, Predecision::Yes),
    ] {
        let sampler = Sampler::new(Control::new(rate));
        for sampled in [true, false] {
            let decided = sampler.decide_by_rate(&caller(1, true, sampled)).unwrap();
            assert_eq!(decided.predecision(), expected);
        }
        let root = sampler.decide_by_rate(&SpanContext::NONE).unwrap();
        assert_ne!(root.predecision(), Predecision::No);
        sampler.control().set_enabled(false);
        assert!(sampler.decide_by_rate(&caller(1, true, true)).is_none());
    }
}

// The probability in `tracestate`.

fn with_entry(trace_id: u128, sampled: bool, entry: &str) -> SpanContext {
    let state = TraceState::from_key_value([("a", "1"), ("ot", entry)]).unwrap();
    let flags = TraceFlags::default().with_sampled(sampled);
    SpanContext::new(TraceId::from(trace_id), SpanId::from(1), flags, true, state)
}

/// Randomness of the trace ids below: just below a half, and a half.
const BELOW: u128 = (1 << 100) | ((1 << 55) - 1);
const HALF: u128 = (1 << 100) | (1 << 55);

#[test]
fn a_root_is_decided_by_its_randomness_and_told_its_threshold() {
    let control = Control::new(Rate::per_million(500_000).unwrap());
    let sampler = Sampler::new(control).with_probability_tracestate(true);
    let root = |trace_id: u128, entry: Option<&str>| {
        // No span, but a list to begin with.
        let state = entry.map(|entry| TraceState::from_key_value([("ot", entry)]).unwrap());
        let none = SpanContext::new(
            TraceId::INVALID,
            SpanId::INVALID,
            TraceFlags::default(),
            false,
            state.unwrap_or_default(),
        );
        let cx = Context::new().with_remote_span_context(none);
        let id = TraceId::from(trace_id);
        let result = sampler.should_sample(Some(&cx), id, "", &SpanKind::Server, &[], &[]);
        let sampled = result.decision == SamplingDecision::RecordAndSample;
        (sampled, result.trace_state.header())
    };
    let (low, high) = ("rv:7fffffffffffff", "rv:80000000000000");
    for (trace_id, entry, expected) in [
        (HALF, None, (true, "ot=th:8".to_owned())),
        (BELOW, None, (false, String::new())),
        (BELOW, Some(high), (true, format!("ot={high};th:8"))),
        (HALF, Some(low), (false, format!("ot={low}"))),
        (HALF, Some("th:c"), (true, "ot=th:8".to_owned())),
        (BELOW, Some("th:0"), (false, String::new())),
    ] {
        assert_eq!(root(trace_id, entry), expected, "{trace_id:x} {entry:?}");
    }
}

#[test]
fn a_kept_decision_keeps_a_threshold_that_fits_it() {
    let sampler = Sampler::new(Control::new(Rate::NEVER)).with_probability_tracestate(true);
    for (trace_id, sampled, entry, expected) in [
        (HALF, true, "th:8", "a=1,ot=th:8"),
        (
            HALF,
            true,
            "th:0;rv:80000000000000",
            "a=1,ot=th:0;rv:80000000000000",
        ),
        (HALF, true, "p:1", "a=1,ot=p:1"),
        // Sampled, but not by that.
        (BELOW, true, "th:8", "a=1"),
        (
            HALF,
            true,
            "th:8;rv:7fffffffffffff",
            "ot=rv:7fffffffffffff,a=1",
        ),
        (HALF, true, "th:nonsense;p:1", "ot=p:1,a=1"),
        // Not sampled, and that is why.
        (BELOW, false, "th:8", "a=1,ot=th:8"),
        // Not sampled, but it should have been.
        (HALF, false, "th:8;p:1", "ot=p:1,a=1"),
    ] {
        let parent = with_entry(trace_id, sampled, entry);
        let result = sample(&sampler, parent.clone());
        let kept = result.decision == SamplingDecision::RecordAndSample;
        assert_eq!(kept, sampled);
        assert_eq!(result.trace_state.header(), expected, "{entry}");
        if !sampled {
            let unsampled = sampler.unsampled_trace_state(&parent);
            assert_eq!(unsampled.header(), expected, "{entry}");
        }
        // Off by default.
        let plain = sample(&Sampler::default(), parent.clone());
        assert_eq!(&plain.trace_state, parent.trace_state());
        let unsampled = Sampler::default().unsampled_trace_state(&parent);
        assert_eq!(&unsampled, parent.trace_state());
    }
}

#[test]
fn a_decision_against_the_parent_has_no_threshold() {
    let told = |sampler: Sampler| sampler.with_probability_tracestate(true);
    let control = || Control::new(Rate::ALWAYS);
    let drops = told(Sampler::new(control()).with_remote_parent_sampled(Branch::Drop));
    let parent = with_entry(HALF, true, "th:8;p:1");
    assert_eq!(
        sample(&drops, parent.clone()).trace_state.header(),
        "ot=p:1,a=1"
    );
    assert_eq!(drops.unsampled_trace_state(&parent).header(), "ot=p:1,a=1");
    let records = told(Sampler::new(control()).with_remote_parent_not_sampled(Branch::Record));
    let parent = with_entry(BELOW, false, "th:8;p:1");
    assert_eq!(sample(&records, parent).trace_state.header(), "ot=p:1,a=1");
}

#[test]
fn under_a_parent_too_the_rate_says_what_it_has_sampled_with() {
    let quarter = Rate::per_million(250_000).unwrap();
    let sampler = Sampler::new(Control::new(quarter))
        .with_remote_parent_sampled(Branch::Rate)
        .with_probability_tracestate(true);
    let reached = with_entry(u128::MAX, true, "th:8");
    assert_eq!(
        sample(&sampler, reached).trace_state.header(),
        "ot=th:c,a=1"
    );
    let not = with_entry(HALF, true, "th:8");
    let result = sample(&sampler, not);
    assert_eq!(result.decision, SamplingDecision::Drop);
    assert_eq!(result.trace_state.header(), "a=1");
    // By `rv`, where there is one.
    let reached = with_entry(HALF, true, "rv:ffffffffffffff");
    let header = "ot=rv:ffffffffffffff;th:c,a=1";
    assert_eq!(sample(&sampler, reached).trace_state.header(), header);
}

#[test]
fn above_the_limit_the_threshold_is_the_rates() {
    let control = Control::with_clock(Rate::ALWAYS, || std::time::Duration::ZERO);
    control.set_remote_limit(Some(Limit::per_second(1)));
    let sampler = Sampler::new(control.clone()).with_probability_tracestate(true);
    let first = with_entry(HALF, true, "th:8");
    assert_eq!(sample(&sampler, first).trace_state.header(), "a=1,ot=th:8");
    let second = with_entry(HALF + 1, true, "th:8");
    assert_eq!(sample(&sampler, second).trace_state.header(), "ot=th:0,a=1");
    control.set_rate(Rate::NEVER);
    let third = with_entry(HALF + 2, true, "th:8");
    assert_eq!(sample(&sampler, third).trace_state.header(), "a=1");
}

#[test]
fn off_leaves_a_callers_list_alone() {
    let control = Control::new(Rate::ALWAYS);
    control.set_enabled(false);
    let sampler = Sampler::new(control).with_probability_tracestate(true);
    let parent = with_entry(BELOW, true, "th:8");
    assert_eq!(sample(&sampler, parent).trace_state.header(), "a=1,ot=th:8");
}
