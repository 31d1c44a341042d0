//! What holds for whatever is stamped, as a decoder sees it. The fuzz target `stamp` uses it too.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message;
use towline_forwarder::stamp::FORWARDED_FOR;
use towline_forwarder::{Stamp, StampError};
use towline_otlp::Batch;
use towline_otlp::wire::{Payload, Reader};

/// Stamps `bytes` for `identity`, at the default place and with the default key, and checks what
/// comes out.
pub(crate) fn stamped(stamp: &Stamp, identity: &str, bytes: &[u8]) -> Result<Batch, StampError> {
    let request = Bytes::copy_from_slice(bytes);
    let batch = stamp.apply(&request)?;

    let decoded = ExportTraceServiceRequest::decode(batch.bytes().clone())
        .expect("a decoder reads what was stamped");
    let ours = string(FORWARDED_FOR, identity);
    let mut spans = 0;
    for resource_spans in &decoded.resource_spans {
        let resource = resource_spans.resource.as_ref().expect("a resource");
        assert_only(&ours, &resource.attributes);
        for scope_spans in &resource_spans.scope_spans {
            if let Some(scope) = &scope_spans.scope {
                assert_none(&scope.attributes);
            }
            for span in &scope_spans.spans {
                spans += 1;
                assert_only(&ours, &span.attributes);
                let events = span.events.iter().map(|event| &event.attributes);
                let links = span.links.iter().map(|link| &link.attributes);
                events.chain(links).for_each(|all| assert_none(all));
            }
        }
    }
    assert_eq!(batch.spans(), spans);
    assert_eq!(Batch::parse(batch.bytes().clone()).as_ref(), Ok(&batch));
    assert!(!has_library_spans(batch.bytes()));

    let again = stamp.apply(batch.bytes()).expect("what was stamped");
    assert_eq!(again, batch, "the same stamp twice");
    Ok(batch)
}

/// An attribute that is a string.
pub(crate) fn string(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.into())),
        }),
        ..KeyValue::default()
    }
}

/// `ours` is there once, behind all others.
fn assert_only(ours: &KeyValue, attributes: &[KeyValue]) {
    let (last, others) = attributes.split_last().expect("an attribute");
    assert_eq!(last, ours);
    assert_none(others);
}

fn assert_none(attributes: &[KeyValue]) {
    for attribute in attributes {
        assert!(!flat_keys(attribute).iter().any(|key| key == FORWARDED_FOR));
    }
    assert_none_nested(attributes);
}

fn assert_none_nested(attributes: &[KeyValue]) {
    for attribute in attributes {
        assert_ne!(attribute.key, FORWARDED_FOR);
        if let Some(value) = &attribute.value {
            assert_none_in(value);
        }
    }
}

fn assert_none_in(value: &AnyValue) {
    match &value.value {
        Some(Value::KvlistValue(list)) => assert_none_nested(&list.values),
        Some(Value::ArrayValue(array)) => array.values.iter().for_each(assert_none_in),
        _ => {}
    }
}

/// The keys that a backend makes of an attribute when it flattens values.
fn flat_keys(attribute: &KeyValue) -> Vec<String> {
    let mut keys = vec![attribute.key.clone()];
    let mut pairs = vec![];
    let mut values: Vec<&AnyValue> = attribute.value.iter().collect();
    while let Some(value) = values.pop() {
        match &value.value {
            Some(Value::KvlistValue(list)) => pairs.extend(&list.values),
            Some(Value::ArrayValue(array)) => values.extend(&array.values),
            _ => {}
        }
    }
    for pair in pairs {
        let inner = flat_keys(pair);
        keys.extend(inner.iter().map(|key| format!("{}.{key}", attribute.key)));
    }
    keys
}

/// Whether a `ResourceSpans` has the field that only the Collector still reads.
fn has_library_spans(request: &[u8]) -> bool {
    let fields = Reader::new(request).map(|field| field.expect("a request"));
    fields
        .filter(|field| field.number == 1)
        .any(|field| match field.payload {
            Payload::Len(resource_spans) => Reader::new(resource_spans)
                .any(|field| field.is_ok_and(|field| field.number == 1000)),
            _ => false,
        })
}
