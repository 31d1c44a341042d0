//! `tracestate`. Each test has the name it has in the W3C suite.

use crate::hop::{
    PARENT, assert_no_tracestate, assert_restarted, assert_tracestate, hop, with_parent,
};

#[track_caller]
fn kept(name: &str, lines: &[&str], sent: &str) {
    assert_tracestate(name, &with_parent(lines), sent);
}

#[track_caller]
fn discarded(name: &str, lines: &[&str]) {
    assert_no_tracestate(name, &with_parent(lines));
}

#[test]
fn tracestate_included_traceparent_missing() {
    assert_restarted("one member", &[("tracestate", "foo=1")]);
    assert_restarted("two members", &[("tracestate", "foo=1,bar=2")]);
}

#[test]
fn tracestate_included_traceparent_included() {
    kept("two members", &["foo=1,bar=2"], "foo=1,bar=2");
}

#[test]
fn tracestate_header_name() {
    for name in ["trace-state", "trace.state", "trace_state", "x-tracestate"] {
        assert_no_tracestate(
            "another header",
            &[("traceparent", PARENT), (name, "foo=1")],
        );
    }
}

#[test]
fn tracestate_header_name_valid_casing() {
    for name in ["TraceState", "TrAcEsTaTe", "TRACESTATE", "tracestate"] {
        assert_tracestate(
            "casing",
            &[("traceparent", PARENT), (name, "foo=1")],
            "foo=1",
        );
    }
}

#[test]
fn tracestate_empty_header() {
    discarded("nothing", &[""]);
    kept("behind", &["foo=1", ""], "foo=1");
    kept("before", &["", "foo=1"], "foo=1");
    kept("around", &["", "foo=1", " ", "bar=2", "\t"], "foo=1,bar=2");
}

#[test]
fn tracestate_multiple_headers_different_keys() {
    let lines = ["foo=1,bar=2", "rojo=1,congo=2", "baz=3"];
    kept("three lines", &lines, "foo=1,bar=2,rojo=1,congo=2,baz=3");
}

/// The suite wants one of the members, or both. We keep the first, which is the one that was written last.
#[test]
fn tracestate_duplicated_keys() {
    kept("the same", &["foo=1,foo=1"], "foo=1");
    kept("another value", &["foo=1,foo=2"], "foo=1");
    kept("the same on two lines", &["foo=1", "foo=1"], "foo=1");
    kept("another value on two lines", &["foo=1", "foo=2"], "foo=1");
}

#[test]
fn tracestate_all_allowed_characters() {
    let key: String = ('a'..='z')
        .chain('0'..='9')
        .chain(['_', '-', '*', '/'])
        .collect();
    let value: String = (' '..='~').filter(|c| !matches!(c, ',' | '=')).collect();
    for key in [key.clone(), key + "@a-z0-9_-*/"] {
        let member = format!("{key}={value}");
        kept("every character", &[&member], &member);
    }
}

#[test]
fn tracestate_ows_handling() {
    kept(
        "around commas",
        &["foo=1 \t , \t bar=2, \t baz=3"],
        "foo=1,bar=2,baz=3",
    );
    kept(
        "mostly tabs",
        &["foo=1\t \t,\t \tbar=2,\t \tbaz=3"],
        "foo=1,bar=2,baz=3",
    );
    for line in [" foo=1", "\tfoo=1", "foo=1 ", "foo=1\t", "\t foo=1 \t"] {
        kept("at the ends", &[line], "foo=1");
    }
}

#[test]
fn tracestate_key_illegal_characters() {
    for member in [
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "foo:bar=1",
        "f\u{f6}\u{f6}=1",
        "=1",
    ] {
        discarded("alone", &[member]);
        discarded("with another", &[member, "bar=2"]);
    }
}

/// At level 2 there is no vendor format left to violate, except that a key does not begin with `@`.
#[test]
fn tracestate_key_illegal_vendor_format() {
    discarded("nothing before the @", &["@foo=1,bar=2"]);
}

/// Level 2: any number of `@`, anywhere but at the beginning.
#[test]
fn tracestate_key_with_at_signs() {
    for line in [
        "foo@=1,bar=2",
        "foo@@bar=1,bar=2",
        "foo@bar@baz=1,bar=2",
        "0@1=1,bar=2",
    ] {
        kept("level 2 key", &[line], line);
    }
}

#[test]
fn tracestate_member_count_limit() {
    let members: Vec<String> = (1..=33).map(|n| format!("bar{n:02}={n:02}")).collect();
    let lines = |count: usize| -> Vec<String> {
        members[..count]
            .chunks(10)
            .map(|line| line.join(","))
            .collect()
    };
    let (most, too_many) = (lines(32), lines(33));
    let most: Vec<&str> = most.iter().map(String::as_str).collect();
    let too_many: Vec<&str> = too_many.iter().map(String::as_str).collect();
    kept("32", &most, &members[..32].join(","));
    discarded("33", &too_many);
}

#[test]
fn tracestate_key_length_limit() {
    for key in ["z".repeat(256), "t".repeat(241) + "@" + &"v".repeat(14)] {
        kept(
            "256",
            &["foo=1", &format!("{key}=1")],
            &format!("foo=1,{key}=1"),
        );
    }
    discarded("257", &["foo=1", &format!("{}=1", "z".repeat(257))]);
    // Level 1 allowed 241 characters before the `@` and 14 behind it.
    for key in ["t".repeat(242) + "@v", "t@".to_owned() + &"v".repeat(15)] {
        kept(
            "level 2",
            &["foo=1", &format!("{key}=1")],
            &format!("foo=1,{key}=1"),
        );
    }
}

#[test]
fn tracestate_value_illegal_characters() {
    for member in ["foo=bar=baz", "foo=", "foo= ", "foo=a\tb", "foo=b\u{e4}r"] {
        discarded("alone", &[member]);
        discarded("with another", &[&format!("{member},bar=3")]);
    }
}

#[test]
fn an_illegal_tracestate_does_not_harm_the_traceparent() {
    for sent in hop(&with_parent(&["="])) {
        assert_eq!(sent.flags, "01");
    }
}
