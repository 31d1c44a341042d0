//! The section `tracing_service`.

use towline::{KeyPair, Rate, StartErrorKind};
use towline_test_support::certificates::TestCa;
use towline_test_support::collector::{Collector, Encoding};

use super::*;

/// Teleport: `tracing_service`; the RFD: `tracing`. Here: either, and both at once is an error.
#[test]
fn section_name() {
    for name in ["tracing_service", "tracing"] {
        let config = Config::from_yaml(&format!("{name}: {{ enabled: yes }}")).unwrap();
        assert_eq!(config.enabled(), Some(true));
    }
    let both = "tracing: { enabled: yes }\ntracing_service: { enabled: yes }";
    let error = Config::from_yaml(both).unwrap_err().to_string();
    assert!(
        error.contains("are both given: expected one of them"),
        "{error}"
    );
}

/// Teleport: empty is no, and so is what cannot be read, silently; the rest is not looked at while it is no. Here: what
/// cannot be read is an error, and so are unknown keys and wrong values while it is no; files are not looked for.
#[test]
fn enabled() {
    for (value, expected) in [("yes", true), ("no", false), ("true", true), ("off", false)] {
        let config = section(&format!("enabled: {value}"));
        assert_eq!(config.enabled(), Some(expected), "{value}");
    }
    let off = builder().with_config(section("enabled: '', exporter_url: collector:4317"));
    assert!(!off.build().unwrap().is_enabled());
    assert!(refused("enabled: ture").contains("`enabled` is \"ture\": expected yes or no"));
    assert!(refused("enabled: no, sampling_rate_per_million: -1").contains("is -1"));
    let off = section("enabled: no, exporter_url: 'grpc://c', ca_certs: [/nowhere]");
    assert!(!builder().with_config(off).build().unwrap().is_enabled());
}

/// Teleport: required when enabled; what is wrong with it shows when the provider is made. Here: the same, and what is
/// wrong with it shows with everything else.
#[test]
fn exporter_url() {
    let error = fails(section("enabled: yes"));
    assert_eq!(error.kind(), StartErrorKind::NoExporter);
    assert!(error.to_string().contains("`exporter_url` is not given"));
    assert!(refused("exporter_url: 'tcp://c:1'").contains("unknown scheme"));
}

/// Teleport: 0 by default, no check of the range. Here: 0 by default, and out of range is an error.
#[test]
fn sampling_rate_per_million() {
    let rate = |config| {
        let tracing = builder().with_config(config).build().unwrap();
        tracing.control().rate()
    };
    let on = "enabled: yes, exporter_url: 'grpc://c'";
    assert_eq!(rate(section(on)), Rate::NEVER);
    let all = section(&format!("{on}, sampling_rate_per_million: 1000000"));
    assert_eq!(rate(all), Rate::ALWAYS);
    for value in ["-1", "1000001", "0.5"] {
        let error = refused(&format!("sampling_rate_per_million: {value}"));
        assert!(
            error.contains("expected a whole number from 0 (none) to 1000000 (all)"),
            "{error}"
        );
    }
}

/// Teleport: each must be there at the start, and replaces the system's roots. Here: the same, and what is in it is looked
/// at, too.
#[test]
fn ca_certs() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = |path: &std::path::Path| {
        section("enabled: yes, exporter_url: 'grpc://c'").with_ca_certs([path])
    };
    let error = fails(config("/nowhere/ca.pem".as_ref())).to_string();
    assert!(
        error.contains("`ca_certs[0]` is \"/nowhere/ca.pem\", which cannot be read"),
        "{error}"
    );
    let error = fails(config(file.path())).to_string();
    assert!(
        error.contains("`ca_certs[0]`: CA certificate") && error.contains("holds no certificate")
    );

    let ca = TestCa::new();
    let collector = Collector::builder().tls(&ca.server(["127.0.0.1"])).start();
    let url = format!("https://{}", collector.address());
    let reaches = |config: Config| {
        let builder = builder().with_config(config.with_enabled(true).with_exporter_url(&url));
        builder.check_and_connect(LONG).is_reached()
    };
    assert_eq!(
        reaches(Config::new().with_ca_certs([ca.cert_path()])),
        Some(true)
    );
    assert_eq!(
        reaches(Config::new().with_ca_certs([TestCa::new().cert_path()])),
        Some(false)
    );
}

/// Teleport: `https_keypairs` in the documentation is an error at the start, since the code has `keypairs`. Here: either.
#[test]
fn keypairs() {
    for name in ["https_keypairs", "keypairs"] {
        let pair = "[{ key_file: /a.key, cert_file: /a.pem }]";
        let config = section(&format!("{name}: {pair}"));
        assert_eq!(config.https_keypairs(), [KeyPair::new("/a.key", "/a.pem")]);
        let error = fails(section(&format!(
            "enabled: yes, exporter_url: 'grpc://c', {name}: {pair}"
        )));
        assert_eq!(error.problems().len(), 2);
        assert!(
            error
                .to_string()
                .contains(&format!("`{name}[0].key_file` is \"/a.key\"")),
            "{error}"
        );
    }
}

/// Teleport: no keys, only undocumented variables. Here: keys, over the documented variables.
#[test]
fn headers_compression_timeout_retry() {
    let collector = Collector::start();
    let config = section(
        "enabled: yes, sampling_rate_per_million: 1000000, headers: { authorization: Bearer a }, compression: gzip, \
         attempt_timeout: 30s, retry_max_elapsed: 0s",
    );
    let environment = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-env=1"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
    ];
    let tracing = builder()
        .with_environment(Environment::from_iter(environment))
        .with_config(config.with_exporter_url(collector.http_url()))
        .build()
        .unwrap();
    tracing.spans("test").span("work").call(|| ());
    tracing.blocking_shutdown(LONG).unwrap();
    let request = &collector.requests()[0];
    assert_eq!(request.header("authorization"), Some("Bearer a"));
    assert_eq!(request.header("x-env"), None);
    assert_eq!(request.encoding(), Encoding::Gzip);
}

/// Teleport: TLS if there are certificates, otherwise plaintext, for every scheme. Here: `https` and `grpcs` are TLS in any
/// case; certificates make TLS of `http` and `grpc`.
#[test]
fn tls_switch() {
    let plain = Collector::start();
    let ca = TestCa::new();
    let secure = Collector::builder().tls(&ca.server(["127.0.0.1"])).start();
    let send = |scheme: &str, collector: &Collector, has_certificates: bool| {
        let url = format!("{scheme}://{}", collector.address());
        let mut config = Config::new()
            .with_enabled(true)
            .with_exporter_url(url)
            .with_sampling_rate(Rate::ALWAYS)
            .with_retry_max_elapsed(Duration::ZERO);
        if has_certificates {
            config = config.with_ca_certs([ca.cert_path()]);
        }
        let tracing = builder().with_config(config).build().unwrap();
        tracing.spans("test").span("work").call(|| ());
        tracing.blocking_shutdown(LONG).is_ok()
    };
    for scheme in ["http", "grpc"] {
        assert!(send(scheme, &plain, false) && send(scheme, &secure, true));
    }
    for scheme in ["https", "grpcs"] {
        assert!(!send(scheme, &plain, false) && send(scheme, &secure, true));
    }
    assert_eq!((plain.request_count(), secure.request_count()), (2, 4));
}

/// Teleport: the process does not start. Here: an error, with which a program does what it likes.
#[test]
fn failure_at_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let url = format!("file://{}/traces", file.display());
    let error = fails(Config::new().with_enabled(true).with_exporter_url(url));
    assert_eq!(error.kind(), StartErrorKind::Exporter);
}
