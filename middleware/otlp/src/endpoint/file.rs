use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

use super::error::{EndpointError, EndpointErrorKind as Kind};

/// How spans are written into files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileFormat {
    /// `json`: OTLP JSON lines, one `ExportTraceServiceRequest` a line, as the Collector's file
    /// receivers read them.
    #[default]
    Json,
    /// `teleport`: what Teleport writes for `file://`, one `ResourceSpans` a line in protobuf's own
    /// JSON, with base64 ids and enums by name. The Collector does not read it.
    Teleport,
    /// `proto`: binary protobuf, each `TracesData` behind its length in 4 bytes, big-endian, as the
    /// Collector's file exporter writes it for `format: proto`.
    Proto,
}

/// How files are written, and which of them are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileOptions {
    pub(crate) format: FileFormat,
    pub(crate) limit_bytes: u64,
    pub(crate) max_files: Option<usize>,
    pub(crate) max_age: Option<Duration>,
}

/// A directory of this machine, and how files are written into it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileTarget {
    pub(super) directory: PathBuf,
    pub(super) options: FileOptions,
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

    let mut options = FileOptions::default();
    let mut taken = Vec::new();
    for pair in query
        .into_iter()
        .filter(|query| !query.is_empty())
        .flat_map(|query| query.split('&'))
    {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if taken.contains(&key) {
            return Err(EndpointError::new(
                Kind::Query,
                url,
                format!("`{key}` only once"),
            ));
        }
        options
            .set(key, value)
            .map_err(|expected| EndpointError::new(Kind::Query, url, expected))?;
        // Known keys only, so that there are few.
        taken.push(key);
    }
    Ok(FileTarget { directory, options })
}

// === impl FileFormat ===

impl FileFormat {
    /// As it stands in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Teleport => "teleport",
            Self::Proto => "proto",
        }
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl FileOptions ===

impl FileOptions {
    /// Takes a key of the query; says what was expected if it cannot.
    fn set(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        match key {
            LIMIT => {
                self.limit_bytes = number(value)
                    .ok_or("a number of bytes for `limit`, such as limit=104857600")?;
            }
            FORMAT => {
                self.format = match value {
                    "json" => FileFormat::Json,
                    "teleport" => FileFormat::Teleport,
                    "proto" => FileFormat::Proto,
                    _ => return Err("`json`, `teleport` or `proto` for `format`"),
                };
            }
            MAX_FILES => {
                let files = number(value)
                    .filter(|files| *files > 0)
                    .and_then(|files| usize::try_from(files).ok())
                    .ok_or("a number of files from 1 for `max_files`, such as max_files=10")?;
                self.max_files = Some(files);
            }
            MAX_AGE => {
                let age = age(value).ok_or(
                    "a number from 1 with the unit `s`, `m`, `h` or `d` for `max_age`, such as \
                     max_age=7d",
                )?;
                self.max_age = Some(age);
            }
            _ => return Err("no keys but `limit`, `format`, `max_files` and `max_age`"),
        }
        Ok(())
    }
}

impl Default for FileOptions {
    fn default() -> Self {
        Self {
            format: FileFormat::default(),
            limit_bytes: DEFAULT_LIMIT_BYTES,
            max_files: None,
            max_age: None,
        }
    }
}

fn number(value: &str) -> Option<u64> {
    // `u64` would take a plus sign.
    value
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| value.parse().ok())
        .flatten()
}

fn age(value: &str) -> Option<Duration> {
    let (unit, seconds) = UNITS.into_iter().find(|(unit, _)| value.ends_with(*unit))?;
    let count = number(value.strip_suffix(unit)?).filter(|count| *count > 0)?;
    count.checked_mul(seconds).map(Duration::from_secs)
}

/// An absolute path from its percent-encoded form.
fn directory(path: &str) -> Option<PathBuf> {
    let bytes: Vec<u8> = percent_decode_str(path).collect();
    if bytes.contains(&0) {
        return None;
    }
    os::path(bytes)
}

// === impl FileTarget ===

impl fmt::Display for FileTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = os::bytes(&self.directory);
        let FileOptions {
            format,
            limit_bytes,
            max_files,
            max_age,
        } = self.options;
        write!(
            f,
            "{}?{LIMIT}={limit_bytes}&{FORMAT}={format}",
            percent_encode(&path, ESCAPED),
        )?;
        if let Some(max_files) = max_files {
            write!(f, "&{MAX_FILES}={max_files}")?;
        }
        if let Some(max_age) = max_age {
            write!(f, "&{MAX_AGE}={}s", max_age.as_secs())?;
        }
        Ok(())
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

