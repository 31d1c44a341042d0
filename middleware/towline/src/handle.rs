use std::borrow::Cow;
use std::fmt;
#[cfg(feature = "yaml")]
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanLimits};
use towline_http::{Filters, client, server};
use towline_otlp::{Exporter, FlushError, ShutdownError, Stats};
use towline_propagation::Propagator;
use towline_sampler::{Control, Rate, Sampler};
use towline_span::{SpanLayer, Spans};

use crate::config::Problem;
use crate::layers::{self, LayerOptions};
use crate::live::Teller;
use crate::start::{Basis, limits};
use crate::{Config, Reload, StartError, StartErrorKind, TowlineBuilder, scope};

/// Tracing: hands out the layers, switches them while they serve, and brings the last spans home.
///
/// Clones are handles on the same tracing, and cheap. Before the program ends, [`shutdown`](Self::shutdown) must be
/// called: what is still held when the process exits is lost.
///
/// # Off
///
/// Where nobody asks for tracing there is no thread, no socket and no line in the log. The layers are the same types:
/// they take up the context that a caller sends and pass it on unchanged, so that a hop that is off does not cut the
/// trace of the others.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use towline::otlp::Discard;
/// use towline::{Rate, Towline};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tracing = Towline::builder()
///     .with_sampling_rate(Rate::ALWAYS)
///     .with_transport(Discard::new())
///     .build()?;
///
/// let answer = tracing.spans("users").span("cache/Get").call(|| 42);
/// assert_eq!(answer, 42);
///
/// let stats = tracing.shutdown(Duration::from_secs(5)).await?;
/// assert_eq!((stats.ended, stats.exported), (1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Towline {
    shared: Arc<Shared>,
}

struct Shared {
    parts: Parts,
    http: Spans<SdkTracer>,
    layers: LayerOptions,
    filters: Filters,
    teller: Teller,
    /// For reloads, one at a time.
    basis: Mutex<Basis>,
    has_ended: AtomicBool,
}

/// What tracing consists of.
pub(crate) struct Parts {
    pub(crate) provider: SdkTracerProvider,
    pub(crate) sampler: Sampler,
    pub(crate) exporter: Option<Exporter>,
    /// Where spans need not go through the provider, since nobody but the exporter sees them there: the limits that they
    /// have there.
    pub(crate) recorder_limits: Option<SpanLimits>,
    pub(crate) propagator: Propagator,
    pub(crate) random_trace_ids: bool,
    pub(crate) role: Role,
    pub(crate) basis: Basis,
}

/// What tracing is to its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It was off from the start: nothing is recorded, contexts are passed on.
    Passing,
    /// It has made the provider.
    Owner,
    /// It was given the provider.
    Guest,
}

// === impl Towline ===

impl Towline {
    /// Begins with nothing said: what is on is then up to the environment.
    pub fn builder() -> TowlineBuilder {
        TowlineBuilder::new()
    }

    /// Tracing as the `tracing_service` or `tracing` section of a YAML file says, see [`Config`]. The environment fills
    /// what the section leaves out; without a section, and without an exporter in the environment, tracing is off.
    ///
    /// # Examples
    ///
    /// ```
    /// use towline::Towline;
    ///
    /// let file = tempfile::NamedTempFile::new()?;
    /// std::fs::write(file.path(), "tracing_service: { enabled: yes, exporter_url: tcp://collector:1 }")?;
    /// let error = Towline::from_file(file.path()).unwrap_err().to_string();
    /// assert!(error.contains("expected grpc, grpcs, http, https, file, unix or console"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StartError`], which has everything that is wrong, in the file and beyond: file, line, key, value and what was
    /// expected.
    #[cfg(feature = "yaml")]
    #[cfg_attr(docsrs, doc(cfg(feature = "yaml")))]
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, StartError> {
        Self::builder().with_config_file(path).build()
    }

    /// Tracing as a configuration says. The environment fills what it leaves out.
    ///
    /// # Errors
    ///
    /// As [`TowlineBuilder::build`].
    pub fn from_config(config: Config) -> Result<Self, StartError> {
        Self::builder().with_config(config).build()
    }

    /// Tracing as the environment says; see the [crate documentation](crate#environment) for the variables. Off where no
    /// variable names an exporter.
    ///
    /// # Errors
    ///
    /// As [`TowlineBuilder::build`].
    pub fn from_env() -> Result<Self, StartError> {
        Self::builder().build()
    }

    /// No tracing: the layers pass the caller's context on, in W3C's headers, and nothing else happens.
    #[must_use]
    pub fn off() -> Self {
        Self::passing(Propagator::default(), Basis::default())
    }

