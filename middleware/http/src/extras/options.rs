//! The options that both sides of HTTP have alike.

/// Adds them to the `TraceLayer` of a side, whose `Options` have `attributes` and `extras`.
macro_rules! extras_options {
    () => {
        impl<T> TraceLayer<T> {
            /// Lists the request headers to record, each as `http.request.header.<key>` with an array
            /// of its values. Default: none.
            ///
            /// Credentials are recorded as `REDACTED` even if they are listed: what
            /// [is known for one](crate::extras::Capture::is_credential), and every value that is marked
            /// [sensitive](http::HeaderValue::is_sensitive). URLs in other values are cleaned as
            /// `url.full` is. Values are cut at [`with_value_limit_bytes`](Self::with_value_limit_bytes);
            /// there are at most [`MAX_CAPTURED_VALUES`](crate::extras::MAX_CAPTURED_VALUES) of a name
            /// and [`MAX_CAPTURED_BYTES`](crate::extras::MAX_CAPTURED_BYTES) of a request.
            #[must_use]
            pub fn with_request_headers(
                mut self,
                names: impl IntoIterator<Item = http::HeaderName>,
            ) -> Self {
                let capture = crate::extras::Capture::headers("http.request.header", names);
                self.options_mut().extras.request = capture;
                self
            }

            /// Lists the response headers to record, each as `http.response.header.<key>`, as
            /// [those of requests](Self::with_request_headers). Default: none.
            #[must_use]
            pub fn with_response_headers(
                mut self,
                names: impl IntoIterator<Item = http::HeaderName>,
            ) -> Self {
                let capture = crate::extras::Capture::headers("http.response.header", names);
                self.options_mut().extras.response = capture;
                self
            }

            /// Records the credentials among the listed headers **as they are**, for everybody to see
            /// who may see traces. For a debugging session with made-up credentials, hardly for more.
            #[must_use]
            pub fn with_credentials_captured_unredacted(mut self) -> Self {
                let redaction = &mut self.options_mut().attributes.redaction;
                redaction.credentials_unredacted = true;
                self
            }

            /// Adds to the query keys whose values are replaced by `REDACTED`: in the target, in listed
            /// headers, in the texts of errors.
            #[must_use]
            pub fn with_more_redacted_query_keys<K>(
                mut self,
                keys: impl IntoIterator<Item = K>,
            ) -> Self
            where
                K: Into<std::borrow::Cow<'static, str>>,
            {
                let redaction = &mut self.options_mut().attributes.redaction;
                redaction.query_keys = std::mem::take(&mut redaction.query_keys).with_more(keys);
                self
            }

            /// Adds a function that is called when the span of a request has begun and is recorded,
            /// before the service is called. See [`Hooks`](crate::extras::Hooks) for what a panic does.
            #[must_use]
            pub fn on_request<F>(mut self, hook: F) -> Self
            where
                F: Fn(crate::RequestHead<'_>, &mut crate::extras::HookSpan<'_>)
                    + Send
                    + Sync
                    + 'static,
            {
                self.options_mut().extras.hooks.on_request(hook);
                self
            }

            /// Adds a function that is called with the head of the response to a recorded request.
            #[must_use]
            pub fn on_response<F>(mut self, hook: F) -> Self
            where
                F: Fn(crate::ResponseHead<'_>, &mut crate::extras::HookSpan<'_>)
                    + Send
                    + Sync
                    + 'static,
            {
                self.options_mut().extras.hooks.on_response(hook);
                self
            }

            /// Adds a function that is called right before the span of a recorded request ends, however
            /// it does. It may run in a `Drop`, and must not ask for the current context.
            #[must_use]
            pub fn on_end<F>(mut self, hook: F) -> Self
            where
                F: Fn(crate::extras::Ended<'_>, &mut crate::extras::HookSpan<'_>)
                    + Send
                    + Sync
                    + 'static,
            {
                self.options_mut().extras.hooks.on_end(hook);
                self
            }

            /// Sets which responses are errors. The function gets the head of the response and what the
            /// conventions make of it, and answers what it is: the failure, another one, or none.
            ///
            /// An error of the service or of a body, and a panic, stay what they are. If the function
            /// panics itself, what the conventions say holds.
            #[must_use]
            pub fn with_classify<F>(mut self, classify: F) -> Self
            where
                F: Fn(
                        crate::ResponseHead<'_>,
                        Option<towline_span::Failure>,
                    ) -> Option<towline_span::Failure>
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
