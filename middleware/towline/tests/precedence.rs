//! Code over file over environment over default.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod support;

use std::fs;

use support::start;
use towline::{Config, Control, Environment, Rate, Sampler, Towline, TowlineBuilder};

fn in_file(text: &str) -> Config {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.yaml");
    fs::write(&path, format!("tracing_service: {{ {text} }}")).unwrap();
    Config::from_file(&path).unwrap()
}

fn builder<const N: usize>(variables: [(&str, &str); N]) -> TowlineBuilder {
    Towline::builder().with_environment(Environment::from_iter(variables))
}

/// What the log says is on.
#[track_caller]
fn started(builder: TowlineBuilder) -> (Towline, String) {
    let (tracing, lines) = start(builder);
    let tracing = tracing.unwrap();
    assert_eq!(lines.len(), 1, "{lines:?}");
    (tracing, lines[0].clone())
}

#[track_caller]
fn says(builder: TowlineBuilder, expected: &str) {
    let line = started(builder).1;
    assert!(line.contains(expected), "{line}");
}

#[track_caller]
fn is_off(builder: TowlineBuilder) {
    let (tracing, lines) = start(builder);
    assert!(!tracing.unwrap().is_enabled());
    assert!(lines.is_empty(), "{lines:?}");
}

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318");

#[test]
fn the_line_at_start_says_what_is_on() {
    let (_, line) = started(
        builder([])
            .with_exporter_url("grpc://collector")
            .with_sampling_rate(Rate::per_million(7).unwrap())
            .with_service_name("users"),
    );
    assert_eq!(
        line,
        "INFO towline: tracing is on exporter=grpc://collector:4317 sampling_rate_per_million=7 \
         propagators=tracecontext,baggage trust=parent service_name=users"
    );
}

#[test]
fn where_spans_go() {
    says(builder([ENDPOINT]), "exporter=http://env:4318/v1/traces ");
    says(
        builder([ENDPOINT]).with_config(in_file("enabled: yes")),
        "exporter=http://env:4318/v1/traces ",
    );
    let file = || in_file("enabled: yes, exporter_url: 'grpc://file'");
    says(
        builder([ENDPOINT]).with_config(file()),
        "exporter=grpc://file:4317 ",
    );
    says(
        builder([ENDPOINT])
            .with_config(file())
            .with_exporter_url("grpc://code"),
        "exporter=grpc://code:4317 ",
    );
    says(
        builder([ENDPOINT])
            .with_config(file())
            .with_transport(towline::otlp::Discard::new()),
        "exporter=a transport in code ",
    );
    // A variable that nobody needs may be wrong.
    says(
        builder([("OTEL_EXPORTER_OTLP_ENDPOINT", "tcp://x")]).with_config(file()),
        "exporter=grpc://file:4317 ",
    );
}

#[test]
fn how_many_traces_are_recorded() {
    const SAMPLER: (&str, &str) = ("OTEL_TRACES_SAMPLER", "parentbased_always_on");
    let rate = |builder| {
        let (tracing, line) = started(builder);
        let rate = tracing.control().rate().as_per_million();
        let said = format!("sampling_rate_per_million={rate} ");
        assert!(line.contains(&said), "{line}");
        rate
    };
    let file = || in_file("sampling_rate_per_million: 5");
    let code = Rate::per_million(9).unwrap();
    assert_eq!(rate(builder([ENDPOINT])), 0);
    assert_eq!(rate(builder([ENDPOINT, SAMPLER])), 1_000_000);
    assert_eq!(rate(builder([ENDPOINT, SAMPLER]).with_config(file())), 5);
    let by_code = builder([ENDPOINT, SAMPLER])
        .with_config(file())
        .with_sampling_rate(code);
    assert_eq!(rate(by_code), 9);

    let control = Control::new(Rate::per_million(3).unwrap());
    let sampler = Sampler::new(control.clone());
    let by_sampler = builder([ENDPOINT, SAMPLER]).with_sampler(sampler.clone());
    assert_eq!(rate(by_sampler), 3);
    let by_both = builder([ENDPOINT])
        .with_sampler(sampler)
        .with_config(file());
    assert_eq!(rate(by_both), 5);
    assert_eq!(control.rate().as_per_million(), 5);
}

