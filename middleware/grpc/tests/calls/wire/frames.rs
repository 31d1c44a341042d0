//! The same frames, the same header lists, the same trailers.

use h2::Reason;
use opentelemetry::trace::SpanKind;
use tokio::net::{TcpListener, TcpStream};
use towline_test_support::TestTracing;

use super::peer::{Heard, Lines, Step, answer, call};
use super::proxy;
use super::tap::{Frame, Tap};
use crate::network::{eventually, hyper_client, serve};

/// What a client and a server do to each other.
struct Row {
    name: &'static str,
    client: &'static [Step],
    server: &'static [Step],
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row {
        name: "unary",
        client: &[Step::LastData("question"), Step::HearAll],
        server: &[Step::HearAll, Step::Head(HEAD), Step::Data("answer"), Step::Trailers(OK)],
    },
    Row {
        name: "trailers only",
        client: &[Step::LastData("question"), Step::HearAll],
        server: &[Step::HearAll, Step::HeadOnly(REFUSAL)],
    },
    Row {
        name: "trailers only before the request has ended",
        client: &[Step::Data("question"), Step::HearAll],
        server: &[Step::Hear, Step::HeadOnly(REFUSAL)],
    },
    Row {
        name: "server stream",
        client: &[Step::LastData("question"), Step::HearAll],
        server: &[
            Step::HearAll, Step::Head(HEAD), Step::Data("1"), Step::Data(""), Step::Data("2"), Step::Data("3"),
            Step::Trailers(OK),
        ],
    },
    Row {
        name: "client stream",
        client: &[Step::Data("1"), Step::Data("2"), Step::Data(""), Step::LastData("3"), Step::HearAll],
        server: &[Step::HearAll, Step::Head(HEAD), Step::Data("answer"), Step::Trailers(OK)],
    },
    Row {
        name: "bidi, each after the other",
        client: &[Step::Data("1"), Step::Hear, Step::Data("2"), Step::Hear, Step::LastData("3"), Step::HearAll],
        server: &[
            Step::Head(HEAD), Step::Hear, Step::Data("a"), Step::Hear, Step::Data("b"), Step::HearAll, Step::Data("c"),
            Step::Trailers(OK),
        ],
    },
    Row {
        name: "an error after messages, with all that trailers may have",
        client: &[Step::LastData("question"), Step::HearAll],
        server: &[Step::HearAll, Step::Head(HEAD), Step::Data("answer"), Step::Trailers(FAILURE)],
    },
    Row {
        name: "garbage for a status",
        client: &[Step::LastData("question"), Step::HearAll],
        server: &[Step::HearAll, Step::Head(HEAD), Step::Data("answer"), Step::Trailers(GARBAGE)],
    },
    Row {
        name: "no trailers",
        client: &[Step::LastData("question"), Step::HearAll],
        server: &[Step::HearAll, Step::Head(HEAD), Step::Data("answer"), Step::LastData("end")],
    },
    Row {
        name: "trailers after a request",
        client: &[Step::Data("question"), Step::Trailers(&[("x-checksum", b"1")]), Step::HearAll],
        server: &[Step::HearAll, Step::HeadOnly(OK)],
    },
    Row {
        name: "the server resets",
        client: &[Step::Data("question"), Step::Hear, Step::HearAll],
        server: &[Step::Hear, Step::Head(HEAD), Step::Data("answer"), Step::Reset(Reason::ENHANCE_YOUR_CALM)],
    },
    Row {
        name: "the server refuses",
        client: &[Step::Data("question"), Step::HearAll],
        server: &[Step::Hear, Step::Head(HEAD), Step::Reset(Reason::REFUSED_STREAM)],
    },
    Row {
        name: "the client resets",
        client: &[Step::Data("question"), Step::Hear, Step::Reset(Reason::CANCEL)],
        server: &[Step::Hear, Step::Head(HEAD), Step::Data("answer"), Step::HearReset],
    },
];

