//! What is recorded of a call, and by which names.

use super::*;

#[test]
fn listed_metadata_is_recorded_and_credentials_are_not() {
    let listed = ["x-tenant", "authorization", "x-cost"].map(HeaderName::from_static);
    let answer = || {
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        trailers.insert("x-cost", HeaderValue::from_static("2"));
        answering(
            &[("x-cost", "1"), ("x-other", "3")],
            [BodyStep::Trailers(trailers)],
        )
    };
    let request = || {
        Request::post("/a.B/C")
            .header("x-tenant", "a")
            .header("x-tenant", "b")
            .header("x-other", "c")
            .header("authorization", "Bearer secret")
            .body(())
            .unwrap()
    };
    let expected = [
        ("rpc.request.metadata.x-tenant", r#"["a","b"]"#),
        ("rpc.request.metadata.authorization", r#"["REDACTED"]"#),
        ("rpc.response.metadata.x-cost", r#"["1","2"]"#),
    ];
    for (kind, tracing) in sides() {
        match kind {
            SpanKind::Server => {
                let layer = server::TraceLayer::from_spans(tracing.spans())
                    .with_request_metadata(listed.clone())
                    .with_response_metadata(listed.clone());
                drive(layer.layer(scripted(answer())), request());
            }
            _ => {
                let layer = client::TraceLayer::from_spans(tracing.spans())
                    .with_request_metadata(listed.clone())
                    .with_response_metadata(listed.clone());
                drive(layer.layer(scripted(answer())), request());
            }
        }
        let span = tracing.only();
        let found = span.attributes.iter().filter_map(|found| {
            let is_metadata = found.key.as_str().contains("metadata");
            is_metadata.then(|| (found.key.as_str(), found.value.to_string()))
        });
        let found: Vec<_> = found.collect();
        let found: Vec<_> = found.iter().map(|(key, value)| (*key, &**value)).collect();
        assert_eq!(found, expected, "{kind:?}");
    }
}

#[test]
fn without_a_list_no_metadata_is_recorded() {
    for (kind, tracing) in sides() {
        through(&kind, &tracing, answering(&[("x-cost", "1")], []));
        let span = tracing.only();
        let keys = span
            .attributes
            .iter()
            .map(|attribute| attribute.key.as_str());
        assert!(
            !keys.clone().any(|key| key.contains("metadata")),
            "{kind:?}"
        );
    }
}

#[test]
fn a_list_of_methods_says_which_become_names() {
    for (path, answer, name, method) in [
        ("/a.B/C", "0", "a.B/C", "a.B/C"),
        ("/a.B/C", "12", "a.B/C", "a.B/C"),
        ("/a.B/D", "0", "grpc", "_OTHER"),
    ] {
        for (kind, tracing) in sides() {
            let answer = answering(&[], [BodyStep::trailer("grpc-status", answer)]);
            let request = Request::post(path).body(()).unwrap();
            if kind == SpanKind::Server {
                let layer = server::TraceLayer::from_spans(tracing.spans());
                drive(
                    layer.with_methods(["/a.B/C"]).layer(scripted(answer)),
                    request,
                );
            } else {
                let layer = client::TraceLayer::from_spans(tracing.spans());
                drive(
                    layer.with_methods(["a.B/C"]).layer(scripted(answer)),
                    request,
                );
            }
            let span = tracing.only();
            assert_eq!(span.name, name, "{kind:?} {path}");
            let text = |key| text_attribute(&span, key);
            assert_eq!(
                text("rpc.method").as_deref(),
                Some(method),
                "{kind:?} {path}"
            );
            let original = (method == "_OTHER").then(|| "a.B/D".to_owned());
            assert_eq!(text("rpc.method_original"), original, "{kind:?} {path}");
        }
    }
}

#[test]
fn the_older_names_are_there_on_request() {
    let tracing = TestTracing::always();
    let layer =
        server::TraceLayer::from_spans(tracing.spans()).with_conventions(Conventions::Older);
    let request = Request::post("/a.B/C").body(()).unwrap();
    drive(layer.layer(scripted(ok())), request);
    let span = tracing.only();
    let text = |key| text_attribute(&span, key);
    assert_eq!(text("rpc.system").as_deref(), Some("grpc"));
    assert_eq!(text("rpc.service").as_deref(), Some("a.B"));
    assert_eq!(text("rpc.method").as_deref(), Some("C"));
    assert_eq!(attribute(&span, "rpc.grpc.status_code"), Some(0.into()));
    assert_eq!(attribute(&span, "rpc.system.name"), None);
    assert_eq!(attribute(&span, "rpc.response.status_code"), None);
}

#[test]
fn a_sampler_sees_the_method_at_the_start_where_it_is_certain() {
    for (listed, expected) in [(true, Some("a.B/C")), (false, None)] {
        let (memory, spy) = (Memory::new(), SamplerSpy::new(Sampler::AlwaysOn));
        let provider = SdkTracerProvider::builder()
            .with_sampler(spy.clone())
            .with_span_processor(memory.clone())
            .build();
        let tracer = opentelemetry::trace::TracerProvider::tracer(&provider, "test");
        let mut layer = server::TraceLayer::from_spans(Spans::new(tracer));
        if listed {
            layer = layer.with_methods(["a.B/C"]);
        }
        let request = Request::post("/a.B/C").body(()).unwrap();
        drive(layer.layer(scripted(ok())), request);

        let asked = &spy.asked()[0];
        assert_eq!((&*asked.name, &asked.kind), ("a.B/C", &SpanKind::Server));
        let method = asked
            .attributes
            .iter()
            .find(|found| found.key.as_str() == "rpc.method");
        assert_eq!(
            method.map(|method| method.value.as_str()).as_deref(),
            expected
        );
        let span = &memory.finished()[0];
        assert_no_duplicate_attributes(span);
        assert_eq!(text_attribute(span, "rpc.method").as_deref(), Some("a.B/C"));
    }
}

#[test]
fn a_client_names_the_server_it_is_told_or_the_target() {
    for (told, target, address, port) in [
        (
            None,
            "http://target.example:1/a.B/C",
            Some("target.example"),
            Some(1),
        ),
        (
            None,
            "http://target.example/a.B/C",
            Some("target.example"),
            None,
        ),
        (None, "/a.B/C", None, None),
        (
            Some(("told.example", 2)),
            "http://target.example:1/a.B/C",
            Some("told.example"),
            Some(2),
        ),
        (
            Some(("told.example", 2)),
            "/a.B/C",
            Some("told.example"),
            Some(2),
        ),
    ] {
        let tracing = TestTracing::always();
        let mut layer = client::TraceLayer::from_spans(tracing.spans());
        if let Some((address, port)) = told {
            layer = layer.with_server(address, port);
        }
        let request = Request::post(target).body(()).unwrap();
        drive(layer.layer(scripted(ok())), request);
        let span = tracing.only();
        assert_eq!(
            text_attribute(&span, "server.address").as_deref(),
            address,
            "{target}"
        );
        let port = port.map(opentelemetry::Value::I64);
        assert_eq!(attribute(&span, "server.port"), port, "{target}");
    }
}

#[test]
fn a_method_that_is_unimplemented_names_no_span_unless_somebody_knows_it() {
    for (status, name, method) in [
        ("0", "made.Up/Method", "made.Up/Method"),
        ("5", "made.Up/Method", "made.Up/Method"),
        ("12", "grpc", "_OTHER"),
    ] {
        for (kind, tracing) in sides() {
            let request = Request::post("/made.Up/Method").body(()).unwrap();
            let answer = answering(&[("grpc-status", status)], []);
            if kind == SpanKind::Server {
                let layer = server::TraceLayer::from_spans(tracing.spans());
                drive(layer.layer(scripted(answer)), request);
            } else {
                let layer = client::TraceLayer::from_spans(tracing.spans());
                drive(layer.layer(scripted(answer)), request);
            }
            let span = tracing.only();
            assert_eq!(span.name, name, "{kind:?} {status}");
            let text = |key| text_attribute(&span, key);
            assert_eq!(text("rpc.method").as_deref(), Some(method), "{kind:?}");
            let original = (method == "_OTHER").then(|| "made.Up/Method".to_owned());
            assert_eq!(text("rpc.method_original"), original, "{kind:?}");
        }
    }
}
