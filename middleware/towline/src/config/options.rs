//! The settings in code: for a [`Config`](crate::Config) and for a [`TowlineBuilder`](crate::TowlineBuilder).

/// Hands every option whose value is taken as it is to the macro `$emit`.
macro_rules! plain_options {
    ($emit:ident) => {
        $emit! {
            connect_timeout, with_connect_timeout: std::time::Duration =
                "how long it may take until a connection to the collector stands. Default: 5 s.";
            attempt_timeout, with_attempt_timeout: std::time::Duration =
                "how long one attempt to send a batch may take, connecting included. Default: 10 s.";
            flush_interval, with_flush_interval: std::time::Duration =
                "the longest that a span waits until it is sent, while the collector keeps up. Default: 5 s.";
            buffer_bytes, with_buffer_bytes: usize =
                "the memory, in bytes, that spans may take until they are exported. Default: 16 MiB.";
            buffer_spans, with_buffer_spans: usize =
                "how many spans may wait or be on their way at a time. Default: no limit but the one in bytes.";
            batch_bytes, with_batch_bytes: usize =
                "the largest batch in bytes; one is sent before its time once half of that waits. Default: 512 KiB.";
            batch_spans, with_batch_spans: usize =
                "the largest batch in spans. Default: no limit but the one in bytes.";
            max_message_bytes, with_max_message_bytes: usize =
                "the largest message in bytes that the collector takes. Default: learned, see [`max_message_bytes`](towline_otlp::ExporterBuilder::max_message_bytes).";
            forward_bytes, with_forward_bytes: usize =
                "how many bytes batches of others may take that are forwarded at a time. Default: 64 MiB.";
            concurrency, with_concurrency: usize =
                "how many batches may be on their way at a time. Default: 1.";
            retry_initial_delay, with_retry_initial_delay: std::time::Duration =
                "about how long to wait until a batch that failed is sent again. Default: 1 s, see [`Backoff`](towline_otlp::policy::Backoff).";
            retry_max_delay, with_retry_max_delay: std::time::Duration =
                "the longest delay between two attempts. Default: 30 s.";
            retry_max_elapsed, with_retry_max_elapsed: std::time::Duration =
                "how long after its first attempt the last attempt of a batch may begin; zero means no retries. Default: 60 s.";
            trust, with_trust: towline_http::CallerContext =
                "what a caller's trace context is to the server layers. Default: the parent.";
            remote_sampled_limit_per_second, with_remote_sampled_limit_per_second: towline_sampler::Limit =
                "how many traces a second are recorded because a caller asks for it. Default: no limit.";
            attribute_value_length_limit, with_attribute_value_length_limit: usize =
                "the longest text in an attribute, in characters; a longer one is cut before it is exported. Default: no limit.";
            attribute_count_limit, with_attribute_count_limit: usize =
                "how many attributes a span may have. Default: 128.";
            event_count_limit, with_event_count_limit: usize =
                "how many events a span may have. Default: 128.";
            link_count_limit, with_link_count_limit: usize =
                "how many links a span may have. Default: 128.";
            event_attribute_count_limit, with_event_attribute_count_limit: usize =
                "how many attributes an event may have. Default: 128.";
            link_attribute_count_limit, with_link_attribute_count_limit: usize =
                "how many attributes a link may have. Default: 128.";
        }
    };
}

pub(crate) use plain_options;

/// Hands every option that is a list to the macro `$emit`.
macro_rules! list_options {
    ($emit:ident) => {
        $emit! {
            skip_paths, with_skip_paths: String =
                "the paths of requests that get no span from the server layers; one that ends with `/*` is for all below. Default: none.";
            capture_request_headers, with_capture_request_headers: http::HeaderName =
                "the headers of requests, and the metadata of gRPC, that become attributes; credentials are masked. Default: none.";
            capture_response_headers, with_capture_response_headers: http::HeaderName =
                "the same of responses. Default: none.";
            redacted_query_keys, with_redacted_query_keys: String =
                "more keys of queries whose values are redacted. Default: [these](towline_http::DEFAULT_REDACTED_QUERY_KEYS), which always count.";
        }
    };
}

pub(crate) use list_options;

/// Setters and getters of a [`Config`](crate::Config) that are lists.
macro_rules! config_lists {
    ($($name:ident, $with:ident: $type:ty = $doc:literal;)*) => {
        impl Config {
            $(
                #[doc = concat!("Sets ", $doc, "\n\nIn a file: `", stringify!($name), "`; see [the reference](crate::guide::configuration).")]
                #[must_use]
                pub fn $with(mut self, values: impl IntoIterator<Item = impl Into<$type>>) -> Self {
                    let values = values.into_iter().map(Into::into).collect();
                    self.settings.$name = Some(Said::new(values, Origin::code(stringify!($name))));
                    self
                }

                #[doc = concat!("If they are said: ", $doc)]
                #[must_use]
                pub fn $name(&self) -> Option<&[$type]> {
                    self.settings.$name.as_ref().map(|said| &said.value[..])
                }
            )*
        }
    };
}

pub(crate) use config_lists;

/// Setters of a [`TowlineBuilder`](crate::TowlineBuilder) that take lists.
macro_rules! builder_lists {
    ($($name:ident, $with:ident: $type:ty = $doc:literal;)*) => {
        impl TowlineBuilder {
            $(
                #[doc = concat!("Sets ", $doc, "\n\nIn a file: `", stringify!($name), "`; see [the reference](crate::guide::configuration).")]
                pub fn $with(mut self, values: impl IntoIterator<Item = impl Into<$type>>) -> Self {
                    self.code = self.code.$with(values);
                    self
                }
            )*
        }
    };
}

pub(crate) use builder_lists;

/// Setters and getters of a [`Config`](crate::Config).
macro_rules! config_options {
    ($($name:ident, $with:ident: $type:ty = $doc:literal;)*) => {
        impl Config {
            $(
                #[doc = concat!("Sets ", $doc, "\n\nIn a file: `", stringify!($name), "`; see [the reference](crate::guide::configuration).")]
                #[must_use]
                pub fn $with(mut self, value: $type) -> Self {
                    self.settings.$name = Some(Said::new(value, Origin::code(stringify!($name))));
                    self
                }

                #[doc = concat!("If it is said: ", $doc)]
                #[must_use]
                pub fn $name(&self) -> Option<$type> {
                    self.settings.$name.as_ref().map(|said| said.value)
                }
            )*
        }
    };
}

pub(crate) use config_options;

/// Setters of a [`TowlineBuilder`](crate::TowlineBuilder).
macro_rules! builder_options {
    ($($name:ident, $with:ident: $type:ty = $doc:literal;)*) => {
        impl TowlineBuilder {
            $(
                #[doc = concat!("Sets ", $doc, "\n\nIn a file: `", stringify!($name), "`; see [the reference](crate::guide::configuration).")]
                pub fn $with(mut self, value: $type) -> Self {
                    self.code = self.code.$with(value);
                    self
                }
            )*
        }
    };
}

pub(crate) use builder_options;
