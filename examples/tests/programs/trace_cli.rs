use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use towline_examples::spans::{self, Span};

use crate::process::Program;

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// The program, in an environment that says nothing of traces.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trace-cli"));
    for variable in ["TRACEPARENT", "TRACESTATE", "BAGGAGE"] {
        command.env_remove(variable);
    }
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// `--trace` into files of a directory, and a command.
fn into_files(directory: &Path, arguments: &[&str]) -> Command {
    let url = format!("file://{}", directory.display());
    let mut command = command(&["--trace", "--trace-exporter", &url]);
    command.args(arguments);
    command
}

fn greeter() -> (Program, String) {
    let server = Program::start(env!("CARGO_BIN_EXE_grpc-server"), &[]);
    let url = format!("http://{}", server.address());
    (server, url)
}

#[track_caller]
fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found
        .next()
        .unwrap_or_else(|| panic!("{name} in {spans:#?}"));
    assert!(found.next().is_none(), "{name} in {spans:#?}");
    span
}

#[test]
fn a_command_is_a_root_span_with_its_calls_below() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, url) = greeter();
    let plain = run(&["hello", "--server", &url, "Ada"]);
    assert_eq!(
        (text(&plain.stdout), text(&plain.stderr)),
        ("Hello, Ada!\n", "")
    );

    let traced = into_files(directory.path(), &["hello", "--server", &url, "Ada"])
        .output()
        .unwrap();
    assert_eq!(traced, plain);
    let spans = spans::read(directory.path()).unwrap();
    let root = named(&spans, "trace-cli/hello");
    assert_eq!(
        (&*root.service, root.kind, &*root.parent_id),
        ("trace-cli", "internal", "")
    );
    assert!(!root.error);
    let call = named(&spans, "hello.Greeter/SayHello");
    assert_eq!((call.kind, &call.parent_id), ("client", &root.span_id));
    assert_eq!(spans.len(), 2);
    // No argument that nobody has listed.
    assert!(!format!("{spans:?}").contains("Ada"));
}

#[test]
fn a_command_that_fails_does_so_with_its_own_code_and_a_failed_span() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["hello", "--server", &unreachable(), "Ada"];
    let plain = run(&arguments);
    assert_eq!(plain.status.code(), Some(1));
    assert!(text(&plain.stderr).starts_with("trace-cli: "));
    let traced = into_files(directory.path(), &arguments).output().unwrap();
    assert_eq!(traced, plain);
    let spans = spans::read(directory.path()).unwrap();
    let root = named(&spans, "trace-cli/hello");
    assert!(root.error);
    assert_eq!(root.attributes["towline.outcome"], "failed");

    // The code of a process that it runs is neither changed nor a failure.
    let traced = into_files(directory.path(), &["run", "sh", "-c", "exit 7"]).status();
    assert_eq!(traced.unwrap().code(), Some(7));
}

/// The address of a server that is not there.
fn unreachable() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn an_exporter_that_cannot_be_reached_costs_one_line_on_stderr() {
    let (_server, url) = greeter();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for exporter in [
        &unreachable(),
        &silent.replace("http://", "grpc://"),
        "tcp://collector:4317",
        "https://user:secret@collector:4318",
        "file:///proc/no/such/directory",
        "\u{1b}[31m\n",
    ] {
        let arguments = ["--trace", "--trace-exporter", exporter];
        let traced = run(&[&arguments, &["hello", "--server", &url, "Ada"][..]].concat());
        assert_eq!(traced.status.code(), Some(0), "{exporter}");
        assert_eq!(text(&traced.stdout), "Hello, Ada!\n", "{exporter}");
        let stderr = text(&traced.stderr);
        assert_eq!(stderr.lines().count(), 1, "{exporter}: {stderr}");
        assert!(
            stderr.starts_with("trace-cli: tracing: "),
            "{exporter}: {stderr}"
        );
        assert!(!stderr.contains("secret"), "{exporter}: {stderr}");
        assert!(!stderr.contains('\u{1b}'), "{exporter}: {stderr}");
    }
}

#[test]
fn an_exporter_that_never_answers_does_not_keep_the_program() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let exporter = format!("http://{}", listener.local_addr().unwrap());
    let begin = Instant::now();
    let output = run(&["--trace", "--trace-exporter", &exporter, "run", "true"]);
    // Less than the time of an attempt, which is 10 seconds.
    assert!(
        begin.elapsed() < Duration::from_secs(8),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "");
    assert_eq!(
        text(&output.stderr),
        format!("trace-cli: tracing: 1 of 1 spans could not be sent to {exporter}/v1/traces\n")
    );
}

#[test]
fn a_server_that_is_too_old_for_spans_is_nothing_to_tell() {
    let (_server, url) = greeter();
    let plain = run(&["hello", "--server", &url, "Ada"]);
    let traced = run(&["--trace", "hello", "--server", &url, "Ada"]);
    assert_eq!(text(&traced.stderr), "");
    assert_eq!(traced, plain);
}

