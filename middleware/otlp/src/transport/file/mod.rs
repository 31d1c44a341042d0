mod builder;
mod check;
mod disk;
mod files;
mod json;
mod mend;
mod name;
mod pending;
mod record;

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tower_service::Service;

pub use self::builder::FileBuilder;
use self::files::Files;
use self::pending::{Pending, Writer};
use self::record::Records;
use super::{TransportError, TransportErrorKind};
use crate::endpoint::FileOptions;
use crate::{Batch, Endpoint, ExportError, ExportErrorKind, FileFormat, Receipt};

/// Rotating files in a directory of this machine.
///
/// | [`FileFormat`] | a record | extension | a new process |
/// |---|---|---|---|
/// | `Json` | a batch in [OTLP's JSON], on a line | `.jsonl`, as [OTLP's files] prefer | goes on with the latest file |
/// | `Teleport` | the spans of one resource in protobuf's JSON, on a line | `.trace` | begins a file |
/// | `Proto` | a batch in protobuf, behind its length in 4 bytes, big-endian | `.pb` | goes on with the latest file |
///
/// - `Json` and `Proto` are what the OpenTelemetry Collector's file exporter writes for
///   `format: json` and `format: proto`, without compression. It has no extension for the latter:
///   there, each file is named by hand.
/// - `Teleport` is what a Teleport process writes for `file://`, value by value: base64 ids, names
///   of enums, its rule for when a file is full, and a file that is there from the start, empty.
///
/// Whatever the format:
///
/// - **Records are whole, and so are batches.** A write that fails is taken back, in all files that
///   the batch went to, and the error is retryable. What a crash has cut short is removed when the
///   directory is opened again, from the latest 100 files, if no process holds them; a file in
///   which the format cannot be recognised is left as it is. After a crash in the middle of a batch
///   of several records, which only `Teleport` has, the first of them may be there without the
///   others.
/// - **Names** are `<nanoseconds since 1970>-<16 hex digits>.<extension>`, and sort by age.
/// - **Limits**: the next file is begun when a record would go over
///   [`limit_bytes`](FileBuilder::limit_bytes), or when the system lets a file grow no further.
///   Files are never removed, unless [`max_files`](FileBuilder::max_files) or
///   [`max_age`](FileBuilder::max_age) says so, and then only files with such names, in any of the
///   formats, that no process holds.
/// - **Locks** keep several processes apart, each with a file of its own. Files of a Teleport
///   process in the same directory, which takes no locks, are never touched: their names are
///   shorter.
/// - **Directories** are made with mode 0700, files with 0600: traces are not for everyone. A
///   directory that vanishes is made anew, and a file that somebody else has removed, cut or
///   written to is not gone on with.
/// - Nothing is synced: what was written survives the process, not the power.
///
/// It writes on Tokio's threads for blocking work, so it must be called within a Tokio runtime,
/// which the export thread is.
///
/// # Cancel safety
///
/// A call that is dropped before its batch's turn has come writes nothing. Later it cannot be
/// called back; a call with the same batch (a clone, as a retry makes it) then waits for the write
/// that is under way, so that a slow disk and an impatient timeout do not write a batch twice. The
/// results of up to 8 such batches are kept until somebody comes for them.
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
/// [OTLP's files]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/protocol/file-exporter.md#json-lines-file
#[derive(Clone, Debug)]
pub struct File {
    shared: Arc<Shared>,
}

/// The future of [`File`].
pub type FileFuture = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

/// What clones of a transport have in common.
#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    format: FileFormat,
    files: Mutex<Files>,
    pending: Arc<Pending>,
}

// === impl File ===

impl File {
    /// A transport into a directory, which is made if it is not there, with every option at its
    /// default: OTLP JSON lines in files of at most 104,857,600 bytes.
    ///
    /// # Errors
    ///
    /// As [`FileBuilder::build`].
    pub fn new(directory: impl Into<PathBuf>) -> Result<Self, TransportError> {
        Self::builder(directory).build()
    }

    /// Begins a configuration of a transport into a directory.
    pub fn builder(directory: impl Into<PathBuf>) -> FileBuilder {
        FileBuilder::new(directory.into(), FileOptions::default())
    }

    /// A transport to an endpoint with the scheme `file`.
    ///
    /// # Errors
    ///
    /// As [`FileBuilder::build`], and for any other scheme.
    pub fn connect(endpoint: &Endpoint) -> Result<Self, TransportError> {
        match endpoint.file_options() {
            Some((directory, options)) => FileBuilder::new(directory.to_owned(), options).build(),
            None => Err(TransportError::new(
                TransportErrorKind::Scheme,
                format!("{endpoint} is not for files: expected file://"),
            )),
        }
    }

    /// Whether [`connect`](Self::connect) would do, without making anything.
    pub(super) fn check(endpoint: &Endpoint) -> Result<(), TransportError> {
        match endpoint.directory() {
            Some(directory) => check::check(directory).map_err(|error| unusable(directory, error)),
            None => Self::connect(endpoint).map(drop),
        }
    }

    /// Where the files are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.shared.directory
    }
}

fn unusable(directory: &Path, error: std::io::Error) -> TransportError {
    let message = format!(
        "{} cannot be used for files of spans: expected a directory to write to",
        directory.display()
    );
    TransportError::new(TransportErrorKind::Io, message).with_source(error)
}

impl Service<Batch> for File {
    type Response = Receipt;
    type Error = ExportError;
    type Future = FileFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let (waiter, writer) = shared.pending.enter(batch.bytes());
            if let Some(writer) = writer {
                tokio::task::spawn_blocking(move || shared.write(&batch, writer));
            }
            waiter.wait().await.map(|()| Receipt::accepted())
        })
    }
}

// === impl Shared ===

impl Shared {
    fn new(directory: PathBuf, format: FileFormat, files: Files) -> Self {
        Self {
            directory,
            format,
            files: Mutex::new(files),
            pending: Arc::default(),
        }
    }

    fn write(&self, batch: &Batch, writer: Writer) {
        let records = match Records::new(self.format, batch) {
            Ok(records) => records,
            Err(error) => return writer.finish(Err(error)),
        };
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        // Others may have held the files for longer than an attempt may take.
        let Some(writer) = writer.begin() else { return };
        let written = files.write(&records);
        drop(files);
        writer.finish(written.map_err(|error| {
            let directory = self.directory.display();
            let (kind, message) = match error.kind() {
                // Not even alone: in pieces it may.
                io::ErrorKind::FileTooLarge => (
                    ExportErrorKind::TooLarge,
                    format!(
                        "a batch of {} bytes goes into no file in {directory}: the system limits them",
                        batch.len_bytes()
                    ),
                ),
                _ => (
                    ExportErrorKind::Io,
                    format!("spans cannot be written into {directory}"),
                ),
            };
            ExportError::new(kind, message).with_source(error)
        }));
    }
}
