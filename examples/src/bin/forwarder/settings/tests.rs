use std::path::Path;

use towline_forwarder::Limits;

use super::*;
use crate::yaml;

/// The sample, which is also what users read.
const SAMPLE: &str = include_str!("../../../../config/forwarder.yaml");

fn read(text: &str) -> (Settings, Problems) {
    let mut problems = Problems::new(Path::new("f.yaml"));
    let document = yaml::parse(text).unwrap();
    let settings = Settings::read(&document, &mut problems);
    (settings, problems)
}

#[test]
fn the_sample_has_the_defaults_and_every_key() {
    let (sample, problems) = read(SAMPLE);
    assert!(problems.is_empty(), "{problems}");
    let (least, problems) = read("forwarder_service: { authorize: { anonymous: yes } }");
    assert!(problems.is_empty(), "{problems}");
    assert_eq!(sample, least);
    // Ours are the library's.
    assert_eq!(
        format!("{:?}", least.limits.of_forwarder()),
        format!("{:?}", Limits::new())
    );

    let document = yaml::parse(SAMPLE).unwrap();
    let has = |path: &[&str], keys: &[&str]| {
        let mut node = &document;
        for name in path {
            node = value(node, name);
        }
        for key in keys {
            value(node, key);
        }
    };
    has(&[FORWARDER_SERVICE], SECTION);
    for (name, keys) in [
        ("tls", TLS),
        ("authorize", authorize::AUTHORIZE),
        ("stamp", STAMP),
        ("limits", limits::LIMITS),
        ("coalesce", COALESCE),
    ] {
        has(&[FORWARDER_SERVICE, name], keys);
    }
}

#[track_caller]
fn value<'a>(node: &'a Node, name: &str) -> &'a Node {
    let Value::Map(pairs) = &node.value else {
        panic!("{name} in {node:?}");
    };
    let found = pairs
        .iter()
        .find(|(key, _)| key.value.as_text() == Some(name));
    &found
        .unwrap_or_else(|| panic!("the sample has no `{name}`"))
        .1
}

#[test]
fn what_is_commented_out_in_the_sample_can_be_used() {
    let mut text = String::new();
    for line in SAMPLE.lines() {
        // `key:      # value` becomes `key: value`.
        let shown = line.split_once(":  ").and_then(|(key, rest)| {
            let value = rest.trim_start().strip_prefix("# ")?;
            (!key.contains('#')).then(|| format!("{key}: {value}"))
        });
        text += &match shown {
            Some(line) if !line.contains("token_file") => line,
            _ => line.replace("anonymous: yes", "anonymous: no"),
        };
        text.push('\n');
    }
    let (settings, problems) = read(&text);
    assert!(problems.is_empty(), "{problems}\n{text}");
    assert_eq!(settings.limits.rate, Some((1_000, 10_000)));
    assert_eq!(settings.authorization.roles, ["admin"]);
    let tls = settings.tls.unwrap();
    assert_eq!(tls.client_ca_files.len(), 1);
    let names = Some(vec!["alice".to_owned(), "bob".to_owned()]);
    assert_eq!(
        settings.authorization.senders,
        Some(WhoMaySend::Certificate {
            name: towline_forwarder::CertificateName::CommonName,
            only: names,
        })
    );
}

#[test]
fn every_mistake_is_told_at_its_place_in_the_order_of_the_file() {
    let (_, problems) = read(
        "
forwarder_servise: {}
forwarder_service:
  grpc_listen_addr: localhost
  http_listen_addr: 4318
  tls: { cert_file: a.pem, ca: b }
  authorize: { anonymous: maybe, on_refusal: ignore }
  stamp: { key: 5, place: everywhere }
  limits:
    max_request_bytes: 64MB
    max_spans: -1
    max_spans: 2
    idle_timeout: 5
    spans_at_once: 7
  coalesce: []
  stop_timeout: 0s
",
    );
    assert_eq!(
        problems.to_string(),
        "f.yaml:2:1: unknown key `forwarder_servise`: expected one of `forwarder_service`, `tracing_service`, `tracing`\n\
         f.yaml:4:21: `forwarder_service.grpc_listen_addr` is \"localhost\": expected an address and a port, such as 127.0.0.1:4317, or off\n\
         f.yaml:5:21: `forwarder_service.http_listen_addr` is 4318: expected an address and a port, such as 127.0.0.1:4317, or off\n\
         f.yaml:6:8: `forwarder_service.tls` has no `key_file`: expected `cert_file` and `key_file`\n\
         f.yaml:6:28: unknown key `forwarder_service.tls.ca`: expected one of `cert_file`, `key_file`, `client_ca_files`\n\
         f.yaml:7:27: `forwarder_service.authorize.anonymous` is \"maybe\": expected yes or no (or true, false, on, off)\n\
         f.yaml:7:46: `forwarder_service.authorize.on_refusal` is \"ignore\": expected reject or discard\n\
         f.yaml:8:17: `forwarder_service.stamp.key` is 5: expected the key of an attribute\n\
         f.yaml:8:27: `forwarder_service.stamp.place` is \"everywhere\": expected resource_and_spans, resource or spans\n\
         f.yaml:10:24: `forwarder_service.limits.max_request_bytes` is \"64MB\": expected a number of bytes, such as 65536 or 64MiB\n\
         f.yaml:11:16: `forwarder_service.limits.max_spans` is -1: expected a whole number that is not below 0\n\
         f.yaml:12:5: `forwarder_service.limits.max_spans` is given twice: expected it once\n\
         f.yaml:13:19: `forwarder_service.limits.idle_timeout` is 5: expected a time of more than 0 and at most 24h, such as 20ms or 5s\n\
         f.yaml:14:20: `forwarder_service.limits.spans_at_once` has no effect without `spans_per_second`: expected both or none\n\
         f.yaml:15:13: `forwarder_service.coalesce` is a list: expected a mapping of `enabled`, `max_delay`, `max_bytes`\n\
         f.yaml:16:17: `forwarder_service.stop_timeout` is \"0s\": expected a time of more than 0 and at most 24h, such as 20ms or 5s"
    );
}