#[test]
fn a_command_without_a_connection_says_that_nothing_was_forwarded() {
    let output = run(&["--trace", "run", "true"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        text(&output.stderr),
        "trace-cli: tracing: the trace was not sent: there was no connection to forward it through\n"
    );
}

#[test]
fn an_exporter_without_trace_is_a_usage_error_that_says_so() {
    let output = run(&["--trace-exporter", "grpc://collector", "run", "true"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "");
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("required arguments were not provided:\n  --trace\n"),
        "{stderr}"
    );
    assert!(
        stderr.contains("Usage: trace-cli --trace --trace-exporter <URL>"),
        "{stderr}"
    );
}

#[test]
fn the_trace_goes_on_from_the_parent_process_into_the_child() {
    let script = ["run", "sh", "-c", "echo $TRACEPARENT $TRACESTATE $BAGGAGE"];
    for traceparent in [SAMPLED, UNSAMPLED] {
        let directory = tempfile::tempdir().unwrap();
        let output = into_files(directory.path(), &script)
            .env("TRACEPARENT", traceparent)
            .env("TRACESTATE", "congo=t61rcWkgMzE")
            .env("BAGGAGE", "tenant=acme")
            .output()
            .unwrap();
        assert_eq!(text(&output.stderr), "");
        let spans = spans::read(directory.path()).unwrap();
        let root = named(&spans, "trace-cli/run");
        assert_eq!(
            (&*root.trace_id, &*root.parent_id),
            (TRACE_ID, "b7ad6b7169203331")
        );
        // Who types `--trace` gets it, whatever was recorded before.
        assert_eq!(
            text(&output.stdout),
            format!(
                "00-{TRACE_ID}-{}-01 congo=t61rcWkgMzE tenant=acme\n",
                root.span_id
            )
        );
    }
}

#[test]
fn a_traced_command_in_a_traced_command_is_below_it() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    let inner = [
        env!("CARGO_BIN_EXE_trace-cli"),
        "--trace",
        "--trace-exporter",
        &url,
        "wait-is-no-task",
    ];
    // The inner one does not know its task, and says so as clap does.
    let output = into_files(directory.path(), &[&["run"], &inner[..]].concat()).output();
    assert_eq!(output.unwrap().status.code(), Some(2));

    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    let inner = [inner[0], "--trace", "--trace-exporter", &url, "run", "true"];
    let output = into_files(directory.path(), &[&["run"], &inner[..]].concat()).output();
    assert!(output.unwrap().status.success());
    let spans = spans::read(directory.path()).unwrap();
    let (outer, inner) = (&spans[0], &spans[1]);
    assert_eq!(spans.len(), 2);
    assert_eq!(outer.parent_id, "");
    assert_eq!(
        (&inner.trace_id, &inner.parent_id),
        (&outer.trace_id, &outer.span_id)
    );
}

#[test]
fn without_trace_the_context_is_passed_on_as_it_is() {
    let script = ["run", "sh", "-c", "echo $TRACEPARENT $TRACESTATE $BAGGAGE"];
    let output = command(&script)
        .env("TRACEPARENT", SAMPLED)
        .env("TRACESTATE", "congo=t61rcWkgMzE")
        .env("BAGGAGE", "tenant=acme")
        // Nobody has asked for it here.
        .env("OTEL_TRACES_EXPORTER", "otlp")
        .output()
        .unwrap();
    assert_eq!(
        text(&output.stdout),
        format!("{SAMPLED} congo=t61rcWkgMzE tenant=acme\n")
    );
    assert_eq!(text(&output.stderr), "");

    let output = run(&script);
    assert_eq!(
        (text(&output.stdout), text(&output.stderr)),
        ("  \n".trim_start_matches(' '), "")
    );
}

#[test]
fn without_trace_the_call_carries_the_context() {
    let directory = tempfile::tempdir().unwrap();
    // It records what a sampled caller asks for, and nothing else.
    let config = crate::process::config(directory.path(), "greeter");
    let server = Program::start(env!("CARGO_BIN_EXE_grpc-server"), &["--config", &config]);
    let url = format!("http://{}", server.address());
    let output = command(&["hello", "--server", &url, "Ada"])
        .env("TRACEPARENT", SAMPLED)
        .output()
        .unwrap();
    assert!(output.status.success());
    server.stop();
    let spans = spans::read(&directory.path().join("spans")).unwrap();
    let call = named(&spans, "hello.Greeter/SayHello");
    assert_eq!(
        (&*call.trace_id, &*call.parent_id),
        (TRACE_ID, "b7ad6b7169203331")
    );
}

#[cfg(unix)]
#[test]
fn the_trace_of_an_interrupted_command_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = into_files(directory.path(), &["wait"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "waiting\n");
    let signal = format!("kill -INT {}", child.id());
    assert!(
        Command::new("sh")
            .args(["-c", &signal])
            .status()
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(text(&output.stderr), "");
    let spans = spans::read(directory.path()).unwrap();
    let root = named(&spans, "trace-cli/wait");
    assert_eq!(
        root.attributes["towline.outcome"],
        "cancelled_before_response"
    );
}
