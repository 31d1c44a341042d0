//! The options that both sides of gRPC have alike, beyond their attributes.

use std::sync::Arc;

use towline_http::extras::caught_or;
use towline_span::Failure;

use crate::code::Code;

/// What a status means: the failure that the conventions see in it, to be confirmed, replaced or taken
/// back.
pub(crate) type Classify = Arc<dyn Fn(Code, Option<Failure>) -> Option<Failure> + Send + Sync>;

/// What a user makes of a status, or else the conventions.
pub(crate) fn classified(
    classify: Option<&Classify>,
    code: Code,
    failure: Option<Failure>,
) -> Option<Failure> {
    match classify {
        Some(classify) => caught_or(failure.clone(), || classify(code, failure)),
        None => failure,
    }
}

/// Adds them to the `TraceLayer` of a side.
macro_rules! extras_options {
    () => {
        impl<T> TraceLayer<T> {
            /// Lists the request metadata to record, each as `rpc.request.metadata.<key>` with an array of
            /// its values. Default: none.
            ///
            /// Credentials are recorded as `REDACTED` even if they are listed: what
            /// [is known for one](towline_http::extras::Capture::is_credential), and every value that is
            /// marked [sensitive](http::HeaderValue::is_sensitive). Of binary metadata, `-bin`, it is
            /// recorded that it was there, as `BINARY`. URLs in other values lose user information and
            /// secret query values. A value is cut at
            /// [`DEFAULT_VALUE_LIMIT_BYTES`](towline_http::DEFAULT_VALUE_LIMIT_BYTES); there are at most
            /// [`MAX_CAPTURED_VALUES`](towline_http::extras::MAX_CAPTURED_VALUES) of a name and
            /// [`MAX_CAPTURED_BYTES`](towline_http::extras::MAX_CAPTURED_BYTES) of a call.
            #[must_use]
            pub fn with_request_metadata(
                mut self,
                names: impl IntoIterator<Item = http::HeaderName>,
            ) -> Self {
                use towline_http::extras::Capture;
                let capture = Capture::metadata("rpc.request.metadata", names);
                self.options_mut().extras.request = capture;
                self
            }

            /// Lists the response metadata to record, initial and trailing, each as
            /// `rpc.response.metadata.<key>`, as [that of requests](Self::with_request_metadata).
            /// Default: none.
            #[must_use]
            pub fn with_response_metadata(
                mut self,
                names: impl IntoIterator<Item = http::HeaderName>,
            ) -> Self {
                use towline_http::extras::Capture;
                let capture = Capture::metadata("rpc.response.metadata", names);
                self.options_mut().extras.response = capture;
                self
            }

            /// Records the credentials among the listed metadata **as they are**, for everybody to see who
            /// may see traces. For a debugging session with made-up credentials, hardly for more.
            #[must_use]
            pub fn with_credentials_captured_unredacted(mut self) -> Self {
                self.options_mut().redaction.credentials_unredacted = true;
                self
            }

            /// Adds to the query keys whose values are replaced by `REDACTED` in URLs, in listed metadata
            /// and in the messages of errors. Default:
            /// [`DEFAULT_REDACTED_QUERY_KEYS`](towline_http::DEFAULT_REDACTED_QUERY_KEYS).
            #[must_use]
            pub fn with_more_redacted_query_keys<K>(
                mut self,
                keys: impl IntoIterator<Item = K>,
            ) -> Self
            where
                K: Into<std::borrow::Cow<'static, str>>,
            {
                let keys_so_far = &mut self.options_mut().redaction.query_keys;
                *keys_so_far = std::mem::take(keys_so_far).with_more(keys);
                self
            }

            /// Adds a function that is called when the span of a call has begun and is recorded, before
            /// the service is called. See [`Hooks`](towline_http::extras::Hooks) for what a panic does.
            #[must_use]
            pub fn on_request<F>(mut self, hook: F) -> Self
            where
                F: Fn(towline_http::RequestHead<'_>, &mut towline_http::extras::HookSpan<'_>)
                    + Send
                    + Sync
                    + 'static,
            {
                self.options_mut().extras.hooks.on_request(hook);
                self
            }

            /// Adds a function that is called with the head of the response to a recorded call: the
            /// initial metadata. How the call went is not known by then.
            #[must_use]
            pub fn on_response<F>(mut self, hook: F) -> Self
            where
                F: Fn(towline_http::ResponseHead<'_>, &mut towline_http::extras::HookSpan<'_>)
                    + Send
                    + Sync
                    + 'static,
            {
                self.options_mut().extras.hooks.on_response(hook);
                self
            }

            /// Adds a function that is called right before the span of a recorded call ends, however it
            /// does. It may run in a `Drop`, and must not ask for the current context.
            #[must_use]
            pub fn on_end<F>(mut self, hook: F) -> Self
            where
                F: Fn(towline_http::extras::Ended<'_>, &mut towline_http::extras::HookSpan<'_>)
                    + Send
                    + Sync
                    + 'static,
            {
                self.options_mut().extras.hooks.on_end(hook);
                self
            }

            /// Sets which calls are errors. The function gets the call's status code and what the
            /// conventions make of it, and answers what it is: the failure, another one, or none.
            ///
            /// A panic stays what it is. If the function panics itself, what the conventions say holds.
            ///
            /// ```
            /// # use opentelemetry::trace::TracerProvider;
            /// # use opentelemetry_sdk::trace::SdkTracerProvider;
            /// use towline_grpc::{Code, client};
            ///
            /// # let tracer = SdkTracerProvider::builder().build().tracer("greeter");
            /// let layer = client::TraceLayer::new(tracer)
            ///     .with_classify(|code, failure| failure.filter(|_| code != Code::NotFound));
            /// # let _ = layer;
            /// ```
            #[must_use]
            pub fn with_classify<F>(mut self, classify: F) -> Self
            where
                F: Fn(crate::Code, Option<towline_span::Failure>) -> Option<towline_span::Failure>
                    + Send
                    + Sync
                    + 'static,
            {
                self.options_mut().classify = Some(Arc::new(classify));
                self
            }
        }
    };
}

pub(crate) use extras_options;
