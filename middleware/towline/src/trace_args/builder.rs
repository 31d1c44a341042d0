use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use towline_propagation::environment::EnvironmentCarrier;
use towline_sampler::{Branch, Control, Rate, Sampler};
use towline_span::truncate;

use super::args::TraceArgs;
use super::notice;
use super::session::{Parts, TraceSession};
use crate::environment::NamedPropagators;
use crate::start::Basis;
use crate::{Endpoint, Environment, Towline, TowlineBuilder, propagator};

/// The options of a [`TraceSession`], from [`TraceArgs::session`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use opentelemetry::KeyValue;
/// use towline::TraceArgs;
///
/// # let arguments = TraceArgs::default();
/// let session = arguments
///     .session("mytool", "login")
///     .with_attribute(KeyValue::new("mytool.cluster", "example"))
///     .with_deadline(Duration::from_millis(500))
///     .start();
/// // Nobody has typed `--trace`.
/// assert!(!session.is_traced());
/// ```
#[must_use = "a session begins when it is started"]
pub struct TraceSessionBuilder {
    args: TraceArgs,
    program: Cow<'static, str>,
    root: String,
    attributes: Vec<KeyValue>,
    deadline: Duration,
    environment: Environment,
    options: Vec<TracingOptions>,
}

type TracingOptions = Box<dyn FnOnce(TowlineBuilder) -> TowlineBuilder + Send>;

// === impl TraceSessionBuilder ===

impl TraceSessionBuilder {
    pub(super) fn new(args: TraceArgs, program: Cow<'static, str>, command: &str) -> Self {
        let root = match command {
            "" => program.to_string(),
            command => format!("{program}/{command}"),
        };
        Self {
            args,
            program,
            root,
            attributes: Vec::new(),
            deadline: DEFAULT_DEADLINE,
            environment: Environment::process(),
            options: Vec::new(),
        }
    }

    /// Adds an attribute to the root span.
    pub fn with_attribute(mut self, attribute: KeyValue) -> Self {
        self.attributes.push(attribute);
        self
    }

    /// Records these arguments on the root span, as [`process.command_args`]. Default: none, since arguments may hold
    /// secrets; the program knows those that do not.
    ///
    /// At most 64 are recorded, and 1,024 bytes of each.
    ///
    /// [`process.command_args`]: https://github.com/open-telemetry/semantic-conventions/blob/v1.44.0/docs/registry/attributes/process.md
    pub fn with_command_args(self, args: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let args = args.into_iter().take(MAX_ARGS);
        let args = args
            .map(|arg| StringValue::from(truncate(arg.as_ref(), MAX_ARG_BYTES).to_owned()))
            .collect();
        let args = Value::Array(Array::String(args));
        self.with_attribute(KeyValue::new("process.command_args", args))
    }

    /// Sets how long the end of the session waits at most until every span is delivered. Default: 1 second.
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets where environment variables are read from. Default: the process.
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Changes how the tracing is set up: headers of the context, resource attributes, the exporter's times, the
    /// certificates that it trusts. What is recorded and where it goes was said by the user, and is not to be changed.
    pub fn with_tracing_options(
        mut self,
        options: impl FnOnce(TowlineBuilder) -> TowlineBuilder + Send + 'static,
    ) -> Self {
        self.options.push(Box::new(options));
        self
    }

    /// Begins the trace; see [`TraceArgs::start`].
    pub fn start(self) -> TraceSession {
        let mut builder = Towline::builder()
            .with_environment(self.environment.clone())
            .with_service_name(self.program.clone());
        for options in self.options {
            builder = options(builder);
        }
        let destination = self.args.exporter_url().and_then(|url| {
            let endpoint = Endpoint::parse(url).ok()?;
            Some(endpoint.to_string())
        });
        let propagator = propagator::find(&builder, NamedPropagators::read(&self.environment));
        let tracing = if self.args.is_on() {
            let builder = builder
                .with_enabled(true)
                .with_sampler(sampler())
                .with_sampling_rate(Rate::ALWAYS);
            let builder = match self.args.exporter_url() {
                Some(url) => builder.with_exporter_url(url),
                None => builder.with_late_transport(),
            };
            builder.build().unwrap_or_else(|error| {
                // The user has not set that key, but the argument.
                let error = notice::chain(&error).replacen("`exporter_url`", "--trace-exporter", 1);
                notice::tell(
                    &self.program,
                    &format!("this command is not traced, since {error}"),
                );
                Towline::passing(propagator, Basis::default())
            })
        } else {
            Towline::passing(propagator, Basis::default())
        };
        let variables = EnvironmentCarrier::from(&self.environment);
        let parent = tracing
            .propagator()
            .extract_with_context(&Context::current(), &variables);
        TraceSession::new(Parts {
            spans: tracing.spans(SCOPE),
            tracing,
            root: self.root,
            attributes: self.attributes,
            parent,
            destination,
            deadline: self.deadline,
            program: self.program,
        })
    }
}

impl fmt::Debug for TraceSessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceSessionBuilder")
            .field("args", &self.args)
            .field("root", &self.root)
            .field("deadline", &self.deadline)
            .field("environment", &self.environment)
            .finish_non_exhaustive()
    }
}

/// Everything: who types `--trace` wants this command, although whoever has started it records nothing.
fn sampler() -> Sampler {
    Sampler::new(Control::new(Rate::ALWAYS)).with_remote_parent_not_sampled(Branch::Record)
}

const DEFAULT_DEADLINE: Duration = Duration::from_secs(1);

/// The instrumentation scope of root spans.
const SCOPE: &str = "towline";

const MAX_ARGS: usize = 64;

const MAX_ARG_BYTES: usize = 1024;
