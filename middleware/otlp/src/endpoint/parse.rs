use super::error::{EndpointError, EndpointErrorKind as Kind};
use super::{Remote, Scheme, Target, authority, file, socket};

/// Reads an exporter URL; the grammar stands on [`Endpoint`](super::Endpoint).
pub(super) fn endpoint(url: &str) -> Result<Target, EndpointError> {
    if url.is_empty() {
        return Err(EndpointError::new(Kind::Empty, url, EXPECTED_URL));
    }
    if url
        .chars()
        .any(|char| char.is_whitespace() || char.is_control())
    {
        return Err(EndpointError::new(
            Kind::Character,
            url,
            "no whitespace and no control characters",
        ));
    }
    // Schemes that need no slashes.
    let socket = match url.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("unix") => {
            Some(socket::path(url, rest))
        }
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("unix-abstract") => {
            Some(socket::abstract_name(url, rest))
        }
        _ => None,
    };
    if let Some(socket) = socket {
        return socket.map(Target::Socket);
    }
    if url.eq_ignore_ascii_case("console:") || url.eq_ignore_ascii_case("console://") {
        return Ok(Target::Console);
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        // With fewer slashes it would pass for a host without a port.
        if url
            .get(..6)
            .is_some_and(|start| start.eq_ignore_ascii_case("file:/"))
        {
            return Err(EndpointError::new(
                Kind::Host,
                url,
                "file:///directory, with three slashes",
            ));
        }
        return remote(url, Scheme::Grpc, url);
    };
    match scheme.to_ascii_lowercase().as_str() {
        "grpc" => remote(url, Scheme::Grpc, rest),
        "grpcs" => remote(url, Scheme::Grpcs, rest),
        "http" => remote(url, Scheme::Http, rest),
        "https" => remote(url, Scheme::Https, rest),
        "file" => file::target(url, rest).map(Target::File),
        _ => Err(EndpointError::new(
            Kind::Scheme,
            url,
            "grpc, grpcs, http, https, file, unix or console",
        )),
    }
}

/// What stands behind `://`, for a collector.
fn remote(url: &str, scheme: Scheme, rest: &str) -> Result<Target, EndpointError> {
    // First of all, since everything behind it would be misread.
    if rest.contains('@') {
        return Err(EndpointError::new(
            Kind::UserInfo,
            url,
            "credentials in headers, not in the url",
        ));
    }
    let (rest, query) = match rest.find(['?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    if !query.is_empty() {
        return Err(EndpointError::new(
            Kind::Query,
            url,
            "no query and no fragment",
        ));
    }
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (host, port) = authority::host_and_port(url, authority)?;
    let path = match (scheme, path) {
        (Scheme::Http | Scheme::Https, "" | "/") => DEFAULT_PATH,
        (Scheme::Http | Scheme::Https, path) if path.bytes().all(is_path_byte) => path,
        (Scheme::Http | Scheme::Https, _) => {
            return Err(EndpointError::new(
                Kind::Path,
                url,
                "a path whose special characters are percent-encoded",
            ));
        }
        (_, "" | "/") => "",
        _ => {
            return Err(EndpointError::new(
                Kind::Path,
                url,
                "no path: grpc takes none",
            ));
        }
    };
    let port = port.unwrap_or(match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
        _ => 4317,
    });
    Ok(Target::Remote(Remote {
        scheme,
        host,
        port,
        path: path.to_owned(),
    }))
}

/// What may stand in a path: `pchar` and `/` of [RFC 3986, section
/// 3.3](https://www.rfc-editor.org/rfc/rfc3986.html#section-3.3).
const fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'/' | b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\''
        )
        || matches!(byte, b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':')
}

/// The path of
/// [OTLP/HTTP](https://github.com/open-telemetry/opentelemetry-proto/blob/v1.10.0/docs/specification.md#otlphttp-request).
const DEFAULT_PATH: &str = "/v1/traces";

const EXPECTED_URL: &str =
    "grpc://host:port, http://host:port/path, file:///directory or host:port";

#[cfg(test)]
mod tests {
    use super::super::Endpoint;
    use super::*;

    #[track_caller]
    fn parses(url: &str, expected: &str) {
        let endpoint = Endpoint::parse(url).unwrap();
        assert_eq!(endpoint.to_string(), expected, "{url}");
        assert_eq!(Endpoint::parse(expected).unwrap(), endpoint, "{url}");
    }

