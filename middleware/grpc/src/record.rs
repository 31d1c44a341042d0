use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use opentelemetry::trace::TraceContextExt;
use towline_http::extras::Running;
use towline_http::{Record, RequestHead, ResponseHead, Rest};
use towline_span::redact::{self, QueryKeys};
use towline_span::{Failure, MAX_DESCRIPTION_BYTES, OpenSpan, Outcome, truncate};

use crate::address;
use crate::code::Code;
use crate::error::status_of;
use crate::extras::classified;
use crate::method::Method;
use crate::options::Options;
use crate::status::Status;
use crate::timeout::Deadline;

/// Records one call as the RPC semantic conventions want it.
#[derive(Debug)]
pub struct Recorder {
    call: Option<Box<Call>>,
    /// Where the caller is told of the trace.
    telling: Option<Arc<Options>>,
}

/// What is learnt of a call that is recorded.
#[derive(Debug)]
struct Call {
    side: Side,
    method: Method,
    options: Arc<Options>,
    deadline: Deadline,
    running: Option<Running>,
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
        Self {
            call: None,
            telling: None,
        }
    }

    pub(crate) fn new(
        side: Side,
        method: Method,
        options: &Arc<Options>,
        deadline: Deadline,
    ) -> Self {
        Self {
            call: Some(Box::new(Call {
                side,
                method,
                options: Arc::clone(options),
                deadline,
                running: None,
                answer: Answer::default(),
            })),
            telling: None,
        }
    }

    /// Tells the caller of the trace, if that was asked for.
    pub(crate) fn telling(
        mut self,
        span: &OpenSpan,
        enabled: bool,
        options: &Arc<Options>,
    ) -> Self {
        let told = &options.trace_id;
        if !told.is_empty() && (span.is_recording() || (told.unsampled && enabled)) {
            self.telling = Some(Arc::clone(options));
        }
        self
    }

    /// The span has begun.
    pub(crate) fn begin(&mut self, span: &OpenSpan, request: RequestHead<'_>) {
        if let Some(call) = &mut self.call {
            let Options {
                extras, redaction, ..
            } = &*call.options;
            call.running = extras.begin(span, request, redaction);
        }
    }
}

impl Record for Recorder {
    fn annotate(&mut self, span: &OpenSpan, headers: &mut HeaderMap) {
        if let Some(options) = &self.telling {
            let span = span.context().span();
            options.trace_id.write(span.span_context(), headers);
        }
    }

    fn head(&mut self, head: ResponseHead<'_>) -> Rest {
        match &mut self.call {
            Some(call) => call.head(head),
            None => Rest::Body,
        }
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        if let Some(call) = &mut self.call {
            call.answer.status = Status::from_headers(trailers);
            if let Some(running) = &mut call.running {
                running.trailers(&call.options.extras, trailers, &call.options.redaction);
            }
        }
    }

    fn error<E: 'static>(&mut self, error: &E) {
        if let Some(call) = &mut self.call {
            call.answer.status = Some(status_of(error));
        }
    }

    fn end(&mut self, outcome: Outcome, span: &mut OpenSpan) {
        if let Some(call) = self.call.take() {
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
        if let Some(running) = &mut self.running {
            running.head(&self.options.extras, head, &self.options.redaction);
        }
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
            running,
            answer,
            ..
        } = self;
        let redaction = &options.redaction;
        let code = status.code;
        let failed = match side {
            Side::Server => code.is_server_error(),
            Side::Client => code != Code::Ok,
        };
        let failure = failed.then(|| {
            let message = without_secrets(status.message, &redaction.query_keys);
            Failure::new(code.as_str()).with_description(message)
        });
        let failure = classified(options.classify.as_ref(), code, failure)
            .filter(|_| outcome != Outcome::Panicked);
        let renamed = running.as_ref().is_some_and(|running| running.is_renamed());

        {
            let current = span.context().span();
            let mut set = |attribute| current.set_attribute(attribute);
            options.conventions.code(code, &mut set);
            // What was known at the start is recorded already.
            if method.is_known().is_none() {
                let known = method.was_known(code);
                if !known && !renamed {
                    current.update_name(method.span_name(known).to_cow());
                }
                options.conventions.method(&method, known, &mut set);
            }
            if let Some(peer) = answer.peer {
                address::peer(peer, &mut set);
            }
        }
        let captured = running
            .map(|running| running.end(&options.extras, outcome, failure.as_ref(), redaction));
        span.end(outcome, failure, captured.into_iter().flatten());
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

/// The message of a status, which is bounded already, without what a user calls secret in its URLs.
fn without_secrets(message: String, keys: &QueryKeys) -> String {
    match redact::text(&message, keys) {
        Cow::Owned(clean) => truncate(&clean, MAX_DESCRIPTION_BYTES).to_owned(),
        Cow::Borrowed(_) => message,
    }
}
