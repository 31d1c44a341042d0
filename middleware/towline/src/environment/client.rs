use std::path::PathBuf;

use http::{HeaderName, HeaderValue};
use towline_otlp::Compression;

use super::attributes;
use super::reader::Reader;
use crate::KeyPair;
use crate::config::{Headers, Origin, Said, Settings};

/// Reads the variables of the [OTLP exporter] that are about the connection.
///
/// [OTLP exporter]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/protocol/exporter.md
pub(super) fn client(read: &mut Reader<'_>, settings: &mut Settings) {
    settings.headers = headers(read);
    settings.compression = compression(read);
    let ca_cert = file(read, [TRACES_CERTIFICATE, CERTIFICATE]);
    settings.ca_certs =
        ca_cert.map(|(variable, file)| Said::new(vec![file], Origin::variable(variable)));
    settings.https_keypairs = key_pair(read);
}

fn headers(read: &mut Reader<'_>) -> Option<Said<Headers>> {
    let (variable, text) = read.first([TRACES_HEADERS, HEADERS])?;
    // What stands there may be a secret, also where it cannot be read.
    let Ok(pairs) = attributes::parse(&text) else {
        read.complain(format!(
            "{variable} is discarded: expected name=value pairs between commas, percent-encoded"
        ));
        return None;
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
    Some(Said::new(Headers(headers), Origin::variable(variable)))
}

fn compression(read: &mut Reader<'_>) -> Option<Said<Option<Compression>>> {
    let (variable, value) = read.first([TRACES_COMPRESSION, COMPRESSION])?;
    let compression = match value.trim().to_ascii_lowercase().as_str() {
        "none" => None,
        name => match name.parse() {
            Ok(compression) => Some(compression),
            Err(_) => {
                read.complain(format!(
                    "{variable} is {value:?}: expected gzip, zstd or none"
                ));
                return None;
            }
        },
    };
    Some(Said::new(compression, Origin::variable(variable)))
}

fn file(read: &mut Reader<'_>, names: [&'static str; 2]) -> Option<(&'static str, PathBuf)> {
    let (variable, path) = read.first(names)?;
    Some((variable, path.into()))
}

fn key_pair(read: &mut Reader<'_>) -> Option<Said<Vec<KeyPair>>> {
    let cert = file(read, [TRACES_CLIENT_CERTIFICATE, CLIENT_CERTIFICATE]);
    let key = file(read, [TRACES_CLIENT_KEY, CLIENT_KEY]);
    match (cert, key) {
        (Some((cert, cert_file)), Some((key, key_file))) => {
            let parts = vec![
                ("[0].key_file".to_owned(), Origin::variable(key)),
                ("[0].cert_file".to_owned(), Origin::variable(cert)),
            ];
            let pairs = vec![KeyPair::new(key_file, cert_file)];
            Some(Said::new(pairs, Origin::variable(cert)).with_parts(parts))
        }
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

    fn read(variables: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let environment = variables.iter().copied().collect::<Environment>();
        let mut reader = Reader::new(&environment);
        let mut settings = Settings::default();
        client(&mut reader, &mut settings);
        (settings, reader.into_complaints())
    }

    fn shown(settings: &Settings) -> Vec<(&str, &str)> {
        let headers = settings.headers.iter().flat_map(|said| &said.value.0);
        headers
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect()
    }

    #[test]
    fn headers_are_pairs_and_the_signal_s_come_first() {
        let (client, complaints) =
            read(&[(HEADERS, "Authorization=Bearer%20a%3D, x-team = users")]);
        assert_eq!(
            shown(&client),
            [("authorization", "Bearer a="), ("x-team", "users")]
        );
        assert!(complaints.is_empty());
        let (client, _) = read(&[(HEADERS, "a=1"), (TRACES_HEADERS, "b=2")]);
        assert_eq!(shown(&client), [("b", "2")]);
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
            assert_eq!(shown(&client).len(), kept, "{text}");
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
            let said = client.compression.and_then(|said| said.value);
            assert_eq!(said, expected);
            assert_eq!(found.len(), complaints, "{found:?}");
        }
        let (client, _) = read(&[(COMPRESSION, "gzip"), (TRACES_COMPRESSION, "none")]);
        assert_eq!(client.compression.unwrap().value, None);
    }

    #[test]
    fn a_certificate_needs_its_key() {
        let (client, complaints) = read(&[
            (CERTIFICATE, "/ca.pem"),
            (CLIENT_CERTIFICATE, "/cert.pem"),
            (TRACES_CLIENT_KEY, "/key.pem"),
        ]);
        let (ca, pairs) = (client.ca_certs.unwrap(), client.https_keypairs.unwrap());
        assert_eq!(ca.value, [PathBuf::from("/ca.pem")]);
        assert_eq!(ca.origin.name(), CERTIFICATE);
        assert_eq!(pairs.value, [KeyPair::new("/key.pem", "/cert.pem")]);
        assert_eq!(pairs.part("[0].key_file").name(), TRACES_CLIENT_KEY);
        assert_eq!(pairs.part("[0].cert_file").name(), CLIENT_CERTIFICATE);
        assert!(complaints.is_empty());
        for (variable, missing) in [
            (CLIENT_CERTIFICATE, CLIENT_KEY),
            (CLIENT_KEY, CLIENT_CERTIFICATE),
        ] {
            let (client, complaints) = read(&[(variable, "/file.pem")]);
            assert!(client.https_keypairs.is_none());
            assert_eq!(
                complaints,
                [format!(
                    "{variable} is set without {missing}: expected both"
                )]
            );
        }
    }
}