const HEAD: Lines = &[
    ("content-type", b"application/grpc"),
    ("x-initial", b"1"),
    ("x-initial", b"2"),
];
const OK: Lines = &[("content-type", b"application/grpc"), ("grpc-status", b"0")];
const REFUSAL: Lines = &[
    ("content-type", b"application/grpc"),
    ("grpc-status", b"5"),
    ("grpc-message", b"no%20such%20user"),
];
const FAILURE: Lines = &[
    ("grpc-status", b"10"),
    ("grpc-message", b"try%20%f0%9f%a6%80"),
    ("grpc-status-details-bin", b"CAoSA3RyeQ"),
    ("x-trailing", b"1"),
    ("x-other", b""),
    ("x-trailing", b"\xff"),
];
const GARBAGE: Lines = &[
    ("grpc-status", b"\xff"),
    ("grpc-message", b"%"),
    ("grpc-status-details-bin", b"!"),
];

/// From a caller without tracing, and from one with it.
const CALLERS: [(&str, Lines); 2] = [
    (
        "plain",
        &[
            ("content-type", b"application/grpc"),
            ("te", b"trailers"),
            ("grpc-timeout", b"1H"),
            ("x-tenant-bin", b"AAEC"),
            ("x-tenant-bin", b"AwQF"),
        ],
    ),
    (
        "traced",
        &[
            ("content-type", b"application/grpc"),
            ("te", b"trailers"),
            (
                "traceparent",
                b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
            ("tracestate", b"vendor=value"),
            ("baggage", b"user=42"),
            ("x-after", b"1"),
        ],
    ),
];

/// Everything that both ends have seen.
#[derive(Debug, PartialEq)]
struct Seen {
    client: Heard,
    server: Heard,
    /// To and from the proxy, on either side of it.
    near: (Vec<Frame>, Vec<Frame>),
    far: (Vec<Frame>, Vec<Frame>),
}

#[tokio::test]
async fn nothing_changes_but_for_the_context() {
    for row in ROWS {
        for (caller, lines) in CALLERS {
            let tracing = TestTracing::always();
            let mut with = play(row, lines, Some(&tracing)).await;
            let without = play(row, lines, None).await;
            let name = format!("{} ({caller})", row.name);

            let spans = tracing.finished();
            let client = spans.iter().find(|span| span.span_kind == SpanKind::Client);
            let client = &client.unwrap().span_context;
            let sent = format!(
                "traceparent: 00-{}-{}-0",
                client.trace_id(),
                client.span_id()
            );
            let head = with.server.first_mut().unwrap();
            let expected = without.server.first().unwrap();
            assert!(head.contains(&sent), "{name}: {head}");
            // Where there was one its value alone is another; where not it comes last.
            let others = |head: &str| {
                let lines = head
                    .lines()
                    .filter(|line| !line.trim().starts_with("traceparent"));
                lines.map(str::to_owned).collect::<Vec<_>>()
            };
            assert_eq!(others(head), others(expected), "{name}");
            let places = |head: &str| head.lines().position(|line| line.contains("traceparent"));
            let last = expected.lines().count();
            assert_eq!(places(head), places(expected).or(Some(last)), "{name}");
            head.clone_from(expected);
            assert_eq!(with, without, "{name}");
        }
    }
}

#[tokio::test]
async fn trailers_only_stay_one_frame() {
    let row = ROWS.iter().find(|row| row.name == "trailers only").unwrap();
    let seen = play(row, CALLERS[0].1, Some(&TestTracing::always())).await;
    let only = Frame::Headers {
        end_headers: true,
        end_stream: true,
    };
    assert_eq!(seen.near.1, [only]);
    assert_eq!(seen.far.1, [only]);
}

async fn play(row: &'static Row, lines: Lines, tracing: Option<&TestTracing>) -> Seen {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = Tap::to(listener.local_addr().unwrap()).await;
    let backend = far.address().to_string().parse().unwrap();
    let proxy = serve(proxy(tracing, backend, hyper_client())).await;
    let proxy = proxy.authority().unwrap().as_str().parse().unwrap();
    let near = Tap::to(proxy).await;

    let server = async {
        let (io, _peer) = listener.accept().await.unwrap();
        answer(io, row.server).await
    };
    let client = async {
        let io = TcpStream::connect(near.address()).await.unwrap();
        call(io, lines, row.client).await
    };
    let (server, client) = tokio::join!(server, client);
    if let Some(tracing) = tracing {
        eventually("the end of both spans", || tracing.finished().len() == 2).await;
    }
    Seen {
        client,
        server,
        near: (near.requests(), near.responses()),
        far: (far.requests(), far.responses()),
    }
}
