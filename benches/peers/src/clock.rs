//! Time, of the wall and of the processors.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The processor time of this process so far, all threads, user and system.
pub fn of_process() -> Duration {
    read(ClockId::ProcessCPUTime)
}

/// The processor time of this thread so far.
pub fn of_thread() -> Duration {
    read(ClockId::ThreadCPUTime)
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanos)
}

/// Nanoseconds for each of `items`.
pub fn nanos_each(time: Duration, items: usize) -> f64 {
    time.as_nanos() as f64 / items as f64
}
