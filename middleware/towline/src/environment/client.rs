use std::path::PathBuf;

use http::{HeaderName, HeaderValue};
use towline_otlp::Compression;

use super::attributes;
use super::reader::Reader;

/// What the environment says about how the exporter connects.
#[derive(Debug, Default)]
#[cfg_attr(
    not(feature = "tls"),
    expect(dead_code, reason = "what would use certificates is refused then")
)]
pub(crate) struct NamedClient {
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) compression: Option<(&'static str, Compression)>,
    pub(crate) ca_cert: Option<(&'static str, PathBuf)>,
    pub(crate) key_pair: Option<NamedKeyPair>,
}

/// The files of a client certificate, and the variable that names the first.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "tls"),
    expect(dead_code, reason = "what would use certificates is refused then")
)]
pub(crate) struct NamedKeyPair {
    pub(crate) variable: &'static str,
    pub(crate) cert_file: PathBuf,
    pub(crate) key_file: PathBuf,
}

/// Reads the variables of the [OTLP exporter] that are about the connection.
///
/// [OTLP exporter]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/protocol/exporter.md
pub(super) fn client(read: &mut Reader<'_>) -> NamedClient {
    NamedClient {
        headers: headers(read),
        compression: compression(read),
        ca_cert: file(read, [TRACES_CERTIFICATE, CERTIFICATE]),
        key_pair: key_pair(read),
    }
}

fn headers(read: &mut Reader<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let Some((variable, text)) = read.first([TRACES_HEADERS, HEADERS]) else {
        return Vec::new();
    };
    // What stands there may be a secret, also where it cannot be read.
    let Ok(pairs) = attributes::parse(&text) else {
        read.complain(format!(
            "{variable} is discarded: expected name=value pairs between commas, percent-encoded"
        ));
        return Vec::new();
    };
    let mut headers = Vec::new();
    for (name, value) in pairs {
        match (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
            (Ok(name), Ok(value)) => headers.push((name, value)),
            (Ok(name), Err(_)) => read.complain(format!(
                "{variable} has a value for {name} that no header can hold: expected visible ASCII"
            )),
            (Err(_), _) => read.complain(format!(
                "{variable} has a name that no header can have: expected letters, digits and -"
            )),
        }
    }
    headers
}

fn compression(read: &mut Reader<'_>) -> Option<(&'static str, Compression)> {
    let (variable, value) = read.first([TRACES_COMPRESSION, COMPRESSION])?;
    match value.trim().to_ascii_lowercase().as_str() {
        "none" => None,
        name => match name.parse() {
            Ok(compression) => Some((variable, compression)),
            Err(_) => {
                read.complain(format!(
                    "{variable} is {value:?}: expected gzip, zstd or none"
                ));
                None
            }
        },
    }
}

fn file(read: &mut Reader<'_>, names: [&'static str; 2]) -> Option<(&'static str, PathBuf)> {
    let (variable, path) = read.first(names)?;
    Some((variable, path.into()))
}

fn key_pair(read: &mut Reader<'_>) -> Option<NamedKeyPair> {
    let cert = file(read, [TRACES_CLIENT_CERTIFICATE, CLIENT_CERTIFICATE]);
    let key = file(read, [TRACES_CLIENT_KEY, CLIENT_KEY]);
    match (cert, key) {
        (Some((variable, cert_file)), Some((_, key_file))) => Some(NamedKeyPair {
            variable,
            cert_file,
            key_file,
        }),
        (Some((variable, _)), None) => {
            read.complain(format!(
                "{variable} is set without {CLIENT_KEY}: expected both"
            ));
            None
        }
        (None, Some((variable, _))) => {
            read.complain(format!(
                "{variable} is set without {CLIENT_CERTIFICATE}: expected both"
            ));
            None
        }
        (None, None) => None,
    }
}

