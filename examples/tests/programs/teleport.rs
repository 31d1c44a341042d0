use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use towline_examples::spans::{self, Span};
use towline_examples::teleport::{Age, Cluster, Options};

const PROGRAM: &str = env!("CARGO_BIN_EXE_teleport");

const STAMP: &str = "teleport.forwarded.for";

fn story(arguments: &[&str]) -> (Option<i32>, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(PROGRAM)
        .args(["--dir", dir.path().to_str().unwrap()])
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn every_trace_is_joined_and_says_who_has_sent_its_spans() {
    let (code, text, log) = story(&[]);
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "  alice$ tsh --trace ls",
        "  web-1      example              env=example",
        "  tsh: tsh/ls  teleport.forwarded.for=alice",
        "  ├─ tsh: GET  client 200  teleport.forwarded.for=alice",
        "  │  └─ proxy: GET  server 200",
        "  │     └─ proxy: GET  client 200",
        "  │        └─ auth: GET /webapi/ping  server 200",
        "  └─ tsh: proto.AuthService/ListNodes  client OK  teleport.forwarded.for=alice",
        "     └─ auth: proto.AuthService/ListNodes  server OK",
        "        ├─ auth: cache/GetNodes",
        "        │  └─ auth: backend/GetRange  client",
        "        └─ auth: proto.NodeService/Describe  client OK",
        "           └─ node: proto.NodeService/Describe  server OK",
        "  alice$ tsh --trace ssh root@web-1 hostname",
        "  tsh: tsh/ssh  teleport.forwarded.for=alice",
        "  └─ tsh: ssh.SessionRequest/exec  client  teleport.forwarded.for=alice",
        "     └─ node: ssh.Regular.SessionRequest/exec  server",
        "        └─ node: proto.AuthService/CheckAccess  client OK",
        "  ERROR: alice may not log in as guest",
        "  tsh: tsh/ssh  error  failed  teleport.forwarded.for=alice",
        // With an exporter of the user's own there is no stamp.
        "  tsh: tsh/ls",
        // Those of bob begin where his requests arrive.
        "  bob$ tsh --trace ls",
        "  proxy: GET  server 200",
        "  auth: proto.AuthService/ListNodes  server OK",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(text.contains("78 spans in "), "{text}");
    let warnings: Vec<_> = log.lines().collect();
    assert_eq!(warnings.len(), 1, "{log}");
    for word in [
        "WARN",
        "identity=\"bob\"",
        "the user has not the role tracer",
    ] {
        assert!(warnings[0].contains(word), "{log}");
    }
}

#[test]
fn taking_any_one_part_away_is_noticed_and_named() {
    for (part, scenario, missing) in [
        ("client-layer", "ls", "no server span \"GET\" of proxy"),
        ("forwarding", "ls", "no internal span \"tsh/ls\" of tsh"),
        ("forwarder", "ls", "no internal span \"tsh/ls\" of tsh"),
        (
            "forwarder",
            "ssh",
            "expected the forwarder to forward the spans of tsh",
        ),
        (
            "stamp",
            "ls",
            "\"tsh/ls\" of tsh has teleport.forwarded.for None, expected Some(\"alice\")",
        ),
        (
            "stamp",
            "ssh",
            "\"ssh/Dial\" of tsh has teleport.forwarded.for None",
        ),
        (
            "role-check",
            "unauthorised",
            "expected the forwarder to refuse the user",
        ),
        ("proxy-server", "ls", "no server span \"GET\" of proxy"),
        (
            "proxy-client",
            "ls",
            "no server span \"GET /webapi/ping\" of auth under its parent",
        ),
        (
            "auth-server",
            "ls",
            "no server span \"proto.AuthService/ListNodes\" of auth",
        ),
        (
            "auth-client",
            "ls",
            "no client span \"proto.NodeService/Describe\" of auth",
        ),
        (
            "cache",
            "ls",
            "no client span \"backend/GetRange\" of auth under its parent",
        ),
        (
            "backend",
            "ls",
            "no client span \"backend/GetRange\" of auth",
        ),
        (
            "node-server",
            "ls",
            "no server span \"proto.NodeService/Describe\" of node",
        ),
        (
            "envelope",
            "ssh",
            "no server span \"ssh.Regular.SessionRequest/exec\" of node",
        ),
        (
            "node-session",
            "ssh",
            "no server span \"ssh.GlobalRequest/cluster-details\" of node",
        ),
        (
            "node-client",
            "ssh",
            "no client span \"proto.AuthService/CheckAccess\" of node",
        ),
    ] {
        let (code, text, _) = story(&["--only", scenario, "--without", part]);
        assert_eq!(code, Some(1), "{part}: {text}");
        let line = format!("not as expected: {scenario}: {missing}");
        assert!(text.contains(&line), "{part}: {line}\n{text}");
    }
}

/// Runs `tsh`, while the cluster in this process goes on.
async fn tsh(cluster: &Cluster, user: &str, arguments: &[&str]) -> Output {
    run(cluster, user, &[], arguments).await
}

async fn run(
    cluster: &Cluster,
    user: &str,
    variables: &[(&str, &str)],
    arguments: &[&str],
) -> Output {
    let mut command = cluster.tsh(Path::new(PROGRAM), user);
    command.args(arguments).envs(variables.iter().copied());
    tokio::process::Command::from(command)
        .output()
        .await
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn of_tsh(spans: &[Span]) -> Vec<&Span> {
    spans.iter().filter(|span| span.service == "tsh").collect()
}

/// Commands and how they end.
const COMMANDS: [(&[&str], i32, &str); 8] = [
    (&["ls"], 0, "env=example"),
    (&["ssh", "root@web-1", "hostname"], 0, "\nweb-1\n"),
    (&["ssh", "deploy@web-1"], 0, "Welcome to web-1, deploy.\n"),
    (&["ssh", "root@web-1", "false"], 1, ""),
    (&["ssh", "root@web-1", "no-such-program"], 127, ""),
    (&["ssh", "guest@web-1", "hostname"], 1, ""),
    (&["ssh", "root@web-2", "hostname"], 1, ""),
    (&["ssh", "web-1"], 2, ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_the_same_with_trace_and_without() {
    for (age, user) in [(Age::New, "alice"), (Age::New, "bob"), (Age::Old, "alice")] {
        let directory = tempfile::tempdir().unwrap();
        let mut options = Options::new(directory.path());
        options.age = age;
        let cluster = Cluster::start(options).await.unwrap();
        for (command, code, stdout) in COMMANDS {
            let plain = tsh(&cluster, user, command).await;
            assert_eq!(plain.status.code(), Some(code), "{command:?} {plain:?}");
            assert!(text(&plain.stdout).contains(stdout), "{plain:?}");
            for method in ["otlp", "export-span"] {
                let traced = ["--trace", "--forward-by", method];
                let traced = tsh(&cluster, user, &[&traced, command].concat()).await;
                assert_eq!(traced, plain, "{age:?} {user} {method}");
            }
        }
        cluster.stop().await.unwrap();

        let spans = spans::read(directory.path()).unwrap();
        assert!(!spans.is_empty());
        let own = of_tsh(&spans);
        if (age, user) == (Age::New, "alice") {
            // All but the one that clap has refused, by each method.
            let roots = own.iter().filter(|span| span.parent_id.is_empty());
            assert_eq!(roots.count(), 14);
            assert!(own.iter().all(|span| span.attributes[STAMP] == "alice"));
        } else {
            assert_eq!(own.len(), 0, "{age:?} {user}: {own:#?}");
        }
        let others = spans.iter().filter(|span| span.service != "tsh");
        assert!(
            others
                .clone()
                .all(|span| !span.attributes.contains_key(STAMP))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_recorded_of_who_does_not_ask_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Options::new(directory.path()))
        .await
        .unwrap();
    for (command, ..) in COMMANDS {
        tsh(&cluster, "alice", command).await;
    }
    let stats = cluster.stop().await.unwrap().unwrap();
    assert_eq!(stats.requests.received, 0);
    assert_eq!(spans::read(directory.path()).unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_writes_in_place_of_the_stamp_does_not_stay() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Options::new(directory.path()))
        .await
        .unwrap();
    let forged = format!("{STAMP}=mallory,host.name=laptop");
    let variables = [("OTEL_RESOURCE_ATTRIBUTES", forged.as_str())];
    for method in ["otlp", "export-span"] {
        let arguments = ["--trace", "--forward-by", method, "ls"];
        let output = run(&cluster, "alice", &variables, &arguments).await;
        assert!(output.status.success(), "{output:?}");
    }
    cluster.stop().await.unwrap();
    let mut written = String::new();
    for file in std::fs::read_dir(directory.path()).unwrap() {
        written += &std::fs::read_to_string(file.unwrap().path()).unwrap();
    }
    assert!(written.contains("\"laptop\""));
    assert!(!written.contains("mallory"), "{written}");
    let spans = spans::read(directory.path()).unwrap();
    let own = of_tsh(&spans);
    assert_eq!(own.len(), 6);
    assert!(own.iter().all(|span| span.attributes[STAMP] == "alice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_trace_the_context_of_the_caller_reaches_every_server() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Options::new(directory.path()))
        .await
        .unwrap();
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let variables = [("TRACEPARENT", traceparent)];
    let command = ["ssh", "root@web-1", "hostname"];
    let output = run(&cluster, "alice", &variables, &command).await;
    assert!(output.status.success(), "{output:?}");
    let stats = cluster.stop().await.unwrap().unwrap();
    assert_eq!(stats.requests.received, 0);

    let spans = spans::read(directory.path()).unwrap();
    assert!(of_tsh(&spans).is_empty());
    assert!(
        spans
            .iter()
            .all(|span| span.trace_id == "0af7651916cd43dd8448eb211c80319c")
    );
    for (service, name) in [
        ("proxy", "GET"),
        ("auth", "proto.AuthService/GetNode"),
        ("node", "ssh.GlobalRequest/cluster-details"),
        ("node", "ssh.Regular.SessionRequest/exec"),
    ] {
        let top = spans
            .iter()
            .filter(|span| span.parent_id == "b7ad6b7169203331");
        let found = top.filter(|span| (&*span.service, &*span.name) == (service, name));
        assert_eq!(found.count(), 1, "{service} {name} in {spans:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_is_away_costs_one_line_on_stderr() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Options::new(directory.path()))
        .await
        .unwrap();
    let plain = tsh(&cluster, "alice", &["ls"]).await;
    let away = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let away = format!("http://{away}");
    for exporter in [away.as_str(), "tcp://collector:4317"] {
        let arguments = ["--trace", "--trace-exporter", exporter, "ls"];
        let traced = tsh(&cluster, "alice", &arguments).await;
        assert_eq!(
            (traced.status, &traced.stdout),
            (plain.status, &plain.stdout)
        );
        let stderr = text(&traced.stderr);
        assert!(stderr.starts_with("tsh: tracing: "), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    // Not by way of the forwarder instead.
    let stats = cluster.stop().await.unwrap().unwrap();
    assert_eq!(stats.requests.received, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_span_is_named_after_what_a_user_has_typed() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Options::new(directory.path()))
        .await
        .unwrap();
    let arguments = ["--trace", "ssh", "root@web-1", "secret-command"];
    tsh(&cluster, "alice", &arguments).await;
    cluster.stop().await.unwrap();
    let spans = spans::read(directory.path()).unwrap();
    assert_eq!(of_tsh(&spans).len(), 9);
    assert!(!format!("{spans:?}").contains("secret-command"));
}
