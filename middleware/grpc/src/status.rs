use std::any::Any;
use std::error::Error;

use http::HeaderMap;
use percent_encoding::percent_decode;
use towline_span::{MAX_DESCRIPTION_BYTES, truncate};

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
        let code = Code::parse(headers.get("grpc-status")?.as_bytes());
        let message = match headers.get("grpc-message") {
            Some(message) if code != Code::Ok => decoded(message.as_bytes()),
            _ => String::new(),
        };
        Some(Self { code, message })
    }

    /// From the error of a service or a body.
    ///
    /// It is searched for what tells the code: tonic's status and timeout, the reason of an HTTP/2
    /// reset, a connection that could not be made or was lost.
    pub(crate) fn from_error<E: 'static>(error: &E) -> Self {
        let Some(error) = as_error(error) else {
            return Self::new(Code::Unknown);
        };
        let code = chain(error).find_map(specific_code);
        let code = code.or_else(|| chain(error).find_map(general_code));
        Self {
            code: code.unwrap_or(Code::Unknown),
            message: truncate(&error.to_string(), MAX_DESCRIPTION_BYTES).to_owned(),
        }
    }
}

/// A percent-encoded message, cut before and after decoding.
fn decoded(message: &[u8]) -> String {
    // A byte takes three at the most.
    let message = message.get(..3 * MAX_DESCRIPTION_BYTES).unwrap_or(message);
    let message = percent_decode(message).decode_utf8_lossy();
    truncate(&message, MAX_DESCRIPTION_BYTES).to_owned()
}

/// The error behind a generic one, if it is of a type that is known here.
fn as_error<E: 'static>(error: &E) -> Option<&(dyn Error + 'static)> {
    fn of<T: Error + 'static>(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
        error.downcast_ref::<T>().map(|error| error as _)
    }
    let error: &dyn Any = error;
    if let Some(boxed) = error.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return Some(&**boxed);
    }
    #[cfg(feature = "tonic")]
    if let Some(error) = of::<tonic::Status>(error).or_else(|| of::<tonic::transport::Error>(error))
    {
        return Some(error);
    }
    of::<hyper::Error>(error)
        .or_else(|| of::<h2::Error>(error))
        .or_else(|| of::<std::io::Error>(error))
}

/// An error and its causes. A chain is as long as whoever made it, so it is followed so far only.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
    .take(MAX_CHAIN)
}

/// What says the code outright, and wins wherever in the chain it stands.
#[cfg_attr(
    not(feature = "tonic"),
    allow(clippy::unnecessary_wraps, reason = "tonic's errors are the only ones")
)]
fn specific_code(error: &(dyn Error + 'static)) -> Option<Code> {
    #[cfg(feature = "tonic")]
    {
        if error.is::<tonic::TimeoutExpired>() {
            return Some(Code::DeadlineExceeded);
        }
        if let Some(status) = error.downcast_ref::<tonic::Status>() {
            // tonic reports its own timeout as CANCELLED; the cause tells.
            let expired = chain(status).any(|cause| cause.is::<tonic::TimeoutExpired>());
            return Some(if expired {
                Code::DeadlineExceeded
            } else {
                Code::parse((status.code() as i32).to_string().as_bytes())
            });
        }
        if error.is::<tonic::ConnectError>() {
            return Some(Code::Unavailable);
        }
    }
    let reason = error.downcast_ref::<h2::Error>()?.reason()?;
    Some(Code::from_reset(reason))
}

/// What says that the connection is the trouble.
fn general_code(error: &(dyn Error + 'static)) -> Option<Code> {
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        if error.is_canceled() {
            return Some(Code::Cancelled);
        }
        if error.is_timeout() || error.is_closed() || error.is_incomplete_message() {
            return Some(Code::Unavailable);
        }
    }
    (error.is::<std::io::Error>() || error.is::<h2::Error>()).then_some(Code::Unavailable)
}

const MAX_CHAIN: usize = 16;

#[cfg(test)]
mod tests {
    use std::io;

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

    #[test]
    fn errors_tell_their_code() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(Status::from_error(&refused).code, Code::Unavailable);
        let boxed: Box<dyn Error + Send + Sync> = Box::new(refused);
        assert_eq!(Status::from_error(&boxed).code, Code::Unavailable);
        let reset = h2::Error::from(h2::Reason::REFUSED_STREAM);
        assert_eq!(Status::from_error(&reset).code, Code::Unavailable);
        let cancelled = h2::Error::from(h2::Reason::CANCEL);
        assert_eq!(Status::from_error(&cancelled).code, Code::Cancelled);
        assert_eq!(Status::from_error(&"text"), Status::new(Code::Unknown));
        let boxed: Box<dyn Error + Send + Sync> = "odd".into();
        assert_eq!(Status::from_error(&boxed).message, "odd");
    }

    #[cfg(feature = "tonic")]
    #[test]
    fn tonics_errors_tell_theirs() {
        let status = tonic::Status::resource_exhausted("too much");
        assert_eq!(Status::from_error(&status).code, Code::ResourceExhausted);
        let boxed: Box<dyn Error + Send + Sync> = Box::new(tonic::TimeoutExpired(()));
        assert_eq!(Status::from_error(&boxed).code, Code::DeadlineExceeded);
        let timeout = tonic::Status::from_error(boxed);
        assert_eq!(Status::from_error(&timeout).code, Code::DeadlineExceeded);
    }
}
