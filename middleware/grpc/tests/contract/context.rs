//! Where the context comes from and goes to, and where the layers go.

use super::*;

#[test]
fn grpc_trace_bin_is_read_on_request_and_passed_on_when_off() {
    let trace_bin = "AAAK92UZFs1D3YRI6yEcgDGcAbeta3FpIDMxAgE";
    let request = || {
        let request = Request::post("/a.B/C").header("grpc-trace-bin", trace_bin);
        request.body(()).unwrap()
    };
    let tracing = TestTracing::always();
    let layer = server::TraceLayer::from_spans(tracing.spans());
    drive(layer.layer(scripted(ok())), request());
    assert_root(&tracing.only());

    tracing.reset();
    drive(layer.with_grpc_trace_bin().layer(scripted(ok())), request());
    assert_child_of(&tracing.only(), &Caller::sampled().span_context());
    assert!(tracing.only().parent_span_is_remote);

    let off = TestTracing::off();
    let service = service_fn(|request: Request<()>| {
        let sent = request.headers()["traceparent"]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(sent, Caller::sampled().traceparent());
        ok()
    });
    let service = client::TraceLayer::from_spans(off.spans()).layer(service);
    let layer = server::TraceLayer::from_spans(off.spans()).with_grpc_trace_bin();
    drive(layer.layer(service), request());
    off.assert_none();
}

#[test]
fn after_a_shutdown_the_callers_context_is_passed_on() {
    let tracing = TestTracing::always();
    tracing.shutdown();
    let service = service_fn(|request: Request<()>| {
        assert_eq!(
            request.headers()["traceparent"],
            &*Caller::sampled().traceparent()
        );
        ok()
    });
    let service = client::TraceLayer::from_spans(tracing.spans()).layer(service);
    let layer = server::TraceLayer::from_spans(tracing.spans());
    let request = Request::post("/a.B/C").header("traceparent", Caller::sampled().traceparent());
    drive(layer.layer(service), request.body(()).unwrap());
    tracing.assert_none();
}

#[test]
fn layers_and_services_go_wherever_the_services_inside_go() {
    fn everywhere<T: Clone + Send + Sync + std::fmt::Debug + 'static>() {}
    type Server = server::TraceLayer<SdkTracer>;
    type Client = client::TraceLayer<SdkTracer>;
    everywhere::<Server>();
    everywhere::<Client>();
    everywhere::<server::Trace<(), SdkTracer>>();
    everywhere::<client::Trace<(), SdkTracer>>();
    everywhere::<ByContentType<towline_http::server::TraceLayer<SdkTracer>, Server>>();
    // Neither the service nor its errors need to be more than they are.
    let tracing = TestTracing::always();
    let not_clone = std::cell::Cell::new(0);
    let mut service =
        server::TraceLayer::from_spans(tracing.spans()).layer(service_fn(|_: Request<()>| {
            not_clone.set(1);
            ScriptedFuture::ready(Ok::<_, Infallible>(Response::new(ScriptedBody::new(
                &Probe::new(),
                [],
            ))))
        }));
    drop(service.call(Request::post("/a.B/C").body(()).unwrap()));
    assert_eq!(not_clone.get(), 1);
    assert_outcome(&tracing.only(), Outcome::CancelledBeforeResponse);
}
