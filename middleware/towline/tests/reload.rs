//! A changed configuration while the program runs, and one that is looked at before it starts.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod support;

use std::fs;
use std::time::Duration;

use opentelemetry::trace::Tracer;
use support::{Log, spans, start};
use towline::otlp::Discard;
use towline::{Change, Config, Environment, Rate, StartErrorKind, Towline, TowlineBuilder};
use towline_test_support::certificates::TestCa;
use towline_test_support::collector::Collector;

const LONG: Duration = Duration::from_secs(60);

fn section(text: &str) -> Config {
    Config::from_yaml(&format!("tracing_service: {{ {text} }}")).unwrap()
}

fn builder(config: &str) -> TowlineBuilder {
    Towline::builder()
        .with_environment(Environment::empty())
        .with_config(section(config))
}

/// The facade's lines that reloading makes.
fn reload(tracing: &Towline, config: &str) -> (Vec<String>, Vec<String>, Vec<String>) {
    let keys = |changes: &[Change]| changes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (reload, lines) = Log::of(|| tracing.reload(&section(config)).unwrap());
    let lines = lines.into_iter().map(|line| line.trim().to_owned());
    (
        keys(reload.changed()),
        keys(reload.needs_restart()),
        lines.collect(),
    )
}

#[test]
fn what_is_live_is_changed_and_the_rest_is_told_once() {
    let tracing = builder("enabled: yes, sampling_rate_per_million: 5, exporter_url: grpc://one")
        .build()
        .unwrap();
    let changed =
        "enabled: no, sampling_rate_per_million: 7, exporter_url: grpc://other, batch_spans: 3";
    let (live, restart, lines) = reload(&tracing, changed);
    assert_eq!(
        live,
        [
            "enabled from yes to no",
            "sampling_rate_per_million from 5 to 7"
        ]
    );
    assert_eq!(
        restart,
        [
            "exporter_url from grpc://one:4317 to grpc://other:4317",
            "batch_spans from default to 3"
        ]
    );
    assert_eq!(
        lines,
        ["INFO towline: the configuration of tracing was reloaded \
             changed=\"enabled from yes to no, sampling_rate_per_million from 5 to 7\" \
             needs_restart=\"exporter_url from grpc://one:4317 to grpc://other:4317, batch_spans from default to 3\""]
    );
    assert!(!tracing.is_enabled());
    assert_eq!(tracing.control().rate().as_per_million(), 7);

    // The same again: what needs a restart still does, and the log is not told.
    let (live, restart, lines) = reload(&tracing, changed);
    assert!(
        live.is_empty() && restart.len() == 2 && lines.is_empty(),
        "{lines:?}"
    );

    // Back: nothing needs a restart any more.
    let (live, restart, lines) = reload(&tracing, "enabled: yes, exporter_url: grpc://one");
    assert_eq!(live[1], "sampling_rate_per_million from 7 to default");
    assert!(restart.is_empty() && lines.len() == 1);
    assert!(tracing.is_enabled());
    assert_eq!(tracing.control().rate(), Rate::NEVER);
}

#[test]
fn code_keeps_its_place_and_a_change_by_hand_stays() {
    let tracing = builder("enabled: yes, exporter_url: grpc://one")
        .with_sampling_rate(Rate::ALWAYS)
        .build()
        .unwrap();
    tracing.control().set_enabled(false);
    let (live, restart, lines) = reload(
        &tracing,
        "enabled: yes, exporter_url: grpc://one, sampling_rate_per_million: 1",
    );
    assert!(live.is_empty() && restart.is_empty() && lines.is_empty());
    assert_eq!(tracing.control().rate(), Rate::ALWAYS);
    assert!(!tracing.is_enabled());
}

#[test]
fn the_environment_s_rate_is_what_is_left_when_the_file_has_none() {
    let environment = Environment::from_iter([("OTEL_TRACES_SAMPLER", "parentbased_always_on")]);
    let tracing = builder("enabled: yes, exporter_url: grpc://one, sampling_rate_per_million: 1")
        .with_environment(environment)
        .build()
        .unwrap();
    let _ = reload(&tracing, "enabled: yes, exporter_url: grpc://one");
    assert_eq!(tracing.control().rate(), Rate::ALWAYS);
}

#[test]
fn what_was_off_from_the_start_needs_a_restart() {
    let tracing = builder("enabled: no").build().unwrap();
    let (live, restart, lines) = reload(&tracing, "enabled: no, batch_spans: 5");
    assert!(live.is_empty() && restart.is_empty() && lines.is_empty());
    let (live, restart, lines) = reload(&tracing, "enabled: yes, exporter_url: grpc://one");
    assert!(live.is_empty());
    assert_eq!(restart[0], "enabled from no to yes");
    assert_eq!(lines.len(), 1);
    assert!(!tracing.is_enabled());
}

