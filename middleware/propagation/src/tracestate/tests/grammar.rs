//! What is accepted and what is refused.

use proptest::prelude::*;

use super::super::{List, MAX_MEMBERS, ParseTraceStateErrorKind as Kind};

#[track_caller]
fn accepted(name: &str, lines: &[&str], written: &str) {
    let list = List::parse(lines.iter().map(|line| line.as_bytes()));
    let list = list.unwrap_or_else(|error| panic!("{name}: {lines:?}: {error}"));
    assert_eq!(list.to_string(), written, "{name}: {lines:?}");
}

#[track_caller]
fn refused(name: &str, lines: &[&str], kind: Kind) {
    let list = List::parse(lines.iter().map(|line| line.as_bytes()));
    assert_eq!(
        list.map_err(|error| error.kind()),
        Err(kind),
        "{name}: {lines:?}"
    );
}

/// `bar01=01` to `bar32=32`, or as far as `last`.
fn numbered(last: usize) -> Vec<String> {
    (1..=last).map(|n| format!("bar{n:02}={n:02}")).collect()
}

#[test]
fn accepts_what_the_grammar_allows() {
    let every_value_byte: String = (b' '..=b'~')
        .map(char::from)
        .filter(|c| !",=".contains(*c))
        .collect();
    for (name, lines, written) in [
        ("one member", &["foo=1"][..], "foo=1"),
        ("several members", &["foo=1,bar=2"], "foo=1,bar=2"),
        (
            "several lines",
            &["foo=1,bar=2", "rojo=1,congo=2", "baz=3"],
            "foo=1,bar=2,rojo=1,congo=2,baz=3",
        ),
        ("no line", &[], ""),
        ("an empty line", &[""], ""),
        ("a line of white space", &[" \t "], ""),
        ("an empty line behind", &["foo=1", ""], "foo=1"),
        ("an empty line before", &["", "foo=1"], "foo=1"),
        ("empty members", &[",foo=1,, ,\t,bar=2,"], "foo=1,bar=2"),
        (
            "white space around commas",
            &["foo=1 \t , \t bar=2, \t baz=3"],
            "foo=1,bar=2,baz=3",
        ),
        (
            "tabs around commas",
            &["foo=1\t \t,\t \tbar=2,\t \tbaz=3"],
            "foo=1,bar=2,baz=3",
        ),
        ("leading space", &[" foo=1"], "foo=1"),
        ("leading tab", &["\tfoo=1"], "foo=1"),
        ("trailing space", &["foo=1 "], "foo=1"),
        ("trailing tab", &["foo=1\t"], "foo=1"),
        ("white space around", &["\t foo=1 \t"], "foo=1"),
        (
            "leading spaces of a value belong to it",
            &["foo=  1"],
            "foo=  1",
        ),
        ("a space in a value", &["foo=a b"], "foo=a b"),
        ("a key of one letter", &["a=1"], "a=1"),
        ("a key of one digit", &["0=1"], "0=1"),
        ("a key that begins with a digit", &["0foo=1"], "0foo=1"),
        ("a key with a vendor", &["foo@bar=1"], "foo@bar=1"),
        ("level 2: a key that ends with @", &["foo@=1"], "foo@=1"),
        (
            "level 2: two @ side by side",
            &["foo@@bar=1,bar=2"],
            "foo@@bar=1,bar=2",
        ),
        (
            "level 2: two @",
            &["foo@bar@baz=1,bar=2"],
            "foo@bar@baz=1,bar=2",
        ),
        (
            "level 2: a vendor that begins with a digit",
            &["foo@0=1"],
            "foo@0=1",
        ),
        (
            "keys are told apart by every byte",
            &["foo=1,foo@=2,fo=3"],
            "foo=1,foo@=2,fo=3",
        ),
    ] {
        accepted(name, lines, written);
    }
    let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
    let member = format!("{key}={every_value_byte}");
    accepted("every byte of key and value", &[&member], &member);
    let member = format!("{key}@a-z0-9_-*/={every_value_byte}");
    accepted(
        "every byte of key with vendor and value",
        &[&member],
        &member,
    );
}

#[test]
fn refuses_the_whole_list_for_an_illegal_key() {
    for member in [
        "=1",
        "foo =1",
        "FOO=1",
        "fOo=1",
        "foo.bar=1",
        "@foo=1",
        "@=1",
        "_foo=1",
        "-foo=1",
        "*foo=1",
        "/foo=1",
        "fo o=1",
        "fo\to=1",
        "foo\u{e9}=1",
        "foo\0=1",
        "foo\\=1",
        "foo:=1",
        "foo;a=1",
        "foo%20=1",
        "=",
    ] {
        refused("alone", &[member], Kind::Key);
        refused(
            "before a legal one",
            &[&format!("{member},bar=2")],
            Kind::Key,
        );
        refused("behind a legal one", &["bar=2", member], Kind::Key);
    }
}

