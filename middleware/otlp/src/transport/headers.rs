//! The headers of a request, once their options are known to be usable.

use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{TransportError, TransportErrorKind};
use crate::printable::Printable;
use crate::{ClientOptions, Scheme};

/// What goes with every request: the headers of the options, and `User-Agent`.
pub(super) fn headers(
    options: &ClientOptions,
    scheme: Scheme,
) -> Result<HeaderMap, TransportError> {
    for (name, value) in &options.headers {
        check(name, value, scheme).map_err(|expected| {
            TransportError::new(
                TransportErrorKind::Option,
                // Never the value.
                format!("header `{name}` cannot be set: expected {expected}"),
            )
            .with_option("headers")
        })?;
    }
    let mut headers = options.headers.clone();
    headers.insert(USER_AGENT, user_agent(options.user_agent.as_deref())?);
    Ok(headers)
}

/// Says what was expected instead.
fn check(name: &HeaderName, value: &HeaderValue, scheme: Scheme) -> Result<(), &'static str> {
    if name == USER_AGENT {
        return Err("the option `user_agent`, since the exporter's own part stays");
    }
    if RESERVED.contains(name)
        || RESERVED_OF_CONNECTIONS.contains(&name.as_str())
        || name.as_str().starts_with("grpc-")
    {
        return Err("none of those that the protocol needs for itself");
    }
    let is_grpc = !matches!(scheme, Scheme::Http | Scheme::Https);
    // https://github.com/grpc/grpc/blob/v1.76.0/doc/PROTOCOL-HTTP2.md#requests
    if is_grpc && value.to_str().is_err() {
        return Err("a value of printable ASCII, which gRPC demands");
    }
    Ok(())
}

fn user_agent(product: Option<&str>) -> Result<HeaderValue, TransportError> {
    let Some(product) = product else {
        return Ok(HeaderValue::from_static(OWN_USER_AGENT));
    };
    Some(product.trim_ascii())
        .filter(|product| {
            !product.is_empty() && product.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        })
        .and_then(|product| HeaderValue::try_from(format!("{product} {OWN_USER_AGENT}")).ok())
        .ok_or_else(|| {
            TransportError::new(
                TransportErrorKind::Option,
                format!(
                    "user_agent is `{}`: expected a product such as users/1.0",
                    Printable::first(MAX_SHOWN_CHARS, product)
                ),
            )
            .with_option("user_agent")
        })
}

/// [OTLP exporter
/// specification](https://github.com/open-telemetry/opentelemetry-specification/blob/v1.50.0/specification/protocol/exporter.md#user-agent):
/// a product of ours, and what the specification has each exporter say.
pub(super) const OWN_USER_AGENT: &str = concat!(
    "towline/",
    env!("CARGO_PKG_VERSION"),
    " OTel-OTLP-Exporter-Rust/",
    env!("CARGO_PKG_VERSION")
);

/// Set by the transports, or by hyper for the connection. An encoding of the answer is not asked
/// for: its length would not be what it seems.
const RESERVED: [HeaderName; 11] = [
    ACCEPT_ENCODING,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    EXPECT,
    HOST,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

const RESERVED_OF_CONNECTIONS: [&str; 3] = ["keep-alive", "proxy-connection", "http2-settings"];

/// Characters of a text that an error shows.
const MAX_SHOWN_CHARS: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_protocol_needs_for_itself_cannot_be_set() {
        for name in [
            "content-type",
            "content-length",
            "content-encoding",
            "transfer-encoding",
            "te",
            "host",
            "connection",
            "keep-alive",
            "accept-encoding",
            "user-agent",
            "grpc-timeout",
            "grpc-encoding",
        ] {
            for scheme in [Scheme::Http, Scheme::Grpcs, Scheme::Unix] {
                let options = ClientOptions::new().header(
                    HeaderName::from_static(name),
                    HeaderValue::from_static("hunter2"),
                );
                let error = headers(&options, scheme).unwrap_err();
                assert_eq!(error.kind(), TransportErrorKind::Option);
                assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
                assert!(!format!("{error} {error:?}").contains("hunter2"));
            }
        }
    }

    #[test]
    fn values_that_grpc_cannot_send_are_refused_for_it_alone() {
        let options = ClientOptions::new().header(
            HeaderName::from_static("x-team"),
            HeaderValue::from_bytes(b"\xffhunter2").unwrap(),
        );
        let error = headers(&options, Scheme::Grpc).unwrap_err();
        assert!(
            error.to_string().contains("`x-team`") && error.to_string().contains("ASCII"),
            "{error}"
        );
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert_eq!(headers(&options, Scheme::Https).unwrap().len(), 2);
    }

    #[test]
    fn a_product_stands_before_ours() {
        let agent = |options| {
            headers(&options, Scheme::Http)
                .map(|headers| headers[USER_AGENT].to_str().unwrap().to_owned())
        };
        assert_eq!(agent(ClientOptions::new()).unwrap(), OWN_USER_AGENT);
        assert_eq!(
            agent(ClientOptions::new().user_agent("users/1.0 (eu)")).unwrap(),
            format!("users/1.0 (eu) {OWN_USER_AGENT}")
        );
        for product in ["", " ", "a\nb", "ä/1"] {
            let error = agent(ClientOptions::new().user_agent(product)).unwrap_err();
            assert!(error.to_string().contains("users/1.0"), "{error}");
            assert!(!error.to_string().contains('\n'), "{error:?}");
        }
    }
}
