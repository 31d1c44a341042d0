//! Every kind of call and every way it can end, from both sides.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanKind, Status as SpanStatus};
use opentelemetry_sdk::trace::SpanData;
use tonic::Code;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::transport::Server;
use tower::Layer;
use towline_grpc::{client, server};
use towline_span::Outcome::{
    self, CancelledBeforeResponse, CancelledDuringBody, Completed, Failed,
};
use towline_test_support::{TestTracing, assert_child_of, assert_outcome, text_attribute};

use crate::conversation::{Kind, Raw, Transport};
use crate::echo::{Echo, Script, Seen};
use crate::network::{Running, eventually, hyper_client};

/// One way for a call to end, and what both sides make of it.
struct Row {
    name: &'static str,
    script: Script,
    caller: Caller,
    timeout: Timeout,
    client: Expected,
    server: Expected,
}

/// What the caller does.
#[derive(Clone, Copy)]
enum Caller {
    /// Stays to the end.
    Stays,
    /// Drops the call when it has arrived.
    LeavesBefore,
    /// Drops the call after the first message.
    LeavesMidway,
    /// Drops the call after the first message and the deadline.
    LeavesLate,
    /// Loses the connection when the call has arrived.
    IsCutBefore,
    /// Loses the connection after the first message.
    IsCutMidway,
}

/// Who has set how much time.
#[derive(Clone, Copy, PartialEq)]
enum Timeout {
    None,
    /// The caller, by `grpc-timeout`, with a client that leaves it to the server.
    Metadata,
    /// tonic's server.
    OfServer,
    /// tonic's channel.
    OfChannel,
}

struct Expected {
    code: &'static str,
    is_error: bool,
    outcome: Outcome,
}

const fn ok(code: &'static str, outcome: Outcome) -> Expected {
    Expected {
        code,
        is_error: false,
        outcome,
    }
}

const fn error(code: &'static str, outcome: Outcome) -> Expected {
    Expected {
        code,
        is_error: true,
        outcome,
    }
}

const fn row(
    name: &'static str,
    script: Script,
    caller: Caller,
    client: Expected,
    server: Expected,
) -> Row {
    Row {
        name,
        script,
        caller,
        timeout: Timeout::None,
        client,
        server,
    }
}

impl Row {
    const fn within(mut self, timeout: Timeout) -> Self {
        self.timeout = timeout;
        self
    }
}

