use std::time::Duration;

/// When a batch that failed is sent again.
///
/// The first delay is about [`initial`](Self::initial), each further one half as long again, up to
/// [`max_delay`](Self::max_delay), each with a jitter of ± 50 % so that programs that lost the same
/// backend do not come back all at once. A backend that says when to come back (`Retry-After`,
/// `RetryInfo`) gets at least that, but no more than [`max_delay`](Self::max_delay). A batch whose
/// next attempt would begin more than [`max_elapsed`](Self::max_elapsed) after its first is given
/// up.
///
/// When batch after batch is given up, be it that a backend answers nonsense or takes no
/// credentials of ours, an [`Exporter`](crate::Exporter) leaves the same delays between batches:
/// from the second failure in a row on, until one is taken. A flush or a shutdown does not wait for
/// that.
///
/// The defaults are those of the Collector's exporters ×1.5, ± 50 %, up to 30 s, with a first delay
/// of 1 s in place of 5 s and an end after 60 s in place of 300 s: a program's buffer holds less
/// than a collector's queue.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use towline_otlp::policy::Backoff;
///
/// let backoff = Backoff::new().initial(Duration::from_millis(100));
/// assert_ne!(backoff, Backoff::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    initial: Duration,
    max_delay: Duration,
    max_elapsed: Duration,
}

// === impl Backoff ===

impl Backoff {
    /// The defaults: 1 s, to 30 s, 60 s in all.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            initial: Duration::from_secs(1),
            max_delay: Duration::from_secs(30),
            max_elapsed: Duration::from_secs(60),
        }
    }

    /// No retries: a batch that fails is lost.
    #[must_use]
    pub const fn none() -> Self {
        Self::new().max_elapsed(Duration::ZERO)
    }

    /// The first delay, before jitter. Default: 1 s.
    #[must_use]
    pub const fn initial(mut self, delay: Duration) -> Self {
        self.initial = delay;
        self
    }

    /// The longest delay, before jitter, and the longest that a backend can ask for. Default: 30 s.
    #[must_use]
    pub const fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// How long after its first attempt the last attempt of a batch may begin; zero means no
    /// retries. Default: 60 s.
    #[must_use]
    pub const fn max_elapsed(mut self, time: Duration) -> Self {
        self.max_elapsed = time;
        self
    }

    /// The delay before retry number `retry` (the first is 0), `elapsed` after the first attempt;
    /// `None` when the batch is to be given up. `random` is from 0 to 1.
    pub(super) fn delay(
        &self,
        retry: u32,
        elapsed: Duration,
        asked: Option<Duration>,
        random: f64,
    ) -> Option<Duration> {
        let delay = self.pause(retry, asked, random);
        elapsed
            .checked_add(delay)
            .filter(|begin| *begin < self.max_elapsed)
            .map(|_| delay)
    }

    /// The delay after so many failures in a row (the first is 0), however long that has gone on.
    pub(crate) fn pause(&self, failures: u32, asked: Option<Duration>, random: f64) -> Duration {
        // In floating point a delay cannot overflow, only become too long.
        let exponential =
            self.initial.as_secs_f64() * 1.5f64.powi(i32::try_from(failures).unwrap_or(i32::MAX));
        let jittered = exponential.min(self.max_delay.as_secs_f64()) * (0.5 + random);
        let own = Duration::try_from_secs_f64(jittered).unwrap_or(self.max_delay);
        own.max(asked.unwrap_or_default().min(self.max_delay))
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn grows_by_half_up_to_the_longest() {
        let backoff = Backoff::new().max_elapsed(Duration::MAX);
        let delays: Vec<_> = (0..12)
            .map(|retry| backoff.delay(retry, NOW, None, 0.5).unwrap().as_millis())
            .collect();
        assert_eq!(delays[..5], [1000, 1500, 2250, 3375, 5062]);
        assert_eq!(delays[9..], [30_000; 3]);
        assert_eq!(
            backoff.delay(u32::MAX, NOW, None, 0.5).unwrap(),
            Duration::from_secs(30)
        );
    }

    #[test]
    fn jitter_is_half_either_way() {
        let backoff = Backoff::new();
        assert_eq!(
            backoff.delay(0, NOW, None, 0.0),
            Some(Duration::from_millis(500))
        );
        assert_eq!(
            backoff.delay(0, NOW, None, 1.0),
            Some(Duration::from_millis(1500))
        );
    }

    #[test]
    fn a_backend_is_left_alone_as_long_as_it_asks_within_reason() {
        let backoff = Backoff::new();
        assert_eq!(
            backoff.delay(0, NOW, Some(Duration::from_secs(7)), 0.5),
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            backoff.delay(0, NOW, Some(Duration::ZERO), 0.5),
            Some(Duration::from_secs(1))
        );
        assert_eq!(
            backoff.delay(0, NOW, Some(Duration::MAX), 0.5),
            Some(Duration::from_secs(30))
        );
    }

    #[test]
    fn a_batch_is_given_up_in_time() {
        let backoff = Backoff::new();
        assert_eq!(
            backoff.delay(0, Duration::from_millis(58_999), None, 0.5),
            Some(Duration::from_secs(1))
        );
        assert_eq!(backoff.delay(0, Duration::from_secs(59), None, 0.5), None);
        assert_eq!(backoff.delay(0, Duration::MAX, None, 0.5), None);
        assert_eq!(Backoff::none().delay(0, NOW, None, 0.0), None);
    }
}
