//! Frames, errors, `size_hint` and `is_end_stream` of a body are those of the inner one, at every
//! step, whatever the body does and whatever is recorded.

use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body, SizeHint};
use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use towline_test_support::{BodyStep, Probe, ScriptedBody, ScriptedFuture, TestTracing};

use crate::exchange::{Exchange, context};
use crate::side::Side;

on_both_sides! {
    what_comes_out_of_a_body_is_what_went_in,
    a_body_of_any_other_data_type_passes,
}

/// What a body says of itself at one step, and what it gives.
#[derive(Debug, PartialEq)]
struct Said {
    lower: u64,
    upper: Option<u64>,
    is_end_stream: bool,
    gave: Gave,
}

#[derive(Debug, PartialEq)]
enum Gave {
    Pending,
    Data(Bytes),
    Trailers(HeaderMap),
    Error(&'static str),
    End,
}

/// Polls a body this often, on beyond its end.
fn said<B>(body: B, times: usize) -> Vec<Said>
where
    B: Body<Data = Bytes, Error = towline_test_support::ScriptedError>,
{
    let mut body = Box::pin(body);
    (0..times)
        .map(|_| {
            let hint = body.size_hint();
            let is_end_stream = body.is_end_stream();
            let gave = match body.as_mut().poll_frame(&mut context()) {
                Poll::Pending => Gave::Pending,
                Poll::Ready(None) => Gave::End,
                Poll::Ready(Some(Err(error))) => Gave::Error(error.0),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => Gave::Data(data),
                    Err(frame) => Gave::Trailers(frame.into_trailers().unwrap()),
                },
            };
            Said {
                lower: hint.lower(),
                upper: hint.upper(),
                is_end_stream,
                gave,
            }
        })
        .collect()
}

/// A body, and the head that it has.
#[derive(Clone, Debug)]
struct Scenario {
    method: Method,
    status: StatusCode,
    content_length: Option<u8>,
    steps: Vec<BodyStep>,
    announces: Announces,
    announces_end: bool,
    tracing: Pipeline,
}

#[derive(Clone, Debug)]
enum Announces {
    Nothing,
    Size,
    Hint(u64, Option<u64>),
}

#[derive(Clone, Copy, Debug)]
enum Pipeline {
    Records,
    DoesNotRecord,
    IsOff,
}

impl Scenario {
    fn body(&self) -> ScriptedBody {
        let body = ScriptedBody::new(&Probe::new(), self.steps.clone());
        let body = match self.announces {
            Announces::Nothing => body,
            Announces::Size => body.announcing_size(),
            Announces::Hint(lower, more) => {
                let mut hint = SizeHint::new();
                hint.set_lower(lower);
                if let Some(more) = more {
                    hint.set_upper(lower + more);
                }
                body.with_size_hint(hint)
            }
        };
        if self.announces_end {
            body.announcing_end()
        } else {
            body
        }
    }

    fn response(&self) -> Response<ScriptedBody> {
        let mut response = Response::new(self.body());
        *response.status_mut() = self.status;
        if let Some(length) = self.content_length {
            let length = HeaderValue::from(u64::from(length));
            response.headers_mut().insert(CONTENT_LENGTH, length);
        }
        response
    }

    fn tracing(&self) -> TestTracing {
        match self.tracing {
            Pipeline::Records => TestTracing::always(),
            Pipeline::DoesNotRecord => TestTracing::never(),
            Pipeline::IsOff => TestTracing::off(),
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<BodyStep>> {
    let trailers = hash_map("[a-z]{1,4}", "[ -~]{0,4}", 0..3).prop_map(|fields| {
        let fields = fields.into_iter().map(|(name, value)| {
            let name = HeaderName::try_from(name).unwrap();
            (name, HeaderValue::try_from(value).unwrap())
        });
        BodyStep::Trailers(fields.collect())
    });
    let data = vec(any::<u8>(), 0..6).prop_map(|bytes| BodyStep::Data(bytes.into()));
    vec(
        prop_oneof![
            6 => data,
            1 => trailers,
            1 => Just(BodyStep::Error("reset")),
            2 => Just(BodyStep::Pending),
            1 => Just(BodyStep::End),
        ],
        0..6,
    )
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let method = prop_oneof![Just(Method::GET), Just(Method::HEAD), Just(Method::CONNECT)];
    let status = prop_oneof![
        Just(StatusCode::OK),
        Just(StatusCode::SWITCHING_PROTOCOLS),
        Just(StatusCode::NO_CONTENT),
        Just(StatusCode::INTERNAL_SERVER_ERROR),
    ];
    let announces = prop_oneof![
        Just(Announces::Nothing),
        Just(Announces::Size),
        (0..9_u64, proptest::option::of(0..3_u64))
            .prop_map(|(lower, more)| Announces::Hint(lower, more)),
    ];
    let pipeline = prop_oneof![
        3 => Just(Pipeline::Records),
        1 => Just(Pipeline::DoesNotRecord),
        1 => Just(Pipeline::IsOff),
    ];
    (
        method,
        status,
        proptest::option::of(0..12_u8),
        steps(),
        announces,
        any::<bool>(),
        pipeline,
    )
        .prop_map(
            |(method, status, content_length, steps, announces, announces_end, tracing)| Scenario {
                method,
                status,
                content_length,
                steps,
                announces,
                announces_end,
                tracing,
            },
        )
}

fn what_comes_out_of_a_body_is_what_went_in<S: Side>() {
    proptest!(|(scenario in scenario())| {
        let times = scenario.steps.len() + 2;
        let (tracing, method) = (scenario.tracing(), scenario.method.clone());
        let request = Request::builder().method(method).body(()).unwrap();
        let future = ScriptedFuture::ready(Ok(scenario.response()));
        let mut exchange = Exchange::<S>::through(&tracing, request, future);
        exchange.head().unwrap();

        let wrapped = said(exchange.into_body(), times);
        prop_assert_eq!(wrapped, said(scenario.body(), times));
        let recorded = matches!(scenario.tracing, Pipeline::Records);
        prop_assert_eq!(tracing.finished().len(), usize::from(recorded));
    });
}

fn a_body_of_any_other_data_type_passes<S: Side>() {
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use tower::Service;

    // Not contiguous, and longer than its first chunk.
    let body = || {
        let whole: VecDeque<u8> = (0..100).collect();
        http_body_util::Full::new(whole)
    };
    let tracing = TestTracing::always();
    let service = tower::service_fn(|_request: Request<()>| {
        std::future::ready(Ok::<_, Infallible>(Response::new(body())))
    });
    let mut service = towline_http::Trace::new(service, S::layer_of(&tracing));
    let mut future = Box::pin(service.call(Request::new(())));
    let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut context()) else {
        panic!("the service answers at once");
    };
    let mut wrapped = response.into_body();
    let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut wrapped).poll_frame(&mut context()) else {
        panic!("there is a frame");
    };
    assert_eq!(frame.into_data().unwrap().len(), 100);
    assert_eq!(tracing.finished().len(), 1);
}