#[test]
fn refuses_the_whole_list_for_an_illegal_value() {
    for member in [
        "foo=",
        "foo==",
        "foo==1",
        "foo=1=",
        "foo=bar=baz",
        "foo=a\tb",
        "foo=\u{e9}",
        "foo=a\0b",
        "foo=\u{7f}",
        "foo=a\r\nb",
    ] {
        refused("alone", &[member], Kind::Value);
        refused(
            "before a legal one",
            &[&format!("{member},bar=3")],
            Kind::Value,
        );
        refused("behind a legal one", &["bar=3", member], Kind::Value);
    }
    refused("white space is no value", &["foo= \t ,bar=3"], Kind::Value);
}

#[test]
fn refuses_the_whole_list_for_a_member_without_a_value() {
    refused("alone", &["foo"], Kind::NoValue);
    refused("among others", &["bar=1,foo,baz=2"], Kind::NoValue);
}

#[test]
fn keeps_the_first_of_several_members_with_the_same_key() {
    accepted("twice the same", &["foo=1,foo=1"], "foo=1");
    accepted("another value", &["foo=1,foo=2"], "foo=1");
    accepted("on two lines", &["foo=1", "foo=1"], "foo=1");
    accepted("another value on two lines", &["foo=1", "foo=2"], "foo=1");
    accepted(
        "others between",
        &["foo=1,bar=2", "baz=3,foo=4,bar=5"],
        "foo=1,bar=2,baz=3",
    );
    refused(
        "an illegal one is illegal all the same",
        &["foo=1,foo="],
        Kind::Value,
    );
}

