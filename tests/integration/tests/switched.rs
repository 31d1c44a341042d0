//! The switch is thrown again and again while requests are under way: none fails, and what is recorded is
//! whole.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response};
use hyper::body::Incoming;
use opentelemetry::trace::{SpanId, SpanKind};
use opentelemetry_sdk::trace::SpanData;
use tower::{Layer, service_fn};
use towline_integration::{
    Body, Hop, Protocol, Server, ask, client, get, proxy, read, scripted, within,
};
use towline_sampler::Control;
use towline_span::Outcome;
use towline_test_support::{BodyStep, assert_no_duplicate_attributes, assert_outcome, attribute};

const CALLERS: usize = 30;
const REQUESTS_EACH: usize = 50;
const REQUESTS: usize = CALLERS * REQUESTS_EACH;

/// Throws the switches until it is dropped, as fast as it can.
struct Flipping {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<u64>>,
}

impl Flipping {
    fn start(controls: Vec<Control>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut flips = 0;
            while !stopped.load(Ordering::Relaxed) {
                for control in &controls {
                    control.set_enabled(flips % 2 == 0);
                }
                flips += 1;
                thread::yield_now();
            }
            flips
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// How often the switches were thrown.
    fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Flipping {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Sends every request through a proxy to a server, while some of the hops are switched on and off.
async fn under_load(protocol: Protocol, flipped: impl Fn(&Hops) -> Vec<Control>) -> Hops {
    let hops = Hops {
        caller: Hop::always(),
        proxy: Hop::always(),
        server: Hop::never(),
    };
    let handler = service_fn(|request: Request<Incoming>| {
        let traceparents = request.headers().get_all("traceparent").iter().count();
        assert_eq!(traceparents, 1);
        let path = Bytes::from(request.uri().path().to_owned());
        let steps = [BodyStep::Data(path), BodyStep::Pending, BodyStep::data(".")];
        ready(Ok::<_, Infallible>(Response::new(scripted(steps).0)))
    });
    let upstream = Server::start(hops.server.server_layer().layer(handler)).await;
    let forward = hops.proxy.client_layer().layer(client(protocol));
    let proxy = proxy(forward, upstream.address(), protocol);
    let proxy = Server::start(hops.proxy.server_layer().layer(proxy)).await;
    let client = hops.caller.client_layer().layer(client::<Body>(protocol));

    let flipping = Flipping::start(flipped(&hops));
    let callers = (0..CALLERS).map(|caller| {
        let (client, proxy) = (client.clone(), proxy.uri(""));
        tokio::spawn(async move {
            for n in 0..REQUESTS_EACH {
                let uri = format!("{proxy}{caller}-{n}").parse().unwrap();
                let answer = read(ask(client.clone(), get(uri)).await).await;
                assert_eq!(answer.data, format!("/{caller}-{n}."));
            }
        })
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
    assert!(flipping.stop() > 100);
    drop(client);
    within(proxy.idle()).await;
    let recorded = hops.proxy.started();
    assert!(
        0 < recorded && recorded < 2 * REQUESTS,
        "always on, or always off"
    );
    hops
}

struct Hops {
    caller: Hop,
    proxy: Hop,
    server: Hop,
}

impl Hops {
    /// That every span that began has ended, and says all that it has to; by its id.
    fn whole(&self) -> HashMap<SpanId, SpanData> {
        let mut all = HashMap::new();
        for hop in [&self.caller, &self.proxy, &self.server] {
            let finished = hop.finished();
            assert_eq!(finished.len(), hop.started());
            for span in finished {
                assert_no_duplicate_attributes(&span);
                assert_outcome(&span, Outcome::Completed);
                for key in [
                    "http.request.method",
                    "server.address",
                    "server.port",
                    "network.protocol.version",
                ] {
                    assert!(attribute(&span, key).is_some(), "{key}: {span:?}");
                }
                assert_eq!(
                    attribute(&span, "http.response.status_code"),
                    Some(200.into())
                );
                let id = span.span_context.span_id();
                assert!(all.insert(id, span).is_none(), "two spans {id}");
            }
        }
        all
    }
}

async fn a_flipping_proxy(protocol: Protocol) {
    let hops = under_load(protocol, |hops| vec![hops.proxy.control()]).await;
    // Callers and server are on all the time, and every caller asks for its trace.
    hops.caller.ended(REQUESTS).await;
    hops.server.ended(REQUESTS).await;
    let all = hops.whole();
    for span in all.values() {
        if span.parent_span_id == SpanId::INVALID {
            assert_eq!(span.span_kind, SpanKind::Client);
            continue;
        }
        let parent = all
            .get(&span.parent_span_id)
            .expect("every parent was recorded");
        assert_eq!(span.span_context.trace_id(), parent.span_context.trace_id());
    }
    let traces = all
        .values()
        .filter(|span| span.parent_span_id == SpanId::INVALID);
    assert_eq!(traces.count(), REQUESTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_is_switched_on_and_off_cuts_no_trace_over_http_1() {
    a_flipping_proxy(Protocol::Http1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_is_switched_on_and_off_cuts_no_trace_over_http_2() {
    a_flipping_proxy(Protocol::Http2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_are_all_switched_on_and_off_leave_no_half_span() {
    for protocol in Protocol::ALL {
        let hops = under_load(protocol, |hops| {
            vec![hops.proxy.control(), hops.server.control()]
        })
        .await;
        hops.caller.ended(REQUESTS).await;
        hops.whole();
    }
}
