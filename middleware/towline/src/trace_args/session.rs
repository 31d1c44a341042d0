use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;
use tower_service::Service;
use towline_otlp::policy::Unimplemented;
use towline_otlp::{Batch, ExportError, Receipt, ShutdownError, ShutdownErrorKind, Stats};
use towline_propagation::environment::{EnvironmentCarrier, variable_name};
use towline_span::{ErrorText, NoFailure, SpanCall, SpanFuture, Spans};

use super::notice;
use crate::Towline;

/// The trace of one command, from [`TraceArgs::start`](crate::TraceArgs::start).
///
/// It is harmless: whatever becomes of the trace, the command's output, its result and the exit code are its own. What
/// is wrong is told at most once, in one line on stderr, and only to who has typed `--trace`. (What the
/// [log](crate#log) hears goes where the program sends its log.)
///
/// # What is recorded
///
/// - A root span around [`run`](Self::run) and its kin, under the span that the program was started in, if the variables
///   `TRACEPARENT`, `TRACESTATE` and `BAGGAGE` tell of one ([the specification][env-carriers]). With `--trace` it is
///   recorded although that span is not.
/// - What the program puts into it: spans of its own, and those of the layers of [`tracing`](Self::tracing), which also
///   carry the context on. A process that it starts is told by [`inject`](Self::inject).
///
/// # Where it goes
///
/// To the URL of `--trace-exporter`; otherwise through the connection that the program hands over as soon as it has one,
/// by [`forward_through`](Self::forward_through). What is recorded before, as while logging in, waits for it. A server
/// that does not know how to take spans is older, which is nothing to tell anybody: the spans are dropped. Variables
/// that name an exporter are not read, since the user has not typed them for this command; those about its buffer, its
/// times and its headers are.
///
/// # The end
///
/// [`finish`](Self::finish) delivers what is left, and waits for it no longer than the
/// [deadline](crate::TraceSessionBuilder::with_deadline). In a command that takes long spans go all along, each within 5
/// seconds of its end (`OTEL_BSP_SCHEDULE_DELAY`).
///
/// | how the command ends | what becomes of the trace |
/// |---|---|
/// | with a result | whole |
/// | [`try_run`](Self::try_run) with an error | whole; the root span is failed, and has the error's text |
/// | it panics | whole where panics unwind, with the root span `panicked`: a session that is dropped ends itself |
/// | `std::process::exit` before [`finish`](Self::finish) | as when it is killed |
/// | the program sees to Ctrl-C, and drops the work | whole; the root span is `cancelled_before_response` |
/// | Ctrl-C where nobody sees to it, or another signal | what went before; the root span is missing |
///
/// No signal handler is installed, since that would change how the program ends. A program that wants the trace of an
/// interrupted command whole waits for both:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let arguments = towline::TraceArgs::default();
/// # async fn work() {}
/// # async fn interrupted() { std::future::pending().await }
/// let session = arguments.start("mytool", "serve");
/// let code = tokio::select! {
///     () = session.run(work()) => 0,
///     () = interrupted() => 130, // such as `tokio::signal::ctrl_c`
/// };
/// session.finish().await;
/// # assert_eq!(code, 0);
/// # }
/// ```
///
/// [env-carriers]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/context/env-carriers.md
#[must_use = "dropping it ends the trace"]
pub struct TraceSession {
    parts: Parts,
    /// Whether the server that spans are forwarded to is too old for them.
    is_unimplemented: Mutex<Option<Probe>>,
    is_finished: bool,
}

type Probe = Box<dyn Fn() -> bool + Send>;

/// What a session consists of.
pub(super) struct Parts {
    pub(super) tracing: Towline,
    pub(super) spans: Spans<SdkTracer>,
    pub(super) program: Cow<'static, str>,
    /// The name of the root span.
    pub(super) root: String,
    pub(super) attributes: Vec<KeyValue>,
    /// What the program was started in.
    pub(super) parent: Context,
    /// Where spans go, if the user has said so.
    pub(super) destination: Option<String>,
    pub(super) deadline: Duration,
}

