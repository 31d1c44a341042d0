//! TLS and mTLS, against servers with certificates of the moment.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;
use towline_otlp::{
    Batch, BoxTransport, ClientOptions, Endpoint, ExportError, ExportErrorKind, Receipt, Tls,
    TransportError, TransportErrorKind,
};

use crate::support::certificates::{Authority, FUTURE, Identity, PAST};
use crate::support::collector::{GrpcCollector, HttpCollector, Server};
use crate::support::front::{Tls as ServerTls, TlsFront, certificate};
use crate::support::spans::span;

/// A collector for each protocol, behind TLS.
struct Collectors {
    grpc: GrpcCollector,
    http: HttpCollector,
    grpc_front: TlsFront,
    http_front: TlsFront,
}

impl Collectors {
    fn start(tls: impl Fn() -> ServerTls) -> Self {
        let (grpc, http) = (GrpcCollector::accepting(), HttpCollector::accepting());
        Self {
            grpc_front: TlsFront::start(grpc.address(), tls()),
            http_front: TlsFront::start(http.address(), tls()),
            grpc,
            http,
        }
    }

    fn urls(&self, host: &str) -> [String; 2] {
        [
            format!("grpcs://{host}:{}", self.grpc_front.port()),
            format!("https://{host}:{}", self.http_front.port()),
        ]
    }

    /// Sends a batch to each.
    async fn send(&self, host: &str, tls: Tls) -> [Result<Receipt, ExportError>; 2] {
        let [grpc, http] = self.urls(host);
        [send(&grpc, tls.clone()).await, send(&http, tls).await]
    }

    /// That each refuses a batch for a reason that the error names.
    async fn refuse(&self, host: &str, tls: Tls, expected: &[&str]) {
        for result in self.send(host, tls).await {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ExportErrorKind::Tls);
            let shown = chain(&error);
            for expected in expected {
                assert!(shown.contains(expected), "{expected:?} in {shown}");
            }
            assert!(shown.contains(&format!("https://{host}:")), "{shown}");
        }
        assert_eq!(self.grpc.requests().len(), 0);
        assert_eq!(self.http.requests().len(), 0);
    }
}

async fn send(url: &str, tls: Tls) -> Result<Receipt, ExportError> {
    connect(url, tls).unwrap().oneshot(batch()).await
}

fn connect(url: &str, tls: Tls) -> Result<BoxTransport, TransportError> {
    let endpoint = Endpoint::parse(url).unwrap();
    BoxTransport::connect_with(&endpoint, &ClientOptions::new().tls(tls))
}

fn batch() -> Batch {
    Batch::encode(&Resource::builder_empty().build(), [&span(0)])
}

/// An error and its causes, as the log shows them.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        write!(text, ": {error}").unwrap();
        source = error.source();
    }
    text
}

fn trusting(authority: &Authority) -> Tls {
    Tls::new().ca_pem(authority.pem())
}

#[tokio::test]
async fn a_server_is_trusted_by_the_ca_that_is_given() {
    let ca = Authority::new("ca");
    let collectors = Collectors::start(|| ServerTls::new(ca.issue(&["localhost"])));
    for result in collectors.send("localhost", trusting(&ca)).await {
        assert_eq!(result.unwrap(), Receipt::accepted());
    }
    assert_eq!(collectors.grpc.requests().len(), 1);
    assert_eq!(collectors.http.requests().len(), 1);
    for (front, protocol) in [
        (&collectors.grpc_front, "h2"),
        (&collectors.http_front, "http/1.1"),
    ] {
        let seen = &front.seen()[0];
        assert_eq!(seen.protocol.as_deref(), Some(protocol.as_bytes()));
        assert_eq!(seen.server_name.as_deref(), Some("localhost"));
        assert_eq!(seen.certificate, None);
    }
}

#[tokio::test]
async fn files_serve_as_well_and_several_cas_are_all_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    // Two in one file, beside an old one, and one in another.
    let bundle = [Authority::valid("old", PAST).pem(), first.pem()].concat();
    let (bundle, other) = (
        write(&directory, "bundle.pem", &bundle),
        write(&directory, "other.pem", &second.pem()),
    );
    for ca in [&first, &second] {
        let collectors = Collectors::start(|| ServerTls::new(ca.issue(&["localhost"])));
        let tls = Tls::new().ca_cert(&bundle).ca_cert(&other);
        for result in collectors.send("localhost", tls).await {
            result.unwrap();
        }
    }
}

