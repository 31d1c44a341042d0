//! Propagators that are not ours, on header maps.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use towline_propagation::{CompositePropagator, Propagator, TRACEPARENT};

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name: HeaderName = name.parse().expect("a legal name");
        headers.append(
            name,
            HeaderValue::from_bytes(value.as_bytes()).expect("a legal value"),
        );
    }
    headers
}

#[derive(Debug)]
struct XTrace(Vec<String>);

impl XTrace {
    fn new() -> Self {
        Self(vec!["x-trace".to_owned()])
    }
}

impl TextMapPropagator for XTrace {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        injector.set("x-trace", cx.span().span_context().trace_id().to_string());
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        match extractor.get("x-trace").map(TraceId::from_hex) {
            Some(Ok(id)) => cx.with_remote_span_context(SpanContext::new(
                id,
                SpanId::from(1),
                TraceFlags::default(),
                true,
                TraceState::NONE,
            )),
            _ => cx.clone(),
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.0)
    }
}

#[test]
fn a_custom_propagator_puts_the_parent_into_the_context_itself() {
    let propagator = Propagator::custom(XTrace::new());
    let extraction = propagator.extract(&headers(&[("x-trace", "2a")]), &Context::new());
    assert_eq!(extraction.parent, None);
    assert_eq!(
        extraction.parent_span_context().trace_id(),
        TraceId::from(0x2a)
    );
    let context = extraction.into_context();
    assert!(context.span().span_context().is_remote());

    let mut map = HeaderMap::new();
    propagator.inject(&context, &mut map);
    assert_eq!(
        map,
        headers(&[("x-trace", "0000000000000000000000000000002a")])
    );
}

#[test]
fn a_custom_propagator_is_asked_for_its_fields() {
    for (fields, names) in [
        (&["x-trace", "X-Other"][..], &["x-trace", "x-other"][..]),
        (&[], &["x-trace", "x-other", "x-any"]),
    ] {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        let propagator = Propagator::custom(XTrace(fields));
        assert!(!propagator.fields_present(&HeaderMap::new()));
        for name in ["x-trace", "x-other", "x-any"] {
            let present = propagator.fields_present(&headers(&[(name, "")]));
            assert_eq!(present, names.contains(&name), "{propagator:?}: {name}");
        }
    }
}

#[test]
fn a_second_traceparent_that_is_no_text_counts_on_both_paths() {
    let mut map = headers(&[("traceparent", PARENT)]);
    map.append(TRACEPARENT, HeaderValue::from_bytes(b"\xff").unwrap());
    for propagator in [
        Propagator::w3c(),
        Propagator::custom(CompositePropagator::w3c()),
    ] {
        let extraction = propagator.extract(&map, &Context::new());
        assert!(
            !extraction.parent_span_context().is_valid(),
            "{propagator:?}"
        );
    }
}

#[test]
fn a_custom_propagator_cannot_break_the_headers() {
    #[derive(Debug)]
    struct Careless;
    impl TextMapPropagator for Careless {
        fn inject_context(&self, _: &Context, injector: &mut dyn Injector) {
            injector.set("not a name", "1".to_owned());
            injector.set("x-a", "1\r\nx-b: 2".to_owned());
            injector.set("X-C", "3".to_owned());
        }

        fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
            assert_eq!(extractor.keys(), ["x-a", "x-b"]);
            assert_eq!(extractor.get("x-a"), Some("1"));
            assert_eq!(extractor.get_all("X-A"), Some(vec!["1", "2"]));
            assert_eq!(
                (extractor.get("x-b"), extractor.get_all("x-c")),
                (None, None)
            );
            cx.clone()
        }

        fn fields(&self) -> FieldIter<'_> {
            FieldIter::new(&[])
        }
    }
    let propagator = Propagator::custom(Careless);
    let mut map = HeaderMap::new();
    propagator.inject(&Context::new(), &mut map);
    assert_eq!(map, headers(&[("x-c", "3")]));
    let map = headers(&[("x-a", "1"), ("x-a", "2"), ("x-b", "\u{e9}")]);
    let _ = propagator.extract(&map, &Context::new());
}

#[test]
fn shows_what_it_holds() {
    let propagator = Propagator::custom(XTrace::new());
    assert_eq!(
        format!("{propagator:?}"),
        r#"Propagator(XTrace(["x-trace"]))"#
    );
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
