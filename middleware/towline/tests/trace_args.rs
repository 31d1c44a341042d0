//! `--trace`: what a session records, where it goes, and how it ends.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod support;

use std::convert::Infallible;
use std::future::ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use http::{Request, Response};
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue};
use support::spans;
use tonic::transport::{Channel, Endpoint};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use towline::otlp::{Discard, ExportError, FlushErrorKind, Receipt, Stats};
use towline::{Environment, TraceArgs, TraceSession, TraceSessionBuilder};
use towline_test_support::collector::{Answer, Collector, Refusal};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

const LONG: Duration = Duration::from_secs(60);

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    trace: TraceArgs,
}

fn parse(arguments: &[&str]) -> TraceArgs {
    let program = ["mytool"];
    Cli::parse_from(program.iter().chain(arguments)).trace
}

fn session(arguments: &[&str]) -> TraceSessionBuilder {
    let session = parse(arguments).session("mytool", "ls");
    session
        .with_environment(Environment::empty())
        .with_deadline(LONG)
}

fn channel(collector: &Collector) -> Channel {
    let url = format!("http://{}", collector.address());
    Endpoint::try_from(url).unwrap().connect_lazy()
}

/// The names of the spans that a collector has, sorted.
fn names(collector: &Collector) -> Vec<String> {
    let requests = collector.requests();
    let spans = requests.iter().flat_map(|request| request.spans());
    let mut names: Vec<String> = spans.map(|span| span.name.clone()).collect();
    names.sort();
    names
}

/// The span that is current, as a header has it.
fn traceparent() -> String {
    let context = Context::current();
    let span = context.span().span_context().clone();
    format!(
        "00-{}-{}-{:02x}",
        span.trace_id(),
        span.span_id(),
        span.trace_flags()
    )
}

#[test]
fn arguments_say_what_was_typed_and_no_secrets() {
    assert!(!parse(&[]).is_on());
    let arguments = parse(&["--trace", "--trace-exporter", "http://me:secret@collector"]);
    assert!(arguments.is_on());
    assert_eq!(arguments.exporter_url(), Some("http://me:secret@collector"));
    assert!(!format!("{arguments:?} {:?}", arguments.session("a", "b")).contains("secret"));

    let error = Cli::try_parse_from(["mytool", "--trace-exporter", "grpc://collector"]);
    assert_eq!(error.unwrap_err().exit_code(), 2);
}

#[tokio::test]
async fn what_is_recorded_before_there_is_a_connection_goes_through_it() {
    let collector = Collector::start();
    let session = session(&["--trace"]).start();
    let result = session
        .try_run(async {
            let spans = session.tracing().spans("mytool");
            spans.span("log in").call(|| ());
            session.forward_through(channel(&collector));
            spans.span("list").call(|| ());
            Err::<(), _>("there is nothing")
        })
        .await;
    assert_eq!(result, Err("there is nothing"));
    let tracing = session.tracing().clone();
    session.finish().await;
    assert_eq!(names(&collector), ["list", "log in", "mytool/ls"]);
    assert_eq!(tracing.stats().exported, 3);
    assert_eq!(collector.unusable_requests(), Vec::<String>::new());
}

#[tokio::test]
async fn in_a_long_command_spans_go_all_along() {
    let collector = Collector::start();
    let session = session(&["--trace"])
        .with_tracing_options(|tracing| {
            tracing
                .with_exporter_options(|exporter| exporter.flush_interval(Duration::from_millis(1)))
        })
        .start();
    session.forward_through(channel(&collector));
    let work = session.run(async {
        session.tracing().spans("mytool").span("begin").call(|| ());
        collector.wait_for_spans(1, LONG).await;
    });
    work.await;
    assert_eq!(names(&collector), ["begin"]);
    session.finish().await;
    assert_eq!(names(&collector), ["begin", "mytool/ls"]);
}

#[tokio::test]
async fn a_server_that_is_too_old_is_asked_once() {
    let collector = Collector::builder()
        .always(Answer::status(Refusal::NotFound))
        .start();
    let session = session(&["--trace"]).start();
    session.forward_through(channel(&collector));
    for _ in 0..3 {
        session.run(ready(())).await;
        let error = session.tracing().flush(LONG).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.lost_spans()),
            (FlushErrorKind::Lost, 1)
        );
    }
    let tracing = session.tracing().clone();
    session.finish().await;
    assert_eq!(collector.request_count(), 1);
    assert_eq!(tracing.stats().dropped.refused, 3);
}