#[tokio::test]
async fn an_address_in_the_url_must_be_in_the_certificate() {
    let ca = Authority::new("ca");
    let collectors = Collectors::start(|| ServerTls::new(ca.issue(&["127.0.0.1"])));
    for result in collectors.send("127.0.0.1", trusting(&ca)).await {
        result.unwrap();
    }
    assert_eq!(collectors.grpc_front.seen()[0].server_name, None);
    let collectors = Collectors::start(|| ServerTls::new(ca.issue(&["localhost"])));
    collectors
        .refuse(
            "127.0.0.1",
            trusting(&ca),
            &["the server's certificate is for another host", "localhost"],
        )
        .await;
}

/// What Teleport does as well: its certificates decide, not the scheme.
#[tokio::test]
async fn http_and_grpc_are_tls_once_certificates_are_given() {
    let ca = Authority::new("ca");
    let collectors = Collectors::start(|| ServerTls::new(ca.issue(&["localhost"])));
    for url in collectors.urls("localhost") {
        let url = url
            .replace("grpcs://", "grpc://")
            .replace("https://", "http://");
        assert_eq!(
            send(&url, trusting(&ca)).await.unwrap(),
            Receipt::accepted()
        );
        // Without them it is plaintext, which this server does not speak.
        let error = BoxTransport::connect(&Endpoint::parse(&url).unwrap())
            .unwrap()
            .oneshot(batch())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ExportErrorKind::Unreachable);
        // And this does not say what is meant.
        let error = connect(&url, Tls::new()).unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Option);
        assert!(
            error.to_string().contains("expected https:// or grpcs://"),
            "{error}"
        );
    }
    assert_eq!(collectors.grpc_front.seen().len(), 1);
    assert_eq!(collectors.http_front.seen().len(), 1);
}

#[tokio::test]
async fn a_client_shows_its_certificate() {
    let (ca, clients) = (Authority::new("ca"), Authority::new("clients"));
    let client = clients.issue(&["client"]);
    for version in VERSIONS {
        let collectors = Collectors::start(|| {
            version(ServerTls::new(ca.issue(&["localhost"])).clients_of(&clients))
        });
        let tls = trusting(&ca).key_pair_pem(&client.cert, &client.key);
        for result in collectors.send("localhost", tls).await {
            result.unwrap();
        }
        for front in [&collectors.grpc_front, &collectors.http_front] {
            let seen = front.seen()[0].certificate.clone();
            assert_eq!(seen, Some(certificate(&client.cert)));
        }
    }
}

#[tokio::test]
async fn of_several_key_pairs_the_first_serves_that_the_server_accepts() {
    let ca = Authority::new("ca");
    let (theirs, ours) = (Authority::new("theirs"), Authority::new("ours"));
    let tls = |identities: [&Identity; 2]| {
        identities.into_iter().fold(trusting(&ca), |tls, identity| {
            tls.key_pair_pem(&identity.cert, &identity.key)
        })
    };
    // By the issuer.
    let (stranger, friend) = (theirs.issue(&["client"]), ours.issue(&["client"]));
    let collectors =
        Collectors::start(|| ServerTls::new(ca.issue(&["localhost"])).clients_of(&ours));
    for result in collectors
        .send("localhost", tls([&stranger, &friend]))
        .await
    {
        result.unwrap();
    }
    let seen = collectors.http_front.seen()[0].certificate.clone();
    assert_eq!(seen, Some(certificate(&friend.cert)));

    // By the signature.
    let (edwards, ecdsa) = (ours.issue_ed25519(&["client"]), ours.issue(&["client"]));
    let collectors = Collectors::start(|| {
        ServerTls::new(ca.issue(&["localhost"]))
            .clients_of(&ours)
            .ecdsa_only()
    });
    for result in collectors.send("localhost", tls([&edwards, &ecdsa])).await {
        result.unwrap();
    }
    let seen = collectors.grpc_front.seen()[0].certificate.clone();
    assert_eq!(seen, Some(certificate(&ecdsa.cert)));
}

#[tokio::test]
async fn a_server_of_another_ca_is_not_trusted() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let collectors = Collectors::start(|| ServerTls::new(other.issue(&["localhost"])));
    let expected = [
        "the server's certificate is not from one of the CAs that were given",
        "UnknownIssuer",
    ];
    collectors
        .refuse("localhost", trusting(&ca), &expected)
        .await;
}

