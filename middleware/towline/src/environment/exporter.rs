use towline_otlp::Endpoint;

use super::reader::Reader;

/// What the environment says about where spans go.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NamedExporter {
    /// The variable that says it.
    pub(crate) variable: &'static str,
    /// Where, or what is wrong with it.
    pub(crate) endpoint: Result<Endpoint, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Grpc,
    Http,
}

/// Where spans go: by endpoint, or by naming the exporter `otlp`, which then sends to this machine.
///
/// An endpoint with a scheme of ours says by itself how spans travel. One with `http` or `https` is read by the rules of
/// the [OTLP exporter]: gRPC if the protocol is `grpc`; the generic endpoint gets `v1/traces` appended.
///
/// [OTLP exporter]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/protocol/exporter.md
pub(super) fn exporter(read: &mut Reader<'_>) -> Option<NamedExporter> {
    let named = match read.word(EXPORTER) {
        None => false,
        Some(name) => match name.as_str() {
            "none" => return None,
            "otlp" => true,
            "console" => {
                return Some(NamedExporter {
                    variable: EXPORTER,
                    endpoint: Endpoint::parse("console:").map_err(|error| error.to_string()),
                });
            }
            _ => {
                read.complain(format!(
                    "{EXPORTER} is {name:?}: expected otlp, console or none"
                ));
                false
            }
        },
    };
    let signal = read.text(TRACES_ENDPOINT);
    let generic = read.text(ENDPOINT);
    if signal.is_none() && generic.is_none() && !named {
        return None;
    }
    let protocol = protocol(read);
    let secure = is_secure(read);
    let (variable, endpoint) = match (signal, generic) {
        (Some(url), _) => (TRACES_ENDPOINT, endpoint(&url, protocol, secure, false)),
        (None, Some(url)) => (ENDPOINT, endpoint(&url, protocol, secure, true)),
        (None, None) => {
            let url = match protocol {
                Some(Protocol::Grpc) => "grpc://localhost:4317",
                _ => "http://localhost:4318",
            };
            (EXPORTER, endpoint(url, protocol, secure, false))
        }
    };
    Some(NamedExporter { variable, endpoint })
}

fn protocol(read: &mut Reader<'_>) -> Option<Protocol> {
    let (variable, name) = match read.word(TRACES_PROTOCOL) {
        Some(name) => (TRACES_PROTOCOL, name),
        None => (PROTOCOL, read.word(PROTOCOL)?),
    };
    match name.as_str() {
        "grpc" => Some(Protocol::Grpc),
        "http/protobuf" => Some(Protocol::Http),
        _ => {
            read.complain(format!(
                "{variable} is {name:?}: expected grpc or http/protobuf"
            ));
            None
        }
    }
}

/// Whether an endpoint without a scheme is TLS: only if the variable says that it is not insecure. By the specification
/// that is so by default; a URL without a scheme is plaintext wherever one can be written here, and so it is here.
fn is_secure(read: &mut Reader<'_>) -> bool {
    let variable = match read.word(TRACES_INSECURE) {
        Some(_) => TRACES_INSECURE,
        None => INSECURE,
    };
    match read.word(variable).as_deref() {
        Some("false") => true,
        Some("true") | None => false,
        Some(value) => {
            read.complain(format!("{variable} is {value:?}: expected true or false"));
            false
        }
    }
}

fn endpoint(
    url: &str,
    protocol: Option<Protocol>,
    secure: bool,
    generic: bool,
) -> Result<Endpoint, String> {
    let parsed = match (url.split_once("://"), protocol) {
        (None, None | Some(Protocol::Grpc)) if secure && !url.starts_with("unix") => {
            Endpoint::parse(&format!("grpcs://{url}"))
        }
        (Some((scheme, rest)), Some(Protocol::Grpc)) if is(scheme, "http") => {
            Endpoint::parse(&format!("grpc://{rest}"))
        }
        (Some((scheme, rest)), Some(Protocol::Grpc)) if is(scheme, "https") => {
            Endpoint::parse(&format!("grpcs://{rest}"))
        }
        (Some((scheme, rest)), _) if generic && (is(scheme, "http") || is(scheme, "https")) => {
            let slash = if rest.ends_with('/') { "" } else { "/" };
            Endpoint::parse(&format!("{url}{slash}v1/traces"))
        }
        // Without a scheme it would be gRPC, which is not what was asked for.
        (None, Some(Protocol::Http)) => {
            return Endpoint::parse(url).map_err(|error| error.to_string()).and_then(|endpoint| {
                Err(format!(
                    "{} has no scheme: expected http:// or https:// for the protocol http/protobuf",
                    endpoint.authority().unwrap_or_default()
                ))
            });
        }
        _ => Endpoint::parse(url),
    };
    parsed.map_err(|error| error.to_string())
}

fn is(scheme: &str, expected: &str) -> bool {
    scheme.eq_ignore_ascii_case(expected)
}

const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const INSECURE: &str = "OTEL_EXPORTER_OTLP_INSECURE";
const TRACES_INSECURE: &str = "OTEL_EXPORTER_OTLP_TRACES_INSECURE";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const TRACES_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";

