//! Exporter URLs: what is shown of one parses to the same, and no error shows a secret.

use towline_otlp::{Endpoint, EndpointErrorKind, Scheme};

#[test]
fn exporter_url() {
    towline_fuzz::fuzz!(WORDS, |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        match Endpoint::parse(&text) {
            Ok(endpoint) => {
                let shown = endpoint.to_string();
                assert_eq!(Endpoint::parse(&shown).as_ref(), Ok(&endpoint), "{text:?}");
                assert!(
                    shown.starts_with(endpoint.scheme().as_str()),
                    "{text:?}: {shown}"
                );
                let is_file = endpoint.scheme() == Scheme::File;
                assert_eq!(endpoint.directory().is_some(), is_file, "{text:?}");
                let is_local = is_file || endpoint.scheme() == Scheme::Console;
                assert_eq!(endpoint.authority().is_none(), is_local, "{text:?}");
                assert_ne!(endpoint.port(), Some(0), "{text:?}");
                if let Some(path) = endpoint.path() {
                    assert!(path.len() > 1 && path.starts_with('/'), "{text:?}");
                }
            }
            Err(error) => {
                let shown = format!("{error} {error:?}");
                // Each character of a bounded number may be escaped.
                assert!(shown.len() < 10_000, "{}", shown.len());
                assert!(!shown.contains('\n'), "{text:?}: {shown}");
                // Whatever stands before an `@`, or in a query but for our own keys, may be one.
                let (before, after) = text.rsplit_once('@').unwrap_or(("", &text));
                let query = after.split_once(['?', '#']).map_or("", |(_, query)| query);
                let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
                let is_ours = KEYS.iter().any(|key| query.contains(key));
                if !scheme.contains(SECRET) && !is_ours {
                    let elsewhere = after.split(['?', '#']).next().unwrap_or_default();
                    assert!(
                        elsewhere.contains(SECRET) || !shown.contains(SECRET),
                        "{text:?}: {shown}"
                    );
                }
                assert_eq!(error.kind() == EndpointErrorKind::Empty, text.is_empty());
            }
        }
    });
}

const SECRET: &str = "hunter2";

/// Keys of a query whose values are shown.
const KEYS: [&str; 4] = ["limit", "format", "max_files", "max_age"];

const WORDS: &[&str] = &[
    "grpc://",
    "grpcs://",
    "http://",
    "https://",
    "file://",
    "FILE:///",
    "unix:",
    "unix-abstract:",
    "console:",
    "://",
    "tcp://",
    ":",
    "/",
    "//",
    "host",
    "localhost",
    "[::1]",
    "[",
    "]",
    "::",
    "127.0.0.1",
    "1",
    "0x7f",
    ".",
    "4317",
    ":4317",
    ":0",
    ":65536",
    "/v1/traces",
    "user:hunter2@",
    "hunter2",
    "@",
    "?",
    "?limit=",
    "&",
    "limit=10",
    "format=json",
    "format=teleport",
    "max_files=3",
    "max_age=",
    "7d",
    "format=",
    "?key=hunter2",
    "=",
    "#",
    "%",
    "%20",
    "%00",
    "%FF",
    "ä",
    "１",
    "\u{ad}",
    "xn--",
    "_",
    "-",
    " ",
    "..",
    "\\",
    "|",
];
