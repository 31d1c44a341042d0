use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use tokio::sync::{mpsc, watch};
use tower_service::Service;

use super::build_error::{BuildError, BuildErrorKind};
use super::handle::{Core, Exporter};
use super::health::Health;
use super::late::Late;
use super::processor::Processor;
use super::quiet::Voice;
use super::route::{Policies, Route};
use super::service::Traffic;
use super::thread::{self, ConfigureRuntime, ResourceSlot};
use super::worker::{Parts, Worker};
use crate::buffer::{Buffer, Limits};
use crate::policy::Backoff;
use crate::{Batch, BoxTransport, ClientOptions, Endpoint, ExportError, Receipt, TransportError};

/// The configuration of an [`Exporter`].
///
/// | option | default | from |
/// |---|---|---|
/// | [`url`](Self::url), [`endpoint`](Self::endpoint), [`transport`](Self::transport) or [`late_transport`](Self::late_transport) | none: must be given | |
/// | [`client`](Self::client) | see [`ClientOptions`] | |
/// | [`resource`](Self::resource) | the provider's | |
/// | [`late_resource_attributes`](Self::late_resource_attributes) | none | |
/// | [`buffer_bytes`](Self::buffer_bytes) | 16 MiB | about 30,000 spans of 500 bytes; the SDK keeps 2,048 spans of any size |
/// | [`buffer_spans`](Self::buffer_spans) | no limit | `OTEL_BSP_MAX_QUEUE_SIZE` |
/// | [`batch_bytes`](Self::batch_bytes) | 512 KiB | far below the 4 MiB that gRPC servers take by default |
/// | [`batch_spans`](Self::batch_spans) | no limit | `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` |
/// | [`max_message_bytes`](Self::max_message_bytes) | learned from refusals; for gRPC 4 MiB is assumed | what servers for gRPC take by default |
/// | [`service_bytes`](Self::service_bytes) | 64 MiB | the largest request that is commonly taken |
/// | [`flush_interval`](Self::flush_interval) | 5 s | `OTEL_BSP_SCHEDULE_DELAY` |
/// | [`attempt_timeout`](Self::attempt_timeout) | 10 s | `OTEL_EXPORTER_OTLP_TIMEOUT` |
/// | [`backoff`](Self::backoff) | see [`Backoff`] | the Collector's, with 60 s in all |
/// | [`concurrency`](Self::concurrency) | 1 | `OTEL_BSP_MAX_CONCURRENT_EXPORTS` |
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use towline_otlp::{Discard, Exporter};
///
/// let (processor, exporter) = Exporter::builder()
///     .transport(Discard::new())
///     .buffer_bytes(4 * 1024 * 1024)
///     .flush_interval(Duration::from_secs(1))
///     .build()?;
/// assert_eq!(exporter.stats().ended, 0);
/// # drop(processor);
/// # Ok::<(), towline_otlp::BuildError>(())
/// ```
#[must_use]
pub struct ExporterBuilder {
    transport: Option<Choice>,
    client: Option<ClientOptions>,
    resource: Option<Resource>,
    late_resource: bool,
    limits: Limits,
    max_message_bytes: Option<usize>,
    service_bytes: usize,
    flush_interval: Duration,
    attempt_timeout: Duration,
    backoff: Backoff,
    configure_runtime: Option<ConfigureRuntime>,
}

enum Choice {
    Url(String),
    Endpoint(Endpoint),
    Ready(BoxTransport),
    Late,
}

// === impl ExporterBuilder ===

impl ExporterBuilder {
    pub(super) const fn new() -> Self {
        Self {
            transport: None,
            client: None,
            resource: None,
            late_resource: false,
            limits: Limits {
                buffer_bytes: 16 * 1024 * 1024,
                buffer_spans: usize::MAX,
                batch_bytes: 512 * 1024,
                batch_spans: usize::MAX,
                concurrency: 1,
            },
            max_message_bytes: None,
            service_bytes: 64 * 1024 * 1024,
            flush_interval: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(10),
            backoff: Backoff::new(),
            configure_runtime: None,
        }
    }

