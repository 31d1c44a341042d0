use http::{Extensions, Request};
use opentelemetry::KeyValue;

use crate::attributes::HTTP_REQUEST_RESEND_COUNT;

/// How often a request was sent before: for the extensions of a request that is sent again.
///
/// A client layer below what repeats requests records it as [`http.request.resend_count`]; of a
/// request that is sent for the first time it is left out, as the conventions want it. In the
/// `clone_request` of a `tower::retry::Policy` of one's own it takes one line; around any other policy
/// goes `CountResends` (feature `retry`).
///
/// ```
/// use http::Request;
/// use towline_http::client::ResendCount;
///
/// # fn main() -> Result<(), http::Error> {
/// fn clone_request(request: &Request<String>) -> Option<Request<String>> {
///     Some(ResendCount::counted(request, request.clone()))
/// }
///
/// let first = Request::get("http://users.example/users/42").body(String::new())?;
/// let second = clone_request(&first).unwrap();
/// assert_eq!(ResendCount::of(second.extensions()).get(), 1);
/// # Ok(())
/// # }
/// ```
///
/// [`http.request.resend_count`]: https://github.com/open-telemetry/semantic-conventions/blob/v1.44.0/docs/http/http-spans.md#http-request-retries-and-redirects
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResendCount(u32);

// === impl ResendCount ===

impl ResendCount {
    /// Sent this often before.
    #[must_use]
    pub const fn new(times: u32) -> Self {
        Self(times)
    }

    /// What the extensions of a request say; zero if nothing.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_default()
    }

    /// A copy of a request, to be sent in its place: counted as one more.
    #[must_use]
    pub fn counted<B, C>(request: &Request<B>, mut copy: Request<C>) -> Request<C> {
        let Self(times) = Self::of(request.extensions());
        copy.extensions_mut().insert(Self(times.saturating_add(1)));
        copy
    }

    /// How often.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// As an attribute of an attempt that is not the first.
    pub(super) fn attribute(extensions: &Extensions) -> Option<KeyValue> {
        let Self(times) = Self::of(extensions);
        (times > 0).then(|| KeyValue::new(HTTP_REQUEST_RESEND_COUNT, i64::from(times)))
    }
}
