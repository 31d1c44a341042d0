//! The span's context is current wherever the inner service is at work, and nowhere else.

use std::future::ready;
use std::task::Poll;

use http::{Request, Response};
use http_body::Body;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt, Tracer};
use tower::{Service, service_fn};
use towline_http::Trace;
use towline_test_support::{
    BodyStep, Caller, Probe, ScriptedBody, ScriptedError, ScriptedFuture, ScriptedService,
    TestTracing, assert_child_of, assert_root, current_span_context,
};

use crate::exchange::{Answer, body, context, data};
use crate::side::{Client, Server, Side};

on_both_sides! {
    current_in_call_in_every_poll_and_in_every_frame_of_a_recorded_request,
    current_in_the_same_places_if_nobody_records,
    not_current_between_the_steps,
    what_was_current_before_is_current_after,
    a_span_of_the_plain_api_nests_in_the_future_and_in_the_body,
    exchanges_that_take_turns_on_a_thread_do_not_meet,
}

/// How often the inner future and the inner body of [`scripted`] are polled.
const POLLS: usize = 3;

/// A service with pauses in its future and its body, and what sees which span is current inside.
fn scripted(
    probe: &Probe,
) -> ScriptedService<impl FnMut(Request<()>) -> ScriptedFuture<Answer> + use<>> {
    let frames = probe.clone();
    ScriptedService::new(probe, move |_request| {
        let body = ScriptedBody::new(&frames, [data("one"), BodyStep::Pending]);
        ScriptedFuture::ready(Ok(Response::new(body))).after(2)
    })
}

/// Goes through a whole exchange, and does `between` after each step of it.
fn exchange<S, B>(mut service: S, request: Request<()>, mut between: impl FnMut())
where
    S: Service<Request<()>, Response = Response<B>, Error = ScriptedError>,
    B: Body,
{
    assert!(service.poll_ready(&mut context()).is_ready());
    between();
    let mut future = Box::pin(service.call(request));
    between();
    let response = loop {
        let polled = future.as_mut().poll(&mut context());
        between();
        if let Poll::Ready(result) = polled {
            break result.unwrap();
        }
    };
    let mut body = Box::pin(response.into_body());
    loop {
        let polled = body.as_mut().poll_frame(&mut context());
        between();
        if let Poll::Ready(None) = polled {
            break;
        }
    }
}

fn request(caller: Option<&Caller>) -> Request<()> {
    let mut request = Request::new(());
    if let Some(caller) = caller {
        let value = caller.traceparent().try_into().unwrap();
        request.headers_mut().insert("traceparent", value);
    }
    request
}

/// What was current in the call and in each poll; the same each time.
#[track_caller]
fn seen_inside(probe: &Probe) -> SpanContext {
    assert_eq!((probe.calls(), probe.polls()), (1, 2 * POLLS));
    let seen = probe.seen_in_call().remove(0);
    probe.assert_inside(&seen);
    seen
}

fn current_in_call_in_every_poll_and_in_every_frame_of_a_recorded_request<S: Side>() {
    let (tracing, probe) = (TestTracing::always(), Probe::new());
    let service = Trace::new(scripted(&probe), S::layer_of(&tracing));
    exchange(service, request(None), || ());
    let seen = seen_inside(&probe);
    assert!(seen.is_sampled());
    assert_eq!(seen.span_id(), tracing.only().span_context.span_id());
}

fn current_in_the_same_places_if_nobody_records<S: Side>() {
    let (tracing, probe) = (TestTracing::never(), Probe::new());
    let service = Trace::new(scripted(&probe), S::layer_of(&tracing));
    exchange(service, request(None), || ());
    let seen = seen_inside(&probe);
    assert!(seen.is_valid() && !seen.is_sampled());
    tracing.assert_none();
}

#[test]
fn a_server_s_caller_is_followed_where_nobody_records() {
    for (tracing, caller, same_span) in [
        (TestTracing::always(), Caller::not_sampled(), false),
        (TestTracing::off(), Caller::not_sampled(), true),
        (TestTracing::off(), Caller::sampled(), true),
    ] {
        let probe = Probe::new();
        let service = Trace::new(scripted(&probe), Server::layer_of(&tracing));
        exchange(service, request(Some(&caller)), || ());
        let (seen, sent) = (seen_inside(&probe), caller.span_context());
        assert_eq!(seen.trace_id(), sent.trace_id());
        assert_eq!(seen.span_id() == sent.span_id(), same_span);
        assert_eq!(seen.is_sampled(), sent.is_sampled());
        tracing.assert_none();
    }
}

fn not_current_between_the_steps<S: Side>() {
    for tracing in [TestTracing::always(), TestTracing::never()] {
        let probe = Probe::new();
        let service = Trace::new(scripted(&probe), S::layer_of(&tracing));
        exchange(service, request(None), || {
            assert!(!current_span_context().is_valid());
        });
        seen_inside(&probe);
    }
}

