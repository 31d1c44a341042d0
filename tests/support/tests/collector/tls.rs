//! TLS and mutual TLS, and who is turned away.

use bytes::Bytes;
use http::Version;
use tokio_rustls::rustls::ClientConfig;
use towline_test_support::certificates::TestCa;
use towline_test_support::collector::{Answer, Collector};

use crate::client::{
    Answered, DEADLINE, Error, PROTOBUF, STOP_TIME, accepted, causes, connect_tls, encoded, framed,
    has_kind, post_request, send,
};

async fn export(
    collector: &Collector,
    config: ClientConfig,
    name: &str,
    version: Version,
    id: u64,
) -> Result<Answered, Error> {
    let alpn = match version {
        Version::HTTP_2 => ["h2"],
        _ => ["http/1.1"],
    };
    let stream = connect_tls(collector, config, name, &alpn).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn[0].as_bytes()));
    let (path, content_type, body) = match version {
        Version::HTTP_2 => (
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            "application/grpc",
            framed(&encoded([id]), false),
        ),
        _ => ("/v1/traces", PROTOBUF, encoded([id])),
    };
    let headers = [("content-type", content_type)];
    let request = post_request(collector, version, path, &headers, body);
    send(stream, version, request).await
}

#[tokio::test]
async fn serves_both_protocols_by_name_and_by_address() {
    let ca = TestCa::new();
    let server = ca.server(["localhost", "127.0.0.1"]);
    let collector = Collector::builder().tls(&server).start();
    assert!(collector.http_url().starts_with("https://127.0.0.1:"));
    for (id, name, version) in [
        (1, "localhost", Version::HTTP_2),
        (2, "127.0.0.1", Version::HTTP_11),
    ] {
        let answered = export(&collector, ca.client_config(None), name, version, id).await;
        assert_eq!(answered.unwrap().status, 200);
    }
    assert_eq!(accepted(&collector), [(1, 1), (2, 1)]);
    assert_eq!(collector.failed_handshakes(), [""; 0]);
    assert_eq!(collector.requests()[0].peer_certificate(), None);
}

#[tokio::test]
async fn clients_turn_away_from_servers_that_are_not_right() {
    let (ca, other) = (TestCa::new(), TestCa::new());
    for (server, expected) in [
        (other.server(["localhost"]), "UnknownIssuer"),
        (ca.server(["example.com"]), "not valid for name"),
        (ca.expired_server(["localhost"]), "expired"),
        (ca.future_server(["localhost"]), "not valid yet"),
        (ca.client("localhost"), "extended key usage"),
    ] {
        let collector = Collector::builder().tls(&server).start();
        let error = export(
            &collector,
            ca.client_config(None),
            "localhost",
            Version::HTTP_2,
            1,
        )
        .await
        .unwrap_err();
        assert!(causes(&*error).contains(expected), "{}", causes(&*error));
        let failed = |collector: &Collector| collector.failed_handshakes().len() == 1;
        collector.wait_until(DEADLINE, failed).await;
        assert_eq!(collector.request_count(), 0);
    }
}

#[tokio::test]
async fn mutual_tls_knows_the_client_and_refuses_others() {
    let (ca, other) = (TestCa::new(), TestCa::new());
    let server = ca.server(["localhost"]);
    let collector = Collector::builder().tls(&server).client_ca(&ca).start();
    let client = ca.client("users");
    for (number, version) in [Version::HTTP_11, Version::HTTP_2].into_iter().enumerate() {
        let config = ca.client_config(Some(&client));
        export(&collector, config, "localhost", version, 1)
            .await
            .unwrap();
        let received = collector.requests()[number].clone();
        assert_eq!(received.peer_certificate(), Some(client.der()));
    }
    for (failures, certificate) in [
        None,
        Some(other.client("users")),
        Some(ca.expired_client("users")),
        Some(ca.server(["users"])),
    ]
    .into_iter()
    .enumerate()
    {
        let config = ca.client_config(certificate.as_ref());
        assert!(
            export(&collector, config, "localhost", Version::HTTP_2, 2)
                .await
                .is_err()
        );
        let failed = |collector: &Collector| collector.failed_handshakes().len() == failures + 1;
        collector.wait_until(DEADLINE, failed).await;
    }
    assert_eq!(accepted(&collector), [(1, 2)]);
}

#[tokio::test]
async fn what_is_no_answer_is_none_with_tls() {
    let ca = TestCa::new();
    let server = ca.server(["localhost"]);
    let collector = Collector::builder().tls(&server).start();
    let fails = async |answer, version| {
        collector.set_always(answer);
        export(&collector, ca.client_config(None), "localhost", version, 1)
            .await
            .unwrap_err()
    };
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let error = fails(Answer::reset(), version).await;
        assert!(
            has_kind(&*error, std::io::ErrorKind::ConnectionReset),
            "{}",
            causes(&*error)
        );
        fails(
            Answer::garbage(Bytes::from_static(b"hello\r\n\r\n")),
            version,
        )
        .await;
        fails(Answer::reset_mid_body(), version).await;
    }
    assert_eq!(
        (collector.request_count(), collector.accepted_count()),
        (6, 0)
    );
}

#[tokio::test]
async fn plaintext_is_not_served_beside_tls() {
    let ca = TestCa::new();
    let collector = Collector::builder().tls(&ca.server(["localhost"])).start();
    assert!(
        crate::client::post_protobuf(&collector, encoded([1]))
            .await
            .is_err()
    );
    let failed = |collector: &Collector| !collector.failed_handshakes().is_empty();
    collector.wait_until(DEADLINE, failed).await;
}

#[tokio::test]
async fn a_handshake_that_does_not_come_holds_no_stop() {
    let ca = TestCa::new();
    let collector = Collector::builder().tls(&ca.server(["localhost"])).start();
    let silent = tokio::net::TcpStream::connect(collector.address())
        .await
        .unwrap();
    let connected = |collector: &Collector| collector.connections() == 1;
    collector.wait_until(DEADLINE, connected).await;
    let start = std::time::Instant::now();
    collector.stop();
    assert!(start.elapsed() < STOP_TIME);
    assert_eq!(collector.open_connections(), 0);
    drop(silent);
}

#[test]
#[should_panic(expected = "certificates of clients are for TLS")]
fn client_certificates_without_tls_are_a_mistake() {
    let _ = Collector::builder().client_ca(&TestCa::new()).start();
}

#[test]
fn files_are_what_rustls_reads() {
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let ca = TestCa::new();
    let client = ca.client("users");
    for (path, der) in [
        (ca.cert_path(), ca.der()),
        (client.cert_path(), client.der()),
    ] {
        let read = CertificateDer::from_pem_file(path).unwrap();
        assert_eq!(&*read, der);
    }
    PrivateKeyDer::from_pem_file(client.key_path()).unwrap();
}