#[test]
fn what_the_service_is_called() {
    const NAME: (&str, &str) = ("OTEL_SERVICE_NAME", "env");
    const ATTRIBUTE: (&str, &str) = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=attribute");
    let file = || in_file("service_name: file");
    says(
        builder([ENDPOINT]),
        "service_name=unknown_service:precedence-",
    );
    says(builder([ENDPOINT, ATTRIBUTE]), "service_name=attribute");
    says(builder([ENDPOINT, ATTRIBUTE, NAME]), "service_name=env");
    says(
        builder([ENDPOINT, ATTRIBUTE, NAME]).with_config(file()),
        "service_name=file",
    );
    says(
        builder([ENDPOINT, NAME])
            .with_config(file())
            .with_service_name("code"),
        "service_name=code",
    );
}

#[test]
fn whether_it_is_on() {
    const DISABLED: (&str, &str) = ("OTEL_SDK_DISABLED", "true");
    let on = || in_file("enabled: yes, exporter_url: 'grpc://file'");
    let off = || in_file("enabled: no, exporter_url: 'grpc://file'");

    // Nobody asks for it.
    is_off(builder([]));
    is_off(builder([]).with_config(Config::new()));
    is_off(builder([
        ("OTEL_SERVICE_NAME", "users"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "1"),
    ]));
    is_off(builder([]).with_config(in_file("exporter_url: 'grpc://file'")));
    is_off(builder([ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]));

    // The first who says so decides.
    says(builder([ENDPOINT]), "tracing is on");
    is_off(builder([ENDPOINT]).with_config(off()));
    is_off(
        builder([])
            .with_config(off())
            .with_exporter_url("grpc://code"),
    );
    says(
        builder([]).with_config(off()).with_enabled(true),
        "grpc://file",
    );
    is_off(builder([ENDPOINT]).with_config(on()).with_enabled(false));

    // And one variable beats them all.
    is_off(builder([DISABLED, ENDPOINT]));
    is_off(builder([DISABLED]).with_config(on()));
    is_off(
        builder([DISABLED])
            .with_config(on())
            .with_enabled(true)
            .with_exporter_url("grpc://code"),
    );
}

#[test]
fn junk_in_the_environment_is_told_once_where_tracing_is_on() {
    const JUNK: (&str, &str) = ("OTEL_RESOURCE_ATTRIBUTES", "a=b,c");
    let (tracing, lines) = start(builder([ENDPOINT, JUNK]));
    assert!(tracing.unwrap().is_enabled());
    assert_eq!(
        lines[1..],
        [
            "WARN towline: OTEL_RESOURCE_ATTRIBUTES is discarded, since \"c\" has no `=`: expected key=value"
        ]
    );
    is_off(builder([JUNK]));
}

/// Sizes of the batches that five spans go in.
fn batches(builder: TowlineBuilder) -> Vec<usize> {
    let (sender, sizes) = std::sync::mpsc::channel();
    let transport = tower::service_fn(move |batch: towline::otlp::Batch| {
        sender.send(batch.spans()).unwrap();
        std::future::ready(Ok::<_, towline::otlp::ExportError>(
            towline::otlp::Receipt::accepted(),
        ))
    });
    let tracing = builder
        .with_transport(transport)
        .with_sampling_rate(Rate::ALWAYS)
        .build()
        .unwrap();
    let tracer = tracing.tracer("test");
    for _ in 0..5 {
        use opentelemetry::trace::Tracer;
        drop(tracer.start("span"));
    }
    tracing
        .blocking_shutdown(std::time::Duration::from_secs(10))
        .unwrap();
    sizes.try_iter().collect()
}

#[test]
fn sizes_and_times_of_the_environment_fill_what_code_leaves_out() {
    let environment = || {
        Environment::from_iter([
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2"),
            // Nothing goes by time.
            ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
        ])
    };
    let builder = || Towline::builder().with_environment(environment());
    assert_eq!(batches(builder()), [2, 2, 1]);
    let by_code = builder().with_exporter_options(|exporter| exporter.batch_spans(4));
    assert_eq!(batches(by_code), [4, 1]);
}
