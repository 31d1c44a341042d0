//! What becomes of the context of callers who are believed in part or not at all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderMap, Request, Response};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags};
use tower::{Layer, Service, ServiceBuilder, service_fn};
use towline_http::server::{PeerAddr, TraceLayer};
use towline_http::{SampledFlag, Trust, client};
use towline_propagation::{CompositePropagator, Propagator};
use towline_sampler::{Control, Limit, Limiter, Rate, Sampler};
use towline_test_support::{Caller, TestTracing, assert_child_of, assert_root, poll_once};

type ServerLayer = TraceLayer<opentelemetry_sdk::trace::SdkTracer>;

/// What one request finds inside, and what it takes along.
struct Inside {
    current: SpanContext,
    received: HeaderMap,
    sent: HeaderMap,
}

/// A request whose headers the handler copies to the next server, as a proxy does.
fn through(tracing: &TestTracing, layer: &ServerLayer, caller: Option<&Caller>) -> Inside {
    let mut request = Request::get("/")
        .header("x-other", "kept")
        .body(())
        .unwrap();
    if let Some(caller) = caller {
        let headers = request.headers_mut();
        headers.insert("traceparent", caller.traceparent().parse().unwrap());
        // The second cannot be held by OpenTelemetry's list, and travels another way.
        headers.insert("tracestate", "a=1,foo@@bar=2".parse().unwrap());
        headers.insert("baggage", "user=ada".parse().unwrap());
    }
    inside(tracing, layer, request)
}

fn inside(tracing: &TestTracing, layer: &ServerLayer, request: Request<()>) -> Inside {
    let found = Arc::new(std::sync::Mutex::new(None));
    let tell = Arc::clone(&found);
    let forward = client::TraceLayer::from_spans(tracing.spans()).layer(service_fn({
        let tell = Arc::clone(&tell);
        move |request: Request<()>| {
            let mut tell = tell.lock().unwrap();
            let inside: &mut Option<Inside> = &mut tell;
            inside.as_mut().unwrap().sent = request.headers().clone();
            async { Ok::<_, String>(Response::new(http_body_util::Empty::<&[u8]>::new())) }
        }
    }));
    let mut service = ServiceBuilder::new()
        .layer(layer.clone())
        .service(service_fn(move |request: Request<()>| {
            *tell.lock().unwrap() = Some(Inside {
                current: Context::current().span().span_context().clone(),
                received: request.headers().clone(),
                sent: HeaderMap::new(),
            });
            let mut forward = forward.clone();
            async move { forward.call(request).await }
        }));
    let mut future = Box::pin(service.call(request));
    assert!(poll_once(&mut future).is_ready());
    drop(future);
    let found = found.lock().unwrap().take();
    found.unwrap()
}

fn server(tracing: &TestTracing) -> ServerLayer {
    TraceLayer::from_spans(tracing.spans())
}

fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

/// The server's span of the two.
fn recorded(tracing: &TestTracing) -> opentelemetry_sdk::trace::SpanData {
    let mut spans = tracing.finished();
    spans.retain(|span| span.span_kind == opentelemetry::trace::SpanKind::Server);
    assert_eq!(spans.len(), 1);
    tracing.reset();
    spans.remove(0)
}

#[test]
fn by_default_and_as_a_parent_a_caller_is_believed_in_all() {
    let tracing = TestTracing::never();
    let caller = Caller::sampled();
    for layer in [
        server(&tracing),
        server(&tracing).with_trust(Trust::parent()),
        server(&tracing).with_trust(Trust::default()),
        server(&tracing).with_trust_by(|_| Trust::parent()),
    ] {
        let inside = through(&tracing, &layer, Some(&caller));
        assert_child_of(&recorded(&tracing), &caller.span_context());
        assert_eq!(inside.sent["tracestate"], "a=1,foo@@bar=2");
        assert_eq!(inside.sent["baggage"], "user=ada");
        assert_eq!(inside.received["traceparent"], caller.traceparent());
    }
}

