use std::future::{Ready, ready};
use std::task::{Context, Poll};

use tower_service::Service;

use crate::{Batch, ExportError, Receipt};

/// Takes every batch and throws it away: for measurements, and where tracing runs without a
/// backend.
///
/// # Examples
///
/// ```
/// use tower::ServiceExt;
/// use towline_otlp::{Batch, Discard};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), towline_otlp::ExportError> {
/// let receipt = Discard::new().oneshot(Batch::default()).await?;
/// assert_eq!(receipt.rejected_spans(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Discard;

impl Discard {
    /// A transport to nowhere.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Service<Batch> for Discard {
    type Response = Receipt;
    type Error = ExportError;
    type Future = Ready<Result<Receipt, ExportError>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _batch: Batch) -> Self::Future {
        ready(Ok(Receipt::accepted()))
    }
}
