//! `traceparent`. Each test has the name it has in the W3C suite.

use crate::hop::{CALLER, PARENT, TRACE, assert_continued, assert_restarted, hop};

/// A legal value with one of its fields (0 is the version) replaced.
fn with(field: usize, text: &str) -> String {
    let mut fields: Vec<&str> = PARENT.split('-').collect();
    *fields.get_mut(field).expect("a field") = text;
    fields.join("-")
}

#[track_caller]
fn continued(name: &str, value: &str) {
    assert_continued(name, &[("traceparent", value), ("tracestate", "foo=1")]);
}

#[track_caller]
fn restarted(name: &str, value: &str) {
    assert_restarted(name, &[("traceparent", value), ("tracestate", "foo=1")]);
}

#[test]
fn both_traceparent_and_tracestate_missing() {
    assert_restarted("no header", &[]);
}

#[test]
fn traceparent_included_tracestate_missing() {
    assert_continued("no tracestate", &[("traceparent", PARENT)]);
}

#[test]
fn traceparent_duplicated() {
    let other = with(1, "5a1e06b7c3d94f8281f0a9b4c7d2e366");
    assert_restarted(
        "two traces",
        &[("traceparent", PARENT), ("traceparent", &other)],
    );
    assert_restarted(
        "the other way round",
        &[("traceparent", &other), ("traceparent", PARENT)],
    );
    assert_restarted(
        "twice the same",
        &[("traceparent", PARENT), ("traceparent", PARENT)],
    );
    assert_restarted(
        "a legal and an illegal one",
        &[("traceparent", PARENT), ("traceparent", "")],
    );
    assert_restarted(
        "in different casing",
        &[("traceparent", PARENT), ("TraceParent", PARENT)],
    );
}

#[test]
fn traceparent_header_name() {
    for name in [
        "trace-parent",
        "trace.parent",
        "trace_parent",
        "x-traceparent",
    ] {
        assert_restarted("another header", &[(name, PARENT)]);
    }
}

#[test]
fn traceparent_header_name_valid_casing() {
    for name in ["TraceParent", "TrAcEpArEnT", "TRACEPARENT", "traceparent"] {
        assert_continued("casing", &[(name, PARENT)]);
    }
}

#[test]
fn traceparent_version_0x00() {
    restarted("a character more", &(PARENT.to_owned() + "."));
    restarted("a separator more", &(PARENT.to_owned() + "-"));
    restarted(
        "a field more",
        &(PARENT.to_owned() + "-what-the-future-will-be-like"),
    );
}

#[test]
fn traceparent_version_0xcc() {
    let value = with(0, "cc");
    continued("as version 00", &value);
    continued(
        "a field more",
        &(value.clone() + "-what-the-future-will-be-like"),
    );
    continued("an empty field more", &(value.clone() + "-"));
    restarted(
        "more, but no separator",
        &(value + ".what-the-future-will-be-like"),
    );
}

#[test]
fn traceparent_version_0xff() {
    restarted("the forbidden version", &with(0, "ff"));
    restarted("the forbidden version, longer", &(with(0, "ff") + "-more"));
}

#[test]
fn traceparent_version_illegal_characters() {
    for version in [".0", "0.", "0x", "+0", "zz"] {
        restarted("version", &with(0, version));
    }
}

#[test]
fn traceparent_version_too_long() {
    for version in ["000", "0000", "0cc"] {
        restarted("version", &with(0, version));
    }
}

#[test]
fn traceparent_version_too_short() {
    restarted("one digit", &with(0, "0"));
    restarted("none", &with(0, ""));
}

#[test]
fn traceparent_trace_id_all_zero() {
    let zero = "00000000000000000000000000000000";
    for version in ["00", "cc"] {
        let value = with(0, version).replace(TRACE, zero);
        restarted("all zero", &value);
        assert!(
            hop(&[("traceparent", &value)])
                .iter()
                .all(|sent| sent.trace_id != zero)
        );
    }
}

#[test]
fn traceparent_trace_id_illegal_characters() {
    for at in [0, 15, 31] {
        let mut id = TRACE.to_owned();
        id.replace_range(at..=at, ".");
        restarted("trace-id", &with(1, &id));
    }
}

#[test]
fn traceparent_trace_id_too_long() {
    restarted("33 digits", &with(1, &(TRACE.to_owned() + "3")));
    restarted(
        "33 digits, higher version",
        &with(1, &(TRACE.to_owned() + "3")).replacen("00", "cc", 1),
    );
}

#[test]
fn traceparent_trace_id_too_short() {
    restarted("31 digits", &with(1, &TRACE[1..]));
    restarted("none", &with(1, ""));
}

#[test]
fn traceparent_parent_id_all_zero() {
    for version in ["00", "cc"] {
        restarted(
            "all zero",
            &with(0, version).replace(CALLER, "0000000000000000"),
        );
    }
}

#[test]
fn traceparent_parent_id_illegal_characters() {
    for at in [0, 7, 15] {
        let mut id = CALLER.to_owned();
        id.replace_range(at..=at, ".");
        restarted("parent-id", &with(2, &id));
    }
}

#[test]
fn traceparent_parent_id_too_long() {
    restarted("17 digits", &with(2, &(CALLER.to_owned() + "7")));
    restarted(
        "17 digits, higher version",
        &with(2, &(CALLER.to_owned() + "7")).replacen("00", "cc", 1),
    );
}

#[test]
fn traceparent_parent_id_too_short() {
    restarted("15 digits", &with(2, &CALLER[1..]));
    restarted("none", &with(2, ""));
}

#[test]
fn traceparent_trace_flags_illegal_characters() {
    for flags in [".0", "0.", "0x", "+1"] {
        restarted("flags", &with(3, flags));
    }
}

#[test]
fn traceparent_trace_flags_too_long() {
    restarted("three digits", &with(3, "001"));
    restarted(
        "three digits, higher version",
        &with(3, "001").replacen("00", "cc", 1),
    );
}

#[test]
fn traceparent_trace_flags_too_short() {
    restarted("one digit", &with(3, "1"));
    restarted("none", &with(3, ""));
}

#[test]
fn traceparent_ows_handling() {
    for (before, after) in [(" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t")] {
        continued("white space", &format!("{before}{PARENT}{after}"));
    }
}

/// Level 2.
#[test]
fn propagates_random_flag() {
    for flags in ["00", "01", "02", "03"] {
        for sent in hop(&[("traceparent", &with(3, flags))]) {
            assert_eq!(sent.trace_id, TRACE);
            assert_eq!(sent.flags, flags);
        }
    }
}