fn what_was_current_before_is_current_after<S: Side>() {
    let (tracing, probe) = (TestTracing::always(), Probe::new());
    let outer = tracing.tracer().start("outer");
    let outer = Context::current_with_span(outer);
    let expected = outer.span().span_context().clone();
    let attached = outer.attach();
    let service = Trace::new(scripted(&probe), S::layer_of(&tracing));
    exchange(service, request(None), || {
        assert_eq!(current_span_context(), expected);
    });
    drop(attached);

    let span = tracing.finished().remove(0);
    assert_child_of(&span, &expected);
    assert!(!span.parent_span_is_remote);
    probe.assert_inside(&span.span_context);
}

fn a_span_of_the_plain_api_nests_in_the_future_and_in_the_body<S: Side>() {
    let tracing = TestTracing::always();
    let tracer = tracing.tracer();
    let service = service_fn(move |_request: Request<()>| {
        let tracer = tracer.clone();
        async move {
            tracer.in_span("in the future", |_cx| ());
            let frames = body([data("one")]);
            let frames = http_body_util::BodyExt::map_frame(frames, move |frame| {
                tracer.in_span("in the body", |_cx| frame)
            });
            Ok(Response::new(frames))
        }
    });
    exchange(
        Trace::new(service, S::layer_of(&tracing)),
        request(None),
        || (),
    );
    let ours = tracing.named("GET");
    assert_root(&ours);
    for inside in ["in the future", "in the body"] {
        assert_child_of(&tracing.named(inside), &ours.span_context);
    }
}

fn exchanges_that_take_turns_on_a_thread_do_not_meet<S: Side>() {
    let tracing = TestTracing::always();
    let probes = [Probe::new(), Probe::new()];
    let mut futures = probes.clone().map(|probe| {
        let mut service = Trace::new(scripted(&probe), S::layer_of(&tracing));
        assert!(service.poll_ready(&mut context()).is_ready());
        Box::pin(service.call(request(None)))
    });
    for _ in 1..POLLS {
        for future in &mut futures {
            assert!(future.as_mut().poll(&mut context()).is_pending());
        }
    }
    let [first, second] = probes.map(|probe| {
        let seen = probe.seen_in_call().remove(0);
        probe.assert_inside(&seen);
        seen
    });
    assert_ne!(first.trace_id(), second.trace_id());
}

#[test]
fn a_client_inside_of_a_server_is_one_hop() {
    for (tracing, caller) in [
        (TestTracing::always(), None),
        (TestTracing::never(), Some(Caller::sampled())),
    ] {
        let probe = Probe::new();
        let client = Trace::new(scripted(&probe), Client::layer_of(&tracing));
        let proxy = Trace::new(client, Server::layer_of(&tracing));
        exchange(proxy, request(caller.as_ref()), || {
            assert!(!current_span_context().is_valid());
        });

        let [client, server] = <[_; 2]>::try_from(tracing.finished()).unwrap();
        assert_eq!(
            (client.span_kind.clone(), server.span_kind.clone()),
            (Client::KIND, Server::KIND)
        );
        assert_child_of(&client, &server.span_context);
        assert!(!client.parent_span_is_remote);
        probe.assert_inside(&client.span_context);
        match caller {
            Some(caller) => assert_child_of(&server, &caller.span_context()),
            None => assert_root(&server),
        }
    }
}

#[test]
fn a_proxy_s_own_service_sees_the_server_s_span_and_not_the_client_s() {
    let (tracing, around) = (TestTracing::always(), Probe::new());
    let client = Trace::new(scripted(&Probe::new()), Client::layer_of(&tracing));
    // Something between the two layers, such as a router, which is at work around the client.
    let between = Between {
        inner: client,
        probe: around.clone(),
    };
    exchange(
        Trace::new(between, Server::layer_of(&tracing)),
        request(None),
        || (),
    );
    let server = tracing.finished().remove(1);
    assert_eq!(server.span_kind, Server::KIND);
    around.assert_inside(&server.span_context);
}

/// Observes what is current around a service.
struct Between<S> {
    inner: S,
    probe: Probe,
}

impl<S: Service<Request<()>>> Service<Request<()>> for Between<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = towline_test_support::Observed<S::Future>;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        self.probe.observe(self.inner.call(request))
    }
}

#[test]
fn a_request_that_is_not_traced_leaves_the_caller_s_context_alone() {
    // Off, and without a context to pass on: not even an empty context is entered.
    let tracing = TestTracing::off();
    let outer = Caller::sampled().context().attach();
    for seen in [
        seen_through::<Server>(&tracing),
        seen_through::<Client>(&tracing),
    ] {
        assert_eq!(seen, Caller::sampled().span_context());
    }
    drop(outer);
    tracing.assert_none();
}

/// What is current in a service behind a layer.
fn seen_through<S: Side>(tracing: &TestTracing) -> SpanContext {
    let mut seen = SpanContext::NONE;
    let service = service_fn(|_request: Request<()>| {
        seen = current_span_context();
        ready(Ok(Response::new(body([]))))
    });
    exchange(
        Trace::new(service, S::layer_of(tracing)),
        request(None),
        || (),
    );
    seen
}
