//! `grpc-trace-bin`, the binary form of OpenCensus, as gRPC carried it before there was `traceparent`.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, HeaderName};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use towline_propagation::Extraction;

pub(crate) const GRPC_TRACE_BIN: HeaderName = HeaderName::from_static("grpc-trace-bin");

/// Fills in the parent from `grpc-trace-bin` where nothing else has named one.
pub(crate) fn fall_back(headers: &HeaderMap, extraction: &mut Extraction) {
    if extraction.parent.is_none() && !is_remote(&extraction.base) {
        extraction.parent = parent(headers);
    }
}

/// Whether a propagator has put the parent into the context itself.
fn is_remote(context: &Context) -> bool {
    context.span().span_context().is_remote()
}

/// The span context in `grpc-trace-bin`, if there is one, once, and a legal one.
fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    let mut values = headers.get_all(GRPC_TRACE_BIN).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    parse(value.as_bytes())
}

/// Version 0: the version, and three fields in their order, each a number before its value.
///
/// See [the binary encoding of OpenCensus](https://github.com/census-instrumentation/opencensus-specs/blob/v0.1.0/encodings/BinaryEncoding.md).
fn parse(value: &[u8]) -> Option<SpanContext> {
    if value.len() > LEN_BASE64 {
        return None;
    }
    let mut bytes = [0; LEN_BASE64];
    let len = BASE64.decode_slice(value, &mut bytes).ok()?;
    let rest = bytes.get(..len)?.strip_prefix(&[0, 0])?;
    let (trace_id, rest) = rest.split_first_chunk::<16>()?;
    let (span_id, rest) = rest.strip_prefix(&[1])?.split_first_chunk::<8>()?;
    let [2, options] = rest else { return None };
    let context = SpanContext::new(
        TraceId::from_bytes(*trace_id),
        SpanId::from_bytes(*span_id),
        TraceFlags::default().with_sampled(options & 1 == 1),
        true,
        TraceState::NONE,
    );
    context.is_valid().then_some(context)
}

/// The standard alphabet; senders pad or do not, and receivers must take both.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// 29 bytes in base64, padded.
const LEN_BASE64: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: &[u8]) -> String {
        BASE64.encode(bytes)
    }

    fn legal() -> Vec<u8> {
        [
            &[0, 0][..],
            &0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes(),
            &[1],
            &0xb7ad_6b71_6920_3331_u64.to_be_bytes(),
            &[2, 1],
        ]
        .concat()
    }

    /// A legal value with some of its bytes replaced.
    fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut value = legal();
        value[at..at + bytes.len()].copy_from_slice(bytes);
        value
    }

    #[test]
    fn reads_a_value_with_and_without_padding() {
        for value in [
            "AAAK92UZFs1D3YRI6yEcgDGcAbeta3FpIDMxAgE=",
            "AAAK92UZFs1D3YRI6yEcgDGcAbeta3FpIDMxAgE",
        ] {
            let parent = parse(value.as_bytes()).unwrap();
            assert_eq!(
                parent.trace_id().to_string(),
                "0af7651916cd43dd8448eb211c80319c"
            );
            assert_eq!(parent.span_id().to_string(), "b7ad6b7169203331");
            assert!(parent.is_remote() && parent.is_sampled());
        }
    }

    #[test]
    fn only_the_lowest_option_counts() {
        for (options, flags) in [(0, 0), (1, 1), (2, 0), (0xff, 1)] {
            let parent = parse(encoded(&with(28, &[options])).as_bytes()).unwrap();
            assert_eq!(parent.trace_flags(), TraceFlags::new(flags), "{options}");
        }
    }

    #[test]
    fn what_is_not_a_whole_version_0_is_none() {
        for (name, value) in [
            ("empty", Vec::new()),
            ("version 1", with(0, &[1])),
            ("another first field", with(1, &[3])),
            ("another second field", with(18, &[0])),
            ("another third field", with(27, &[1])),
            ("no trace id", with(2, &[0; 16])),
            ("no span id", with(19, &[0; 8])),
            ("too short", legal()[..28].to_vec()),
            ("without options", legal()[..27].to_vec()),
            ("too long", [&legal()[..], &[0]].concat()),
            ("much too long", legal().repeat(1000)),
        ] {
            assert_eq!(parse(encoded(&value).as_bytes()), None, "{name}");
        }
        for value in [
            "not base64, though as long as it should",
            "AAAK92UZFs1D3YRI6yEcgDGcAbeta3FpIDMxAgF", // bits beyond the last byte
            "AAAK92UZFs1D3YRI6yEcgDGcAbeta3FpIDMxAgE==",
            "\u{fffd}",
        ] {
            assert_eq!(parse(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn it_is_a_fallback_for_one_value_and_no_other_parent() {
        let value = http::HeaderValue::try_from(encoded(&legal())).unwrap();
        let mut headers = HeaderMap::from_iter([(GRPC_TRACE_BIN, value.clone())]);
        let propagator = towline_propagation::Propagator::w3c();
        let extracted = |headers: &HeaderMap, base: &Context| {
            let mut extraction = propagator.extract(headers, base);
            fall_back(headers, &mut extraction);
            extraction.parent.map(|parent| parent.span_id().to_string())
        };
        let found = Some("b7ad6b7169203331".to_owned());
        assert_eq!(extracted(&headers, &Context::new()), found);

        let remote = parse(encoded(&with(2, &[1; 16])).as_bytes()).unwrap();
        let put_there = Context::new().with_remote_span_context(remote);
        assert_eq!(extracted(&headers, &put_there), None);

        let traceparent = "00-11111111111111111111111111111111-2222222222222222-01";
        headers.insert("traceparent", traceparent.parse().unwrap());
        let other = Some("2222222222222222".to_owned());
        assert_eq!(extracted(&headers, &Context::new()), other);
        headers.insert("traceparent", "malformed".parse().unwrap());
        assert_eq!(extracted(&headers, &Context::new()), found);

        headers.append(GRPC_TRACE_BIN, value);
        assert_eq!(extracted(&headers, &Context::new()), None);
    }
}
