//! The section within its document.

use super::fails;
use crate::{Config, ConfigErrorKind};

#[test]
fn the_section_may_have_the_name_of_rfd_65() {
    let config = Config::from_yaml("tracing: { enabled: on }").unwrap();
    assert_eq!(config.enabled(), Some(true));
}

#[test]
fn both_sections_at_once_are_an_error() {
    fails(
        "tracing: { enabled: yes }\ntracing_service: { enabled: yes }",
        "line 2, column 1: `tracing_service` and `tracing` are both given: expected one of them",
    );
    let config = Config::from_yaml("tracing:\ntracing_service: { enabled: yes }").unwrap();
    assert_eq!(config.enabled(), Some(true));
}

#[test]
fn without_a_section_nothing_is_said() {
    for text in [
        "",
        "# nothing\n",
        "---\n",
        "\u{feff}",
        "other: 1\n",
        "tracing_service:\n",
        "tracing_service: {}\n",
        "tracing_service: ~\n",
    ] {
        let config = Config::from_yaml(text).unwrap();
        assert_eq!(config.enabled(), None, "{text:?}");
        assert!(config.endpoint().is_none(), "{text:?}");
    }
}

#[test]
fn what_belongs_to_others_is_left_to_them() {
    for others in [
        "1: a\ntrue: b\nnull: c\n1.5: d\n? [e, f]\n: g\n? { h: i }\n: j",
        "a: !secret b\nc: !include d.yaml\ne: !point { f: 1 }\ng: !!binary aGk=",
        "a: &a { b: &b [1, *a] }",
        "enabled: maybe\nexporter_url: [tcp://]",
        "Tracing_Service: { enabled: maybe }",
        "a: |\n  tracing_service:\n    enabled: maybe",
    ] {
        let text = format!("{others}\ntracing_service: {{ enabled: yes }}\n");
        match Config::from_yaml(&text) {
            Ok(config) => assert_eq!(config.enabled(), Some(true), "{others}"),
            // An alias that contains itself is no document to anybody.
            Err(error) => assert!(others.contains("*a"), "{others}: {error}"),
        }
    }
}

#[test]
fn a_section_that_is_no_mapping_is_an_error() {
    for (value, shown) in [
        ("yes", "\"yes\""),
        ("true", "true"),
        ("3", "3"),
        ("[a]", "a list"),
    ] {
        fails(
            &format!("a: b\ntracing_service: {value}"),
            &format!(
                "line 2, column 18: `tracing_service` is {shown}: expected a mapping of keys such as `enabled`"
            ),
        );
    }
}

#[test]
fn what_is_no_yaml_is_an_error_with_its_place() {
    for (text, line) in [
        ("a: [", 1),
        ("tracing_service: { enabled: yes }\n\tb: 1", 2),
        ("a: *nowhere", 1),
        ("a: b\n---\nc: d", 3),
    ] {
        let error = Config::from_yaml(text).unwrap_err();
        assert_eq!(error.kind(), ConfigErrorKind::Syntax, "{text}: {error}");
        assert_eq!(error.line(), Some(line), "{text}: {error}");
    }
    for text in ["- a", "text"] {
        let error = Config::from_yaml(text).unwrap_err().to_string();
        assert!(
            error.contains("expected a mapping with the key `tracing_service`"),
            "{error}"
        );
    }
}

#[test]
fn aliases_cannot_blow_up_the_memory() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        bomb += &format!("a{level}: &a{level} [{before}]\n");
    }
    bomb += "tracing_service: { ca_certs: *a11 }\n";
    assert!(Config::from_yaml(&bomb).is_err());
    assert!(Config::from_yaml(&"[".repeat(100_000)).is_err());
}

#[test]
fn a_file_is_named_in_its_errors() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.yaml");
    let shown = path.display();

    let error = Config::from_file(&path).unwrap_err();
    assert_eq!(error.kind(), ConfigErrorKind::Read);
    assert_eq!(
        error.to_string(),
        format!("{shown}: the configuration cannot be read: expected a YAML file")
    );
    assert!(std::error::Error::source(&error).is_some());

    std::fs::write(&path, "tracing_service:\n  enabled: maybe\n").unwrap();
    let error = Config::from_file(&path).unwrap_err();
    assert_eq!(error.file(), Some(path.as_path()));
    assert_eq!(
        error.to_string(),
        format!(
            "{shown}:2:12: `enabled` is \"maybe\": expected yes or no (or true, false, on, off)"
        )
    );

    std::fs::write(&path, b"a: \xff").unwrap();
    let error = Config::from_file(&path).unwrap_err();
    assert!(
        error.to_string().ends_with("expected YAML in UTF-8"),
        "{error}"
    );

    std::fs::File::create(&path)
        .unwrap()
        .set_len(20 << 20)
        .unwrap();
    let error = Config::from_file(&path).unwrap_err();
    assert!(error.to_string().contains("too large"), "{error}");
}

#[test]
fn any_other_format_will_do() {
    let config: Config =
        serde_json::from_str(r#"{ "enabled": "yes", "sampling_rate_per_million": 5 }"#).unwrap();
    assert_eq!(config.enabled(), Some(true));
    assert_eq!(config.sampling_rate().unwrap().as_per_million(), 5);

    let config: Option<Config> = serde_json::from_str("null").unwrap();
    assert!(config.is_none());

    for (text, expected) in [
        (r#"{ "enabled": 3 }"#, "`enabled` is 3: expected yes or no"),
        (
            r#"{ "enable": true }"#,
            "unknown key `enable`: did you mean `enabled`?",
        ),
        (
            r#"{ "enabled": true, "enabled": true }"#,
            "`enabled` is given twice",
        ),
        ("[]", "the tracing section is a list: expected a mapping"),
    ] {
        let error = serde_json::from_str::<Config>(text)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