#[test]
fn nothing_is_switched_on_after_the_end() {
    let tracing = builder("enabled: yes")
        .with_transport(Discard::new())
        .build()
        .unwrap();
    let _ = reload(&tracing, "enabled: no");
    tracing.blocking_shutdown(LONG).unwrap();
    let (live, restart, _) = reload(&tracing, "enabled: yes");
    assert!(live.is_empty());
    assert_eq!(restart, ["enabled from no to yes"]);
    assert!(!tracing.is_enabled());
}

#[test]
fn a_file_with_a_mistake_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.yaml");
    let good =
        "tracing_service: { enabled: yes, exporter_url: grpc://one, sampling_rate_per_million: 5 }";
    fs::write(&path, good).unwrap();
    let tracing = Towline::builder()
        .with_environment(Environment::empty())
        .with_config_file(&path)
        .build()
        .unwrap();
    fs::write(&path, good.replace("5", "6, enable: no")).unwrap();
    let error = tracing.reload_from_file(&path).unwrap_err();
    assert_eq!(error.problems().len(), 1);
    assert!(
        error.to_string().contains("did you mean `enabled`?"),
        "{error}"
    );
    assert_eq!(tracing.control().rate().as_per_million(), 5);
    fs::write(&path, good.replace("5", "6")).unwrap();
    let reload = tracing.reload_from_file(&path).unwrap();
    assert_eq!(
        reload.to_string(),
        "changed: sampling_rate_per_million from 5 to 6"
    );
    assert_eq!(tracing.control().rate().as_per_million(), 6);
    let wrong = Config::new()
        .with_exporter_url("tcp://x")
        .with_sampling_rate(Rate::ALWAYS);
    assert_eq!(
        tracing.reload(&wrong).unwrap_err().kind(),
        StartErrorKind::Exporter
    );
    assert_eq!(tracing.control().rate().as_per_million(), 6);
}

#[test]
fn headers_are_compared_and_not_shown() {
    let config = |value: &str| {
        format!("enabled: yes, exporter_url: grpc://one, headers: {{ authorization: {value} }}")
    };
    let tracing = builder(&config("hunter2")).build().unwrap();
    let (_, restart, lines) = reload(&tracing, &config("hunter3"));
    assert_eq!(restart, ["headers from authorization to authorization"]);
    assert!(!lines[0].contains("hunter"), "{lines:?}");
}

/// What a span with one long attribute is exported with, before and after a reload.
#[test]
fn the_length_of_texts_is_limited_live() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    let config = |limit: &str| format!("enabled: yes, exporter_url: '{url}', {limit}");
    let tracing = builder(&config("attribute_value_length_limit: 3"))
        .with_sampling_rate(Rate::ALWAYS)
        .build()
        .unwrap();
    let span = |name: &'static str| {
        let tracer = tracing.tracer("test");
        let attribute = || opentelemetry::KeyValue::new("key", "äöüß");
        let mut span = tracer
            .span_builder(name)
            .with_attributes([attribute()])
            .start(&tracer);
        opentelemetry::trace::Span::add_event(&mut span, "event", vec![attribute()]);
    };
    span("limited");
    let (live, ..) = reload(&tracing, &config("attribute_value_length_limit: 1"));
    assert_eq!(live, ["attribute_value_length_limit from 3 to 1"]);
    span("shorter");
    let _ = reload(&tracing, &config("attribute_value_length_limit: ~"));
    span("whole");
    tracing.blocking_shutdown(LONG).unwrap();
    for (name, expected) in [("limited", "äöü"), ("shorter", "ä"), ("whole", "äöüß")] {
        let exported = spans(directory.path());
        let span = exported.iter().find(|span| span.name() == name).unwrap();
        for holder in [&span.span, &span.span["events"][0]] {
            assert_eq!(
                holder["attributes"][0]["value"]["stringValue"], expected,
                "{name}"
            );
        }
    }
}

#[test]
fn counts_are_limited_by_the_file_and_the_environment_that_was_given() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    let environment = [
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "5"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "2"),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "1"),
    ];
    let tracing = builder(&format!(
        "enabled: yes, exporter_url: '{url}', attribute_count_limit: 3, link_count_limit: 0"
    ))
    .with_environment(Environment::from_iter(environment))
    .with_sampling_rate(Rate::ALWAYS)
    .build()
    .unwrap();
    let tracer = tracing.tracer("test");
    tracer.in_span("span", |cx| {
        use opentelemetry::trace::TraceContextExt;
        let attributes =
            || (0..9).map(|index| opentelemetry::KeyValue::new(format!("k{index}"), index));
        cx.span().set_attributes(attributes());
        for _ in 0..9 {
            cx.span().add_event("event", attributes().collect());
        }
        let other = cx.span().span_context().clone();
        cx.span().add_link(other, Vec::new());
    });
    tracing.blocking_shutdown(LONG).unwrap();
    let span = &spans(directory.path())[0].span;
    let len = |value: &serde_json::Value| value.as_array().map_or(0, Vec::len);
    assert_eq!(len(&span["attributes"]), 3, "{span}");
    assert_eq!(len(&span["events"]), 2, "{span}");
    assert_eq!(len(&span["events"][0]["attributes"]), 1, "{span}");
    assert_eq!(len(&span["links"]), 0, "{span}");
}

