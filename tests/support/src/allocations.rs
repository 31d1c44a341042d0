//! Counting allocations.
//!
//! ```
//! use towline_test_support::allocations;
//!
//! let (sum, made) = allocations::count(|| vec![1, 2, 3].into_iter().sum::<i32>());
//! assert_eq!(sum, 6);
//! assert_eq!(made.count, 1);
//! assert_eq!(made.bytes, 12);
//! ```

/// What a closure asked of the allocator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Allocations {
    /// How many allocations it made, reallocations included.
    pub count: u64,
    /// How many bytes they asked for, together; a reallocation counts with its whole new size.
    pub bytes: u64,
    /// How many of its allocations are still held; negative if it freed more than it made.
    pub held: i64,
}

/// Counts the allocations that `work` makes on this thread, and gives back what `work` does.
///
/// Other threads are not counted. The first call of anything may set up thread-locals and lazily
/// made tables: run the work once before counting it, or use [`steady`].
///
/// # Panics
///
/// When `work` does; counts on this thread are then of no use any more.
pub fn count<R>(work: impl FnOnce() -> R) -> (R, Allocations) {
    let mut result = None;
    let info = allocation_counter::measure(|| result = Some(work()));
    let made = Allocations {
        count: info.count_total,
        bytes: info.bytes_total,
        held: info.count_current,
    };
    (result.expect("the work has run"), made)
}

/// Runs `work` twice and counts the second time.
///
/// # Panics
///
/// When `work` does.
pub fn steady<R>(mut work: impl FnMut() -> R) -> Allocations {
    drop(work());
    count(|| drop(work())).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reallocation_counts_as_an_allocation() {
        let (_, made) = count(|| {
            let mut grown = Vec::<u8>::with_capacity(1);
            grown.reserve_exact(100);
            std::hint::black_box(&mut grown).reserve_exact(1000);
            grown
        });
        assert_eq!((made.count, made.bytes, made.held), (3, 1 + 100 + 1000, 1));
    }

    #[test]
    fn zeroed_memory_and_a_shrink_count_too() {
        let (_, made) = count(|| {
            let mut zeroed = vec![0_u8; 64];
            zeroed.truncate(8);
            std::hint::black_box(&mut zeroed).shrink_to_fit();
            zeroed
        });
        assert_eq!((made.count, made.bytes), (2, 64 + 8));
    }

    #[test]
    fn what_another_thread_allocates_is_not_counted() {
        let (sender, receiver) = std::sync::mpsc::sync_channel::<()>(0);
        let (counting, counted) = std::sync::mpsc::sync_channel::<()>(0);
        let other = std::thread::spawn(move || {
            receiver.recv().unwrap();
            drop(std::hint::black_box(vec![0_u8; 4096]));
            counting.send(()).unwrap();
        });
        let (_, made) = count(|| {
            sender.send(()).unwrap();
            counted.recv().unwrap();
        });
        other.join().unwrap();
        assert!(made.bytes < 4096, "{made:?}");
    }
}
