use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use opentelemetry::Value;
use opentelemetry::trace::Status;
use opentelemetry_sdk::trace::SpanData;
use tower::Service;
use towline_http::{ResponseBody, ResponseFuture, Trace};
use towline_span::Outcome;
use towline_test_support::{
    BodyStep, Observed, Probe, ScriptedBody, ScriptedError, ScriptedFuture, ScriptedService,
    TestTracing, assert_outcome, attribute, text_attribute,
};

use crate::side::Side;

/// What a scripted service answers.
pub(crate) type Answer = Result<Response<ScriptedBody>, ScriptedError>;

type Future<S> = ResponseFuture<Observed<ScriptedFuture<Answer>>, <S as Side>::Record>;

/// One exchange through a layer, driven by hand: nothing happens between the steps.
pub(crate) struct Exchange<S: Side> {
    pub(crate) tracing: TestTracing,
    future: Option<Pin<Box<Future<S>>>>,
    body: Option<ResponseBody<ScriptedBody, S::Record>>,
}

/// How a recorded exchange came to its end.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    pub(crate) status: Option<StatusCode>,
    pub(crate) error_type: Option<&'static str>,
}

impl<S: Side> Exchange<S> {
    /// Calls a service that answers a `GET` with this response, after one pending poll.
    pub(crate) fn get(response: Response<ScriptedBody>) -> Self {
        Self::request(Method::GET, response)
    }

    /// Calls a service that answers this method with this response, after one pending poll.
    pub(crate) fn request(method: Method, response: Response<ScriptedBody>) -> Self {
        let request = Request::builder().method(method).body(()).unwrap();
        Self::call(request, ScriptedFuture::ready(Ok(response)).after(1))
    }

    /// Calls a service whose future is this one.
    pub(crate) fn future(future: ScriptedFuture<Answer>) -> Self {
        Self::call(Request::new(()), future)
    }

    fn call(request: Request<()>, future: ScriptedFuture<Answer>) -> Self {
        Self::through(&TestTracing::always(), request, future)
    }

    /// Calls a service in a pipeline of the test's own.
    pub(crate) fn through(
        tracing: &TestTracing,
        request: Request<()>,
        future: ScriptedFuture<Answer>,
    ) -> Self {
        let mut future = Some(future);
        let service = ScriptedService::new(&Probe::new(), move |_request| future.take().unwrap());
        let mut service = Trace::new(service, S::layer_of(tracing));
        assert!(service.poll_ready(&mut context()).is_ready());
        let future = service.call(request);
        Self {
            tracing: tracing.clone(),
            future: Some(Box::pin(future)),
            body: None,
        }
    }

    /// Polls the future once; a response's body is kept for [`frame`](Self::frame).
    pub(crate) fn poll(&mut self) -> Poll<Result<StatusCode, ScriptedError>> {
        let future = self.future.as_mut().expect("the future has not ended");
        let result = std::task::ready!(future.as_mut().poll(&mut context()));
        self.future = None;
        Poll::Ready(result.map(|response| {
            let (head, body) = response.into_parts();
            self.body = Some(body);
            head.status
        }))
    }

    /// Polls the future until it is ready.
    pub(crate) fn head(&mut self) -> Result<StatusCode, ScriptedError> {
        loop {
            if let Poll::Ready(result) = self.poll() {
                return result;
            }
        }
    }

    /// Polls the body once.
    pub(crate) fn frame(&mut self) -> Poll<Option<Result<Frame<Bytes>, ScriptedError>>> {
        let body = self.body.as_mut().expect("there was a head");
        Pin::new(body).poll_frame(&mut context())
    }

    /// Polls the body once, for data.
    #[track_caller]
    pub(crate) fn data(&mut self) -> Bytes {
        match self.frame() {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().expect("a data frame"),
            other => panic!("expected data, got {other:?}"),
        }
    }

    /// Takes the body out.
    pub(crate) fn into_body(mut self) -> ResponseBody<ScriptedBody, S::Record> {
        self.body.take().expect("there was a head")
    }

    /// Drops the future or the body, whichever there is.
    pub(crate) fn drop(&mut self) {
        (self.future, self.body) = (None, None);
    }

    /// That the span has begun and has not ended.
    #[track_caller]
    pub(crate) fn assert_open(&self) {
        assert_eq!(self.tracing.started(), 1, "spans started");
        assert_eq!(self.tracing.finished().len(), 0, "spans ended");
    }

    /// That there is one span, of this side's kind, and that it has ended like this.
    #[track_caller]
    pub(crate) fn assert_ended(&self, expected: Ending) {
        assert_eq!(self.tracing.started(), 1, "spans started");
        let span = self.tracing.only();
        assert_eq!(span.span_kind, S::KIND);
        assert_ending(&span, expected);
    }
}

impl Ending {
    /// The body is over, and nobody failed.
    pub(crate) const COMPLETED: Self = Self {
        outcome: Outcome::Completed,
        status: Some(StatusCode::OK),
        error_type: None,
    };

    /// Like this, after a head that said 200.
    pub(crate) const fn after_ok(outcome: Outcome) -> Self {
        Self {
            outcome,
            ..Self::COMPLETED
        }
    }

    /// Like this, before there was a head.
    pub(crate) const fn before_head(outcome: Outcome) -> Self {
        Self {
            outcome,
            status: None,
            error_type: None,
        }
    }

    pub(crate) const fn with_status(self, status: StatusCode) -> Self {
        Self {
            status: Some(status),
            ..self
        }
    }

    pub(crate) const fn with_error_type(self, error_type: &'static str) -> Self {
        Self {
            error_type: Some(error_type),
            ..self
        }
    }
}

/// That the span says this of its end; its status is an error if and only if there is an error type.
#[track_caller]
pub(crate) fn assert_ending(span: &SpanData, expected: Ending) {
    assert_outcome(span, expected.outcome);
    assert_eq!(
        attribute(span, "http.response.status_code"),
        expected
            .status
            .map(|status| Value::I64(status.as_u16().into())),
    );
    assert_eq!(
        text_attribute(span, "error.type").as_deref(),
        expected.error_type
    );
    match expected.error_type {
        None => assert_eq!(span.status, Status::Unset),
        Some(_) => assert!(matches!(span.status, Status::Error { .. })),
    }
}

/// A body of these steps, of which nothing is known beforehand.
pub(crate) fn body(steps: impl IntoIterator<Item = BodyStep>) -> ScriptedBody {
    ScriptedBody::new(&Probe::new(), steps)
}

/// A data frame.
pub(crate) fn data(text: &'static str) -> BodyStep {
    BodyStep::data(text)
}

/// A task that nobody wakes.
pub(crate) fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}
