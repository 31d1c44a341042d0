//! The whole journey in one command: a reverse proxy, an axum app and a gRPC service, real requests through
//! all of them,
//! and every trace printed from what the exporter wrote.
//!
//! ```text
//! cargo run --release -p towline-examples --bin quickstart
//! ```
//!
//! Exits with 0 only if every expected span was there, under the right parent.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tower::BoxError;
use towline::{Rate, Towline};
use towline_examples::expected::{Expected, check};
use towline_examples::quickstart::{BROKEN, Cluster, EVENTS, Hop, USERS};
use towline_examples::spans::Span;
use towline_examples::{picture, spans};

/// Traces a few requests through a reverse proxy, an axum app and a gRPC service.
#[derive(Debug, Parser)]
#[command(name = "quickstart")]
struct Arguments {
    /// Where the spans are written and read back. Default: a new folder, which is named.
    #[arg(long, value_name = "FOLDER", conflicts_with = "exporter_url")]
    dir: Option<PathBuf>,
    /// Send the spans to a backend instead, such as grpc://localhost:4317.
    #[arg(long, value_name = "URL")]
    exporter_url: Option<String>,
    /// Leave one layer out, to see what it did.
    #[arg(long, value_name = "LAYER")]
    without: Option<Hop>,
}

/// A request, and the trace it should leave behind.
struct Step {
    title: &'static str,
    path: &'static str,
    spans: &'static [Expected],
    /// The caller's span, if the caller is traced; the local rate is 0 then.
    caller: Option<Caller>,
}

#[derive(Clone, Copy)]
struct Caller {
    trace_id: &'static str,
    span_id: &'static str,
}

const STEPS: [Step; 4] = [
    Step {
        title: "GET /users/42: a cache that misses, a backend that is slow, a greeting by gRPC",
        path: "/users/42",
        spans: USERS,
        caller: None,
    },
    Step {
        title: "GET /events: the spans last as long as the streamed body",
        path: "/events",
        spans: EVENTS,
        caller: None,
    },
    Step {
        title: "GET /broken: an error, seen from both sides",
        path: "/broken",
        spans: BROKEN,
        caller: None,
    },
    Step {
        title: "GET /users/42 at rate 0, from a caller that is sampled: recorded all the same",
        path: "/users/42",
        spans: USERS,
        caller: Some(Caller {
            trace_id: "0af7651916cd43dd8448eb211c80319c",
            span_id: "b7ad6b7169203331",
        }),
    },
];

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let arguments = Arguments::parse();
    let dir = match (&arguments.exporter_url, arguments.dir) {
        (Some(_), _) => None,
        (None, Some(dir)) => Some(std::path::absolute(dir)?),
        (None, None) => Some(
            tempfile::Builder::new()
                .prefix("towline-")
                .tempdir()?
                .keep(),
        ),
    };
    let url = match (&arguments.exporter_url, &dir) {
        (Some(url), _) => url.clone(),
        (None, Some(dir)) => file_url(dir),
        (None, None) => unreachable!("a folder is chosen wherever no URL is"),
    };
    let before = match &dir {
        Some(dir) if dir.exists() => spans::read(dir)?.len(),
        _ => 0,
    };

    let proxy = traced("proxy", &url)?;
    let app = traced("users", &url)?;
    let greeter = traced("greeter", &url)?;
    let cluster = Cluster::start(&proxy, &app, &greeter, arguments.without).await?;
    writeln!(
        io::stdout(),
        "proxy on {}, app on {}, greeter on {}, spans to {url}\n",
        cluster.proxy_address(),
        cluster.app_address(),
        cluster.greeter_address()
    )?;
    for step in &STEPS {
        let rate = if step.caller.is_some() {
            Rate::NEVER
        } else {
            Rate::ALWAYS
        };
        for tracing in [&proxy, &app, &greeter] {
            tracing.control().set_rate(rate);
        }
        let traceparent = step
            .caller
            .map(|caller| format!("00-{}-{}-01", caller.trace_id, caller.span_id));
        cluster.get(step.path, traceparent.as_deref()).await?;
    }
    // A request without a caller leaves nothing behind at rate 0.
    cluster.get("/users/42", None).await?;
    cluster.stop().await?;

    let mut wrong = Vec::new();
    for tracing in [proxy, app, greeter] {
        if let Err(error) = tracing.shutdown(Duration::from_secs(5)).await {
            wrong.push(error.to_string());
        }
    }
    match dir {
        Some(dir) => wrong.extend(print(&dir, before)?),
        None => writeln!(
            io::stdout(),
            "the spans are on their way; look for the services proxy, users and greeter"
        )?,
    }
    if wrong.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for line in wrong {
        writeln!(io::stdout(), "not as expected: {line}")?;
    }
    Ok(ExitCode::FAILURE)
}

fn traced(service: &str, url: &str) -> Result<Towline, BoxError> {
    Ok(Towline::builder()
        .with_service_name(service)
        .with_exporter_url(url)
        .with_sampling_rate(Rate::ALWAYS)
        .build()?)
}

/// Prints each trace as a tree and over time; answers what is not as it should be.
fn print(dir: &Path, before: usize) -> Result<Vec<String>, BoxError> {
    let spans = spans::read(dir)?;
    let spans = spans.get(before..).unwrap_or_default();
    let mut wrong = Vec::new();
    let mut told = 0;
    for step in &STEPS {
        let trace = trace_of(spans, step);
        told += trace.len();
        writeln!(io::stdout(), "{}\n", step.title)?;
        match trace.first() {
            Some(span) => writeln!(io::stdout(), "  trace {}", span.trace_id)?,
            None => writeln!(io::stdout(), "  no trace")?,
        }
        writeln!(
            io::stdout(),
            "{}\n{}",
            picture::tree(&trace),
            picture::waterfall(&trace)
        )?;
        let parent = step.caller.map_or("", |caller| caller.span_id);
        wrong.extend(
            check(&trace, step.spans, parent)
                .into_iter()
                .map(|line| format!("{}: {line}", step.path)),
        );
    }
    if told != spans.len() {
        wrong.push(format!("{} spans beyond these traces", spans.len() - told));
    }
    writeln!(io::stdout(), "{} spans in {}", spans.len(), dir.display())?;
    Ok(wrong)
}

/// The trace that a step left behind: the caller's, or the one whose root is a request for its path.
fn trace_of(spans: &[Span], step: &Step) -> Vec<Span> {
    let trace_id = match step.caller {
        Some(caller) => Some(caller.trace_id),
        None => spans
            .iter()
            .filter(|span| span.parent_id.is_empty())
            .find(|span| span.attributes.get("url.path").map(String::as_str) == Some(step.path))
            .map(|root| root.trace_id.as_str()),
    };
    spans
        .iter()
        .filter(|span| Some(span.trace_id.as_str()) == trace_id)
        .cloned()
        .collect()
}

/// A folder as an exporter URL.
fn file_url(dir: &Path) -> String {
    format!("file://{}", dir.display())
}