#[test]
fn things_that_do_not_go_together_are_mistakes() {
    for (section, expected) in [
        (
            "http_listen_addr: off\n  grpc_listen_addr: no",
            "f.yaml:2:3: `forwarder_service` has `grpc_listen_addr` and `http_listen_addr`, both off: \
             expected an address for one of them",
        ),
        (
            "http_listen_addr: 127.0.0.1:4317",
            "f.yaml:2:3: `forwarder_service` has `grpc_listen_addr` and `http_listen_addr`, both 127.0.0.1:4317: \
             expected two addresses",
        ),
        (
            "limits: { max_held_bytes: 1KiB }",
            "f.yaml:2:11: `forwarder_service.limits` has a `max_held_bytes` of 1 KiB, less than `max_request_bytes`: \
             expected room for a request",
        ),
        (
            "limits: { max_connections: 0 }",
            "f.yaml:2:30: `forwarder_service.limits.max_connections` is 0: expected a whole number above 0",
        ),
        (
            "tls: { client_ca_files: [ca.pem] }",
            "f.yaml:2:8: `forwarder_service.tls` has no `cert_file`: expected `cert_file` and `key_file`",
        ),
        (
            "tls: { cert_file: a, key_file: b, client_ca_files: ca.pem }",
            "f.yaml:2:54: `forwarder_service.tls.client_ca_files` is \"ca.pem\": expected a list, each the path of a PEM file",
        ),
    ] {
        let (_, problems) = read(&format!(
            "forwarder_service:\n  {section}\n  authorize: {{ anonymous: yes }}\n"
        ));
        assert_eq!(problems.to_string(), expected, "{section}");
    }
}

#[test]
fn one_way_to_be_known_must_be_said() {
    let one_of = "expected one of `token_file`, `certificate` and `anonymous: yes`";
    for (authorize, expected) in [
        ("", format!("names nobody: {one_of}")),
        ("{ anonymous: no }", format!("names nobody: {one_of}")),
        ("{ roles: [a] }", format!("names nobody: {one_of}")),
        (
            "{ anonymous: yes, token_file: t }",
            format!("names more than one way: {one_of}"),
        ),
        (
            "{ certificate: dns, token_file: t }",
            format!("names more than one way: {one_of}"),
        ),
        (
            "{ token_file: t, only: [a] }",
            "has `only`, which is for names in a `certificate`: expected both or none".to_owned(),
        ),
        (
            "{ anonymous: yes, roles: [a] }",
            "has `roles`, of which `anonymous` has none: expected one or the other".to_owned(),
        ),
        (
            "{ token_file: t, roles: [] }",
            "has `roles` that let nobody in: expected at least one".to_owned(),
        ),
    ] {
        let (_, problems) = read(&format!("forwarder_service:\n  authorize: {authorize}\n"));
        let shown = problems.to_string();
        let wrong = shown
            .split_once("`forwarder_service.authorize` ")
            .unwrap()
            .1;
        assert_eq!(wrong, expected, "{authorize}");
    }
    let (_, problems) = read("forwarder_service: { authorize: { certificate: uri } }");
    assert_eq!(
        problems.to_string(),
        "f.yaml:1:48: `forwarder_service.authorize.certificate` has no effect without `tls.client_ca_files`: \
         expected the authorities of those certificates"
    );
}
