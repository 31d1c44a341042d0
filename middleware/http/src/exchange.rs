use http::HeaderMap;
use towline_span::{OpenSpan, Outcome};

use crate::head::ResponseHead;

/// What is recorded of one exchange as it goes by; one implementation for each protocol and side.
///
/// The methods are called in the order of the exchange, each but the first only while its span is
/// recorded: [`annotate`](Self::annotate),
/// [`head`](Self::head), [`trailers`](Self::trailers) and [`error`](Self::error) as far as the
/// exchange gets, and in the end [`end`](Self::end), once, whatever became of it.
pub trait Record {
    /// The response has begun, and its headers can still be added to. Called before anything else,
    /// and alone of all methods for a span that is not recorded as well. Adds nothing by default.
    fn annotate(&mut self, _span: &OpenSpan, _headers: &mut HeaderMap) {}

    /// The response has begun. Says whether the exchange ends here or with the body.
    fn head(&mut self, head: ResponseHead<'_>) -> Rest;

    /// The body ended with trailers.
    fn trailers(&mut self, trailers: &HeaderMap);

    /// The service, or the body, gave this error instead of going on.
    fn error<E: 'static>(&mut self, error: &E);

    /// The exchange is over: ends the span with everything that was learnt.
    ///
    /// A span that is not [ended](OpenSpan::end) in here is ended right after, with nothing but the
    /// outcome.
    fn end(&mut self, outcome: Outcome, span: &mut OpenSpan);
}

/// What comes after the head of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "there is a body that belongs to the exchange, or there is not"
)]
pub enum Rest {
    /// A body, with which the exchange ends.
    Body,
    /// Nothing of this exchange: the head was all, or the connection is now something else's.
    Nothing,
}

/// One exchange: its span, and what is recorded in it. Ends at most once, at the latest when it is
/// dropped.
#[derive(Debug)]
pub(crate) struct Exchange<R: Record> {
    span: OpenSpan,
    record: R,
}

impl<R: Record> Exchange<R> {
    pub(crate) const fn new(span: OpenSpan, record: R) -> Self {
        Self { span, record }
    }

    pub(crate) fn is_recording(&self) -> bool {
        self.span.is_recording()
    }

    pub(crate) fn enter<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.span.enter(work)
    }

    pub(crate) fn annotate(&mut self, headers: &mut HeaderMap) {
        self.record.annotate(&self.span, headers);
    }

    pub(crate) fn head(&mut self, head: ResponseHead<'_>) -> Rest {
        self.span.or_else(Outcome::CancelledDuringBody);
        self.record.head(head)
    }

    pub(crate) fn or_else(&mut self, outcome: Outcome) {
        self.span.or_else(outcome);
    }

    pub(crate) fn complete(&mut self, trailers: Option<&HeaderMap>) {
        if self.span.is_recording() {
            if let Some(trailers) = trailers {
                self.record.trailers(trailers);
            }
            self.end(Outcome::Completed);
        }
    }

    pub(crate) fn fail<E: 'static>(&mut self, error: &E) {
        if self.span.is_recording() {
            self.record.error(error);
            self.end(Outcome::Failed);
        }
    }

    fn end(&mut self, outcome: Outcome) {
        self.record.end(outcome, &mut self.span);
        self.span.end(outcome, None, []);
    }
}

impl<R: Record> Drop for Exchange<R> {
    fn drop(&mut self) {
        if self.span.is_recording() {
            self.end(self.span.outcome_on_drop());
        }
    }
}
