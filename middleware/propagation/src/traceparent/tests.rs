//! The grammar of `traceparent`, case by case.

use http::HeaderValue;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use proptest::prelude::*;

use super::{ParseTraceParentErrorKind as Kind, RANDOM, TraceParent};

#[track_caller]
fn accepted(name: &str, value: &str, written: &str) {
    let parsed = TraceParent::parse(value.as_bytes());
    let parsed = parsed.unwrap_or_else(|error| panic!("{name}: {value:?}: {error}"));
    assert_eq!(parsed.to_string(), written, "{name}: {value:?}");
}

#[track_caller]
fn refused(name: &str, value: &str, kind: Kind) {
    let parsed = TraceParent::parse(value.as_bytes()).map_err(|error| error.kind());
    assert_eq!(parsed, Err(kind), "{name}: {value:?}");
}

/// A legal value with `field` (0 is the version) replaced.
fn with(field: usize, text: &str) -> String {
    let mut fields: Vec<&str> = PLAIN.split('-').collect();
    fields[field] = text;
    fields.join("-")
}

#[test]
fn reads_every_field() {
    let parent =
        TraceParent::parse(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03").unwrap();
    assert_eq!(
        parent.trace_id(),
        TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c)
    );
    assert_eq!(parent.parent_id(), SpanId::from(0xb7ad_6b71_6920_3331));
    assert_eq!(parent.flags(), TraceFlags::new(3));
    assert!(parent.is_sampled() && parent.is_random());
}

#[test]
fn accepts_what_the_grammar_allows() {
    let last_version = with(0, "fe");
    for (name, value) in [
        ("as it should be", PLAIN.to_owned()),
        ("the lowest higher version", with(0, "01")),
        ("a higher version", with(0, "cc")),
        ("the highest version", last_version.clone()),
        (
            "a higher version with more fields",
            with(0, "cc") + "-what-the-future-will-be-like",
        ),
        (
            "a higher version with an empty field more",
            with(0, "cc") + "-",
        ),
        (
            "a higher version with illegal characters behind",
            with(0, "cc") + "-\u{7f}\u{e9}A ",
        ),
        ("leading space", format!(" {PLAIN}")),
        ("leading tab", format!("\t{PLAIN}")),
        ("trailing space", format!("{PLAIN} ")),
        ("trailing tab", format!("{PLAIN}\t")),
        ("white space around", format!("\t {PLAIN} \t")),
        (
            "white space around a higher version",
            format!(" {last_version} "),
        ),
    ] {
        accepted(name, &value, PLAIN);
    }
}

#[test]
fn keeps_the_sampled_and_the_random_flag_and_no_other() {
    for flags in 0..=u8::MAX {
        for version in ["00", "01", "fe"] {
            let value = with(3, &format!("{flags:02x}")).replacen("00", version, 1);
            let written = with(3, &format!("{:02x}", flags & 3));
            accepted("flags", &value, &written);
            let parent = TraceParent::parse(value.as_bytes()).unwrap();
            assert_eq!(parent.is_sampled(), flags & 1 == 1, "{value}");
            assert_eq!(parent.is_random(), flags & 2 == 2, "{value}");
        }
    }
}

#[test]
fn refuses_the_wrong_length() {
    for (name, value) in [
        ("nothing", String::new()),
        ("white space", " \t ".to_owned()),
        ("one byte missing", PLAIN[..54].to_owned()),
        (
            "one byte missing, a space instead",
            PLAIN[..54].to_owned() + " ",
        ),
        ("version 00 with a dot more", PLAIN.to_owned() + "."),
        ("version 00 with a dash more", PLAIN.to_owned() + "-"),
        (
            "version 00 with fields more",
            PLAIN.to_owned() + "-what-the-future-will-be-like",
        ),
        ("version 00 with a flag digit more", with(3, "001")),
        ("version of one digit", with(0, "0")),
        (
            "trace-id of 31 digits",
            with(1, "1234567890123456789012345678901"),
        ),
        ("parent-id of 15 digits", with(2, "123456789012345")),
        ("flags of one digit", with(3, "1")),
        (
            "a higher version that is too short",
            with(0, "cc")[..54].to_owned(),
        ),
        ("two values in one line", format!("{PLAIN},{PLAIN}")),
    ] {
        refused(name, &value, Kind::Length);
    }
}

