use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tower::ServiceExt;
use tower_layer::Layer;
use tower_service::Service;

use crate::error::Delivered;
use crate::{Batch, ExportError, ExportErrorKind, Receipt};

/// Sends a batch in pieces when it is larger than the backend takes.
///
/// How much that is it learns: a batch that is [`TooLarge`](ExportErrorKind::TooLarge) is cut in
/// half, and so are its halves, down to a single span; the batches after it are cut to what was
/// left. It can also be told: as a guess ([`assume`](Self::assume)), above which only single spans
/// are tried, or as a fact ([`max_bytes`](Self::max_bytes)), above which nothing is.
///
/// Pieces go one after the other, each by a clone of the service inside: put it around
/// [`RetryLayer`](super::RetryLayer), so that a piece that was taken is not sent again with the
/// others. The answer speaks for all of them:
///
/// - All were taken: their receipts added up. Spans that are too large alone count as
///   [rejected](Receipt::rejected_spans), and are told apart by
///   [`too_large_spans`](Receipt::too_large_spans).
/// - One was refused for good: its error, once the others have been sent;
///   [`delivered_spans`](ExportError::delivered_spans) says how many spans arrived all the same.
/// - One failed although it may be retried: its error at once. The backend is away, and would not
///   take the others either.
///
/// Dropping the future leaves it open what arrived, as with any request.
///
/// # Examples
///
/// ```
/// use bytes::Bytes;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use towline_otlp::policy::SplitLayer;
/// use towline_otlp::{Batch, ExportError, ExportErrorKind, Receipt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // A backend that takes one span at a time.
/// let backend = service_fn(|batch: Batch| async move {
///     match batch.spans() {
///         1 => Ok(Receipt::accepted()),
///         _ => Err(ExportError::new(ExportErrorKind::TooLarge, "one at a time")),
///     }
/// });
/// let service = ServiceBuilder::new().layer(SplitLayer::new()).service(backend);
/// let two = Batch::parse(Bytes::from_static(&[0x0a, 6, 0x12, 4, 0x12, 0, 0x12, 0]))?;
/// assert_eq!(service.oneshot(two).await?, Receipt::accepted());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SplitLayer {
    /// Batches above it are cut.
    split_above: usize,
    /// Single spans above it are given up.
    refuse_above: usize,
}

/// The service of [`SplitLayer`]. Clones share what they have learned.
#[derive(Clone, Debug)]
pub struct Split<S> {
    inner: S,
    limits: Arc<Limits>,
}

/// The future of [`Split`].
pub type SplitFuture = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

struct Limits {
    split_above: AtomicUsize,
    refuse_above: usize,
}

/// What became of the pieces so far.
#[derive(Default)]
struct Tally {
    delivered: Delivered,
    /// The backend's first remark.
    message: String,
    /// The first refusal for good.
    error: Option<ExportError>,
    /// Why a span was too large.
    too_large: Option<ExportError>,
}

// === impl SplitLayer ===

impl SplitLayer {
    /// A layer that knows no limit yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            split_above: usize::MAX,
            refuse_above: usize::MAX,
        }
    }

    /// Cuts batches of more than `bytes` from the start, and tries single spans of any size.
    #[must_use]
    pub const fn assume(mut self, bytes: usize) -> Self {
        self.split_above = bytes;
        self
    }

    /// Cuts batches of more than `bytes`, and gives up single spans above it without asking the
    /// backend.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.split_above = bytes;
        self.refuse_above = bytes;
        self
    }
}

impl Default for SplitLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for SplitLayer {
    type Service = Split<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Split {
            inner,
            limits: Arc::new(Limits {
                split_above: AtomicUsize::new(self.split_above),
                refuse_above: self.refuse_above,
            }),
        }
    }
}

// === impl Split ===

impl<S> Split<S> {
    /// The service inside.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service inside.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service inside, by value.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S> Service<Batch> for Split<S>
where
    S: Service<Batch, Response = Receipt, Error = ExportError> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Receipt;
    type Error = ExportError;
    type Future = SplitFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // Each piece waits for its own turn.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        Box::pin(send(self.inner.clone(), batch, Arc::clone(&self.limits)))
    }
}

