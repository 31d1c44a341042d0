mod line;

use std::fmt;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tower_service::Service;

use crate::{Batch, ExportError, ExportErrorKind, Receipt};

/// Spans as lines of text, for development.
///
/// One line a span, in the order they ended: start time (UTC), duration, kind, name, status,
/// resource (its `service.name`), ids, attributes; one more line for each event and each link.
/// Control characters are escaped, so that no value can forge a line. Meant for eyes: the format
/// may change with any version. For programs there is [`File`](crate::File).
///
/// It writes on Tokio's threads for blocking work, so it must be called within a Tokio runtime,
/// which the export thread is. Spans appear with the next flush, by default within five seconds. A
/// reader that has gone (`EPIPE`) is an error of the export, and no more.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use opentelemetry::trace::{Tracer, TracerProvider};
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use towline_otlp::{Console, Exporter};
///
/// // To standard output, as `url("console:")` does.
/// let (processor, exporter) = Exporter::builder()
///     .transport(Console::stdout())
///     .flush_interval(Duration::from_millis(200))
///     .build()?;
/// let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
/// provider.tracer("docs").in_span("work", |_| {});
/// exporter.blocking_shutdown(Duration::from_secs(5))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Console {
    out: Arc<Mutex<dyn Write + Send>>,
}

/// The future of [`Console`].
pub type ConsoleFuture = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

// === impl Console ===

impl Console {
    /// To standard output, as the specification has it for the console exporter.
    #[must_use]
    pub fn stdout() -> Self {
        Self::new(io::stdout())
    }

    /// To standard error.
    #[must_use]
    pub fn stderr() -> Self {
        Self::new(io::stderr())
    }

    /// To a writer of your own. It gets the text of a batch at once, then a flush.
    #[must_use]
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Self {
            out: Arc::new(Mutex::new(out)),
        }
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").finish_non_exhaustive()
    }
}

impl Service<Batch> for Console {
    type Response = Receipt;
    type Error = ExportError;
    type Future = ConsoleFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        let out = Arc::clone(&self.out);
        Box::pin(async move {
            let written = tokio::task::spawn_blocking(move || print(&out, &batch)).await;
            written.unwrap_or_else(|error| {
                let message = "the thread that writes to the console ended";
                Err(ExportError::new(ExportErrorKind::Other, message).with_source(error))
            })
        })
    }
}

fn print(out: &Mutex<dyn Write + Send>, batch: &Batch) -> Result<Receipt, ExportError> {
    let request = ExportTraceServiceRequest::decode(batch.bytes().clone()).map_err(|error| {
        let message = "the batch is not an OTLP trace request";
        ExportError::new(ExportErrorKind::InvalidBatch, message).with_source(error)
    })?;
    let text = line::text(&request);
    let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        // Not again: what has been written would be there twice.
        .map_err(|error| {
            let message = "spans cannot be written to the console";
            ExportError::new(ExportErrorKind::Other, message).with_source(error)
        })?;
    Ok(Receipt::accepted())
}
