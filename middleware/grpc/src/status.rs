use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode;
use towline_span::MAX_DESCRIPTION_BYTES;
use towline_span::redact::{self, QueryKeys};

use crate::code::Code;

/// How a call ended: its code and, if there is one, its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl Status {
    pub(crate) const fn new(code: Code) -> Self {
        Self {
            code,
            message: String::new(),
        }
    }

    /// From headers (trailers-only) or trailers. Nothing if there is no `grpc-status`.
    ///
    /// The details in `grpc-status-details-bin` are not looked at. A message is read as far as it is
    /// kept, whatever a peer puts there.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let code = Code::parse(headers.get(GRPC_STATUS)?.as_bytes());
        let message = match headers.get(GRPC_MESSAGE) {
            Some(message) if code != Code::Ok => decoded(message.as_bytes()),
            _ => String::new(),
        };
        Some(Self { code, message })
    }
}

/// A percent-encoded message, cut before and after decoding, without what is secret in its URLs.
fn decoded(message: &[u8]) -> String {
    // A byte takes three at the most.
    let seen = 3 * (MAX_DESCRIPTION_BYTES + redact::LOOKAHEAD_BYTES);
    let message = message.get(..seen).unwrap_or(message);
    let message = percent_decode(message).decode_utf8_lossy();
    redact::bounded(&message, &QueryKeys::new(), MAX_DESCRIPTION_BYTES)
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &[u8])]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &[u8])| {
            let value = http::HeaderValue::from_bytes(value).unwrap();
            (http::HeaderName::from_static(name), value)
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn reads_code_and_message_whatever_the_bytes() {
        for (lines, expected) in [
            (&[][..], None),
            (&[("grpc-message", &b"alone"[..])], None),
            (
                &[("grpc-status", b"0"), ("grpc-message", b"fine")],
                Some((Code::Ok, "")),
            ),
            (
                &[("grpc-status", b"5"), ("grpc-message", b"no%20user")],
                Some((Code::NotFound, "no user")),
            ),
            (
                &[
                    ("grpc-status", b"14"),
                    ("grpc-message", b"http://me:pass%40host/%3fsig=abc"),
                ],
                Some((
                    Code::Unavailable,
                    "http://REDACTED:REDACTED@host/?sig=REDACTED",
                )),
            ),
            (
                &[("grpc-status", b"5"), ("grpc-message", b"%zz%")],
                Some((Code::NotFound, "%zz%")),
            ),
            (
                &[("grpc-status", b"5"), ("grpc-message", b"\xff%ff")],
                Some((Code::NotFound, "\u{fffd}\u{fffd}")),
            ),
            (&[("grpc-status", b"\xff")], Some((Code::Unknown, ""))),
            (
                &[
                    ("grpc-status", b"13"),
                    ("grpc-status-details-bin", b"!not base64!"),
                ],
                Some((Code::Internal, "")),
            ),
        ] {
            let status = Status::from_headers(&headers(lines));
            let found = status
                .as_ref()
                .map(|status| (status.code, &*status.message));
            assert_eq!(found, expected, "{lines:?}");
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        let message = "%41".repeat(10_000);
        let status = Status::from_headers(&headers(&[
            ("grpc-status", b"2"),
            ("grpc-message", message.as_bytes()),
        ]));
        assert_eq!(status.unwrap().message, "A".repeat(MAX_DESCRIPTION_BYTES));
    }
}
