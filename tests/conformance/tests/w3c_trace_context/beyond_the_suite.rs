//! What a service can get wrong and still pass the W3C suite.

use crate::hop::{CALLER, PARENT, TRACE, assert_restarted, assert_tracestate, hop, with_parent};

#[test]
fn upper_case_digits_are_illegal_in_every_field() {
    for (field, upper) in [
        ("00-", "0A-"),
        (TRACE, &TRACE.to_uppercase()),
        (CALLER, &CALLER.to_uppercase()),
    ] {
        let value = PARENT.replacen(field, upper, 1);
        assert_ne!(value, PARENT);
        assert_restarted("upper case", &[("traceparent", &value)]);
    }
    for flags in ["0A", "A0", "FF"] {
        let value = PARENT.replace("-01", &format!("-{flags}"));
        assert_restarted("upper case", &[("traceparent", &value)]);
    }
    assert_restarted(
        "upper case",
        &[("traceparent", &PARENT.replacen("00", "CC", 1))],
    );
}

#[test]
fn the_sampled_flag_is_passed_on_set_or_not() {
    for flags in ["00", "01"] {
        for sent in hop(&[("traceparent", &PARENT.replace("-01", &format!("-{flags}")))]) {
            assert_eq!(sent.flags, flags);
        }
    }
}

#[test]
fn unknown_flags_are_not_passed_on() {
    for version in ["00", "cc"] {
        for flags in 0..=u8::MAX {
            let value = format!("{version}-{TRACE}-{CALLER}-{flags:02x}");
            for sent in hop(&[("traceparent", &value)]) {
                assert_eq!(sent.trace_id, TRACE, "{value}");
                assert_eq!(sent.flags, format!("{:02x}", flags & 3), "{value}");
            }
        }
    }
}

#[test]
fn a_higher_version_is_sent_as_version_00() {
    // `hop` looks at the version of everything that is sent.
    for sent in hop(&[("traceparent", &(PARENT.replacen("00", "fe", 1) + "-more"))]) {
        assert_eq!(sent.trace_id, TRACE);
    }
}

#[test]
fn an_empty_tracestate_is_never_sent() {
    for lines in [
        &[][..],
        &[""],
        &[" ", ","],
        &[",,\t,"],
        &["foo="],
        &["Foo=1"],
    ] {
        for sent in hop(&with_parent(lines)) {
            assert_eq!(sent.tracestate, None, "{lines:?}");
        }
    }
}

#[test]
fn a_tracestate_over_512_characters_is_passed_on() {
    let member = |n: usize, len: usize| format!("vendor{n:02}={}", "v".repeat(len - 9));
    for (members, len) in [(1, 256 + 9), (5, 128), (32, 100), (15, 256)] {
        let text: Vec<String> = (0..members).map(|n| member(n, len)).collect();
        let text = text.join(",");
        assert_tracestate("long", &with_parent(&[&text]), &text);
    }
}

#[test]
fn a_tracestate_that_is_too_long_loses_whole_members_and_the_large_ones_first() {
    let small: Vec<String> = (0..16)
        .map(|n| format!("s{n:02}={}", "v".repeat(124)))
        .collect();
    let large: Vec<String> = (0..16)
        .map(|n| format!("l{n:02}={}", "v".repeat(252)))
        .collect();
    let text: Vec<&str> = large.iter().chain(&small).map(String::as_str).collect();
    let expected: Vec<&str> = large[..7]
        .iter()
        .chain(&small)
        .map(String::as_str)
        .collect();
    assert_tracestate(
        "too long",
        &with_parent(&[&text.join(",")]),
        &expected.join(","),
    );
}

#[test]
fn optional_white_space_is_not_passed_on() {
    assert_tracestate(
        "white space",
        &with_parent(&["\t foo=1 \t,  bar=2 "]),
        "foo=1,bar=2",
    );
    for sent in hop(&[("traceparent", &format!("\t {PARENT} \t"))]) {
        assert_eq!(sent.trace_id, TRACE);
    }
}

#[test]
fn spaces_at_the_beginning_of_a_value_are_passed_on() {
    assert_tracestate("leading spaces", &with_parent(&["foo=  1 2 "]), "foo=  1 2");
}

#[test]
fn lines_of_any_length_are_survived() {
    for unit in [",", " ", "a", "=", "a=1,", "a=1", "\t,", "@", "00-"] {
        let line = unit.repeat(64 * 1024 / unit.len());
        for sent in hop(&with_parent(&[&line])) {
            assert_eq!(
                (sent.trace_id.as_str(), sent.tracestate),
                (TRACE, None),
                "{unit:?}"
            );
        }
        assert_restarted("a long traceparent", &[("traceparent", &line)]);
    }
}