#[tokio::test]
async fn a_server_whose_certificate_is_not_valid_now_is_not_trusted() {
    let ca = Authority::new("ca");
    for (years, expected) in [
        (PAST, "the server's certificate has expired"),
        (FUTURE, "the server's certificate is not valid yet"),
    ] {
        let collectors =
            Collectors::start(|| ServerTls::new(ca.issue_valid(&["localhost"], years)));
        collectors
            .refuse("localhost", trusting(&ca), &[expected])
            .await;
    }
}

#[tokio::test]
async fn a_server_for_another_host_is_not_trusted() {
    let ca = Authority::new("ca");
    let collectors = Collectors::start(|| ServerTls::new(ca.issue(&["collector.example"])));
    let expected = [
        "the server's certificate is for another host",
        "\"localhost\"",
        "collector.example",
    ];
    collectors
        .refuse("localhost", trusting(&ca), &expected)
        .await;
}

type Version = fn(ServerTls) -> ServerTls;

const VERSIONS: [Version; 2] = [|tls| tls, ServerTls::tls12];

#[tokio::test]
async fn that_a_server_demands_a_certificate_is_said_whatever_the_version() {
    let (ca, clients) = (Authority::new("ca"), Authority::new("clients"));
    for version in VERSIONS {
        let tls = || version(ServerTls::new(ca.issue(&["localhost"])).clients_of(&clients));
        let expected = [
            "the server demands a client certificate, and none was given",
            "CertificateRequired",
        ];
        let collectors = Collectors::start(tls);
        collectors
            .refuse("localhost", trusting(&ca), &expected)
            .await;
        // With TLS 1.3 the client is done before the server has looked. If that one hangs up, the
        // client may fail to write first, and what was said may be lost: again and again, since it
        // is a race.
        let collectors = Collectors::start(|| tls().hanging_up());
        for _ in 0..20 {
            let expected = ["demands a client certificate, and none was given"];
            collectors
                .refuse("localhost", trusting(&ca), &expected)
                .await;
        }
    }
}

/// Where a connection is reset, what the server said before may be lost.
#[tokio::test]
async fn a_server_that_hangs_up_over_the_certificate_without_a_word_is_understood() {
    let (ca, clients) = (Authority::new("ca"), Authority::new("clients"));
    let collectors =
        Collectors::start(|| ServerTls::new(ca.issue(&["localhost"])).clients_of(&clients));
    let identity = clients.issue(&["client"]);
    for (front, scheme) in [
        (&collectors.grpc_front, "grpcs"),
        (&collectors.http_front, "https"),
    ] {
        let target = front.address();
        // Lets through what the client says first, and all that the server says to that.
        let proxy = Server::start_connections(move |mut stream| async move {
            let mut upstream = tokio::net::TcpStream::connect(target).await.unwrap();
            let mut hello = [0; 16_384];
            let read = stream.read(&mut hello).await.unwrap();
            upstream.write_all(&hello[..read]).await.unwrap();
            let (mut from_client, mut to_client) = stream.split();
            tokio::select! {
                _ = tokio::io::copy(&mut upstream, &mut to_client) => {}
                _ = from_client.read(&mut hello) => {}
            }
        });
        let url = format!("{scheme}://localhost:{}", proxy.address().port());
        for (tls, expected) in [
            (
                trusting(&ca),
                "the server hung up; it demands a client certificate, and none was given",
            ),
            (
                trusting(&ca).key_pair_pem(&identity.cert, &identity.key),
                "the server hung up; it may not accept the client certificate",
            ),
        ] {
            let error = send(&url, tls).await.unwrap_err();
            assert!(chain(&error).contains(expected), "{}", chain(&error));
        }
    }
}

#[tokio::test]
async fn that_a_server_does_not_accept_a_certificate_is_said() {
    let (ca, clients) = (Authority::new("ca"), Authority::new("clients"));
    let stranger = Authority::new("strangers").issue(&["client"]);
    for version in VERSIONS {
        let collectors = Collectors::start(|| {
            version(ServerTls::new(ca.issue(&["localhost"])).clients_of(&clients))
        });
        let tls = trusting(&ca).key_pair_pem(&stranger.cert, &stranger.key);
        let expected = ["the server does not accept the client certificate"];
        collectors.refuse("localhost", tls, &expected).await;
    }
}