#[test]
fn takes_32_members_and_no_more() {
    let members = numbered(MAX_MEMBERS);
    let written = members.join(",");
    accepted("on one line", &[&written], &written);
    let lines: Vec<String> = members.chunks(10).map(|line| line.join(",")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    accepted("on four lines", &lines, &written);
    accepted(
        "empty ones do not count",
        &[&members.join(",, ,")],
        &written,
    );

    let members = numbered(MAX_MEMBERS + 1);
    refused(
        "33 on one line",
        &[&members.join(",")],
        Kind::TooManyMembers,
    );
    let lines: Vec<&str> = members.iter().map(String::as_str).collect();
    refused("33 on as many lines", &lines, Kind::TooManyMembers);
    refused(
        "33 of the same",
        &[&["foo=1"; 33].join(",")],
        Kind::TooManyMembers,
    );
}

#[test]
fn takes_keys_of_256_bytes_and_no_more() {
    for key in [
        "z".repeat(256),
        "t".repeat(241) + "@" + &"v".repeat(14),
        "t".repeat(254) + "@v",
    ] {
        accepted(
            "256",
            &["foo=1", &format!("{key}=1")],
            &format!("foo=1,{key}=1"),
        );
    }
    for key in ["z".repeat(257), "t".repeat(255) + "@v"] {
        refused("257", &["foo=1", &format!("{key}=1")], Kind::Key);
    }
}

#[test]
fn takes_values_of_256_bytes_and_no_more() {
    let longest = "v".repeat(256);
    accepted(
        "256",
        &[&format!("foo={longest}")],
        &format!("foo={longest}"),
    );
    accepted(
        "256 and a space",
        &[&format!("foo={longest} ")],
        &format!("foo={longest}"),
    );
    refused("257", &[&format!("foo={longest}v,bar=1")], Kind::Value);
}

#[test]
fn reads_no_more_than_32_kib() {
    let spaces = " ".repeat(32 * 1024 - 1 - "foo=1".len());
    accepted("32 KiB", &[&format!("foo=1{spaces}")], "foo=1");
    refused(
        "one byte more",
        &[&format!("foo=1{spaces} ")],
        Kind::TooLong,
    );
    refused(
        "one empty line more",
        &[&format!("foo=1{spaces}"), ""],
        Kind::TooLong,
    );
    refused("only commas", &[&",".repeat(64 * 1024)], Kind::TooLong);
    refused("only empty lines", &[""; 64 * 1024], Kind::TooLong);
}

#[test]
fn errors_say_what_is_wrong_and_nothing_of_the_value() {
    for (line, message) in [
        ("foo", "tracestate member without a value"),
        ("Foo=1", "tracestate member with an illegal key"),
        ("foo=\u{e9}", "tracestate member with an illegal value"),
    ] {
        assert_eq!(
            List::parse([line.as_bytes()]).unwrap_err().to_string(),
            message
        );
    }
}

#[test]
fn a_list_answers_for_its_members() {
    let list = List::parse([&b"foo=1,bar=2"[..]]).unwrap();
    assert_eq!((list.len(), list.is_empty()), (2, false));
    assert_eq!((list.get("bar"), list.get("baz")), (Some("2"), None));
    assert!(
        list.iter()
            .map(|member| (member.key(), member.value()))
            .eq([("foo", "1"), ("bar", "2")])
    );
    assert_eq!(format!("{list:?}"), r#"{"foo": "1", "bar": "2"}"#);
    assert_ne!(list, List::default());
    assert!(List::default().is_empty());
}

/// A key and a value.
type Pair = (Vec<u8>, Vec<u8>);

/// The grammar once more, in the plainest words: members between commas, white space around them, a key, a value.
fn plainly(lines: &[Vec<u8>]) -> Result<Vec<Pair>, Kind> {
    let is_white = |byte: &u8| matches!(byte, b' ' | b'\t');
    let mut members: Vec<Pair> = Vec::new();
    let mut seen = 0;
    for member in lines
        .iter()
        .flat_map(|line| line.split(|byte| *byte == b','))
    {
        let Some(first) = member.iter().position(|byte| !is_white(byte)) else {
            continue;
        };
        let last = member.iter().rposition(|byte| !is_white(byte)).unwrap();
        let member = &member[first..=last];
        seen += 1;
        if seen > MAX_MEMBERS {
            return Err(Kind::TooManyMembers);
        }
        let equals = member.iter().position(|byte| *byte == b'=');
        let (key, value) = member.split_at(equals.ok_or(Kind::NoValue)?);
        let value = &value[1..];
        let of_key = |byte: &u8| b"abcdefghijklmnopqrstuvwxyz0123456789_-*/@".contains(byte);
        if !(1..=256).contains(&key.len()) || b"_-*/@".contains(&key[0]) || !key.iter().all(of_key)
        {
            return Err(Kind::Key);
        }
        let of_value = |byte: &u8| (b' '..=b'~').contains(byte) && !b",=".contains(byte);
        if !(1..=256).contains(&value.len()) || !value.iter().all(of_value) {
            return Err(Kind::Value);
        }
        if members.iter().all(|(other, _)| other != key) {
            members.push((key.to_vec(), value.to_vec()));
        }
    }
    Ok(members)
}

#[track_caller]
fn read_as_plainly(lines: &[Vec<u8>]) {
    let list = List::parse(lines.iter().map(Vec::as_slice));
    let members = list.map(|list| {
        let members = list.iter();
        let bytes = |text: &str| text.as_bytes().to_vec();
        let members = members.map(|member| (bytes(member.key()), bytes(member.value())));
        members.collect()
    });
    assert_eq!(
        members.map_err(|error| error.kind()),
        plainly(lines),
        "{lines:?}"
    );
}

#[test]
fn every_byte_at_every_place_is_what_the_grammar_says() {
    for text in [&b"a=1"[..], b"ab=12,cd=34", b" a\t= 1 ,\tb=2\t ,c=3 "] {
        for byte in 0..=u8::MAX {
            for place in 0..text.len() {
                let mut line = text.to_vec();
                line[place] = byte;
                read_as_plainly(&[line.clone()]);
                read_as_plainly(&[b"x=1".to_vec(), line.clone(), b"y=1".to_vec()]);
                line.insert(place, byte);
                read_as_plainly(&[line]);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_lines_are_what_the_grammar_says(
        lines in proptest::collection::vec("([a-c@]{0,3}[ \t]?=?[ \t]?[ -~]{0,3}[,\t ]{0,2}){0,12}", 0..4),
        (place, byte) in proptest::option::of((0..40_usize, any::<u8>())).prop_map(Option::unwrap_or_default),
    ) {
        let mut lines: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
        read_as_plainly(&lines);
        if let Some(at) = lines.first_mut().and_then(|line| line.get_mut(place)) {
            *at = byte;
        }
        read_as_plainly(&lines);
    }

    #[test]
    fn legal_lines_are_what_the_grammar_says(
        lines in proptest::collection::vec("([a-c]{1,2}=[ 1-3]{0,2}[1-3][ \t]?,[ \t]?){0,20}", 0..3),
    ) {
        let lines: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
        read_as_plainly(&lines);
    }

    #[test]
    fn never_panics_and_reads_back_what_it_writes(
        lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..6),
    ) {
        if let Ok(list) = List::parse(lines.iter().map(Vec::as_slice)) {
            let text = list.to_string();
            prop_assert_eq!(List::parse([text.as_bytes()]), Ok(list));
        }
    }

    #[test]
    fn what_is_nearly_legal_never_panics(lines in proptest::collection::vec("[a-b@A ,=\t]{0,40}", 0..6)) {
        if let Ok(list) = List::parse(lines.iter().map(|line| line.as_bytes())) {
            let text = list.to_string();
            prop_assert_eq!(List::parse([text.as_bytes()]), Ok(list));
        }
    }

    #[test]
    fn the_split_into_lines_makes_no_difference(
        members in proptest::collection::vec(("[a-z0-9][a-z0-9_@*/-]{0,20}", "[ -+\\--<>-~]{0,20}[!-+\\--<>-~]"), 0..=32),
        line_len in 1_usize..32,
    ) {
        let members: Vec<String> = members.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let whole = members.join(",");
        let lines: Vec<String> = members.chunks(line_len).map(|line| line.join(" ,\t")).collect();
        let split = List::parse(lines.iter().map(|line| line.as_bytes()));
        prop_assert!(split.is_ok());
        prop_assert_eq!(split, List::parse([whole.as_bytes()]));
    }
}
