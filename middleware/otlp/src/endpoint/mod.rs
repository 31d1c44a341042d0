//! Where spans go, as a URL.

mod authority;
mod error;
mod file;
mod parse;
mod socket;
#[cfg(test)]
mod teleport;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

pub use self::error::{EndpointError, EndpointErrorKind};
pub use self::file::FileFormat;

#[cfg(feature = "file")]
pub(crate) use self::file::FileOptions;
use self::file::FileTarget;
use self::socket::Socket;

/// Where spans go: a parsed exporter URL.
///
/// | URL | means |
/// |---|---|
/// | `grpc://host:4317` | OTLP/gRPC in plaintext; default port 4317 |
/// | `host:4317`, `host`, `[::1]:4317` | the same: without a scheme it is `grpc` |
/// | `grpcs://host` | OTLP/gRPC over TLS; default port 4317 |
/// | `http://host:4318` | OTLP/HTTP, binary protobuf, in plaintext; default port 80 |
/// | `https://host` | OTLP/HTTP over TLS; default port 443 |
/// | `unix:///run/collector.sock`, `unix:/run/collector.sock` | OTLP/gRPC over a unix socket |
/// | `unix-abstract:collector` | the same, over an abstract socket of Linux |
/// | `file:///var/traces?limit=1000000` | files of at most `limit` bytes each, in that directory |
/// | `console:` | lines of text on standard output, for development |
///
/// - **Path** (`http`, `https`): none or `/` means `/v1/traces`; any other is used verbatim. gRPC
///   takes none.
/// - **Port**: a plain `host:port` is always gRPC, even on 4318.
/// - **TLS**: `https` and `grpcs` are never anything else, with the system's roots if no others are
///   given. `http` and `grpc` become TLS when certificates are given: see
///   [`ClientOptions`](crate::ClientOptions).
/// - **Sockets**: the path is absolute, path and name are percent-decoded, and calls are for
///   `localhost`. It is what [gRPC](https://github.com/grpc/grpc/blob/v1.76.0/doc/naming.md) has,
///   without relative paths.
/// - **Files**: the path is absolute and percent-decoded. The query has any of these keys, each once:
///
///   | key | value | default |
///   |---|---|---|
///   | `limit` | bytes: the next file is begun before one gets larger | 104,857,600 |
///   | `format` | `json`, `teleport` or `proto`: see [`FileFormat`] | `json` |
///   | `max_files` | from 1: the oldest files beyond so many are removed | any number |
///   | `max_age` | from 1, with `s`, `m`, `h` or `d`, such as `90m` or `7d`: files not written to for longer are removed | for ever |
///
///   The last two remove only files that this crate has made and no process holds.
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
/// [`BoxTransport::connect_with`](crate::BoxTransport::connect_with).
///
/// # Beside Teleport
///
/// The same URLs as for Teleport's `exporter_url`, and its documentation is what they do. Its code
/// does otherwise here and there:
///
/// | URL | Teleport | here |
/// |---|---|---|
/// | `http://host/api/traces` | the path becomes part of the host name: every export fails | posted to `/api/traces` |
/// | `grpc://host`, `http://host`, `https://host` | gRPC to a host `grpc`, `http` or `https` | the scheme's protocol on its default port |
/// | `host` | an error | gRPC on port 4317, as its documentation says of URLs without a scheme |
/// | `https://host`, no certificates | plaintext | TLS with the system's roots |
/// | `http://host`, certificates | TLS | the same |
/// | `unix:///socket` | gRPC to a host `unix` | a unix socket |
/// | `FILE:///directory` | gRPC to a host `FILE` | files: a scheme may be written in any case |
/// | `file://relative/directory` | relative to the working directory | an error |
/// | `file:///a%20b` | the directory `a%20b` | the directory `a b` |
/// | `tcp://host` | an error | the same |
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
/// assert!(error.to_string().contains("expected grpc, grpcs, http, https, file, unix or console"));
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
    /// `unix:` and `unix-abstract:`: OTLP/gRPC over a socket of this machine.
    Unix,
    /// `file://`: files on this machine.
    File,
    /// `console:`: standard output.
    Console,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Target {
    Remote(Remote),
    Socket(Socket),
    File(FileTarget),
    Console,
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
            Target::Socket(_) => Scheme::Unix,
            Target::File(_) => Scheme::File,
            Target::Console => Scheme::Console,
        }
    }

    /// Whether the scheme asks for TLS: `grpcs` and `https`.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        matches!(self.scheme(), Scheme::Grpcs | Scheme::Https)
    }

    /// `host:port`, an IPv6 address in brackets; `localhost` for unix sockets. `None` for files
    /// and the console.
    #[must_use]
    pub fn authority(&self) -> Option<String> {
        match &self.target {
            Target::Remote(remote) => Some(format!("{}:{}", remote.host, remote.port)),
            Target::Socket(_) => Some("localhost".to_owned()),
            Target::File(_) | Target::Console => None,
        }
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

    /// The path of a unix socket. `None` for abstract ones, and for all other endpoints.
    #[must_use]
    pub fn socket_path(&self) -> Option<&Path> {
        match &self.target {
            Target::Socket(Socket::Path(path)) => Some(path),
            _ => None,
        }
    }

    /// The name of an abstract unix socket, without the NUL that the system puts before it. `None`
    /// for all other endpoints.
    #[must_use]
    pub fn abstract_name(&self) -> Option<&[u8]> {
        match &self.target {
            Target::Socket(Socket::Abstract(name)) => Some(name),
            _ => None,
        }
    }

    /// The directory that files are written to. `None` for collectors.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.file().map(|file| file.directory.as_path())
    }

    /// The size in bytes at which the next file is begun. `None` for collectors.
    #[must_use]
    pub fn limit_bytes(&self) -> Option<u64> {
        self.file().map(|file| file.options.limit_bytes)
    }

    /// How spans are written into files. `None` for collectors.
    #[must_use]
    pub fn file_format(&self) -> Option<FileFormat> {
        self.file().map(|file| file.options.format)
    }

    /// How many files are kept in the directory. `None` for any number, and for collectors.
    #[must_use]
    pub fn max_files(&self) -> Option<usize> {
        self.file().and_then(|file| file.options.max_files)
    }

    /// How long files are kept after they were last written to. `None` for ever, and for collectors.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.file().and_then(|file| file.options.max_age)
    }

    /// What a transport into files needs. `None` for collectors.
    #[cfg(feature = "file")]
    pub(crate) fn file_options(&self) -> Option<(&Path, FileOptions)> {
        self.file()
            .map(|file| (file.directory.as_path(), file.options))
    }

    /// Whom a certificate must be for.
    #[cfg(all(feature = "tls", feature = "_hyper"))]
    pub(crate) fn host(&self) -> Option<&url::Host<String>> {
        self.remote().map(|remote| &remote.host)
    }

    const fn remote(&self) -> Option<&Remote> {
        match &self.target {
            Target::Remote(remote) => Some(remote),
            Target::Socket(_) | Target::File(_) | Target::Console => None,
        }
    }

    const fn file(&self) -> Option<&FileTarget> {
        match &self.target {
            Target::Remote(_) | Target::Socket(_) | Target::Console => None,
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
            Target::Socket(socket) => socket.fmt(f),
            Target::File(file) => write!(f, "{}://{file}", Scheme::File),
            Target::Console => write!(f, "{}:", Scheme::Console),
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
            Self::Unix => "unix",
            Self::File => "file",
            Self::Console => "console",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
