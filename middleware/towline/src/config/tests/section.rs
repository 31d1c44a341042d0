//! The keys of the section.

use std::path::Path;

use super::{Config, ConfigError, fails};
use crate::{ConfigErrorKind, KeyPair, Rate};

/// A section of one line.
fn section(line: &str) -> Result<Config, ConfigError> {
    Config::from_yaml(&format!("tracing_service:\n  {line}\n"))
}

#[track_caller]
fn line_fails(line: &str, column: u64, expected: &str) {
    let error = section(line).unwrap_err();
    let expected = format!("line 2, column {column}: {expected}");
    assert_eq!(error.to_string(), expected, "{line}");
    assert_eq!(error.kind(), ConfigErrorKind::Setting, "{line}");
    assert_eq!(error.line(), Some(2), "{line}");
}

#[test]
fn reads_every_key() {
    let config = Config::from_yaml(
        "
teleport: { nodename: a }
tracing_service:
  enabled: yes
  exporter_url: grpcs://collector.example.com
  sampling_rate_per_million: 1000000
  ca_certs: [/a.pem, b.pem]
  https_keypairs:
    - key_file: /key.pem
      cert_file: /cert.pem
  service_name: users
",
    )
    .unwrap();
    assert_eq!(config.enabled(), Some(true));
    assert_eq!(
        config.endpoint().unwrap().to_string(),
        "grpcs://collector.example.com:4317"
    );
    assert_eq!(config.sampling_rate(), Some(Rate::ALWAYS));
    assert_eq!(config.ca_certs(), [Path::new("/a.pem"), Path::new("b.pem")]);
    assert_eq!(
        config.https_keypairs(),
        [KeyPair::new("/key.pem", "/cert.pem")]
    );
    assert_eq!(config.service_name(), Some("users"));
}

#[test]
fn booleans_are_those_of_yaml_1_1() {
    for (text, expected) in [
        ("yes", true),
        ("Yes", true),
        ("YES", true),
        ("y", true),
        ("on", true),
        ("true", true),
        ("True", true),
        ("'yes'", true),
        ("\"true\"", true),
        ("no", false),
        ("N", false),
        ("off", false),
        ("OFF", false),
        ("false", false),
    ] {
        let config = section(&format!("enabled: {text}")).unwrap();
        assert_eq!(config.enabled(), Some(expected), "{text}");
    }
    for (text, shown) in [
        ("maybe", "\"maybe\""),
        ("yess", "\"yess\""),
        ("1", "1"),
        ("0.0", "0.0"),
        ("[yes]", "a list"),
        ("{ yes: no }", "a mapping"),
    ] {
        line_fails(
            &format!("enabled: {text}"),
            12,
            &format!("`enabled` is {shown}: expected yes or no (or true, false, on, off)"),
        );
    }
}

#[test]
fn rates_are_whole_numbers_up_to_a_million() {
    for (text, expected) in [
        ("0", 0),
        ("1", 1),
        ("1000000", 1_000_000),
        ("1_000_000", 1_000_000),
        ("0x10", 16),
    ] {
        let config = section(&format!("sampling_rate_per_million: {text}")).unwrap();
        let rate = config.sampling_rate().unwrap();
        assert_eq!(rate.as_per_million(), expected, "{text}");
    }
    for (text, shown) in [
        ("1000001", "1000001"),
        ("4294967297", "4294967297"),
        ("-1", "-1"),
        ("0.5", "0.5"),
        ("1e6", "1000000.0"),
        ("\"1000\"", "\"1000\""),
        ("all", "\"all\""),
        ("yes", "\"yes\""),
        ("true", "true"),
    ] {
        line_fails(
            &format!("sampling_rate_per_million: {text}"),
            30,
            &format!(
                "`sampling_rate_per_million` is {shown}: expected a whole number from 0 (none) to 1000000 (all)"
            ),
        );
    }
}

