//! The layers record their spans themselves, unless somebody has span processors: then the SDK does. What arrives, and
//! what goes over the wire, is the same.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod support;

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use opentelemetry::trace::{SpanKind, Tracer};
use opentelemetry::{Context, KeyValue};
use serde_json::Value;
use support::{Onlooker, spans};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use towline::http::server::DeferredRoute;
use towline::{Config, Environment, HttpClientLayer, HttpServerLayer, Limit, Rate, Towline};

const LONG: Duration = Duration::from_secs(30);
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";

/// Ids by the order in which they come up, since the real ones are random.
#[derive(Default)]
struct Ids(HashMap<String, usize>);

impl Ids {
    fn known(&mut self, id: &str) -> String {
        let next = self.0.len();
        format!("id {}", *self.0.entry(id.to_owned()).or_insert(next))
    }

    /// A traceparent or any other text with ids in it.
    fn in_text(&mut self, text: &str) -> String {
        let parts = text.split('-').map(|part| {
            let is_id =
                matches!(part.len(), 16 | 32) && part.bytes().all(|b| b.is_ascii_hexdigit());
            if is_id {
                self.known(part)
            } else {
                part.to_owned()
            }
        });
        parts.collect::<Vec<_>>().join("-")
    }

    fn in_headers(&mut self, headers: &HeaderMap) -> Vec<String> {
        let mut lines: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        lines.sort_unstable();
        let lines = lines.into_iter();
        lines
            .map(|(name, value)| format!("{name}: {}", self.in_text(value)))
            .collect()
    }

    fn in_span(&mut self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                let is_root = !fields.contains_key("parentSpanId");
                for (key, value) in fields {
                    match (&**key, &mut *value) {
                        ("traceId" | "spanId" | "parentSpanId", Value::String(id)) => {
                            *id = self.known(id);
                        }
                        // The SDK leaves the random flag of roots out.
                        ("flags", value) if is_root => {
                            *value = (value.as_u64().unwrap() | 2).into()
                        }
                        (key, value) if key.ends_with("UnixNano") => *value = Value::Null,
                        (_, value) => self.in_span(value),
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.in_span(value)),
            Value::String(text) => *text = self.in_text(text),
            _ => {}
        }
    }
}

/// Where a caller stands, and what he asks for.
const REQUESTS: &[(&str, &[(&str, &str)])] = &[
    ("/ok", &[]),
    (
        "/ok?q=1&sig=s3cr3t&next=//a:b@c/",
        &[("traceparent", "SAMPLED"), ("tracestate", "a=1,b=2")],
    ),
    (
        "/ok",
        &[
            ("traceparent", "NOT"),
            ("tracestate", "a=1"),
            ("baggage", "user=ada"),
        ],
    ),
    (
        "/ok",
        &[
            ("traceparent", "RANDOM"),
            ("baggage", "user=ada"),
            ("user-agent", "a/1"),
        ],
    ),
    (
        "/ok",
        &[
            ("traceparent", "malformed"),
            ("x-tenant", "one"),
            ("x-tenant", "two"),
        ],
    ),
    (
        "/fail",
        &[
            ("traceparent", "SAMPLED"),
            ("x-tenant", "a long one, longer than the others"),
        ],
    ),
    ("/error", &[("traceparent", "SAMPLED")]),
    ("/panic", &[("traceparent", "SAMPLED")]),
    ("/panic", &[]),
    ("/healthz", &[("traceparent", "SAMPLED")]),
    ("/healthz", &[]),
];

/// Everything that can be seen of these requests from outside, with the spans in the order in which they ended.
fn seen(config: &str, by_sdk: bool, then: fn(&Towline)) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let config = format!("tracing_service: {{ enabled: yes, {config} }}");
    let mut builder = Towline::builder()
        .with_environment(Environment::empty())
        .with_config(Config::from_yaml(&config).unwrap())
        .with_exporter_url(format!("file://{}", directory.path().display()));
    if by_sdk {
        builder = builder.with_span_processor(Onlooker);
    }
    let tracing = builder.build().unwrap();
    let (mut seen, mut ids) = (Vec::new(), Ids::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let layers = (server(&tracing), tracing.http_client());
    let mut serve_all = |tracing: &Towline| {
        for (path, headers) in REQUESTS {
            let mut request = Request::get(format!("http://host:8080{path}"));
            for (name, value) in *headers {
                let value = match *value {
                    "SAMPLED" => format!("{TRACE}-01"),
                    "RANDOM" => format!("{TRACE}-03"),
                    "NOT" => format!("{TRACE}-00"),
                    value => value.to_owned(),
                };
                request = request.header(*name, value);
            }
            let request = request.body(()).unwrap();
            let served = catch_unwind(AssertUnwindSafe(|| {
                runtime.block_on(serve(tracing, layers.clone(), request))
            }));
            match served {
                Ok(Ok(headers)) => seen.push(format!("{path} {:#?}", ids.in_headers(&headers))),
                Ok(Err(error)) => seen.push(format!("{path} {error}")),
                Err(_) => seen.push(format!("{path} panicked")),
            }
        }
    };
    // What comes again may be put together from what was told before.
    for _ in 0..3 {
        serve_all(&tracing);
    }
    then(&tracing);
    for _ in 0..3 {
        serve_all(&tracing);
    }
    let stats = tracing.blocking_shutdown(LONG).unwrap();
    seen.push(format!(
        "{} {} {}",
        stats.ended,
        stats.exported,
        stats.dropped.total()
    ));
    for exported in spans(directory.path()) {
        let mut span = exported.span;
        ids.in_span(&mut span);
        seen.push(format!(
            "{} {} {span:#}",
            exported.scope, exported.scope_schema_url
        ));
    }
    seen
}

