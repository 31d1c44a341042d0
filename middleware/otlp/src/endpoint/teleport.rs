//! The URLs of Teleport's `exporter_url`, one test for each way in which its code reads them: what
//! we do is what its documentation says.

use std::path::Path;

use super::{Endpoint, EndpointErrorKind as Kind, Scheme};

#[track_caller]
fn parse(url: &str) -> Endpoint {
    Endpoint::parse(url).unwrap()
}

/// Scheme, authority and path.
#[track_caller]
fn parts(url: &str) -> (Scheme, String, Option<String>) {
    let endpoint = parse(url);
    (
        endpoint.scheme(),
        endpoint.authority().unwrap(),
        endpoint.path().map(str::to_owned),
    )
}

#[test]
fn a_host_and_port_without_a_scheme_is_grpc() {
    for host in ["collector:4317", "[::1]:4317"] {
        assert_eq!(parts(host), (Scheme::Grpc, host.to_owned(), None));
    }
}

#[test]
fn the_scheme_grpc_is_grpc() {
    let expected = (Scheme::Grpc, "collector:4317".to_owned(), None);
    assert_eq!(parts("grpc://collector:4317"), expected);
}

#[test]
fn http_and_https_post_to_v1_traces() {
    for (url, scheme) in [
        ("http://collector:4318", Scheme::Http),
        ("https://collector:4318", Scheme::Https),
    ] {
        let path = Some("/v1/traces".to_owned());
        assert_eq!(parts(url), (scheme, "collector:4318".to_owned(), path));
    }
}

/// Teleport makes the path a part of the host name, so that every export fails.
#[test]
fn a_path_is_a_path() {
    for path in ["/api/traces", "/custom"] {
        assert_eq!(
            parts(&format!("http://collector:8080{path}")),
            (
                Scheme::Http,
                "collector:8080".to_owned(),
                Some(path.to_owned())
            )
        );
    }
}

/// Teleport takes the scheme for the host and speaks gRPC with it.
#[test]
fn a_url_without_a_port_keeps_its_scheme_and_has_the_default_port() {
    for (url, scheme, port) in [
        ("http://collector", Scheme::Http, 80),
        ("https://collector", Scheme::Https, 443),
        ("grpc://collector", Scheme::Grpc, 4317),
    ] {
        let endpoint = parse(url);
        assert_eq!((endpoint.scheme(), endpoint.port()), (scheme, Some(port)));
    }
}

/// Teleport refuses it, although it documents gRPC for what has no scheme.
#[test]
fn a_bare_host_is_grpc_on_the_default_port() {
    for host in ["collector", "127.0.0.1"] {
        let expected = (Scheme::Grpc, format!("{host}:4317"), None);
        assert_eq!(parts(host), expected);
    }
}

#[test]
fn an_unknown_scheme_is_an_error_that_names_it() {
    let error = Endpoint::parse("tcp://collector:4317").unwrap_err();
    assert_eq!(error.kind(), Kind::Scheme);
    assert!(
        error.to_string().contains("tcp://collector:4317"),
        "{error}"
    );
}

/// Teleport speaks gRPC with a host `unix`.
#[test]
fn unix_is_a_socket() {
    let endpoint = parse("unix:///run/collector.sock");
    let path = Path::new("/run/collector.sock");
    assert_eq!(endpoint.socket_path(), Some(path));
}

/// Teleport speaks gRPC with a host `FILE`.
#[test]
fn a_scheme_may_be_written_in_any_case() {
    assert_eq!(parse("FILE:///traces").scheme(), Scheme::File);
    assert_eq!(parse("Http://collector").scheme(), Scheme::Http);
}

#[test]
fn a_file_url_is_a_directory_with_a_limit() {
    let endpoint = parse("file:///var/traces?limit=10");
    assert_eq!(endpoint.directory(), Some(Path::new("/var/traces")));
    assert_eq!(endpoint.limit_bytes(), Some(10));
    // The default is Teleport's.
    assert_eq!(parse("file:///a").limit_bytes(), Some(1_048_576 * 100));
}

/// Teleport takes the path as it stands.
#[test]
fn the_path_of_a_file_url_is_decoded() {
    let endpoint = parse("file:///var/my%20traces");
    assert_eq!(endpoint.directory(), Some(Path::new("/var/my traces")));
}

/// Teleport goes by the working directory, which is another one after a restart.
#[test]
fn a_file_url_must_be_absolute() {
    let error = Endpoint::parse("file://relative/traces").unwrap_err();
    assert_eq!(error.kind(), Kind::Host);
    assert!(error.to_string().contains("absolute path"), "{error}");
}
