use std::fmt;
use std::path::PathBuf;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

use super::error::{EndpointError, EndpointErrorKind as Kind};

/// How spans are written into files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileFormat {
    /// OTLP JSON lines: one `ExportTraceServiceRequest` a line, as the Collector's file receivers
    /// read them.
    #[default]
    Json,
}

/// A directory of this machine, and how files are written into it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileTarget {
    pub(super) directory: PathBuf,
    pub(super) limit_bytes: u64,
    pub(super) format: FileFormat,
}

/// What stands behind `file://`.
pub(super) fn target(url: &str, rest: &str) -> Result<FileTarget, EndpointError> {
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    if rest.contains('#') {
        return Err(EndpointError::new(
            Kind::Query,
            url,
            "no fragment; a # in a path is written %23",
        ));
    }
    // RFC 8089 lets `localhost` stand for no host.
    let path = path
        .strip_prefix("localhost")
        .filter(|path| path.starts_with('/'))
        .unwrap_or(path);
    if !path.starts_with('/') {
        return Err(EndpointError::new(
            Kind::Host,
            url,
            "no host: an absolute path after file://, such as file:///var/traces",
        ));
    }
    let directory = directory(path).ok_or_else(|| {
        EndpointError::new(
            Kind::Path,
            url,
            "a directory whose special characters are percent-encoded",
        )
    })?;

    let (mut limit_bytes, mut format) = (None, None);
    for pair in query
        .into_iter()
        .filter(|query| !query.is_empty())
        .flat_map(|query| query.split('&'))
    {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let taken = match key {
            "limit" => limit_bytes
                .replace(limit(value).ok_or_else(|| {
                    EndpointError::new(
                        Kind::Query,
                        url,
                        "a number of bytes for `limit`, such as limit=104857600",
                    )
                })?)
                .is_some(),
            "format" => format
                .replace(match value {
                    "json" => FileFormat::Json,
                    _ => return Err(EndpointError::new(Kind::Query, url, "`json` for `format`")),
                })
                .is_some(),
            _ => {
                return Err(EndpointError::new(
                    Kind::Query,
                    url,
                    "no keys but `limit` and `format`",
                ));
            }
        };
        if taken {
            return Err(EndpointError::new(
                Kind::Query,
                url,
                format!("`{key}` only once"),
            ));
        }
    }
    Ok(FileTarget {
        directory,
        limit_bytes: limit_bytes.unwrap_or(DEFAULT_LIMIT_BYTES),
        format: format.unwrap_or_default(),
    })
}

fn limit(value: &str) -> Option<u64> {
    // `u64` would take a plus sign.
    value
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| value.parse().ok())
        .flatten()
}

/// An absolute path from its percent-encoded form.
fn directory(path: &str) -> Option<PathBuf> {
    let bytes: Vec<u8> = percent_decode_str(path).collect();
    if bytes.contains(&0) {
        return None;
    }
    os::path(bytes)
}

impl fmt::Display for FileTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = os::bytes(&self.directory);
        write!(
            f,
            "{}?limit={}",
            percent_encode(&path, ESCAPED),
            self.limit_bytes
        )?;
        match self.format {
            FileFormat::Json => f.write_str("&format=json"),
        }
    }
}

#[cfg(unix)]
mod os {
    use std::borrow::Cow;
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    /// Any bytes are a path here.
    pub(super) fn path(bytes: Vec<u8>) -> Option<PathBuf> {
        Some(PathBuf::from(OsString::from_vec(bytes)))
    }

    pub(super) fn bytes(path: &Path) -> Cow<'_, [u8]> {
        Cow::Borrowed(path.as_os_str().as_bytes())
    }
}

#[cfg(not(unix))]
mod os {
    use std::borrow::Cow;
    use std::path::{Path, PathBuf};

