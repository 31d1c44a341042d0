use crate::buffer::{Loss, Lost};
use crate::{ExportError, ExportErrorKind, Receipt};

/// How the spans of a batch are counted that did not arrive.
pub(super) fn lost(result: &Result<Receipt, ExportError>, spans: usize) -> Lost {
    match result {
        Ok(receipt) => {
            let rejected = receipt.rejected_spans().min(spans);
            let too_large = receipt.too_large_spans().min(rejected);
            Lost {
                refused: (rejected - too_large) as u64,
                too_large: too_large as u64,
                ..Lost::default()
            }
        }
        Err(error) => {
            // The rest went in pieces of its own.
            let delivered = error.delivered();
            let others = delivered.exported + delivered.refused + delivered.too_large;
            let mut lost = Lost::new(loss(error), spans.saturating_sub(others));
            lost.refused += delivered.refused as u64;
            lost.too_large += delivered.too_large as u64;
            lost
        }
    }
}

const fn loss(error: &ExportError) -> Loss {
    match error.kind() {
        ExportErrorKind::TooLarge => Loss::TooLarge,
        ExportErrorKind::Unimplemented => Loss::Refused,
        ExportErrorKind::Refused(_) if !error.is_retryable() => Loss::Refused,
        _ => Loss::Failed,
    }
}