/// A server's layer with one of every option.
fn server(tracing: &Towline) -> HttpServerLayer {
    tracing
        .http_server()
        .with_deferred_route()
        .with_trace_id_of_unsampled()
        .on_request(|request, span| {
            span.set_attribute(KeyValue::new("hook", request.uri.path().to_owned()))
        })
        .on_response(|_, span| {
            span.add_event("answered", [KeyValue::new("text", "answered at last")])
        })
        .on_end(|_, _| resume_unwind(Box::new("a hook that is broken")))
}

/// A request through layers of every kind; answers the headers of the response, and what was sent on in them.
async fn serve(
    tracing: &Towline,
    (server, client): (HttpServerLayer, HttpClientLayer),
    request: Request<()>,
) -> io::Result<HeaderMap> {
    let inner = tracing.clone();
    let service =
        service_fn(move |request: Request<()>| handle(inner.clone(), client.clone(), request));
    let mut service = ServiceBuilder::new().layer(server).service(service);
    let response = service.ready().await?.call(request).await?;
    let (head, body) = response.into_parts();
    drop(body.collect().await.unwrap());
    Ok(head.headers)
}

async fn handle(
    tracing: Towline,
    layer: HttpClientLayer,
    request: Request<()>,
) -> io::Result<Response<Full<&'static [u8]>>> {
    let path = request.uri().path().to_owned();
    if let Some(route) = request.extensions().get::<DeferredRoute>() {
        route.set("/{what}");
    }
    let spans = tracing.spans("work");
    let work = spans.span("work").with_kind(SpanKind::Producer);
    let work = work.with_attribute(KeyValue::new("text", "a text of some length"));
    let traced = work.run(async {
        // A span of the SDK in between.
        let span = tracing.tracer("sdk").start("between");
        drop(span);
        let client = service_fn(|request: Request<()>| async move {
            let mut response = Response::new(Full::new(&b""[..]));
            *response.headers_mut() = request.headers().clone();
            Ok::<_, io::Error>(response)
        });
        let client = ServiceBuilder::new().layer(layer).service(client);
        let request = Request::get("http://me:pass@other/?sig=s3cr3t")
            .body(())
            .unwrap();
        let response = client.oneshot(request).await?;
        let sent = response.headers().clone();
        drop(response.into_body().collect().await.unwrap());
        Ok::<_, io::Error>(sent)
    });
    let sent = traced.await?;
    let mut response = Response::new(Full::new(&b"done"[..]));
    for (name, value) in &sent {
        let name = http::HeaderName::try_from(format!("sent-{name}")).unwrap();
        response.headers_mut().insert(name, value.clone());
    }
    match &*path {
        "/fail" => *response.status_mut() = http::StatusCode::BAD_GATEWAY,
        "/error" => return Err(io::Error::other("see http://me:pass@host/?sig=s3cr3t")),
        "/panic" => resume_unwind(Box::new("a handler that is broken")),
        _ => {}
    }
    Ok(response)
}

#[track_caller]
fn assert_same(config: &str, then: fn(&Towline)) {
    let (itself, by_sdk) = (seen(config, false, then), seen(config, true, then));
    for (itself, by_sdk) in itself.iter().zip(&by_sdk) {
        assert!(
            itself == by_sdk,
            "{config}\nitself: {itself}\nby the SDK: {by_sdk}"
        );
    }
    assert_eq!(itself.len(), by_sdk.len(), "{config}");
}

#[test]
fn what_arrives_is_the_same_whoever_records_it() {
    let captured = "capture_request_headers: [x-tenant, cookie], capture_response_headers: [x-trace], \
                    response_trace_id_header: x-trace, skip_paths: [/healthz]";
    for rate in [0, 1_000_000] {
        for trust in ["parent", "link", "ignore"] {
            let config = format!("sampling_rate_per_million: {rate}, trust: {trust}, {captured}");
            assert_same(&config, |_| {});
        }
    }
}