async fn send<S>(service: S, batch: Batch, limits: Arc<Limits>) -> Result<Receipt, ExportError>
where
    S: Service<Batch, Response = Receipt, Error = ExportError> + Clone,
{
    let mut tally = Tally::default();
    // The next piece is the last.
    let mut pieces = vec![batch];
    while let Some(piece) = pieces.pop() {
        let limit = limits.split_above.load(Ordering::Relaxed);
        let cut = cut(&piece, limit);
        if !cut.is_empty() {
            pieces.extend(cut);
            continue;
        }
        let spans = piece.spans();
        if piece.len_bytes() > limits.refuse_above {
            tally.add_too_large(spans, limits.refusal(&piece));
            continue;
        }
        match service.clone().oneshot(piece.clone()).await {
            Ok(receipt) => tally.add_receipt(spans, &receipt),
            Err(error) if error.kind() == ExportErrorKind::TooLarge => {
                let limit = limits.learn(&piece);
                let cut = self::cut(&piece, limit);
                if cut.is_empty() {
                    tally.add_too_large(spans, error);
                }
                pieces.extend(cut);
            }
            Err(error) if error.is_retryable() => return Err(tally.fail(error)),
            Err(error) => tally.error = Some(tally.error.take().unwrap_or(error)),
        }
    }
    tally.finish()
}

/// The pieces of a batch, last first; none if it is to be sent as it is.
fn cut(batch: &Batch, max_bytes: usize) -> Vec<Batch> {
    if batch.len_bytes() <= max_bytes {
        return Vec::new();
    }
    let mut pieces = batch.split(max_bytes);
    // One would be the batch itself, again and again.
    if pieces.len() == 1 {
        pieces.clear();
    }
    pieces.reverse();
    pieces
}

// === impl Limits ===

impl Limits {
    /// Lowers the limit after a refusal; gives the new one.
    fn learn(&self, refused: &Batch) -> usize {
        let limit = match refused.spans() {
            // Nothing smaller comes of it.
            ..=1 => refused.len_bytes().saturating_sub(1),
            _ => refused.len_bytes() / 2,
        };
        self.split_above
            .fetch_min(limit, Ordering::Relaxed)
            .min(limit)
    }

    fn refusal(&self, span: &Batch) -> ExportError {
        let message = format!(
            "a span takes {} bytes: expected at most {}, as configured",
            span.len_bytes(),
            self.refuse_above
        );
        ExportError::new(ExportErrorKind::TooLarge, message)
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("split_above", &self.split_above)
            .field("refuse_above", &self.refuse_above)
            .finish()
    }
}

// === impl Tally ===

impl Tally {
    fn add_receipt(&mut self, spans: usize, receipt: &Receipt) {
        // A backend cannot refuse more than it got.
        let rejected = receipt.rejected_spans().min(spans);
        let too_large = receipt.too_large_spans().min(rejected);
        self.delivered.exported += spans - rejected;
        self.delivered.refused += rejected - too_large;
        self.delivered.too_large += too_large;
        if self.message.is_empty() {
            receipt
                .message()
                .unwrap_or_default()
                .clone_into(&mut self.message);
        }
    }

    fn add_too_large(&mut self, spans: usize, error: ExportError) {
        self.delivered.too_large += spans;
        self.too_large.get_or_insert(error);
    }

    fn fail(self, error: ExportError) -> ExportError {
        error.with_delivered(self.delivered)
    }

    fn finish(mut self) -> Result<Receipt, ExportError> {
        if let Some(error) = self.error.take() {
            return Err(self.fail(error));
        }
        let Delivered {
            exported,
            refused,
            too_large,
        } = self.delivered;
        match self.too_large {
            Some(error) if (exported, refused) == (0, 0) => return Err(error),
            Some(error) if self.message.is_empty() => self.message = error.to_string(),
            _ => {}
        }
        Ok(Receipt::partial(refused + too_large, self.message).with_too_large(too_large))
    }
}

#[cfg(test)]
mod tests;
