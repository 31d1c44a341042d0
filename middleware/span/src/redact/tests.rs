use proptest::prelude::*;

use super::*;

#[track_caller]
fn assert_query(before: &str, after: &str) {
    assert_eq!(query(before, &QueryKeys::new()), after, "{before}");
}

#[track_caller]
fn assert_text(before: &str, after: &str) {
    assert_eq!(text(before, &QueryKeys::new()), after, "{before}");
}

#[test]
fn a_query_without_secrets_is_as_it_was() {
    for query in ["", "q=abc", "a&b&&c==", "sig", "SIG=1", "xsig=1", "?sig"] {
        assert_query(query, query);
    }
}

#[test]
fn secret_values_of_a_query_are_replaced_wherever_they_stand() {
    for (before, after) in [
        ("sig=1", "sig=REDACTED"),
        ("a=1&sig=a=b&c", "a=1&sig=REDACTED&c"),
        ("sig=1&sig=2", "sig=REDACTED&sig=REDACTED"),
        ("s%69g=1", "s%69g=REDACTED"),
        (
            "X-Amz-Signature=x&Signature=y",
            "X-Amz-Signature=REDACTED&Signature=REDACTED",
        ),
        ("sig=", "sig=REDACTED"),
        ("&sig=1&", "&sig=REDACTED&"),
        // To its end, whatever ends a URL in a text.
        ("sig=a\"b) c.&d", "sig=REDACTED&d"),
        // Inside of a value.
        (
            "next=http://me:pass@host/",
            "next=http://REDACTED:REDACTED@host/",
        ),
        ("next=/x?sig=1&b", "next=/x?sig=REDACTED&b"),
        ("sig=1&next=/x?sig=2", "sig=REDACTED&next=/x?sig=REDACTED"),
    ] {
        assert_query(before, after);
    }
}

#[test]
fn the_keys_are_the_user_s() {
    let only = QueryKeys::only(["token"]);
    assert_eq!(query("token=a&sig=b", &only), "token=REDACTED&sig=b");
    let more = QueryKeys::new().with_more([String::from("token")]);
    assert_eq!(
        query("token=a&sig=b&c=d", &more),
        "token=REDACTED&sig=REDACTED&c=d"
    );
    let none = QueryKeys::only::<&str>([]);
    assert_eq!(query("token=a&sig=b", &none), "token=a&sig=b");
}

#[test]
fn a_text_without_secrets_is_borrowed() {
    for plain in [
        "",
        "connection refused (os error 111)",
        "http://host/path?q=1#top",
        "http://host:8080/@scope/package",
        "https://[::1]:443/",
        "a // comment",
        "://",
        "//",
        "?&#=",
        "sig=1",
        "mail me@host.example",
        "is it?sig",
    ] {
        assert!(
            matches!(text(plain, &QueryKeys::new()), Cow::Borrowed(same) if same == plain),
            "{plain}"
        );
    }
}

#[test]
fn user_information_is_replaced_wherever_it_stands() {
    for (before, after) in [
        ("http://me:pass@host/", "http://REDACTED:REDACTED@host/"),
        ("http://token@host", "http://REDACTED:REDACTED@host"),
        ("http://me:p@ss@host", "http://REDACTED:REDACTED@host"),
        ("//me:pass@host", "//REDACTED:REDACTED@host"),
        ("http://@host", "http://REDACTED:REDACTED@host"),
        (
            "http://me:pass@[::1]:1/",
            "http://REDACTED:REDACTED@[::1]:1/",
        ),
        (
            "(http://a:b@c), <http://d:e@f>",
            "(http://REDACTED:REDACTED@c), <http://REDACTED:REDACTED@f>",
        ),
        (
            "http://host/fetch/http://me:pass@other/",
            "http://host/fetch/http://REDACTED:REDACTED@other/",
        ),
        // No URL by the book, but what a caller writes who knows of none.
        ("http://me:pa/ss@host", "http://REDACTED:REDACTED@host"),
        ("http://me:pa?ss@host", "http://REDACTED:REDACTED@host"),
        ("redis://:pässwörd@host", "redis://REDACTED:REDACTED@host"),
    ] {
        assert_text(before, after);
    }
}

#[test]
fn secret_values_in_a_text_are_replaced_up_to_the_url_s_end() {
    for (before, after) in [
        (
            "error sending request for url (http://host/p?sig=abc)",
            "error sending request for url (http://host/p?sig=REDACTED)",
        ),
        (
            "GET /p?q=1&sig=a,b;c&x: refused",
            "GET /p?q=1&sig=REDACTED&x: refused",
        ),
        (
            "\"http://host/?sig=abc\".",
            "\"http://host/?sig=REDACTED\".",
        ),
        ("http://host/#sig=abc&q=1", "http://host/#sig=REDACTED&q=1"),
        ("http://host/?sig=abc#top", "http://host/?sig=REDACTED#top"),
        (
            "http://me@h/?s%69g=abc, again",
            "http://REDACTED:REDACTED@h/?s%69g=REDACTED, again",
        ),
        ("?sig=", "?sig=REDACTED"),
        ("é?sig=é ü", "é?sig=REDACTED ü"),
    ] {
        assert_text(before, after);
    }
}

#[test]
fn what_is_cut_shows_no_part_of_a_secret() {
    let keys = QueryKeys::new();
    let secret = "s3cr3t".repeat(1_000);
    for text in [
        format!("http://{secret}:{secret}@host/"),
        format!("http://me:{secret}@host/?sig={secret}"),
        format!("http://host/?sig={secret}"),
        format!("{} http://me:s3cr3t@host", "x".repeat(20)),
    ] {
        for max_bytes in 0..100 {
            let kept = bounded(&text, &keys, max_bytes);
            assert!(
                kept.len() <= max_bytes && !kept.contains("s3c"),
                "{max_bytes}: {kept}"
            );
            assert_eq!(bounded_display(&text, &keys, max_bytes), kept);
        }
    }
}