#[test]
fn it_is_the_same_with_every_limit() {
    for limits in [
        "attribute_value_length_limit: 5",
        "attribute_count_limit: 3",
        "event_count_limit: 0",
        "link_count_limit: 0, trust: link",
        "event_attribute_count_limit: 0",
    ] {
        let config = format!("sampling_rate_per_million: 1000000, {limits}");
        assert_same(&config, |_| {});
    }
}

#[test]
fn it_is_the_same_after_what_is_changed_while_it_runs() {
    let all = "sampling_rate_per_million: 1000000";
    assert_same(all, |tracing| tracing.control().set_enabled(false));
    assert_same(all, |tracing| tracing.control().set_rate(Rate::NEVER));
    // One trace: it is admitted as a whole, so many times.
    assert_same("sampling_rate_per_million: 0", |tracing| {
        tracing
            .control()
            .set_remote_limit(Some(Limit::per_second(0)));
    });
    assert_same(all, |tracing| {
        let config = "tracing_service: { sampling_rate_per_million: 1000000, attribute_value_length_limit: 4 }";
        drop(tracing.reload(&Config::from_yaml(config).unwrap()));
    });
    assert_same(all, |tracing| tracing.provider().shutdown().unwrap());
}

#[test]
fn a_span_that_is_open_when_the_last_handle_goes_arrives() {
    let directory = tempfile::tempdir().unwrap();
    let tracing = Towline::builder()
        .with_environment(Environment::empty())
        .with_sampling_rate(Rate::ALWAYS)
        .with_exporter_url(format!("file://{}", directory.path().display()))
        .build()
        .unwrap();
    let open = tracing.spans("test").start(&Context::new(), &|| {
        opentelemetry::trace::SpanBuilder::from_name("open")
    });
    drop(tracing);
    drop(open);
    // The provider went with it, and waits for the exporter.
    let spans = spans(directory.path());
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].name(), "open");
}

/// The spans of calls to a known method, to one that is not there and to one that fails, each with a client's inside.
#[cfg(feature = "grpc-layers")]
fn spans_of_calls(by_sdk: bool) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let config = "tracing_service: { enabled: yes, sampling_rate_per_million: 1000000, \
                  capture_request_headers: [x-tenant, x-token-bin], capture_response_headers: [x-cost] }";
    let mut builder = Towline::builder()
        .with_environment(Environment::empty())
        .with_config(Config::from_yaml(config).unwrap())
        .with_exporter_url(format!("file://{}", directory.path().display()));
    if by_sdk {
        builder = builder.with_span_processor(Onlooker);
    }
    let tracing = builder.build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let calls = [
        ("0", Some("01")),
        ("12", None),
        ("14", Some("03")),
        ("0", Some("00")),
    ];
    let layers = (tracing.grpc_server(), tracing.grpc_client());
    for (status, parent) in calls.into_iter().cycle().take(3 * calls.len()) {
        let answer = move |_: Request<()>| async move {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", status.parse().unwrap());
            trailers.insert("grpc-message", "no route to http://a:b@c/".parse().unwrap());
            trailers.insert("x-cost", "7".parse().unwrap());
            let body = Full::new(&b"message"[..]).with_trailers(async { Some(Ok(trailers)) });
            Ok::<_, io::Error>(Response::new(body))
        };
        let client = ServiceBuilder::new()
            .layer(layers.1.clone())
            .service(service_fn(answer));
        let server = ServiceBuilder::new()
            .layer(layers.0.clone())
            .service(client);
        let mut request = Request::post("http://host:50051/hello.Greeter/SayHello")
            .header("x-tenant", "one")
            .header("x-token-bin", "czNjcjN0");
        if let Some(flags) = parent {
            request = request.header("traceparent", format!("{TRACE}-{flags}"));
        }
        let response = runtime
            .block_on(server.oneshot(request.body(()).unwrap()))
            .unwrap();
        drop(runtime.block_on(response.into_body().collect()).unwrap());
    }
    tracing.blocking_shutdown(LONG).unwrap();
    let mut ids = Ids::default();
    let spans = spans(directory.path()).into_iter().map(|exported| {
        let mut span = exported.span;
        ids.in_span(&mut span);
        format!("{} {span:#}", exported.scope)
    });
    spans.collect()
}

#[test]
#[cfg(feature = "grpc-layers")]
fn calls_are_the_same_whoever_records_them() {
    let (itself, by_sdk) = (spans_of_calls(false), spans_of_calls(true));
    assert_eq!(itself.len(), 3 * 6, "every fourth is not sampled");
    assert!(itself[0].contains("hello.Greeter/SayHello"));
    for (itself, by_sdk) in itself.iter().zip(&by_sdk) {
        assert!(itself == by_sdk, "itself: {itself}\nby the SDK: {by_sdk}");
    }
    assert_eq!(itself.len(), by_sdk.len());
}