#[test]
fn refuses_illegal_versions() {
    for version in [".0", "0.", "+0", "0x", "ff", "FF", "fF", "A0", "0A", "Cc"] {
        refused("version", &with(0, version), Kind::Version);
        refused(
            "version, longer",
            &(with(0, version) + "-more"),
            Kind::Version,
        );
    }
    // The field is too long, so its third digit stands where the dash should.
    refused("version of three digits", &with(0, "000"), Kind::Length);
    refused(
        "version of three digits, higher",
        &with(0, "cc0"),
        Kind::Separator,
    );
    refused("version of four digits", &with(0, "0000"), Kind::Length);
}

#[test]
fn refuses_illegal_separators() {
    for at in [2, 35, 52] {
        for separator in [".", "_", " ", "0", "="] {
            let mut value = PLAIN.to_owned();
            value.replace_range(at..=at, separator);
            refused("separator", &value, Kind::Separator);
        }
    }
    let dot = with(0, "cc") + ".what-the-future-will-be-like";
    refused(
        "a higher version that goes on with a dot",
        &dot,
        Kind::Separator,
    );
    refused(
        "a higher version with a flag digit more",
        &with(0, "cc").replace("-01", "-011"),
        Kind::Separator,
    );
    refused(
        "a trace-id of 33 digits",
        &with(0, "cc").replace("9012-", "90123-"),
        Kind::Separator,
    );
    refused(
        "a parent-id of 17 digits",
        &with(0, "cc").replace("3456-", "34567-"),
        Kind::Separator,
    );
    refused(
        "a space in the middle",
        &with(0, "cc").replace("-01", " -01"),
        Kind::Separator,
    );
}

#[test]
fn refuses_illegal_trace_ids() {
    for id in [
        "00000000000000000000000000000000",
        ".2345678901234567890123456789012",
        "1234567890123456789012345678901.",
        "1234567890123456g890123456789012",
        "1234567890123456A890123456789012",
        "ABCDEFABCDEFABCDEFABCDEFABCDEFAB",
        "+2345678901234567890123456789012",
        "0x345678901234567890123456789012",
        " 2345678901234567890123456789012",
    ] {
        refused("trace-id", &with(1, id), Kind::TraceId);
        refused(
            "trace-id of a higher version",
            &with(1, id).replacen("00", "01", 1),
            Kind::TraceId,
        );
    }
}

#[test]
fn refuses_illegal_parent_ids() {
    for id in [
        "0000000000000000",
        ".234567890123456",
        "123456789012345.",
        "12345678g0123456",
        "12345678A0123456",
        "ABCDEFABCDEFABCD",
    ] {
        refused("parent-id", &with(2, id), Kind::ParentId);
        refused(
            "parent-id of a higher version",
            &with(2, id).replacen("00", "01", 1),
            Kind::ParentId,
        );
    }
}

#[test]
fn refuses_illegal_flags() {
    for flags in [".0", "0.", "0A", "A0", "0g", "+1", " 1"] {
        refused("flags", &with(3, flags), Kind::Flags);
        refused(
            "flags of a higher version",
            &with(3, flags).replacen("00", "01", 1),
            Kind::Flags,
        );
    }
}

#[test]
fn refuses_upper_case_at_every_digit() {
    let lower = "ab-abcdefabcdefabcdefabcdefabcdefab-abcdefabcdefabcd-ab";
    assert!(TraceParent::parse(lower.as_bytes()).is_ok());
    for at in (0..lower.len()).filter(|at| &lower[*at..=*at] != "-") {
        let mut value = lower.to_owned();
        value[at..=at].make_ascii_uppercase();
        assert!(TraceParent::parse(value.as_bytes()).is_err(), "{value}");
    }
}

#[test]
fn refuses_bytes_that_are_not_ascii() {
    for at in 0..PLAIN.len() {
        for byte in [0x00, 0x0b, 0x7f, 0x80, 0xb0, 0xff] {
            let mut value = *b"00-12345678901234567890123456789012-1234567890123456-01";
            value[at] = byte;
            assert!(TraceParent::parse(&value).is_err(), "{byte:#04x} at {at}");
        }
    }
}

#[test]
fn cannot_be_made_of_invalid_ids() {
    let (trace_id, parent_id) = (TraceId::from(1), SpanId::from(1));
    assert!(TraceParent::new(trace_id, parent_id, TraceFlags::default()).is_some());
    assert!(TraceParent::new(TraceId::INVALID, parent_id, TraceFlags::default()).is_none());
    assert!(TraceParent::new(trace_id, SpanId::INVALID, TraceFlags::default()).is_none());
    assert!(TraceParent::from_span_context(&SpanContext::NONE).is_none());
}