#[test]
fn a_text_is_written_out_no_further_than_it_is_read() {
    struct Endless;
    impl Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            loop {
                f.write_str("again ")?;
            }
        }
    }
    assert_eq!(
        bounded_display(Endless, &QueryKeys::new(), 11),
        "again again"
    );
}

#[test]
fn a_secret_beside_does_not_hide_the_user_information_of_a_url() {
    for (all, clean) in [
        (
            "next=//me:pa&sig=1&y@host/",
            "next=//REDACTED:REDACTED@host/",
        ),
        (
            "sig=1&next=http://me:pass@host/&x=//a:b@c",
            "sig=REDACTED&next=http://REDACTED:REDACTED@host/&x=//REDACTED:REDACTED@c",
        ),
    ] {
        assert_eq!(query(all, &QueryKeys::new()), clean);
    }
}

proptest! {
    #[test]
    fn nothing_secret_is_left_whatever_is_around_it(
        before in "[a-z /?&=#:.%\"(é]{0,40}",
        user in "[a-z0-9.:!$']{0,12}",
        after in "[a-z /?&=#:.%\")é]{0,40}",
    ) {
        let keys = QueryKeys::new();
        let all = format!("{before}//{user}:s3cr3t@host/?sig=s3cr3t&q=1 {after}");
        let clean = text(&all, &keys);
        prop_assert!(!clean.contains("s3cr3t"), "{clean}");
        prop_assert_eq!(text(&clean, &keys), clean.clone());
        let clean = query(&all, &keys);
        prop_assert!(!clean.contains("s3cr3t"), "{clean}");
    }

    #[test]
    fn any_text_has_an_end(any in "\\PC{0,200}", keys in "[a-c]{0,2}") {
        let keys = QueryKeys::new().with_more([keys]);
        let clean = text(&any, &keys);
        prop_assert_eq!(text(&clean, &keys), clean.clone());
        let _ = query(&any, &keys);
    }

    #[test]
    fn the_quick_way_is_the_slow_one(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..24),
        keys in proptest::sample::select(vec![
            QueryKeys::new(),
            QueryKeys::new().with_more(["token", "t", "é"]),
            QueryKeys::only(["token", ""]),
            QueryKeys::only::<&str>([]),
        ]),
    ) {
        let all = pieces.concat();
        prop_assert_eq!(text(&all, &keys), naive_text(&all, &keys));
        prop_assert_eq!(query(&all, &keys), naive_query(&all, &keys));
    }
}

/// What secrets are told by, and what may be taken for it.
const PIECES: &[&str] = &[
    "?",
    "&",
    "=",
    "#",
    "/",
    "//",
    "%",
    "@",
    ":",
    "?sig=",
    "&sig=",
    "sig",
    "Signature",
    "s%69g",
    "%73ig",
    "token",
    "t",
    "%",
    "%ff",
    "X-Amz-Signature",
    "http://",
    "me:pass@",
    "[::1]",
    "1",
    "a",
    "é",
    " ",
    "\"",
    ")",
    ".",
    "\\",
];

/// One character after the other, by the documentation alone.
fn naive_text(text: &str, keys: &QueryKeys) -> String {
    let find = |text: &str, ends: &str| {
        text.find(|c: char| ends.contains(c) || ends_url(c))
            .unwrap_or(text.len())
    };
    let (mut clean, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix("//") {
            let (authority, path) = behind.split_at(find(behind, "/?#\\"));
            let is_broken = || {
                let port = authority.split_once(':')?.1;
                let is_port = port.chars().all(|c| c.is_ascii_digit());
                (!is_port && !authority.starts_with('[')).then_some(())?;
                Some(authority.len() + path[..find(path, "")].find('@')?)
            };
            if let Some(at) = authority.rfind('@').or_else(is_broken) {
                clean += "//REDACTED:REDACTED";
                rest = &behind[at..];
                continue;
            }
        }
        let behind = &rest[first.len_utf8()..];
        if "?&#".contains(first) {
            let (key, value) = behind.split_at(find(behind, "=?&#"));
            if let Some(value) = value.strip_prefix('=')
                && is_listed(key, keys)
            {
                let secret = value[..find(value, "&#")].trim_end_matches(closes_url);
                clean = format!("{clean}{first}{key}=REDACTED");
                rest = &value[secret.len()..];
                continue;
            }
        }
        clean.push(first);
        rest = behind;
    }
    clean
}

fn naive_query(query: &str, keys: &QueryKeys) -> String {
    let pairs: Vec<&str> = query.split('&').collect();
    let secret = |pair: &str| match pair.split_once('=') {
        Some((key, _)) if is_listed(key, keys) => Some(format!("{key}=REDACTED")),
        _ => None,
    };
    let clean: Vec<_> = pairs
        .into_iter()
        .map(|pair| secret(pair).unwrap_or_else(|| pair.to_owned()))
        .collect();
    naive_text(&clean.join("&"), keys)
}

fn is_listed(key: &str, keys: &QueryKeys) -> bool {
    let decoded = percent_decode_str(key).decode_utf8().unwrap_or_default();
    (keys.defaults && DEFAULT_REDACTED_QUERY_KEYS.contains(&&*decoded))
        || keys.others.contains(&decoded)
}