    /// Where spans go, as text: see [`Endpoint`]. It is read when the exporter is built.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.transport = Some(Choice::Url(url.into()));
        self
    }

    /// Where spans go.
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.transport = Some(Choice::Endpoint(endpoint));
        self
    }

    /// How the client for the [`url`](Self::url) or [`endpoint`](Self::endpoint) connects, and what
    /// it sends along: TLS, headers, compression.
    ///
    /// A transport that is given ready has its own: both at once is an error.
    pub fn client(mut self, options: ClientOptions) -> Self {
        self.client = Some(options);
        self
    }

    /// What ships the spans: one of this crate's transports, or your own service.
    ///
    /// Timeout and retry are put around it. It runs on the export thread, whose runtime is Tokio's,
    /// with time and (where Tokio was built with it) I/O; it must not block there.
    pub fn transport<S>(mut self, transport: S) -> Self
    where
        S: Service<Batch, Response = Receipt, Error = ExportError> + Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        self.transport = Some(Choice::Ready(BoxTransport::new(transport)));
        self
    }

    /// Where spans go is said later, once, by [`Exporter::set_url`] or [`Exporter::set_transport`]:
    /// when the program knows it, or has the connection to forward them through.
    ///
    /// What ends before is kept in the buffer. If that gets full then, and only then, the oldest
    /// spans make room, whole blocks of them, and are counted as
    /// [`buffer_full`](super::Dropped::buffer_full): the newest say more about why the program does
    /// not get on. A flush waits until the transport is there; a shutdown does not, and says what
    /// was lost.
    pub fn late_transport(mut self) -> Self {
        self.transport = Some(Choice::Late);
        self
    }

    /// Attributes of the resource are supplied later, once, by
    /// [`Exporter::set_resource_attributes`]. No span goes before; what ends until then is kept as
    /// with [`late_transport`](Self::late_transport).
    pub const fn late_resource_attributes(mut self) -> Self {
        self.late_resource = true;
        self
    }

    /// What produced the spans. Default: the resource of the provider that the processor is given
    /// to.
    pub fn resource(mut self, resource: Resource) -> Self {
        self.resource = Some(resource);
        self
    }

    /// The memory, in bytes, that spans may take until they are exported: those that wait, those on
    /// their way, and what is kept ready for the next ones. Default: 16 MiB.
    ///
    /// A transport's own needs come on top: about one batch, several for files.
    pub const fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.limits.buffer_bytes = bytes;
        self
    }

    /// How many spans may wait or be on their way at a time, whatever their size. Default: no
    /// limit but [`buffer_bytes`](Self::buffer_bytes).
    pub const fn buffer_spans(mut self, spans: usize) -> Self {
        self.limits.buffer_spans = spans;
        self
    }

    /// The largest batch in spans, and how many wait until one is sent before its time. Default:
    /// no limit but [`batch_bytes`](Self::batch_bytes).
    pub const fn batch_spans(mut self, spans: usize) -> Self {
        self.limits.batch_spans = spans;
        self
    }

    /// The largest message that the backend takes, in bytes before compression: batches above it
    /// are split, down to a single span; a single larger span is dropped and counted as
    /// [`too_large`](super::Dropped::too_large).
    ///
    /// Default: learned, see [`SplitLayer`](crate::policy::SplitLayer). A batch that the backend
    /// refuses for its size is sent again in halves, and the next ones are split at once. For gRPC
    /// 4 MiB is assumed from the start, without giving up single spans that are larger.
    pub const fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = Some(bytes);
        self
    }

    /// How many bytes batches of others may take that are on their way at a time: see
    /// [`Exporter::service`]. One batch always may. Default: 64 MiB.
    pub const fn service_bytes(mut self, bytes: usize) -> Self {
        self.service_bytes = bytes;
        self
    }

    /// The largest batch, in encoded bytes. Default: 512 KiB.
    ///
    /// One is sent before its time once half of that waits: what comes while it is on its way goes into the next one,
    /// which is the larger the longer the backend takes. A single larger span is sent alone.
    pub const fn batch_bytes(mut self, bytes: usize) -> Self {
        self.limits.batch_bytes = bytes;
        self
    }

    /// The longest that a span waits until it is sent, while the backend keeps up. Default: 5 s.
    pub const fn flush_interval(mut self, interval: Duration) -> Self {
        self.flush_interval = interval;
        self
    }

    /// How long one attempt to send a batch may take, connecting included. Default: 10 s.
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// When a batch that failed is sent again, and when it is given up.
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How many batches may be on their way at a time. Default: 1.
    ///
    /// More are of use when the way is long: at 512 KiB a batch and 100 ms there and back, one at a
    /// time makes 5 MB/s. The order in which a backend gets them is then open.
    pub const fn concurrency(mut self, batches: usize) -> Self {
        self.limits.concurrency = batches;
        self
    }

    /// Changes the Tokio runtime of the export thread before it is made: a current-thread runtime.
    /// Thread hooks and drivers are set after it.
    ///
    /// It is there for tests. With `builder.start_paused(true)` (Tokio's feature `test-util`) every
    /// wait of the exporter, be it a timeout, a backoff or the flush interval, is over as soon as
    /// nothing else is left to do, so that hours of an outage pass at once; what a transport in
    /// memory reads from [`tokio::time::Instant`] is that time. Never pause over sockets: the clock
    /// would run ahead of the network.
    pub fn configure_runtime(
        mut self,
        configure: impl FnOnce(&mut tokio::runtime::Builder) + Send + 'static,
    ) -> Self {
        self.configure_runtime = Some(Box::new(configure));
        self
    }

    /// Starts the exporter: the processor is for the SDK's provider, the handle for the program.
    ///
    /// Nothing is connected yet. Only files are looked at: a directory that cannot be written to and
    /// a certificate that cannot be used are errors here.
    ///
    /// # Errors
    ///
    /// [`BuildError`], which names the option, its value and what was expected.
    pub fn build(self) -> Result<(Processor, Exporter), BuildError> {
        self.check_options()?;
        let client = self.client.unwrap_or_default();
        let route = match self.transport {
            None => return Err(no_transport()),
            Some(Choice::Late) => None,
            Some(Choice::Ready(transport)) => Some(Route::new(transport)),
            Some(Choice::Endpoint(endpoint)) => Some(connect(&endpoint, &client)?),
            Some(Choice::Url(url)) => Some(connect(&parsed(&url)?, &client)?),
        };
        #[cfg(feature = "metrics")]
        let component = route.as_ref().map_or(Route::COMPONENT, Route::component);
        let late = Late::new(self.late_resource, route.is_none());
        let buffer = Arc::new(Buffer::new(
            self.limits,
            self.late_resource || route.is_none(),
        ));
        let health = Arc::new(Health::new(Voice::capture()));
        let resource = Arc::new(ResourceSlot::new(self.resource.as_ref()));
        let traffic = Arc::new(Traffic::default());
        let outcome = Arc::new(OnceLock::new());
        let (commands, inbox) = mpsc::unbounded_channel();
        let (closing, closing_seen) = watch::channel(None);
        let worker = Worker::new(Parts {
            buffer: Arc::clone(&buffer),
            resource: Arc::clone(&resource),
            policies: Policies {
                attempt_timeout: self.attempt_timeout,
                backoff: self.backoff,
                max_bytes: self.max_message_bytes,
                health: Arc::clone(&health),
                closing: closing_seen,
            },
            route,
            awaits_resource: self.late_resource,
            commands: inbox,
            closing,
            flush_interval: self.flush_interval,
            traffic: Arc::clone(&traffic),
        });
        thread::spawn(worker, Arc::clone(&outcome), self.configure_runtime).map_err(|error| {
            BuildError::new(
                BuildErrorKind::Thread,
                "the thread that exports spans cannot be started",
            )
            .with_source(error)
        })?;
        let core = Arc::new(Core {
            buffer,
            health,
            outcome,
            commands,
            resource,
            value_chars: AtomicUsize::new(usize::MAX),
            provider_has_ended: AtomicBool::new(false),
            late,
            traffic,
            service_bytes: self.service_bytes,
            client,
            #[cfg(feature = "metrics")]
            component,
        });
        Ok((Processor::new(Arc::clone(&core)), Exporter::new(core)))
    }

    /// Finds what [`build`](Self::build) would refuse, without starting or making anything.
    /// Certificates are read; into a directory of `file://`, or the one above it, a file is written
    /// and removed again.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), of which only the thread is left out.
    pub fn check(&self) -> Result<(), BuildError> {
        self.check_options()?;
        let client = self.client.clone().unwrap_or_default();
        match &self.transport {
            None => Err(no_transport()),
            Some(Choice::Late | Choice::Ready(_)) => Ok(()),
            Some(Choice::Endpoint(endpoint)) => check_endpoint(endpoint, &client),
            Some(Choice::Url(url)) => check_endpoint(&parsed(url)?, &client),
        }
    }

    fn check_options(&self) -> Result<(), BuildError> {
        let Limits {
            buffer_bytes,
            buffer_spans,
            batch_bytes,
            batch_spans,
            concurrency,
        } = self.limits;
        let wrong = if self.client.is_some() && matches!(self.transport, Some(Choice::Ready(_))) {
            Some(("client", "client options stand beside a transport, which has its own: expected them with an exporter url or an endpoint".to_owned()))
        } else if concurrency == 0 {
            Some((
                "concurrency",
                "concurrency is 0: expected at least 1".to_owned(),
            ))
        } else if batch_bytes < MIN_BATCH_BYTES {
            Some((
                "batch_bytes",
                format!("batch_bytes is {batch_bytes}: expected at least {MIN_BATCH_BYTES}"),
            ))
        } else if batch_bytes.saturating_mul(concurrency) > buffer_bytes / 2 {
            Some((
                "buffer_bytes",
                format!(
                    "buffer_bytes is {buffer_bytes}: expected at least twice the {concurrency} batches of {batch_bytes} bytes \
                     that can be on their way"
                ),
            ))
        } else if batch_spans == 0 {
            Some((
                "batch_spans",
                "batch_spans is 0: expected at least 1".to_owned(),
            ))
        } else if batch_spans > buffer_spans && batch_spans != usize::MAX {
            Some((
                "buffer_spans",
                format!(
                    "buffer_spans is {buffer_spans}: expected at least the {batch_spans} of a batch"
                ),
            ))
        } else if buffer_spans == 0 {
            Some((
                "buffer_spans",
                "buffer_spans is 0: expected at least 1".to_owned(),
            ))
        } else if let Some(bytes) = self
            .max_message_bytes
            .filter(|bytes| *bytes < MIN_BATCH_BYTES)
        {
            Some((
                "max_message_bytes",
                format!("max_message_bytes is {bytes}: expected at least {MIN_BATCH_BYTES}"),
            ))
        } else if self.flush_interval.is_zero() {
            Some((
                "flush_interval",
                "flush_interval is 0: expected some time".to_owned(),
            ))
        } else if self.attempt_timeout.is_zero() {
            Some((
                "attempt_timeout",
                "attempt_timeout is 0: expected some time".to_owned(),
            ))
        } else {
            None
        };
        match wrong {
            Some((option, message)) => {
                Err(BuildError::new(BuildErrorKind::Option, message).with_option(option))
            }
            None => Ok(()),
        }
    }
}

