use std::any::Any;
use std::borrow::Cow;
use std::error::Error;

use http::StatusCode;
use towline_span::Failure;
use towline_span::redact::QueryKeys;

/// A status code as the failure that it is: `error.type` is the code, which needs no description.
pub(crate) fn status_failure(status: StatusCode) -> Failure {
    Failure::new(match status {
        StatusCode::BAD_REQUEST => Cow::Borrowed("400"),
        StatusCode::UNAUTHORIZED => Cow::Borrowed("401"),
        StatusCode::FORBIDDEN => Cow::Borrowed("403"),
        StatusCode::NOT_FOUND => Cow::Borrowed("404"),
        StatusCode::TOO_MANY_REQUESTS => Cow::Borrowed("429"),
        StatusCode::INTERNAL_SERVER_ERROR => Cow::Borrowed("500"),
        StatusCode::BAD_GATEWAY => Cow::Borrowed("502"),
        StatusCode::SERVICE_UNAVAILABLE => Cow::Borrowed("503"),
        StatusCode::GATEWAY_TIMEOUT => Cow::Borrowed("504"),
        other => Cow::Owned(other.as_str().to_owned()),
    })
}

/// The error of a service or a body, of which nothing is known: its type, and its text if it is a
/// boxed error, without what is secret in its URLs.
pub(crate) fn failure_of<E: 'static>(error: &E, keys: &QueryKeys) -> Failure {
    match (error as &dyn Any).downcast_ref::<Box<dyn Error + Send + Sync>>() {
        Some(boxed) => Failure::from_error_without(boxed, keys),
        None => Failure::of_type::<E>(),
    }
}
