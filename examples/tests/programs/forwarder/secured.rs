//! TLS, and senders that are known by their certificates.

use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use towline::otlp::{ClientOptions, ExportErrorKind, PeerStatus, Tls};
use towline_test_support::certificates::TestCa;
use towline_test_support::collector::Collector;

use super::client::{Sender, attributes, spans};
use super::daemon::{Config, Daemon};

/// The section `tls` for a server of this authority.
fn tls(ca: &TestCa, client_ca: Option<&str>) -> String {
    let server = ca.server(["localhost", "127.0.0.1"]);
    let clients = client_ca.map(|path| format!(", client_ca_files: [{path}]"));
    format!(
        "tls: {{ cert_file: {}, key_file: {}{} }}",
        server.cert_path().display(),
        server.key_path().display(),
        clients.unwrap_or_default()
    )
}

#[tokio::test]
async fn senders_are_known_by_the_certificates_that_they_connect_with() {
    let (ca, strangers) = (TestCa::new(), TestCa::new());
    let collector = Collector::start();
    let clients = ca.cert_path();
    let section = format!(
        "{}\nauthorize: {{ certificate: common_name, only: [alice, carol] }}",
        tls(&ca, clients.to_str())
    );
    let daemon = Daemon::start(Config::new(&section, &collector.grpc_url()));
    assert!(daemon.grpc().starts_with("grpcs://"), "{}", daemon.grpc());
    assert!(daemon.http().starts_with("https://"), "{}", daemon.http());
    for url in [daemon.grpc(), daemon.http()] {
        let send = async |tls: Tls| {
            let sender = Sender::with(url, ClientOptions::new().tls(tls));
            sender.send(&spans([1])).await.map_err(|error| error.kind())
        };
        let trusting = || Tls::new().ca_pem(ca.pem());
        let with = |of: &TestCa, name: &str| {
            let client = of.client(name);
            trusting().key_pair_pem(client.cert_pem(), client.key_pem())
        };
        send(with(&ca, "alice")).await.unwrap();
        let denied = match url.starts_with("grpcs") {
            true => PeerStatus::Grpc(7),
            false => PeerStatus::Http(403),
        };
        let refused = send(with(&ca, "bob")).await.unwrap_err();
        assert_eq!(refused, ExportErrorKind::Refused(denied));
        for stranger in [trusting(), with(&strangers, "alice")] {
            let refused = send(stranger).await.unwrap_err();
            assert_eq!(refused, ExportErrorKind::Tls);
        }
    }
    daemon.stop();
    let requests = collector.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        let stamp = vec!["teleport.forwarded.for=alice".to_owned()];
        assert_eq!(
            attributes(request.request()),
            (vec![stamp.clone()], vec![stamp])
        );
    }
}

#[tokio::test]
async fn roles_are_the_organisations_of_a_certificate() {
    // An authority that both sides can sign by.
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let client = |name: &str, organisations: &[&str]| {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        for organisation in organisations {
            params
                .distinguished_name
                .push(DnType::OrganizationName, *organisation);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    };

    let (ca, collector) = (TestCa::new(), Collector::start());
    let section = format!(
        "{}\nauthorize: {{ certificate: common_name, roles: [admin] }}",
        tls(&ca, Some("DIR/clients.pem"))
    );
    let config = Config::new(&section, &collector.grpc_url()).with_file("clients.pem", &authority);
    let daemon = Daemon::start(config);
    let send = async |(cert, key): (String, String)| {
        let tls = Tls::new().ca_pem(ca.pem()).key_pair_pem(cert, key);
        let sender = Sender::with(daemon.grpc(), ClientOptions::new().tls(tls));
        sender.send(&spans([1])).await.map_err(|error| error.kind())
    };
    send(client("alice", &["admin"])).await.unwrap();
    // One that cannot be written is left out, and nobody's role.
    for organisations in [&["dev"][..], &["admin:x"], &[]] {
        let refused = send(client("bob", organisations)).await.unwrap_err();
        assert_eq!(refused, ExportErrorKind::Refused(PeerStatus::Grpc(7)));
    }
    daemon.stop();
    let requests = collector.requests();
    assert_eq!(requests.len(), 1);
    let (_, of_spans) = attributes(requests[0].request());
    assert_eq!(of_spans, [["teleport.forwarded.for=alice:admin"]]);
}