#[tokio::test]
async fn a_server_without_tls_is_told_apart() {
    let ca = Authority::new("ca");
    let server = Server::start_connections(|stream| async move {
        let (mut stream, answer) = (stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read(&mut [0; 1]).await;
        let _ = stream.write_all(answer).await;
        // Until the client hangs up.
        while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
    });
    let hanging_up = Server::start_connections(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
    });
    for (server, expected) in [
        (&server, "the server does not speak TLS on this port"),
        (&hanging_up, "the server hung up during the TLS handshake"),
    ] {
        for scheme in ["grpcs", "https"] {
            let url = format!("{scheme}://{}", server.address());
            let error = send(&url, trusting(&ca)).await.unwrap_err();
            assert!(chain(&error).contains(expected), "{}", chain(&error));
        }
    }
}

#[tokio::test]
async fn a_handshake_has_its_time() {
    let silent = Server::start_connections(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    });
    let options = ClientOptions::new()
        .tls(trusting(&Authority::new("ca")))
        .connect_timeout(Duration::from_millis(50));
    for scheme in ["grpcs", "https"] {
        let url = format!("{scheme}://{}", silent.address());
        let attempt = BoxTransport::connect_with(&Endpoint::parse(&url).unwrap(), &options)
            .unwrap()
            .oneshot(batch());
        // Far below the default of five seconds, far above what was asked for.
        let error = tokio::time::timeout(Duration::from_secs(4), attempt)
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(error.kind(), ExportErrorKind::Unreachable);
        assert!(
            chain(&error).contains("no connection within 50ms"),
            "{}",
            chain(&error)
        );
    }
}