/// Long enough for a call to arrive, short enough to wait for.
const TIMEOUT: Duration = Duration::from_millis(200);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("OK", Script::Answer, Caller::Stays,
        ok("OK", Completed), ok("OK", Completed)),

    row("an error before headers that is the caller's", Script::Refuse(Code::NotFound), Caller::Stays,
        error("NOT_FOUND", Completed), ok("NOT_FOUND", Completed)),
    row("an error before headers that is the server's", Script::Refuse(Code::Internal), Caller::Stays,
        error("INTERNAL", Completed), error("INTERNAL", Completed)),
    row("an error after messages that is the caller's", Script::FailAfterMessages(Code::Aborted), Caller::Stays,
        error("ABORTED", Completed), ok("ABORTED", Completed)),
    row("an error after messages that is the server's", Script::FailAfterMessages(Code::DataLoss), Caller::Stays,
        error("DATA_LOSS", Completed), error("DATA_LOSS", Completed)),

    row("grpc-timeout, which the server enforces", Script::Hang, Caller::Stays,
        error("CANCELLED", Completed), error("DEADLINE_EXCEEDED", CancelledBeforeResponse)).within(Timeout::Metadata),
    row("grpc-timeout, after which the caller leaves", Script::HangMidway, Caller::LeavesLate,
        error("DEADLINE_EXCEEDED", CancelledDuringBody), error("DEADLINE_EXCEEDED", CancelledDuringBody)).within(Timeout::Metadata),
    row("the timeout of tonic's server", Script::Hang, Caller::Stays,
        error("CANCELLED", Completed), error("DEADLINE_EXCEEDED", CancelledBeforeResponse)).within(Timeout::OfServer),
    row("the timeout of tonic's channel", Script::Hang, Caller::Stays,
        error("DEADLINE_EXCEEDED", Failed), ok("CANCELLED", CancelledBeforeResponse)).within(Timeout::OfChannel),

    row("the caller cancels before", Script::Hang, Caller::LeavesBefore,
        error("CANCELLED", CancelledBeforeResponse), ok("CANCELLED", CancelledBeforeResponse)),
    row("the caller cancels midway", Script::HangMidway, Caller::LeavesMidway,
        error("CANCELLED", CancelledDuringBody), ok("CANCELLED", CancelledDuringBody)),

    row("the connection goes before", Script::Hang, Caller::IsCutBefore,
        error("UNAVAILABLE", Failed), ok("CANCELLED", CancelledBeforeResponse)),
    row("the connection goes midway", Script::HangMidway, Caller::IsCutMidway,
        error("UNAVAILABLE", Failed), ok("CANCELLED", CancelledDuringBody)),

    row("a status that is none, in the head",
        Script::RawHead(200, &[("grpc-status", b"fine"), ("grpc-message", b"\xff%zz%")]), Caller::Stays,
        error("UNKNOWN", Completed), error("UNKNOWN", Completed)),
    row("a status that is none, in the trailers",
        Script::RawTrailers(&[("grpc-status", b"-1"), ("grpc-message", b"%ff%00")]), Caller::Stays,
        error("UNKNOWN", Completed), error("UNKNOWN", Completed)),
    row("trailers without a status", Script::RawTrailers(&[("x-other", b"1")]), Caller::Stays,
        error("UNKNOWN", Completed), error("UNKNOWN", Completed)),
    row("no trailers", Script::RawTrailers(&[]), Caller::Stays,
        error("UNKNOWN", Completed), error("UNKNOWN", Completed)),
    row("an answer of HTTP's", Script::RawHead(503, &[("content-type", b"text/html")]), Caller::Stays,
        error("UNAVAILABLE", Completed), error("UNAVAILABLE", Completed)),
];

