//! Where spans go, as a URL.

mod authority;
mod error;
mod file;
mod parse;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

pub use self::error::{EndpointError, EndpointErrorKind};
pub use self::file::FileFormat;

#[cfg(feature = "file")]
pub(crate) use self::file::DEFAULT_LIMIT_BYTES;
use self::file::FileTarget;

/// Where spans go: a parsed exporter URL.
///
/// | URL | means |
/// |---|---|
/// | `grpc://host:4317` | OTLP/gRPC in plaintext; default port 4317 |
/// | `host:4317`, `host`, `[::1]:4317` | the same: without a scheme it is `grpc` |
/// | `grpcs://host` | OTLP/gRPC over TLS; default port 4317 |
/// | `http://host:4318` | OTLP/HTTP, binary protobuf, in plaintext; default port 80 |
/// | `https://host` | OTLP/HTTP over TLS; default port 443 |
/// | `file:///var/traces?limit=1000000` | OTLP JSON lines in files of at most `limit` bytes each, in that directory |
///
/// - **Path** (`http`, `https`): none or `/` means `/v1/traces`; any other is used verbatim. gRPC
///   takes none.
/// - **Port**: a plain `host:port` is always gRPC, even on 4318.
/// - **Files**: the path is absolute and percent-decoded. `limit` counts bytes, default
///   104,857,600; `format` is `json`.
/// - A scheme may be written in any case; a host name is lower-cased, and written in punycode if it
///   is international.
///
/// Parsing is strict, since a URL that is understood differently than it was meant costs an outage
/// to find out: whitespace, queries on anything but `file`, unknown keys, user names and passwords
/// (they would not be sent: put credentials into headers) are errors. Neither `Display` nor an
/// error shows a password or a query that was in the text. `Display` gives the full form, which
/// parses to the same endpoint.
///
/// That a URL parses does not mean that its transport can be had: see
/// [`BoxTransport::connect`](crate::BoxTransport::connect).
///
/// # Examples
///
/// ```
/// use towline_otlp::{Endpoint, Scheme};
///
/// let endpoint = Endpoint::parse("collector.example.com:4317")?;
/// assert_eq!(endpoint.scheme(), Scheme::Grpc);
/// assert_eq!(endpoint.to_string(), "grpc://collector.example.com:4317");
///
/// let endpoint = Endpoint::parse("http://[::1]")?;
/// assert_eq!((endpoint.port(), endpoint.path()), (Some(80), Some("/v1/traces")));
///
/// let error = Endpoint::parse("tcp://collector:4317").unwrap_err();
/// assert!(error.to_string().contains("expected grpc, grpcs, http, https or file"));
/// # Ok::<(), towline_otlp::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    target: Target,
}

/// The scheme of an [`Endpoint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// `grpc://`, or none: OTLP/gRPC in plaintext.
    Grpc,
    /// `grpcs://`: OTLP/gRPC over TLS.
    Grpcs,
    /// `http://`: OTLP/HTTP in plaintext.
    Http,
    /// `https://`: OTLP/HTTP over TLS.
    Https,
    /// `file://`: files on this machine.
    File,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Target {
    Remote(Remote),
    File(FileTarget),
}

/// A collector at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Remote {
    scheme: Scheme,
    host: url::Host<String>,
    port: u16,
    /// Of HTTP; empty for gRPC.
    path: String,
}

// === impl Endpoint ===

impl Endpoint {
    /// Reads an exporter URL.
    ///
    /// # Errors
    ///
    /// [`EndpointError`], which names the value and what was expected instead.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        parse::endpoint(url).map(|target| Self { target })
    }

    /// How spans travel.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        match &self.target {
            Target::Remote(remote) => remote.scheme,
            Target::File(_) => Scheme::File,
        }
    }

    /// Whether the scheme asks for TLS: `grpcs` and `https`.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        matches!(self.scheme(), Scheme::Grpcs | Scheme::Https)
    }

    /// `host:port`, an IPv6 address in brackets. `None` for files.
    #[must_use]
    pub fn authority(&self) -> Option<String> {
        self.remote()
            .map(|remote| format!("{}:{}", remote.host, remote.port))
    }

    /// The port, given or by default. `None` for files.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.remote().map(|remote| remote.port)
    }

    /// The path of the HTTP request. `None` for gRPC and for files.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.remote()
            .map(|remote| remote.path.as_str())
            .filter(|path| !path.is_empty())
    }

    /// The directory that files are written to. `None` for collectors.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.file().map(|file| file.directory.as_path())
    }

    /// The size in bytes at which the next file is begun. `None` for collectors.
    #[must_use]
    pub fn limit_bytes(&self) -> Option<u64> {
        self.file().map(|file| file.limit_bytes)
    }

    /// How spans are written into files. `None` for collectors.
    #[must_use]
    pub fn file_format(&self) -> Option<FileFormat> {
        self.file().map(|file| file.format)
    }

    const fn remote(&self) -> Option<&Remote> {
        match &self.target {
            Target::Remote(remote) => Some(remote),
            Target::File(_) => None,
        }
    }

    const fn file(&self) -> Option<&FileTarget> {
        match &self.target {
            Target::Remote(_) => None,
            Target::File(file) => Some(file),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Remote(remote) => {
                write!(
                    f,
                    "{}://{}:{}{}",
                    remote.scheme, remote.host, remote.port, remote.path
                )
            }
            Target::File(file) => write!(f, "{}://{file}", Scheme::File),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        Self::parse(url)
    }
}

impl TryFrom<&str> for Endpoint {
    type Error = EndpointError;

    fn try_from(url: &str) -> Result<Self, Self::Error> {
        Self::parse(url)
    }
}

// === impl Scheme ===

impl Scheme {
    /// As it stands in a URL, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Grpcs => "grpcs",
            Self::Http => "http",
            Self::Https => "https",
            Self::File => "file",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
