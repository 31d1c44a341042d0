//! `--check`: what is said of a good configuration, and of a bad one.

use towline_test_support::certificates::TestCa;

use super::daemon::Config;

#[track_caller]
fn is_good(config: &Config, expected: &str) {
    let output = config.check();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &*stderr), (Some(0), ""));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let directory = config.path().parent().unwrap().to_str().unwrap();
    assert_eq!(stdout.replace(directory, "DIR"), expected);
}

#[track_caller]
fn is_bad(config: &Config, expected: &str) {
    let output = config.check();
    assert_eq!(
        (output.status.code(), &output.stdout[..]),
        (Some(1), &b""[..])
    );
    let stderr = String::from_utf8(output.stderr).unwrap();
    let directory = config.path().parent().unwrap().to_str().unwrap();
    assert_eq!(stderr.replace(directory, "DIR"), expected);
}

#[test]
fn the_sample_is_good() {
    let sample = include_str!("../../../config/forwarder.yaml");
    is_good(
        &Config::of(sample),
        "\
gRPC:       grpc://127.0.0.1:4317, plaintext
HTTP:       http://127.0.0.1:4318, plaintext
senders:    anyone, as \"anonymous\"
stamp:      teleport.forwarded.for on resources and spans
a request:  up to 64 MiB and 100000 spans, 10s unless it says otherwise, at most 1m; 5s of standing still
together:   up to 1000 requests, 256 MiB, 1000 connections
a sender:   as many spans per second as it likes
coalescing: off
spans go to grpc://127.0.0.1:14317
",
    );
}