#[test]
fn an_exporter_url_that_cannot_be_used_says_what_was_expected_and_hides_secrets() {
    line_fails(
        "exporter_url: tcp://collector:4317",
        17,
        "`exporter_url`: exporter url \"tcp://collector:4317\" has an unknown scheme: \
         expected grpc, grpcs, http, https, file, unix or console",
    );
    line_fails(
        "exporter_url: http://user:hunter2@collector",
        17,
        "`exporter_url`: exporter url \"http://***@collector\" has a user name or password: \
         expected credentials in headers, not in the url",
    );
    line_fails(
        "exporter_url: 4317",
        17,
        "`exporter_url` is 4317: expected a URL such as grpc://collector:4317",
    );
}

#[test]
fn files_are_lists_of_paths() {
    line_fails(
        "ca_certs: /a.pem",
        13,
        "`ca_certs` is \"/a.pem\": expected a list of files, such as [/etc/app/ca.pem]",
    );
    line_fails(
        "ca_certs: [/a.pem, 3]",
        22,
        "`ca_certs[1]` is 3: expected the path of a PEM file",
    );
    line_fails(
        "ca_certs: [\"\"]",
        14,
        "`ca_certs[0]` is \"\": expected the path of a PEM file",
    );
}

#[test]
fn key_pairs_have_a_key_and_a_certificate_under_either_name() {
    for name in ["https_keypairs", "keypairs"] {
        let config = section(&format!("{name}: [{{ key_file: k, cert_file: c }}]")).unwrap();
        assert_eq!(config.https_keypairs(), [KeyPair::new("k", "c")]);
    }
    for (value, column, expected) in [
        (
            "a",
            13,
            "`keypairs` is \"a\": expected a list of mappings of `key_file` and `cert_file`",
        ),
        (
            "[a]",
            14,
            "`keypairs[0]` is \"a\": expected a mapping of `key_file` and `cert_file`",
        ),
        (
            "[{ key_file: k }]",
            14,
            "`keypairs[0]` has no `cert_file`: expected a mapping of `key_file` and `cert_file`",
        ),
        (
            "[{ cert_file: c }]",
            14,
            "`keypairs[0]` has no `key_file`: expected a mapping of `key_file` and `cert_file`",
        ),
        (
            "[{ key_file: k, cert: c, cert_file: d }]",
            29,
            "`keypairs[0]` has the unknown key \"cert\": expected a mapping of `key_file` and `cert_file`",
        ),
        (
            "[{ key_file: k, cert_file: [c] }]",
            40,
            "`keypairs[0].cert_file` is a list: expected the path of a PEM file",
        ),
    ] {
        line_fails(&format!("keypairs: {value}"), column, expected);
    }
    let error = section("keypairs: []\n  https_keypairs: []").unwrap_err();
    assert!(error.to_string().contains("given twice"), "{error}");
}

#[test]
fn a_service_may_be_called_anything_that_is_text() {
    for (text, expected) in [
        ("users", "users"),
        ("on", "on"),
        ("'123'", "123"),
        ("\"true\"", "true"),
    ] {
        let config = section(&format!("service_name: {text}")).unwrap();
        assert_eq!(config.service_name(), Some(expected));
    }
    line_fails(
        "service_name: 123",
        17,
        "`service_name` is 123: expected a text, in quotes if it looks like something else",
    );
}

#[test]
fn null_and_empty_count_as_not_given() {
    for key in [
        "enabled",
        "exporter_url",
        "sampling_rate_per_million",
        "ca_certs",
        "https_keypairs",
        "service_name",
    ] {
        for value in ["", "~", "null", "\"\""] {
            let config = section(&format!("{key}: {value}")).unwrap();
            assert_eq!(
                format!("{:?}", config.settings),
                format!("{:?}", Config::new().settings)
            );
        }
    }
}

#[test]
fn unknown_and_repeated_keys_are_errors_even_where_tracing_is_off() {
    fails(
        "tracing_service:\n  enabled: no\n  sampling_rate: 1\n",
        "line 3, column 3: unknown key `sampling_rate`: did you mean `sampling_rate_per_million`?",
    );
    fails(
        "tracing_service:\n  enabled: no\n  enabled: yes\n",
        "line 3, column 3: `enabled` is given twice: expected it once",
    );
}
