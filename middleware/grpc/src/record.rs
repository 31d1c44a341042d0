use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use opentelemetry::KeyValue;
use opentelemetry::trace::TraceContextExt;
use towline_http::{Record, RequestHead, ResponseHead, Rest};
use towline_span::{Failure, OpenSpan, Outcome};

use crate::code::Code;
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
    http_status: Option<StatusCode>,
    status: Option<Status>,
    metadata: Vec<KeyValue>,
}

/// Which end of the call this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

impl Recorder {
    /// For a call that nobody records.
    pub(crate) const fn idle() -> Self {
        Self(None)
    }

    pub(crate) fn new(
        side: Side,
        request: RequestHead<'_>,
        options: &Arc<Options>,
        deadline: Deadline,
    ) -> Self {
        Self(Some(Box::new(Call {
            side,
            method: Method::of_request(request),
            options: Arc::clone(options),
            deadline,
            http_status: None,
            status: None,
            metadata: Vec::new(),
        })))
    }
}

impl Record for Recorder {
    fn head(&mut self, head: ResponseHead<'_>) -> Rest {
        let Some(call) = &mut self.0 else {
            return Rest::Body;
        };
        call.http_status = Some(head.status);
        call.status = Status::from_headers(head.headers);
        call.metadata
            .extend(call.options.response_metadata.attributes(head.headers));
        if call.status.is_some() {
            // Trailers-only: this was all.
            return Rest::Nothing;
        }
        Rest::Body
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        if let Some(call) = &mut self.0 {
            call.status = Status::from_headers(trailers);
        }
    }

    fn error<E: 'static>(&mut self, error: &E) {
        if let Some(call) = &mut self.0 {
            call.status = Some(Status::from_error(error));
        }
    }

    fn end(&mut self, outcome: Outcome, span: &mut OpenSpan) {
        if let Some(call) = self.0.take() {
            call.end(outcome, span);
        }
    }
}

impl Call {
    fn end(self, outcome: Outcome, span: &mut OpenSpan) {
        let status = match (self.status, outcome) {
            (Some(status), _) => status,
            (None, Outcome::CancelledBeforeResponse | Outcome::CancelledDuringBody) => {
                Status::new(if self.deadline.has_passed() {
                    Code::DeadlineExceeded
                } else {
                    Code::Cancelled
                })
            }
            (None, _) => Status::new(self.http_status.map_or(Code::Unknown, Code::from_http)),
        };
        let code = status.code;
        let failed = match self.side {
            Side::Server => code.is_server_error(),
            Side::Client => code != Code::Ok,
        };
        let failure = (failed && outcome != Outcome::Panicked)
            .then(|| Failure::new(code.as_str()).with_description(status.message));

        let options = &self.options;
        // Anybody can call any method; one that nobody serves must not become a name.
        let known = options.knows(&self.method) && code != Code::Unimplemented;
        let method = match self.side {
            Side::Client => None,
            Side::Server => {
                if !known {
                    let name = self.method.span_name(known);
                    span.context().span().update_name(name);
                }
                Some(options.conventions.method(&self.method, known))
            }
        };
        span.end(
            outcome,
            failure,
            options
                .conventions
                .code(code)
                .chain(method.into_iter().flatten())
                .chain(self.metadata),
        );
    }
}
