//! One request and its answer.

use std::future::pending;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Method, Request, Response, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::answer::{Answer, Outcome, Wire};
use super::body::AnswerBody;
use super::connection::{Connection, Fate};
use super::decode::{Unusable, decode};
use super::{Protocol, Reading, Refusal, Shared, respond};

pub(super) async fn exchange(
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, h2::Error> {
    let (head, body) = request.into_parts();
    let number = shared.record.begin();
    let reading = (shared.config.reading)(number);
    let (protocol, route) = route(&shared, &head);
    let max_bytes = shared.config.max_request_bytes;
    let decoded = match route {
        Err(unusable) => Err(unusable),
        Ok(()) => read(body, reading, max_bytes)
            .await?
            .and_then(|body| decode(protocol, &head.headers, &body, max_bytes)),
    };
    let decoded = match decoded {
        Ok(decoded) => decoded,
        Err(Unusable { answer, why }) => {
            let (method, path) = (&head.method, head.uri.path());
            shared.record.unusable(format!("{method} {path}: {why}"));
            let response = respond::of(&answer, protocol, 0).expect("a status has a response");
            return Ok(response.map(|body| body.guarded(connection.answering())));
        }
    };
    let peer = connection.peer.clone();
    let received = shared.record.receive(
        |number| super::Received::new(number, head, protocol, peer, decoded),
        shared.config.keeps_requests,
    );
    let answer = shared.script.choose(&received);
    for wait in &answer.waits {
        // Whoever waits for one to wait looks again.
        wait.over(|| shared.record.touch()).await;
    }
    if connection.is_over() {
        // Nobody is there to be told.
        return pending().await;
    }
    // From here to the end nothing waits: what is accepted is answered.
    let rejected = match answer.rejects(protocol.is_grpc()) {
        None => 0,
        Some(rejects) => shared.record.accept(&received, rejects),
    };
    match &answer.outcome {
        Outcome::Hang => pending().await,
        Outcome::Wire(wire) => sabotage(&answer, wire, &connection, &received).await,
        Outcome::Success(_) | Outcome::Status(_) => {
            let response = respond::of(&answer, protocol, rejected);
            let response = response.expect("it has a response");
            Ok(response.map(|body| body.guarded(connection.answering())))
        }
    }
}

/// The protocol of a request, at least the one to refuse it in, and whether it is at the right
/// place.
fn route(shared: &Shared, head: &Parts) -> (Protocol, Result<(), Unusable>) {
    let content_type = head.headers.get(CONTENT_TYPE);
    let content_type = content_type.map_or(&b""[..], |value| value.as_bytes());
    let is = |name: &str| {
        content_type
            .strip_prefix(name.as_bytes())
            .is_some_and(|rest| matches!(rest.first(), None | Some(b';' | b'+' | b' ')))
    };
    let (protocol, path) = if is("application/grpc") {
        (Protocol::Grpc, &shared.config.grpc_path)
    } else if is("application/json") {
        (Protocol::HttpJson, &shared.config.http_path)
    } else {
        (Protocol::HttpProtobuf, &shared.config.http_path)
    };
    let route = if head.uri.path() != path {
        Err(Unusable::new(Refusal::NotFound, format!("expected {path}")))
    } else if head.method != Method::POST {
        Err(Unusable::with_statuses(UNIMPLEMENTED, 405, "expected POST"))
    } else if protocol == Protocol::HttpProtobuf && !is("application/x-protobuf") {
        Err(Unusable::with_statuses(
            UNIMPLEMENTED,
            415,
            format!(
                "content-type {:?} is not known: expected application/x-protobuf or application/json",
                String::from_utf8_lossy(content_type)
            ),
        ))
    } else {
        Ok(())
    };
    (protocol, route)
}

/// Reads a body as it is told to. An error says that the client is gone.
async fn read(
    mut body: Incoming,
    reading: Reading,
    max_bytes: usize,
) -> Result<Result<Bytes, Unusable>, h2::Error> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| h2::Error::from(h2::Reason::CANCEL))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > max_bytes {
            return Ok(Err(Unusable::too_large(max_bytes)));
        }
        bytes.extend_from_slice(&data);
        match reading {
            Reading::Whole => {}
            Reading::Slow {
                bytes_per_tick,
                tick,
            } => {
                let ticks = data.len().div_ceil(bytes_per_tick.max(1));
                let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
                tokio::time::sleep(tick.saturating_mul(ticks)).await;
            }
            Reading::StopAfter { bytes: after } if bytes.len() < after => {}
            // The body stays: dropped, it would be an answer of its own.
            Reading::StopAfter { .. } => return pending().await,
        }
    }
    Ok(Ok(bytes.freeze()))
}

async fn sabotage(
    answer: &Answer,
    wire: &Wire,
    connection: &Arc<Connection>,
    received: &super::Received,
) -> Result<Response<AnswerBody>, h2::Error> {
    let is_http2 = received.http_version() == Version::HTTP_2;
    let fate = match wire {
        Wire::ResetMidBody => {
            let response = respond::beginning(answer, received.protocol());
            return Ok(response.map(|body| body.then(connection, Fate::Reset)));
        }
        Wire::ResetStream(error_code) if is_http2 => {
            return Err(h2::Error::from(h2::Reason::from(*error_code)));
        }
        Wire::GoAway(error_code) if is_http2 => Fate::GoAway(*error_code),
        Wire::Reset | Wire::ResetStream(_) => Fate::Reset,
        Wire::Close | Wire::GoAway(_) => Fate::Close,
        Wire::Raw(bytes) => Fate::Raw(bytes.clone()),
    };
    connection.meet(fate);
    pending().await
}

const UNIMPLEMENTED: i32 = 12;