    /// `/C:/dir` is `C:/dir` where paths begin with a drive.
    pub(super) fn path(bytes: Vec<u8>) -> Option<PathBuf> {
        let path = String::from_utf8(bytes).ok()?;
        let drive = path
            .strip_prefix('/')
            .filter(|path| path.get(1..2) == Some(":"));
        Some(PathBuf::from(drive.unwrap_or(&path)))
    }

    pub(super) fn bytes(path: &Path) -> Cow<'_, [u8]> {
        let path = path.to_string_lossy().replace('\\', "/");
        Cow::Owned(
            if path.starts_with('/') {
                path
            } else {
                format!("/{path}")
            }
            .into_bytes(),
        )
    }
}

/// Teleport's limit, and roughly the Collector's.
pub(crate) const DEFAULT_LIMIT_BYTES: u64 = 104_857_600;

/// What must be escaped in the path of a `file` URL, so that it is read back as it was.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'\\');

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Endpoint;
    use super::*;

    #[test]
    fn reads_directories() {
        for (url, directory, limit) in [
            ("file:///var/traces", "/var/traces", DEFAULT_LIMIT_BYTES),
            (
                "file://localhost/var/traces",
                "/var/traces",
                DEFAULT_LIMIT_BYTES,
            ),
            ("FILE:///a", "/a", DEFAULT_LIMIT_BYTES),
            ("file:///", "/", DEFAULT_LIMIT_BYTES),
            ("file:///a%20b%25c?limit=10", "/a b%c", 10),
            ("file:///a?format=json&limit=0", "/a", 0),
            ("file:///a/../b?", "/a/../b", DEFAULT_LIMIT_BYTES),
            ("file:///user@host/b", "/user@host/b", DEFAULT_LIMIT_BYTES),
            ("file:///a?limit=18446744073709551615", "/a", u64::MAX),
        ] {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!(endpoint.directory(), Some(Path::new(directory)), "{url}");
            assert_eq!(endpoint.limit_bytes(), Some(limit), "{url}");
            assert_eq!(endpoint.file_format(), Some(FileFormat::Json), "{url}");
            assert_eq!(
                Endpoint::parse(&endpoint.to_string()).unwrap(),
                endpoint,
                "{endpoint}"
            );
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_path_need_not_be_text() {
        use std::os::unix::ffi::OsStrExt;
        let endpoint = Endpoint::parse("file:///a%FF").unwrap();
        assert_eq!(
            endpoint.directory().unwrap().as_os_str().as_bytes(),
            b"/a\xff"
        );
        assert_eq!(Endpoint::parse(&endpoint.to_string()).unwrap(), endpoint);
    }

    #[test]
    fn what_cannot_be_used_is_an_error_that_says_what_was_expected() {
        for (url, kind, expected) in [
            ("file://", Kind::Host, "file:///"),
            ("file://relative/dir", Kind::Host, "absolute"),
            ("file://localhost", Kind::Host, "absolute"),
            ("file:///a%00b", Kind::Path, "percent-encoded"),
            ("file:///a#b", Kind::Query, "%23"),
            ("file:///a?limit=", Kind::Query, "number of bytes"),
            ("file:///a?limit", Kind::Query, "number of bytes"),
            ("file:///a?limit=-1", Kind::Query, "number of bytes"),
            ("file:///a?limit=+1", Kind::Query, "number of bytes"),
            ("file:///a?limit=100MB", Kind::Query, "number of bytes"),
            (
                "file:///a?limit=18446744073709551616",
                Kind::Query,
                "number of bytes",
            ),
            ("file:///a?limit=1&limit=1", Kind::Query, "only once"),
            ("file:///a?format=csv", Kind::Query, "json"),
            (
                "file:///a?format=json&format=json",
                Kind::Query,
                "only once",
            ),
            ("file:///a?Limit=1", Kind::Query, "`limit` and `format`"),
            ("file:///a?limit=1&", Kind::Query, "`limit` and `format`"),
        ] {
            let error = Endpoint::parse(url).unwrap_err();
            assert_eq!(error.kind(), kind, "{url}: {error}");
            assert!(error.to_string().contains(expected), "{url}: {error}");
        }
    }
}
