use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use opentelemetry::KeyValue;
use opentelemetry::trace::TraceContextExt;
use towline_http::{Record, ResponseHead, Rest};
use towline_span::{Failure, OpenSpan, Outcome};

use crate::address;
use crate::code::Code;
use crate::error::status_of;
use crate::method::Method;
use crate::options::Options;
use crate::status::Status;
use crate::timeout::Deadline;

/// Records one call as the RPC semantic conventions want it.
#[derive(Debug)]
pub struct Recorder(Option<Box<Call>>);

/// What is learnt of a call that is recorded.
#[derive(Debug)]
struct Call {
    side: Side,
    method: Method,
    options: Arc<Options>,
    deadline: Deadline,
    answer: Answer,
}

/// What the other side has said so far.
#[derive(Debug, Default)]
struct Answer {
    http_status: Option<StatusCode>,
    /// OK, said before there was anything it could be about.
    promised: bool,
    status: Option<Status>,
    /// Of the connection that a client has called on.
    peer: Option<SocketAddr>,
    metadata: Vec<KeyValue>,
}

/// Which end of the call this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

// === impl Recorder ===

impl Recorder {
    /// For a call that nobody records.
    pub(crate) const fn idle() -> Self {
        Self(None)
    }

    pub(crate) fn new(
        side: Side,
        method: Method,
        options: &Arc<Options>,
        deadline: Deadline,
    ) -> Self {
        Self(Some(Box::new(Call {
            side,
            method,
            options: Arc::clone(options),
            deadline,
            answer: Answer::default(),
        })))
    }
}

impl Record for Recorder {
    fn head(&mut self, head: ResponseHead<'_>) -> Rest {
        match &mut self.0 {
            Some(call) => call.head(head),
            None => Rest::Body,
        }
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        if let Some(call) = &mut self.0 {
            call.answer.status = Status::from_headers(trailers);
            call.options
                .response_metadata
                .extend(&mut call.answer.metadata, trailers);
        }
    }

    fn error<E: 'static>(&mut self, error: &E) {
        if let Some(call) = &mut self.0 {
            call.answer.status = Some(status_of(error));
        }
    }

    fn end(&mut self, outcome: Outcome, span: &mut OpenSpan) {
        if let Some(call) = self.0.take() {
            call.end(outcome, span);
        }
    }
}

// === impl Call ===

impl Call {
    fn head(&mut self, head: ResponseHead<'_>) -> Rest {
        let answer = &mut self.answer;
        answer.http_status = Some(head.status);
        if self.side == Side::Client {
            answer.peer = address::peer_of_response(head);
        }
        self.options
            .response_metadata
            .extend(&mut answer.metadata, head.headers);
        match Status::from_headers(head.headers) {
            // Trailers-only. What is OK may have messages behind it all the same, if the server is
            // not careful, and clients read them.
            Some(status) if status.code == Code::Ok => {
                answer.promised = true;
                Rest::Body
            }
            Some(status) => {
                answer.status = Some(status);
                Rest::Nothing
            }
            None => Rest::Body,
        }
    }

    fn end(mut self, outcome: Outcome, span: &mut OpenSpan) {
        let status = self.take_status(outcome);
        let Self {
            side,
            method,
            options,
            answer,
            ..
        } = self;
        let code = status.code;
        let failed = match side {
            Side::Server => code.is_server_error(),
            Side::Client => code != Code::Ok,
        };
        let failure = (failed && outcome != Outcome::Panicked)
            .then(|| Failure::new(code.as_str()).with_description(status.message));

        {
            let current = span.context().span();
            let mut set = |attribute| current.set_attribute(attribute);
            options.conventions.code(code, &mut set);
            // What was known at the start is recorded already.
            if method.is_known().is_none() {
                let known = method.was_known(code);
                if !known {
                    current.update_name(method.span_name(known));
                }
                options.conventions.method(&method, known, &mut set);
            }
            if let Some(peer) = answer.peer {
                address::peer(peer, &mut set);
            }
        }
        span.end(outcome, failure, answer.metadata);
    }

    /// How the call went, with or without a word from the other side.
    fn take_status(&mut self, outcome: Outcome) -> Status {
        let answer = &mut self.answer;
        if let Some(status) = answer.status.take() {
            return status;
        }
        Status::new(match outcome {
            Outcome::CancelledBeforeResponse | Outcome::CancelledDuringBody => {
                if self.deadline.has_passed() {
                    Code::DeadlineExceeded
                } else {
                    Code::Cancelled
                }
            }
            Outcome::Completed if answer.promised => Code::Ok,
            _ => answer.http_status.map_or(Code::Unknown, Code::from_http),
        })
    }
}