    pub(crate) fn passing(propagator: Propagator, basis: Basis) -> Self {
        let control = Control::new(Rate::NEVER);
        control.set_enabled(false);
        let sampler = Sampler::new(control);
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler.clone())
            .with_resource(Resource::builder_empty().build())
            .build();
        Self::new(Parts {
            provider,
            sampler,
            exporter: None,
            recorder_limits: None,
            propagator,
            random_trace_ids: true,
            role: Role::Passing,
            basis,
        })
    }

    pub(crate) fn new(mut parts: Parts) -> Self {
        let basis = std::mem::take(&mut parts.basis);
        let layers = LayerOptions::new(basis.settings());
        let http = parts.spans(scope::http());
        let (filters, teller) = (Filters::default(), Teller::default());
        if let Some(paths) = layers::filters(basis.settings()) {
            filters.set(paths);
        }
        if let Some(limit) = &basis.settings().remote_sampled_limit_per_second {
            parts.sampler.control().set_remote_limit(Some(limit.value));
        }
        if parts.role != Role::Passing {
            teller.watch(parts.sampler.control(), &filters);
        }
        Self {
            shared: Arc::new(Shared {
                parts,
                http,
                layers,
                filters,
                teller,
                basis: Mutex::new(basis),
                has_ended: AtomicBool::new(false),
            }),
        }
    }

    /// The layer for a service that answers HTTP requests; see [`server`] for what it does and for its options.
    ///
    /// With the feature `axum`, which is on by default, it takes the route and the peer's address from what axum has left
    /// in a request. For a request that axum has not routed that is nothing, as without the feature.
    #[must_use]
    pub fn http_server(&self) -> HttpServerLayer {
        let spans = self.shared.http.clone();
        let layer = server::TraceLayer::from_spans(spans)
            .with_propagator(self.propagator())
            .with_filters(self.filters().clone());
        let layer = self.shared.layers.http_server(layer);
        #[cfg(feature = "axum")]
        let layer = layer.with_axum();
        layer
    }

    /// The layer for a service that sends HTTP requests; see [`client`] for what it does and for its options.
    #[must_use]
    pub fn http_client(&self) -> HttpClientLayer {
        let spans = self.shared.http.clone();
        let layer = client::TraceLayer::from_spans(spans).with_propagator(self.propagator());
        let layer = self.shared.layers.http_client(layer);
        #[cfg(feature = "hyper-util")]
        let layer = layer.with_hyper_util();
        layer
    }

    /// Starts spans of your own, around a block of code or by [`SpanLayer`] around any service. `scope_name` is the name
    /// of the code that they are about, usually of a crate or a module.
    #[must_use]
    pub fn spans(&self, scope_name: impl Into<Cow<'static, str>>) -> Spans<SdkTracer> {
        self.spans_of(InstrumentationScope::builder(scope_name).build())
    }

    /// A layer that puts a span around every call of a service; `make_span` is its name or a function of the request,
    /// see [`SpanLayer`].
    ///
    /// # Examples
    ///
    /// ```
    /// use towline::Towline;
    /// use tower::{Service, ServiceBuilder, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), std::io::Error> {
    /// let tracing = Towline::off();
    /// let mut cache = ServiceBuilder::new()
    ///     .layer(tracing.span_layer("users", "cache/Get"))
    ///     .service(service_fn(|key: u32| async move { Ok::<_, std::io::Error>(key + 1) }));
    /// assert_eq!(cache.call(1).await?, 2);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn span_layer<M>(
        &self,
        scope_name: impl Into<Cow<'static, str>>,
        make_span: M,
    ) -> SpanLayer<SdkTracer, M> {
        SpanLayer::new(self.spans(scope_name), make_span)
    }

    /// A tracer of the OpenTelemetry API.
    ///
    /// While tracing is off its spans are not recorded, but they do take the place of the caller's as the parent of what
    /// is below them; [`spans`](Self::spans) leaves the caller's context alone.
    #[must_use]
    pub fn tracer(&self, scope_name: impl Into<Cow<'static, str>>) -> SdkTracer {
        self.provider().tracer(scope_name)
    }

    /// The provider of every [`tracer`](Self::tracer), for other instrumentation.
    ///
    /// The spans of the layers and of [`spans`](Self::spans) go past it, straight to the exporter, unless
    /// [span processors](TowlineBuilder::with_span_processor) were added or it was brought along: they nest with its
    /// own, count in [`stats`](Self::stats) like them, and end with it when it is shut down.
    #[must_use]
    pub fn provider(&self) -> &SdkTracerProvider {
        &self.shared.parts.provider
    }

    /// The sampler of the provider.
    #[must_use]
    pub fn sampler(&self) -> &Sampler {
        &self.shared.parts.sampler
    }

    /// The switch, the sampling rate and the limit on what remote callers ask for, live: every layer obeys from the next
    /// request on. Each change is told by one INFO line, until [`shutdown`](Self::shutdown).
    ///
    /// Where tracing was off from the start there is no exporter to switch on.
    ///
    /// ```
    /// use towline::otlp::Discard;
    /// use towline::{Limit, Rate, Towline};
    ///
    /// let tracing = Towline::builder().with_transport(Discard::new()).build()?;
    /// let control = tracing.control();
    /// control.set_rate(Rate::per_million(10_000)?);
    /// control.set_remote_limit(Some(Limit::per_second(100)));
    /// control.set_enabled(false);
    /// assert!(!tracing.is_enabled());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn control(&self) -> &Control {
        self.sampler().control()
    }

    /// Which requests get no span, live: the set of all server layers that come from here, unless one is given a set of
    /// its own. None at first. Each change is told by one INFO line.
    ///
    /// ```
    /// use towline::{Filter, Towline};
    ///
    /// let tracing = Towline::off();
    /// tracing.filters().set([Filter::path("/healthz"), Filter::path_prefix("/metrics")]);
    /// assert_eq!(tracing.filters().get().len(), 2);
    /// ```
    #[must_use]
    pub fn filters(&self) -> &Filters {
        &self.shared.filters
    }

    /// Whether spans are recorded now.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.control().is_enabled()
    }

    /// Which headers carry the context.
    #[must_use]
    pub fn propagator(&self) -> Propagator {
        self.shared.parts.propagator.clone()
    }

    /// Makes the provider and the propagator OpenTelemetry's global ones, for instrumentation that looks there, in place
    /// of what was there before. The layers never do.
    ///
    /// Where tracing was off from the start only the propagator is installed, so that the API's no-op provider goes on
    /// passing contexts through.
    pub fn install_global(&self) {
        let parts = &self.shared.parts;
        opentelemetry::global::set_text_map_propagator(parts.propagator.clone());
        if parts.role != Role::Passing {
            opentelemetry::global::set_tracer_provider(parts.provider.clone());
        }
    }

    /// The exporter: to supply [what comes late](TowlineBuilder::with_late_transport), to ship what others have encoded,
    /// to count. None where nothing is exported from here: tracing is off, or the provider was brought along.
    #[must_use]
    pub fn exporter(&self) -> Option<&Exporter> {
        self.shared.parts.exporter.as_ref()
    }

    /// Where every span has gone so far. All zero where nothing is exported from here: tracing is off, or the provider
    /// was brought along.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.exporter().map_or_else(Stats::default, Exporter::stats)
    }

    /// Delivers every span that has ended, and waits at most until `deadline` from now.
    ///
    /// # Errors
    ///
    /// [`FlushError`] when the deadline passed first, when spans were lost, or after a shutdown.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up waiting, not delivering.
    pub async fn flush(&self, deadline: Duration) -> Result<(), FlushError> {
        match self.exporter() {
            Some(exporter) => exporter.flush(deadline).await,
            None => Ok(()),
        }
    }

    /// [`flush`](Self::flush) for programs without a runtime: blocks the thread.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    pub fn blocking_flush(&self, deadline: Duration) -> Result<(), FlushError> {
        match self.exporter() {
            Some(exporter) => exporter.blocking_flush(deadline),
            None => Ok(()),
        }
    }

    /// Ends tracing: delivers every span that has ended, at most until `deadline` from now, and says what became of them.
    ///
    /// From the first moment on the layers start no more spans and pass the caller's context through. Spans that end
    /// while it lasts are delivered if they can; those that end later are counted as dropped in
    /// [`stats`](Self::stats). It is safe on a current-thread runtime, may be called twice, and by several at a time.
    ///
    /// The OpenTelemetry provider is not shut down, nor are span processors that were added; and a provider that was
    /// brought along goes on as before.
    ///
    /// # Errors
    ///
    /// [`ShutdownError`] when spans were lost; it says how many. Tracing has ended all the same.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up waiting, not ending.
    pub async fn shutdown(&self, deadline: Duration) -> Result<Stats, ShutdownError> {
        self.stop_recording();
        match self.exporter() {
            Some(exporter) => Ok(exporter.shutdown(deadline).await?.stats),
            None => Ok(Stats::default()),
        }
    }

    /// [`shutdown`](Self::shutdown) for programs without a runtime: blocks the thread.
    ///
    /// # Errors
    ///
    /// As [`shutdown`](Self::shutdown).
    pub fn blocking_shutdown(&self, deadline: Duration) -> Result<Stats, ShutdownError> {
        self.stop_recording();
        match self.exporter() {
            Some(exporter) => Ok(exporter.blocking_shutdown(deadline)?.stats),
            None => Ok(Stats::default()),
        }
    }

    /// Puts a changed configuration in force, as far as that can be done while the program runs: `enabled`,
    /// `sampling_rate_per_million` and `attribute_value_length_limit`. What else says something new is reported, and waits
    /// for the next start. What code and the environment say keeps its place over and under the configuration.
    ///
    /// One INFO line tells what has changed; the same configuration again says nothing. A change by
    /// [`control`](Self::control) stays until the configuration says something else about it than before.
    ///
    /// # Examples
    ///
    /// ```
    /// use towline::otlp::Discard;
    /// use towline::{Config, Rate, Towline};
    ///
    /// let tracing = Towline::builder().with_transport(Discard::new()).build()?;
    /// let config = Config::new().with_sampling_rate(Rate::ALWAYS).with_service_name("users");
    /// let reload = tracing.reload(&config)?;
    /// assert_eq!(tracing.control().rate(), Rate::ALWAYS);
    /// assert_eq!(reload.changed()[0].key(), "sampling_rate_per_million");
    /// assert_eq!(reload.needs_restart()[0].key(), "service_name");
    /// # Ok::<(), towline::StartError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StartError`] when the exporter URL cannot be used; nothing is changed then.
    pub fn reload(&self, config: &Config) -> Result<Reload, StartError> {
        if let Some(said) = &config.settings.exporter_url
            && let Err(error) = &said.value
        {
            return Err(StartError::new(Problem::of(
                StartErrorKind::Exporter,
                &said.origin,
                format!(": {error}"),
            )));
        }
        let shared = &self.shared;
        let mut basis = shared.basis.lock().unwrap_or_else(PoisonError::into_inner);
        let has_ended = shared.has_ended.load(Ordering::Relaxed);
        let role = shared.parts.role;
        let reload = || basis.reload(config, role, self.control(), self.filters(), has_ended);
        let reload = shared.teller.silently(reload);
        if let Some(exporter) = &shared.parts.exporter {
            exporter.set_attribute_value_length_limit(limits::value_chars(basis.settings()));
        }
        Ok(reload)
    }

    /// [`reload`](Self::reload) of a file, such as the one that tracing was started from.
    ///
    /// # Errors
    ///
    /// [`StartError`] with everything that is wrong with the file; nothing is changed then.
    #[cfg(feature = "yaml")]
    #[cfg_attr(docsrs, doc(cfg(feature = "yaml")))]
    pub fn reload_from_file(&self, path: impl AsRef<Path>) -> Result<Reload, StartError> {
        self.reload(&Config::from_file(path)?)
    }

    /// Whether tracing would start from a file, and what is wrong if not: see [`TowlineBuilder::check`].
    #[cfg(feature = "yaml")]
    #[cfg_attr(docsrs, doc(cfg(feature = "yaml")))]
    pub fn check_file(path: impl AsRef<Path>) -> crate::CheckReport {
        Self::builder().with_config_file(path).check()
    }

    #[cfg(feature = "grpc-layers")]
    pub(crate) fn layer_options(&self) -> &LayerOptions {
        &self.shared.layers
    }

    fn stop_recording(&self) {
        self.shared.teller.end();
        self.shared.has_ended.store(true, Ordering::Relaxed);
        if self.shared.parts.role != Role::Guest {
            self.control().set_enabled(false);
        }
    }

    pub(crate) fn spans_of(&self, scope: InstrumentationScope) -> Spans<SdkTracer> {
        self.shared.parts.spans(scope)
    }
}

// === impl Parts ===

impl Parts {
    fn spans(&self, scope: InstrumentationScope) -> Spans<SdkTracer> {
        let spans = Spans::new(self.provider.tracer_with_scope(scope.clone()))
            .with_sampler(self.sampler.clone())
            .with_random_trace_ids(self.random_trace_ids);
        match (&self.exporter, self.recorder_limits) {
            (Some(exporter), Some(limits)) => {
                let recorder = exporter.recorder(scope, limits);
                spans.with_recorder(Arc::new(recorder.with_provider(self.provider.clone())))
            }
            _ => spans,
        }
    }
}

impl fmt::Debug for Towline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Towline")
            .field("sampler", self.sampler())
            .field("role", &self.shared.parts.role)
            .field("exporter", &self.exporter())
            .field("propagator", &self.shared.parts.propagator)
            .field("filters", &self.shared.filters)
            .finish_non_exhaustive()
    }
}

/// The layer of [`Towline::http_server`].
pub type HttpServerLayer = server::TraceLayer<SdkTracer>;

/// The layer of [`Towline::http_client`].
pub type HttpClientLayer = client::TraceLayer<SdkTracer>;