#[tokio::test]
async fn a_server_that_does_not_answer_does_not_keep_the_program() {
    let collector = Collector::builder().always(Answer::hang()).start();
    let session = session(&["--trace"])
        .with_deadline(Duration::from_millis(50))
        .start();
    session.forward_through(channel(&collector));
    session.run(ready(())).await;
    let tracing = session.tracing().clone();
    // Less than the time of an attempt.
    let finish = tokio::time::timeout(Duration::from_secs(8), session.finish());
    finish.await.unwrap();
    assert_eq!(tracing.stats().dropped.shutdown, 1);
}

#[test]
fn the_first_connection_counts_and_none_against_the_user() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    let calls = Arc::new(Mutex::new(Vec::new()));
    let transport = |name: &'static str| {
        let calls = Arc::clone(&calls);
        service_fn(move |_| {
            calls.lock().unwrap().push(name);
            ready(Ok::<_, ExportError>(Receipt::accepted()))
        })
    };
    for arguments in [
        &["--trace"][..],
        &["--trace", "--trace-exporter", &url],
        &[],
    ] {
        let session = session(arguments).start();
        session.forward_with(transport("first"));
        session.forward_with(transport("second"));
        session.call(|| ());
        session.blocking_finish();
    }
    assert_eq!(*calls.lock().unwrap(), ["first"]);
    assert_eq!(spans(directory.path()).len(), 1);
}

#[test]
fn the_root_span_has_what_the_program_lists() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    let long = "é".repeat(1000);
    let session = session(&["--trace", "--trace-exporter", &url])
        .with_attribute(KeyValue::new("mytool.cluster", "example"))
        .with_command_args(["ls", &long].into_iter().chain(["x"; 100]))
        .start();
    assert_eq!(
        session.try_call(|| Err::<(), _>("no such file")),
        Err("no such file")
    );
    session.blocking_finish();
    let spans = spans(directory.path());
    let root = &spans[0];
    assert_eq!(root.name(), "mytool/ls");
    assert_eq!(
        root.resource_text("service.name").as_deref(),
        Some("mytool")
    );
    assert_eq!(root.span["status"]["message"], "no such file");
    let attributes = root.span["attributes"].as_array().unwrap();
    assert!(
        attributes
            .iter()
            .any(|attribute| attribute["key"] == "mytool.cluster")
    );
    let args = attributes
        .iter()
        .find(|attribute| attribute["key"] == "process.command_args")
        .unwrap();
    let args = args["value"]["arrayValue"]["values"].as_array().unwrap();
    assert_eq!(args.len(), 64);
    assert_eq!(args[0]["stringValue"], "ls");
    assert_eq!(args[1]["stringValue"].as_str().unwrap().len(), 1024);
}

#[test]
fn a_program_without_subcommands_is_its_own_root() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    let arguments = parse(&["--trace", "--trace-exporter", &url]);
    arguments.start("mytool", "").call(|| ());
    assert_eq!(spans(directory.path())[0].name(), "mytool");
}

#[test]
fn a_panic_ends_the_trace_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    // Somebody may still have a handle; it is the session that ends the trace.
    let mut tracing = None;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let session = session(&["--trace", "--trace-exporter", &url]).start();
        tracing = Some(session.tracing().clone());
        session.call(|| panic!("the command has a mistake"));
    }));
    let text = panicked.unwrap_err();
    assert_eq!(text.downcast_ref(), Some(&"the command has a mistake"));
    assert_eq!(tracing.unwrap().stats().exported, 1);
    let spans = spans(directory.path());
    let attributes = spans[0].span["attributes"].to_string();
    assert!(attributes.contains("panicked"), "{attributes}");
}

#[tokio::test]
async fn a_trace_that_cannot_be_set_up_is_no_trace_and_no_error() {
    for (arguments, options) in [
        (
            &["--trace", "--trace-exporter", "tcp://collector"][..],
            false,
        ),
        (&["--trace", "--trace-exporter", ""], false),
        // The program has mistaken what is its to say.
        (&["--trace"], true),
    ] {
        let mut builder = session(arguments);
        if options {
            builder =
                builder.with_tracing_options(|tracing| tracing.with_transport(Discard::new()));
        }
        let session = builder.start();
        assert!(!session.is_traced());
        assert_eq!(
            session.try_run(ready(Ok::<_, Infallible>(42))).await,
            Ok(42)
        );
        assert_eq!(session.tracing().stats(), Stats::default());
        session.finish().await;
    }
}

