//! `baggage`: its grammar, its limits, and both directions.

use opentelemetry::{
    StringValue,
    baggage::{Baggage, BaggageMetadata, KeyValueMetadata},
};
use proptest::prelude::*;

use super::{MAX_BYTES, MAX_MEMBERS, decode, encode, incoming};

/// Name, value and metadata.
type Entry<'a> = (&'a str, &'a str, &'a str);

#[track_caller]
fn decodes(name: &str, lines: &[&str], expected: &[Entry<'_>]) {
    let decoded = incoming(lines.iter().map(|line| line.as_bytes()));
    let mut entries: Vec<Entry<'_>> = decoded
        .baggage
        .iter()
        .map(|(key, (value, metadata))| (key.as_str(), value.as_str(), metadata.as_str()))
        .collect();
    entries.sort_unstable();
    assert_eq!(entries, expected, "{name}: {lines:?}");
    assert!(!decoded.rejected, "{name}: {lines:?}");
}

/// As [`decodes`], when something is left out.
#[track_caller]
fn decodes_partly(name: &str, lines: &[&str], expected: &[&str]) {
    let decoded = incoming(lines.iter().map(|line| line.as_bytes()));
    let mut keys: Vec<&str> = decoded
        .baggage
        .iter()
        .map(|(key, _)| key.as_str())
        .collect();
    keys.sort_unstable();
    assert_eq!(keys, expected, "{name}");
    assert!(decoded.rejected, "{name}");
}

fn baggage(entries: &[Entry<'_>]) -> Baggage {
    let entries = entries.iter().map(|(key, value, metadata)| {
        KeyValueMetadata::new((*key).to_owned(), (*value).to_owned(), *metadata)
    });
    entries.collect()
}

#[test]
fn decodes_what_the_grammar_allows() {
    let every_octet: String = (b'!'..=b'~')
        .map(char::from)
        .filter(|c| !"\",;\\%".contains(*c))
        .collect();
    for (name, lines, expected) in [
        ("nothing", &[][..], &[][..]),
        ("empty lines and members", &["", " ", ",, \t,"], &[]),
        ("one member", &["user=alice"], &[("user", "alice", "")]),
        (
            "several members",
            &["a=1,b=2"],
            &[("a", "1", ""), ("b", "2", "")],
        ),
        (
            "several lines",
            &["a=1", "b=2,c=3"],
            &[("a", "1", ""), ("b", "2", ""), ("c", "3", "")],
        ),
        (
            "an empty value",
            &["a=,b= "],
            &[("a", "", ""), ("b", "", "")],
        ),
        (
            "white space everywhere",
            &["\t a \t=\t 1 \t, b = 2;p = 3 ; q "],
            &[("a", "1", ""), ("b", "2", "p=3;q")],
        ),
        (
            "an equals sign in a value",
            &["a=b=c=="],
            &[("a", "b=c==", "")],
        ),
        (
            "percent-encoded",
            &["a=DF%2028%2c%2C%3B"],
            &[("a", "DF 28,,;", "")],
        ),
        (
            "percent-encoded UTF-8",
            &["a=Am%C3%A9lie"],
            &[("a", "Am\u{e9}lie", "")],
        ),
        (
            "percent-encoded bytes that are not UTF-8",
            &["a=aa%ffcc"],
            &[("a", "aa\u{fffd}cc", "")],
        ),
        (
            "a truncated UTF-8 sequence",
            &["a=%E2%82"],
            &[("a", "\u{fffd}", "")],
        ),
        (
            "a percent sign alone",
            &["a=100%,b=%zz,c=%4"],
            &[("a", "100%", ""), ("b", "%zz", ""), ("c", "%4", "")],
        ),
        ("a plus sign is no space", &["a=1+1"], &[("a", "1+1", "")]),
        ("properties", &["a=1;p;q=2"], &[("a", "1", "p;q=2")]),
        (
            "properties stay encoded",
            &["a=1;q=%20%3B"],
            &[("a", "1", "q=%20%3B")],
        ),
        ("empty properties", &["a=1;;p; ;"], &[("a", "1", "p")]),
        (
            "a property with an empty value",
            &["a=1;p="],
            &[("a", "1", "p=")],
        ),
        (
            "a property with equals signs",
            &["a=1;p=b=c"],
            &[("a", "1", "p=b=c")],
        ),
        ("keys are not decoded", &["a%20b=1"], &[("a%20b", "1", "")]),
        (
            "the later of two members wins",
            &["a=1;p,b=2", "a=3"],
            &[("a", "3", ""), ("b", "2", "")],
        ),
        (
            "every byte of a key",
            &["!#$%&'*+-.^_`|~09AZaz=1"],
            &[("!#$%&'*+-.^_`|~09AZaz", "1", "")],
        ),
    ] {
        decodes(name, lines, expected);
    }
    decodes(
        "every byte of a value",
        &[&format!("a={every_octet}")],
        &[("a", &every_octet, "")],
    );
}

#[test]
fn skips_illegal_members_and_keeps_the_others() {
    for member in [
        "broken",
        "=1",
        "a b=1",
        "a(=1",
        "a\"=1",
        "a/=1",
        "a@=1",
        "\u{e9}=1",
        "a=1 2",
        "a=\"1\"",
        "a=1\\2",
        "a=\u{e9}",
        "a=1\t2",
        "a=\0",
        "a=\u{7f}",
        "a=1;=2",
        "a=1;b c",
        "a=1;b=\"",
        "a=1;b=c d",
        "a=1;(",
        ";a=1",
        "a;b=1",
        ";",
    ] {
        decodes_partly("alone", &[member], &[]);
        decodes_partly("among others", &[&format!("x=1,{member},y=2")], &["x", "y"]);
        decodes_partly("on a line of its own", &["x=1", member, "y=2"], &["x", "y"]);
    }
}

#[test]
fn keeps_the_first_64_members() {
    let members: Vec<String> = (0..=MAX_MEMBERS).map(|n| format!("k{n:03}=v")).collect();
    let keys: Vec<&str> = members[..MAX_MEMBERS]
        .iter()
        .map(|member| &member[..4])
        .collect();
    let lines: Vec<&str> = members.iter().map(String::as_str).collect();

    let expected: Vec<Entry<'_>> = keys.iter().map(|key| (*key, "v", "")).collect();
    decodes("64", &lines[..MAX_MEMBERS], &expected);
    decodes(
        "64 and empty ones",
        &[&(members[..MAX_MEMBERS].join(",") + ",,")],
        &expected,
    );
    decodes_partly("65 on as many lines", &lines, &keys);
    decodes_partly("65 on one line", &[&members.join(",")], &keys);
    let mut illegal = lines.clone();
    illegal.insert(0, "broken");
    decodes_partly("illegal ones do not count", &illegal[..=MAX_MEMBERS], &keys);
}

#[test]
fn keeps_members_up_to_8192_bytes() {
    let member = |key: &str, bytes: usize| format!("{key}={}", "v".repeat(bytes - key.len() - 1));
    let keys = |lines: &[String]| -> (Vec<String>, bool) {
        let decoded = incoming(lines.iter().map(|line| line.as_bytes()));
        let mut keys: Vec<String> = decoded
            .baggage
            .iter()
            .map(|(key, _)| key.to_string())
            .collect();
        keys.sort();
        (keys, decoded.rejected)
    };
    let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();

    assert_eq!(keys(&[member("a", 8192)]), (owned(&["a"]), false));
    assert_eq!(keys(&[member("a", 8193)]), (vec![], true));
    assert_eq!(
        keys(&[member("a", 8000), member("b", 191)]),
        (owned(&["a", "b"]), false),
        "with the comma"
    );
    assert_eq!(
        keys(&[member("a", 8000), member("b", 192)]),
        (owned(&["a"]), true)
    );
    assert_eq!(
        keys(&[member("a", 8000), member("b", 192), member("c", 100)]),
        (owned(&["a", "c"]), true),
        "a shorter one behind still fits"
    );
}

#[test]
fn looks_at_no_more_than_16_kib() {
    let spaces = |count| " ".repeat(count);
    decodes(
        "16 KiB",
        &[&format!("a=1,{}b=2", spaces(16_384 - 7))],
        &[("a", "1", ""), ("b", "2", "")],
    );
    decodes_partly(
        "one byte more",
        &[&format!("a=1,{}b=2", spaces(16_384 - 6))],
        &["a"],
    );
    decodes_partly("a line behind", &[&spaces(16_383), "a=1"], &[]);
    decodes_partly(
        "never a part of a member, even if it is short",
        &[&format!("a=1,{}b=2222", spaces(16_384 - 7))],
        &["a"],
    );
    decodes_partly(
        "never a part of a member",
        &[&("a=1,b=".to_owned() + &"2".repeat(20_000))],
        &["a"],
    );
    decodes_partly("a member over everything", &[&"a".repeat(100_000)], &[]);
    decodes_partly("commas", &[&",".repeat(100_000), "a=1"], &[]);
    decodes_partly("empty lines", &[&[""; 20_000][..], &["a=1"]].concat(), &[]);
}

#[test]
fn encodes_by_the_grammar() {
    for (name, entries, expected) in [
        ("nothing", &[][..], ""),
        (
            "sorted by name",
            &[("b", "2", ""), ("a", "1", "")],
            "a=1,b=2",
        ),
        ("an empty value", &[("a", "", "")], "a="),
        (
            "what the grammar allows stays",
            &[("a", "b=c:/?#[]@!$&'()*+-._~<>{}|^`", "")],
            "a=b=c:/?#[]@!$&'()*+-._~<>{}|^`",
        ),
        (
            "what it forbids does not",
            &[("a", " \",;\\%\t\r\n\0\u{7f}", "")],
            "a=%20%22%2C%3B%5C%25%09%0D%0A%00%7F",
        ),
        ("UTF-8", &[("a", "Am\u{e9}lie", "")], "a=Am%C3%A9lie"),
        ("properties", &[("a", "1", "p;q=2")], "a=1;p;q=2"),
        (
            "properties are in encoded form",
            &[("a", "1", "q=%20")],
            "a=1;q=%20",
        ),
        (
            "white space around properties",
            &[("a", "1", " p ; q = 2 ;")],
            "a=1;p;q=2",
        ),
        (
            "illegal bytes in properties",
            &[("a", "1", "p,x=1;b c=d\r\ne f")],
            "a=1;p%2Cx=1;b%20c=d%0D%0Ae%20f",
        ),
        ("properties without a key", &[("a", "1", "=2;;")], "a=1"),
    ] {
        assert_eq!(encode(&baggage(entries)), expected, "{name}");
    }
}

#[test]
fn sends_no_more_than_8192_bytes_and_no_part_of_a_member() {
    // As many bytes as the API takes, three times as many in the header.
    let value = " ".repeat(2000);
    let full = baggage(&[("a", &value, ""), ("b", &value, ""), ("c", "1", "")]);
    let text = encode(&full);
    assert_eq!(text, format!("a={},c=1", "%20".repeat(2000)));

    let exact = "v".repeat(MAX_BYTES - 2);
    assert_eq!(encode(&baggage(&[("a", &exact, "")])).len(), MAX_BYTES);
    let spaces = format!("{} ", "v".repeat(MAX_BYTES - 4));
    assert_eq!(
        encode(&baggage(&[("a", &spaces, "")])),
        "",
        "one byte too many"
    );
    let full: Vec<String> = (0..MAX_MEMBERS).map(|n| format!("k{n:02}")).collect();
    let full: Baggage = full
        .iter()
        .map(|key| KeyValueMetadata::new(key.clone(), "v", ""))
        .collect();
    assert_eq!(encode(&full).split(',').count(), MAX_MEMBERS);
}

#[test]
fn a_full_header_is_passed_on_as_it_came() {
    let members: Vec<String> = (0..MAX_MEMBERS)
        .map(|n| format!("k{n:02}=/+{}%2C;p", "v".repeat(114)))
        .collect();
    let text = members.join(",");
    assert!((8000..=MAX_BYTES).contains(&text.len()));
    assert_eq!(encode(&decode([text.as_bytes()])), text);
}

proptest! {
    #[test]
    fn never_panics_keeps_the_limits_and_reads_back_what_it_writes(
        lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..6),
    ) {
        let text = encode(&decode(lines.iter().map(Vec::as_slice)));
        prop_assert!(text.len() <= MAX_BYTES);
        prop_assert_eq!(encode(&decode([text.as_bytes()])), text);
    }

    #[test]
    fn what_is_nearly_legal_never_panics(lines in proptest::collection::vec("[ab%C3E9=;, \"\t]{0,60}", 0..6)) {
        let text = encode(&decode(lines.iter().map(|line| line.as_bytes())));
        prop_assert_eq!(encode(&decode([text.as_bytes()])), text);
    }

    #[test]
    fn any_baggage_survives_the_round_trip(
        entries in proptest::collection::vec(("[!#-'*+.^_`|~0-9A-Za-z-]{1,8}", any::<String>()), 0..20),
    ) {
        let baggage: Baggage = entries
            .iter()
            .map(|(key, value)| KeyValueMetadata::new(key.clone(), value.clone(), ""))
            .collect();
        let text = encode(&baggage);
        prop_assert!(text.is_ascii());
        let decoded = incoming([text.as_bytes()]);
        prop_assert!(!decoded.rejected);
        prop_assert_eq!(decoded.baggage.len(), baggage.len());
        for (key, pair) in &baggage {
            prop_assert_eq!(decoded.baggage.get_with_metadata(key), Some(pair));
        }
    }

    #[test]
    fn any_metadata_makes_a_legal_header(metadata in any::<String>()) {
        let mut baggage = Baggage::new();
        baggage.insert_with_metadata("a", StringValue::from("1"), BaggageMetadata::from(metadata));
        let text = encode(&baggage);
        let decoded = incoming([text.as_bytes()]);
        prop_assert!(!decoded.rejected, "{:?}", text);
        prop_assert_eq!(encode(&decoded.baggage), text);
    }
}
