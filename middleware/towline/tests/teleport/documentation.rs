//! Every example of Teleport's page about distributed tracing, word for word.

use towline::{KeyPair, Rate};

use super::*;

/// The section that switches it on.
#[test]
fn tracing_service() {
    let config = Config::from_yaml(
        "
tracing_service:
   enabled: true
   exporter_url: grpc://collector.example.com:4317
   sampling_rate_per_million: 1000000
",
    );
    let tracing = builder().with_config(config.unwrap());
    let (tracing, lines) = support::start(tracing);
    assert!(
        lines[0].contains(
            "exporter=grpc://collector.example.com:4317 sampling_rate_per_million=1000000 "
        )
    );
    assert_eq!(tracing.unwrap().control().rate(), Rate::ALWAYS);
}

/// The schemes that are listed, and the one that is taken if none is given.
#[test]
fn schemes() {
    for url in ["grpc://c:4317", "http://c:4318", "https://c:4318"] {
        assert!(goes_to(url).starts_with(url), "{url}");
    }
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    assert!(goes_to(&url).starts_with(&url));
    assert_eq!(goes_to("c:4317"), "grpc://c:4317");
}

/// Files of 100 MB, or of what the query says.
#[test]
fn file_with_a_limit() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}/traces", directory.path().display());
    assert!(goes_to(&url).contains("limit=104857600"));
    assert!(goes_to(&format!("{url}?limit=100")).contains("limit=100&"));
}

/// Certificates, in the section and with the key of the page.
#[test]
fn certificates() {
    let config = Config::from_yaml(
        "
tracing_service:
  # Optional path to CA certificates are used to validate the exporter.
  ca_certs:
    - /var/lib/teleport/exporter_ca.pem
  # Optional path tp TLS certificates are used to enable mTLS for the exporter
  https_keypairs:
    - key_file: /var/lib/teleport/exporter_key.pem
      cert_file: /var/lib/teleport/exporter_cert.pem
",
    );
    let config = config.unwrap();
    assert_eq!(
        config.ca_certs(),
        [std::path::Path::new("/var/lib/teleport/exporter_ca.pem")]
    );
    assert_eq!(
        config.https_keypairs(),
        [KeyPair::new(
            "/var/lib/teleport/exporter_key.pem",
            "/var/lib/teleport/exporter_cert.pem"
        )]
    );
}

/// `tsh --trace …` and `--trace-exporter=…`, before the command.
#[test]
#[cfg(feature = "clap")]
fn tsh() {
    use clap::Parser;
    use towline::TraceArgs;

    #[derive(Parser)]
    struct Tsh {
        #[command(flatten)]
        trace: TraceArgs,
        command: Vec<String>,
    }
    for (line, url) in [
        ("tsh --trace ssh root@myserver", None),
        ("tsh --trace ls", None),
        (
            "tsh --trace --trace-exporter=grpc://collector.example.com:4317 ssh root@myserver",
            Some("grpc://collector.example.com:4317"),
        ),
        (
            "tsh --trace --trace-exporter=file:///var/lib/teleport/traces ls",
            Some("file:///var/lib/teleport/traces"),
        ),
    ] {
        let tsh = Tsh::try_parse_from(line.split(' ')).unwrap();
        assert!(tsh.trace.is_on(), "{line}");
        assert_eq!(tsh.trace.exporter_url(), url, "{line}");
        assert!(["ls", "ssh"].contains(&tsh.command[0].as_str()), "{line}");
    }
}
