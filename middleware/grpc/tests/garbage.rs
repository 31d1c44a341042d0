//! Whatever bytes a peer sends: no panic, no allocation without a bound, one span.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};
use http_body::Body;
use opentelemetry::trace::Status;
use opentelemetry_sdk::trace::SpanData;
use proptest::collection::vec;
use proptest::prelude::*;
use tower::{Layer, Service, service_fn};
use towline_grpc::{Code, Conventions, client, server};
use towline_span::MAX_DESCRIPTION_BYTES;
use towline_test_support::{
    BodyStep, Caller, Probe, ScriptedBody, ScriptedFuture, TestTracing, allocations,
    assert_no_duplicate_attributes, text_attribute,
};

const REQUEST_LINES: &[&str] = &[
    "grpc-timeout",
    "grpc-trace-bin",
    "traceparent",
    "tracestate",
    "baggage",
    "content-type",
    "host",
    "x-captured",
    "authorization",
];

const RESPONSE_LINES: &[&str] = &[
    "grpc-status",
    "grpc-message",
    "grpc-status-details-bin",
    "content-type",
    "content-length",
    "x-captured",
];

type Lines = Vec<(&'static str, Vec<u8>)>;

/// Lines of these names whose values may mean something, or nothing at all.
fn lines(names: &'static [&'static str]) -> impl Strategy<Value = Lines> {
    let value = prop_oneof![
        3 => vec(any::<u8>(), 0..60),
        1 => vec(any::<u8>(), 0..20_000),
        2 => "[0-9]{0,10}[HMSmun]?".prop_map(String::into_bytes),
        2 => "(%[0-9a-fA-F]{0,2}|.){0,40}".prop_map(String::into_bytes),
        1 => "(%[0-9a-fA-F]{2}){0,3000}".prop_map(String::into_bytes),
        1 => "[A-Za-z0-9+/]{37,41}={0,2}".prop_map(String::into_bytes),
        1 => "00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]".prop_map(String::into_bytes),
    ];
    vec((proptest::sample::select(names), value), 0..8)
}

/// As a header map holds them: what is no legal value is made one.
fn headers(lines: &Lines) -> HeaderMap {
    let legal = |byte: &u8| match byte {
        b'\t' | b' '..=b'~' | 0x80.. => *byte,
        _ => byte | 0x80,
    };
    lines
        .iter()
        .map(|(name, value)| {
            let value: Vec<u8> = value.iter().map(legal).collect();
            let value = HeaderValue::from_bytes(&value).unwrap();
            (HeaderName::from_static(name), value)
        })
        .collect()
}

fn captured() -> [HeaderName; 2] {
    [
        HeaderName::from_static("x-captured"),
        http::header::AUTHORIZATION,
    ]
}

fn server_layer(tracing: &TestTracing) -> server::TraceLayer<opentelemetry_sdk::trace::SdkTracer> {
    server::TraceLayer::from_spans(tracing.spans())
        .with_conventions(Conventions::Both)
        .with_grpc_trace_bin()
        .with_request_metadata(captured())
        .with_response_metadata(captured())
}

fn client_layer(tracing: &TestTracing) -> client::TraceLayer<opentelemetry_sdk::trace::SdkTracer> {
    client::TraceLayer::from_spans(tracing.spans())
        .with_conventions(Conventions::Both)
        .with_request_metadata(captured())
        .with_response_metadata(captured())
}

/// Answers with this status, this head and these trailers.
fn answering(
    status: u16,
    head: HeaderMap,
    trailers: HeaderMap,
) -> impl Service<
    Request<()>,
    Response = Response<ScriptedBody>,
    Error = Infallible,
    Future = ScriptedFuture<Result<Response<ScriptedBody>, Infallible>>,
> {
    let mut answer = Some((head, trailers));
    service_fn(move |_request| {
        let (head, trailers) = answer.take().unwrap();
        let steps = [BodyStep::data("message"), BodyStep::Trailers(trailers)];
        let mut response = Response::new(ScriptedBody::new(&Probe::new(), steps));
        *response.status_mut() = status.try_into().unwrap();
        *response.headers_mut() = head;
        ScriptedFuture::ready(Ok(response))
    })
}

/// Drives a call to its end.
fn drive<S, B>(mut service: S, request: Request<()>)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes>,
{
    let mut cx = Context::from_waker(Waker::noop());
    let future = pin!(service.call(request));
    let Poll::Ready(Ok(response)) = future.poll(&mut cx) else {
        panic!("nothing is pending");
    };
    let mut body = pin!(response.into_body());
    while let Poll::Ready(Some(_frame)) = body.as_mut().poll_frame(&mut cx) {}
}

