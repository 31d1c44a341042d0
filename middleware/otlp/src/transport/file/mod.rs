mod disk;
mod files;
mod json;

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tower_service::Service;

use self::files::Files;
use super::{TransportError, TransportErrorKind};
use crate::{Batch, Endpoint, ExportError, ExportErrorKind, FileFormat, Receipt};

/// OTLP JSON lines in rotating files.
///
/// - Each batch is one line: an `ExportTraceServiceRequest` in [OTLP's JSON], as the OpenTelemetry
///   Collector's file receivers read it. Lines are always whole: a write that fails is taken back,
///   and a last line that a crash cut short is removed when the directory is opened again.
/// - Files are named `<nanoseconds since 1970>-<random>.jsonl`, so that they sort by age. The next
///   one is begun when a line would go over the limit; a line that is larger alone gets a file of
///   its own.
/// - A new process goes on with the latest file that no other process holds. Locks keep several
///   apart.
/// - Directories are made with mode 0700, files with 0600: traces are not for everyone. A directory
///   that vanishes is made anew.
/// - Nothing is synced: what was written survives the process, not the power.
///
/// It writes on Tokio's threads for blocking work, so it must be called within a Tokio runtime,
/// which the export thread is. A batch that is retried because the disk was slower than the
/// attempt's time may then be there twice.
///
/// # Examples
///
/// ```
/// use opentelemetry::trace::{Tracer, TracerProvider};
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use std::time::Duration;
/// use towline_otlp::{Exporter, File};
///
/// let directory = tempfile::tempdir()?;
/// let file = File::new(directory.path())?;
/// let (processor, exporter) = Exporter::builder().transport(file).build()?;
/// let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
/// provider.tracer("docs").in_span("one", |_| {});
/// exporter.blocking_shutdown(Duration::from_secs(5))?;
///
/// let file = std::fs::read_dir(directory.path())?.next().expect("a file")?;
/// let line = std::fs::read_to_string(file.path())?;
/// assert!(line.starts_with(r#"{"resourceSpans":["#) && line.contains(r#""name":"one""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [OTLP's JSON]: https://github.com/open-telemetry/opentelemetry-proto/blob/v1.10.0/docs/specification.md#json-protobuf-encoding
#[derive(Clone, Debug)]
pub struct File {
    directory: Arc<Path>,
    files: Arc<Mutex<Files>>,
}

/// The future of [`File`].
pub type FileFuture = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

// === impl File ===

impl File {
    /// A transport into a directory, which is made if it is not there. The limit of a file is
    /// 104,857,600 bytes, which is Teleport's.
    ///
    /// # Errors
    ///
    /// [`TransportError`] when the directory cannot be made or written to.
    pub fn new(directory: impl Into<PathBuf>) -> Result<Self, TransportError> {
        Self::with_limit(directory, crate::endpoint::DEFAULT_LIMIT_BYTES)
    }

    /// A transport into a directory with another limit of a file, in bytes.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_limit(
        directory: impl Into<PathBuf>,
        limit_bytes: u64,
    ) -> Result<Self, TransportError> {
        let directory = directory.into();
        let files = Files::open(directory.clone(), limit_bytes).map_err(|error| {
            let message = format!(
                "{} cannot be used for files of spans: expected a directory to write to",
                directory.display()
            );
            TransportError::new(TransportErrorKind::Io, message).with_source(error)
        })?;
        Ok(Self {
            directory: directory.into(),
            files: Arc::new(Mutex::new(files)),
        })
    }

    /// A transport to an endpoint with the scheme `file`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and for any other scheme.
    pub fn connect(endpoint: &Endpoint) -> Result<Self, TransportError> {
        match (
            endpoint.directory(),
            endpoint.limit_bytes(),
            endpoint.file_format(),
        ) {
            (Some(directory), Some(limit_bytes), Some(FileFormat::Json)) => {
                Self::with_limit(directory, limit_bytes)
            }
            _ => Err(TransportError::new(
                TransportErrorKind::Scheme,
                format!("{endpoint} is not for files: expected file://"),
            )),
        }
    }

    /// Where the files are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Service<Batch> for File {
    type Response = Receipt;
    type Error = ExportError;
    type Future = FileFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        let files = Arc::clone(&self.files);
        let directory = Arc::clone(&self.directory);
        Box::pin(async move {
            // Gone once nobody waits for the line any more.
            let waiting = Arc::new(());
            let wanted = Arc::downgrade(&waiting);
            let written = tokio::task::spawn_blocking(move || {
                let line = line(&batch)?;
                let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
                if wanted.strong_count() == 0 {
                    return Err(ExportError::new(
                        ExportErrorKind::Timeout,
                        "the batch was given up",
                    ));
                }
                files.write(&line).map_err(|error| {
                    let message = format!("spans cannot be written into {}", directory.display());
                    ExportError::new(ExportErrorKind::Io, message).with_source(error)
                })
            })
            .await;
            drop(waiting);
            match written {
                Ok(written) => written.map(|()| Receipt::accepted()),
                Err(error) => Err(ExportError::new(
                    ExportErrorKind::Other,
                    "the thread that writes files ended",
                )
                .with_source(error)),
            }
        })
    }
}

fn line(batch: &Batch) -> Result<Vec<u8>, ExportError> {
    let invalid = || {
        ExportError::new(
            ExportErrorKind::InvalidBatch,
            "the batch is not an OTLP trace request",
        )
    };
    let request = ExportTraceServiceRequest::decode(batch.bytes().clone())
        .map_err(|error| invalid().with_source(error))?;
    // JSON takes about three times the bytes.
    let mut line = Vec::with_capacity(3 * batch.len_bytes());
    json::write(&mut line, &request).map_err(|error| invalid().with_source(error))?;
    line.push(b'\n');
    Ok(line)
}