#[test]
fn a_caller_that_is_linked_to_is_a_link_and_nothing_else() {
    for rate in [Rate::ALWAYS, Rate::NEVER] {
        let tracing = TestTracing::with_rate(rate);
        for caller in [Caller::sampled(), Caller::not_sampled()] {
            let layer = server(&tracing).with_trust(Trust::link());
            let inside = through(&tracing, &layer, Some(&caller));
            let remote = caller.span_context();
            assert_ne!(inside.current.trace_id(), remote.trace_id());
            assert_eq!(inside.current.is_sampled(), rate == Rate::ALWAYS);
            assert_eq!(names(&inside.received), ["x-other"]);
            assert_eq!(names(&inside.sent), ["traceparent", "x-other"]);
            if rate == Rate::ALWAYS {
                let span = recorded(&tracing);
                assert_root(&span);
                assert_eq!(span.links.len(), 1);
                assert_eq!(span.links[0].span_context.span_id(), remote.span_id());
                assert_eq!(span.links[0].span_context.trace_id(), remote.trace_id());
            }
            tracing.assert_none();
        }
    }
}

#[test]
fn of_a_caller_that_is_ignored_nothing_is_left() {
    for rate in [Rate::ALWAYS, Rate::NEVER] {
        let tracing = TestTracing::with_rate(rate);
        let layer = server(&tracing).with_trust(Trust::ignore());
        let caller = Caller::sampled();
        let inside = through(&tracing, &layer, Some(&caller));
        assert_ne!(inside.current.trace_id(), caller.span_context().trace_id());
        assert_eq!(names(&inside.received), ["x-other"]);
        assert_eq!(names(&inside.sent), ["traceparent", "x-other"]);
        if rate == Rate::ALWAYS {
            let span = recorded(&tracing);
            assert_root(&span);
            assert!(span.links.is_empty());
        }
        tracing.assert_none();
    }
}

#[test]
fn switched_off_what_is_not_believed_is_not_passed_on_either() {
    let tracing = TestTracing::off();
    let caller = Caller::sampled();
    for trust in [Trust::link(), Trust::ignore()] {
        let layer = server(&tracing).with_trust(trust);
        let inside = through(&tracing, &layer, Some(&caller));
        assert!(!inside.current.is_valid());
        assert_eq!(names(&inside.sent), ["x-other"]);
    }
    let trust = Trust::parent()
        .with_sampled(SampledFlag::Ignore)
        .with_baggage(false);
    let inside = through(&tracing, &server(&tracing).with_trust(trust), Some(&caller));
    assert_eq!(inside.current.trace_id(), caller.span_context().trace_id());
    assert!(!inside.current.is_sampled());
    assert_eq!(
        names(&inside.sent),
        ["traceparent", "tracestate", "x-other"]
    );
    assert!(
        inside.sent["traceparent"]
            .to_str()
            .unwrap()
            .ends_with("-00")
    );
    tracing.assert_none();
}

#[test]
fn baggage_is_kept_or_not_whatever_becomes_of_the_trace() {
    let tracing = TestTracing::always();
    for trust in [Trust::parent(), Trust::link(), Trust::ignore()] {
        for kept in [true, false] {
            let layer = server(&tracing).with_trust(trust.clone().with_baggage(kept));
            let inside = through(&tracing, &layer, Some(&Caller::sampled()));
            let baggage = inside
                .sent
                .get("baggage")
                .map(|value| value.to_str().unwrap());
            assert_eq!(baggage, kept.then_some("user=ada"), "{trust:?}");
            let parent = matches!(trust.context, towline_http::CallerContext::Parent);
            assert_eq!(inside.sent.contains_key("tracestate"), parent, "{trust:?}");
        }
    }
}

