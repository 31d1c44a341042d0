use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::printable::Printable;
#[cfg(feature = "tls")]
use crate::transport::Tls;

/// How the clients for gRPC and HTTP connect, and what they send along.
///
/// | option | default |
/// |---|---|
/// | `tls` (feature `tls`) | the system's roots, for `https` and `grpcs` alone |
/// | [`header`](Self::header), [`headers`](Self::headers) | none |
/// | [`compression`](Self::compression) | none |
/// | [`user_agent`](Self::user_agent) | the exporter's own |
/// | [`connect_timeout`](Self::connect_timeout) | 5 s |
///
/// What makes no sense is an error when the transport is made, not when it is used: TLS, headers or
/// compression for files, TLS for a unix socket, a header that the protocol needs for itself.
///
/// `Debug` shows the names of headers and files, and neither the values of headers nor keys.
///
/// # Examples
///
/// ```
/// # #[cfg(all(feature = "gzip", feature = "http"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use http::HeaderValue;
/// use http::header::AUTHORIZATION;
/// use towline_otlp::{BoxTransport, ClientOptions, Compression, Endpoint, Exporter};
///
/// let options = ClientOptions::new()
///     .header(AUTHORIZATION, HeaderValue::from_static("Bearer secret"))
///     .compression(Compression::Gzip)
///     .user_agent("users/1.0");
/// assert!(!format!("{options:?}").contains("secret"));
/// let endpoint = Endpoint::parse("http://collector:4318")?;
/// let transport = BoxTransport::connect_with(&endpoint, &options)?;
/// # drop(transport);
///
/// // Or all in one.
/// let builder = Exporter::builder().endpoint(endpoint).client(options);
/// # builder.build()?;
/// # Ok(())
/// # }
/// # #[cfg(not(all(feature = "gzip", feature = "http")))]
/// # fn main() {}
/// ```
#[derive(Clone)]
#[must_use]
pub struct ClientOptions {
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
    pub(crate) headers: HeaderMap,
    pub(crate) compression: Option<Compression>,
    pub(crate) user_agent: Option<String>,
    pub(crate) connect_timeout: Duration,
}

/// How batches are compressed on their way.
///
/// It happens on the export thread, once per attempt: where spans end nothing changes. While a
/// batch is compressed it takes its own length again, and zstd a few MiB for its tables.
///
/// gRPC: [message compression](https://github.com/grpc/grpc/blob/v1.76.0/doc/compression.md), by
/// tonic. HTTP: `Content-Encoding` ([RFC 9110, section
/// 8.4](https://www.rfc-editor.org/rfc/rfc9110.html#section-8.4)). Answers are never asked for in
/// compressed form: they are a few bytes, and their length stays what it seems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// `gzip`, at level 6 (feature `gzip`). Every receiver of OTLP reads it.
    Gzip,
    /// `zstd`, at level 3 (feature `zstd`): smaller and faster than gzip. The Collector reads it,
    /// others may not.
    Zstd,
}

/// A text that names no [`Compression`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseCompressionError {
    text: String,
}

// === impl ClientOptions ===

