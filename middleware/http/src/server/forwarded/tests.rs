use http::HeaderName;
use proptest::prelude::*;

use super::*;

const PROXY: &str = "10.0.0.1";

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        let name: HeaderName = name.parse().unwrap();
        (name, value.parse().unwrap())
    };
    lines.iter().map(line).collect()
}

fn read<'a>(proxies: &TrustedProxies, peer: &str, headers: &'a HeaderMap) -> Forwarded<'a> {
    let peer = SocketAddr::new(peer.parse().unwrap(), 1);
    proxies.read(Some(peer), headers)
}

/// What a request with these headers says that came from a proxy: client, scheme, server.
#[track_caller]
fn assert_read(lines: &[(&str, &str)], expected: (&str, &str, &str)) {
    let proxies = TrustedProxies::networks(["10.0.0.0/8", "fd00::/8"]).unwrap();
    let headers = headers(lines);
    let found = read(&proxies, PROXY, &headers);
    let found = (
        found.client.map_or_else(String::new, |ip| ip.to_string()),
        found.scheme.unwrap_or_default(),
        found.server.map_or_else(String::new, |server| {
            let port = server.port.map(|port| format!(" {port}"));
            format!("{}{}", server.host, port.unwrap_or_default())
        }),
    );
    let (client, scheme, server) = expected;
    assert_eq!(
        found,
        (client.to_owned(), scheme, server.to_owned()),
        "{lines:?}"
    );
}

fn clients(name: &str, lists: &[(&str, &str)]) {
    for (list, client) in lists {
        assert_read(&[(name, list)], (client, "", ""));
    }
}