#[test]
fn another_propagator_is_read_and_cleaned_the_same() {
    let tracing = TestTracing::always();
    let custom =
        || server(&tracing).with_propagator(Propagator::custom(CompositePropagator::w3c()));
    let caller = Caller::sampled();
    through(
        &tracing,
        &custom().with_trust(Trust::parent()),
        Some(&caller),
    );
    assert_child_of(&recorded(&tracing), &caller.span_context());

    let by_rate = Trust::parent().with_sampled(SampledFlag::Ignore);
    through(
        &tracing,
        &custom().with_trust(by_rate),
        Some(&Caller::not_sampled()),
    );
    assert_child_of(&recorded(&tracing), &Caller::not_sampled().span_context());

    let linked = Trust::link().with_baggage(true);
    let inside = through(&tracing, &custom().with_trust(linked), Some(&caller));
    let span = recorded(&tracing);
    assert_root(&span);
    assert_eq!(span.links.len(), 1);
    assert_eq!(names(&inside.sent), ["baggage", "traceparent", "x-other"]);

    let inside = through(
        &tracing,
        &custom().with_trust(Trust::ignore()),
        Some(&caller),
    );
    assert_root(&recorded(&tracing));
    assert_eq!(names(&inside.received), ["x-other"]);
}

#[test]
fn a_flag_that_is_ignored_neither_forces_a_span_nor_hides_one() {
    for (rate, expected) in [(Rate::ALWAYS, true), (Rate::NEVER, false)] {
        let tracing = TestTracing::with_rate(rate);
        let trust = Trust::parent().with_sampled(SampledFlag::Ignore);
        let layer = server(&tracing).with_trust(trust);
        for caller in [Caller::sampled(), Caller::not_sampled()] {
            let inside = through(&tracing, &layer, Some(&caller));
            // It is the caller's trace all the same.
            assert_eq!(inside.current.trace_id(), caller.span_context().trace_id());
            assert_eq!(inside.current.is_sampled(), expected);
            assert_eq!(inside.sent["tracestate"], "a=1,foo@@bar=2");
            if expected {
                assert_child_of(&recorded(&tracing), &caller.span_context());
            }
            tracing.assert_none();
        }
    }
}

#[test]
fn a_limit_counts_the_traces_of_the_callers_that_it_is_for() {
    let tracing = TestTracing::never();
    let limiter = Limiter::with_clock(Limit::per_second(2), || std::time::Duration::ZERO);
    let strangers = limiter.clone();
    let layer =
        server(&tracing).with_trust_by(move |request| match request.extensions.get::<PeerAddr>() {
            Some(peer) if peer.0.ip().is_loopback() => Trust::parent(),
            _ => Trust::parent().with_sampled(SampledFlag::Limit(strangers.clone())),
        });
    let ask = |ip: [u8; 4], trace: u32, flags: &str| {
        let request = Request::get("/")
            .header(
                "traceparent",
                format!("00-{trace:032x}-00000000000000ff-{flags}"),
            )
            .extension(PeerAddr(SocketAddr::from((ip, 1))))
            .body(())
            .unwrap();
        inside(&tracing, &layer, request).current.is_sampled()
    };
    let (stranger, known) = ([198, 51, 100, 7], [127, 0, 0, 1]);
    // Neither is counted.
    assert!(!ask(stranger, 100, "00"));
    assert!((200..220).all(|trace| ask(known, trace, "01")));
    let admitted = (1..20).map(|trace| ask(stranger, trace, "01"));
    assert_eq!(admitted.filter(|sampled| *sampled).count(), 2);
    assert!(ask(stranger, 1, "01") && !ask(stranger, 3, "01"));
    limiter.set_limit(Limit::per_second(0));
    assert!(!ask(stranger, 50, "01"));
    // The rate decides about the others.
    tracing.control().set_rate(Rate::ALWAYS);
    assert!(ask(stranger, 51, "01"));
}

