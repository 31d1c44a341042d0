//! The `ot` entry of `tracestate`, as far as it is about sampling: `th` and `rv`.

use opentelemetry::trace::{TraceId, TraceState};

use crate::rate::Threshold;

/// The 56 bits against which a threshold is held: `rv` if the trace has a legal one, else the trace
/// id's.
pub(crate) fn randomness(trace_id: TraceId, trace_state: &TraceState) -> u64 {
    sub_key(trace_state, "rv")
        .filter(|value| value.len() == DIGITS)
        .and_then(hexadecimal)
        .unwrap_or_else(|| Threshold::randomness(trace_id))
}

/// The threshold that the trace has been sampled with so far, if it is a legal one.
pub(crate) fn threshold(trace_state: &TraceState) -> Option<Threshold> {
    let value = sub_key(trace_state, "th").filter(|value| (1..=DIGITS).contains(&value.len()))?;
    let missing = 4 * (DIGITS - value.len());
    Some(Threshold::from_bits(hexadecimal(value)? << missing))
}

/// The same list with this threshold, or with none. Everything else in it stays, `rv` too.
///
/// What is written goes to the left end of the list, as W3C Trace Context has it for a member that
/// is changed. An entry that would be longer than it may be has no threshold.
pub(crate) fn with_threshold(trace_state: &TraceState, new: Option<Threshold>) -> TraceState {
    let before = trace_state.get(ENTRY);
    if new.is_some() && new == threshold(trace_state) {
        return trace_state.clone();
    }
    let mut after = String::new();
    for member in before.unwrap_or_default().split(';') {
        if !member.is_empty() && !member.starts_with("th:") {
            push(&mut after, member);
        }
    }
    if let Some(new) = new {
        let rest = after.len();
        push(&mut after, &format!("th:{}", encoded(new)));
        if after.len() > MAX_BYTES {
            after.truncate(rest);
        }
    }
    if before.unwrap_or_default() == after {
        return trace_state.clone();
    }
    let changed = if after.is_empty() {
        trace_state.delete(ENTRY)
    } else {
        trace_state.insert(ENTRY, after)
    };
    changed.unwrap_or_else(|_| trace_state.clone())
}

fn push(entry: &mut String, member: &str) {
    if !entry.is_empty() {
        entry.push(';');
    }
    entry.push_str(member);
}

/// The value of a sub-key that is there once.
fn sub_key<'a>(trace_state: &'a TraceState, key: &str) -> Option<&'a str> {
    let mut values = trace_state.get(ENTRY)?.split(';').filter_map(|member| {
        let (found, value) = member.split_once(':')?;
        (found == key).then_some(value)
    });
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

fn hexadecimal(digits: &str) -> Option<u64> {
    // Not `from_str_radix` alone, which takes a sign.
    let digits =
        Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u64::from_str_radix(digits, 16).ok()
}

/// Fourteen digits without the zeros at their end, and one for nothing at all.
fn encoded(threshold: Threshold) -> String {
    let mut digits = format!("{:014x}", threshold.as_u64());
    let len = digits.trim_end_matches('0').len();
    digits.truncate(len.max(1));
    digits
}

/// The entry of OpenTelemetry in a `tracestate`.
const ENTRY: &str = "ot";

/// Of the whole entry, without its key.
const MAX_BYTES: usize = 256;