#[test]
fn the_rightmost_hop_that_is_not_trusted_is_the_client() {
    clients(
        "x-forwarded-for",
        &[
            ("198.51.100.7", "198.51.100.7"),
            ("203.0.113.1, 198.51.100.7", "198.51.100.7"),
            (
                "203.0.113.1, 198.51.100.7, 10.0.0.2,10.9.9.9",
                "198.51.100.7",
            ),
            // All trusted: the leftmost.
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("2001:db8::7, fd00::1", "2001:db8::7"),
            ("[2001:db8::7]:4711, ::ffff:10.0.0.2", "2001:db8::7"),
            ("198.51.100.7:4711", "198.51.100.7"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
        ],
    );
    clients(
        "forwarded",
        &[
            ("for=198.51.100.7", "198.51.100.7"),
            (
                "for=203.0.113.1, For=198.51.100.7;by=10.0.0.1",
                "198.51.100.7",
            ),
            (
                "for=203.0.113.1, for=198.51.100.7, for=10.0.0.2",
                "198.51.100.7",
            ),
            ("for=\"[2001:db8::7]:4711\"", "2001:db8::7"),
            (
                "for=\"198.51.100.7:_port\" ; secret=\"a, b; c\"",
                "198.51.100.7",
            ),
            ("for=10.0.0.3;, for=10.0.0.2", "10.0.0.3"),
        ],
    );
}

#[test]
fn lines_are_one_list() {
    for (name, own) in [("x-forwarded-for", ""), ("forwarded", "for=")] {
        let (left, right) = (format!("{own}203.0.113.1"), format!("{own}198.51.100.7"));
        assert_read(&[(name, &left), (name, &right)], ("198.51.100.7", "", ""));
    }
}

#[test]
fn what_is_left_of_the_client_is_never_looked_at() {
    clients(
        "x-forwarded-for",
        &[
            ("\"',,;, 198.51.100.7", "198.51.100.7"),
            ("<é, 198.51.100.7", "198.51.100.7"),
        ],
    );
    clients(
        "forwarded",
        &[
            ("for=\"203.0.113.1, for=198.51.100.7", "198.51.100.7"),
            ("nonsense, for=198.51.100.7", "198.51.100.7"),
            ("for=\"a\\\", for=198.51.100.7", "198.51.100.7"),
        ],
    );
}

#[test]
fn what_is_malformed_or_hidden_ends_the_list() {
    for list in [
        "",
        ",",
        "unknown",
        "_hidden",
        "198.51.100",
        "198.51.100.7:x",
        "[::1",
        "[::1]x",
        "::1]",
        "1.2.3.4:+1",
    ] {
        clients("x-forwarded-for", &[(list, "")]);
        let list = format!("198.51.100.7, {list}, 10.0.0.2");
        clients("x-forwarded-for", &[(&list, "10.0.0.2")]);
    }
    for list in [
        "",
        "for",
        "for=",
        "=",
        "for=unknown",
        "for=_hidden",
        "for=\"198.51.100.7",
        "for=198.51.100.7 x",
        "for=198.51.100.7;for=198.51.100.8",
        "for=\"198.51.100\\.7\"",
        "for=198.51.100.7;b ad=1",
        "proto=x",
    ] {
        clients("forwarded", &[(list, "")]);
        let list = format!("for=198.51.100.7, {list}, for=10.0.0.2");
        clients("forwarded", &[(&list, "10.0.0.2")]);
    }
}

#[test]
fn scheme_and_host_are_what_the_proxy_says_that_was_called_by_the_client() {
    assert_read(
        &[(
            "forwarded",
            "for=203.0.113.1;proto=ftp;host=made.up, \
             for=198.51.100.7;proto=HTTPS;host=\"users.example:8443\", \
             for=10.0.0.2;proto=http;host=inner",
        )],
        ("198.51.100.7", "https", "users.example 8443"),
    );
    let lists = |proto, host| {
        let client = ("x-forwarded-for", "203.0.113.1, 198.51.100.7, 10.0.0.2");
        let lines = [
            client,
            ("x-forwarded-proto", proto),
            ("x-forwarded-host", host),
        ];
        assert_read(&lines, ("198.51.100.7", "https", "users.example"));
    };
    lists("http, https, http", "made.up, users.example, inner");
    lists("https, http", "users.example, inner");
    lists("https", "users.example");
    // The client hides, the scheme does not.
    assert_read(
        &[("forwarded", "for=unknown;proto=https")],
        ("", "https", ""),
    );
    assert_read(&[("x-forwarded-proto", "http, https")], ("", "https", ""));
}

#[test]
fn a_scheme_or_a_host_that_is_none_is_ignored() {
    for proto in ["", "ftp", "https://", "http s"] {
        assert_read(&[("x-forwarded-proto", proto)], ("", "", ""));
    }
    let long = "h".repeat(300);
    for host in [
        "",
        "a b",
        "me:pass@users.example",
        "a/b",
        "[::1",
        "\"a\"",
        &long,
    ] {
        assert_read(&[("x-forwarded-host", host)], ("", "", ""));
    }
    assert_read(
        &[("x-forwarded-host", "[2001:db8::1]:1")],
        ("", "", "2001:db8::1 1"),
    );
}

#[test]
fn nobody_else_is_believed() {
    let proxies = TrustedProxies::networks(["10.0.0.0/8"]).unwrap();
    let headers = headers(&[
        (
            "forwarded",
            "for=198.51.100.7;proto=https;host=users.example",
        ),
        ("x-forwarded-for", "198.51.100.7"),
    ]);
    assert_eq!(read(&proxies, "192.0.2.1", &headers), Forwarded::default());
    assert_eq!(proxies.read(None, &headers), Forwarded::default());
    // The same address, however the socket gives it.
    assert!(read(&proxies, "::ffff:10.0.0.1", &headers).client.is_some());
    let nobody = TrustedProxies::networks::<&str>([]).unwrap();
    assert_eq!(read(&nobody, PROXY, &headers), Forwarded::default());
}

#[test]
fn headers_that_contradict_each_other_are_not_believed() {
    let lines = [
        ("forwarded", "for=203.0.113.1;proto=https"),
        ("x-forwarded-for", "198.51.100.7"),
    ];
    assert_read(&lines, ("", "", ""));
    let headers = headers(&lines);
    for (which, client) in [
        (ForwardedHeaders::Forwarded, "203.0.113.1"),
        (ForwardedHeaders::XForwarded, "198.51.100.7"),
    ] {
        let proxies = TrustedProxies::by(|ip| ip.to_string() == PROXY).with_headers(which);
        let found = read(&proxies, PROXY, &headers).client;
        assert_eq!(found, Some(client.parse().unwrap()), "{which:?}");
    }
    assert_read(
        &[
            ("forwarded", "for=198.51.100.7"),
            ("x-forwarded-for", "198.51.100.7"),
            ("x-forwarded-proto", "https"),
        ],
        ("198.51.100.7", "https", ""),
    );
}

#[test]
fn a_list_is_followed_so_far_only() {
    let mut list = String::from("198.51.100.7");
    for n in 0..10_000 {
        list.push_str(&format!(", 10.0.{}.{}", n / 256, n % 256));
    }
    // The 32nd from the right.
    clients("x-forwarded-for", &[(&list, "10.0.38.240")]);
}

#[test]
fn networks_and_addresses_are_told_from_nonsense() {
    for text in [
        "",
        "10.0.0.0/33",
        "10.0.0/8",
        "proxy.example",
        "10.0.0.1:80",
        " 10.0.0.1",
    ] {
        let error = TrustedProxies::networks(["::1", text]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("{text:?} is neither")),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn any_headers_are_read(one in "[ -~]{0,60}", other in "[for=,;\"\\\\0-9.:_\\[\\]]{0,60}") {
        for (a, b) in [(&one, &other), (&other, &one)] {
            let lines = [("forwarded", &**a), ("x-forwarded-for", b), ("x-forwarded-host", a)];
            let headers = headers(&lines);
            let proxies = TrustedProxies::by(|_| true);
            let _ = read(&proxies, PROXY, &headers);
        }
    }

    /// Whatever a client writes before: the proxy's own word counts.
    #[test]
    fn a_client_cannot_speak_for_the_proxy(forged in "[ -~]{0,60}") {
        let proxies = TrustedProxies::networks([PROXY]).unwrap();
        let client = Some("198.51.100.7".parse().unwrap());
        let list = format!("{forged}, for=198.51.100.7;proto=https");
        let found = read(&proxies, PROXY, &headers(&[("forwarded", &list)])).client;
        prop_assert_eq!(found, client);
        let list = format!("{forged}, 198.51.100.7");
        let found = read(&proxies, PROXY, &headers(&[("x-forwarded-for", &list)])).client;
        prop_assert_eq!(found, client);
    }
}
