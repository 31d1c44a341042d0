//! OTLP's JSON to its binary form.
//!
//! What is read is written at once, without structures in between: three bytes of JSON (`{},`) would
//! become a span of some 300, so that a request within the limit could ask for gigabytes. What comes
//! out here is never longer than about two times what went in.
//!
//! The rules are those of [OTLP] over those of [protobuf's JSON]: ids are hexadecimal, other bytes
//! base64; enumerations are numbers, and their names are taken as well; 64-bit integers are strings
//! or numbers; `null` is as good as absent; unknown keys are skipped; keys are lowerCamelCase alone.
//! Of a key that stands there twice protobuf leaves open what it means: both are written, which the
//! receiver merges or has the last one count.
//!
//! [OTLP]: https://github.com/open-telemetry/opentelemetry-proto/blob/v1.10.0/docs/specification.md#json-protobuf-encoding
//! [protobuf's JSON]: https://protobuf.dev/programming-guides/json/

mod scalar;
mod schema;
mod transcode;

use bytes::Bytes;
use serde::de::DeserializeSeed;

use self::schema::REQUEST;
use self::transcode::{Output, Transcode};
use crate::failure::{Failure, FailureKind};
use crate::limits::{Bounded, Held};

/// Writes an `ExportTraceServiceRequest` in JSON as protobuf, into `buffer`.
pub(crate) fn to_protobuf(json: &[u8], buffer: Bounded) -> Result<(Bytes, Held), Failure> {
    let mut output = Output::new(buffer);
    let mut reader = serde_json::Deserializer::from_slice(json);
    let read = Transcode::new(&REQUEST, &mut output)
        .deserialize(&mut reader)
        .and_then(|()| reader.end());
    read.map_err(|error| {
        output.take_refused().unwrap_or_else(|| {
            Failure::new(
                FailureKind::Malformed,
                format!("not an OTLP trace request in JSON: {error}"),
            )
        })
    })?;
    Ok(output.into_buffer().into_bytes())
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{
        AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
    };
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::limits::Budget;

    fn to_protobuf(json: &[u8], max_bytes: usize) -> Result<Bytes, Failure> {
        let held = Budget::new(usize::MAX).hold();
        super::to_protobuf(json, Bounded::new(max_bytes, held)).map(|(bytes, _)| bytes)
    }

    fn convert(json: &str) -> Result<ExportTraceServiceRequest, Failure> {
        let bytes = to_protobuf(json.as_bytes(), 1 << 20)?;
        Ok(ExportTraceServiceRequest::decode(&bytes[..]).expect("what is written can be read"))
    }

    /// The only span of a request whose span is `json`.
    fn span(json: &str) -> Result<Span, Failure> {
        let request = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{json}]}}]}}]}}"#);
        let mut request = convert(&request)?;
        Ok(request
            .resource_spans
            .remove(0)
            .scope_spans
            .remove(0)
            .spans
            .remove(0))
    }

    /// What the attribute `value` becomes.
    fn value(json: &str) -> Result<Option<Value>, Failure> {
        let json = format!(r#"{{"attributes":[{{"key":"k","value":{json}}}]}}"#);
        Ok(span(&json)?
            .attributes
            .remove(0)
            .value
            .and_then(|value| value.value))
    }

    #[test]
    fn reads_the_example_of_the_specification() {
        let request = convert(
            r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my.service"}}]},
            "scopeSpans":[{"scope":{"name":"my.library","version":"1.0.0","attributes":[{"key":"a","value":{"stringValue":"b"}}]},
            "spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","parentSpanId":"EEE19B7EC3C1B173",
            "name":"I'm a server span","startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000","kind":2,
            "attributes":[{"key":"my.span.attr","value":{"stringValue":"some value"}}]}]}]}]}"#,
        )
        .unwrap();
        let resource = &request.resource_spans[0];
        assert_eq!(
            resource.resource.as_ref().unwrap().attributes[0].key,
            "service.name"
        );
        let scope = &resource.scope_spans[0];
        assert_eq!(scope.scope.as_ref().unwrap().version, "1.0.0");
        let span = &scope.spans[0];
        assert_eq!(span.trace_id[..3], [0x5b, 0x8e, 0xff]);
        assert_eq!(span.parent_span_id, 0xeee1_9b7e_c3c1_b173_u64.to_be_bytes());
        assert_eq!((span.kind, span.name.as_str()), (2, "I'm a server span"));
        assert_eq!(span.end_time_unix_nano, 1_544_712_661_000_000_000);
    }

    #[test]
    fn values_are_what_protobufs_json_makes_of_them() {
        let text = |text: &str| Some(Value::StringValue(text.to_owned()));
        for (json, expected) in [
            (r#"{"stringValue":"x"}"#, text("x")),
            (r#"{"stringValue":""}"#, text("")),
            (r#"{"stringValue":"\u00e4\n\ud83d\ude00"}"#, text("ä\n😀")),
            (r#"{"boolValue":true}"#, Some(Value::BoolValue(true))),
            (r#"{"boolValue":false}"#, Some(Value::BoolValue(false))),
            (r#"{"intValue":"-7"}"#, Some(Value::IntValue(-7))),
            (r#"{"intValue":-7}"#, Some(Value::IntValue(-7))),
            (
                r#"{"intValue":"9223372036854775807"}"#,
                Some(Value::IntValue(i64::MAX)),
            ),
            (r#"{"intValue":5.0}"#, Some(Value::IntValue(5))),
            (r#"{"intValue":"1e3"}"#, Some(Value::IntValue(1000))),
            (r#"{"doubleValue":1}"#, Some(Value::DoubleValue(1.0))),
            (r#"{"doubleValue":0.1}"#, Some(Value::DoubleValue(0.1))),
            (r#"{"doubleValue":"0.5"}"#, Some(Value::DoubleValue(0.5))),
            (
                r#"{"doubleValue":"-Infinity"}"#,
                Some(Value::DoubleValue(f64::NEG_INFINITY)),
            ),
            (
                r#"{"bytesValue":"AQID"}"#,
                Some(Value::BytesValue(vec![1, 2, 3])),
            ),
            (
                r#"{"bytesValue":"_-8"}"#,
                Some(Value::BytesValue(vec![0xff, 0xef])),
            ),
            (
                r#"{"bytesValue":"/+8="}"#,
                Some(Value::BytesValue(vec![0xff, 0xef])),
            ),
            (
                r#"{"arrayValue":{}}"#,
                Some(Value::ArrayValue(ArrayValue { values: vec![] })),
            ),
            (
                r#"{"kvlistValue":{"values":null}}"#,
                Some(Value::KvlistValue(KeyValueList { values: vec![] })),
            ),
            (r#"{"stringValue":null}"#, None),
            (r#"{"laterValue":{"a":[1,2,{}]}}"#, None),
            ("{}", None),
            ("null", None),
        ] {
            assert_eq!(value(json).unwrap(), expected, "{json}");
        }
        let nan = value(r#"{"doubleValue":"NaN"}"#).unwrap();
        assert!(matches!(nan, Some(Value::DoubleValue(nan)) if nan.is_nan()));
    }

    #[test]
    fn enumerations_are_numbers_or_names() {
        for (json, kind, code) in [
            (r#"{"kind":3,"status":{"code":2}}"#, 3, 2),
            (
                r#"{"kind":"SPAN_KIND_CLIENT","status":{"code":"STATUS_CODE_ERROR"}}"#,
                3,
                2,
            ),
            (r#"{"kind":"2","status":{"code":1}}"#, 2, 1),
            // Of a later version.
            (r#"{"kind":77,"status":{"code":null}}"#, 77, 0),
            (r#"{"kind":"SPAN_KIND_LATER"}"#, 0, 0),
        ] {
            let span = span(json).unwrap();
            assert_eq!(span.kind, kind, "{json}");
            assert_eq!(span.status.unwrap_or_default().code, code, "{json}");
        }
    }

    #[test]
    fn what_is_unknown_is_skipped_and_null_is_absent() {
        let read = span(
            r#"{"name":"n","later":{"a":[{"b":null}],"c":1.5e300},"attributes":null,"traceState":null,
            "span_id":"not hex, and not ours","events":[],"links":[null]}"#,
        );
        // A list has no place for nothing.
        assert_eq!(read.unwrap_err().kind(), FailureKind::Malformed);
        let read = span(r#"{"name":"n","later":[[[]]],"attributes":null,"span_id":"zz"}"#).unwrap();
        assert_eq!(
            read,
            Span {
                name: "n".to_owned(),
                ..Span::default()
            }
        );
        assert_eq!(convert("{}").unwrap(), ExportTraceServiceRequest::default());
        assert_eq!(
            convert(r#"{"resourceSpans":null}"#).unwrap(),
            ExportTraceServiceRequest::default()
        );
    }

    #[test]
    fn what_is_not_a_request_is_refused() {
        for json in [
            "",
            " ",
            "null",
            "[]",
            "1",
            "\"\"",
            "{",
            "{} {}",
            "{}x",
            "{\"resourceSpans\":{}}",
            "{\"resourceSpans\":[1]}",
            "{\"resourceSpans\":\"x\"}",
            "{\"a\":\"\u{1}\"}",
            "{\"a\":01}",
        ] {
            let failure = convert(json).unwrap_err();
            assert_eq!(failure.kind(), FailureKind::Malformed, "{json}");
        }
        for json in [
            r#"{"traceId":"xyz"}"#,
            r#"{"traceId":"abc"}"#,
            r#"{"traceId":7}"#,
            r#"{"name":7}"#,
            r#"{"name":["x"]}"#,
            r#"{"startTimeUnixNano":"-1"}"#,
            r#"{"startTimeUnixNano":-1}"#,
            r#"{"startTimeUnixNano":"18446744073709551616"}"#,
            r#"{"startTimeUnixNano":1.5}"#,
            r#"{"startTimeUnixNano":true}"#,
            r#"{"startTimeUnixNano":""}"#,
            r#"{"flags":4294967296}"#,
            r#"{"kind":1.5}"#,
            r#"{"kind":3000000000}"#,
            r#"{"attributes":[{"key":1}]}"#,
            r#"{"status":[]}"#,
            r#"{"attributes":{"key":"k"}}"#,
            r#"{"name":"\ud800"}"#,
        ] {
            let failure = span(json).unwrap_err();
            assert_eq!(failure.kind(), FailureKind::Malformed, "{json}");
        }
        for json in [
            r#"{"intValue":"x"}"#,
            r#"{"intValue":1e30}"#,
            r#"{"intValue":"9223372036854775808"}"#,
            r#"{"boolValue":1}"#,
            r#"{"boolValue":"true"}"#,
            r#"{"doubleValue":"x"}"#,
            r#"{"doubleValue":""}"#,
            r#"{"bytesValue":"*"}"#,
            r#"{"bytesValue":[1]}"#,
            r#"{"arrayValue":[]}"#,
            "7",
        ] {
            let failure = value(json).unwrap_err();
            assert_eq!(failure.kind(), FailureKind::Malformed, "{json}");
        }
        // Not UTF-8.
        let failure =
            to_protobuf(b"{\"resourceSpans\":[{\"schemaUrl\":\"\xff\"}]}", 100).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Malformed);
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |depth: usize| {
            let open = r#"{"arrayValue":{"values":["#.repeat(depth);
            value(&format!("{open}{}", "]}}".repeat(depth)))
        };
        assert!(nested(20).is_ok());
        assert_eq!(nested(100_000).unwrap_err().kind(), FailureKind::Malformed);
        let brackets = "[".repeat(1 << 20);
        assert!(convert(&format!(r#"{{"later":{brackets}"#)).is_err());
    }

    #[test]
    fn what_comes_out_has_a_limit() {
        let json = br#"{"resourceSpans":[{"schemaUrl":"abcdefghij"}]}"#;
        let whole = to_protobuf(json, 1000).unwrap();
        assert_eq!(to_protobuf(json, whole.len()).unwrap(), whole);
        for max_bytes in 0..whole.len() {
            let failure = to_protobuf(json, max_bytes).unwrap_err();
            assert_eq!(failure.kind(), FailureKind::TooLarge, "{max_bytes}");
        }
    }

    #[test]
    fn what_comes_out_takes_of_the_memory_of_all() {
        let json = br#"{"resourceSpans":[{"schemaUrl":"abcdefghij"}]}"#;
        let budget = Budget::new(1 << 20);
        let buffer = || Bounded::new(1000, budget.hold());
        let (bytes, held) = super::to_protobuf(json, buffer()).unwrap();
        assert!(budget.used() >= bytes.len());
        let mut other = budget.hold();
        other.resize((1 << 20) - budget.used()).unwrap();
        let failure = super::to_protobuf(json, buffer()).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Busy);
        drop((held, other));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_is_wrong_is_said_without_repeating_it() {
        for (json, expected) in [
            (
                r#""secret""#,
                "invalid type: string, expected an object for request",
            ),
            (
                r#"{"resourceSpans":"secret"}"#,
                "invalid type: string, expected a list for resourceSpans",
            ),
            (
                r#"{"resourceSpans":[{"resource":"secret"}]}"#,
                "invalid type: string, expected an object for resource",
            ),
            (
                r#"{"resourceSpans":[{"resource":{"droppedAttributesCount":"secret"}}]}"#,
                "expected an unsigned 32-bit integer for droppedAttributesCount",
            ),
        ] {
            let failure = convert(json).unwrap_err();
            assert!(
                failure.message().contains(expected),
                "{}",
                failure.message()
            );
            assert!(!failure.message().contains("secret"));
        }
    }

    /// `serde_json` with `arbitrary_precision`, which anybody in a program can switch on for all.
    #[test]
    fn a_number_may_come_as_the_only_value_of_a_map() {
        use serde::de::Error;
        use serde::de::value::{Error as ValueError, MapDeserializer};
        let read = |key: &'static str, number: &'static str| {
            let mut output = Output::new(Bounded::new(100, Budget::new(1000).hold()));
            let field = schema::ANY_VALUE.field("intValue").unwrap();
            let map = MapDeserializer::<_, ValueError>::new([(key, number)].into_iter());
            serde::Deserializer::deserialize_any(map, scalar::Scalar::new(field, &mut output))
                .map(|()| output.into_buffer().into_bytes().0)
        };
        let key = "$serde_json::private::Number";
        assert_eq!(read(key, "150").unwrap(), &[0x18, 0x96, 0x01][..]);
        assert_eq!(read(key, "1e2").unwrap(), &[0x18, 100][..]);
        for (key, number) in [("x", "150"), (key, "x"), (key, "1e30")] {
            let expected = ValueError::custom("expected a 64-bit integer for intValue");
            assert_eq!(read(key, number).unwrap_err(), expected);
        }
    }

    #[test]
    fn what_is_cut_short_is_refused_everywhere() {
        let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","kind":"SPAN_KIND_SERVER","attributes":[{"key":"k","value":{"arrayValue":{"values":[{"intValue":"5"},{"doubleValue":0.5}]}}}]}]}]}]}"#;
        assert!(convert(json).is_ok());
        for len in 0..json.len() {
            assert!(convert(&json[..len]).is_err(), "{len}");
        }
    }

    fn any_value() -> impl Strategy<Value = AnyValue> {
        let leaf = prop_oneof![
            Just(None),
            ".{0,8}".prop_map(|text| Some(Value::StringValue(text))),
            any::<bool>().prop_map(|value| Some(Value::BoolValue(value))),
            any::<i64>().prop_map(|value| Some(Value::IntValue(value))),
            // Not infinity, which the other writes as `null` within lists.
            (-1e9..1e9f64).prop_map(|value| Some(Value::DoubleValue(value))),
            vec(any::<u8>(), 0..6).prop_map(|value| Some(Value::BytesValue(value))),
        ]
        .prop_map(|value| AnyValue { value });
        leaf.prop_recursive(3, 12, 3, |inner| {
            let pairs = (".{0,4}", proptest::option::of(inner.clone()));
            prop_oneof![
                vec(inner, 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
                vec(pairs, 0..3).prop_map(|pairs| {
                    let values = pairs.into_iter().map(|(key, value)| KeyValue {
                        key,
                        value,
                        ..KeyValue::default()
                    });
                    Value::KvlistValue(KeyValueList {
                        values: values.collect(),
                    })
                }),
            ]
            .prop_map(|value| AnyValue { value: Some(value) })
        })
    }

    fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
        vec(("[a-z.]{0,8}", any_value()), 0..3).prop_map(|pairs| {
            let attribute = |(key, value)| KeyValue {
                key,
                value: Some(value),
                ..KeyValue::default()
            };
            pairs.into_iter().map(attribute).collect()
        })
    }

    prop_compose! {
        fn any_span()(
            ids in (vec(any::<u8>(), 16), vec(any::<u8>(), 8), vec(any::<u8>(), 8)),
            texts in (".{0,5}", ".{0,300}", ".{0,5}"),
            numbers in any::<(u32, u32, u32, u32, u64, u64)>(),
            kind in 0..6i32,
            attributes in attributes(),
            event in (any::<u64>(), ".{0,5}", attributes(), any::<u32>()),
            link in (vec(any::<u8>(), 16), vec(any::<u8>(), 8), attributes(), any::<u32>()),
            code in 0..3i32,
        ) -> Span {
            Span {
                trace_id: ids.0,
                span_id: ids.1,
                parent_span_id: ids.2,
                trace_state: texts.0,
                name: texts.1,
                kind,
                flags: numbers.0,
                dropped_attributes_count: numbers.1,
                dropped_events_count: numbers.2,
                dropped_links_count: numbers.3,
                start_time_unix_nano: numbers.4,
                end_time_unix_nano: numbers.5,
                attributes,
                events: vec![Event {
                    time_unix_nano: event.0,
                    name: event.1,
                    attributes: event.2,
                    dropped_attributes_count: event.3,
                }],
                links: vec![Link {
                    trace_id: link.0,
                    span_id: link.1,
                    attributes: link.2,
                    flags: link.3,
                    ..Link::default()
                }],
                status: Some(Status { message: texts.2, code }),
            }
        }
    }

    proptest! {
        /// What another library writes as JSON and as protobuf is the same request.
        #[test]
        fn agrees_with_opentelemetry_proto(
            spans in vec(any_span(), 0..3),
            resource in attributes(),
            scope in attributes(),
        ) {
            let request = ExportTraceServiceRequest {
                resource_spans: vec![ResourceSpans {
                    resource: Some(Resource { attributes: resource, ..Resource::default() }),
                    scope_spans: vec![ScopeSpans {
                        scope: Some(InstrumentationScope {
                            name: "scope".to_owned(),
                            attributes: scope,
                            ..InstrumentationScope::default()
                        }),
                        spans,
                        schema_url: "s".to_owned(),
                    }],
                    schema_url: "r".to_owned(),
                }],
            };
            let json = serde_json::to_vec(&request).unwrap();
            let bytes = to_protobuf(&json, usize::MAX).unwrap();
            prop_assert_eq!(ExportTraceServiceRequest::decode(&bytes[..]).unwrap(), request);
            prop_assert!(bytes.len() <= 2 * json.len());
        }

        #[test]
        fn nothing_breaks_it(json in vec(any::<u8>(), 0..200)) {
            let _ = to_protobuf(&json, 1000);
        }

        #[test]
        fn nothing_that_looks_like_json_breaks_it(
            parts in vec(prop_oneof![
                Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just("null"),
                Just("\"resourceSpans\""), Just("\"scopeSpans\""), Just("\"spans\""), Just("\"attributes\""),
                Just("\"value\""), Just("\"arrayValue\""), Just("\"values\""), Just("\"traceId\""), Just("1"),
                Just("\"00\""), Just("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{"),
            ], 0..40)
        ) {
            if let Ok(bytes) = to_protobuf(parts.concat().as_bytes(), 1000) {
                prop_assert!(ExportTraceServiceRequest::decode(&bytes[..]).is_ok());
            }
        }
    }
}
