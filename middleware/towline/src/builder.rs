use std::fmt;
#[cfg(feature = "yaml")]
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanProcessor, TracerProviderBuilder};
use tower_service::Service;
use towline_otlp::{Batch, BoxTransport, Compression, ExportError, ExporterBuilder, Receipt};
use towline_propagation::{Propagator, PropagatorKind};
use towline_sampler::{Rate, Sampler};

use crate::config::{Problems, builder_lists, builder_options, list_options, plain_options};
use crate::{CheckReport, Config, Environment, KeyPair, StartError, Towline, start};

/// What tracing is made of, from [`Towline::builder`].
///
/// What is said here wins over the [configuration](Self::with_config), that over the [environment](Environment), and
/// that over the defaults. `OTEL_SDK_DISABLED=true` wins over everything.
///
/// # Examples
///
/// ```
/// use opentelemetry::KeyValue;
/// use std::time::Duration;
/// use towline::otlp::Discard;
/// use towline::{Rate, Towline};
///
/// let tracing = Towline::builder()
///     .with_service_name("users")
///     .with_resource_attributes([KeyValue::new("deployment.environment.name", "test")])
///     .with_sampling_rate(Rate::ALWAYS)
///     .with_transport(Discard::new())
///     .with_exporter_options(|exporter| exporter.flush_interval(Duration::from_secs(1)))
///     .build()?;
/// assert!(tracing.is_enabled());
/// # Ok::<(), towline::StartError>(())
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct TowlineBuilder {
    pub(crate) code: Config,
    pub(crate) config: Config,
    /// What is wrong with the file that the configuration came from.
    pub(crate) problems: Problems,
    /// Keys of that file whose values cannot be used.
    pub(crate) broken: Vec<&'static str>,
    /// Whether nothing is known of that file.
    pub(crate) is_unreadable: bool,
    pub(crate) environment: Environment,
    pub(crate) resource_attributes: Vec<KeyValue>,
    /// Nothing where code does not say.
    pub(crate) propagator: Option<Propagator>,
    pub(crate) transport: Option<BoxTransport>,
    pub(crate) late_transport: bool,
    /// What code says of the exporter, in its order.
    pub(crate) exporter_options: Vec<ExporterOptions>,
    pub(crate) sampler: Option<Sampler>,
    /// A provider of our own in the making, with the user's processors.
    pub(crate) processors: TracerProviderBuilder,
    pub(crate) has_processors: bool,
    pub(crate) provider: Option<(SdkTracerProvider, Sampler)>,
    pub(crate) random_trace_ids: bool,
}

pub(crate) type ExporterOptions = Box<dyn FnOnce(ExporterBuilder) -> ExporterBuilder + Send>;

// === impl TowlineBuilder ===

impl TowlineBuilder {
    pub(crate) fn new() -> Self {
        Self {
            code: Config::new(),
            config: Config::new(),
            problems: Problems::default(),
            broken: Vec::new(),
            is_unreadable: false,
            environment: Environment::process(),
            resource_attributes: Vec::new(),
            propagator: None,
            transport: None,
            late_transport: false,
            exporter_options: Vec::new(),
            sampler: None,
            processors: SdkTracerProvider::builder(),
            has_processors: false,
            provider: None,
            random_trace_ids: true,
        }
    }

    /// Sets what the operator says. Default: nothing.
    pub fn with_config(mut self, config: Config) -> Self {
        self.config = config;
        self.problems = Problems::default();
        self.broken = Vec::new();
        self.is_unreadable = false;
        self
    }

    /// Sets what the operator says, by a file: see [`Config::from_file`].
    ///
    /// What is wrong with the file is told by [`build`](Self::build) and [`check`](Self::check), together with what is
    /// wrong beyond it: files that are not there, certificates that cannot be used.
    #[cfg(feature = "yaml")]
    #[cfg_attr(docsrs, doc(cfg(feature = "yaml")))]
    pub fn with_config_file(self, path: impl AsRef<Path>) -> Self {
        match Config::read_file(path.as_ref()) {
            Ok((config, reading)) => Self {
                problems: reading.problems,
                broken: reading.broken,
                ..self.with_config(config)
            },
            Err(error) => Self {
                problems: error.into_problems(),
                is_unreadable: true,
                ..self.with_config(Config::new())
            },
        }
    }

    /// Sets where environment variables are read from. Default: the process.
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Says whether spans are recorded at all. Default: what the configuration says; where it says nothing, whether an
    /// exporter, a transport, a span processor or a provider is given.
    pub fn with_enabled(mut self, enabled: bool) -> Self {
        self.code = self.code.with_enabled(enabled);
        self
    }

    /// Sets where spans go; see [`Endpoint`](towline_otlp::Endpoint) for the URLs.
    pub fn with_exporter_url(mut self, url: impl AsRef<str>) -> Self {
        self.code = self.code.with_exporter_url(url);
        self
    }