#[test]
fn a_span_context_sends_only_known_flags() {
    let span_context = SpanContext::new(
        TraceId::from(1),
        SpanId::from(2),
        TraceFlags::new(0xff),
        false,
        TraceState::NONE,
    );
    let parent = TraceParent::from_span_context(&span_context).unwrap();
    assert_eq!(parent.flags(), TraceFlags::SAMPLED | RANDOM);
    assert!(parent.to_string().ends_with("-03"));
}

#[test]
fn becomes_a_remote_span_context() {
    let trace_state = TraceState::from_key_value([("rojo", "1")]).unwrap();
    let parent: TraceParent = PLAIN.parse().unwrap();
    let span_context = parent.into_span_context(trace_state.clone());
    assert!(span_context.is_remote() && span_context.is_valid() && span_context.is_sampled());
    assert_eq!(span_context.trace_state(), &trace_state);
    assert_eq!(TraceParent::from_span_context(&span_context), Some(parent));
}

#[test]
fn becomes_a_header_value() {
    let parent: TraceParent = PLAIN.parse().unwrap();
    assert_eq!(HeaderValue::from(parent), PLAIN);
    assert_eq!(format!("{parent:>60}"), format!("     {PLAIN}"));
}

#[test]
fn errors_say_which_field_is_wrong_and_nothing_of_the_value() {
    for (field, text, message) in [
        (0, "ff", "traceparent with an illegal version"),
        (
            1,
            "ABCDEFABCDEFABCDEFABCDEFABCDEFAB",
            "traceparent with an illegal trace-id",
        ),
        (
            2,
            "0000000000000000",
            "traceparent with an illegal parent-id",
        ),
        (3, "zz", "traceparent with illegal trace-flags"),
        (3, "1", "traceparent of the wrong length"),
    ] {
        let error = with(field, text).parse::<TraceParent>().unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn every_byte_at_every_place_is_told_by_its_field() {
    for at in 0..PLAIN.len() {
        for byte in 0..=u8::MAX {
            let mut value = PLAIN.as_bytes().to_vec();
            value[at] = byte;
            let is_digit = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            let (legal, kind) = match at {
                // Behind white space there are too few bytes.
                0 | 54 if matches!(byte, b' ' | b'\t') => (false, Kind::Length),
                0 | 1 => (is_digit, Kind::Version),
                2 | 35 | 52 => (byte == b'-', Kind::Separator),
                3..35 => (is_digit, Kind::TraceId),
                36..52 => (is_digit, Kind::ParentId),
                _ => (is_digit, Kind::Flags),
            };
            let parent = TraceParent::parse(&value).map_err(|error| error.kind());
            assert_eq!(
                parent.err(),
                (!legal).then_some(kind),
                "{byte:#04x} at {at}"
            );
        }
    }
}

proptest! {
    #[test]
    fn never_panics_and_reads_back_what_it_writes(value in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(parent) = TraceParent::parse(&value) {
            prop_assert_eq!(TraceParent::parse(&parent.to_bytes()), Ok(parent));
        }
    }

    #[test]
    fn one_changed_byte_never_panics(at in 0..PLAIN.len(), byte: u8, more in "[ -~]{0,20}") {
        let mut value = PLAIN.as_bytes().to_vec();
        value[at] = byte;
        value.extend_from_slice(more.as_bytes());
        if let Ok(parent) = TraceParent::parse(&value) {
            prop_assert_eq!(TraceParent::parse(&parent.to_bytes()), Ok(parent));
        }
    }

    #[test]
    fn any_ids_and_flags_survive_the_round_trip(trace_id in 1_u128.., parent_id in 1_u64.., flags: u8) {
        let parent = TraceParent::new(trace_id.into(), parent_id.into(), TraceFlags::new(flags)).unwrap();
        let written = format!("00-{trace_id:032x}-{parent_id:016x}-{:02x}", flags & 3);
        prop_assert_eq!(parent.to_string(), written);
        prop_assert_eq!(TraceParent::parse(&parent.to_bytes()), Ok(parent));
    }
}

const PLAIN: &str = "00-12345678901234567890123456789012-1234567890123456-01";