/// That there is one span, and that nothing in it is longer than it may be.
fn bounded(tracing: &TestTracing) -> SpanData {
    let span = tracing.only();
    assert_no_duplicate_attributes(&span);
    assert!(span.name.len() <= 256, "{}", span.name);
    let code = text_attribute(&span, "rpc.response.status_code").unwrap();
    assert!(
        Code::ALL.iter().any(|known| known.as_str() == code),
        "{code}"
    );
    if let Status::Error { description } = &span.status {
        assert!(description.len() <= MAX_DESCRIPTION_BYTES);
    }
    for attribute in &span.attributes {
        let long = attribute.value.as_str().len();
        // Several values of metadata are one attribute.
        assert!(
            long <= 2 * 8 * 2048,
            "{} is {long} bytes long",
            attribute.key
        );
    }
    assert!(!format!("{:?}", span.attributes).contains("secret"));
    span
}

proptest! {
    #[test]
    fn any_answer_ends_one_span_on_both_sides(
        status in 100_u16..1000,
        head in lines(RESPONSE_LINES),
        trailers in lines(RESPONSE_LINES),
    ) {
        let request = || Request::post("/a.B/C").body(()).unwrap();
        let answer = || answering(status, headers(&head), headers(&trailers));
        let tracing = TestTracing::always();
        drive(server_layer(&tracing).layer(answer()), request());
        let server = bounded(&tracing);
        let tracing = TestTracing::always();
        drive(client_layer(&tracing).layer(answer()), request());
        let client = bounded(&tracing);
        let code = |span| text_attribute(span, "rpc.response.status_code");
        prop_assert_eq!(code(&server), code(&client));
    }

    #[test]
    fn any_request_begins_one_span_on_both_sides(
        path in "/?[!-~]{0,20}(/[!-~]{0,300}){0,3}",
        lines in lines(REQUEST_LINES),
    ) {
        let Ok(uri) = path.parse::<Uri>() else { return Ok(()) };
        let request = || {
            let mut request = Request::post(uri.clone()).body(()).unwrap();
            *request.headers_mut() = headers(&lines);
            request.headers_mut().append("authorization", HeaderValue::from_static("secret"));
            request
        };
        let ok = || HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        let answer = || answering(200, HeaderMap::new(), ok());
        for tracing in [TestTracing::always(), TestTracing::never(), TestTracing::off()] {
            drive(server_layer(&tracing).layer(answer()), request());
            if tracing.started() > 0 {
                bounded(&tracing);
            }
        }
        let tracing = TestTracing::always();
        drive(client_layer(&tracing).layer(answer()), request());
        bounded(&tracing);
    }
}

#[test]
fn what_a_call_allocates_does_not_grow_with_what_a_peer_sends() {
    const MEBIBYTE: usize = 1 << 20;
    let request = |size: usize| {
        let mut request = Request::post(format!("/a.B/{}", "x".repeat(size.min(60_000))));
        for name in REQUEST_LINES {
            let value = match *name {
                "traceparent" => Caller::sampled().traceparent(),
                "tracestate" => members(size, "m"),
                "baggage" => members(size, "b"),
                _ => "1".repeat(size),
            };
            let value = match *name {
                "x-captured" => HeaderValue::from_bytes(&vec![0xff; size]),
                _ => HeaderValue::try_from(value),
            };
            request = request.header(*name, value.unwrap());
        }
        request.body(()).unwrap()
    };
    let answer = |size: usize| {
        let lines = RESPONSE_LINES.iter().map(|name| {
            let value = match *name {
                "grpc-message" => "%C3%A9".repeat(size / 6),
                _ => "1".repeat(size),
            };
            (HeaderName::from_static(name), value.parse().unwrap())
        });
        lines.collect::<HeaderMap>()
    };
    for (side, allocated) in [
        ("server", allocated as fn(_, _, _) -> u64),
        ("client", |request, head, trailers| {
            let tracing = TestTracing::always();
            let service = client_layer(&tracing).layer(answering(200, head, trailers));
            allocations::count(|| drive(service, request)).1.bytes
        }),
    ] {
        for (head, trailers) in [(MEBIBYTE, 0), (0, MEBIBYTE)] {
            let bytes = allocated(request(MEBIBYTE), answer(head), answer(trailers));
            // Metadata that was asked for is most of it, at 2,048 bytes each.
            assert!(bytes < 64 * 1024, "{side}: {bytes} bytes");
        }
    }
}

/// As many legal list-members as there is room for.
fn members(size: usize, key: &str) -> String {
    let members = (0..size / 16).map(|number| format!("{key}{number:08}=value"));
    members.collect::<Vec<_>>().join(",")
}

fn allocated(request: Request<()>, head: HeaderMap, trailers: HeaderMap) -> u64 {
    let tracing = TestTracing::always();
    let service = server_layer(&tracing).layer(answering(200, head, trailers));
    allocations::count(|| drive(service, request)).1.bytes
}