/// 56 bits.
const DIGITS: usize = 14;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Rate;

    fn state(entry: &str) -> TraceState {
        TraceState::from_key_value([("a", "1"), ("ot", entry), ("b", "2")]).unwrap()
    }

    #[test]
    fn thresholds_are_written_as_the_specification_has_them() {
        for (per_million, expected) in [
            (1, "ffffef39085f4a"),
            (100, "fff972474538ef"),
            (1_000, "ffbe76c8b43958"),
            (10_000, "fd70a3d70a3d71"),
            (100_000, "e6666666666666"),
            (250_000, "c"),
            (500_000, "8"),
            (1_000_000, "0"),
        ] {
            let rate = Rate::per_million(per_million).unwrap();
            let written = with_threshold(&TraceState::NONE, Some(rate.threshold()));
            assert_eq!(written.header(), format!("ot=th:{expected}"));
            assert_eq!(threshold(&written), Some(rate.threshold()), "{expected}");
        }
    }

    #[test]
    fn legal_thresholds_are_read_and_no_others() {
        for (entry, expected) in [
            ("th:0", Some(0)),
            ("th:c", Some(0xc << 52)),
            ("th:C", Some(0xc << 52)),
            ("rv:00000000000000;th:fd70a4", Some(0x00fd_70a4_0000_0000)),
            ("th:fd70a3d70a3d71", Some(0x00fd_70a3_d70a_3d71)),
            ("th:", None),
            ("th:fd70a3d70a3d711", None),
            ("th:g", None),
            ("th:+c", None),
            ("th:8;th:8", None),
            ("xth:8", None),
            ("th", None),
            (";;:;th;x", None),
        ] {
            let read = threshold(&state(entry)).map(Threshold::as_u64);
            assert_eq!(read, expected, "{entry}");
        }
        assert_eq!(threshold(&TraceState::NONE), None);
    }

    #[test]
    fn legal_randomness_goes_before_the_trace_id() {
        let id = TraceId::from(0xffff_0000_0000_0000_ffaa_bbcc_ddee_ff01);
        let own = 0x00aa_bbcc_ddee_ff01;
        for (entry, expected) in [
            ("rv:00000000000001", 1),
            ("p:8;rv:ffffffffffffff;th:0", (1 << 56) - 1),
            ("rv:1", own),
            ("rv:000000000000001", own),
            ("rv:0000000000000x", own),
            ("rv:+0000000000001", own),
            ("rv:00000000000001;rv:00000000000002", own),
            ("th:0", own),
        ] {
            assert_eq!(randomness(id, &state(entry)), expected, "{entry}");
        }
    }

    #[test]
    fn a_threshold_is_put_replaced_and_taken_away_and_the_rest_stays() {
        let half = Some(Rate::per_million(500_000).unwrap().threshold());
        for (entry, threshold, expected) in [
            ("rv:1;p:8", half, "ot=rv:1;p:8;th:8,a=1,b=2"),
            ("th:c;rv:1", half, "ot=rv:1;th:8,a=1,b=2"),
            ("th:c;th:d", half, "ot=th:8,a=1,b=2"),
            ("th:8", half, "a=1,ot=th:8,b=2"),
            ("th:c;rv:1", None, "ot=rv:1,a=1,b=2"),
            ("th:c", None, "a=1,b=2"),
            ("rv:1", None, "a=1,ot=rv:1,b=2"),
            ("no list", half, "ot=no list;th:8,a=1,b=2"),
        ] {
            let written = with_threshold(&state(entry), threshold);
            assert_eq!(written.header(), expected, "{entry}");
        }
        assert_eq!(with_threshold(&TraceState::NONE, None), TraceState::NONE);
    }

    #[test]
    fn an_entry_never_grows_beyond_its_limit() {
        let threshold = Some(Rate::per_million(1).unwrap().threshold());
        for (len, fits) in [(238, true), (239, false), (256, false)] {
            let rest = format!("x:{}", "y".repeat(len - 2));
            for entry in [rest.clone(), format!("{};th:8", &rest[..len - 5])] {
                let written = with_threshold(&state(&entry), threshold);
                let entry = written.get("ot").unwrap();
                assert!(entry.len() <= 256 && entry.starts_with("x:yy"));
                assert!(!entry.contains("th:8"));
            }
            let written = with_threshold(&state(&rest), threshold);
            assert_eq!(written.get("ot").unwrap().contains("th:"), fits, "{len}");
        }
    }

    proptest! {
        /// Whatever a caller has written there.
        #[test]
        fn any_entry_is_read_and_rewritten_within_its_limit(
            entry in "[ -+\\--<>-~]{0,256}|((th|rv|p):[0-9a-fA-F.+]{0,16};?){0,8}",
            per_million in 0..=1_000_000_u32,
            id: u128,
        ) {
            let state = state(&entry);
            prop_assert!(randomness(TraceId::from(id), &state) < 1 << 56);
            let rest = |state: &TraceState| {
                let entry = state.get("ot").unwrap_or_default().to_owned();
                let members = entry.split(';').filter(|member| !member.is_empty());
                members
                    .filter(|member| !member.starts_with("th:"))
                    .map(ToOwned::to_owned)
                    .collect::<Vec<_>>()
            };
            let rate = Rate::per_million(per_million).unwrap().threshold();
            for new in [None, Some(rate).filter(|_| per_million > 0)] {
                let written = with_threshold(&state, new);
                prop_assert_eq!(rest(&written), rest(&state));
                prop_assert_eq!(written.get("a"), Some("1"));
                let entry = written.get("ot").unwrap_or_default();
                prop_assert!(entry.len() <= MAX_BYTES);
                let told = threshold(&written);
                prop_assert!(told == new || (told.is_none() && entry.len() > MAX_BYTES - 18));
            }
        }
    }
}
