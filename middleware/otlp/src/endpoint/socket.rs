use std::fmt;
use std::path::PathBuf;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

use super::error::{EndpointError, EndpointErrorKind as Kind};

/// A socket of this machine: [gRPC name
/// resolution](https://github.com/grpc/grpc/blob/v1.76.0/doc/naming.md).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Socket {
    /// `unix`: in the file system.
    Path(PathBuf),
    /// `unix-abstract`: in a name space of Linux, without the NUL that marks it.
    Abstract(Vec<u8>),
}

/// What stands behind `unix:`.
pub(super) fn path(url: &str, rest: &str) -> Result<Socket, EndpointError> {
    let path = match rest.strip_prefix("//") {
        // Behind two slashes stands a host, which is none here.
        Some(path) if !path.starts_with('/') => {
            return Err(EndpointError::new(Kind::Host, url, NO_HOST));
        }
        Some(path) => path,
        None => rest,
    };
    if !path.starts_with('/') {
        return Err(EndpointError::new(Kind::Path, url, ABSOLUTE));
    }
    let bytes = decoded(url, path)?;
    // What ends in a slash is a directory.
    if bytes.ends_with(b"/") || bytes.contains(&0) {
        return Err(EndpointError::new(Kind::Path, url, SOCKET));
    }
    os_path(bytes)
        .map(Socket::Path)
        .ok_or_else(|| EndpointError::new(Kind::Path, url, SOCKET))
}

/// What stands behind `unix-abstract:`.
pub(super) fn abstract_name(url: &str, rest: &str) -> Result<Socket, EndpointError> {
    let name = decoded(url, rest)?;
    if name.is_empty() || name.contains(&0) {
        return Err(EndpointError::new(Kind::Path, url, NAME));
    }
    Ok(Socket::Abstract(name))
}

fn decoded(url: &str, rest: &str) -> Result<Vec<u8>, EndpointError> {
    if rest.contains(['?', '#']) {
        return Err(EndpointError::new(Kind::Query, url, NO_QUERY));
    }
    Ok(percent_decode_str(rest).collect())
}

// === impl Socket ===

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(
                f,
                "unix://{}",
                percent_encode(path.as_os_str().as_encoded_bytes(), ESCAPED)
            ),
            Self::Abstract(name) => {
                write!(f, "unix-abstract:{}", percent_encode(name, ESCAPED))
            }
        }
    }
}

/// Any bytes are a path here.
#[cfg(unix)]
fn os_path(bytes: Vec<u8>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    Some(std::ffi::OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
fn os_path(bytes: Vec<u8>) -> Option<PathBuf> {
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

/// What must be escaped so that it is read back as it was.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`');

const NO_HOST: &str = "no host: an absolute path, such as unix:///run/collector.sock";

const ABSOLUTE: &str = "an absolute path, such as unix:///run/collector.sock";

const SOCKET: &str = "the path of a socket, such as unix:///run/collector.sock, its special characters percent-encoded";

const NAME: &str = "a name, such as unix-abstract:collector";

const NO_QUERY: &str = "no query and no fragment; ? and # in a name are written %3F and %23";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Endpoint, Scheme};
    use super::*;

    #[test]
    fn reads_paths_and_shows_them_so_that_they_can_be_read_again() {
        for (url, path, shown) in [
            (
                "unix:///run/otel.sock",
                "/run/otel.sock",
                "unix:///run/otel.sock",
            ),
            (
                "unix:/run/otel.sock",
                "/run/otel.sock",
                "unix:///run/otel.sock",
            ),
            ("UNIX:///a", "/a", "unix:///a"),
            (
                "unix:///a%20b%25%3F%23",
                "/a b%?#",
                "unix:///a%20b%25%3F%23",
            ),
            ("unix:///a//b/../c", "/a//b/../c", "unix:///a//b/../c"),
            (
                "unix:///run/user@1000/s",
                "/run/user@1000/s",
                "unix:///run/user@1000/s",
            ),
        ] {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!(endpoint.scheme(), Scheme::Unix, "{url}");
            assert_eq!(endpoint.socket_path(), Some(Path::new(path)), "{url}");
            assert_eq!(endpoint.authority().as_deref(), Some("localhost"), "{url}");
            assert_eq!(
                (endpoint.port(), endpoint.path(), endpoint.is_tls()),
                (None, None, false),
                "{url}"
            );
            assert_eq!(endpoint.to_string(), shown);
            assert_eq!(Endpoint::parse(shown).unwrap(), endpoint);
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_path_need_not_be_text() {
        let endpoint = Endpoint::parse("unix:///a%FF").unwrap();
        let path = endpoint.socket_path().unwrap();
        assert_eq!(path.as_os_str().as_encoded_bytes(), b"/a\xff");
        assert_eq!(Endpoint::parse(&endpoint.to_string()).unwrap(), endpoint);
    }

    #[test]
    fn reads_abstract_names() {
        for (url, name) in [
            ("unix-abstract:otel", &b"otel"[..]),
            ("unix-abstract:a%20b/c", b"a b/c"),
            ("unix-abstract:%FF", b"\xff"),
        ] {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!(endpoint.scheme(), Scheme::Unix, "{url}");
            assert_eq!(endpoint.abstract_name(), Some(name), "{url}");
            assert_eq!(endpoint.socket_path(), None);
            assert_eq!(endpoint.to_string(), url);
        }
        assert_eq!(Endpoint::parse("unix:///a").unwrap().abstract_name(), None);
        assert_eq!(Endpoint::parse("host").unwrap().socket_path(), None);
    }

    #[test]
    fn what_is_no_socket_is_an_error_that_says_what_was_expected() {
        for (url, kind, expected) in [
            ("unix:", Kind::Path, "absolute"),
            ("unix:relative", Kind::Path, "absolute"),
            ("unix://", Kind::Host, "no host"),
            ("unix://host/a", Kind::Host, "no host"),
            ("unix:///", Kind::Path, "path of a socket"),
            ("unix:///a/", Kind::Path, "path of a socket"),
            ("unix:///a%00", Kind::Path, "path of a socket"),
            ("unix:///a?b=c", Kind::Query, "%3F"),
            ("unix:///a#b", Kind::Query, "%23"),
            ("unix:///a b", Kind::Character, "whitespace"),
            ("unix-abstract:", Kind::Path, "a name"),
            ("unix-abstract:%00", Kind::Path, "a name"),
            ("unix-abstract:a?b", Kind::Query, "%3F"),
        ] {
            let error = Endpoint::parse(url).unwrap_err();
            assert_eq!(error.kind(), kind, "{url}: {error}");
            assert!(error.to_string().contains(expected), "{url}: {error}");
        }
    }
}