/// `https` without certificates is plaintext in Teleport.
#[test]
fn the_roots_of_the_system_count_unless_there_are_others() {
    const URL: &str = "TOWLINE_TEST_URL";
    const CA: &str = "TOWLINE_TEST_CA";
    const TEST: &str = "tls::the_roots_of_the_system_count_unless_there_are_others";

    // As another process, below.
    if let Ok(url) = std::env::var(URL) {
        let options = match std::env::var_os(CA) {
            Some(ca) => ClientOptions::new().tls(Tls::new().ca_cert(ca)),
            None => ClientOptions::new(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        match BoxTransport::connect_with(&Endpoint::parse(&url).unwrap(), &options) {
            Ok(transport) => match runtime.block_on(transport.oneshot(batch())) {
                Ok(_) => println!("accepted"),
                Err(error) => println!("{}", chain(&error)),
            },
            Err(error) => println!("{}", chain(&error)),
        }
        return;
    }

    let directory = tempfile::tempdir().unwrap();
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let collectors = Collectors::start(|| ServerTls::new(ca.issue(&["localhost"])));
    let other_file = write(&directory, "other.pem", &other.pem());
    for (system, given, expected) in [
        (ca.pem(), None, "accepted"),
        (other.pem(), None, "not from a CA that the system trusts"),
        (String::new(), None, "the system has no root certificates"),
        (
            ca.pem(),
            Some(&other_file),
            "not from one of the CAs that were given",
        ),
    ] {
        let system = write(&directory, "roots.pem", &system);
        for url in collectors.urls("localhost") {
            // An environment cannot be changed safely from within.
            let mut child = std::process::Command::new(std::env::current_exe().unwrap());
            child
                .args(["--exact", TEST, "--nocapture"])
                .env("SSL_CERT_FILE", &system)
                .env_remove("SSL_CERT_DIR")
                .env_remove(CA)
                .env(URL, url);
            if let Some(given) = given {
                child.env(CA, given);
            }
            let output = child.output().unwrap();
            let shown = String::from_utf8_lossy(&output.stdout);
            assert!(shown.contains(expected), "{expected:?} in {shown}");
        }
    }
}

fn write(directory: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// That it cannot be connected, and that the error names the file and says what is wrong.
#[track_caller]
fn is_refused(tls: Tls, file: &Path, expected: &str) {
    for url in ["grpcs://localhost", "https://localhost", "http://localhost"] {
        let error = connect(url, tls.clone()).unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Tls);
        let shown = chain(&error);
        assert!(
            shown.contains(&file.display().to_string()) && shown.contains(expected),
            "{expected:?} in {shown}"
        );
        assert!(shown.contains("expected"), "{shown}");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let ca = Authority::new("ca");
    let identity = ca.issue(&["client"]);
    let cert = write(&directory, "cert.pem", &identity.cert);
    let key = write(&directory, "key.pem", &identity.key);

    let torn = identity.cert.replace("-----END", "----END");
    let garbage = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let large = " ".repeat((4 << 20) + 1);
    for (name, text, expected) in [
        ("empty.pem", "", "holds no certificate: expected PEM"),
        ("text.pem", "hello", "holds no certificate: expected PEM"),
        (
            "key-only.pem",
            &identity.key,
            "holds no certificate: expected PEM",
        ),
        ("torn.pem", &torn, "is not whole: expected PEM"),
        ("garbage.pem", garbage, "is not whole: expected PEM"),
        (
            "no-der.pem",
            no_der,
            "holds a certificate that cannot be read",
        ),
        ("large.pem", &large, "is larger than 4 MiB"),
    ] {
        let file = write(&directory, name, text);
        is_refused(Tls::new().ca_cert(&file), &file, expected);
        is_refused(Tls::new().key_pair(&file, &key), &file, expected);
    }

    let absent = directory.path().join("absent.pem");
    let unreadable = "cannot be read: expected a PEM file: No such file";
    is_refused(Tls::new().ca_cert(&absent), &absent, unreadable);
    is_refused(Tls::new().key_pair(&absent, &key), &absent, unreadable);
    is_refused(Tls::new().key_pair(&cert, &absent), &absent, unreadable);
    let folder = directory.path();
    is_refused(Tls::new().ca_cert(folder), folder, "is a directory");
    is_refused(Tls::new().key_pair(&cert, folder), folder, "is a directory");
}

#[test]
fn a_key_that_cannot_be_used_is_named_with_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let ca = Authority::new("ca");
    let identity = ca.issue(&["client"]);
    let cert = write(&directory, "cert.pem", &identity.cert);

    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let old_encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let unusable = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let torn = identity.key.replace("-----END", "----END");
    let other = ca.issue(&["client"]).key;
    for (name, text, expected) in [
        ("empty.key", "", "holds no private key: expected PEM"),
        (
            "cert.key",
            &identity.cert,
            "holds no private key: expected PEM",
        ),
        (
            "encrypted.key",
            encrypted,
            "is encrypted: expected a key without a passphrase",
        ),
        (
            "old.key",
            old_encrypted,
            "is encrypted: expected a key without a passphrase",
        ),
        (
            "unusable.key",
            unusable,
            "is of a kind that cannot be used: expected ECDSA",
        ),
        ("torn.key", &torn, "is not whole"),
        ("other.key", &other, "does not belong to the certificate"),
    ] {
        let file = write(&directory, name, text);
        let tls = Tls::new().key_pair(&cert, &file);
        is_refused(tls.clone(), &file, expected);
        // Whatever it is, it is not shown.
        let error = connect("https://localhost", tls).unwrap_err();
        let secret = text.lines().nth(1).filter(|line| line.len() > 10);
        if let Some(secret) = secret {
            assert!(!format!("{error} {error:?}").contains(secret), "{error:?}");
        }
    }
}

#[test]
fn a_certificate_that_is_not_valid_now_is_named_with_its_time() {
    let directory = tempfile::tempdir().unwrap();
    for (years, expected) in [
        (PAST, "expired at 2001-01-01T00:00:00Z: expected"),
        (FUTURE, "is not valid before 3999-01-01T00:00:00Z: expected"),
    ] {
        let identity = Authority::new("ca").issue_valid(&["client"], years);
        let cert = write(&directory, "cert.pem", &identity.cert);
        let key = write(&directory, "key.pem", &identity.key);
        is_refused(Tls::new().key_pair(&cert, &key), &cert, expected);
        let ca = write(&directory, "ca.pem", &Authority::valid("ca", years).pem());
        is_refused(Tls::new().ca_cert(&ca), &ca, expected);
    }
}

#[test]
fn what_is_given_as_text_is_checked_alike() {
    let error = connect("https://localhost", Tls::new().ca_pem("hunter2")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "CA certificate given as text holds no certificate: expected PEM, which begins with -----BEGIN CERTIFICATE-----"
    );
}

#[test]
fn a_socket_and_a_directory_take_no_tls() {
    for (url, expected) in [
        (
            "unix:///run/collector.sock",
            "is a socket of this machine: expected no TLS",
        ),
        ("file:///var/traces", "is on this machine: expected no TLS"),
    ] {
        let error = connect(url, trusting(&Authority::new("ca"))).unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Option, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}
