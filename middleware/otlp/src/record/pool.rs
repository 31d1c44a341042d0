//! Memory for spans that are open, kept by each thread.

use std::cell::RefCell;

thread_local! {
    static KEPT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Empty memory, with room for a usual span.
pub(super) fn take() -> Vec<u8> {
    KEPT.try_with(|kept| kept.try_borrow_mut().ok()?.pop())
        .ok()
        .flatten()
        .unwrap_or_else(|| Vec::with_capacity(USUAL_BYTES))
}

/// Gives memory back, to whichever thread this is. None of it is kept for a span that was huge, nor
/// more than so much, nor by a thread that is being torn down.
pub(super) fn give(mut bytes: Vec<u8>) {
    if bytes.capacity() > MAX_BYTES_EACH {
        return;
    }
    bytes.clear();
    let _ = KEPT.try_with(|kept| {
        if let Ok(mut kept) = kept.try_borrow_mut()
            && kept.len() < MAX_KEPT
        {
            kept.push(bytes);
        }
    });
}

/// A request with all its attributes takes some 500 bytes.
const USUAL_BYTES: usize = 1024;

const MAX_BYTES_EACH: usize = 4 * 1024;

/// As many spans as are usually open on a thread at a time, up to 64 KiB in all.
const MAX_KEPT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_within_bounds() {
        let mut bytes = take();
        bytes.extend_from_slice(b"span");
        let at = bytes.as_ptr();
        give(bytes);
        let again = take();
        assert!(again.is_empty());
        assert_eq!(again.as_ptr(), at);

        give(Vec::with_capacity(MAX_BYTES_EACH + 1));
        assert!(KEPT.with_borrow(Vec::is_empty));
        for _ in 0..2 * MAX_KEPT {
            give(Vec::with_capacity(8));
        }
        assert_eq!(KEPT.with_borrow(Vec::len), MAX_KEPT);
    }
}
