//! What a layer puts onto a span beyond its own attributes, because a user asked for it: listed
//! headers, and what hooks add.
//!
//! The options themselves are methods of the layers. What is public here are the parts of which
//! layers for other protocols over HTTP are made as well: a layer keeps [`Extras`] among its options,
//! begins a [`Running`] with each span, and tells it of the exchange. Where nothing was asked for
//! there is no `Running`, and nothing is allocated.

mod capture;
mod hooks;
mod options;
mod redaction;
mod trace_id;

use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue};
use towline_span::{Failure, OpenSpan, Outcome};

pub use self::capture::{Capture, MAX_CAPTURED_BYTES, MAX_CAPTURED_VALUES};
pub use self::hooks::{Ended, HookSpan, Hooks, caught_or};
pub(crate) use self::options::extras_options;
pub use self::redaction::Redaction;
pub use self::trace_id::ResponseTraceId;
use crate::head::{RequestHead, ResponseHead};

/// What a user asked for, shared by all exchanges of a layer.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Extras {
    /// The headers, or metadata, of requests that are recorded.
    pub request: Capture,
    /// Those of responses.
    pub response: Capture,
    /// What is called on the way.
    pub hooks: Hooks,
}

/// What belongs to one exchange whose span is recorded.
#[derive(Debug)]
pub struct Running {
    context: Context,
    started: Instant,
    captured: Vec<KeyValue>,
    renamed: bool,
}

/// What a response means: the failure that the conventions see in it, to be confirmed, replaced or
/// taken back.
pub(crate) type ClassifyResponse =
    Arc<dyn Fn(ResponseHead<'_>, Option<Failure>) -> Option<Failure> + Send + Sync>;

/// What a user makes of a response, or else the conventions.
pub(crate) fn classified(
    classify: Option<&ClassifyResponse>,
    head: ResponseHead<'_>,
    failure: Option<Failure>,
) -> Option<Failure> {
    match classify {
        Some(classify) => caught_or(failure.clone(), || classify(head, failure)),
        None => failure,
    }
}

// === impl Extras ===

impl Extras {
    /// Follows an exchange whose span has begun, if it is recorded and there is something to do after
    /// its start; calls the hooks for the request.
    ///
    /// Captured headers of the request are not added here: they belong among the attributes at the
    /// start, where a sampler sees them.
    #[must_use]
    pub fn begin(
        &self,
        span: &OpenSpan,
        request: RequestHead<'_>,
        redaction: &Redaction,
    ) -> Option<Running> {
        if (self.response.is_empty() && self.hooks.is_empty()) || !span.is_recording() {
            return None;
        }
        let mut running = Running {
            context: span.context().clone(),
            started: Instant::now(),
            captured: Vec::new(),
            renamed: false,
        };
        running.hook(redaction, |span| self.hooks.request(request, span));
        Some(running)
    }
}

// === impl Running ===

impl Running {
    /// The response has begun: captures what is listed, and calls the hooks.
    pub fn head(&mut self, extras: &Extras, head: ResponseHead<'_>, redaction: &Redaction) {
        let captured = &mut self.captured;
        extras.response.extend(captured, head.headers, redaction);
        self.hook(redaction, |span| extras.hooks.response(head, span));
    }

    /// The response ended with trailers: captures what is listed.
    pub fn trailers(&mut self, extras: &Extras, trailers: &HeaderMap, redaction: &Redaction) {
        let captured = &mut self.captured;
        extras.response.extend(captured, trailers, redaction);
    }

    /// The exchange is over: calls the hooks, and answers what was captured.
    #[must_use]
    pub fn end(
        mut self,
        extras: &Extras,
        outcome: Outcome,
        failure: Option<&Failure>,
        redaction: &Redaction,
    ) -> Vec<KeyValue> {
        let ended = Ended {
            outcome,
            failure,
            duration: self.started.elapsed(),
        };
        self.hook(redaction, |span| extras.hooks.end(ended, span));
        self.captured
    }

    /// Whether a hook has named the span: then nobody else does.
    #[must_use]
    pub fn is_renamed(&self) -> bool {
        self.renamed
    }

    fn hook(&mut self, redaction: &Redaction, call: impl FnOnce(&mut HookSpan<'_>)) {
        let mut span = HookSpan::new(self.context.span(), redaction);
        call(&mut span);
        self.renamed |= span.is_renamed();
    }
}