    #[track_caller]
    fn fails(url: &str, kind: Kind, expected: &str) {
        let error = Endpoint::parse(url).unwrap_err();
        assert_eq!(error.kind(), kind, "{url}: {error}");
        assert!(error.to_string().contains(expected), "{url}: {error}");
    }

    #[test]
    fn reads_collectors() {
        for (url, expected) in [
            ("grpc://host:4317", "grpc://host:4317"),
            ("console:", "console:"),
            ("Console://", "console:"),
            ("grpc://host", "grpc://host:4317"),
            ("grpc://host/", "grpc://host:4317"),
            ("GRPC://Host", "grpc://host:4317"),
            ("grpcs://host", "grpcs://host:4317"),
            ("host", "grpc://host:4317"),
            ("host:4318", "grpc://host:4318"),
            ("localhost", "grpc://localhost:4317"),
            ("127.0.0.1", "grpc://127.0.0.1:4317"),
            ("[::1]", "grpc://[::1]:4317"),
            ("[::1]:55680", "grpc://[::1]:55680"),
            ("[2001:DB8:0:0::1]:1", "grpc://[2001:db8::1]:1"),
            ("otel_collector:4317", "grpc://otel_collector:4317"),
            ("bücher.example", "grpc://xn--bcher-kva.example:4317"),
            ("http://host", "http://host:80/v1/traces"),
            ("http://host/", "http://host:80/v1/traces"),
            ("http://host:4318", "http://host:4318/v1/traces"),
            ("http://host/api/traces", "http://host:80/api/traces"),
            ("http://host/v1/traces/", "http://host:80/v1/traces/"),
            ("http://host//a/../b%20c", "http://host:80//a/../b%20c"),
            (
                "http://[::ffff:1.2.3.4]:80",
                "http://[::ffff:102:304]:80/v1/traces",
            ),
            ("https://host", "https://host:443/v1/traces"),
        ] {
            parses(url, expected);
        }
    }

    #[test]
    fn a_url_that_cannot_be_used_is_an_error_that_says_what_was_expected() {
        for (url, kind, expected) in [
            ("", Kind::Empty, "host:port"),
            (" host", Kind::Character, "whitespace"),
            ("host\n", Kind::Character, "control"),
            (
                "tcp://host:1",
                Kind::Scheme,
                "grpc, grpcs, http, https, file, unix or console",
            ),
            ("://host", Kind::Scheme, "grpc"),
            ("grpc://", Kind::Host, "a host"),
            ("http:///v1/traces", Kind::Host, "a host"),
            (":4317", Kind::Host, "a host"),
            ("grpc://host:", Kind::Port, "1 to 65535"),
            ("grpc://host:0", Kind::Port, "1 to 65535"),
            ("grpc://host:65536", Kind::Port, "1 to 65535"),
            ("grpc://host:+1", Kind::Port, "1 to 65535"),
            ("grpc://host:port", Kind::Port, "1 to 65535"),
            ("::1", Kind::Host, "brackets"),
            ("[::1", Kind::Host, "brackets"),
            ("[::1]4317", Kind::Port, "1 to 65535"),
            ("[::g]:1", Kind::Host, "IPv6"),
            ("4317", Kind::Host, "IPv4"),
            ("1.2.3", Kind::Host, "IPv4"),
            ("256.0.0.1", Kind::Host, "IPv4"),
            ("0x7f.0.0.1", Kind::Host, "IPv4"),
            ("１", Kind::Host, "IPv4"),
            ("１..", Kind::Host, "IPv4"),
            (".", Kind::Host, "host name"),
            ("a..b", Kind::Host, "host name"),
            ("\u{ad}", Kind::Host, "host name"),
            ("a|b", Kind::Host, "host name"),
            ("grpc://host/path", Kind::Path, "no path"),
            ("host:4317/path", Kind::Path, "no path"),
            ("http://host/\u{e4}", Kind::Path, "percent-encoded"),
            ("http://host/a\"b", Kind::Path, "percent-encoded"),
            ("http://host/?a=b", Kind::Query, "no query"),
            ("http://host/#a", Kind::Query, "no fragment"),
            ("http://user:pass@host/", Kind::UserInfo, "headers"),
            ("file:/dir", Kind::Host, "file:///"),
        ] {
            fails(url, kind, expected);
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        for url in [
            "http://user:hunter2@host/",
            "user:hunter2@host",
            "http://host/?key=hunter2",
            "hunter2@",
        ] {
            let error = Endpoint::parse(url).unwrap_err();
            assert!(
                !format!("{error} {error:?}").contains("hunter2"),
                "{error:?}"
            );
        }
    }
}