const LIMIT: &str = "limit";
const FORMAT: &str = "format";
const MAX_FILES: &str = "max_files";
const MAX_AGE: &str = "max_age";

/// The keys of the query.
pub(super) const KEYS: [&str; 4] = [LIMIT, FORMAT, MAX_FILES, MAX_AGE];

/// Of a time, in seconds.
const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];

/// Teleport's limit, and roughly the Collector's.
const DEFAULT_LIMIT_BYTES: u64 = 104_857_600;

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
    fn reads_formats_and_what_is_kept() {
        for (query, format, max_files, max_age) in [
            ("", FileFormat::Json, None, None),
            ("format=json", FileFormat::Json, None, None),
            ("format=teleport", FileFormat::Teleport, None, None),
            ("format=proto", FileFormat::Proto, None, None),
            ("max_files=1", FileFormat::Json, Some(1), None),
            ("max_age=90s", FileFormat::Json, None, Some(90)),
            ("max_age=5m", FileFormat::Json, None, Some(300)),
            ("max_age=12h", FileFormat::Json, None, Some(43_200)),
            (
                "max_age=7d&format=proto&max_files=20",
                FileFormat::Proto,
                Some(20),
                Some(604_800),
            ),
            (
                "max_age=18446744073709551615s",
                FileFormat::Json,
                None,
                Some(u64::MAX),
            ),
        ] {
            let endpoint = Endpoint::parse(&format!("file:///a?{query}")).unwrap();
            assert_eq!(endpoint.file_format(), Some(format), "{query}");
            assert_eq!(endpoint.max_files(), max_files, "{query}");
            let max_age = max_age.map(Duration::from_secs);
            assert_eq!(endpoint.max_age(), max_age, "{query}");
            assert_eq!(
                Endpoint::parse(&endpoint.to_string()).unwrap(),
                endpoint,
                "{endpoint}"
            );
        }
        let collector = Endpoint::parse("host").unwrap();
        assert_eq!((collector.max_files(), collector.max_age()), (None, None));
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
            (
                "file:///a?format=csv",
                Kind::Query,
                "`json`, `teleport` or `proto`",
            ),
            ("file:///a?format=JSON", Kind::Query, "`json`"),
            ("file:///a?format=", Kind::Query, "`json`"),
            ("file:///a?max_files=0", Kind::Query, "from 1"),
            ("file:///a?max_files=", Kind::Query, "from 1"),
            ("file:///a?max_files=-1", Kind::Query, "from 1"),
            ("file:///a?max_files=ten", Kind::Query, "from 1"),
            (
                "file:///a?max_files=1&max_files=2",
                Kind::Query,
                "`max_files` only once",
            ),
            ("file:///a?max_age=", Kind::Query, "`s`, `m`, `h` or `d`"),
            ("file:///a?max_age=7", Kind::Query, "`s`, `m`, `h` or `d`"),
            ("file:///a?max_age=d", Kind::Query, "`s`, `m`, `h` or `d`"),
            ("file:///a?max_age=0d", Kind::Query, "from 1"),
            ("file:///a?max_age=+7d", Kind::Query, "`max_age`"),
            ("file:///a?max_age=1.5h", Kind::Query, "`max_age`"),
            ("file:///a?max_age=1h30m", Kind::Query, "`max_age`"),
            ("file:///a?max_age=7w", Kind::Query, "`max_age`"),
            ("file:///a?max_age=7ms", Kind::Query, "`max_age`"),
            ("file:///a?max_age=7ä", Kind::Query, "`max_age`"),
            (
                "file:///a?max_age=18446744073709551615d",
                Kind::Query,
                "`max_age`",
            ),
            (
                "file:///a?max_age=1d&max_age=1d",
                Kind::Query,
                "`max_age` only once",
            ),
            (
                "file:///a?format=json&format=json",
                Kind::Query,
                "only once",
            ),
            ("file:///a?Limit=1", Kind::Query, "no keys but `limit`"),
            ("file:///a?limit=1&", Kind::Query, "no keys but `limit`"),
            ("file:///a?maxfiles=1", Kind::Query, "`max_files`"),
        ] {
            let error = Endpoint::parse(url).unwrap_err();
            assert_eq!(error.kind(), kind, "{url}: {error}");
            assert!(error.to_string().contains(expected), "{url}: {error}");
            // The key and its value, unless that may be a secret.
            if let Some((_, query)) = url.split_once('?')
                && KEYS.iter().any(|key| query.starts_with(key))
                && query.is_ascii()
            {
                let shown = query.trim_end_matches('&');
                assert!(error.to_string().contains(shown), "{url}: {error}");
            }
        }
    }
}
