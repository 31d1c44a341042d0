use opentelemetry::trace::{Span, SpanId, TraceFlags, Tracer, TracerProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use proptest::prelude::*;

use super::*;
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
    assert_eq!(sampler.predecide(&invalid), Some(Predecision::Ask));
    assert_eq!(
        sample(&sampler, invalid).decision,
        SamplingDecision::RecordAndSample
    );
    assert_eq!(
        sampler.predecide(&SpanContext::NONE),
        Some(Predecision::Ask)
    );
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
