use std::cell::RefCell;

use opentelemetry_sdk::trace::SpanData;

use crate::encode::put_span;

thread_local! {
    /// Where this thread encodes, so that it need not allocate for each span.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Encodes `span` and passes the bytes on.
///
/// It works also while the thread is being torn down, when its scratch is gone: a span that a
/// thread-local of the program holds ends only then.
pub(super) fn encoded<T>(span: &SpanData, then: impl FnOnce(&[u8]) -> T) -> T {
    let mut scratch = SCRATCH.try_with(RefCell::take).unwrap_or_default();
    scratch.clear();
    put_span(&mut scratch, span);
    let result = then(&scratch);
    // One huge span must not make each thread that ever had one keep its size.
    if scratch.capacity() <= MAX_SCRATCH_BYTES {
        let _ = SCRATCH.try_with(|kept| kept.replace(scratch));
    }
    result
}

/// What a thread keeps at most.
const MAX_SCRATCH_BYTES: usize = 64 * 1024;
