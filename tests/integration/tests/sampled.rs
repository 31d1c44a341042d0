//! Who decides what is recorded: the caller, over the wire; and a hop that is switched off cuts nothing.

use std::convert::Infallible;
use std::future::ready;

use http::{Request, Response};
use hyper::body::Incoming;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceId};
use tokio::sync::mpsc;
use tower::{Layer, service_fn};
use towline_integration::{
    Body, Hop, Protocol, Server, ask, assert_joined, assert_nested, client, empty, get, proxy,
    read, within,
};
use towline_test_support::{Caller, assert_root};

/// A traced server that tells in which span its handler ran.
async fn last_hop(hop: &Hop) -> (Server, mpsc::UnboundedReceiver<SpanContext>) {
    let (tell, told) = mpsc::unbounded_channel();
    let handler = service_fn(move |_request: Request<Incoming>| {
        tell.send(Context::current().span().span_context().clone())
            .unwrap();
        ready(Ok::<_, Infallible>(Response::new(empty())))
    });
    (Server::start(hop.server_layer().layer(handler)).await, told)
}

/// A traced proxy before a server.
async fn before(upstream: &Server, hop: &Hop, protocol: Protocol) -> Server {
    let forward = hop.client_layer().layer(client(protocol));
    let proxy = proxy(forward, upstream.address(), protocol);
    Server::start(hop.server_layer().layer(proxy)).await
}

fn sampled_by(caller: &Caller, server: &Server) -> Request<Body> {
    Request::get(server.uri("/"))
        .header("traceparent", caller.traceparent())
        .body(empty())
        .unwrap()
}

#[tokio::test]
async fn a_sampled_caller_is_recorded_at_every_hop_although_the_rate_is_0() {
    for protocol in Protocol::ALL {
        let (caller, hop, last) = (Hop::always(), Hop::never(), Hop::never());
        let (upstream, _told) = last_hop(&last).await;
        let proxy = before(&upstream, &hop, protocol).await;
        let client = caller.client_layer().layer(client(protocol));
        read(ask(client, get(proxy.uri("/"))).await).await;

        let (server, client) = hop.server_and_client().await;
        assert_joined(&server, &caller.only().await);
        assert_nested(&client, &server);
        assert_joined(&last.only().await, &client);
    }
}

#[tokio::test]
async fn a_trace_that_nobody_samples_is_one_trace_all_the_same() {
    for protocol in Protocol::ALL {
        let (caller, hop, last) = (Hop::never(), Hop::always(), Hop::always());
        let (upstream, mut told) = last_hop(&last).await;
        let proxy = before(&upstream, &hop, protocol).await;
        let client = caller.client_layer().layer(client(protocol));
        for _ in 0..2 {
            read(ask(client.clone(), get(proxy.uri("/"))).await).await;
        }
        // Roots are recorded there, but these are none.
        for hop in [&caller, &hop, &last] {
            hop.ended(0).await;
        }
        let traces = [told.recv().await.unwrap(), told.recv().await.unwrap()];
        for context in &traces {
            assert!(context.is_valid());
            // Not sampled, and random.
            assert_eq!(context.trace_flags(), TraceFlags::new(0x02));
        }
        assert_ne!(traces[0].trace_id(), traces[1].trace_id());
    }
}

#[tokio::test]
async fn an_unsampled_caller_s_trace_id_reaches_the_last_handler() {
    for protocol in Protocol::ALL {
        let (hop, last) = (Hop::always(), Hop::always());
        let (upstream, mut told) = last_hop(&last).await;
        let proxy = before(&upstream, &hop, protocol).await;
        read(ask(client(protocol), sampled_by(&Caller::not_sampled(), &proxy)).await).await;
        let context = within(told.recv()).await.unwrap();
        assert_eq!(context.trace_id(), TraceId::from(Caller::TRACE_ID));
        assert!(!context.is_sampled());
        hop.ended(0).await;
        last.ended(0).await;
    }
}

#[tokio::test]
async fn a_proxy_that_is_switched_off_joins_what_is_before_it_to_what_is_behind() {
    for below in Protocol::ALL {
        for above in Protocol::ALL {
            let (caller, hop, last) = (Hop::always(), Hop::off(), Hop::never());
            let (upstream, _told) = last_hop(&last).await;
            let proxy = before(&upstream, &hop, above).await;
            let client = caller.client_layer().layer(client(below));
            read(ask(client, get(proxy.uri("/"))).await).await;
            assert_joined(&last.only().await, &caller.only().await);
            hop.ended(0).await;
        }
    }
}

#[tokio::test]
async fn a_switched_off_proxy_makes_no_context_where_there_was_none() {
    for protocol in Protocol::ALL {
        let (hop, last) = (Hop::off(), Hop::always());
        let (upstream, _told) = last_hop(&last).await;
        let proxy = before(&upstream, &hop, protocol).await;
        read(ask(client(protocol), get(proxy.uri("/"))).await).await;
        assert_root(&last.only().await);
        hop.ended(0).await;
    }
}

#[tokio::test]
async fn a_switched_off_server_runs_its_handler_in_the_caller_s_context() {
    for protocol in Protocol::ALL {
        let off = Hop::off();
        let (server, mut told) = last_hop(&off).await;
        let caller = Caller::sampled().with_tracestate("a", "1");
        let mut request = sampled_by(&caller, &server);
        let tracestate = caller.tracestate().parse().unwrap();
        request.headers_mut().insert("tracestate", tracestate);
        read(ask(client(protocol), request).await).await;
        assert_eq!(within(told.recv()).await.unwrap(), caller.span_context());

        read(ask(client(protocol), get(server.uri("/"))).await).await;
        assert!(!within(told.recv()).await.unwrap().is_valid());
        off.ended(0).await;
    }
}

#[tokio::test]
async fn a_switched_off_program_hands_its_caller_s_context_on_in_requests_of_its_own() {
    for protocol in Protocol::ALL {
        let (caller, off, last) = (Hop::always(), Hop::off(), Hop::never());
        let (upstream, _told) = last_hop(&last).await;
        let forward = off.client_layer().layer(client::<Body>(protocol));
        let uri = upstream.uri("/");
        // No proxy: no header of the request gets into the other by itself.
        let handler = service_fn(move |_request: Request<Incoming>| {
            let (forward, uri) = (forward.clone(), uri.clone());
            async {
                read(ask(forward, get(uri)).await).await;
                Ok::<_, Infallible>(Response::new(empty()))
            }
        });
        let server = Server::start(off.server_layer().layer(handler)).await;
        let client = caller.client_layer().layer(client(protocol));
        read(ask(client, get(server.uri("/"))).await).await;
        assert_joined(&last.only().await, &caller.only().await);
        off.ended(0).await;
    }
}