#[cfg(test)]
mod tests {
    use super::super::Environment;
    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Option<NamedExporter>, Vec<String>) {
        let environment = variables.iter().copied().collect::<Environment>();
        let mut reader = Reader::new(&environment);
        let exporter = exporter(&mut reader);
        (exporter, reader.into_complaints())
    }

    #[track_caller]
    fn goes_to(variables: &[(&str, &str)], variable: &str, expected: &str) {
        let (exporter, complaints) = read(variables);
        let exporter = exporter.unwrap();
        assert_eq!(exporter.variable, variable, "{variables:?}");
        assert_eq!(
            exporter.endpoint.unwrap().to_string(),
            expected,
            "{variables:?}"
        );
        assert!(complaints.is_empty(), "{complaints:?}");
    }

    #[test]
    fn nothing_named_is_nothing() {
        for variables in [
            &[][..],
            &[(ENDPOINT, "")],
            &[(PROTOCOL, "grpc")],
            &[(EXPORTER, "none"), (ENDPOINT, "http://collector:4318")],
            &[(EXPORTER, "NONE")],
        ] {
            assert_eq!(read(variables), (None, vec![]), "{variables:?}");
        }
    }

    #[test]
    fn the_generic_endpoint_gets_the_path_appended_and_the_signal_s_is_verbatim() {
        for (url, generic, signal) in [
            (
                "http://c:4318",
                "http://c:4318/v1/traces",
                "http://c:4318/v1/traces",
            ),
            (
                "http://c:4318/",
                "http://c:4318/v1/traces",
                "http://c:4318/v1/traces",
            ),
            (
                "http://c/otlp",
                "http://c:80/otlp/v1/traces",
                "http://c:80/otlp",
            ),
            (
                "http://c/otlp/",
                "http://c:80/otlp/v1/traces",
                "http://c:80/otlp/",
            ),
            (
                "HTTPS://c/otlp",
                "https://c:443/otlp/v1/traces",
                "https://c:443/otlp",
            ),
            ("grpc://c", "grpc://c:4317", "grpc://c:4317"),
            ("c:4317", "grpc://c:4317", "grpc://c:4317"),
        ] {
            goes_to(&[(ENDPOINT, url)], ENDPOINT, generic);
            goes_to(&[(TRACES_ENDPOINT, url)], TRACES_ENDPOINT, signal);
            goes_to(
                &[(ENDPOINT, "http://other"), (TRACES_ENDPOINT, url)],
                TRACES_ENDPOINT,
                signal,
            );
        }
    }

    #[test]
    fn the_protocol_says_how_an_http_url_is_meant() {
        for (protocol, url, expected) in [
            ("grpc", "http://c:4317", "grpc://c:4317"),
            ("GRPC", "http://c:4317/", "grpc://c:4317"),
            ("grpc", "https://c:4317", "grpcs://c:4317"),
            ("grpc", "c:4317", "grpc://c:4317"),
            ("http/protobuf", "http://c:4318", "http://c:4318/v1/traces"),
        ] {
            goes_to(&[(ENDPOINT, url), (PROTOCOL, protocol)], ENDPOINT, expected);
            goes_to(
                &[
                    (ENDPOINT, url),
                    (PROTOCOL, "http/json"),
                    (TRACES_PROTOCOL, protocol),
                ],
                ENDPOINT,
                expected,
            );
        }
    }

    #[test]
    fn what_is_not_insecure_is_tls() {
        for (variables, expected) in [
            (&[(INSECURE, "false")][..], "grpcs://c:4317"),
            (
                &[(INSECURE, "true"), (TRACES_INSECURE, "FALSE")],
                "grpcs://c:4317",
            ),
            (
                &[(INSECURE, "false"), (TRACES_INSECURE, "true")],
                "grpc://c:4317",
            ),
            (&[], "grpc://c:4317"),
        ] {
            let variables = [variables, &[(ENDPOINT, "c:4317")]].concat();
            goes_to(&variables, ENDPOINT, expected);
        }
        // A scheme says more.
        goes_to(
            &[
                (ENDPOINT, "http://c"),
                (PROTOCOL, "grpc"),
                (INSECURE, "false"),
            ],
            ENDPOINT,
            "grpc://c:4317",
        );
    }

    #[test]
    fn otlp_by_name_sends_to_this_machine() {
        goes_to(
            &[(EXPORTER, "otlp")],
            EXPORTER,
            "http://localhost:4318/v1/traces",
        );
        goes_to(
            &[(EXPORTER, "OTLP"), (PROTOCOL, "grpc")],
            EXPORTER,
            "grpc://localhost:4317",
        );
    }

    #[test]
    fn junk_is_told_and_ignored() {
        for (variables, expected) in [
            (
                &[(EXPORTER, "zipkin")][..],
                "OTEL_TRACES_EXPORTER is \"zipkin\": expected otlp, console or none",
            ),
            (
                &[(ENDPOINT, "http://c"), (PROTOCOL, "http/json")],
                "OTEL_EXPORTER_OTLP_PROTOCOL is \"http/json\": expected grpc or http/protobuf",
            ),
        ] {
            let (_, complaints) = read(variables);
            assert_eq!(complaints, [expected]);
        }
    }

    #[test]
    fn an_endpoint_that_cannot_be_used_is_an_error() {
        for (variables, expected) in [
            (&[(ENDPOINT, "tcp://c:1")][..], "unknown scheme"),
            (&[(ENDPOINT, "http://")], "no usable host"),
            (
                &[(ENDPOINT, "c:4318"), (PROTOCOL, "http/protobuf")],
                "c:4318 has no scheme",
            ),
            (
                &[(ENDPOINT, "http://c:4317/path"), (PROTOCOL, "grpc")],
                "no path",
            ),
        ] {
            let error = read(variables).0.unwrap().endpoint.unwrap_err();
            assert!(error.contains(expected), "{variables:?}: {error}");
        }
    }
}