// === impl TraceSession ===

impl TraceSession {
    pub(super) const fn new(parts: Parts) -> Self {
        Self {
            parts,
            is_unimplemented: Mutex::new(None),
            is_finished: false,
        }
    }

    /// Puts the command inside the root span, which starts now. Nothing that it gives back is an error.
    pub fn run<F: Future>(&self, work: F) -> SpanFuture<F, NoFailure> {
        let _parent = self.parts.parent.clone().attach();
        self.root().run(work)
    }

    /// Puts the command inside the root span, which starts now; an `Err` of its is the span's error.
    pub fn try_run<F, R, E>(&self, work: F) -> SpanFuture<F, ErrorText>
    where
        F: Future<Output = Result<R, E>>,
        E: fmt::Display,
    {
        let _parent = self.parts.parent.clone().attach();
        self.root().try_run(work)
    }

    /// [`run`](Self::run) for a command that blocks.
    ///
    /// # Panics
    ///
    /// When the command does.
    pub fn call<R>(&self, work: impl FnOnce() -> R) -> R {
        let _parent = self.parts.parent.clone().attach();
        self.root().call(work)
    }

    /// [`try_run`](Self::try_run) for a command that blocks.
    ///
    /// # Errors
    ///
    /// The command's own, untouched.
    ///
    /// # Panics
    ///
    /// When the command does.
    pub fn try_call<R, E: fmt::Display>(
        &self,
        work: impl FnOnce() -> Result<R, E>,
    ) -> Result<R, E> {
        let _parent = self.parts.parent.clone().attach();
        self.root().try_call(work)
    }

    /// The tracing: layers for the program's clients, spans of its own, counts. A clone of it may go anywhere; to end it
    /// is up to the session.
    #[must_use]
    pub const fn tracing(&self) -> &Towline {
        &self.parts.tracing
    }

    /// Whether this command is recorded.
    #[must_use]
    pub fn is_traced(&self) -> bool {
        self.tracing().is_enabled()
    }

    /// Tells a process that is about to be started of the current span, so that its own go below it: sets `TRACEPARENT`,
    /// `TRACESTATE` and `BAGGAGE`, or whatever stands for the headers of the context, and removes those that this
    /// program was given and that no longer hold.
    ///
    /// Outside of the root span, or where nothing is recorded, that is the span that this program was started in. For a
    /// `tokio::process::Command` give its `as_std_mut()`. After an `env_clear`, not before.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::process::Command;
    /// use towline::{Environment, TraceArgs};
    ///
    /// # let arguments = TraceArgs::default();
    /// let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    /// let session = arguments
    ///     .session("mytool", "run")
    ///     .with_environment(Environment::from_iter([("TRACEPARENT", traceparent)]))
    ///     .start();
    /// let mut child = Command::new("other-tool");
    /// session.inject(&mut child);
    /// assert!(child.get_envs().any(|(name, value)| {
    ///     name == "TRACEPARENT" && value.is_some_and(|value| value == traceparent)
    /// }));
    /// ```
    pub fn inject(&self, command: &mut Command) {
        let current = Context::current();
        let context = if current.span().span_context().is_valid() {
            &current
        } else {
            &self.parts.parent
        };
        let propagator = self.tracing().propagator();
        let mut variables = EnvironmentCarrier::new();
        propagator.inject_context(context, &mut variables);
        if variables.is_empty() {
            return;
        }
        for name in propagator.names() {
            command.env_remove(&*variable_name(&name));
        }
        command.envs(variables);
    }

    /// Forwards the spans over gRPC through a connection that the program has anyway, such as a
    /// `tonic::transport::Channel` that is authenticated already, by OTLP's `TraceService/Export`. For another method
    /// see [`forward_with`](Self::forward_with).
    ///
    /// The first connection counts, and none where the user has said where spans go, or wants none.
    #[cfg(feature = "grpc")]
    #[cfg_attr(docsrs, doc(cfg(feature = "grpc")))]
    pub fn forward_through<C>(&self, client: C)
    where
        towline_otlp::Grpc<C>: Service<Batch, Response = Receipt, Error = ExportError, Future: Send>
            + Clone
            + Send
            + 'static,
    {
        // A channel knows its origin itself.
        let origin = http::Uri::from_static("/");
        self.forward_with(towline_otlp::Grpc::with_client(client, origin));
    }