    /// Sets how many root traces are recorded. Default: none but those that a sampled caller asks for.
    pub fn with_sampling_rate(mut self, rate: Rate) -> Self {
        self.code = self.code.with_sampling_rate(rate);
        self
    }

    /// Sets the `service.name` of the spans. Default: `unknown_service:<executable>`.
    pub fn with_service_name(mut self, name: impl Into<String>) -> Self {
        self.code = self.code.with_service_name(name);
        self
    }

    /// Sets the header in which server layers tell callers the id of a sampled trace. Default: they do not.
    pub fn with_response_trace_id_header(mut self, name: HeaderName) -> Self {
        self.code = self.code.with_response_trace_id_header(name);
        self
    }

    /// Sets the PEM files of the certificate authorities that the collector is checked against, in place of the system's.
    pub fn with_ca_certs<P: Into<PathBuf>>(mut self, files: impl IntoIterator<Item = P>) -> Self {
        self.code = self.code.with_ca_certs(files);
        self
    }

    /// Sets the certificates that the exporter shows to the collector.
    pub fn with_https_keypairs(mut self, pairs: impl IntoIterator<Item = KeyPair>) -> Self {
        self.code = self.code.with_https_keypairs(pairs);
        self
    }

    /// Sets the headers that go with every batch to a collector. Their values are secrets, and never shown.
    pub fn with_headers(
        mut self,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    ) -> Self {
        self.code = self.code.with_headers(headers);
        self
    }

    /// Sets how batches are compressed on their way to a collector; `None` for not at all, whatever else is said.
    pub fn with_compression(mut self, compression: impl Into<Option<Compression>>) -> Self {
        self.code = self.code.with_compression(compression);
        self
    }

    /// Sets a product such as `users/1.0`, which is put before the `User-Agent` that the collector sees.
    pub fn with_user_agent(mut self, product: impl Into<String>) -> Self {
        self.code = self.code.with_user_agent(product);
        self
    }

    /// Adds resource attributes, over those that are detected or come from the environment.
    pub fn with_resource_attributes(
        mut self,
        attributes: impl IntoIterator<Item = KeyValue>,
    ) -> Self {
        self.resource_attributes.extend(attributes);
        self
    }

    /// Sets the sampler, and with it what is done under each kind of parent and the [`Control`](crate::Control) that
    /// [`Towline::control`] answers. Default: parents are followed, roots are recorded by the rate.
    ///
    /// A sampling rate that code or the configuration gives is set on its control.
    pub fn with_sampler(mut self, sampler: Sampler) -> Self {
        self.sampler = Some(sampler);
        self
    }

    /// Sets which headers carry the context, by the names that `OTEL_PROPAGATORS` has for them, which it wins over.
    /// Default: W3C Trace Context and W3C Baggage. Without any no context is read or sent.
    ///
    /// All are read, all are sent; see [`Propagator::of`].
    ///
    /// # Examples
    ///
    /// ```
    /// use towline::{PropagatorKind, Towline};
    ///
    /// let tracing = Towline::builder()
    ///     .with_propagators([PropagatorKind::TraceContext, PropagatorKind::Baggage, PropagatorKind::Jaeger])
    ///     .build()?;
    /// assert_eq!(tracing.propagator().names(), ["baggage", "traceparent", "tracestate", "uber-trace-id"]);
    /// # Ok::<(), towline::StartError>(())
    /// ```
    pub fn with_propagators(mut self, kinds: impl IntoIterator<Item = PropagatorKind>) -> Self {
        self.propagator = None;
        self.code = self.code.with_propagators(kinds);
        self
    }

    /// Sets which headers carry the context: some of a kind that [`with_propagators`](Self::with_propagators) does not
    /// have. What is said last counts.
    pub fn with_propagator(
        mut self,
        propagator: impl TextMapPropagator + Send + Sync + 'static,
    ) -> Self {
        self.propagator = Some(Propagator::custom(propagator));
        self
    }