#[tokio::test]
async fn every_kind_of_call_ends_once_with_its_true_status() {
    let mut wrong = Vec::new();
    for row in ROWS {
        // At the same time, since some have a time to wait; a panic of one is told with the others.
        let plays = Kind::ALL.map(|kind| (kind, tokio::spawn(play(row, kind))));
        for (kind, play) in plays {
            let name = format!("{} ({kind:?})", row.name);
            if let Err(error) = play.await {
                let panic = error.into_panic();
                let text = match panic.downcast_ref::<String>() {
                    Some(text) => text,
                    None => panic.downcast_ref::<&str>().copied().unwrap_or_default(),
                };
                wrong.push(format!("{name}: {text}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

async fn play(row: &'static Row, kind: Kind) {
    let (here, there) = (TestTracing::always(), TestTracing::always());
    let echo = Echo::new(row.script);
    let seen = echo.seen();

    let (mut layer, mut server) = (
        server::TraceLayer::from_spans(there.spans()),
        Server::builder(),
    );
    if row.timeout == Timeout::OfServer {
        (layer, server) = (layer.with_timeout(TIMEOUT), server.timeout(TIMEOUT));
    }
    let running = Running::start(server, layer, Routes::new(echo)).await;

    let layer = client::TraceLayer::from_spans(here.spans());
    let (started, codec) = (SystemTime::now(), Raw::default());
    let told = if row.timeout == Timeout::Metadata {
        let grpc = Grpc::with_origin(layer.layer(hyper_client()), running.uri());
        row.caller
            .act(grpc, kind, row, &codec, &running, &seen)
            .await
    } else {
        let mut endpoint = running.endpoint();
        if row.timeout == Timeout::OfChannel {
            endpoint = endpoint.timeout(TIMEOUT);
        }
        let channel = endpoint.connect().await.unwrap();
        let grpc = Grpc::new(layer.layer(channel));
        row.caller
            .act(grpc, kind, row, &codec, &running, &seen)
            .await
    };
    eventually("the end of the server's span", || {
        !there.finished().is_empty()
    })
    .await;

    let (client, server) = (only(&here), only(&there));
    if let Some(told) = told {
        // Where tonic tells its caller something else than gRPC would, the span has gRPC's word.
        let expected = match (row.timeout, row.caller) {
            (Timeout::OfChannel, _) => "CANCELLED",
            (_, Caller::IsCutBefore | Caller::IsCutMidway) => "UNKNOWN",
            _ => row.client.code,
        };
        assert_eq!(
            towline_grpc::Code::ALL[told as usize].as_str(),
            expected,
            "told"
        );
    }
    row.client.check("client", kind, SpanKind::Client, &client);
    row.server.check("server", kind, SpanKind::Server, &server);
    assert_child_of(&server, &client.span_context);
    // From before the first to after the last.
    assert!(started <= client.start_time && client.start_time <= server.start_time);
    assert!(
        seen.last_message() <= Some(server.end_time),
        "the server's span ends before its last message"
    );
    assert!(
        codec.last_read() <= Some(client.end_time),
        "the client's span ends before the last message"
    );
}

/// The one span that there is, ended or not.
fn only(tracing: &TestTracing) -> SpanData {
    assert_eq!(tracing.started(), 1, "spans have started");
    tracing.only()
}

impl Caller {
    /// Does it. Answers what the caller was told in the end, if it stayed.
    async fn act<T: Transport>(
        self,
        mut grpc: Grpc<T>,
        kind: Kind,
        row: &Row,
        codec: &Raw,
        running: &Running,
        seen: &Seen,
    ) -> Option<Code> {
        let mut metadata = MetadataMap::new();
        if row.timeout == Timeout::Metadata {
            let timeout = format!("{}m", TIMEOUT.as_millis());
            metadata.insert("grpc-timeout", timeout.parse().unwrap());
        }
        match self {
            Self::Stays => {
                let result = kind.converse(&mut grpc, &metadata, codec).await;
                return Some(match result {
                    Ok(received) => {
                        assert_eq!(received, kind.responses());
                        Code::Ok
                    }
                    Err(status) => status.code(),
                });
            }
            Self::LeavesBefore => tokio::select! {
                result = kind.converse(&mut grpc, &metadata, codec) => panic!("it ended: {result:?}"),
                () = seen.call() => {}
            },
            Self::IsCutBefore => {
                let cut = async {
                    seen.call().await;
                    running.cut();
                };
                let (result, ()) = tokio::join!(kind.converse(&mut grpc, &metadata, codec), cut);
                return Some(result.unwrap_err().code());
            }
            Self::LeavesMidway | Self::LeavesLate | Self::IsCutMidway => {
                let mut stream = kind.begin(&mut grpc, &metadata, codec).await.unwrap();
                match self {
                    Self::LeavesLate => {
                        let deadline = seen.called_at() + TIMEOUT;
                        tokio::time::sleep_until(deadline.into()).await;
                    }
                    Self::IsCutMidway => {
                        running.cut();
                        return Some(stream.message().await.unwrap_err().code());
                    }
                    _ => {}
                }
            }
        }
        None
    }
}

impl Expected {
    #[track_caller]
    fn check(&self, side: &str, kind: Kind, span_kind: SpanKind, span: &SpanData) {
        let text = |key| text_attribute(span, key);
        assert_eq!(
            text("rpc.response.status_code").as_deref(),
            Some(self.code),
            "{side}'s status code, {:?}",
            span.status
        );
        assert_outcome(span, self.outcome);
        let is_error = matches!(span.status, SpanStatus::Error { .. });
        assert_eq!(is_error, self.is_error, "{side}: {:?}", span.status);
        assert!(is_error || span.status == SpanStatus::Unset);
        let error_type = self.is_error.then(|| self.code.to_owned());
        assert_eq!(text("error.type"), error_type, "{side}");
        assert_eq!(span.name, kind.method(), "{side}");
        assert_eq!(text("rpc.method").as_deref(), Some(kind.method()), "{side}");
        assert_eq!(text("rpc.system.name").as_deref(), Some("grpc"), "{side}");
        assert_eq!(span.span_kind, span_kind, "{side}");
    }
}
