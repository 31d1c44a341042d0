//! An exporter that cannot work is an error when it is built, and says why.

use std::error::Error;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use towline_otlp::{
    BoxTransport, BuildErrorKind, ClientOptions, Compression, Discard, Endpoint, Exporter,
    ExporterBuilder, TransportErrorKind,
};

#[track_caller]
fn fails(builder: ExporterBuilder, kind: BuildErrorKind, expected: &str) {
    let error = builder.build().unwrap_err();
    let source = error
        .source()
        .map(|source| format!(": {source}"))
        .unwrap_or_default();
    assert_eq!(error.kind(), kind, "{error}{source}");
    assert!(
        format!("{error}{source}").contains(expected),
        "{error}{source}"
    );
}

#[test]
fn options_that_make_no_sense_are_named_with_their_value() {
    let builder = || Exporter::builder().transport(Discard::new());
    fails(
        Exporter::builder(),
        BuildErrorKind::NoTransport,
        "expected an exporter url",
    );
    fails(
        builder().concurrency(0),
        BuildErrorKind::Option,
        "concurrency is 0",
    );
    fails(
        builder().batch_bytes(10),
        BuildErrorKind::Option,
        "batch_bytes is 10",
    );
    fails(
        builder().buffer_bytes(1_000_000),
        BuildErrorKind::Option,
        "buffer_bytes is 1000000",
    );
    fails(
        builder().concurrency(20),
        BuildErrorKind::Option,
        "20 batches of 524288 bytes",
    );
    fails(
        builder().flush_interval(Duration::ZERO),
        BuildErrorKind::Option,
        "flush_interval is 0",
    );
    fails(
        builder().attempt_timeout(Duration::ZERO),
        BuildErrorKind::Option,
        "attempt_timeout is 0",
    );
}

#[test]
fn urls_that_cannot_be_used_are_errors() {
    let url = |url: &str| Exporter::builder().url(url);
    fails(
        url("tcp://host"),
        BuildErrorKind::Endpoint,
        "expected grpc, grpcs, http, https, file, unix or console",
    );
    fails(url("unix:sock"), BuildErrorKind::Endpoint, "absolute path");
}

#[test]
#[cfg(all(feature = "grpc", feature = "http", not(feature = "tls")))]
fn nothing_is_sent_in_plaintext_where_tls_is_not_compiled_in() {
    for url in ["https://host", "grpcs://host"] {
        let error = BoxTransport::connect(&Endpoint::parse(url).unwrap()).unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Feature);
        assert!(error.to_string().contains("`tls`"), "{error}");
        fails(
            Exporter::builder().url(url),
            BuildErrorKind::Transport,
            "the feature `tls`",
        );
    }
}

#[test]
fn options_of_a_client_beside_a_ready_transport_are_an_error() {
    fails(
        Exporter::builder()
            .transport(Discard::new())
            .client(ClientOptions::new()),
        BuildErrorKind::Option,
        "client options",
    );
}

#[test]
#[cfg(feature = "grpc")]
fn options_of_a_client_are_for_an_endpoint_that_comes_late() {
    let host = ClientOptions::new().header(http::header::HOST, HeaderValue::from_static("a"));
    let (_processor, exporter) = Exporter::builder()
        .late_transport()
        .client(host)
        .build()
        .unwrap();
    let error = exporter.set_url("grpc://collector").unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.to_string().contains("host"), "{source}");
}

#[test]
fn options_of_a_client_make_no_sense_for_files() {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("hunter2"))]);
    for (options, expected) in [
        (ClientOptions::new().headers(headers), "no headers"),
        (
            ClientOptions::new().compression(Compression::Gzip),
            "no compression",
        ),
    ] {
        let endpoint = Endpoint::parse("file:///var/traces").unwrap();
        let error = BoxTransport::connect_with(&endpoint, &options).unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Option);
        assert!(error.to_string().contains(expected), "{error}");
        let builder = Exporter::builder().endpoint(endpoint).client(options);
        assert!(!format!("{builder:?}").contains("hunter2"), "{builder:?}");
        fails(builder, BuildErrorKind::Transport, expected);
    }
}

#[test]
#[cfg(all(feature = "grpc", feature = "http"))]
fn nothing_is_connected_before_the_first_span() {
    for url in ["grpc://host.invalid", "http://host.invalid"] {
        let (_processor, exporter) = Exporter::builder().url(url).build().unwrap();
        exporter.blocking_shutdown(Duration::from_secs(60)).unwrap();
    }
}

#[test]
fn a_transport_that_is_not_compiled_in_names_its_feature() {
    for (url, feature, is_compiled) in [
        ("grpc://host", "grpc", cfg!(feature = "grpc")),
        ("http://host", "http", cfg!(feature = "http")),
        ("unix:///socket", "grpc", cfg!(feature = "grpc")),
        ("file:///", "file", cfg!(feature = "file")),
    ] {
        if !is_compiled {
            let error = BoxTransport::connect(&Endpoint::parse(url).unwrap()).unwrap_err();
            assert_eq!(error.kind(), TransportErrorKind::Feature);
            assert!(
                error.to_string().contains(&format!("`{feature}`")),
                "{error}"
            );
        }
    }
}

#[test]
fn nothing_secret_is_shown() {
    let builder = Exporter::builder().url("http://user:hunter2@host");
    assert!(!format!("{builder:?}").contains("hunter2"));
    let error = builder.build().unwrap_err();
    let shown = format!("{error} {error:?} {}", error.source().unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn handles_show_counts_and_no_spans() {
    let (processor, exporter) = Exporter::builder()
        .transport(Discard::new())
        .build()
        .unwrap();
    assert!(format!("{exporter:?} {processor:?}").contains("ended: 0"));
}

#[test]
fn everything_can_go_to_other_threads() {
    fn assert<T: Send + Sync + 'static>() {}
    assert::<towline_otlp::Processor>();
    assert::<Exporter>();
    assert::<towline_otlp::Batch>();
    assert::<towline_otlp::ExportError>();
    fn assert_send<T: Send>(_: T) {}
    let (_processor, exporter) = Exporter::builder()
        .transport(Discard::new())
        .build()
        .unwrap();
    assert_send(exporter.flush(Duration::ZERO));
    assert_send(exporter.shutdown(Duration::ZERO));
}