#[test]
fn a_check_says_what_would_be_on_and_starts_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let traces = directory.path().join("traces");
    let url = format!("file://{}?format=teleport", traces.display());
    let environment = [
        ("OTEL_TRACES_SAMPLER", "xray"),
        ("OTEL_CONFIG_FILE", "/x.yaml"),
    ];
    let (report, lines) = Log::of(|| {
        builder(&format!(
            "enabled: yes, exporter_url: '{url}', service_name: users"
        ))
        .with_environment(Environment::from_iter(environment))
        .check()
    });
    assert!(lines.is_empty() && !traces.exists());
    assert!(report.is_ok() && report.is_enabled());
    assert_eq!(report.is_reached(), None);
    assert_eq!(
        report.to_string(),
        format!(
            "tracing would be on\n  \
             exporter: file://{}?limit=104857600&format=teleport\n  \
             sampling_rate_per_million: 0\n  \
             propagators: tracecontext,baggage\n  \
             trust: parent\n  \
             service_name: users\n\
             warning: OTEL_TRACES_SAMPLER is \"xray\": expected always_on, always_off, traceidratio, or one of them after parentbased_\n\
             warning: OTEL_CONFIG_FILE is set, which this version does not read",
            traces.display()
        )
    );
    report.into_result().unwrap();

    let off = builder("enabled: no, ca_certs: [/nowhere]").check();
    assert!(off.is_ok() && !off.is_enabled());
    assert_eq!(off.to_string(), "tracing is off");
}

#[test]
fn a_check_says_everything_that_is_wrong() {
    let environment = Environment::from_iter([("OTEL_SERVICE_NAME", "env")]);
    let report =
        builder("enabled: yes, ca_certs: [/nowhere], batch_bytes: 1MiB, buffer_bytes: 1MiB")
            .with_environment(environment)
            .check();
    let keys: Vec<_> = report
        .problems()
        .iter()
        .filter_map(|problem| problem.key())
        .collect();
    assert_eq!(keys, ["exporter_url", "ca_certs[0]", "buffer_bytes"]);
    assert!(!report.is_ok());
    let text = report.to_string();
    assert!(text.contains("but for what is wrong below"), "{text}");
    assert_eq!(text.matches("\nerror: ").count(), 3, "{text}");
    assert_eq!(
        report.into_result().unwrap_err().kind(),
        StartErrorKind::NoExporter
    );
}

#[test]
fn a_check_with_a_connection_reaches_the_collector_with_tls_and_sends_nothing() {
    let ca = TestCa::new();
    let collector = Collector::builder().tls(&ca.server(["127.0.0.1"])).start();
    for scheme in ["grpcs", "https"] {
        let config = Config::new()
            .with_enabled(true)
            .with_exporter_url(format!("{scheme}://{}", collector.address()));
        let check = |config: Config| {
            Towline::builder()
                .with_environment(Environment::empty())
                .with_config(config)
                .check_and_connect(LONG)
        };
        let report = check(config.clone().with_ca_certs([ca.cert_path()]));
        assert!(report.is_ok(), "{report}");
        assert_eq!(report.is_reached(), Some(true));

        let other = TestCa::new();
        let report = check(config.with_ca_certs([other.cert_path()]));
        assert_eq!(report.is_reached(), Some(false));
        let problem = &report.problems()[0];
        assert_eq!(problem.kind(), StartErrorKind::Unreachable);
        assert_eq!(problem.key(), Some("exporter_url"));
        assert!(
            report.to_string().contains("cannot be reached: "),
            "{report}"
        );
    }
    assert_eq!(collector.request_count(), 0);
}

#[test]
fn a_collector_that_is_not_there_is_found_by_a_check_and_not_by_a_start() {
    let url = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("grpc://{}", listener.local_addr().unwrap())
    };
    let config = format!("enabled: yes, exporter_url: '{url}'");
    let report = builder(&config).check_and_connect(LONG);
    assert_eq!(report.is_reached(), Some(false));
    assert!(
        report
            .to_string()
            .contains(&format!("`exporter_url`: {url} cannot be reached")),
        "{report}"
    );
    assert!(builder(&config).check().is_ok());
    assert!(start(builder(&config)).0.is_ok());

    // One that takes the connection and says nothing: the deadline counts.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("grpcs://{}", listener.local_addr().unwrap());
    let config = format!("enabled: yes, exporter_url: '{url}'");
    let report = builder(&config).check_and_connect(Duration::from_millis(50));
    assert_eq!(report.is_reached(), Some(false));
    assert!(
        report.to_string().contains("no connection within 50ms"),
        "{report}"
    );
}