const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const TRACES_HEADERS: &str = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";
const COMPRESSION: &str = "OTEL_EXPORTER_OTLP_COMPRESSION";
const TRACES_COMPRESSION: &str = "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION";
const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const TRACES_CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE";
const CLIENT_CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
const TRACES_CLIENT_CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE";
const CLIENT_KEY: &str = "OTEL_EXPORTER_OTLP_CLIENT_KEY";
const TRACES_CLIENT_KEY: &str = "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY";

#[cfg(test)]
mod tests {
    use super::super::Environment;
    use super::*;

    fn read(variables: &[(&str, &str)]) -> (NamedClient, Vec<String>) {
        let environment = variables.iter().copied().collect::<Environment>();
        let mut reader = Reader::new(&environment);
        let client = client(&mut reader);
        (client, reader.into_complaints())
    }

    fn shown(headers: &[(HeaderName, HeaderValue)]) -> Vec<(&str, &str)> {
        headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect()
    }

    #[test]
    fn headers_are_pairs_and_the_signal_s_come_first() {
        let (client, complaints) =
            read(&[(HEADERS, "Authorization=Bearer%20a%3D, x-team = users")]);
        assert_eq!(
            shown(&client.headers),
            [("authorization", "Bearer a="), ("x-team", "users")]
        );
        assert!(complaints.is_empty());
        let (client, _) = read(&[(HEADERS, "a=1"), (TRACES_HEADERS, "b=2")]);
        assert_eq!(shown(&client.headers), [("b", "2")]);
    }

    #[test]
    fn what_is_wrong_with_headers_is_told_without_values() {
        for (text, kept, expected) in [
            (
                "authorization",
                0,
                "OTEL_EXPORTER_OTLP_HEADERS is discarded",
            ),
            ("a=%zzhunter2", 0, "OTEL_EXPORTER_OTLP_HEADERS is discarded"),
            ("a b=hunter2,c=1", 1, "has a name that no header can have"),
            (
                "a=hunter2%0A,c=1",
                1,
                "has a value for a that no header can hold",
            ),
        ] {
            let (client, complaints) = read(&[(HEADERS, text)]);
            assert_eq!(client.headers.len(), kept, "{text}");
            assert_eq!(complaints.len(), 1, "{text}");
            assert!(complaints[0].contains(expected), "{complaints:?}");
            assert!(!complaints[0].contains("hunter2"), "{complaints:?}");
        }
    }

    #[test]
    fn compression_is_a_word() {
        for (text, expected, complaints) in [
            ("gzip", Some(Compression::Gzip), 0),
            ("GZIP", Some(Compression::Gzip), 0),
            ("zstd", Some(Compression::Zstd), 0),
            ("none", None, 0),
            ("snappy", None, 1),
        ] {
            let (client, found) = read(&[(COMPRESSION, text)]);
            assert_eq!(
                client.compression.map(|(_, compression)| compression),
                expected
            );
            assert_eq!(found.len(), complaints, "{found:?}");
        }
        let (client, _) = read(&[(COMPRESSION, "gzip"), (TRACES_COMPRESSION, "none")]);
        assert!(client.compression.is_none());
    }

    #[test]
    fn a_certificate_needs_its_key() {
        let (client, complaints) = read(&[
            (CERTIFICATE, "/ca.pem"),
            (CLIENT_CERTIFICATE, "/cert.pem"),
            (TRACES_CLIENT_KEY, "/key.pem"),
        ]);
        let pair = client.key_pair.unwrap();
        assert_eq!(client.ca_cert.unwrap(), (CERTIFICATE, "/ca.pem".into()));
        assert_eq!(pair.cert_file, PathBuf::from("/cert.pem"));
        assert_eq!(pair.key_file, PathBuf::from("/key.pem"));
        assert!(complaints.is_empty());
        for (variable, missing) in [
            (CLIENT_CERTIFICATE, CLIENT_KEY),
            (CLIENT_KEY, CLIENT_CERTIFICATE),
        ] {
            let (client, complaints) = read(&[(variable, "/file.pem")]);
            assert!(client.key_pair.is_none());
            assert_eq!(
                complaints,
                [format!(
                    "{variable} is set without {missing}: expected both"
                )]
            );
        }
    }
}
