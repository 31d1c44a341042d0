use std::path::Path;
use std::process::Command;

use towline_examples::spans::{self, Span};

use crate::process::{Program, config};

/// A configuration file that exports to `dir` and records every root.
fn always(dir: &Path, service: &str) -> String {
    let path = config(dir, service);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text + "  sampling_rate_per_million: 1000000\n").unwrap();
    path
}

/// Runs the client against a server, and answers what it prints and the spans of its own.
fn greet(dir: &Path, server: &Program, arguments: &[&str]) -> (String, Vec<Span>) {
    let output = Command::new(env!("CARGO_BIN_EXE_grpc-client"))
        .args(["--server", &format!("http://{}", server.address())])
        .args(["--config", &always(dir, "client")])
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    (text, spans::read(&dir.join("spans")).unwrap())
}

/// The spans of a name and a kind, which must be as many.
#[track_caller]
fn of<'a>(spans: &'a [Span], name: &str, kind: &str, count: usize) -> Vec<&'a Span> {
    let found: Vec<_> = spans
        .iter()
        .filter(|span| (&*span.name, span.kind) == (name, kind))
        .collect();
    assert_eq!(found.len(), count, "{name} {kind} in {spans:#?}");
    found
}

/// That each of these has one of those below it.
#[track_caller]
fn assert_below(parents: &[&Span], children: &[&Span]) {
    for parent in parents {
        let below = children
            .iter()
            .filter(|span| span.parent_id == parent.span_id);
        assert_eq!(below.count(), 1, "below {parent:#?}");
    }
}

#[test]
fn client_proxy_and_server_are_one_trace() {
    let [client_dir, proxy_dir, server_dir] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    // The two behind record what a sampled caller asks for, and nothing else.
    let server = Program::start(
        env!("CARGO_BIN_EXE_grpc-server"),
        &["--config", &config(server_dir.path(), "greeter")],
    );
    let upstream = server.address().to_string();
    let proxy = Program::start(
        env!("CARGO_BIN_EXE_grpc-proxy"),
        &[
            "--upstream",
            &upstream,
            "--config",
            &config(proxy_dir.path(), "proxy"),
        ],
    );
    let (text, of_client) = greet(client_dir.path(), &proxy, &["Ada", "Grace"]);
    let hellos = "Hello, Ada!\nHello, Grace!\n";
    assert_eq!(text, hellos.repeat(2));
    proxy.stop();
    server.stop();
    let of_proxy = spans::read(&proxy_dir.path().join("spans")).unwrap();
    let of_server = spans::read(&server_dir.path().join("spans")).unwrap();

    assert_eq!(
        (of_client.len(), of_proxy.len(), of_server.len()),
        (4, 6, 3)
    );
    let all = || of_client.iter().chain(&of_proxy).chain(&of_server);
    let trace_id = &of_client[0].trace_id;
    assert!(all().all(|span| span.trace_id == *trace_id && !span.error));
    let root = of(&of_client, "greet everybody", "internal", 1)[0];
    assert_eq!(root.parent_id, "");
    for (name, count) in [
        ("hello.Greeter/SayHello", 2),
        ("hello.Greeter/SayHellos", 1),
    ] {
        let hops = [
            of(&of_client, name, "client", count),
            of(&of_proxy, name, "server", count),
            of(&of_proxy, name, "client", count),
            of(&of_server, name, "server", count),
        ];
        assert!(hops[0].iter().all(|span| span.parent_id == root.span_id));
        for pair in hops.windows(2) {
            assert_below(&pair[0], &pair[1]);
        }
        for span in hops.iter().flatten() {
            assert_eq!(span.attributes["rpc.response.status_code"], "OK");
            assert_eq!(span.attributes["server.address"], "127.0.0.1");
        }
    }
}

#[test]
fn an_interceptor_joins_the_trace_without_a_span_of_its_own() {
    let [client_dir, server_dir] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let server = Program::start(
        env!("CARGO_BIN_EXE_grpc-server"),
        &["--config", &config(server_dir.path(), "greeter")],
    );
    let (text, of_client) = greet(client_dir.path(), &server, &["--interceptor"]);
    assert_eq!(text, "Hello, Ada!\n".repeat(2));
    server.stop();
    let of_server = spans::read(&server_dir.path().join("spans")).unwrap();

    let [root] = &of_client[..] else {
        panic!("{of_client:#?}");
    };
    assert_eq!(of_server.len(), 2);
    for span in of_server {
        assert_eq!(
            (&span.trace_id, &span.parent_id),
            (&root.trace_id, &root.span_id)
        );
    }
}

#[test]
fn a_proxy_without_configuration_passes_the_trace_on() {
    let [client_dir, server_dir] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let server = Program::start(
        env!("CARGO_BIN_EXE_grpc-server"),
        &["--config", &config(server_dir.path(), "greeter")],
    );
    let upstream = server.address().to_string();
    let proxy = Program::start(env!("CARGO_BIN_EXE_grpc-proxy"), &["--upstream", &upstream]);
    let (_text, of_client) = greet(client_dir.path(), &proxy, &[]);
    proxy.stop();
    server.stop();
    let of_server = spans::read(&server_dir.path().join("spans")).unwrap();
    for name in ["hello.Greeter/SayHello", "hello.Greeter/SayHellos"] {
        assert_below(
            &of(&of_client, name, "client", 1),
            &of(&of_server, name, "server", 1),
        );
    }
}

#[test]
fn an_upstream_that_is_away_is_told_as_unavailable() {
    let [client_dir, proxy_dir] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let proxy = Program::start(
        env!("CARGO_BIN_EXE_grpc-proxy"),
        &[
            "--upstream",
            &upstream,
            "--config",
            &config(proxy_dir.path(), "proxy"),
        ],
    );
    let output = Command::new(env!("CARGO_BIN_EXE_grpc-client"))
        .args(["--server", &format!("http://{}", proxy.address())])
        .args(["--config", &always(client_dir.path(), "client")])
        .output()
        .unwrap();
    assert!(!output.status.success());
    proxy.stop();
    for dir in [&client_dir, &proxy_dir] {
        let spans = spans::read(&dir.path().join("spans")).unwrap();
        for span in spans.iter().filter(|span| span.kind != "internal") {
            assert_eq!(span.attributes["rpc.response.status_code"], "UNAVAILABLE");
            assert!(span.error, "{span:#?}");
        }
    }
}