#[tokio::test]
async fn requests_carry_the_context_traced_or_not() {
    let environment = || Environment::from_iter([("TRACEPARENT", TRACEPARENT)]);
    for arguments in [&["--trace"][..], &[]] {
        let session = session(arguments).with_environment(environment()).start();
        session.forward_with(Discard::new());
        let client = ServiceBuilder::new()
            .layer(session.tracing().http_client())
            .service(service_fn(|request: Request<()>| {
                let sent = request.headers()["traceparent"]
                    .to_str()
                    .unwrap()
                    .to_owned();
                ready(Ok::<_, Infallible>(Response::new(sent)))
            }));
        let sent = session
            .run(async {
                let request = Request::get("http://server/").body(()).unwrap();
                client
                    .oneshot(request)
                    .await
                    .unwrap()
                    .into_body()
                    .into_inner()
            })
            .await;
        if arguments.is_empty() {
            assert_eq!(sent, TRACEPARENT);
        } else {
            assert_eq!(sent[..35], TRACEPARENT[..35]);
            assert_ne!(sent, TRACEPARENT);
        }
        let tracing = session.tracing().clone();
        session.finish().await;
        assert_eq!(tracing.stats().dropped.total(), 0);
    }
}

/// What a process is told, and what is taken from it.
fn told(session: &TraceSession) -> Vec<(String, Option<String>)> {
    let mut command = Command::new("true");
    session.inject(&mut command);
    let envs = command.get_envs();
    envs.map(|(name, value)| {
        let text = |text: &std::ffi::OsStr| text.to_str().unwrap().to_owned();
        (text(name), value.map(text))
    })
    .collect()
}

#[test]
fn a_child_process_is_told_of_the_current_span_and_of_nothing_stale() {
    let variables = [
        ("TRACEPARENT", TRACEPARENT),
        ("TRACESTATE", "not legal"),
        ("BAGGAGE", "tenant=acme"),
    ];
    let session = session(&["--trace"])
        .with_environment(Environment::from_iter(variables))
        .start();
    session.forward_with(Discard::new());
    let expected = |traceparent: &str| {
        vec![
            ("BAGGAGE".to_owned(), Some("tenant=acme".to_owned())),
            ("TRACEPARENT".to_owned(), Some(traceparent.to_owned())),
            ("TRACESTATE".to_owned(), None),
        ]
    };
    // Outside of the root span it is the one that this program is in.
    assert_eq!(told(&session), expected(TRACEPARENT));
    session.call(|| {
        let current = traceparent();
        assert_eq!(current[..35], TRACEPARENT[..35]);
        assert_ne!(current, TRACEPARENT);
        assert_eq!(told(&session), expected(&current));
    });
}

#[test]
fn a_child_process_is_told_nothing_where_there_is_nothing_to_tell() {
    for traceparent in ["", "00-junk"] {
        let environment = Environment::from_iter([("TRACEPARENT", traceparent)]);
        let session = session(&[]).with_environment(environment).start();
        assert_eq!(session.call(|| told(&session)), []);
    }
}

#[test]
fn headers_of_another_kind_have_variables_of_their_own() {
    #[derive(Debug)]
    struct Life(Vec<String>);
    #[derive(Debug, PartialEq)]
    struct Meaning(String);
    impl TextMapPropagator for Life {
        fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
            if let Some(Meaning(text)) = cx.get() {
                injector.set("X-Life", format!("{text}!"));
            }
        }

        fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
            match extractor.get("x-life") {
                Some(text) => cx.with_value(Meaning(text.to_owned())),
                None => cx.clone(),
            }
        }

        fn fields(&self) -> FieldIter<'_> {
            FieldIter::new(&self.0)
        }
    }
    let session = session(&[])
        .with_environment(Environment::from_iter([("X_LIFE", "42")]))
        .with_tracing_options(|tracing| tracing.with_propagator(Life(vec!["X-Life".to_owned()])))
        .start();
    let expected = [("X_LIFE".to_owned(), Some("42!".to_owned()))];
    assert_eq!(session.call(|| told(&session)), expected);
}