impl ClientOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            #[cfg(feature = "tls")]
            tls: None,
            headers: HeaderMap::new(),
            compression: None,
            user_agent: None,
            connect_timeout: CONNECT_TIMEOUT,
        }
    }

    /// Certificates: whom to trust, and who we are.
    ///
    /// `https` and `grpcs` are TLS in any case. `http` and `grpc` become TLS when certificates are
    /// given here, on the port that the endpoint has; a [`Tls`] without any is an error for them,
    /// since it does not say what is meant.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Adds a header to every request, or metadata to every call. A name may be given more than
    /// once: each of its values is sent.
    ///
    /// The value is treated as a secret: it is never shown, and HTTP/2 keeps it out of its tables.
    /// The headers that the protocols need for themselves cannot be set (`content-type`,
    /// `content-length`, `content-encoding`, `host`, `te`, those of a connection, all that begin
    /// with `grpc-`); `user-agent` has [its own option](Self::user_agent). gRPC takes printable
    /// ASCII only; a name that ends in `-bin` needs a value in base64.
    pub fn header(mut self, name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.headers.append(name, value);
        self
    }

    /// Adds headers: [`header`](Self::header) for each.
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        let mut last = None;
        for (name, value) in headers {
            // A name stands only before the first of its values.
            last = name.or(last);
            if let Some(name) = last.clone() {
                self = self.header(name, value);
            }
        }
        self
    }

    /// Compresses batches. Default: they go as they are.
    ///
    /// Choosing one that is not compiled in is an error when the transport is made.
    pub const fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// Puts a product before the `User-Agent`, such as `users/1.0`, or several with spaces between:
    /// `users/1.0 towline/… OTel-OTLP-Exporter-Rust/…`. It is what the [OTLP exporter
    /// specification](https://github.com/open-telemetry/opentelemetry-specification/blob/v1.50.0/specification/protocol/exporter.md#user-agent)
    /// allows; the exporter's own part stays.
    pub fn user_agent(mut self, product: impl Into<String>) -> Self {
        self.user_agent = Some(product.into());
        self
    }

    /// How long it may take until a connection stands: name, TCP and TLS together. Of several
    /// addresses each gets its share. Default: 5 s, as Teleport's.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The first option that is of use for connections alone. Who we are and how long we wait does
    /// not count: it may be said once for whatever comes.
    pub(crate) fn of_connections(&self) -> Option<&'static str> {
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            return Some("TLS");
        }
        if !self.headers.is_empty() {
            Some("headers")
        } else if self.compression.is_some() {
            Some("compression")
        } else {
            None
        }
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ClientOptions");
        #[cfg(feature = "tls")]
        debug.field("tls", &self.tls);
        // Whatever a value says of itself.
        let headers: Vec<_> = self.headers.keys().collect();
        debug
            .field("headers", &headers)
            .field("compression", &self.compression)
            .field("user_agent", &self.user_agent)
            .field("connect_timeout", &self.connect_timeout)
            .finish()
    }
}

// === impl Compression ===

impl Compression {
    /// As it stands in a header and in `OTEL_EXPORTER_OTLP_COMPRESSION`. The feature has the same
    /// name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Compression {
    type Err = ParseCompressionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Gzip, Self::Zstd]
            .into_iter()
            .find(|compression| compression.as_str() == text)
            .ok_or_else(|| ParseCompressionError {
                text: Printable::first(MAX_SHOWN_CHARS, text).to_string(),
            })
    }
}

// === impl ParseCompressionError ===

impl fmt::Display for ParseCompressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "compression `{}` is unknown: expected gzip or zstd",
            self.text
        )
    }
}

impl Error for ParseCompressionError {}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Characters of a text that an error shows.
const MAX_SHOWN_CHARS: usize = 40;

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::*;

    #[test]
    fn compression_is_read_as_it_is_written() {
        for (text, expected) in [("gzip", Compression::Gzip), ("zstd", Compression::Zstd)] {
            assert_eq!(text.parse(), Ok(expected));
            assert_eq!(expected.to_string(), text);
        }
        for (text, shown) in [("", "``"), ("GZIP", "`GZIP`"), ("br\n", "`br\\n`")] {
            let error = text.parse::<Compression>().unwrap_err().to_string();
            assert!(
                error.contains(shown) && error.contains("expected gzip or zstd"),
                "{error}"
            );
        }
        let error = "x".repeat(1000).parse::<Compression>().unwrap_err();
        assert!(error.to_string().len() < 120, "{error}");
    }

    #[test]
    fn every_value_of_a_header_is_kept_and_none_is_shown() {
        let mut more = HeaderMap::new();
        more.append("x-team", HeaderValue::from_static("hunter2"));
        more.append("x-team", HeaderValue::from_static("hunter3"));
        let options = ClientOptions::new()
            .header(AUTHORIZATION, HeaderValue::from_static("hunter1"))
            .headers(more)
            .header(
                HeaderName::from_static("x-team"),
                HeaderValue::from_static("hunter4"),
            );
        let values: Vec<_> = options.headers.get_all("x-team").iter().collect();
        assert_eq!(values, ["hunter2", "hunter3", "hunter4"]);
        assert!(options.headers.values().all(HeaderValue::is_sensitive));
        let shown = format!("{options:?}");
        assert!(
            shown.contains("authorization") && !shown.contains("hunter"),
            "{shown}"
        );
    }
}
