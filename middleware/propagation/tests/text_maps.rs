//! Carriers that are no header maps, and that both paths agree.

use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    baggage::BaggageExt,
    propagation::{Extractor, TextMapPropagator},
    trace::TraceContextExt,
};
use proptest::prelude::*;
use towline_propagation::{
    BaggagePropagator, CompositePropagator, Propagator, TraceContextPropagator,
};

/// A carrier with several values for a field, and a choice of how it tells them.
struct Lines {
    lines: Vec<(&'static str, String)>,
    get_all: GetAll,
}

enum GetAll {
    Answers,
    FindsNothing,
    FindsAnEmptyList,
}

impl Lines {
    fn new(lines: &[(&'static str, &str)]) -> Self {
        Self {
            lines: lines
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
            get_all: GetAll::Answers,
        }
    }
}

impl Extractor for Lines {
    fn get(&self, key: &str) -> Option<&str> {
        let mut lines = self.lines.iter();
        lines.find_map(|(name, value)| (*name == key).then_some(value.as_str()))
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let lines = self.lines.iter().filter(|(name, _)| *name == key);
        let lines: Vec<&str> = lines.map(|(_, value)| value.as_str()).collect();
        match self.get_all {
            GetAll::Answers => (!lines.is_empty()).then_some(lines),
            GetAll::FindsNothing => None,
            GetAll::FindsAnEmptyList => Some(Vec::new()),
        }
    }

    fn keys(&self) -> Vec<&str> {
        self.lines.iter().map(|(name, _)| *name).collect()
    }
}

fn pass_on(carrier: &dyn Extractor) -> HashMap<String, String> {
    let propagator = CompositePropagator::w3c();
    let context = propagator.extract_with_context(&Context::new(), carrier);
    let mut sent = HashMap::new();
    propagator.inject_context(&context, &mut sent);
    sent
}

fn map(lines: &[(&str, &str)]) -> HashMap<String, String> {
    lines
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn reads_all_values_of_a_field() {
    let carrier = Lines::new(&[
        ("traceparent", PARENT),
        ("tracestate", "a=1,foo@@bar=2"),
        ("tracestate", "b=3"),
        ("baggage", "x=1"),
        ("baggage", "y=2"),
    ]);
    let expected = [
        ("traceparent", PARENT),
        ("tracestate", "a=1,foo@@bar=2,b=3"),
        ("baggage", "x=1,y=2"),
    ];
    assert_eq!(pass_on(&carrier), map(&expected));
}

#[test]
fn falls_back_to_one_value_of_a_field() {
    let lines = [
        ("traceparent", PARENT),
        ("tracestate", "a=1"),
        ("baggage", "x=1"),
    ];
    assert_eq!(pass_on(&map(&lines)), map(&lines), "a map of strings");
    for get_all in [GetAll::FindsNothing, GetAll::FindsAnEmptyList] {
        let mut carrier = Lines::new(&lines);
        carrier.get_all = get_all;
        assert_eq!(
            pass_on(&carrier),
            map(&lines),
            "a carrier that answers for one value only"
        );
    }
}

#[test]
fn two_traceparents_are_none() {
    let carrier = Lines::new(&[
        ("traceparent", PARENT),
        ("traceparent", PARENT),
        ("tracestate", "a=1"),
    ]);
    assert_eq!(pass_on(&carrier), map(&[]));
}

#[test]
fn a_malformed_field_is_as_good_as_absent() {
    assert_eq!(
        pass_on(&map(&[("traceparent", "x"), ("tracestate", "a=1")])),
        map(&[])
    );
    assert_eq!(pass_on(&map(&[("tracestate", "a=1")])), map(&[]));
    assert_eq!(
        pass_on(&map(&[
            ("traceparent", PARENT),
            ("tracestate", "A=1"),
            ("baggage", "x")
        ])),
        map(&[("traceparent", PARENT)])
    );
}

#[test]
fn an_absent_field_leaves_the_context_alone() {
    let lines = map(&[("traceparent", PARENT), ("baggage", "x=1")]);
    let context = CompositePropagator::w3c().extract_with_context(&Context::new(), &lines);
    for carrier in [map(&[]), map(&[("traceparent", "x"), ("baggage", "x")])] {
        let context = CompositePropagator::w3c().extract_with_context(&context, &carrier);
        assert_eq!(
            context.span().span_context().span_id().to_string(),
            "b7ad6b7169203331"
        );
        assert_eq!(context.baggage().len(), 1);
    }
}

#[test]
fn lists_its_fields_in_order_and_once() {
    assert!(
        TraceContextPropagator::new()
            .fields()
            .eq(["traceparent", "tracestate"])
    );
    assert!(BaggagePropagator::new().fields().eq(["baggage"]));
    assert!(CompositePropagator::new().fields().eq([""; 0]));
    let composite = CompositePropagator::w3c()
        .with(BaggagePropagator::new())
        .with(TraceContextPropagator::new());
    assert!(
        composite
            .fields()
            .eq(["traceparent", "tracestate", "baggage"])
    );
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,40}",
        "[a-c@]{1,3}=[a-c]{1,3}(,[a-c@]{1,3}=[a-c]{1,3}){0,5}",
        "0[01]-0{30}[0-9a-f]{2}-0{14}[0-9a-f]{2}-0[0-9a-f](-x)?",
        Just(PARENT.to_owned()),
    ]
}

proptest! {
    #[test]
    fn both_paths_send_the_same(
        traceparent in proptest::collection::vec(value(), 0..3),
        tracestate in proptest::collection::vec(value(), 0..4),
        baggage in proptest::collection::vec(value(), 0..4),
    ) {
        let mut lines = Vec::new();
        for (name, values) in [("traceparent", traceparent), ("tracestate", tracestate), ("baggage", baggage)] {
            lines.extend(values.into_iter().map(|value| (name, value)));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }

        let text_map = pass_on(&Lines { lines, get_all: GetAll::Answers });

        let mut direct = HeaderMap::new();
        let propagator = Propagator::w3c();
        propagator.inject(&propagator.extract(&headers, &Context::new()).into_context(), &mut direct);
        let mut custom = HeaderMap::new();
        let propagator = Propagator::custom(CompositePropagator::w3c());
        propagator.inject(&propagator.extract(&headers, &Context::new()).into_context(), &mut custom);

        prop_assert_eq!(&direct, &custom);
        prop_assert_eq!(direct.len(), text_map.len());
        for (name, value) in &direct {
            prop_assert_eq!(text_map.get(name.as_str()).map(String::as_str), value.to_str().ok());
        }
    }
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
