//! Options of the server's layer alone, beyond its attributes.

use http::HeaderName;

use super::TraceLayer;
use super::forwarded::TrustedProxies;

impl<T> TraceLayer<T> {
    /// Tells callers the trace id, 32 hexadecimal digits, in this header of the response: for a user
    /// who reports a failure. Default: it is not told.
    ///
    /// It is written for requests whose trace is sampled, see
    /// [`with_trace_id_of_unsampled`](Self::with_trace_id_of_unsampled), and never where the service
    /// has set that header itself. While tracing is switched off there is none.
    #[must_use]
    pub fn with_response_trace_id(mut self, name: HeaderName) -> Self {
        self.options_mut().trace_id.name = Some(name);
        self
    }

    /// Tells callers trace id and span id as `traceresponse`, in the form of a `traceparent`, on the
    /// same terms as [`with_response_trace_id`](Self::with_response_trace_id). Default: not.
    ///
    /// The header is one of a [draft](https://w3c.github.io/trace-context/#traceresponse-header) and
    /// may change.
    #[must_use]
    pub fn with_traceresponse(mut self) -> Self {
        self.options_mut().trace_id.traceresponse = true;
        self
    }

    /// Tells the trace id of requests that are not sampled as well. Default: not, since there is
    /// nothing to look up under it, except in logs.
    #[must_use]
    pub fn with_trace_id_of_unsampled(mut self) -> Self {
        self.options_mut().trace_id.unsampled = true;
        self
    }

    /// Believes what these proxies say in `Forwarded` and `X-Forwarded-*` about the client's address,
    /// the scheme and the host. Default: nobody is believed, since any caller can write that.
    ///
    /// See [`TrustedProxies`] for whom and how far.
    #[must_use]
    pub fn with_trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.options_mut().proxies = Some(proxies);
        self
    }
}