    /// Forwards the spans through a transport, as [`forward_through`](Self::forward_through) does.
    ///
    /// # Examples
    ///
    /// The method that Teleport's RFD 65 has for it:
    ///
    #[cfg_attr(feature = "grpc", doc = "```")]
    #[cfg_attr(not(feature = "grpc"), doc = "```ignore")]
    /// use http::{Uri, uri::PathAndQuery};
    /// use tonic::transport::Channel;
    /// use towline::otlp::Grpc;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let session = towline::TraceArgs::default().start("mytool", "ls");
    /// # let channel = Channel::from_static("http://auth.example:3025").connect_lazy();
    /// let method = PathAndQuery::from_static("/proto.AuthService/ExportSpan");
    /// session.forward_with(Grpc::with_client(channel, Uri::from_static("/")).with_method(method));
    /// # session.finish().await;
    /// # }
    /// ```
    pub fn forward_with<S>(&self, transport: S)
    where
        S: Service<Batch, Response = Receipt, Error = ExportError, Future: Send>
            + Clone
            + Send
            + 'static,
    {
        let Some(exporter) = self.tracing().exporter() else {
            return;
        };
        let transport = Unimplemented::new(transport);
        let probe = transport.clone();
        // It is refused where there is one already.
        if exporter.set_transport(transport).is_ok() {
            let mut is_unimplemented = self
                .is_unimplemented
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *is_unimplemented = Some(Box::new(move || probe.is_unimplemented()));
        }
    }

    /// Ends the trace: delivers what is left, as far as the deadline lets it. Without `--trace` it is done at once.
    ///
    /// It belongs after the work and before `std::process::exit`. Where a connection of the program's own forwards the
    /// spans its runtime goes on meanwhile, which it cannot in [`blocking_finish`](Self::blocking_finish).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up waiting, not delivering.
    pub async fn finish(mut self) {
        self.is_finished = true;
        let result = self.tracing().shutdown(self.parts.deadline).await;
        self.report(result);
    }

    /// [`finish`](Self::finish) for programs without a runtime: blocks the thread. So does dropping the session.
    pub fn blocking_finish(self) {}

    fn root(&self) -> SpanCall<'_, SdkTracer> {
        let span = self.parts.spans.span(self.parts.root.clone());
        let attributes = self.parts.attributes.iter().cloned();
        attributes.fold(span, SpanCall::with_attribute)
    }

    /// Says if spans were lost, and roughly why.
    fn report(&self, result: Result<Stats, ShutdownError>) {
        let (stats, kind) = match result {
            Ok(stats) => (stats, None),
            Err(error) => (error.stats(), Some(error.kind())),
        };
        let lost = stats.ended.saturating_sub(stats.exported);
        if lost == 0 || self.is_unimplemented() {
            return;
        }
        let destination = self.parts.destination.as_deref();
        let what = match kind {
            Some(ShutdownErrorKind::NotReady) => {
                "the trace was not sent: there was no connection to forward it through".to_owned()
            }
            _ => format!(
                "{lost} of {} spans could not be sent to {}",
                stats.ended,
                destination.unwrap_or("the server")
            ),
        };
        notice::tell(&self.parts.program, &what);
    }

    fn is_unimplemented(&self) -> bool {
        let probe = self
            .is_unimplemented
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        probe.as_ref().is_some_and(|probe| probe())
    }
}

impl Drop for TraceSession {
    fn drop(&mut self) {
        if !self.is_finished {
            let result = self.tracing().blocking_shutdown(self.parts.deadline);
            self.report(result);
        }
    }
}

impl fmt::Debug for TraceSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceSession")
            .field("root", &self.parts.root)
            .field("tracing", &self.parts.tracing)
            .field("deadline", &self.parts.deadline)
            .finish_non_exhaustive()
    }
}