    /// Sets what ships the spans, in place of an exporter URL: a service of your own, around which the exporter puts
    /// timeout and retry.
    pub fn with_transport<S>(mut self, transport: S) -> Self
    where
        S: Service<Batch, Response = Receipt, Error = ExportError> + Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        self.transport = Some(BoxTransport::new(transport));
        self
    }

    /// Says that where spans go is known later: once, by [`Exporter::set_transport`](towline_otlp::Exporter::set_transport)
    /// of [`Towline::exporter`]. What ends before is kept, see
    /// [`ExporterBuilder::late_transport`](towline_otlp::ExporterBuilder::late_transport).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use towline::otlp::Discard;
    /// use towline::{Rate, Towline};
    ///
    /// let tracing = Towline::builder()
    ///     .with_sampling_rate(Rate::ALWAYS)
    ///     .with_late_transport()
    ///     .build()?;
    /// tracing.spans("users").span("log in").call(|| ());
    /// // There is a connection now.
    /// let exporter = tracing.exporter().ok_or("tracing is switched off by the environment")?;
    /// exporter.set_transport(Discard::new())?;
    /// tracing.blocking_flush(Duration::from_secs(5))?;
    /// assert_eq!(tracing.stats().exported, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_late_transport(mut self) -> Self {
        self.late_transport = true;
        self
    }

    /// Changes options of the exporter: how it connects, the size of its buffer and of its batches, its times, its
    /// retries. Where spans go, and their resource, are not among them: that is said here, and what the function says of
    /// it is overruled. The function gets the options as the configuration and the environment have set them.
    pub fn with_exporter_options(
        mut self,
        options: impl FnOnce(ExporterBuilder) -> ExporterBuilder + Send + 'static,
    ) -> Self {
        self.exporter_options.push(Box::new(options));
        self
    }

    /// Adds a span processor, before the exporter and after those added already.
    ///
    /// It sees every span. For that the layers make theirs by the SDK, which takes more allocations and instructions than
    /// what they do without a processor: encode a span as they describe it.
    ///
    /// It lives as long as the [provider](Towline::provider). [`Towline::flush`] and [`Towline::shutdown`] do not reach
    /// it, since its own may block: that is for [`SdkTracerProvider::force_flush`] and [`SdkTracerProvider::shutdown`].
    pub fn with_span_processor(mut self, processor: impl SpanProcessor + 'static) -> Self {
        self.processors = self.processors.with_span_processor(processor);
        self.has_processors = true;
        self
    }

    /// Brings a provider and the sampler that it was built with, in place of those that would be made here.
    ///
    /// Its resource, its processors and its end stay yours: nothing is exported from here, and [`Towline::shutdown`]
    /// leaves it alone. An exporter or a service name beside it is an error; those of the environment are passed over.
    /// A sampling rate is set on the sampler's control.
    ///
    /// # Examples
    ///
    /// ```
    /// use opentelemetry_sdk::trace::SdkTracerProvider;
    /// use towline::{Control, Rate, Sampler, Towline};
    ///
    /// let sampler = Sampler::new(Control::new(Rate::ALWAYS));
    /// let provider = SdkTracerProvider::builder().with_sampler(sampler.clone()).build();
    /// let tracing = Towline::builder().with_provider(provider, sampler).build()?;
    /// assert!(tracing.is_enabled());
    /// # Ok::<(), towline::StartError>(())
    /// ```
    pub fn with_provider(mut self, provider: SdkTracerProvider, sampler: Sampler) -> Self {
        self.provider = Some((provider, sampler));
        self
    }

    /// Says whether trace ids are random, so that roots may carry the random flag of W3C Trace Context level 2.
    /// Default: true, as the SDK makes them; `false` is for a [provider](Self::with_provider) with an id generator of
    /// another kind.
    pub fn with_random_trace_ids(mut self, random: bool) -> Self {
        self.random_trace_ids = random;
        self
    }

    /// Finds everything that is wrong, and starts nothing: no thread, no connection, no line in the log. Certificates and
    /// keys are read; into a directory of `file://`, or the one above it, a file is written and removed again.
    ///
    /// # Examples
    ///
    /// ```
    /// use towline::{Config, Environment, Towline};
    ///
    /// let report = Towline::builder()
    ///     .with_environment(Environment::empty())
    ///     .with_config(Config::new().with_enabled(true).with_ca_certs(["/nowhere/ca.pem"]))
    ///     .check();
    /// assert!(!report.is_ok());
    /// let wrong: Vec<_> = report.problems().iter().filter_map(|problem| problem.key()).collect();
    /// assert_eq!(wrong, ["exporter_url", "ca_certs[0]"]);
    /// ```
    pub fn check(self) -> CheckReport {
        start::check(self, None)
    }

    /// [`check`](Self::check), and, if nothing is wrong, one connection to the collector, with TLS where it is asked for,
    /// that is closed again. It blocks the thread, at most for `deadline`.
    ///
    /// A collector that cannot be reached is no reason not to start, and yet a problem of the report.
    pub fn check_and_connect(self, deadline: Duration) -> CheckReport {
        start::check(self, Some(deadline))
    }

    /// Starts tracing, or finds that it is off.
    ///
    /// One INFO line tells what is on; off is silent. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`StartError`], which names every setting that is wrong, its value and what was expected.
    pub fn build(self) -> Result<Towline, StartError> {
        start::start(self)
    }
}

plain_options!(builder_options);
list_options!(builder_lists);

impl fmt::Debug for TowlineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowlineBuilder")
            .field("code", &self.code)
            .field("config", &self.config)
            .field("environment", &self.environment)
            .field("resource_attributes", &self.resource_attributes)
            .field("transport", &self.transport)
            .field("late_transport", &self.late_transport)
            .field("propagator", &self.propagator)
            .field("sampler", &self.sampler)
            .finish_non_exhaustive()
    }
}