#[test]
fn the_function_sees_the_whole_head_and_is_asked_once() {
    let tracing = TestTracing::always();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let layer = server(&tracing).with_trust_by(move |request| {
        count.fetch_add(1, Ordering::Relaxed);
        assert!(request.headers.contains_key("traceparent"));
        if request.headers.contains_key("x-other") && request.uri.path() == "/" {
            Trust::ignore()
        } else {
            Trust::parent()
        }
    });
    through(&tracing, &layer, Some(&Caller::sampled()));
    assert_root(&recorded(&tracing));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn without_a_caller_every_policy_has_the_same_root() {
    let tracing = TestTracing::always();
    for trust in [Trust::parent(), Trust::link(), Trust::ignore()] {
        let layer = server(&tracing).with_trust(trust);
        through(&tracing, &layer, None);
        let span = recorded(&tracing);
        assert_root(&span);
        assert!(span.links.is_empty());
    }
}

#[test]
fn a_root_of_a_stranger_goes_under_what_is_current_in_the_process() {
    let tracing = TestTracing::always();
    let own = tracing.spans().start(&Context::new(), &|| {
        opentelemetry::trace::SpanBuilder::from_name("accept")
    });
    let _attached = own.context().clone().attach();
    for trust in [Trust::link(), Trust::ignore()] {
        let layer = server(&tracing).with_trust(trust);
        through(&tracing, &layer, Some(&Caller::sampled()));
        assert_child_of(&recorded(&tracing), own.context().span().span_context());
    }
}

#[test]
fn a_limit_of_the_control_holds_for_whoever_is_believed() {
    let control = Control::with_clock(Rate::NEVER, || std::time::Duration::ZERO);
    let tracing = TestTracing::with_sampler(Sampler::new(control.clone()));
    let layer = server(&tracing);
    control.set_remote_limit(Some(Limit::per_second(0)));
    let caller = Caller::sampled().with_random_flag();
    let inside = through(&tracing, &layer, Some(&caller));
    assert!(!inside.current.is_sampled());
    // Our decision is what goes on, in the caller's trace.
    let sent = inside.sent["traceparent"].to_str().unwrap();
    assert!(sent.starts_with(&caller.traceparent()[..35]) && sent.ends_with("-02"));
    tracing.assert_none();
    control.set_remote_limit(None);
    through(&tracing, &layer, Some(&caller));
    assert_child_of(&recorded(&tracing), &caller.span_context());
}

#[test]
fn the_threshold_goes_on_to_the_next_server_beside_members_of_every_kind() {
    let told = |rate| {
        let sampler = Sampler::new(Control::new(rate)).with_probability_tracestate(true);
        TestTracing::with_sampler(sampler)
    };
    let (always, never) = (told(Rate::ALWAYS), told(Rate::NEVER));
    let by_rate = Trust::parent().with_sampled(SampledFlag::Ignore);
    // The randomness is all ones, or all zeros.
    let (high, low) = ("rv:ffffffffffffff", "rv:00000000000000");
    for (tracing, trust, flags, sent, expected) in [
        // Kept, and kept where it was.
        (
            &never,
            Trust::parent(),
            1,
            format!("foo@@bar=2,ot=th:8;{high},a=1"),
            format!("foo@@bar=2,ot=th:8;{high},a=1"),
        ),
        // It cannot have been sampled with that.
        (
            &never,
            Trust::parent(),
            1,
            format!("foo@@bar=2,ot=th:8;{low},a=1"),
            format!("ot={low},foo@@bar=2,a=1"),
        ),
        // Dropped by the rate, without the SDK.
        (
            &never,
            by_rate.clone(),
            1,
            "foo@@bar=2,ot=th:8,a=1".to_owned(),
            "foo@@bar=2,a=1".to_owned(),
        ),
        // Sampled by the rate.
        (
            &always,
            by_rate,
            0,
            format!("foo@@bar=2,ot={low},a=1"),
            format!("ot={low};th:0,foo@@bar=2,a=1"),
        ),
    ] {
        let layer = server(tracing).with_trust(trust);
        let request = Request::get("/")
            .header("traceparent", Caller::with_flags(flags).traceparent())
            .header("tracestate", &sent)
            .body(())
            .unwrap();
        let inside = inside(tracing, &layer, request);
        assert_eq!(inside.sent["tracestate"], expected, "{sent}");
        tracing.reset();
    }
    // A root has one of its own.
    let inside = through(&always, &server(&always), None);
    assert_eq!(inside.sent["tracestate"], "ot=th:0");
    assert_eq!(inside.current.trace_flags(), TraceFlags::new(3));
    assert_ne!(inside.current.span_id(), SpanId::INVALID);
    let inside = through(&never, &server(&never), None);
    assert_eq!(inside.sent.get("tracestate"), None);
}
