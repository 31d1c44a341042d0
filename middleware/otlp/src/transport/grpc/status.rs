use std::error::Error;

use tonic::Status;

use crate::transport::response::rpc_status;
use crate::{ExportError, ExportErrorKind, PeerStatus};

/// What a call that failed means.
pub(super) fn error(peer: &str, status: &Status) -> ExportError {
    // Ours: the connection failed, and tonic carried the error through.
    if let Some(error) = status
        .source()
        .and_then(|source| source.downcast_ref::<ExportError>())
    {
        return error.clone();
    }
    let code = status.code() as i32;
    let error = if is_too_large(status) {
        ExportError::new(
            ExportErrorKind::TooLarge,
            format!("{peer} does not take a batch of that size"),
        )
    } else {
        ExportError::refused(peer, PeerStatus::Grpc(code))
    };
    let error = if status.message().is_empty() {
        error
    } else {
        error.with_source(text(status.message()))
    };
    match rpc_status(status.details()).retry_after {
        Some(delay) => error.with_retry_after(delay),
        None => error,
    }
}

/// A receiver built on tonic answers OUT_OF_RANGE to a message that is too large, which OTLP would
/// have us send again and again; others answer RESOURCE_EXHAUSTED. Only the text tells it apart.
fn is_too_large(status: &Status) -> bool {
    matches!(
        status.code(),
        tonic::Code::OutOfRange | tonic::Code::ResourceExhausted
    ) && {
        let message = status.message().to_ascii_lowercase();
        TOO_LARGE.iter().any(|text| message.contains(text))
    }
}

/// The collector's words, of bounded length.
fn text(message: &str) -> String {
    message.chars().take(MAX_TEXT_CHARS).collect()
}

const MAX_TEXT_CHARS: usize = 1000;

/// Of tonic; of grpc-go and gRPC's core; of grpc-java.
const TOO_LARGE: [&str; 3] = [
    "message length too large",
    "received message larger than max",
    "message exceeds maximum size",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_keep_their_code_and_text() {
        let error = error("http://peer:4317/", &Status::unavailable("busy"));
        assert_eq!(error.kind(), ExportErrorKind::Refused(PeerStatus::Grpc(14)));
        assert_eq!(
            error.to_string(),
            "http://peer:4317/ refused the batch with gRPC status 14 (UNAVAILABLE)"
        );
        assert_eq!(error.source().unwrap().to_string(), "busy");
        assert!(error.is_retryable());
    }

    #[test]
    fn a_message_that_is_too_large_is_not_sent_again() {
        for status in [
            Status::out_of_range(
                "Error, decoded message length too large: found 9 bytes, the limit is: 4 bytes",
            ),
            Status::resource_exhausted("grpc: received message larger than max (9 vs. 4)"),
        ] {
            let error = error("/", &status);
            assert_eq!(error.kind(), ExportErrorKind::TooLarge, "{status}");
            assert!(!error.is_retryable());
        }
        assert!(error("/", &Status::out_of_range("elsewhere")).is_retryable());
    }
}
