use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use tokio::sync::{mpsc, watch};
use tower_service::Service;

use super::handle::{Core, Exporter};
use super::health::Health;
use super::processor::Processor;
use super::quiet::Voice;
use super::thread::{self, ResourceSlot};
use super::worker::Worker;
use crate::buffer::{Buffer, Limits};
use crate::policy::Backoff;
use crate::{Batch, BoxTransport, Endpoint, ExportError, Receipt};

/// The configuration of an [`Exporter`].
///
/// | option | default | from |
/// |---|---|---|
/// | [`url`](Self::url), [`endpoint`](Self::endpoint) or [`transport`](Self::transport) | none: must be given | |
/// | [`resource`](Self::resource) | the provider's | |
/// | [`buffer_bytes`](Self::buffer_bytes) | 16 MiB | about 30,000 spans of 500 bytes; the SDK keeps 2,048 spans of any size |
/// | [`batch_bytes`](Self::batch_bytes) | 512 KiB | far below the 4 MiB that gRPC servers take by default |
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
#[derive(Debug)]
#[must_use]
pub struct ExporterBuilder {
    transport: Option<Choice>,
    resource: Option<Resource>,
    limits: Limits,
    flush_interval: Duration,
    attempt_timeout: Duration,
    backoff: Backoff,
}

/// Why an exporter cannot be built.
#[derive(Debug)]
pub struct BuildError {
    kind: BuildErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The cases of [`BuildError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BuildErrorKind {
    /// Nobody said where spans go.
    NoTransport,
    /// The exporter URL cannot be read; the source is an [`EndpointError`](crate::EndpointError).
    Endpoint,
    /// The transport for the URL cannot be had; the source is a
    /// [`TransportError`](crate::TransportError).
    Transport,
    /// An option has a value that makes no sense, alone or with another.
    Option,
    /// The export thread cannot be started; the source is an [`std::io::Error`].
    Thread,
}

enum Choice {
    Url(String),
    Endpoint(Endpoint),
    Ready(BoxTransport),
}

// === impl ExporterBuilder ===

impl ExporterBuilder {
    pub(super) const fn new() -> Self {
        Self {
            transport: None,
            resource: None,
            limits: Limits {
                buffer_bytes: 16 * 1024 * 1024,
                batch_bytes: 512 * 1024,
                concurrency: 1,
            },
            flush_interval: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(10),
            backoff: Backoff::new(),
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

    /// The largest batch, in encoded bytes, and how many wait until one is sent before its time.
    /// Default: 512 KiB.
    ///
    /// A single larger span is sent alone.
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

    /// Starts the exporter: the processor is for the SDK's provider, the handle for the program.
    ///
    /// Nothing is connected yet. Only files are looked at: a directory that cannot be written to is
    /// an error here.
    ///
    /// # Errors
    ///
    /// [`BuildError`], which names the option, its value and what was expected.
    pub fn build(self) -> Result<(Processor, Exporter), BuildError> {
        self.check()?;
        let transport = match self.transport {
            None => {
                return Err(BuildError {
                    kind: BuildErrorKind::NoTransport,
                    message: "no transport for spans: expected an exporter url, an endpoint or a transport".to_owned(),
                    source: None,
                });
            }
            Some(Choice::Ready(transport)) => transport,
            Some(Choice::Endpoint(endpoint)) => connect(&endpoint)?,
            Some(Choice::Url(url)) => {
                connect(&Endpoint::parse(&url).map_err(|error| BuildError {
                    kind: BuildErrorKind::Endpoint,
                    message: "the exporter url cannot be read".to_owned(),
                    source: Some(error.into()),
                })?)?
            }
        };
        let buffer = Arc::new(Buffer::new(self.limits));
        let health = Arc::new(Health::new(Voice::capture()));
        let resource = Arc::new(ResourceSlot::new(self.resource.as_ref()));
        let outcome = Arc::new(OnceLock::new());
        let (commands, inbox) = mpsc::unbounded_channel();
        let (closing, closing_seen) = watch::channel(None);
        let stack = super::worker::stack(
            transport,
            self.attempt_timeout,
            self.backoff,
            &health,
            closing_seen,
        );
        let worker = Worker::new(
            Arc::clone(&buffer),
            Arc::clone(&resource),
            stack,
            Arc::clone(&health),
            inbox,
            closing,
            self.flush_interval,
        );
        thread::spawn(worker, Arc::clone(&outcome)).map_err(|error| BuildError {
            kind: BuildErrorKind::Thread,
            message: "the thread that exports spans cannot be started".to_owned(),
            source: Some(error.into()),
        })?;
        let core = Arc::new(Core {
            buffer,
            health,
            outcome,
            commands,
        });
        Ok((
            Processor::new(Arc::clone(&core), resource),
            Exporter::new(core),
        ))
    }

    fn check(&self) -> Result<(), BuildError> {
        let Limits {
            buffer_bytes,
            batch_bytes,
            concurrency,
        } = self.limits;
        let wrong = if concurrency == 0 {
            Some("concurrency is 0: expected at least 1".to_owned())
        } else if batch_bytes < MIN_BATCH_BYTES {
            Some(format!(
                "batch_bytes is {batch_bytes}: expected at least {MIN_BATCH_BYTES}"
            ))
        } else if batch_bytes.saturating_mul(concurrency) > buffer_bytes / 2 {
            Some(format!(
                "buffer_bytes is {buffer_bytes}: expected at least twice the {concurrency} batches of {batch_bytes} bytes \
                 that can be on their way"
            ))
        } else if self.flush_interval.is_zero() {
            Some("flush_interval is 0: expected some time".to_owned())
        } else if self.attempt_timeout.is_zero() {
            Some("attempt_timeout is 0: expected some time".to_owned())
        } else {
            None
        };
        match wrong {
            Some(message) => Err(BuildError {
                kind: BuildErrorKind::Option,
                message,
                source: None,
            }),
            None => Ok(()),
        }
    }
}

fn connect(endpoint: &Endpoint) -> Result<BoxTransport, BuildError> {
    BoxTransport::connect(endpoint).map_err(|error| BuildError {
        kind: BuildErrorKind::Transport,
        message: format!("spans cannot be sent to {endpoint}"),
        source: Some(error.into()),
    })
}

// === impl Choice ===

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // It has not been read, and may hold a password.
            Self::Url(_) => f.write_str("Url"),
            Self::Endpoint(endpoint) => write!(f, "Endpoint({endpoint})"),
            Self::Ready(transport) => transport.fmt(f),
        }
    }
}

// === impl BuildError ===

impl BuildError {
    /// Which case it is.
    #[must_use]
    pub const fn kind(&self) -> BuildErrorKind {
        self.kind
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

/// Below that nearly every span would be a batch.
const MIN_BATCH_BYTES: usize = 1024;