#[test]
fn a_good_one_is_told_with_all_that_would_be_on() {
    let ca = TestCa::new();
    let server = ca.server(["localhost"]);
    let text = "
forwarder_service:
  grpc_listen_addr: '[::1]:0'
  http_listen_addr: off
  tls: { cert_file: DIR/server.crt, key_file: DIR/server.key, client_ca_files: [DIR/ca.pem] }
  authorize: { certificate: uri, only: [spiffe://a, spiffe://b], roles: [x, y], on_refusal: discard }
  stamp: { key: enduser.id, place: spans }
  limits: { max_request_bytes: 1000, spans_per_second: 5, timeout: 1500ms }
  coalesce: { enabled: on }
tracing_service:
  enabled: yes
  exporter_url: file://DIR/spans
";
    let config = Config::of(text)
        .with_file("server.crt", server.cert_pem())
        .with_file("server.key", server.key_pem())
        .with_file("ca.pem", ca.pem());
    is_good(
        &config,
        "\
gRPC:       grpcs://[::1]:0, TLS with certificates of clients
HTTP:       off
senders:    by the URI in their certificates, only spiffe://a, spiffe://b, with a role of x, y; others are not told that they may not
stamp:      enduser.id on spans
a request:  up to 1000 bytes and 100000 spans, 1s 500ms unless it says otherwise, at most 1m; 5s of standing still
together:   up to 1000 requests, 256 MiB, 1000 connections
a sender:   up to 5 spans per second, 5 at once
coalescing: up to 1 MiB in 20ms
spans go to file://DIR/spans?limit=104857600&format=json
",
    );
}

#[test]
fn what_should_not_go_unseen_is_told() {
    let open = "forwarder_service:\n  grpc_listen_addr: 0.0.0.0:4317\n  authorize: AUTHORIZE\n\
                tracing_service: { enabled: no }\n";
    for (authorize, expected) in [
        (
            "{ token_file: DIR/tokens }",
            "spans are acknowledged and thrown away\n\
             warning: tokens come in plaintext from other machines: `tls` would hide them\n",
        ),
        (
            "{ anonymous: yes }",
            "spans are acknowledged and thrown away\n\
             warning: anyone on the network may send spans, as `anonymous`\n",
        ),
    ] {
        let config = Config::of(&open.replace("AUTHORIZE", authorize));
        let output = config.with_file("tokens", "a b\n").check();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(stdout.ends_with(expected), "{stdout}");
    }
}

#[test]
fn a_bad_one_is_told_with_every_mistake_that_can_be_found() {
    let (ca, other) = (TestCa::new(), TestCa::new());
    let text = "
forwarder_service:
  grpc_listen_adr: 127.0.0.1:4317
  tls:
    cert_file: DIR/server.crt
    key_file: DIR/other.key
    client_ca_files:
      - DIR/missing.pem
      - DIR/server.key
  authorize: { token_file: DIR/tokens }
  limits: { max_requests: many }
tracing_service:
  enabled: yes
  exporter_url: grpc://localhost:4317
  ca_certs: [DIR/empty.pem]
";
    let server = ca.server(["localhost"]);
    let config = Config::of(text)
        .with_file("server.crt", server.cert_pem())
        .with_file("server.key", server.key_pem())
        .with_file("other.key", other.server(["localhost"]).key_pem())
        .with_file("empty.pem", "")
        .with_file("tokens", "c0ffee\n");
    is_bad(
        &config,
        "\
DIR/forwarder.yaml:3:3: unknown key `forwarder_service.grpc_listen_adr`: expected one of `grpc_listen_addr`, `http_listen_addr`, `tls`, `authorize`, `stamp`, `limits`, `coalesce`, `stop_timeout`
DIR/forwarder.yaml:6:15: `forwarder_service.tls.key_file` does not belong to `forwarder_service.tls.cert_file`: expected the key of the first certificate there
DIR/forwarder.yaml:8:9: `forwarder_service.tls.client_ca_files[0]` is \"DIR/missing.pem\", which cannot be read: expected a PEM file: No such file or directory (os error 2)
DIR/forwarder.yaml:9:9: `forwarder_service.tls.client_ca_files[1]` is \"DIR/server.key\", which holds no certificate: expected PEM, which begins with -----BEGIN CERTIFICATE-----
DIR/forwarder.yaml:11:27: `forwarder_service.limits.max_requests` is \"many\": expected a whole number that is not below 0
DIR/tokens:1: nobody has the token: expected TOKEN NAME [ROLE ...]
DIR/forwarder.yaml:15:14: `ca_certs[0]`: CA certificate DIR/empty.pem holds no certificate: expected PEM, which begins with -----BEGIN CERTIFICATE-----
",
    );
}

#[test]
fn each_certificate_is_looked_at() {
    let ca = TestCa::new();
    let server = ca.server(["localhost"]);
    let text = "
forwarder_service:
  tls:
    cert_file: DIR/cert
    key_file: DIR/key
  authorize: { anonymous: yes }
tracing_service: { enabled: no }
";
    for (cert, key, expected) in [
        (
            ca.expired_server(["localhost"]).cert_pem(),
            server.key_pem(),
            "DIR/forwarder.yaml:4:16: `forwarder_service.tls.cert_file` is \"DIR/cert\", which expired at 2001-",
        ),
        (
            ca.future_server(["localhost"]).cert_pem(),
            server.key_pem(),
            "DIR/forwarder.yaml:4:16: `forwarder_service.tls.cert_file` is \"DIR/cert\", which is not valid before 4000-",
        ),
        (
            server.cert_pem(),
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "DIR/forwarder.yaml:5:15: `forwarder_service.tls.key_file` is \"DIR/key\", which is encrypted: expected",
        ),
        (
            server.cert_pem(),
            server.cert_pem(),
            "DIR/forwarder.yaml:5:15: `forwarder_service.tls.key_file` is \"DIR/key\", which holds no private key: expected",
        ),
        (
            &server.cert_pem()[..200],
            server.key_pem(),
            "DIR/forwarder.yaml:4:16: `forwarder_service.tls.cert_file` is \"DIR/cert\", which is not whole: expected",
        ),
    ] {
        let config = Config::of(text)
            .with_file("cert", cert)
            .with_file("key", key);
        let output = config.check();
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        let directory = config.path().parent().unwrap().to_str().unwrap();
        let shown = stderr.replace(directory, "DIR");
        assert!(
            shown.starts_with(expected) && shown.lines().count() == 1,
            "{shown}"
        );
    }
}

#[test]
fn spans_must_have_somewhere_to_go() {
    is_bad(
        &Config::of("forwarder_service: { authorize: { anonymous: yes } }\n"),
        "DIR/forwarder.yaml: nothing says where spans go: expected `tracing_service` with `enabled: yes` and \
         `exporter_url`, or with `enabled: no` to throw them away\n",
    );
    is_bad(
        &Config::of(
            "forwarder_service: { authorize: { anonymous: yes } }\ntracing_service: { enabled: yes }\n",
        ),
        "DIR/forwarder.yaml:2:1: `exporter_url` is not given although tracing is enabled: expected a URL such as \
         grpc://collector:4317\n",
    );
    is_bad(
        &Config::of("forwarder_service: ["),
        "\
DIR/forwarder.yaml:1:20: this is not YAML: unclosed bracket '['
",
    );
}