fn no_transport() -> BuildError {
    BuildError::new(
        BuildErrorKind::NoTransport,
        "no transport for spans: expected an exporter url, an endpoint or a transport",
    )
}

fn parsed(url: &str) -> Result<Endpoint, BuildError> {
    Endpoint::parse(url).map_err(|error| {
        BuildError::new(BuildErrorKind::Endpoint, "the exporter url cannot be read")
            .with_source(error)
    })
}

fn connect(endpoint: &Endpoint, client: &ClientOptions) -> Result<Route, BuildError> {
    Route::connect(endpoint, client).map_err(|error| no_way(endpoint, error))
}

fn check_endpoint(endpoint: &Endpoint, client: &ClientOptions) -> Result<(), BuildError> {
    BoxTransport::check(endpoint, client).map_err(|error| no_way(endpoint, error))
}

fn no_way(endpoint: &Endpoint, error: TransportError) -> BuildError {
    BuildError::new(
        BuildErrorKind::Transport,
        format!("spans cannot be sent to {endpoint}"),
    )
    .with_source(error)
}

// === impl Choice ===

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // It has not been read, and may hold a password.
            Self::Url(_) => f.write_str("Url"),
            Self::Endpoint(endpoint) => write!(f, "Endpoint({endpoint})"),
            Self::Ready(transport) => transport.fmt(f),
            Self::Late => f.write_str("Late"),
        }
    }
}

impl fmt::Debug for ExporterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExporterBuilder")
            .field("transport", &self.transport)
            .field("client", &self.client)
            .field("resource", &self.resource)
            .field("late_resource", &self.late_resource)
            .field("limits", &self.limits)
            .field("max_message_bytes", &self.max_message_bytes)
            .field("service_bytes", &self.service_bytes)
            .field("flush_interval", &self.flush_interval)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}

/// Below that nearly every span would be a batch.
const MIN_BATCH_BYTES: usize = 1024;
